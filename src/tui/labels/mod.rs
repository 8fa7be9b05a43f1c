//! Steps that the user marks right or wrong, kept in a file of native traces that `[reward.labels]` trains on.

mod writer;

pub(crate) use writer::LabelWriter;

use crate::format::{Format, FormatError, Options, TraceList, write_file};
use crate::trace::{Candidate, GoldDeviation, Trace};
use crate::util::atomic;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The file of labels as it is known to be, and what was marked since.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    path: PathBuf,
    traces: Vec<Trace>,
}

/// The labels of every step of every candidate.
type StepLabels = Vec<Vec<Option<f32>>>;

pub(crate) fn step_labels(trace: &Trace) -> StepLabels {
    trace.candidates.iter().map(|c| c.steps.iter().map(|s| s.label).collect()).collect()
}

/// A trace that was marked.
#[derive(Clone, Debug, PartialEq)]
pub struct Marked {
    /// With its labels as they are now.
    pub trace: Trace,
    /// The labels that it had when this session last knew them to be kept: where they are others now, this session has marked.
    pub(crate) before: StepLabels,
}

impl Marked {
    /// Puts the marks of this session on what the file has of the same texts; the marks of another session on other steps stay.
    fn put_on(&self, kept: &mut Trace) {
        for ((kept, now), before) in kept.candidates.iter_mut().zip(&self.trace.candidates).zip(&self.before) {
            if now.steps.iter().map(|s| s.label).eq(before.iter().copied()) {
                continue;
            }
            for ((kept, now), before) in kept.steps.iter_mut().zip(&now.steps).zip(before) {
                if now.label != *before {
                    kept.label = now.label;
                }
            }
            let signed = is_signed(kept);
            let named = match now.gold {
                Some(GoldDeviation::Step(i)) if kept.steps.get(i).is_some_and(|s| s.label.is_none_or(|l| is_wrong(l, signed))) => Some(i),
                _ => None,
            };
            let wrong = kept.steps.iter().position(|s| s.label.is_some_and(|l| is_wrong(l, signed)));
            let all = kept.steps.iter().all(|s| s.label.is_some());
            let first = wrong.into_iter().chain(named).min().map(GoldDeviation::Step);
            kept.gold = first.or_else(|| (all || now.gold == Some(GoldDeviation::None)).then_some(GoldDeviation::None));
        }
    }
}

/// Whether labels are of PRM800K's scale, which has −1 for wrong and 0 for neutral.
fn is_signed(candidate: &Candidate) -> bool {
    candidate.steps.iter().any(|s| s.label.is_some_and(|l| l < 0.0))
}

fn is_wrong(label: f32, signed: bool) -> bool {
    label < 0.0 || label == 0.0 && !signed
}

impl Labels {
    /// Reads the labels of `path`, a native file; one that does not exist yet holds none.
    ///
    /// # Errors
    /// A file of another format, and one with a line that cannot be read: the file is written anew with every label, and what is not read would be lost.
    pub fn open(path: &Path) -> Result<Self, FormatError> {
        let mut traces = Vec::new();
        if path.exists() {
            let list = TraceList::open(&[path.display().to_string()], Options::default())?;
            if let Some((name, format)) = list.files().into_iter().find(|f| f.1 != Format::Native) {
                let problem = format!("is a file of the format {}, and none of labels", format.name());
                return Err(FormatError::File { path: name, problem, remedy: "name another file for the labels".into() });
            }
            list.iter().try_for_each(|t| t.map(|t| traces.push(t)))?;
            if let Some(error) = list.errors().into_iter().find(FormatError::skips) {
                return Err(error);
            }
        }
        Ok(Self { path: path.to_owned(), traces })
    }

    /// Where they are kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts what is known of the trace's texts on its steps.
    pub(crate) fn put_on(&self, trace: &mut Trace) {
        let problem = trace.problem.clone();
        for candidate in &mut trace.candidates {
            let kept = self.traces.iter().filter(|t| t.problem == problem).flat_map(|t| &t.candidates);
            if let Some(kept) = kept.rev().find(|k| same(k, candidate)) {
                candidate.steps.iter_mut().zip(&kept.steps).for_each(|(s, k)| s.label = k.label);
                candidate.gold = kept.gold;
            }
        }
    }

    /// Takes a trace over with the labels that it has now.
    pub(crate) fn take(&mut self, trace: &Trace) {
        // The same id with other texts, sampled anew, is another trace: nothing that was marked is lost.
        if let Some(kept) = self.traces.iter_mut().find(|t| same_texts(t, trace)) {
            *kept = Trace { id: kept.id.clone(), ..trace.clone() };
            return;
        }
        let mut new = trace.clone();
        let mut n = 1;
        while self.traces.iter().any(|t| t.id == new.id) {
            n += 1;
            new.id = format!("{}#{n}", trace.id);
        }
        self.traces.push(new);
    }

    /// Puts marks into the file, which another session may have added to, or be adding to; the file is written whole or not at all.
    pub fn keep<'a>(path: &Path, marks: impl IntoIterator<Item = &'a Marked>) -> Result<(), FormatError> {
        // Whoever writes first lets go of the folder when it is done. A system that locks no folders keeps nobody out.
        let folder = File::open(atomic::folder(path)).ok();
        if let Some(folder) = &folder {
            let _ = folder.lock();
        }
        let mut now = Self::open(path)?;
        for marked in marks {
            match now.traces.iter_mut().find(|t| same_texts(t, &marked.trace)) {
                Some(kept) => marked.put_on(kept),
                None => now.take(&marked.trace),
            }
        }
        write_file(path, &now.traces, None)
    }
}

/// Whether two traces have the same problem and the same texts.
fn same_texts(a: &Trace, b: &Trace) -> bool {
    a.problem == b.problem && a.candidates.len() == b.candidates.len() && a.candidates.iter().zip(&b.candidates).all(|(a, b)| same(a, b))
}

/// Whether labels of one are labels of the other.
fn same(a: &Candidate, b: &Candidate) -> bool {
    a.text == b.text && a.steps.len() == b.steps.len() && a.steps.iter().zip(&b.steps).all(|(a, b)| a.span == b.span)
}

/// Marks a step, or takes the same mark off again; whether it has it now. The first error is the first step that is marked wrong or that the source names
/// (`given`), unless a mark says otherwise.
pub(crate) fn mark(candidate: &mut Candidate, step: usize, right: bool, given: Option<GoldDeviation>) -> bool {
    let signed = is_signed(candidate);
    let label = match (right, signed) {
        (true, _) => 1.0,
        (false, true) => -1.0,
        (false, false) => 0.0,
    };
    let Some(s) = candidate.steps.get_mut(step) else { return false };
    let marked = s.label != Some(label);
    s.label = marked.then_some(label);
    let named = |i: usize| given == Some(GoldDeviation::Step(i));
    let wrong = (0..candidate.steps.len()).find(|&i| candidate.steps[i].label.map_or(named(i), |l| is_wrong(l, signed)));
    let right = given == Some(GoldDeviation::None) || candidate.steps.iter().all(|s| s.label.is_some());
    candidate.gold = wrong.map(GoldDeviation::Step).or(right.then_some(GoldDeviation::None));
    marked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Segmentation, segment};

    /// A mark on the first candidate, and what is to be kept of it.
    pub(super) fn marked(trace: &mut Trace, step: usize, right: bool) -> Marked {
        let before = step_labels(trace);
        mark(&mut trace.candidates[0], step, right, None);
        Marked { trace: trace.clone(), before }
    }

    #[test]
    fn two_sessions_on_one_file_lose_nothing_of_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.jsonl");
        let (mut ours, mut theirs) = (trace("a\nb\nc"), trace("a\nb\nc"));
        let of = |path: &Path| {
            let c = Labels::open(path).unwrap().traces[0].candidates[0].clone();
            (c.steps.iter().map(|s| s.label).collect::<Vec<_>>(), c.gold)
        };
        Labels::keep(&path, [&marked(&mut ours, 0, true)]).unwrap();
        Labels::keep(&path, [&marked(&mut theirs, 2, false)]).unwrap();
        assert_eq!(of(&path), (vec![Some(1.0), None, Some(0.0)], Some(GoldDeviation::Step(2))));
        Labels::keep(&path, [&marked(&mut ours, 1, false)]).unwrap();
        assert_eq!(of(&path), (vec![Some(1.0), Some(0.0), Some(0.0)], Some(GoldDeviation::Step(1))));
        // The last word on a step stands, also where it takes a mark off.
        Labels::keep(&path, [&marked(&mut theirs, 2, false)]).unwrap();
        Labels::keep(&path, [&marked(&mut ours, 1, true)]).unwrap();
        assert_eq!(of(&path), (vec![Some(1.0), Some(1.0), None], None));
        // Many at the same moment.
        std::thread::scope(|s| {
            for text in ["1\n2", "3\n4", "5\n6", "7\n8"] {
                let path = &path;
                s.spawn(move || {
                    let mut own = trace(text);
                    for step in [0, 1] {
                        Labels::keep(path, [&marked(&mut own, step, true)]).unwrap();
                    }
                });
            }
        });
        let all = Labels::open(&path).unwrap();
        assert_eq!(all.traces.len(), 5);
        assert!(all.traces[1..].iter().all(|t| t.candidates[0].steps.iter().all(|s| s.label == Some(1.0))));
    }

    pub(super) fn trace(text: &str) -> Trace {
        let candidate = Candidate { text: text.into(), steps: segment(text, &Segmentation::Line), ..Candidate::default() };
        Trace { id: "t".into(), problem: "p".into(), candidates: vec![candidate], ..Trace::default() }
    }

    #[test]
    fn marks_say_where_the_first_error_is() {
        let mut t = trace("a\nb\nc");
        let c = &mut t.candidates[0];
        assert!(mark(c, 1, false, None) && c.gold == Some(GoldDeviation::Step(1)));
        assert!(mark(c, 0, true, None) && mark(c, 2, false, None) && c.gold == Some(GoldDeviation::Step(1)));
        assert!(mark(c, 1, true, None) && c.gold == Some(GoldDeviation::Step(2)));
        assert!(mark(c, 2, true, None) && c.gold == Some(GoldDeviation::None));
        assert!(!mark(c, 2, true, Some(GoldDeviation::Step(2))) && c.gold == Some(GoldDeviation::Step(2)) && c.steps[2].label.is_none());
        assert!(!mark(c, 9, true, None));
        // On PRM800K's scale a neutral step is not a wrong one.
        let mut t = trace("a\nb\nc");
        let c = &mut t.candidates[0];
        (c.steps[0].label, c.steps[1].label) = (Some(0.0), Some(-1.0));
        assert!(mark(c, 2, false, None) && c.steps[2].label == Some(-1.0) && c.gold == Some(GoldDeviation::Step(1)));
        // What the source names holds beside the marks until one denies it.
        let (mut t, given) = (trace("a\nb\nc"), Some(GoldDeviation::Step(1)));
        let c = &mut t.candidates[0];
        assert!(mark(c, 2, false, given) && c.gold == given);
        assert!(mark(c, 1, true, given) && c.gold == Some(GoldDeviation::Step(2)));
        assert!(!mark(c, 2, false, given) && c.gold.is_none());
    }

    #[test]
    fn labels_come_back_and_other_samples_keep_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.jsonl");
        let (mut first, mut second) = (trace("a\nb"), trace("a\nc"));
        for t in [&mut first, &mut second] {
            Labels::keep(&path, [&marked(t, 1, false)]).unwrap();
        }
        Labels::keep(&path, [&marked(&mut second, 0, true)]).unwrap();
        let back = Labels::open(&path).unwrap();
        assert_eq!(back.traces.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["t", "t#2"]);
        for (text, want) in [("a\nb", [None, Some(0.0)]), ("a\nc", [Some(1.0), Some(0.0)]), ("a\nd", [None, None])] {
            let mut fresh = trace(text);
            back.put_on(&mut fresh);
            assert_eq!(fresh.candidates[0].steps.iter().map(|s| s.label).collect::<Vec<_>>(), want, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_read_whole_is_not_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.jsonl");
        let native = r#"{"schema_version":1,"trace_id":"a","problem":"p","text":"x"}"#;
        for (text, said) in [
            (r#"{"question_id":12,"pred":"A","correct":true,"text":"So (A)."}"#.to_owned(), "none of labels"),
            (format!("{native}\n{}\n{native}\n", &native[..20]), "line 2"),
        ] {
            std::fs::write(&path, &text).unwrap();
            let error = Labels::keep(&path, [&marked(&mut trace("a"), 0, true)]).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}

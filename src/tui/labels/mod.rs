//! Steps that the user marks right or wrong, kept in a file of native traces that `[reward.labels]` trains on.

mod writer;

pub(crate) use writer::LabelWriter;

use crate::format::{FormatError, Options, TraceList, write_file};
use crate::trace::{Candidate, GoldDeviation, Trace};
use std::path::{Path, PathBuf};

/// The file of labels as it is known to be, and what was marked since.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    path: PathBuf,
    traces: Vec<Trace>,
}

impl Labels {
    /// Reads the labels of `path`, a native file; one that does not exist yet holds none.
    pub fn open(path: &Path) -> Result<Self, FormatError> {
        let mut traces = Vec::new();
        if path.exists() {
            let list = TraceList::open(&[path.display().to_string()], Options::default())?;
            list.iter().try_for_each(|t| t.map(|t| traces.push(t)))?;
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

    /// Puts the labels of traces into the file, which another session may have added to; the file is written whole or not at all.
    pub fn keep<'a>(path: &Path, traces: impl IntoIterator<Item = &'a Trace>) -> Result<(), FormatError> {
        let mut now = Self::open(path)?;
        traces.into_iter().for_each(|trace| now.take(trace));
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
    // PRM800K's scale has −1 for wrong and 0 for neutral.
    let signed = candidate.steps.iter().any(|s| s.label.is_some_and(|l| l < 0.0));
    let label = match (right, signed) {
        (true, _) => 1.0,
        (false, true) => -1.0,
        (false, false) => 0.0,
    };
    let Some(s) = candidate.steps.get_mut(step) else { return false };
    let marked = s.label != Some(label);
    s.label = marked.then_some(label);
    let named = |i: usize| given == Some(GoldDeviation::Step(i));
    let wrong = (0..candidate.steps.len()).find(|&i| candidate.steps[i].label.map_or(named(i), |l| l < 0.0 || l == 0.0 && !signed));
    let right = given == Some(GoldDeviation::None) || candidate.steps.iter().all(|s| s.label.is_some());
    candidate.gold = wrong.map(GoldDeviation::Step).or(right.then_some(GoldDeviation::None));
    marked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Segmentation, segment};

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
            mark(&mut t.candidates[0], 1, false, None);
            Labels::keep(&path, [&*t]).unwrap();
        }
        mark(&mut second.candidates[0], 0, true, None);
        Labels::keep(&path, [&second]).unwrap();
        let back = Labels::open(&path).unwrap();
        assert_eq!(back.traces.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["t", "t#2"]);
        for (text, want) in [("a\nb", [None, Some(0.0)]), ("a\nc", [Some(1.0), Some(0.0)]), ("a\nd", [None, None])] {
            let mut fresh = trace(text);
            back.put_on(&mut fresh);
            assert_eq!(fresh.candidates[0].steps.iter().map(|s| s.label).collect::<Vec<_>>(), want, "{text:?}");
        }
    }
}

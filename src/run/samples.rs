//! `rollouts.jsonl` and `samples.jsonl`: what the policy wrote while it was trained, as native traces.

use super::folder::RunFolder;
use crate::format::{FormatError, Options, TRAINING, TRAINING_TRACE, TraceList, to_lines};
use crate::trace::{Candidate, Granularity, Reading, Signal, SignalSource, TokenValue, Trace, Values};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What could be read of a file; and what could not, for people.
pub type Readable<T> = (Vec<T>, Vec<String>);

/// The newest rollouts of one problem: a trace of `samples.jsonl`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunSample {
    /// The stage that sampled them.
    pub stage: String,
    /// Its update, 1-based.
    pub step: usize,
    /// The problem with the rollouts of its group, whose rewards are those of training.
    pub trace: Trace,
}

/// What a line of `samples.jsonl` has beside the fields of a trace.
#[derive(Serialize, Deserialize)]
struct SampleFields {
    stage: String,
    step: usize,
}

impl RunSample {
    /// A rollout with what it was trained by: a reward a token, in the rollout's own tokens, and one for the whole.
    pub fn rewarded(mut rollout: Candidate, tokens: &[f32], whole: f32) -> Candidate {
        let tokens = rollout.tokens.iter().zip(tokens).map(|(t, &value)| TokenValue { span: t.span, value }).collect();
        rollout.put_signal(Signal::new(TRAINING, SignalSource::File, Values::Tokens(tokens)));
        rollout.put_signal(Signal::given(TRAINING_TRACE, whole));
        rollout
    }

    /// What the steps of a rollout were trained by: the least of each step's tokens.
    pub fn step_rewards(rollout: &Candidate) -> Vec<Option<f32>> {
        let values = |signal| rollout.step_values(signal, &Reading::of(TRAINING), Granularity::Dense);
        rollout.signal(TRAINING).map_or_else(|| vec![None; rollout.steps.len()], values)
    }

    /// What a rollout as a whole was trained by.
    pub fn reward(rollout: &Candidate) -> Option<f32> {
        rollout.signal(TRAINING_TRACE).and_then(Signal::whole)
    }

    /// Its native lines, each with its end.
    pub fn to_lines(&self) -> String {
        lines(&self.trace, &SampleFields { stage: self.stage.clone(), step: self.step })
    }

    /// Reads a file of them, of this version or of one before; beside them what could not be read.
    pub fn read(path: &Path) -> Result<Readable<Self>, FormatError> {
        let Some((traces, notes)) = traces(path)? else { return Ok(Default::default()) };
        let sample = |trace: Trace| {
            let fields: Option<SampleFields> = trace.candidates.first().and_then(fields);
            let SampleFields { stage, step } = fields.unwrap_or(SampleFields { stage: String::new(), step: 0 });
            Self { stage, step, trace }
        };
        Ok((traces.into_iter().map(sample).collect(), notes))
    }
}

/// A policy sample of the fixed pool that a reward model is trained against: a line of `rollouts.jsonl`.
#[derive(Clone, Debug, PartialEq)]
pub struct PooledRollout {
    /// Index of its problem among the training problems.
    pub problem: u64,
    /// The sample, with the ids and the log-probabilities of its tokens.
    pub candidate: Candidate,
}

/// What a line of `rollouts.jsonl` has beside the fields of a trace.
#[derive(Serialize, Deserialize)]
struct PoolFields {
    /// Digest of everything that the pool depends on.
    pool: String,
    problem_index: u64,
}

impl PooledRollout {
    /// The native lines of the samples of one problem, number `index` among the training problems, each with its end; `digest` is that of all that the pool
    /// depends on.
    pub fn to_lines(trace: &Trace, index: u64, digest: &str) -> String {
        lines(trace, &PoolFields { pool: digest.to_owned(), problem_index: index })
    }

    /// Reads a pool and its digest; `None` where there is no file, or a file without a sample. Fails on a file that is damaged or none of a pool.
    pub fn read(path: &Path) -> Result<Option<(String, Vec<Self>)>, String> {
        let Some((traces, notes)) = traces(path).map_err(|e| e.to_string())? else { return Ok(None) };
        if let Some(note) = notes.into_iter().next() {
            return Err(note);
        }
        let mut digest = None;
        let mut all = Vec::new();
        for candidate in traces.into_iter().flat_map(|t| t.candidates) {
            let PoolFields { pool, problem_index } =
                fields(&candidate).ok_or("it holds a trace that is no sample of a pool: it has no pool and no problem_index")?;
            if digest.get_or_insert_with(|| pool.clone()) != &pool {
                return Err("it holds samples of two pools".into());
            }
            all.push(Self { problem: problem_index, candidate });
        }
        Ok(digest.map(|d| (d, all)))
    }
}

/// The files of a run that hold what its policy wrote, the newest first, and what is left out of them, for people.
///
/// A run that goes on replaces these files; one that is open stays as it was.
pub fn trace_files(folder: &RunFolder) -> Readable<PathBuf> {
    let starts = |path: &Path| {
        File::open(path).ok().and_then(|mut file| {
            let mut first = [0];
            file.read_exact(&mut first).ok().map(|()| first[0])
        })
    };
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    for path in [folder.samples(), folder.rollouts()] {
        match starts(&path) {
            // A digest stands in the first line, and the samples have no texts.
            Some(b'"') => notes.push(format!("{}: an earlier version wrote it, without texts; it is left out", path.display())),
            Some(_) => files.push(path),
            None => {}
        }
    }
    (files, notes)
}

fn lines(trace: &Trace, fields: &impl Serialize) -> String {
    let extra = serde_json::to_string(fields).ok();
    let mut trace = trace.clone();
    trace.candidates.iter_mut().for_each(|c| c.extra = extra.clone());
    to_lines(&trace, None).into_iter().flat_map(|line| [line, "\n".into()]).collect()
}

fn fields<T: DeserializeOwned>(candidate: &Candidate) -> Option<T> {
    serde_json::from_str(candidate.extra.as_deref()?).ok()
}

/// The traces of a file, and what could not be read of it; `None` where it is not there or empty.
fn traces(path: &Path) -> Result<Option<Readable<Trace>>, FormatError> {
    if !std::fs::metadata(path).is_ok_and(|m| m.len() > 0) {
        return Ok(None);
    }
    let list = TraceList::open(&[path.to_string_lossy()], Options::default())?;
    let traces = list.iter().filter_map(Result::ok).collect();
    Ok(Some((traces, list.errors().iter().map(ToString::to_string).collect())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{FinishReason, Segmentation, Step, Token, segment};

    fn candidate(text: &str, reward: f32) -> Candidate {
        let steps = segment(text, &Segmentation::Line);
        let token = |s: &Step| Token { id: Some(7), span: s.span, logprob: Some(-0.1), entropy: Some(0.3) };
        let tokens: Vec<Token> = steps.iter().map(token).collect();
        let rewards = vec![reward; tokens.len()];
        let finish = Some(FinishReason::Length);
        let candidate = Candidate { text: text.into(), steps, tokens, correct: Some(true), finish, ..Candidate::default() };
        RunSample::rewarded(candidate, &rewards, 2.0 * reward)
    }

    fn trace(id: &str) -> Trace {
        let candidates = vec![candidate("a\nb", 0.5), candidate("c", -0.25)];
        Trace { id: id.into(), problem: "p".into(), gold_answer: Some("3".into()), candidates, ..Trace::default() }
    }

    #[test]
    fn samples_and_pools_are_read_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("samples.jsonl");
        let samples = [1, 2].map(|k| RunSample { stage: "rl".into(), step: 11, trace: trace(&format!("q/rl-11.{k}")) });
        std::fs::write(&path, samples.iter().map(RunSample::to_lines).collect::<String>()).unwrap();
        let (read, notes) = RunSample::read(&path).unwrap();
        assert!(notes.is_empty() && read.len() == 2);
        let without = |mut t: Trace| {
            t.source = None;
            t.candidates.iter_mut().for_each(|c| c.extra = None);
            t
        };
        for (a, b) in samples.iter().zip(read) {
            let c = &b.trace.candidates[0];
            assert_eq!((RunSample::step_rewards(c), RunSample::reward(c)), (vec![Some(0.5); 2], Some(1.0)));
            assert_eq!((b.stage.as_str(), b.step, without(b.trace)), ("rl", 11, a.trace.clone()));
        }

        let path = dir.path().join("rollouts.jsonl");
        let text = [3, 5].map(|i| PooledRollout::to_lines(&trace(&format!("q{i}")), i, "0123"));
        std::fs::write(&path, text.concat()).unwrap();
        let (digest, pool) = PooledRollout::read(&path).unwrap().unwrap();
        assert_eq!((digest.as_str(), pool.iter().map(|r| r.problem).collect::<Vec<_>>()), ("0123", vec![3, 3, 5, 5]));
        assert_eq!(pool[0].candidate.tokens, trace("").candidates[0].tokens);
        std::fs::write(&path, text[0].clone() + &PooledRollout::to_lines(&trace("x"), 1, "4567")).unwrap();
        assert!(PooledRollout::read(&path).unwrap_err().contains("two pools"));
        std::fs::write(&path, text.concat() + "{\"schema").unwrap();
        assert!(PooledRollout::read(&path).unwrap_err().contains("line 5"));
        std::fs::write(&path, "").unwrap();
        assert_eq!(PooledRollout::read(&path), Ok(None));
        assert_eq!(PooledRollout::read(&dir.path().join("none")), Ok(None));
    }

    #[test]
    fn what_a_run_wrote_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        assert_eq!(trace_files(&folder), Default::default());
        std::fs::write(folder.samples(), "").unwrap();
        std::fs::write(folder.rollouts(), PooledRollout::to_lines(&trace("q"), 1, "0123")).unwrap();
        assert_eq!(trace_files(&folder).0, [folder.rollouts()]);
        std::fs::write(folder.samples(), RunSample { trace: trace("q"), ..RunSample::default() }.to_lines()).unwrap();
        std::fs::write(folder.rollouts(), "\"0123\"\n{\"problem\":1,\"ids\":[5]}\n").unwrap();
        let (files, notes) = trace_files(&folder);
        assert_eq!(files, [folder.samples()]);
        assert!(notes.len() == 1 && notes[0].contains("rollouts.jsonl: an earlier version"), "{notes:?}");
    }
}

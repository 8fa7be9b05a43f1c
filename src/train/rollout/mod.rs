//! Policy samples that are trained on.

pub mod pool_file;
pub mod served;

use crate::generate::Completion;
use crate::reward::Sequence;
use crate::trace::Candidate;
use crate::train::TrainError;
use crate::train::data::Demonstrations;
use crate::train::encoding::Encoding;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A policy sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// The problem it answers.
    pub problem: u64,
    /// Its tokens, with the end token where it was sampled.
    pub ids: Vec<u32>,
    /// ln π of each under the policy that wrote it, at temperature 1.
    pub logprobs: Vec<f32>,
    /// Entropy of that policy before each, nats, while the step that sampled them lasts; empty where it is not known.
    #[serde(skip)]
    pub entropies: Vec<f32>,
    /// Whether an end token was sampled.
    pub stopped: bool,
    /// Whether it is right; `None` where that is not known.
    pub correct: Option<bool>,
}

impl Rollout {
    /// Completions, each with its problem, graded.
    pub fn graded(samples: Vec<(u64, Completion)>, data: &Demonstrations) -> Result<Vec<Self>, TrainError> {
        let rollout = |(problem, completion)| {
            let Completion { ids, logprobs, entropies, stopped } = completion;
            Self { problem, ids, logprobs, entropies, stopped, correct: None }
        };
        let mut all: Vec<Self> = samples.into_iter().map(rollout).collect();
        Self::grade(&mut all, data)?;
        Ok(all)
    }

    /// The completions that ended by themselves, a group a problem, graded.
    pub fn graded_whole(problems: &[u64], groups: Vec<Vec<Completion>>, data: &Demonstrations) -> Result<Vec<Self>, TrainError> {
        let whole = |(&i, group): (&u64, Vec<Completion>)| group.into_iter().filter(|c| c.stopped).map(move |c| (i, c));
        Self::graded(problems.iter().zip(groups).flat_map(whole).collect(), data)
    }

    /// As a candidate with a step a line.
    pub fn candidate(&self, encoding: &Encoding) -> Candidate {
        let Self { ids, logprobs, entropies, stopped, .. } = self.clone();
        let candidate = Completion { ids, logprobs, entropies, stopped }.candidate(&encoding.tokenizer);
        Candidate { correct: self.correct, ..candidate }
    }

    /// Grades rollouts anew.
    pub fn grade(all: &mut [Self], data: &Demonstrations) -> Result<(), TrainError> {
        let texts: Vec<(u64, String)> = all.iter().map(|r| (r.problem, data.encoding().text(&r.ids).0)).collect();
        all.iter_mut().zip(data.grade(&texts)?).for_each(|(r, correct)| r.correct = correct);
        Ok(())
    }

    /// Problem and completion.
    pub fn sequence(&self, data: &Demonstrations) -> Sequence {
        Sequence::new(&data.prompt(self.problem), &self.ids)
    }
}

/// Rollouts by problem.
pub struct Pool<'a> {
    all: Vec<&'a Rollout>,
    by_problem: BTreeMap<u64, Vec<usize>>,
}

impl<'a> Pool<'a> {
    /// Gathers rollouts, those of one problem together; `keep` says which problems count.
    pub fn new(rollouts: impl IntoIterator<Item = &'a Rollout>, keep: impl Fn(u64) -> bool) -> Self {
        let all: Vec<&Rollout> = rollouts.into_iter().filter(|r| keep(r.problem)).collect();
        let mut by_problem: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (i, r) in all.iter().enumerate() {
            by_problem.entry(r.problem).or_default().push(i);
        }
        Self { all, by_problem }
    }

    /// Number of rollouts.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Rollout `i` and up to `n − 1` others of its problem that follow it in turn.
    pub fn with_others(&self, i: usize, n: usize) -> Vec<&'a Rollout> {
        let same = &self.by_problem[&self.all[i].problem];
        let at = same.iter().position(|&j| j == i).unwrap_or(0);
        (0..n.min(same.len())).map(|k| self.all[same[(at + k) % same.len()]]).collect()
    }
}

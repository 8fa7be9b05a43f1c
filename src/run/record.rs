//! `run.json` and `evaluation.jsonl`: what made a run, and how its policy does.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What made a run, so that it can be told later: content of `run.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this program.
    pub reasonscope: String,
    /// The commit that the folder in which the run was started stands at, where it is in a repository.
    pub commit: Option<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// Threads.
    pub threads: usize,
    /// Name of the task.
    pub task: String,
    /// Demonstrations, as the policy reads them.
    pub demonstrations: Summarised,
    /// Training problems, as the policy reads them.
    pub problems: Summarised,
    /// Traces of `reward.labels.files`.
    pub labels: Option<Summarised>,
    /// Demonstrations that a finished reward model went on to learn from.
    pub more_demonstrations: Option<Summarised>,
    /// Traces with step labels that it went on to learn from.
    pub more_labels: Option<Summarised>,
    /// Whether reference answers took part in training.
    pub uses_answers: bool,
    /// The digest of everything that a stage's result depends on, by the stage's name, of those that have begun; runs of old versions do not say.
    #[serde(default)]
    pub stages: BTreeMap<String, String>,
}

/// Data by number and hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summarised {
    /// How many.
    pub number: usize,
    /// 16 hexadecimal digits.
    pub hash: String,
}

/// What a policy did with one problem of its evaluation: a line of `evaluation.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Identity of the problem.
    pub id: String,
    /// Samples.
    pub n: usize,
    /// Those that end in the reference answer.
    pub correct: usize,
    /// Whether the greedy completion does.
    pub greedy: bool,
    /// Mean length of the samples, tokens.
    pub length: f64,
}

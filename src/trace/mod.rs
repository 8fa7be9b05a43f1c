//! The domain: a problem, the candidates sampled for it, their steps and tokens, rewards and deviations.
//!
//! Pure data and pure functions over it; serde is the only dependency.

mod baseline;
mod compare;
mod deviation;
mod display;
mod event;
mod reward;
mod segment;
mod segment_rules;
mod store;

pub use baseline::{drop_from_before, first_deviation, rule_values, step_entropy_max, step_logprob_min};
pub use compare::{
    Divergence, Vote, candidate_scores, canonical_answer, common_steps, divergence, majority, rank, ranks, vote_weight, weighted_majority,
};
pub use deviation::{Calibration, Deviation, Rule, detect};
pub use display::{SafeText, sanitize};
pub use event::{FinishReason, Sampling, TraceEvent};
pub use reward::{
    Aggregation, DISCOUNT, Granularity, TokenReward, aggregate, segments, step_of_each, step_rewards, supervised_positions, token_rewards,
};
pub use segment::{Segmentation, Segmenter, segment};
pub use store::{Applied, TraceStore};

use serde::{Deserialize, Serialize};

/// A half-open byte range `start..end` into a candidate's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "[usize; 2]", into = "[usize; 2]")]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }
    /// Whether no byte is inside.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The text inside, empty where the range does not fit `text`.
    pub fn of<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or("")
    }
}

impl From<[usize; 2]> for Span {
    fn from([start, end]: [usize; 2]) -> Self {
        Self { start, end }
    }
}

impl From<Span> for [usize; 2] {
    fn from(s: Span) -> Self {
        [s.start, s.end]
    }
}

/// A problem with the candidates that answer it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Identity inside its source, for example `gsm8k-0`.
    pub id: String,
    /// The problem as the policy read it, without chat template.
    pub problem: String,
    /// Reference answer, where the source has one.
    #[serde(default)]
    pub gold_answer: Option<String>,
    /// The sampled or recorded candidates.
    pub candidates: Vec<Candidate>,
    /// Where it was read from.
    #[serde(default)]
    pub source: Option<Source>,
}

/// Where a trace was read from, for messages and for writing back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Name of the format, for example `processbench`.
    pub format: String,
    /// The file as the user named it, `-` for standard input.
    pub path: String,
    /// 1-based line, or 1-based record of a JSON array.
    pub line: usize,
}

/// One chain of thought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The whole text. Every span of this candidate points into it.
    pub text: String,
    /// Steps in order, not overlapping; whitespace between them may belong to none.
    pub steps: Vec<Step>,
    /// The policy's tokens, empty where the source has none.
    #[serde(default)]
    pub tokens: Vec<Token>,
    /// The reward model's logits, one a scored token, in the reward model's own tokens.
    #[serde(default)]
    pub rewards: Vec<TokenReward>,
    /// A reward for the whole candidate that came with the source.
    #[serde(default)]
    pub outcome_reward: Option<f32>,
    /// The final answer as extracted by the importer or the task's grader.
    #[serde(default)]
    pub answer: Option<String>,
    /// Whether the final answer agrees with the reference, where known.
    #[serde(default)]
    pub correct: Option<bool>,
    /// What humans or a checker say about the first wrong step; `None`: not labelled.
    #[serde(default)]
    pub gold: Option<GoldDeviation>,
    /// Who wrote the text, for example a model's name.
    #[serde(default)]
    pub policy: Option<String>,
    /// Whose logits `rewards` are.
    #[serde(default)]
    pub reward_model: Option<String>,
    /// Why generation ended; `None` while it grows and for recorded text that does not say.
    #[serde(default)]
    pub finish: Option<FinishReason>,
    /// A first deviation that came with the source, for where no calibration is at hand.
    #[serde(default)]
    pub deviation: Option<Deviation>,
    /// Fields of the source record that this program does not know, as a JSON object; written back with the candidate.
    #[serde(default)]
    pub extra: Option<String>,
}

impl Candidate {
    /// Takes the reward model's logits, one a token of the policy.
    pub fn set_rewards(&mut self, logits: impl IntoIterator<Item = f32>) {
        self.rewards = self.tokens.iter().zip(logits).map(|(t, logit)| TokenReward { span: t.span, logit }).collect();
    }
}

/// The labelled first deviation of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoldDeviation {
    /// Every step is right.
    None,
    /// 0-based index of the first wrong step.
    Step(usize),
}

/// The part of the output a step belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Reasoning: inside `<think>`, a reasoning field, or plain text.
    #[default]
    Reasoning,
    /// After `</think>`, inside `<answer>`, or a final content field beside a reasoning field.
    Answer,
}

/// One reasoning step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its bytes, without surrounding whitespace.
    pub span: Span,
    /// Reasoning or final answer.
    #[serde(default)]
    pub kind: StepKind,
    /// A reward that came with the source (probability or logit, as the source has it).
    #[serde(default)]
    pub given_reward: Option<f32>,
    /// A label that came with the source: 1 right, 0 wrong, PRM800K's −1/0/+1 kept as they are.
    #[serde(default)]
    pub label: Option<f32>,
}

/// One token of the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Vocabulary id, where known.
    pub id: Option<u32>,
    /// Its bytes. A token that ends inside a UTF-8 character owns no byte until the character is whole.
    pub span: Span,
    /// Natural-log probability under the policy at temperature 1, ≤ 0.
    pub logprob: Option<f32>,
    /// Entropy of the policy's next-token distribution at this position, in nats, at temperature 1.
    pub entropy: Option<f32>,
}

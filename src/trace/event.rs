//! What a policy and a reward model say while a candidate grows.

use super::{Token, TokenValue, Unit, Values};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One thing that happened to one candidate. Applied in order, the events give the whole candidate.
#[derive(Clone, Debug, PartialEq)]
pub enum TraceEvent {
    /// The candidate exists and is empty; what it had before is void, as where a stream broke off and is made again.
    Started {
        /// Index of the candidate inside its trace.
        candidate: usize,
    },
    /// Text was appended.
    Tokens {
        /// Index of the candidate inside its trace.
        candidate: usize,
        /// The new text, whole characters only.
        text: String,
        /// The new tokens; spans count from the start of the candidate's text. Empty where the source streams bare text.
        tokens: Vec<Token>,
    },
    /// A reward model has read further.
    Rewards {
        /// Index of the candidate inside its trace.
        candidate: usize,
        /// The signal that it gives, [`super::REWARD`] where it is the only one.
        signal: Arc<str>,
        /// Position in the signal's tokens of the first of them; what stood from there on is replaced.
        from: usize,
        /// Spans count from the start of the candidate's text.
        rewards: Vec<TokenValue>,
    },
    /// A reward model that judges steps, or the whole, or tokens in another unit than logits, says all that it has to say of the candidate so far; takes the place
    /// of what it said before.
    Judged {
        /// Index of the candidate inside its trace.
        candidate: usize,
        /// The signal that it gives, [`super::REWARD`] where it is the only one.
        signal: Arc<str>,
        /// What the numbers are.
        unit: Unit,
        /// One a step, `None` where it was not reached yet, or one for the whole, or one a token.
        values: Values,
    },
    /// Nothing more will be appended.
    Finished {
        /// Index of the candidate inside its trace.
        candidate: usize,
        /// Why.
        reason: FinishReason,
    },
}

/// Why a candidate ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The policy ended it (end-of-sequence token or stop string).
    Stop,
    /// The token budget or the context is used up.
    Length,
    /// The user cancelled it.
    Cancelled,
    /// It failed; the message says why.
    Failed(String),
}

impl FinishReason {
    /// Whether the text stops before its writer ended it, so that no end-of-sequence token follows.
    pub fn is_cut(&self) -> bool {
        *self != FinishReason::Stop
    }
}

/// How to sample candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Softmax temperature, ≥ 0; 0 is greedy.
    pub temperature: f32,
    /// Nucleus: smallest set of tokens whose probability reaches this, in (0, 1]; 1 is off.
    pub top_p: f32,
    /// Keep the k likeliest tokens; 0 is off.
    pub top_k: usize,
    /// Keep tokens at least this fraction as likely as the likeliest, in [0, 1); 0 is off.
    pub min_p: f32,
    /// Tokens a candidate may have at most.
    pub max_tokens: usize,
    /// Seed; candidate `i` draws from its own stream of it, so it does not depend on the number of candidates.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_p: 1.0, top_k: 0, min_p: 0.0, max_tokens: 512, seed: 0 }
    }
}

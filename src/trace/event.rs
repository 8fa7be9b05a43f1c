//! What a policy and a reward model say while a candidate grows.

use super::{Domain, Token, TokenValue, Unit, Values};
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
    /// A policy has read further in a text that was there before it.
    Read {
        /// Index of the candidate inside its trace.
        candidate: usize,
        /// Position in [`super::Candidate::tokens`] of the first of them; what stood from there on is replaced.
        from: usize,
        /// The text in the policy's tokens, with what it says of them.
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
    /// A reward model says whether it has learned on such text as it has read so far; takes the place of what it said before.
    Learned {
        /// Index of the candidate inside its trace.
        candidate: usize,
        /// The signal that it gives, [`super::REWARD`] where it is the only one.
        signal: Arc<str>,
        /// What it finds.
        domain: Domain,
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
    /// The reason that servers, and those who log them, call by this name; `None` where it is not known.
    pub fn named(name: &str) -> Option<Self> {
        let failed = |what: &str| Some(Self::Failed(format!("the server ended it: {what}")));
        match name.trim().to_ascii_lowercase().as_str() {
            "stop" | "eos" | "eos_token" | "end" | "end_turn" | "end_of_turn" | "stop_sequence" | "stop_word" | "word" | "tool_calls"
            | "tool_call" | "tool_use" | "function_call" | "completed" | "complete" | "done" | "finished" => Some(Self::Stop),
            "length"
            | "limit"
            | "max_tokens"
            | "max_length"
            | "max_output_tokens"
            | "max_completion_tokens"
            | "max_new_tokens"
            | "model_length"
            | "truncated"
            | "context_length"
            | "context_length_exceeded"
            | "model_context_window_exceeded" => Some(Self::Length),
            "abort" | "aborted" | "cancel" | "cancelled" | "canceled" => Some(Self::Cancelled),
            "content_filter"
            | "content_filtered"
            | "guardrail_intervened"
            | "safety"
            | "recitation"
            | "blocklist"
            | "prohibited_content"
            | "spii"
            | "language"
            | "refusal"
            | "malformed_function_call"
            | "error"
            | "failed" => failed(name.trim()),
            _ => None,
        }
    }

    /// Whether the text stops before its writer ended it, so that no end-of-sequence token follows.
    pub fn is_cut(&self) -> bool {
        *self != FinishReason::Stop
    }
}

/// How to sample candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
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
    /// What is left to the server that samples; the numbers above then say nothing. In records it is null.
    pub unset: Unset,
}

/// What a server is not told of how to sample, so that its own defaults hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unset {
    /// [`Sampling::temperature`].
    pub temperature: bool,
    /// [`Sampling::top_p`].
    pub top_p: bool,
    /// [`Sampling::top_k`].
    pub top_k: bool,
    /// [`Sampling::min_p`].
    pub min_p: bool,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_p: 1.0, top_k: 0, min_p: 0.0, max_tokens: 512, seed: 0, unset: Unset::default() }
    }
}

/// [`Sampling`] as it stands in records: null where a server's own default held.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<usize>,
    min_p: Option<f32>,
    max_tokens: usize,
    seed: u64,
}

impl Default for Written {
    fn default() -> Self {
        Sampling::default().into()
    }
}

impl From<Sampling> for Written {
    fn from(s: Sampling) -> Self {
        Self {
            temperature: (!s.unset.temperature).then_some(s.temperature),
            top_p: (!s.unset.top_p).then_some(s.top_p),
            top_k: (!s.unset.top_k).then_some(s.top_k),
            min_p: (!s.unset.min_p).then_some(s.min_p),
            max_tokens: s.max_tokens,
            seed: s.seed,
        }
    }
}

impl From<Written> for Sampling {
    fn from(w: Written) -> Self {
        let d = Self::default();
        let unset =
            Unset { temperature: w.temperature.is_none(), top_p: w.top_p.is_none(), top_k: w.top_k.is_none(), min_p: w.min_p.is_none() };
        Self {
            temperature: w.temperature.unwrap_or(d.temperature),
            top_p: w.top_p.unwrap_or(d.top_p),
            top_k: w.top_k.unwrap_or(d.top_k),
            min_p: w.min_p.unwrap_or(d.min_p),
            max_tokens: w.max_tokens,
            seed: w.seed,
            unset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_decided_is_null_in_records() {
        let sampling = Sampling { temperature: 0.5, unset: Unset { top_k: true, ..Unset::default() }, ..Sampling::default() };
        let text = serde_json::to_string(&sampling).unwrap();
        assert_eq!(text, r#"{"temperature":0.5,"top_p":1.0,"top_k":null,"min_p":0.0,"max_tokens":512,"seed":0}"#);
        assert_eq!(serde_json::from_str::<Sampling>(&text).unwrap(), sampling);
        // What a record does not name is as it always was.
        assert_eq!(serde_json::from_str::<Sampling>("{}").unwrap(), Sampling::default());
        assert!(serde_json::from_str::<Sampling>(r#"{"warmth":1}"#).is_err());
    }
}

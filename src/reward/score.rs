//! Whole completions scored at once.

use super::net::{RewardNet, Sequence, numbers};
use crate::model::ModelError;
use rayon::prelude::*;

/// Sequences read in one pass.
const BATCH: usize = 16;

/// What a reward model says of every token of a completion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenScores {
    /// Logits, before any granularity.
    pub logits: Vec<f32>,
    /// ln π under the reward model's own decoder, in nats: the baseline that its head must beat.
    pub logprobs: Vec<f32>,
}

/// Scores every completion token of every sequence, read without padding on all threads.
pub fn score(net: &RewardNet, sequences: &[Sequence]) -> Result<Vec<TokenScores>, ModelError> {
    let parts: Vec<Result<Vec<TokenScores>, ModelError>> = sequences
        .par_chunks(BATCH)
        .map(|chunk| {
            let out = net.forward(&chunk.iter().collect::<Vec<_>>())?;
            let (logits, logprobs) = (numbers(&out.reward)?, numbers(&out.log_prob)?);
            let mut at = 0;
            Ok(chunk
                .iter()
                .map(|s| {
                    let mine = at..at + s.completion().len();
                    at = mine.end;
                    TokenScores { logits: logits[mine.clone()].to_vec(), logprobs: logprobs[mine].to_vec() }
                })
                .collect())
        })
        .collect();
    let mut out = Vec::with_capacity(sequences.len());
    for part in parts {
        out.extend(part?);
    }
    Ok(out)
}

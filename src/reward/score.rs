//! Whole completions scored at once.

use super::net::{RewardNet, Sequence};
use crate::model::ModelError;
use rayon::prelude::*;

/// Sequences read in one pass.
const BATCH: usize = 16;

/// Logits of every completion token of every sequence, read without padding on all threads.
pub fn score(net: &RewardNet, sequences: &[Sequence]) -> Result<Vec<Vec<f32>>, ModelError> {
    let parts: Vec<Result<Vec<Vec<f32>>, ModelError>> = sequences
        .par_chunks(BATCH)
        .map(|chunk| {
            let (logits, _) = net.forward(&chunk.iter().collect::<Vec<_>>())?;
            let flat: Vec<f32> = logits.to_dtype(candle_core::DType::F32)?.to_vec1()?;
            let mut rest = flat.as_slice();
            Ok(chunk
                .iter()
                .map(|s| {
                    let (mine, tail) = rest.split_at(s.completion().len());
                    rest = tail;
                    mine.to_vec()
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

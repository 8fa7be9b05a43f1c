//! The log-likelihood of completions under a decoder, and the loss of supervised fine-tuning.

use crate::model::{Decoder, Packed, ops};
use crate::reward::Sequence;
use crate::train::TrainError;
use crate::train::parallel::Micro;
use candle_core::{DType, Tensor};
use rayon::prelude::*;

/// Sequences of one micro-batch.
pub const MICRO: usize = 8;

/// ln π of every completion token, `[Σ completion tokens]`, and the logits it was read off, `[Σ completion tokens, vocabulary]`; differentiable.
pub fn log_probs(decoder: &Decoder, sequences: &[&Sequence]) -> Result<(Tensor, Tensor), TrainError> {
    let mut batch = Packed::default();
    let (mut before, mut targets) = (Vec::new(), Vec::new());
    for s in sequences {
        let at = batch.ids.len();
        before.extend((s.start..s.ids.len()).map(|i| (at + i - 1) as u32));
        targets.extend_from_slice(s.completion());
        batch.push(&s.ids);
    }
    let hidden = decoder.forward(&batch)?;
    let hidden = hidden.index_select(&Tensor::from_vec(before, targets.len(), hidden.device())?, 0)?;
    let logits = decoder.logits(&hidden)?;
    Ok((ops::token_log_prob(&logits, &targets)?, logits))
}

/// ln π of every completion token of every sequence, on all threads.
pub fn log_probs_of(decoder: &Decoder, sequences: &[&Sequence]) -> Result<Vec<Vec<f32>>, TrainError> {
    let parts: Vec<Result<Vec<Vec<f32>>, TrainError>> = sequences
        .par_chunks(MICRO)
        .map(|chunk| {
            let mut flat = log_probs(decoder, chunk)?.0.to_dtype(DType::F32)?.to_vec1::<f32>()?.into_iter();
            Ok(chunk.iter().map(|s| flat.by_ref().take(s.completion().len()).collect()).collect())
        })
        .collect();
    Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Mean −ln π over the completion tokens of `sequences`, divided by `total` instead of their own number; differentiable.
pub fn loss(decoder: &Decoder, sequences: &[&Sequence], total: usize) -> Result<Micro, TrainError> {
    let (log_prob, logits) = log_probs(decoder, sequences)?;
    let nll = log_prob.sum_all()?.neg()?;
    let best: Vec<u32> = logits.detach().argmax(candle_core::D::Minus1)?.to_vec1()?;
    let right = best.iter().zip(sequences.iter().flat_map(|s| s.completion())).filter(|(a, b)| a == b).count();
    let sums = vec![
        ("nll", f64::from(nll.to_dtype(DType::F32)?.to_scalar::<f32>()?)),
        ("right", right as f64),
        ("read", sequences.iter().map(|s| s.ids.len()).sum::<usize>() as f64),
    ];
    Ok(Micro { loss: (nll / total as f64)?, sums })
}

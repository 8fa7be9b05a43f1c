//! Supervised fine-tuning: the negative log-likelihood of expert completions.

use super::data::Demonstrations;
use super::optim::AdamW;
use super::parallel::{Micro, accumulate};
use super::recipe::SftConfig;
use super::{Progress, Stage, State, TrainError, drive};
use crate::model::{Decoder, Packed, ops};
use crate::reward::Sequence;
use candle_core::{DType, Tensor};
use rayon::prelude::*;

/// Sequences of one micro-batch.
pub(super) const MICRO: usize = 8;

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

/// Trains `decoder`, whose variables `optimiser` holds, for the updates of the stage, resuming from its checkpoint where there is one.
pub fn train(
    stage: &Stage,
    decoder: &Decoder,
    optimiser: AdamW,
    data: &Demonstrations,
    config: &SftConfig,
    progress: &mut Progress,
) -> Result<(), TrainError> {
    drive(stage, &mut State::one(optimiser), progress, |step, state| {
        let chosen = data.batch(step * config.batch_size, config.batch_size);
        let mut batch: Vec<Sequence> = chosen.into_iter().filter_map(|i| data.expert(i)).collect();
        // Sequences of like length stand together, so that micro-batches take about as long as each other.
        batch.sort_by_key(|s| s.ids.len());
        let batch: Vec<&Sequence> = batch.iter().collect();
        let total = batch.iter().map(|s| s.completion().len()).sum::<usize>();
        let micro: Vec<&[&Sequence]> = batch.chunks(MICRO).collect();
        let optimiser = state.first();
        let rate = optimiser.rate(stage.steps);
        let (grads, sums) = accumulate(&micro, optimiser.vars(), |s| loss(decoder, s, total))?;
        let norm = optimiser.update(&grads, stage.steps)?;
        let get = |name| sums.iter().find(|s| s.0 == name).map_or(0.0, |s| s.1);
        Ok(vec![
            ("loss", get("nll") / total.max(1) as f64),
            ("mean_token_accuracy", get("right") / total.max(1) as f64),
            ("learning_rate", rate),
            ("grad_norm", norm),
            ("num_tokens", get("read")),
            ("labels", total as f64),
        ])
    })
}

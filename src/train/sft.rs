//! Supervised fine-tuning: the negative log-likelihood of expert completions.

use super::data::Demonstrations;
use super::optim::AdamW;
use super::parallel::{Micro, accumulate};
use super::recipe::SftConfig;
use super::{Progress, Stage, TrainError, drive};
use crate::model::{Decoder, Packed, ops};
use crate::reward::Sequence;
use candle_core::Tensor;

/// Sequences of one micro-batch.
const MICRO: usize = 8;

/// Mean −ln π over the completion tokens of `sequences`, divided by `total` instead of their own number; differentiable.
pub fn loss(decoder: &Decoder, sequences: &[Sequence], total: usize) -> Result<Micro, TrainError> {
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
    let nll = ops::token_log_prob(&decoder.logits(&hidden)?, &targets)?.sum_all()?.neg()?;
    let sums = vec![("nll", nll.to_scalar::<f32>()? as f64), ("tokens", targets.len() as f64), ("read", batch.ids.len() as f64)];
    Ok(Micro { loss: (nll / total as f64)?, sums })
}

/// Trains `decoder`, whose variables `optimiser` holds, for the updates of the stage, resuming from its checkpoint where there is one.
pub fn train(
    stage: &Stage,
    decoder: &Decoder,
    mut optimiser: AdamW,
    data: &Demonstrations,
    config: &SftConfig,
    progress: &mut Progress,
) -> Result<(), TrainError> {
    drive(stage, &mut optimiser, progress, |step, optimiser| {
        let mut batch: Vec<Sequence> =
            data.batch(step * config.batch_size, config.batch_size).into_iter().map(|i| data.expert(i)).collect();
        batch.sort_by_key(|s| s.ids.len());
        let total = batch.iter().map(|s| s.completion().len()).sum();
        let micro: Vec<&[Sequence]> = batch.chunks(MICRO).collect();
        let (grads, sums) = accumulate(&micro, optimiser.vars(), |s| loss(decoder, s, total))?;
        let norm = optimiser.update(&grads, config.steps)?;
        let get = |name| sums.iter().find(|s| s.0 == name).map_or(0.0, |s| s.1);
        Ok(vec![("loss", get("nll") / get("tokens")), ("grad_norm", norm), ("num_tokens", get("read"))])
    })
}

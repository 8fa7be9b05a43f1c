//! Supervised fine-tuning: the negative log-likelihood of expert completions.

use crate::model::Decoder;
use crate::reward::Sequence;
use crate::train::TrainError;
use crate::train::data::Demonstrations;
use crate::train::losses::likelihood::{MICRO, loss};
use crate::train::optim::AdamW;
use crate::train::parallel::accumulate;
use crate::train::progress::Progress;
use crate::train::recipe::SftConfig;
use crate::train::resume::{Resumable, drive};
use crate::train::state::State;

/// Trains `decoder`, whose variables `optimiser` holds, for the updates of the stage, resuming from its checkpoint where there is one.
pub fn train(
    stage: &Resumable,
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

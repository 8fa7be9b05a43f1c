//! Training: supervised fine-tuning and adversarial reward learning.

mod checkpoint;
mod data;
mod gail;
mod optim;
mod package;
mod parallel;
mod recipe;
mod run;
mod sft;
mod world;

pub use checkpoint::write_atomically;
pub use data::Demonstrations;
pub use gail::{Labelled, Totals, batch as gail_batch, loss as gail_loss};
pub use optim::{AdamW, Gradients, OptimConfig};
pub use parallel::{Micro, Sums, accumulate};
pub use recipe::{CalibrationConfig, DataConfig, GailConfig, PolicyConfig, Recipe, RewardConfig, SftConfig, Shape};
pub use run::run;
pub use sft::loss as sft_loss;
pub use world::{Session, World, sample_all};

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// What can go wrong while training.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The recipe is not one.
    #[error("{path}: {what}", path = path.display())]
    Recipe {
        /// The recipe.
        path: PathBuf,
        /// What is wrong, with line and key.
        what: String,
    },
    /// A checkpoint cannot be resumed from.
    #[error("{path}: {what}; delete the file to start this stage anew, or choose another output folder", path = path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The run's inputs do not fit each other.
    #[error("{0}")]
    Data(String),
    /// The numbers are no longer finite.
    #[error("{0}")]
    NotFinite(String),
    /// The user stopped the run; its checkpoint is written.
    #[error("interrupted; run the same command again to go on from the checkpoint")]
    Interrupted,
    /// The model failed.
    #[error(transparent)]
    Model(#[from] crate::model::ModelError),
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// Scoring failed.
    #[error(transparent)]
    Reward(#[from] crate::reward::RewardError),
}

/// One line of a run's metrics.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Metrics {
    /// Name of the stage.
    pub stage: String,
    /// 1-based update, or units done.
    pub step: usize,
    /// Updates of the stage, or units to do.
    pub steps: usize,
    /// Named values, with the names that TRL and `imitation` use.
    #[serde(flatten)]
    pub values: serde_json::Map<String, serde_json::Value>,
}

/// Where a run reports to, and how it is stopped.
pub struct Progress<'a> {
    /// Called after every update.
    pub report: &'a mut dyn FnMut(&Metrics) -> Result<(), TrainError>,
    /// Set to stop at the next safe point.
    pub stop: &'a AtomicBool,
    /// Updates between checkpoints.
    pub checkpoint_every: usize,
}

/// A stage of a run that can be resumed.
pub struct Stage<'a> {
    /// Its name in metrics.
    pub name: &'a str,
    /// Updates.
    pub steps: usize,
    /// Where its checkpoint is.
    pub checkpoint: PathBuf,
    /// Identifies all that its weights depend on; a checkpoint with another digest is refused.
    pub digest: String,
}

impl Progress<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn say(&mut self, stage: &str, step: usize, steps: usize, values: &[(&str, f64)]) -> Result<(), TrainError> {
        let values = values.iter().map(|(n, v)| ((*n).to_owned(), serde_json::json!(v))).collect();
        (self.report)(&Metrics { stage: stage.into(), step, steps, values })
    }
}

/// Runs the updates of a stage from its checkpoint on: reports each, saves every `checkpoint_every` and at a stop.
fn drive(
    stage: &Stage,
    optimiser: &mut AdamW,
    progress: &mut Progress,
    mut update: impl FnMut(usize, &mut AdamW) -> Result<Vec<(&'static str, f64)>, TrainError>,
) -> Result<(), TrainError> {
    checkpoint::load(&stage.checkpoint, optimiser, &stage.digest)?;
    while optimiser.step < stage.steps {
        let began = std::time::Instant::now();
        let mut values = update(optimiser.step, optimiser)?;
        let seconds = began.elapsed().as_secs_f64();
        if let Some((_, n)) = values.iter().find(|v| v.0 == "num_tokens") {
            values.push(("tokens_per_second", n / seconds));
        }
        progress.say(stage.name, optimiser.step, stage.steps, &values)?;
        // A signal reaches the processes at different steps.
        let stop = World::here().any(progress.stopped());
        if stop || optimiser.step.is_multiple_of(progress.checkpoint_every.max(1)) || optimiser.step == stage.steps {
            checkpoint::save(&stage.checkpoint, optimiser, &stage.digest)?;
        }
        if stop && optimiser.step < stage.steps {
            return Err(TrainError::Interrupted);
        }
    }
    Ok(())
}

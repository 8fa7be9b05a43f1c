//! Training: supervised fine-tuning, reward models from demonstrations, and policies by their rewards.

mod advantage;
mod checkpoint;
mod data;
mod discriminator;
mod evaluate;
mod labels;
mod lock;
mod objective;
mod optim;
mod package;
mod parallel;
mod part;
mod policy_loss;
mod prefer;
mod preference;
mod recipe;
mod recipe_check;
mod record;
mod rl;
mod rollout;
mod run;
mod seen;
mod served;
mod sft;
pub mod table;
mod tensorboard;
mod tree;
mod watch;
mod world;

pub use advantage::{Estimator, advantages, dense_advantages, returns};
pub use checkpoint::write_atomically;
pub use data::{Demonstrations, Framing};
pub use discriminator::Discriminator;
pub use labels::step_labels;
pub use objective::{Group, Labelled, Loss, Objective, Totals, loss as reward_loss, loss_of, segment_rewards};
pub use optim::{AdamW, Gradients, OptimConfig};
pub use package::{Frozen, gather, package_adapter};
pub use parallel::{Micro, Sums, accumulate};
pub use policy_loss::{PolicyLoss, PolicyTotals, Reduction, policy_loss};
pub use preference::{PreferenceKind, PreferenceLoss, Side, kto_baseline, preference_loss, sequence_log_probs};
pub use recipe::{
    AdversarialConfig, CalibrationConfig, DataConfig, EvaluationConfig, LabelConfig, LabelKind, PolicyConfig, PreferenceConfig, Ranking,
    Recipe, Returns, RewardConfig, RlConfig, SftConfig, Shape,
};
pub use rollout::{Pool, Rollout};
pub use run::{Inputs, run};
pub use seen::{overlap, training_problems};
pub use served::Served;
pub use sft::{log_probs, loss as sft_loss};
pub use tensorboard::EventFile;
pub use tree::tree_advantages;
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
    /// A program could not be run.
    #[error(transparent)]
    Sandbox(#[from] crate::sandbox::SandboxError),
    /// The servers that sample failed.
    #[error("{0}; run the same command again to go on from the checkpoint")]
    Generate(#[from] crate::generate::GenerateError),
}

impl TrainError {
    /// Says where in a run the numbers went astray.
    fn at(self, stage: &str, step: usize) -> Self {
        match self {
            Self::NotFinite(what) => Self::NotFinite(format!("{stage}, update {step}: {what}")),
            other => other,
        }
    }
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
    pub report: &'a mut (dyn FnMut(&Metrics) -> Result<(), TrainError> + Send),
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
    /// Another run's checkpoint, taken over where it is finished and has the same digest.
    pub reuse: Option<PathBuf>,
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

/// Named values of one update.
pub type Values = Vec<(&'static str, f64)>;

/// What a stage moves: optimisers with their variables, each under the name that its tensors have in a checkpoint, and bytes that the stage itself
/// reads back.
pub struct State {
    /// Updates of the stage that are done.
    pub step: usize,
    /// Optimisers by name.
    pub optimisers: Vec<(&'static str, AdamW)>,
    /// Bytes of the stage.
    pub extra: Vec<u8>,
}

impl State {
    /// A single optimiser.
    pub fn one(optimiser: AdamW) -> Self {
        Self { step: 0, optimisers: vec![("", optimiser)], extra: Vec::new() }
    }

    /// The first optimiser.
    pub fn first(&mut self) -> &mut AdamW {
        &mut self.optimisers[0].1
    }

    fn into_first(mut self) -> AdamW {
        self.optimisers.remove(0).1
    }
}

/// Takes what a stage left when it was through, in this run or in the one that it reuses; says whether there was such.
fn restore(stage: &Stage, optimiser: AdamW) -> Result<(AdamW, bool), TrainError> {
    let mut state = State::one(optimiser);
    let mut places = [Some(&stage.checkpoint), stage.reuse.as_ref()].into_iter().flatten();
    let whole = places.find(|p| checkpoint::fits(p, &stage.digest, stage.steps));
    let found = whole.map_or(Ok(false), |path| checkpoint::load(path, &mut state, &stage.digest))?;
    Ok((state.into_first(), found))
}

/// Runs the updates of a stage from its checkpoint on: reports each, saves every `checkpoint_every` and at a stop. An update that is interrupted leaves the
/// state as it was.
fn drive(
    stage: &Stage,
    state: &mut State,
    progress: &mut Progress,
    mut update: impl FnMut(usize, &mut State) -> Result<Values, TrainError>,
) -> Result<(), TrainError> {
    if !checkpoint::load(&stage.checkpoint, state, &stage.digest)?
        && let Some(other) = stage.reuse.as_ref().filter(|p| checkpoint::fits(p, &stage.digest, stage.steps))
    {
        checkpoint::load(other, state, &stage.digest)?;
        checkpoint::save(&stage.checkpoint, state, &stage.digest)?;
    }
    tracing::info!(stage = stage.name, step = state.step, steps = stage.steps, "trains");
    while state.step < stage.steps {
        let began = std::time::Instant::now();
        let mut values = match update(state.step, state) {
            // Stopped before it changed anything.
            Err(TrainError::Interrupted) => {
                checkpoint::save(&stage.checkpoint, state, &stage.digest)?;
                return Err(TrainError::Interrupted);
            }
            other => other.map_err(|e| e.at(stage.name, state.step + 1))?,
        };
        state.step += 1;
        let seconds = began.elapsed().as_secs_f64();
        if let Some((_, n)) = values.iter().find(|v| v.0 == "num_tokens") {
            values.push(("tokens_per_second", n / seconds));
        }
        let step = state.step;
        progress.say(stage.name, step, stage.steps, &values)?;
        // A signal reaches the processes at different steps.
        let stop = World::here().any(progress.stopped());
        if stop || step.is_multiple_of(progress.checkpoint_every.max(1)) || step == stage.steps {
            checkpoint::save(&stage.checkpoint, state, &stage.digest)?;
        }
        if stop && step < stage.steps {
            return Err(TrainError::Interrupted);
        }
    }
    Ok(())
}

//! Training: supervised fine-tuning, reward models from demonstrations, and policies by their rewards.
//!
//! ```text
//! stages       what a run does, one after the other: each knows what it depends on, and goes on from its checkpoint
//! learn        how a stage learns: batches, updates, metrics
//! rollout      policy samples          losses   what is minimised          models   what is trained, and its files
//! recipe       what a run depends on   data     demonstrations as tokens
//! ```

mod data;
mod digest;
mod encoding;
mod error;
mod learn;
mod losses;
mod models;
mod optim;
mod parallel;
mod progress;
mod recipe;
mod resume;
mod rollout;
mod stages;
mod state;
pub mod table;
mod world;

pub use data::Demonstrations;
pub use encoding::Encoding;
pub use error::TrainError;
pub use learn::discriminator::Discriminator;
pub use learn::labels::step_labels;
pub use losses::advantage::{Estimator, advantages, dense_advantages, returns};
pub use losses::likelihood::{log_probs, loss as sft_loss};
pub use losses::objective::{Group, Labelled, Loss, Objective, Totals, loss as reward_loss, loss_of, segment_rewards};
pub use losses::policy_loss::{PolicyLoss, PolicyTotals, Reduction, policy_loss};
pub use losses::preference::{PreferenceKind, PreferenceLoss, Side, kto_baseline, preference_loss, sequence_log_probs};
pub use losses::tree::tree_advantages;
#[doc(hidden)] // for the fuzz targets: nothing else can read a checkpoint without the recipe that it belongs to
pub use models::checkpoint::header as checkpoint_header;
pub use models::checkpoint::write_atomically;
pub use models::gate::amend as amend_gate;
pub use models::package::{Frozen, gather, package_adapter};
pub use models::training_problems::{overlap, training_problems};
pub use optim::{AdamW, Gradients, OptimConfig};
pub use parallel::{Micro, accumulate};
pub use progress::{Metrics, Progress};
pub use recipe::{
    AdversarialConfig, CalibrationConfig, DataConfig, EvaluationConfig, LabelConfig, LabelKind, PolicyConfig, PreferenceConfig, Ranking,
    Recipe, Returns, RewardConfig, RlConfig, SftConfig, Shape,
};
pub use rollout::served::Served;
pub use rollout::{Pool, Rollout};
pub use stages::{Inputs, lacks_threshold, run};
pub use state::{State, Values};
pub use world::{Session, Sums, World, sample_all};

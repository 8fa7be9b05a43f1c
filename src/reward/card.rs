//! What a reward model says of itself: `reward.json` beside its weights.

use super::{Gate, Head};
use crate::trace::{Calibration, Granularity};
use serde::{Deserialize, Serialize};

/// Content of `reward.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RewardCard {
    /// Name for people.
    pub name: String,
    /// How logits are read off.
    pub head: Head,
    /// Thresholds of the deviation rules.
    pub calibration: Calibration,
    /// The task it was trained on.
    pub task: String,
    /// The split of it.
    pub split: String,
    /// Number of demonstrations.
    pub demonstrations: usize,
    /// Seed of the demonstrations; with task, split and number it tells which problems were trained on.
    pub seed: u64,
    /// What it was trained for: `gail`, `airl`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// The granularity that it was trained at.
    #[serde(default)]
    pub granularity: Granularity,
    /// Whether reference answers took part in its training.
    #[serde(default)]
    pub uses_answers: bool,
    /// What it finds ordinary; cards of before have none, and no trace lies outside then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

impl RewardCard {
    /// Its name in the directory of a reward model.
    pub const FILE: &str = "reward.json";
}

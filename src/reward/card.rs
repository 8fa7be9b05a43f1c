//! What a reward model says of itself: `reward.json` beside its weights.

use super::Head;
use crate::trace::Calibration;
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
}

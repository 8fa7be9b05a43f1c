//! Names of a run's stages, as its metrics and its checkpoints have them.

/// Supervised fine-tuning of the policy.
pub const POLICY: &str = "policy";
/// Sampling of the fixed pool that the reward model is trained against.
pub const ROLLOUTS: &str = "rollouts";
/// Supervised fine-tuning of the reward model's decoder.
pub const REWARD_SFT: &str = "reward-sft";
/// The reward model against the fixed pool.
pub const REWARD: &str = "reward";
/// Sampling of completions that label steps.
pub const MONTE_CARLO: &str = "monte-carlo";
/// The reward model on labels.
pub const LABELS: &str = "labels";
/// Sampling of completions that are ranked in pairs.
pub const PAIRS: &str = "pairs";
/// The policy on such pairs.
pub const PREFERENCE: &str = "preference";
/// Policy optimisation.
pub const RL: &str = "rl";
/// Sampling for new demonstrations of a finished reward model.
pub const NEW_ROLLOUTS: &str = "new-rollouts";
/// A finished reward model on new demonstrations.
pub const MORE: &str = "more";
/// A finished reward model on new step labels.
pub const MORE_LABELS: &str = "more-labels";
/// Sampling for the thresholds of the reward model.
pub const CALIBRATION: &str = "calibration";
/// Sampling for the evaluation of the policy.
pub const EVALUATION: &str = "evaluation";

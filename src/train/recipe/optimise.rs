//! Sections of a recipe: preference training, policy optimisation, evaluation.

use crate::generate::FleetConfig;
use crate::model::LoraConfig;
use crate::task::stories::Split;
use crate::train::losses::advantage::Estimator;
use crate::train::losses::policy_loss::PolicyLoss;
use crate::train::losses::preference::PreferenceLoss;
use crate::train::optim::OptimConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What ranks the samples of a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ranking {
    /// The reward model.
    #[default]
    Reward,
    /// The reference answer. Uses answers.
    Verifier,
}

/// Preference training on pairs of the policy's own samples, ranked; SPIN sets the demonstration against a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PreferenceConfig {
    /// The loss.
    pub loss: PreferenceLoss,
    /// What ranks.
    pub rank: Ranking,
    /// Updates.
    pub steps: usize,
    /// Pairs an update.
    pub batch_size: usize,
    /// Problems that are sampled for pairs.
    pub problems: usize,
    /// Samples of each.
    pub samples: usize,
    /// Sampling temperature.
    pub temperature: f32,
    /// Tokens a sample may have.
    pub max_tokens: usize,
    /// Optimiser.
    pub optim: OptimConfig,
}

impl Default for PreferenceConfig {
    fn default() -> Self {
        Self {
            loss: PreferenceLoss::default(),
            rank: Ranking::Reward,
            steps: 100,
            batch_size: 16,
            problems: 500,
            samples: 8,
            temperature: 1.0,
            max_tokens: 256,
            optim: OptimConfig { learning_rate: 5e-5, warmup_steps: 10, weight_decay: 0.0, ..OptimConfig::default() },
        }
    }
}

/// What the tokens of a rollout are credited with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Returns {
    /// One number a trace: the mean of its tokens' rewards.
    #[default]
    Trace,
    /// Discounted sums of the tokens' rewards to come.
    Dense {
        /// Discount γ.
        #[schemars(example = 1.0)]
        gamma: f32,
    },
    /// Soft values backed up through the tree that the rollouts of a problem form.
    Tree {
        /// Discount γ.
        #[schemars(example = 1.0)]
        gamma: f32,
        /// Temperature τ of the soft value.
        #[schemars(example = 1.0)]
        tau: f32,
    },
}

/// Policy optimisation by group-relative advantages (GRPO, arXiv 2402.03300).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RlConfig {
    /// Updates of the policy.
    pub steps: usize,
    /// Problems an update.
    pub prompts: usize,
    /// Rollouts of each, one group.
    pub samples: usize,
    /// Sampling temperature.
    pub temperature: f32,
    /// Tokens a rollout may have.
    pub max_tokens: usize,
    /// Weight of the reward model's reward.
    pub learned: f32,
    /// Weight of the verifier's, 1 for the reference answer. Uses answers.
    pub verifier: f32,
    /// The reward model's reward is clipped to ± this.
    pub reward_clip: f32,
    /// Of `airl`: the policy is trained with f = g + γφ′ − φ; off: with g alone, which is the part that is meant to hold elsewhere too.
    pub shaped: bool,
    /// What tokens are credited with.
    pub returns: Returns,
    /// The reward model's token rewards are taken less what the policy's entropy before a token says of them, so that a hard token is not a bad one.
    pub entropy_baseline: bool,
    /// Baseline and scale of trace rewards.
    pub estimator: Estimator,
    /// The policy's loss.
    pub loss: PolicyLoss,
    /// An adapter and the gains of the norms move instead of all weights, and are merged into them at the end: a rollout says little, and what does not
    /// move gathers no noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// Servers that sample the rollouts, with `policy.from` as their model and the adapter of every step loaded; absent: this process samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetConfig>,
    /// Updates on the same rollouts.
    pub epochs: usize,
    /// Updates of the reward model an update of the policy; 0: it stays as it is.
    pub critic_updates: usize,
    /// Steps whose rollouts the reward model goes on seeing.
    pub replay: usize,
    /// Steps between two looks at rollouts in `samples.jsonl`; 0 is never.
    pub samples_every: usize,
    /// The policy's optimiser.
    pub optim: OptimConfig,
}

impl Default for RlConfig {
    fn default() -> Self {
        Self {
            steps: 100,
            prompts: 8,
            samples: 8,
            temperature: 1.0,
            max_tokens: 256,
            learned: 1.0,
            verifier: 0.0,
            reward_clip: 5.0,
            shaped: true,
            returns: Returns::default(),
            entropy_baseline: false,
            estimator: Estimator::Group,
            loss: PolicyLoss::default(),
            lora: None,
            fleet: None,
            epochs: 1,
            critic_updates: 1,
            replay: 4,
            samples_every: 10,
            optim: OptimConfig { learning_rate: 2e-4, warmup_steps: 5, weight_decay: 0.0, ..OptimConfig::default() },
        }
    }
}

/// A look at the policy on problems that nothing was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Problems.
    pub problems: usize,
    /// Samples of each.
    pub samples: usize,
    /// Split of `stories`.
    pub split: Split,
    /// Problems of another task, JSON lines, plain or gzip; never those that are trained on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
    /// Sampling temperature.
    pub temperature: f32,
    /// Tokens a sample may have.
    pub max_tokens: usize,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self { problems: 300, samples: 10, split: Split::InDistribution, files: Vec::new(), temperature: 1.0, max_tokens: 256 }
    }
}

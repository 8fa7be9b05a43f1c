//! Sections of a recipe: the reward model.

use super::policy::{SftConfig, Shape};
use super::schema;
use crate::model::LoraConfig;
use crate::reward::{Head, SLACK, StandIns};
use crate::trace::{Granularity, Statistic};
use crate::train::losses::objective::Objective;
use crate::train::optim::OptimConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the head of a reward model is made of; the objective adds what it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// A linear read-out of the state.
    Scalar,
    /// The same and the token's log-probability under the reward model's own decoder.
    #[default]
    Likelihood,
    /// One read-out for steps, one for paragraphs, one for the text, mixed by learned weights (hierarchical).
    Scales,
}

/// The reward model and how it is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardConfig {
    /// Its decoder, from random weights; without it and `from` the reward model starts as the policy was fine-tuned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// A pretrained decoder with the policy's tokenizer, or a reward model, which keeps its head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Under `from`: an adapter and the head are trained instead of all weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// Warm start of its decoder on the same demonstrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sft: Option<SftConfig>,
    /// Its head; `implicit` and `iq` read the decoder itself.
    #[serde(default)]
    pub head: HeadKind,
    /// What it is trained for.
    #[serde(default)]
    pub objective: Objective,
    /// Which tokens are supervised, and so whose logit is a token's reward.
    #[serde(default)]
    #[schemars(schema_with = "schema::granularity")]
    pub granularity: Granularity,
    /// Discount γ of the potential in `airl` and of the next state's value in `iq`.
    #[serde(default = "one")]
    pub gamma: f32,
    /// Scale β of `implicit`.
    #[serde(default = "beta")]
    pub beta: f32,
    /// Experts against policy samples.
    pub adversarial: AdversarialConfig,
    /// Training on labels, after the fixed pool; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelConfig>,
    /// Thresholds; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationConfig>,
    /// How many nats a token less likely than nearly all held-out text a text must be to lie outside of what the model has learned.
    #[serde(default = "gate_slack")]
    pub gate_slack: f32,
}

fn gate_slack() -> f32 {
    SLACK
}

fn one() -> f32 {
    1.0
}

fn beta() -> f32 {
    0.5
}

impl RewardConfig {
    /// The head that the objective trains.
    pub fn network_head(&self) -> Head {
        match (self.objective, self.head) {
            (Objective::Implicit, _) => Head::Implicit { beta: self.beta },
            (Objective::Iq, _) => Head::Q { gamma: self.gamma },
            (Objective::Airl, kind) => Head::Shaped { gamma: self.gamma, likelihood: kind == HeadKind::Likelihood },
            (_, HeadKind::Scalar) => Head::Scalar,
            (_, HeadKind::Likelihood) => Head::Likelihood,
            (_, HeadKind::Scales) => Head::Scales,
        }
    }
}

/// Experts against policy samples and corrupted experts: first against a fixed pool of samples, then, under `rl`, against new ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdversarialConfig {
    /// Updates against the fixed pool.
    pub steps: usize,
    /// Problems an update, an expert trace each (positives).
    pub prompts: usize,
    /// Policy samples of each of them (negatives).
    pub samples_per_prompt: usize,
    /// Corrupted experts an update (negatives), each beside its expert twin under the same mask (positives).
    pub corrupted: usize,
    /// Whether a corrupted expert and its twin count only from the first corrupted token on.
    pub from_first_error: bool,
    /// Policy samples that end in the reference answer count as positives. Uses answers; the reward model's card says so.
    pub answer_agreement: bool,
    /// Problems that the policy answers once for the fixed pool.
    pub rollout_problems: usize,
    /// Samples of each of them.
    pub rollouts_per_problem: usize,
    /// Sampling temperature of the pool.
    pub temperature: f32,
    /// Tokens a sample may have; a longer one is left out of the pool.
    pub max_tokens: usize,
    /// Targets are 1 − s/2 and s/2.
    pub label_smoothing: f32,
    /// Weight of the language-model loss on the experts of the batch, which keeps the likelihood of the head honest; 0 is off.
    pub lm_weight: f32,
    /// λ of `iq`; weight of the mean squared logit in `maxent`, `bt` and `wgan`.
    pub regularisation: f32,
    /// Optimiser.
    pub optim: OptimConfig,
}

impl Default for AdversarialConfig {
    fn default() -> Self {
        Self {
            steps: 0,
            prompts: 16,
            samples_per_prompt: 1,
            corrupted: 0,
            from_first_error: true,
            answer_agreement: false,
            rollout_problems: 1000,
            rollouts_per_problem: 2,
            temperature: 1.0,
            max_tokens: 256,
            label_smoothing: 0.1,
            lm_weight: 1.0,
            regularisation: 0.01,
            optim: OptimConfig { learning_rate: 1e-4, warmup_steps: 20, ..OptimConfig::default() },
        }
    }
}

/// Which labels a reward model learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// Binary cross-entropy on steps marked right or wrong (a process reward model).
    #[default]
    Steps,
    /// Bradley–Terry on right against wrong candidates of a problem (an outcome reward model).
    Pairs,
    /// Step labels that the policy's own completions of each prefix give (Math-Shepherd). Uses answers.
    MonteCarlo,
}

/// Training on labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelConfig {
    /// Which.
    pub kind: LabelKind,
    /// Files of labelled traces, in any format that the inspector opens; `monte_carlo` reads none.
    pub files: Vec<PathBuf>,
    /// Updates.
    pub steps: usize,
    /// Groups an update: candidates for step labels, problems for pairs.
    pub batch_size: usize,
    /// Policy samples of the fixed pool whose steps `monte_carlo` labels.
    pub rollouts: usize,
    /// Completions of each prefix.
    pub completions: usize,
    /// Optimiser.
    pub optim: OptimConfig,
}

impl Default for LabelConfig {
    fn default() -> Self {
        let optim = OptimConfig { learning_rate: 1e-4, warmup_steps: 20, ..OptimConfig::default() };
        Self { kind: LabelKind::Steps, files: Vec::new(), steps: 100, batch_size: 16, rollouts: 200, completions: 8, optim }
    }
}

/// Thresholds without step labels, from the policy's own samples on problems kept aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalibrationConfig {
    /// Problems.
    pub problems: usize,
    /// Samples of each.
    pub samples: usize,
    /// Stated chance that a right trace is marked.
    pub false_alarm_rate: f32,
    /// Which samples stand for right ones.
    pub stand_ins: StandIns,
    /// How the rewards of a step's tokens become one, where the reward marks deviations; chosen on validation data.
    #[serde(default, skip_serializing_if = "is_default_statistic")]
    #[schemars(schema_with = "schema::statistic")]
    pub statistic: Statistic,
}

fn is_default_statistic(statistic: &Statistic) -> bool {
    *statistic == Statistic::default()
}

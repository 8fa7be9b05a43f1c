//! The recipe: everything a run depends on, in one TOML file.

use super::TrainError;
use super::optim::OptimConfig;
use crate::model::{Config, RopeScaling};
use crate::reward::{Head, StandIns};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A training run. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Seed of everything random.
    pub seed: u64,
    /// Folder of the run.
    pub output: PathBuf,
    /// Steps between checkpoints.
    #[serde(default = "checkpoint_every")]
    pub checkpoint_every: usize,
    /// Demonstrations.
    pub data: DataConfig,
    /// The policy.
    pub policy: PolicyConfig,
    /// The reward model.
    pub reward: RewardConfig,
}

fn checkpoint_every() -> usize {
    100
}

/// Where demonstrations come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The task; `stories`.
    pub task: String,
    /// Number of expert demonstrations.
    pub demonstrations: usize,
    /// Size of the byte-level BPE vocabulary trained on them.
    pub vocab_size: usize,
}

/// Shape of a decoder that is trained from scratch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key–value heads.
    pub kv_heads: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Longest sequence, tokens.
    pub context: usize,
}

impl Shape {
    /// A Llama-family configuration with tied embeddings.
    pub fn config(&self, vocab_size: usize, eos: u32) -> Config {
        Config {
            model_type: "llama".into(),
            vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            num_key_value_heads: self.kv_heads,
            head_dim: self.hidden_size / self.heads.max(1),
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: RopeScaling::Default,
            max_position_embeddings: self.context,
            tie_word_embeddings: true,
            qkv_bias: false,
            o_bias: false,
            qk_norm: false,
            eos_token_ids: vec![eos],
            bos_token_id: None,
        }
    }
}

/// The policy and its supervised fine-tuning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Its decoder.
    pub shape: Shape,
    /// Supervised fine-tuning on the demonstrations.
    pub sft: SftConfig,
}

/// Supervised fine-tuning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftConfig {
    /// Updates.
    pub steps: usize,
    /// Demonstrations an update.
    pub batch_size: usize,
    /// Optimiser.
    #[serde(default)]
    pub optim: OptimConfig,
}

/// The reward model and how it is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardConfig {
    /// Its decoder; absent: it starts from the policy's weights.
    #[serde(default)]
    pub shape: Option<Shape>,
    /// Warm start of its decoder on the same demonstrations.
    #[serde(default)]
    pub sft: Option<SftConfig>,
    /// Its head.
    #[serde(default)]
    pub head: Head,
    /// The adversarial objective.
    pub gail: GailConfig,
    /// Thresholds.
    pub calibration: CalibrationConfig,
}

/// The plain adversarial objective at dense granularity: binary cross-entropy, experts against policy samples and corrupted experts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GailConfig {
    /// Updates.
    pub steps: usize,
    /// Expert traces an update (positives).
    pub experts: usize,
    /// Policy samples an update (negatives), on the same problems.
    pub policy_samples: usize,
    /// Corrupted experts an update (negatives from the first corrupted token on), each beside its expert twin under the same mask (positives).
    pub corrupted: usize,
    /// Problems that the policy answers once for the pool of samples.
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
    /// Optimiser.
    #[serde(default)]
    pub optim: OptimConfig,
}

/// Thresholds without step labels, from the policy's own samples on problems kept aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
}

impl Recipe {
    /// Reads a recipe. Errors name the file, the line and the key.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|source| TrainError::Io { path: path.into(), source })?;
        let recipe: Self = toml::from_str(&text).map_err(|e| TrainError::Recipe { path: path.into(), what: e.to_string() })?;
        recipe.check().map_err(|what| TrainError::Recipe { path: path.into(), what })?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), String> {
        if self.data.task != "stories" {
            return Err(format!("data.task is {:?}; the trainer knows \"stories\"", self.data.task));
        }
        if self.data.demonstrations == 0 {
            return Err("data.demonstrations must be at least 1".into());
        }
        for (name, s) in [("policy.shape", Some(&self.policy.shape)), ("reward.shape", self.reward.shape.as_ref())] {
            let Some(s) = s else { continue };
            if s.heads == 0 || s.kv_heads == 0 || s.hidden_size % (2 * s.heads) != 0 || s.heads % s.kv_heads != 0 || s.layers == 0 {
                return Err(format!("{name}: hidden_size must be a multiple of 2·heads, and heads of kv_heads; layers at least 1"));
            }
        }
        let g = &self.reward.gail;
        let c = &self.reward.calibration;
        let mut sfts = vec![("policy.sft", &self.policy.sft)];
        sfts.extend(self.reward.sft.as_ref().map(|s| ("reward.sft", s)));
        for (name, s) in &sfts {
            if s.batch_size == 0 {
                return Err(format!("{name}.batch_size must be at least 1"));
            }
        }
        for (name, o) in sfts.iter().map(|(n, s)| (*n, &s.optim)).chain([("reward.gail", &g.optim)]) {
            if !(o.learning_rate > 0.0 && o.learning_rate.is_finite()) {
                return Err(format!("{name}.optim.learning_rate is {}; it must be a number above 0", o.learning_rate));
            }
            let shares = [("beta1", o.beta1), ("beta2", o.beta2), ("final_share", o.final_share), ("weight_decay", o.weight_decay)];
            if let Some((key, x)) = shares.into_iter().find(|(_, x)| !(0.0..=1.0).contains(x)) {
                return Err(format!("{name}.optim.{key} is {x}; it must be from 0 to 1"));
            }
        }
        let shares = [
            ("reward.gail.label_smoothing", g.label_smoothing, 0.0..1.0),
            ("reward.calibration.false_alarm_rate", c.false_alarm_rate, f32::MIN_POSITIVE..1.0),
        ];
        if let Some((key, x, _)) = shares.into_iter().find(|(_, x, range)| !range.contains(x)) {
            return Err(format!("{key} is {x}; it must be below 1 and not negative, a false alarm rate above 0"));
        }
        if !(g.temperature >= 0.0 && g.temperature.is_finite()) {
            return Err(format!("reward.gail.temperature is {}; it must be a number, 0 or above", g.temperature));
        }
        if !(g.lm_weight >= 0.0 && g.lm_weight.is_finite()) {
            return Err(format!("reward.gail.lm_weight is {}; it must be a number, 0 or above", g.lm_weight));
        }
        if g.steps > 0 && (g.experts == 0 || g.policy_samples + g.corrupted == 0 || g.rollout_problems == 0 || g.rollouts_per_problem == 0)
        {
            return Err("reward.gail needs experts, negatives, and rollouts to draw them from".into());
        }
        Ok(())
    }
}

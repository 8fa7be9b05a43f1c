//! The recipe: everything a run depends on, in one TOML file.

use super::TrainError;
use super::advantage::Estimator;
use super::objective::Objective;
use super::optim::OptimConfig;
use super::policy_loss::PolicyLoss;
use super::preference::PreferenceLoss;
use crate::generate::FleetConfig;
use crate::model::{Config, LoraConfig, RopeScaling};
use crate::reward::{Head, StandIns};
use crate::task::Task;
use crate::task::stories::Split;
use crate::trace::{Granularity, Statistic};
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
    /// Updates of a finished reward model on new demonstrations (`--demonstrations`).
    #[serde(default = "update_steps")]
    pub update_steps: usize,
    /// A finished run whose stages are taken over where nothing that they depend on differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<PathBuf>,
    /// Demonstrations.
    pub data: DataConfig,
    /// The policy.
    pub policy: PolicyConfig,
    /// The reward model; absent: none is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<RewardConfig>,
    /// Preference training on ranked samples; absent: none. It comes before policy optimisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<PreferenceConfig>,
    /// Policy optimisation; absent: the policy stays as it was fine-tuned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rl: Option<RlConfig>,
    /// The trained policy on problems that nothing was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationConfig>,
}

fn checkpoint_every() -> usize {
    100
}

fn update_steps() -> usize {
    100
}

/// Where demonstrations come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The task: `stories`, whose problems are generated, or one whose demonstrations are in `files`.
    pub task: Task,
    /// Demonstrations, JSON lines, plain or gzip, with the fields of the task's files on the Hugging Face hub or `problem`, `solution` and `answer`.
    /// The first `demonstrations` of them are trained on; thresholds are calibrated on those that follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
    /// Number of expert demonstrations.
    pub demonstrations: usize,
    /// Number of problems that the policy may answer in training; the first of them have the demonstrations. Absent: as many as those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problems: Option<usize>,
    /// Of `stories`: the problems without a demonstration are built as those of this split are, and the policy practises on them alone; they come from the
    /// training pool, so no problem of the split itself is among them. Absent: as the demonstrated ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practice: Option<Split>,
    /// Size of the byte-level BPE vocabulary trained on them, where the policy has no tokenizer of its own.
    #[serde(default = "vocab_size")]
    pub vocab_size: usize,
}

fn vocab_size() -> usize {
    512
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
    /// Its decoder, from random weights; or `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// A pretrained decoder with its tokenizer: a directory, a .gguf file, or a hub id in the local cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Under `from`: an adapter is trained instead of all weights (LoRA; over a quantised base QLoRA).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// Blocks are computed again for their gradients: less memory, about a third more work.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gradient_checkpointing: bool,
    /// Supervised fine-tuning on the demonstrations; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sft: Option<SftConfig>,
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

/// What the head of a reward model is made of; the objective adds what it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// Experts against policy samples and corrupted experts: first against a fixed pool of samples (critic warm-up), then, under `rl`, against new ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// What ranks the samples of a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ranking {
    /// The reward model.
    #[default]
    Reward,
    /// The reference answer. Uses answers.
    Verifier,
}

/// Preference training on pairs of the policy's own samples, ranked; SPIN sets the demonstration against a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// How the rewards of a step's tokens become one, where the reward marks deviations; chosen on validation data.
    #[serde(default, skip_serializing_if = "is_default_statistic")]
    pub statistic: Statistic,
}

fn is_default_statistic(statistic: &Statistic) -> bool {
    *statistic == Statistic::default()
}

/// What the tokens of a rollout are credited with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Returns {
    /// One number a trace: the mean of its tokens' rewards.
    #[default]
    Trace,
    /// Discounted sums of the tokens' rewards to come.
    Dense {
        /// Discount γ.
        gamma: f32,
    },
    /// Soft values backed up through the tree that the rollouts of a problem form.
    Tree {
        /// Discount γ.
        gamma: f32,
        /// Temperature τ of the soft value.
        tau: f32,
    },
}

/// Policy optimisation by group-relative advantages (GRPO, arXiv 2402.03300).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

impl Recipe {
    /// Reads a recipe, with `key=value` settings put over what the file says; keys are dotted, values TOML or plain words. Errors name the file, the
    /// line and the key.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|source| TrainError::Io { path: path.into(), source })?;
        let wrong = |what: String| TrainError::Recipe { path: path.into(), what };
        let recipe: Self = if overrides.is_empty() {
            toml::from_str(&text).map_err(|e| wrong(nearest(e.to_string())))?
        } else {
            let mut table: toml::Table = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
            for o in overrides {
                set(&mut table, o).map_err(|e| wrong(format!("--set {o}: {e}")))?;
            }
            table
                .try_into()
                .map_err(|e: toml::de::Error| wrong(format!("with --set {}: {}", overrides.join(" "), nearest(e.to_string()))))?
        };
        recipe.check().map_err(wrong)?;
        Ok(recipe)
    }
}

impl Recipe {
    /// Whether reference answers take part in training.
    pub fn uses_answers(&self) -> bool {
        let labels = |l: &LabelConfig| l.kind != LabelKind::Steps;
        self.rl.as_ref().is_some_and(|r| r.verifier != 0.0)
            || self.preference.as_ref().is_some_and(|p| p.rank == Ranking::Verifier)
            || self.reward.as_ref().is_some_and(|r| r.adversarial.answer_agreement || r.labels.as_ref().is_some_and(labels))
    }
}

/// Puts `a.b.c=value` into a table; tables on the way are made where they are missing.
pub(super) fn set(table: &mut toml::Table, assignment: &str) -> Result<(), String> {
    let (key, value) = assignment.split_once('=').ok_or("expected key=value, for example rl.steps=50")?;
    let value = value.trim();
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut at = table;
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().filter(|k| !k.is_empty()).ok_or("the key is empty")?;
    for part in parts {
        let next = at.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = next.as_table_mut().ok_or_else(|| format!("{part} is a value and has no keys"))?;
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

/// Adds the nearest valid name to a message about an unknown one.
fn nearest(message: String) -> String {
    // serde tells of a value that is none of an enumeration's in words that name none.
    for (key, valid) in [
        ("reward.granularity", "\"sparse\", \"step\", \"dense\" or { interval = 15 }"),
        ("rl.returns", "\"trace\", { dense = { gamma = 1.0 } } or { tree = { gamma = 1.0, tau = 1.0 } }"),
        ("rl.loss.reduction", "\"grpo\", \"dapo\" or { dr_grpo = { max_tokens = 256 } }"),
    ] {
        if message.lines().any(|l| l.starts_with(&format!("in `{key}"))) {
            return format!("{key}: expected {valid} ({})", message.trim_end().replace('\n', ", "));
        }
    }
    let Some((_, rest)) = message.split_once("unknown field `").or_else(|| message.split_once("unknown variant `")) else { return message };
    let rest = rest.lines().next().unwrap_or_default();
    let mut names = rest.split('`').step_by(2).map(str::to_owned);
    let unknown = names.next().unwrap_or_default();
    let valid: Vec<String> = rest.split('`').skip(2).step_by(2).map(str::to_owned).collect();
    let best = valid.iter().map(|v| (strsim::damerau_levenshtein(&unknown, v), v)).min();
    match best.filter(|(d, v)| *d <= v.len().max(4) / 2) {
        Some((_, v)) => format!("{}; did you mean `{v}`?", message.trim_end()),
        None => message,
    }
}

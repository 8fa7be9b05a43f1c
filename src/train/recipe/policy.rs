//! Sections of a recipe: demonstrations, and the policy with its fine-tuning.

use crate::model::{Config, LoraConfig, RopeScaling, Variant};
use crate::task::Task;
use crate::task::stories::Split;
use crate::train::optim::OptimConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where demonstrations come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
            variant: Variant::default(),
        }
    }
}

/// The policy and its supervised fine-tuning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

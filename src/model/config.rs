//! The shape of a decoder, from `config.json` or GGUF metadata.

use serde::{Deserialize, Serialize};

/// Shape of a decoder of the Llama, Qwen2 or Qwen3 family, in Hugging Face's terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `llama`, `mistral`, `qwen2` or `qwen3`.
    pub model_type: String,
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key–value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// ε of the RMS norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding.
    pub rope_theta: f64,
    /// Scaling of the rotary embedding.
    pub rope_scaling: RopeScaling,
    /// Positions the model was made for.
    pub max_position_embeddings: usize,
    /// Output projection shares the token embedding.
    pub tie_word_embeddings: bool,
    /// Bias on q, k and v.
    pub qkv_bias: bool,
    /// Bias on the attention output.
    pub o_bias: bool,
    /// RMS norm over each head of q and k (Qwen3).
    pub qk_norm: bool,
    /// Ids that end a sequence.
    pub eos_token_ids: Vec<u32>,
    /// Id that begins a sequence, where the tokenizer wants one.
    pub bos_token_id: Option<u32>,
}

/// Scaling of the rotary frequencies (Hugging Face `rope_scaling`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rope_type", rename_all = "snake_case")]
pub enum RopeScaling {
    /// None.
    #[default]
    Default,
    /// Positions divided by the factor.
    Linear {
        /// ≥ 1.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by the factor, high ones kept, smooth between.
    Llama3 {
        /// ≥ 1.
        factor: f64,
        /// Wavelengths above original/low are scaled.
        low_freq_factor: f64,
        /// Wavelengths below original/high are kept.
        high_freq_factor: f64,
        /// Context the model was first trained for.
        original_max_position_embeddings: usize,
    },
    /// YaRN (arXiv 2309.00071), NTK-by-parts with an attention factor.
    Yarn {
        /// ≥ 1.
        factor: f64,
        /// Defaults to 32.
        beta_fast: f64,
        /// Defaults to 1.
        beta_slow: f64,
        /// Context the model was first trained for.
        original_max_position_embeddings: usize,
        /// Multiplies cos and sin; `None`: 0.1·ln(factor) + 1.
        attention_factor: Option<f64>,
    },
}

impl Config {
    /// The first of its sizes that no decoder has, as a sentence. Sizes in a file are claims by which memory is set aside.
    pub(in crate::model) fn implausible(&self) -> Option<String> {
        let sizes = [
            ("vocab_size", self.vocab_size, 1 << 22),
            ("hidden_size", self.hidden_size, 1 << 18),
            ("intermediate_size", self.intermediate_size, 1 << 20),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 12),
            ("num_attention_heads", self.num_attention_heads, 1 << 12),
            ("num_key_value_heads", self.num_key_value_heads, 1 << 12),
            ("head_dim", self.head_dim, 1 << 14),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 30),
        ];
        let found = sizes.into_iter().find(|(_, size, most)| *size == 0 || size > most);
        found.map(|(name, size, most)| format!("{name} is {size}; a decoder has 1 to {most}"))
    }

    /// Number of parameters of the decoder with its output projection.
    pub fn parameters(&self) -> usize {
        let (h, i, d) = (self.hidden_size, self.intermediate_size, self.head_dim);
        let (q, kv) = (self.num_attention_heads * d, self.num_key_value_heads * d);
        let bias = if self.qkv_bias { q + 2 * kv } else { 0 } + if self.o_bias { h } else { 0 };
        let norm = 2 * h + if self.qk_norm { 2 * d } else { 0 };
        let layer = h * (q + 2 * kv) + q * h + 3 * h * i + bias + norm;
        let embed = self.vocab_size * h * if self.tie_word_embeddings { 1 } else { 2 };
        embed + self.num_hidden_layers * layer + h
    }
}

//! The shape of a decoder, from `config.json` or GGUF metadata.

use serde::{Deserialize, Serialize};

/// Shape of a decoder, in Hugging Face's terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Its family, one of [`FAMILIES`](super::FAMILIES).
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
    /// RMS norm over q and k: over each head (Qwen3, Gemma 3), or over all of them where `variant.wide_qk_norm` says so.
    pub qk_norm: bool,
    /// Ids that end a sequence.
    pub eos_token_ids: Vec<u32>,
    /// Id that begins a sequence, where the tokenizer wants one.
    pub bos_token_id: Option<u32>,
    /// What the family computes otherwise than Llama.
    #[serde(default, skip_serializing_if = "Variant::is_default")]
    pub variant: Variant,
}

/// What a family computes otherwise than Llama; the default is Llama itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Variant {
    /// Where a block has its norms.
    pub norms: Norms,
    /// Norms multiply by 1 + w instead of w (Gemma).
    pub one_plus_norms: bool,
    /// The gate's activation.
    pub activation: Activation,
    /// The norm of q and k is one over all heads together (OLMo 2).
    pub wide_qk_norm: bool,
    /// Bias on the three matrices of the MLP.
    pub mlp_bias: bool,
    /// Multiplies the embedding (Gemma, Granite).
    pub embedding_multiplier: f64,
    /// Multiplies what a block adds to the residual stream (Granite).
    pub residual_multiplier: f64,
    /// Multiplies the attention scores; `None`: 1/√head_dim.
    pub attention_scale: Option<f64>,
    /// Divides the logits (Granite).
    pub logits_divisor: f64,
    /// Numbers of a head that are rotated, the first ones; `None`: all.
    pub rotary_dim: Option<usize>,
    /// Positions that a query of a sliding layer sees, its own included; `None`: no layer slides.
    pub window: Option<usize>,
    /// What each layer's attention is; empty: with rotary positions in all, and sliding in all where there is a window.
    pub layers: Vec<Layer>,
    /// Base of the rotary embedding of sliding layers, which is not scaled; `None`: as the others have it.
    pub local_rope_theta: Option<f64>,
    /// The mixture of experts in place of the MLP.
    pub experts: Option<Experts>,
}

impl Variant {
    /// Whether it is Llama itself, which shapes written by earlier versions do not mention.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            norms: Norms::Before,
            one_plus_norms: false,
            activation: Activation::Silu,
            wide_qk_norm: false,
            mlp_bias: false,
            embedding_multiplier: 1.0,
            residual_multiplier: 1.0,
            attention_scale: None,
            logits_divisor: 1.0,
            rotary_dim: None,
            window: None,
            layers: Vec::new(),
            local_rope_theta: None,
            experts: None,
        }
    }
}

/// Where a block has its norms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norms {
    /// Before attention and before the MLP.
    #[default]
    Before,
    /// After them, on what they add to the residual stream (OLMo 2).
    After,
    /// Before and after (Gemma).
    Around,
}

/// The activation of an MLP's gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x·σ(x).
    #[default]
    Silu,
    /// GELU in its tanh form (Gemma).
    GeluTanh,
}

/// What the attention of one layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// It sees a window of positions only.
    pub sliding: bool,
    /// It has rotary positions; false: none at all (NoPE).
    pub rope: bool,
}

/// A mixture of experts: of many small MLPs a router picks a few for each token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many a token goes through.
    pub per_token: usize,
    /// Width of one.
    pub intermediate_size: usize,
    /// The weights of those picked are made to add up to 1.
    pub normalise: bool,
    /// Layers that have a plain MLP all the same.
    pub dense_layers: Vec<usize>,
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
    /// LongRoPE (arXiv 2402.13753) within the context that the model was first trained for: a divisor for each frequency.
    LongRope {
        /// Half as many as numbers of a head that are rotated.
        short_factor: Vec<f64>,
        /// Multiplies cos and sin.
        attention_factor: f64,
    },
}

impl Config {
    /// What the attention of layer `i` is.
    pub fn layer(&self, i: usize) -> Layer {
        let all = Layer { sliding: true, rope: true };
        let layer = self.variant.layers.get(i).copied().unwrap_or(all);
        Layer { sliding: layer.sliding && self.variant.window.is_some(), ..layer }
    }

    /// Numbers of a head that are rotated.
    pub fn rotary_dim(&self) -> usize {
        self.variant.rotary_dim.unwrap_or(self.head_dim)
    }

    /// The mixture of experts of layer `i`, where it has one.
    pub fn experts(&self, i: usize) -> Option<&Experts> {
        self.variant.experts.as_ref().filter(|e| !e.dense_layers.contains(&i))
    }

    /// Why such a decoder cannot be trained here, as a sentence with what to do instead.
    pub fn untrainable(&self) -> Option<String> {
        self.variant.experts.as_ref().map(|_| {
            format!(
                "{} is a mixture of experts, which is not trained here, for the loss that keeps its router balanced is not computed; \
                 train a dense model, or use this one as it is",
                self.model_type
            )
        })
    }

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
            ("num_experts", self.variant.experts.as_ref().map_or(1, |e| e.count), 1 << 14),
            ("moe_intermediate_size", self.variant.experts.as_ref().map_or(1, |e| e.intermediate_size), 1 << 20),
        ];
        let found = sizes.into_iter().find(|(_, size, most)| *size == 0 || size > most);
        found.map(|(name, size, most)| format!("{name} is {size}; a decoder has 1 to {most}"))
    }

    /// Number of parameters of the decoder with its output projection.
    pub fn parameters(&self) -> usize {
        let (h, i, d) = (self.hidden_size, self.intermediate_size, self.head_dim);
        let (q, kv) = (self.num_attention_heads * d, self.num_key_value_heads * d);
        let bias = if self.qkv_bias { q + 2 * kv } else { 0 } + if self.o_bias { h } else { 0 };
        let qk_norm = match (self.qk_norm, self.variant.wide_qk_norm) {
            (false, _) => 0,
            (true, false) => 2 * d,
            (true, true) => q + kv,
        };
        let norm = if self.variant.norms == Norms::Around { 4 * h } else { 2 * h } + qk_norm;
        let mlp = |layer: usize| match self.experts(layer) {
            Some(e) => e.count * (h + 3 * h * e.intermediate_size),
            None => 3 * h * i + if self.variant.mlp_bias { 2 * i + h } else { 0 },
        };
        let layers = (0..self.num_hidden_layers).map(|l| h * (q + 2 * kv) + q * h + bias + norm + mlp(l)).sum::<usize>();
        let embed = self.vocab_size * h * if self.tie_word_embeddings { 1 } else { 2 };
        embed + layers + h
    }
}

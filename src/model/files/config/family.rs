//! The families that the decoder computes, and the defaults of their configuration classes in transformers.

/// Values of `model_type` that the decoder computes.
pub const FAMILIES: [&str; 13] =
    ["llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "qwen2_vl", "qwen2_5_vl", "gemma3", "phi3", "smollm3", "olmo2", "olmo3", "granite"];

/// Values of `model_type` that candle-transformers computes and the decoder here does not; see [`More`](crate::model::More).
pub const MORE_FAMILIES: [&str; 8] = ["gemma", "gemma2", "glm4", "mixtral", "olmo", "phi", "stablelm", "starcoder2"];

/// What a model of these can and cannot do, for those who ask for more.
pub(in crate::model) const LIMITS: &str = "it runs on candle-transformers, which has no gradients and no hidden states: use it with --policy; it can be neither trained nor a --reward";

/// Other values of `model_type` that stand for a family's text part by itself.
pub(super) const PARTS: [(&str, &str); 3] = [("gemma3_text", "gemma3"), ("qwen2_vl_text", "qwen2_vl"), ("qwen2_5_vl_text", "qwen2_5_vl")];

/// How a family norms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Norm {
    /// Before attention and MLP.
    Llama,
    /// After them, and over q and k as a whole.
    Olmo,
    /// Before and after, by 1 + w.
    Gemma,
}

/// Where a family has a sliding window.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// Nowhere, whatever the file says.
    Never,
    /// Where `sliding_window` is given; this where the field is absent.
    Given(Option<usize>),
    /// Where `use_sliding_window` says so.
    Used,
}

/// What is particular to a family in its `config.json`.
#[derive(Clone, Copy)]
pub(super) struct Family {
    pub(super) name: &'static str,
    /// Query heads where the file gives none.
    pub(super) heads: Option<usize>,
    /// Key–value heads where the file gives none; `None`: as many as query heads.
    pub(super) kv_heads: Option<usize>,
    /// Width of a head where the file gives none; `None`: the hidden size by the heads.
    pub(super) head_dim: Option<usize>,
    /// Rows of the embedding where the file gives none.
    pub(super) vocab: Option<usize>,
    /// `max_position_embeddings`.
    pub(super) context: usize,
    /// `rms_norm_eps`.
    pub(super) eps: f64,
    /// `rope_theta`.
    pub(super) theta: f64,
    /// Base of the rotary embedding of sliding layers; `None`: they have no other than the rest.
    pub(super) local_theta: Option<f64>,
    /// `tie_word_embeddings`.
    pub(super) tied: bool,
    pub(super) eos: Option<u32>,
    pub(super) bos: Option<u32>,
    pub(super) norm: Norm,
    pub(super) qk_norm: bool,
    /// q, k and v have a bias, the attention output none.
    pub(super) qkv_bias: bool,
    /// `attention_bias` gives q, k, v and the output one.
    pub(super) attention_bias: bool,
    /// transformers passes over `attention_bias`.
    pub(super) ignores_attention_bias: bool,
    pub(super) mlp_bias: bool,
    /// The four multipliers of Granite.
    pub(super) multipliers: bool,
    /// Some layers have no positions (`no_rope_layers`).
    pub(super) nope: bool,
    pub(super) experts: bool,
    pub(super) window: Window,
    /// `layer_types` says which layers slide; false: all do where there is a window.
    pub(super) layer_types: bool,
    /// Every how manyth layer does not slide where `layer_types` is absent.
    pub(super) full_every: Option<usize>,
    /// `partial_rotary_factor`, and LongRoPE under any of its names.
    pub(super) phi_rope: bool,
}

const LLAMA: Family = Family {
    name: "llama",
    heads: None,
    kv_heads: None,
    head_dim: None,
    vocab: None,
    context: 2048,
    eps: 1e-6,
    theta: 10_000.0,
    local_theta: None,
    tied: false,
    eos: Some(2),
    bos: Some(1),
    norm: Norm::Llama,
    qk_norm: false,
    qkv_bias: false,
    attention_bias: true,
    ignores_attention_bias: false,
    mlp_bias: true,
    multipliers: false,
    nope: false,
    experts: false,
    window: Window::Never,
    layer_types: false,
    full_every: None,
    phi_rope: false,
};

const MISTRAL: Family = Family {
    name: "mistral",
    kv_heads: Some(8),
    context: 131_072,
    attention_bias: false,
    ignores_attention_bias: true,
    mlp_bias: false,
    window: Window::Given(Some(4096)),
    ..LLAMA
};

const QWEN2: Family = Family {
    name: "qwen2",
    context: 32_768,
    eos: None,
    bos: None,
    qkv_bias: true,
    attention_bias: false,
    mlp_bias: false,
    window: Window::Used,
    layer_types: true,
    ..LLAMA
};

const QWEN3: Family = Family { name: "qwen3", head_dim: Some(128), qk_norm: true, qkv_bias: false, attention_bias: true, ..QWEN2 };

const QWEN3_MOE: Family = Family { name: "qwen3_moe", head_dim: None, kv_heads: Some(4), experts: true, layer_types: false, ..QWEN3 };

const QWEN2_5_VL: Family =
    Family { name: "qwen2_5_vl", kv_heads: Some(8), eps: 1e-5, theta: 1_000_000.0, eos: Some(151_645), bos: Some(151_643), ..QWEN2 };

const QWEN2_VL: Family = Family { name: "qwen2_vl", ..QWEN2_5_VL };

const GEMMA3: Family = Family {
    name: "gemma3",
    heads: Some(8),
    kv_heads: Some(4),
    head_dim: Some(256),
    vocab: Some(262_208),
    context: 131_072,
    theta: 1_000_000.0,
    local_theta: Some(10_000.0),
    tied: true,
    eos: Some(1),
    bos: Some(2),
    norm: Norm::Gemma,
    qk_norm: true,
    mlp_bias: false,
    window: Window::Given(Some(4096)),
    layer_types: true,
    full_every: Some(6),
    ..LLAMA
};

const PHI3: Family = Family {
    name: "phi3",
    context: 4096,
    eps: 1e-5,
    eos: Some(32_000),
    attention_bias: false,
    ignores_attention_bias: true,
    mlp_bias: false,
    window: Window::Given(None),
    phi_rope: true,
    ..LLAMA
};

const SMOLLM3: Family = Family {
    name: "smollm3",
    kv_heads: Some(4),
    context: 32_768,
    theta: 2_000_000.0,
    tied: true,
    eos: Some(128_001),
    bos: Some(128_000),
    nope: true,
    window: Window::Used,
    layer_types: true,
    ..LLAMA
};

const OLMO2: Family =
    Family { name: "olmo2", eps: 1e-5, eos: Some(50_279), bos: None, norm: Norm::Olmo, qk_norm: true, mlp_bias: false, ..LLAMA };

const OLMO3: Family = Family {
    name: "olmo3",
    theta: 500_000.0,
    local_theta: Some(500_000.0),
    window: Window::Given(Some(4096)),
    layer_types: true,
    full_every: Some(4),
    ..OLMO2
};

const GRANITE: Family = Family { name: "granite", multipliers: true, ..LLAMA };

/// The family of this name, one of [`FAMILIES`].
pub(super) fn family(name: &str) -> Option<&'static Family> {
    const ALL: [Family; FAMILIES.len()] =
        [LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_MOE, QWEN2_VL, QWEN2_5_VL, GEMMA3, PHI3, SMOLLM3, OLMO2, OLMO3, GRANITE];
    static TABLE: [Family; FAMILIES.len()] = ALL;
    TABLE.iter().find(|f| f.name == name)
}

//! The shape of a decoder, from a GGUF file's metadata.

use super::GgufFile;
use crate::model::files::config::supported;
use crate::model::{Activation, Config, Experts, Layer, ModelError, Norms, RopeScaling, Variant};
use candle_core::Device;

/// Architectures of GGUF under the names of the families, where the decoder computes them.
const ARCHITECTURES: [(&str, &str); 11] = [
    ("llama", "llama"),
    ("mistral", "mistral"),
    ("qwen2", "qwen2"),
    ("qwen2vl", "qwen2_5_vl"),
    ("qwen3", "qwen3"),
    ("qwen3moe", "qwen3_moe"),
    ("gemma3", "gemma3"),
    ("phi3", "phi3"),
    ("smollm3", "smollm3"),
    ("olmo2", "olmo2"),
    ("granite", "granite"),
];

/// Whether rows of q and k stand in interleaved rotary order.
pub(super) fn is_permuted(arch: &str) -> bool {
    matches!(arch, "llama" | "mistral" | "smollm3" | "granite")
}

impl GgufFile {
    /// The shape, from the metadata. Errors name the missing or unsupported key.
    pub fn config(&self) -> Result<Config, ModelError> {
        let arch = self.text("general.architecture").ok_or_else(|| self.error("general.architecture is missing", &supported()))?;
        let Some((_, family)) = ARCHITECTURES.iter().find(|(name, _)| *name == arch) else {
            let known: Vec<&str> = ARCHITECTURES.iter().map(|(name, _)| *name).collect();
            let what = format!("general.architecture {arch:?} is not supported");
            return Err(self.error(what, &format!("supported architectures: {}", known.join(", "))));
        };
        let key = |name: &str| format!("{arch}.{name}");
        let needed = |name: &str| {
            let found = self.count(&key(name)).filter(|&n| n > 0);
            found.ok_or_else(|| self.error(format!("metadata {arch}.{name} is missing or no whole number"), "fetch the file again"))
        };
        let experts = self.count(&key("expert_count")).unwrap_or(0);
        if experts > 0 && *family != "qwen3_moe" {
            return Err(self.error(format!("a mixture of experts is not supported for {arch}"), &supported()));
        }
        let has = |name: &str| self.content.tensor_infos.contains_key(name);
        let embedding = self.content.tensor_infos.get("token_embd.weight");
        let vocab_size = embedding.and_then(|i| i.shape.dims().first().copied());
        let vocab_size = vocab_size.ok_or_else(|| self.error("tensor token_embd.weight is missing", "fetch the file again"))?;
        let (hidden_size, num_attention_heads) = (needed("embedding_length")?, needed("attention.head_count")?);
        let head_dim = self.count(&key("attention.key_length")).unwrap_or(hidden_size / num_attention_heads);
        let rotary_dim = self.count(&key("rope.dimension_count")).unwrap_or(head_dim);
        let fits = rotary_dim > 0 && rotary_dim < head_dim && rotary_dim.is_multiple_of(2);
        if rotary_dim != head_dim && !(*family == "phi3" && fits) {
            return Err(self.error(
                format!("metadata {arch}.rope.dimension_count is not the head's width {head_dim}"),
                &format!("the decoder rotates whole heads for {arch}"),
            ));
        }
        let mut max_position_embeddings = needed("context_length")?;
        let rope_theta = self.number(&key("rope.freq_base")).unwrap_or(10_000.0);
        let id = |name: &str| self.count(&format!("tokenizer.ggml.{name}")).and_then(|n| u32::try_from(n).ok());
        let mut eos_token_ids: Vec<u32> = ["eos_token_id", "eot_token_id"].iter().filter_map(|n| id(n)).collect();
        eos_token_ids.dedup();
        let num_hidden_layers = needed("block_count")?;
        let rope_scaling = match self.long_rope(arch, rotary_dim, &mut max_position_embeddings)? {
            Some(long) => long,
            None => self.rope_scaling(arch, rotary_dim, rope_theta, max_position_embeddings)?,
        };
        let mut config = Config {
            model_type: (*family).to_owned(),
            vocab_size,
            hidden_size,
            intermediate_size: needed("feed_forward_length")?,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads: self.count(&key("attention.head_count_kv")).unwrap_or(num_attention_heads),
            head_dim,
            rms_norm_eps: self.number(&key("attention.layer_norm_rms_epsilon")).unwrap_or(1e-6),
            rope_theta,
            rope_scaling,
            max_position_embeddings,
            tie_word_embeddings: !has("output.weight"),
            qkv_bias: has("blk.0.attn_q.bias"),
            o_bias: has("blk.0.attn_output.bias"),
            qk_norm: has("blk.0.attn_q_norm.weight"),
            eos_token_ids,
            bos_token_id: id("bos_token_id"),
            variant: Variant { rotary_dim: (rotary_dim != head_dim).then_some(rotary_dim), ..Variant::default() },
        };
        if let Some(what) = config.implausible() {
            return Err(self.error(format!("the metadata say that {what}"), "the file is damaged: fetch it again"));
        }
        self.vary(arch, &mut config)?;
        match config.implausible() {
            Some(what) => Err(self.error(format!("the metadata say that {what}"), "the file is damaged: fetch it again")),
            None => Ok(config),
        }
    }

    /// What the family computes otherwise than Llama. Where the metadata are silent llama.cpp has numbers of its own, which stand here.
    fn vary(&self, arch: &str, c: &mut Config) -> Result<(), ModelError> {
        let key = |name: &str| format!("{arch}.{name}");
        let number = |name: &str| self.number(&key(name));
        let n = c.num_hidden_layers;
        let v = &mut c.variant;
        let window = self.count(&key("attention.sliding_window")).filter(|&w| w > 0);
        let every = |k: usize| (0..n).map(|i| Layer { sliding: !(i + 1).is_multiple_of(k), rope: true }).collect();
        v.mlp_bias = self.content.tensor_infos.contains_key("blk.0.ffn_down.bias");
        match arch {
            "gemma3" => {
                v.norms = Norms::Around;
                v.one_plus_norms = true;
                v.activation = Activation::GeluTanh;
                v.embedding_multiplier = (c.hidden_size as f64).sqrt();
                // The largest Gemma 3 alone, of 62 layers, divides by another number than its heads are wide.
                let divisor = if n == 62 { c.hidden_size / c.num_attention_heads } else { c.head_dim };
                v.attention_scale = Some((divisor as f64).powf(-0.5));
                v.window = window;
                v.layers = every(6);
                v.local_rope_theta = Some(number("rope.freq_base_swa").unwrap_or(10_000.0));
                for name in ["attn_logit_softcapping", "final_logit_softcapping"] {
                    if number(name).is_some_and(|cap| cap != 0.0) {
                        return Err(self.error(format!("metadata gemma3.{name} is not supported"), "use another file"));
                    }
                }
            }
            "phi3" => v.window = window,
            "olmo2" => {
                v.norms = Norms::After;
                v.wide_qk_norm = true;
                if window.is_some() {
                    (v.window, v.layers, v.local_rope_theta) = (window, every(4), Some(c.rope_theta));
                }
            }
            "smollm3" => v.layers = (0..n).map(|i| Layer { sliding: false, rope: !(i + 1).is_multiple_of(4) }).collect(),
            "granite" => {
                let given = |name: &str| number(name).filter(|x| *x != 0.0);
                v.embedding_multiplier = given("embedding_scale").unwrap_or(1.0);
                v.residual_multiplier = given("residual_scale").unwrap_or(1.0);
                v.attention_scale = given("attention.scale");
                v.logits_divisor = given("logit_scale").unwrap_or(1.0);
            }
            "qwen3moe" => {
                let count = self.count(&key("expert_count")).unwrap_or(0);
                let per_token = self.count(&key("expert_used_count")).unwrap_or(0);
                let intermediate_size = self.count(&key("expert_feed_forward_length")).unwrap_or(0);
                if per_token == 0 || per_token > count || intermediate_size == 0 {
                    let what = format!("metadata say {per_token} of {count} experts of width {intermediate_size}");
                    return Err(self.error(what, "the file is damaged: fetch it again"));
                }
                v.experts = Some(Experts { count, per_token, intermediate_size, normalise: true, dense_layers: Vec::new() });
            }
            _ => {}
        }
        Ok(())
    }

    /// LongRoPE's divisors, which stand in a tensor of their own.
    fn long_rope(&self, arch: &str, rotary_dim: usize, context: &mut usize) -> Result<Option<RopeScaling>, ModelError> {
        const SHORT: &str = "rope_factors_short.weight";
        if !self.content.tensor_infos.contains_key(SHORT) {
            return Ok(None);
        }
        let short = self.qtensor(SHORT, &Device::Cpu)?.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
        if short.len() != rotary_dim / 2 || !short.iter().all(|x| *x > 0.0) {
            return Err(self.error(format!("{SHORT} is no list of {} positive numbers", rotary_dim / 2), "fetch the file again"));
        }
        let key = |name: &str| format!("{arch}.rope.scaling.{name}");
        let original = self.count(&key("original_context_length")).filter(|&n| n > 1).unwrap_or(*context);
        let factor = *context as f64 / original as f64;
        let usual = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original as f64).ln()).sqrt() };
        *context = original.min(*context);
        let attention_factor = self.number(&key("attn_factor")).unwrap_or(usual);
        Ok(Some(RopeScaling::LongRope { short_factor: short.into_iter().map(f64::from).collect(), attention_factor }))
    }

    fn rope_scaling(&self, arch: &str, head_dim: usize, theta: f64, context: usize) -> Result<RopeScaling, ModelError> {
        let key = |name: &str| format!("{arch}.rope.scaling.{name}");
        if self.content.tensor_infos.contains_key("rope_freqs.weight") {
            return self.llama3_scaling(head_dim, theta);
        }
        let factor = self.number(&key("factor")).or_else(|| self.number(&format!("{arch}.rope.scale_linear"))).unwrap_or(1.0);
        Ok(match self.text(&key("type")) {
            None | Some("none") if factor == 1.0 => RopeScaling::Default,
            None | Some("linear") => RopeScaling::Linear { factor },
            Some("yarn") => RopeScaling::Yarn {
                factor,
                beta_fast: self.number(&key("yarn_beta_fast")).unwrap_or(32.0),
                beta_slow: self.number(&key("yarn_beta_slow")).unwrap_or(1.0),
                original_max_position_embeddings: self.count(&key("original_context_length")).unwrap_or(context),
                // The factor in the file is put on top of YaRN's own.
                attention_factor: self.number(&key("attn_factor")).filter(|f| *f != 1.0).map(|f| f * (0.1 * factor.ln() + 1.0)),
            },
            Some(other) => {
                return Err(self.error(format!("rope scaling {other:?} is not supported"), "supported: none, linear, yarn, Llama 3's"));
            }
        })
    }

    /// Llama 3's scaling stands in a GGUF only as the divisors it gives; finds the published parameters that give them.
    fn llama3_scaling(&self, head_dim: usize, theta: f64) -> Result<RopeScaling, ModelError> {
        let divisors = self.qtensor("rope_freqs.weight", &Device::Cpu)?.dequantize(&Device::Cpu)?.to_vec1::<f32>()?;
        let factor = f64::from(divisors.iter().copied().fold(1.0, f32::max));
        let (low, high, original) = (1.0, 4.0, 8192usize);
        let expected = |i: usize| {
            let wavelength = std::f64::consts::TAU * theta.powf(2.0 * i as f64 / head_dim as f64);
            let smooth = ((original as f64 / wavelength - low) / (high - low)).clamp(0.0, 1.0);
            1.0 / ((1.0 - smooth) / factor + smooth)
        };
        let agree =
            divisors.len() == head_dim / 2 && divisors.iter().enumerate().all(|(i, &d)| (f64::from(d) / expected(i) - 1.0).abs() < 1e-3);
        if !agree {
            return Err(self.error("rope_freqs.weight is not the scaling of Llama 3.1 or 3.2", "use the model's safetensors instead"));
        }
        Ok(RopeScaling::Llama3 { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original })
    }
}

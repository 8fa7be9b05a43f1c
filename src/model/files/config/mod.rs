//! `config.json` and `generation_config.json` of Hugging Face into a [`Config`].

mod family;
mod json;
mod rope;

pub(in crate::model) use family::LIMITS;
pub use family::{FAMILIES, MORE_FAMILIES};
pub(in crate::model) use json::{Fields, object};

use crate::model::{Activation, Config, Experts, Layer, ModelError, Norms, Variant};
use family::{Family, Norm, PARTS, Window, family};
use rope::rope;
use serde_json::Value;
use std::path::Path;

/// Reads a `config.json`; `generation` is the text of `generation_config.json` where the model has one.
///
/// Fields left out take the defaults of the family's configuration class in transformers; `rope_scaling` may use `rope_type` or the older `type`, or
/// stand as `rope_parameters` (transformers 5). Of a model that also sees pictures the text part is read. `path` is only named in errors: an unknown
/// family, a missing or ill-typed field, or an option that the decoder does not compute.
pub fn parse_config(text: &[u8], generation: Option<&[u8]>, path: &Path) -> Result<Config, ModelError> {
    let whole = object(text, path)?;
    let outer = Fields { map: &whole, path };
    let model_type = outer.text("model_type")?.ok_or_else(|| outer.error("model_type is missing", &supported()))?;
    let name = PARTS.iter().find(|(part, _)| *part == model_type).map_or(model_type.as_str(), |(_, name)| name);
    let Some(family) = family(name) else {
        if MORE_FAMILIES.contains(&name) {
            return Err(outer.error(&format!("{model_type} is not computed by the decoder here"), LIMITS));
        }
        return Err(outer.error(&format!("model_type {model_type:?} is not supported"), &supported()));
    };
    let map = match whole.get("text_config") {
        Some(Value::Object(part)) => part,
        _ => &whole,
    };
    let f = Fields { map, path };
    if [map, &whole].iter().any(|m| m.get("quantization_config").is_some_and(|q| !q.is_null())) {
        return Err(f.error("quantization_config: the safetensors are quantised", "use the unquantised model or a GGUF of it"));
    }
    refuse_what_is_not_computed(&f, family)?;
    let hidden_size = f.needed("hidden_size")?;
    let num_attention_heads = match (f.count("num_attention_heads")?, family.heads) {
        (None, Some(heads)) => heads,
        (found, _) => found.map_or_else(|| f.needed("num_attention_heads"), Ok)?,
    };
    if num_attention_heads == 0 {
        return Err(f.error("num_attention_heads is 0", "give the number of query heads"));
    }
    let default_kv = family.kv_heads.map_or(num_attention_heads, |kv| kv.min(num_attention_heads));
    let num_key_value_heads = f.count("num_key_value_heads")?.unwrap_or(default_kv);
    if num_key_value_heads == 0 || !num_attention_heads.is_multiple_of(num_key_value_heads) {
        let what = format!("num_key_value_heads {num_key_value_heads} does not divide num_attention_heads {num_attention_heads}");
        return Err(f.error(&what, "correct the file or fetch it again"));
    }
    let head_dim = match f.count("head_dim")?.or(family.head_dim) {
        Some(d) => d,
        None if hidden_size.is_multiple_of(num_attention_heads) => hidden_size / num_attention_heads,
        None => {
            let what =
                format!("hidden_size {hidden_size} is no multiple of num_attention_heads {num_attention_heads} and head_dim is missing");
            return Err(f.error(&what, "give head_dim"));
        }
    };
    if head_dim == 0 || !head_dim.is_multiple_of(2) {
        return Err(f.error(&format!("head_dim is {head_dim}"), "the rotary embedding needs an even width"));
    }
    let mut max_position_embeddings = f.count("max_position_embeddings")?.unwrap_or(family.context);
    let num_hidden_layers = f.needed("num_hidden_layers")?;
    let rope = rope(&f, family, head_dim, &mut max_position_embeddings)?;
    let bias = family.attention_bias && f.flag("attention_bias")?.unwrap_or(false);
    let (layers, window) = layers(&f, family, num_hidden_layers)?;
    let number = |name: &str| Ok::<_, ModelError>(f.number(name)?.unwrap_or(1.0));
    let gemma = family.norm == Norm::Gemma;
    let granite = family.multipliers;
    let variant = Variant {
        norms: match family.norm {
            Norm::Llama => Norms::Before,
            Norm::Olmo => Norms::After,
            Norm::Gemma => Norms::Around,
        },
        one_plus_norms: gemma,
        activation: activation(&f, gemma)?,
        wide_qk_norm: family.norm == Norm::Olmo,
        mlp_bias: family.mlp_bias && f.flag("mlp_bias")?.unwrap_or(false),
        embedding_multiplier: match (gemma, granite) {
            (true, _) => (hidden_size as f64).sqrt(),
            (false, true) => number("embedding_multiplier")?,
            (false, false) => 1.0,
        },
        residual_multiplier: if granite { number("residual_multiplier")? } else { 1.0 },
        attention_scale: match (gemma, granite) {
            (true, _) => Some(f.number("query_pre_attn_scalar")?.unwrap_or(256.0).powf(-0.5)),
            (false, true) => Some(number("attention_multiplier")?),
            (false, false) => None,
        },
        logits_divisor: if granite { number("logits_scaling")? } else { 1.0 },
        rotary_dim: (rope.dim != head_dim).then_some(rope.dim),
        window,
        layers,
        local_rope_theta: rope.local_theta,
        experts: if family.experts { experts(&f, num_hidden_layers)? } else { None },
    };
    let (eos, bos) = (family.eos, family.bos);
    let mut eos_token_ids = f.ids("eos_token_id")?.or(outer.ids("eos_token_id")?).unwrap_or_else(|| eos.into_iter().collect());
    let mut bos_token_id = match map.get("bos_token_id") {
        None if bos.is_some() => bos,
        _ => f.ids("bos_token_id")?.and_then(|ids| ids.first().copied()),
    };
    if let Some(text) = generation {
        let path = path.with_file_name("generation_config.json");
        let map = object(text, &path)?;
        let f = Fields { map: &map, path: &path };
        for id in f.ids("eos_token_id")?.unwrap_or_default() {
            if !eos_token_ids.contains(&id) {
                eos_token_ids.push(id);
            }
        }
        if bos_token_id.is_none() {
            bos_token_id = f.ids("bos_token_id")?.and_then(|ids| ids.first().copied());
        }
    }
    let config = Config {
        vocab_size: match (f.count("vocab_size")?, family.vocab) {
            (None, Some(vocab)) => vocab,
            (found, _) => found.map_or_else(|| f.needed("vocab_size"), Ok)?,
        },
        hidden_size,
        intermediate_size: f.needed("intermediate_size")?,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        rms_norm_eps: f.number("rms_norm_eps")?.unwrap_or(family.eps),
        rope_theta: rope.theta,
        rope_scaling: rope.scaling,
        max_position_embeddings,
        tie_word_embeddings: f.flag("tie_word_embeddings")?.or(outer.flag("tie_word_embeddings")?).unwrap_or(family.tied),
        qkv_bias: family.qkv_bias || bias,
        o_bias: bias && !family.qkv_bias,
        qk_norm: family.qk_norm,
        eos_token_ids,
        bos_token_id,
        model_type: family.name.into(),
        variant,
    };
    match config.implausible() {
        Some(what) => Err(f.error(&what, "correct the field or fetch the file again")),
        None => Ok(config),
    }
}

/// The remedy for a family that is not supported.
pub(in crate::model) fn supported() -> String {
    format!("supported families: {}; with --policy alone also {}", FAMILIES.join(", "), MORE_FAMILIES.join(", "))
}

/// Whether a family computes something.
type Computes = fn(&Family) -> bool;

/// Fields that change what a model computes, the value that changes nothing, and the families that compute them; elsewhere another value is refused.
const CHANGES: [(&str, &[&str], Computes); 16] = [
    ("mlp_bias", &["false"], |f| f.mlp_bias),
    ("attention_bias", &["false"], |f| f.attention_bias || f.qkv_bias || f.ignores_attention_bias),
    ("embedding_multiplier", &["1", "1.0"], |f| f.multipliers),
    ("residual_multiplier", &["1", "1.0"], |f| f.multipliers),
    ("attention_multiplier", &["1", "1.0"], |f| f.multipliers),
    ("logits_scaling", &["1", "1.0"], |f| f.multipliers),
    ("query_pre_attn_scalar", &[], |f| f.norm == Norm::Gemma),
    ("attn_logit_softcapping", &[], |_| false),
    ("final_logit_softcapping", &[], |_| false),
    ("use_bidirectional_attention", &["false"], |_| false),
    ("clip_qkv", &[], |_| false),
    ("no_rope_layers", &["[]"], |f| f.nope),
    ("num_experts", &["0"], |f| f.experts),
    ("num_local_experts", &["0"], |f| f.experts),
    ("n_routed_experts", &["0"], |_| false),
    ("shared_expert_intermediate_size", &["0"], |_| false),
];

fn refuse_what_is_not_computed(f: &Fields, family: &Family) -> Result<(), ModelError> {
    for (name, neutral, computed) in CHANGES {
        let Some(value) = f.map.get(name).filter(|v| !v.is_null() && !computed(family)) else { continue };
        let written = value.to_string();
        if !neutral.contains(&written.as_str()) {
            let what = format!("{name}: {written} is not computed for {}", family.name);
            return Err(f.error(&what, "use another model, or a server that runs this one (--policy http://HOST:PORT/v1#MODEL)"));
        }
    }
    Ok(())
}

fn activation(f: &Fields, gemma: bool) -> Result<Activation, ModelError> {
    let named = f.text("hidden_activation")?.filter(|_| gemma).or(f.text("hidden_act")?);
    match named.as_deref().unwrap_or(if gemma { "gelu_pytorch_tanh" } else { "silu" }) {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu_pytorch_tanh" | "gelu_new" => Ok(Activation::GeluTanh),
        other => Err(f.error(&format!("hidden_act {other:?} is not supported"), "the decoder computes silu and gelu_pytorch_tanh")),
    }
}

/// What each layer's attention is, and the width of the window where any slides.
fn layers(f: &Fields, family: &Family, n: usize) -> Result<(Vec<Layer>, Option<usize>), ModelError> {
    let window = f.count("sliding_window")?.filter(|&w| w > 0);
    let window = match family.window {
        Window::Never => None,
        // One that is null is none.
        Window::Given(default) if !f.map.contains_key("sliding_window") => default,
        Window::Given(_) => window,
        Window::Used => f.flag("use_sliding_window")?.unwrap_or(false).then(|| window.unwrap_or(4096)),
    };
    if n > 1 << 12 {
        return Err(f.error(&format!("num_hidden_layers is {n}; a decoder has 1 to 4096"), "correct the field or fetch the file again"));
    }
    let rope: Vec<bool> = match f.map.get("no_rope_layers").filter(|v| family.nope && !v.is_null()) {
        Some(Value::Array(list)) if list.len() >= n => list.iter().take(n).map(|v| *v != 0 && *v != false).collect(),
        Some(_) => return Err(f.error("no_rope_layers has fewer entries than there are layers", "correct the field")),
        None if family.nope => {
            let every = f.count("no_rope_layer_interval")?.filter(|&k| k > 0).unwrap_or(4);
            (0..n).map(|i| !(i + 1).is_multiple_of(every)).collect()
        }
        None => vec![true; n],
    };
    let sliding: Vec<bool> = match (f.map.get("layer_types").filter(|v| family.layer_types && !v.is_null()), window) {
        (_, None) => vec![false; n],
        (Some(Value::Array(list)), _) if list.len() == n => {
            let kind = |v: &Value| match v.as_str() {
                Some("full_attention") => Ok(false),
                Some("sliding_attention") => Ok(true),
                _ => Err(f.error(&format!("layer_types: {v} is not supported"), "supported: full_attention, sliding_attention")),
            };
            list.iter().map(kind).collect::<Result<_, _>>()?
        }
        (Some(_), _) => return Err(f.error("layer_types has not one entry for each layer", "correct the field or fetch the file again")),
        (None, Some(_)) if family.layer_types => {
            let first = f.count("max_window_layers")?.unwrap_or(28);
            let every = f.count("sliding_window_pattern")?.filter(|&k| k > 0).or(family.full_every).unwrap_or(6);
            let slides = |i: usize| match family.full_every {
                Some(_) => !(i + 1).is_multiple_of(every),
                None if family.nope => !rope[i],
                None => i >= first,
            };
            (0..n).map(slides).collect()
        }
        (None, Some(_)) => vec![true; n],
    };
    let layers: Vec<Layer> = sliding.into_iter().zip(rope).map(|(sliding, rope)| Layer { sliding, rope }).collect();
    let window = window.filter(|_| layers.iter().any(|l| l.sliding));
    let plain = layers.iter().all(|l| l.rope && l.sliding == window.is_some());
    Ok((if plain { Vec::new() } else { layers }, window))
}

/// The mixture of experts, where any layer has one.
fn experts(f: &Fields, layers: usize) -> Result<Option<Experts>, ModelError> {
    let count = f.count("num_experts")?.or(f.count("num_local_experts")?).unwrap_or(128);
    let step = f.count("decoder_sparse_step")?.unwrap_or(1).max(1);
    let named: Vec<u32> = f.ids("mlp_only_layers")?.unwrap_or_default();
    let dense_layers: Vec<usize> =
        (0..layers).filter(|i| count == 0 || !(i + 1).is_multiple_of(step) || named.contains(&(*i as u32))).collect();
    let per_token = f.count("num_experts_per_tok")?.unwrap_or(8);
    if dense_layers.len() == layers {
        return Ok(None);
    }
    if per_token == 0 || per_token > count {
        let what = format!("num_experts_per_tok is {per_token} of {count} experts");
        return Err(f.error(&what, "correct the field or fetch the file again"));
    }
    let intermediate_size = f.count("moe_intermediate_size")?.unwrap_or(768);
    let normalise = f.flag("norm_topk_prob")?.unwrap_or(false);
    Ok(Some(Experts { count, per_token, intermediate_size, normalise, dense_layers }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RopeScaling;
    use serde_json::json;

    fn parse(v: Value) -> Result<Config, ModelError> {
        parse_config(v.to_string().as_bytes(), None, Path::new("m/config.json"))
    }

    fn base(family: &str) -> Value {
        json!({"model_type": family, "vocab_size": 128, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4})
    }

    fn with(family: &str, more: Value) -> Value {
        let mut v = base(family);
        for (k, x) in more.as_object().unwrap() {
            v[k] = x.clone();
        }
        v
    }

    #[test]
    fn each_family_takes_its_own_defaults() {
        let llama = parse(base("llama")).unwrap();
        assert_eq!((llama.head_dim, llama.num_key_value_heads, llama.max_position_embeddings), (16, 4, 2048));
        assert_eq!((llama.rope_theta, llama.eos_token_ids, llama.bos_token_id), (10_000.0, vec![2], Some(1)));
        assert!(!llama.qkv_bias && !llama.qk_norm && !llama.tie_word_embeddings);
        let qwen2 = parse(base("qwen2")).unwrap();
        assert!(qwen2.qkv_bias && !qwen2.o_bias && qwen2.eos_token_ids.is_empty() && qwen2.bos_token_id.is_none());
        let qwen3 = parse(base("qwen3")).unwrap();
        assert!(qwen3.qk_norm && !qwen3.qkv_bias);
        assert_eq!(qwen3.head_dim, 128);
        let mistral = parse(with("mistral", json!({"num_attention_heads": 16}))).unwrap();
        assert_eq!((mistral.num_key_value_heads, mistral.max_position_embeddings, mistral.variant.window), (8, 131_072, Some(4096)));
        let mistral = parse(with("mistral", json!({"num_attention_heads": 16, "sliding_window": null}))).unwrap();
        assert_eq!((mistral.max_position_embeddings, mistral.variant.window), (131_072, None));
    }

    #[test]
    fn layers_slide_and_turn_as_the_family_has_them() {
        let six = json!({"num_hidden_layers": 6});
        let with_six = |family: &str, more: Value| {
            let mut v = with(family, six.clone());
            more.as_object().unwrap().iter().for_each(|(k, x)| v[k] = x.clone());
            parse(v).unwrap()
        };
        let sliding = |c: &Config| (0..6).map(|i| c.layer(i).sliding).collect::<Vec<_>>();
        let rope = |c: &Config| (0..6).map(|i| c.layer(i).rope).collect::<Vec<_>>();
        let gemma = with_six("gemma3_text", json!({"sliding_window": 8}));
        assert_eq!((sliding(&gemma), gemma.variant.local_rope_theta), (vec![true, true, true, true, true, false], Some(10_000.0)));
        assert_eq!((gemma.model_type.as_str(), gemma.rope_theta, gemma.head_dim, gemma.tie_word_embeddings), ("gemma3", 1e6, 256, true));
        assert_eq!(gemma.variant.attention_scale, Some(256f64.powf(-0.5)));
        let smol = with_six("smollm3", json!({}));
        assert_eq!((rope(&smol), sliding(&smol)), (vec![true, true, true, false, true, true], vec![false; 6]));
        let qwen = with_six("qwen2", json!({"use_sliding_window": true, "sliding_window": 8, "max_window_layers": 4}));
        assert_eq!((sliding(&qwen), qwen.variant.window), (vec![false, false, false, false, true, true], Some(8)));
        let qwen = with_six("qwen2", json!({"sliding_window": 8}));
        assert_eq!((sliding(&qwen), qwen.variant.clone()), (vec![false; 6], Variant::default()));
        let olmo = with_six("olmo3", json!({"rope_scaling": {"rope_type": "linear", "factor": 2.0}, "rope_theta": 1e3}));
        assert_eq!((sliding(&olmo), olmo.variant.local_rope_theta), (vec![true, true, true, false, true, true], Some(1e3)));
        let moe = with_six("qwen3_moe", json!({"num_experts": 4, "num_experts_per_tok": 2, "decoder_sparse_step": 2}));
        assert_eq!((0..6).map(|i| moe.experts(i).is_some()).collect::<Vec<_>>(), [false, true, false, true, false, true]);
        assert!(moe.untrainable().unwrap().contains("mixture of experts") && gemma.untrainable().is_none());
    }

    #[test]
    fn a_model_that_sees_pictures_is_read_for_its_text() {
        let text = with("qwen2_5_vl_text", json!({"rope_scaling": {"type": "mrope", "mrope_section": [2, 2, 4]}}));
        let c = parse(json!({"model_type": "qwen2_5_vl", "text_config": text, "tie_word_embeddings": true, "vision_config": {}})).unwrap();
        assert_eq!(
            (c.model_type.as_str(), c.qkv_bias, c.tie_word_embeddings, c.rope_scaling),
            ("qwen2_5_vl", true, true, RopeScaling::Default)
        );
    }

    #[test]
    fn what_would_change_the_numbers_is_not_passed_over() {
        for (family, more, word) in [
            ("llama", json!({"embedding_multiplier": 12.0}), "embedding_multiplier"),
            ("qwen2", json!({"num_experts": 60}), "num_experts"),
            ("gemma3", json!({"final_logit_softcapping": 30.0}), "final_logit_softcapping"),
            ("llama", json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor"),
            ("phi3", json!({"rope_scaling": {"type": "longrope", "short_factor": [1.0]}}), "short_factor"),
            ("llama", json!({"no_rope_layers": [1, 0]}), "no_rope_layers"),
            ("gemma2", json!({}), "--policy"),
        ] {
            let error = parse(with(family, more)).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("m/config.json"), "{error}");
        }
        let granite =
            json!({"embedding_multiplier": 12, "logits_scaling": 8.0, "residual_multiplier": 0.22, "attention_multiplier": 0.015625});
        let granite = parse(with("granite", granite)).unwrap().variant;
        assert_eq!((granite.embedding_multiplier, granite.logits_divisor), (12.0, 8.0));
        assert_eq!((granite.residual_multiplier, granite.attention_scale), (0.22, Some(0.015625)));
        let phi = json!({"rope_scaling": {"type": "su", "short_factor": [1.0, 1.5, 2.0, 2.5, 3.0, 3.5], "long_factor": [1, 1, 1, 1, 1, 1]},
            "partial_rotary_factor": 0.75, "max_position_embeddings": 131_072, "original_max_position_embeddings": 4096});
        let phi = parse(with("phi3", phi)).unwrap();
        assert_eq!((phi.max_position_embeddings, phi.rotary_dim()), (4096, 12));
        // √(1 + ln 32 / ln 4096) = √(17/12).
        let RopeScaling::LongRope { attention_factor, .. } = phi.rope_scaling else { panic!() };
        assert!((attention_factor - (17.0f64 / 12.0).sqrt()).abs() < 1e-12, "{attention_factor}");
    }

    #[test]
    fn rope_scaling_in_every_spelling() {
        let linear = RopeScaling::Linear { factor: 4.0 };
        for v in [
            json!({"rope_scaling": {"type": "linear", "factor": 4.0}, "rope_theta": 5e5}),
            json!({"rope_scaling": {"rope_type": "linear", "factor": 4}, "rope_theta": 5e5}),
            json!({"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5e5}}),
        ] {
            let c = parse(with("llama", v)).unwrap();
            assert_eq!((c.rope_theta, c.rope_scaling), (5e5, linear.clone()));
        }
        let yarn = json!({"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}});
        let want = RopeScaling::Yarn {
            factor: 4.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
            original_max_position_embeddings: 32768,
            attention_factor: None,
        };
        assert_eq!(parse(with("qwen2", yarn)).unwrap().rope_scaling, want);
        let llama3 = json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192}});
        assert!(matches!(
            parse(with("llama", llama3)).unwrap().rope_scaling,
            RopeScaling::Llama3 { original_max_position_embeddings: 8192, .. }
        ));
        assert_eq!(parse(with("llama", json!({"rope_scaling": null}))).unwrap().rope_scaling, RopeScaling::Default);
    }

    #[test]
    fn end_tokens_from_both_files() {
        let text = with("qwen2", json!({"eos_token_id": 151643})).to_string();
        let c = parse_config(text.as_bytes(), Some(br#"{"eos_token_id": [151645, 151643]}"#), Path::new("config.json")).unwrap();
        assert_eq!(c.eos_token_ids, [151643, 151645]);
    }

    #[test]
    fn errors_name_field_and_remedy() {
        let says = |v: Value, words: &[&str]| {
            let e = parse(v).unwrap_err().to_string();
            for w in words {
                assert!(e.contains(w), "{e:?} lacks {w:?}");
            }
        };
        says(json!({"model_type": "gpt_neox"}), &["m/config.json", "gpt_neox", "llama, mistral, qwen2, qwen3"]);
        says(json!({}), &["model_type is missing"]);
        says(json!({"model_type": "llama"}), &["hidden_size is missing"]);
        says(with("llama", json!({"vocab_size": "many"})), &["vocab_size", "whole number"]);
        says(with("llama", json!({"num_key_value_heads": 3})), &["num_key_value_heads 3"]);
        says(with("llama", json!({"rope_scaling": {"rope_type": "longrope"}})), &["longrope", "yarn"]);
        says(with("llama", json!({"hidden_act": "gelu"})), &["hidden_act", "gelu"]);
        let e = parse_config(b"{\"model_type\": ", None, Path::new("config.json")).unwrap_err().to_string();
        assert!(e.contains("not valid JSON"), "{e}");
    }

    #[test]
    fn sizes_that_no_decoder_has_are_refused() {
        for (field, size) in
            [("num_hidden_layers", 100_000_000_u64), ("vocab_size", 1 << 40), ("hidden_size", u64::MAX / 4), ("intermediate_size", 1 << 33)]
        {
            let error = parse(with("qwen3", json!({ field: size }))).unwrap_err().to_string();
            assert!(error.contains(field) && error.contains("a decoder has 1 to"), "{error}");
        }
    }
}

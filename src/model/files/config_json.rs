//! `config.json` and `generation_config.json` of Hugging Face into a [`Config`].

use crate::model::{Config, ModelError, RopeScaling};
use serde_json::{Map, Value};
use std::path::Path;

/// Values of `model_type` that the decoder computes.
pub const FAMILIES: [&str; 4] = ["llama", "mistral", "qwen2", "qwen3"];

/// Rotary base of every supported family where the file gives none.
const ROPE_THETA: f64 = 10_000.0;

/// Reads a `config.json`; `generation` is the text of `generation_config.json` where the model has one.
///
/// Fields left out take the defaults of the family's configuration class in transformers; `rope_scaling` may use `rope_type` or the older `type`, or
/// stand as `rope_parameters` (transformers 5). Where a sliding window is in force the context is limited to it, because inside it attention is
/// full. `path` is only named in errors: an unknown family, a missing or ill-typed field, or an option that the decoder does not compute.
pub fn parse_config(text: &[u8], generation: Option<&[u8]>, path: &Path) -> Result<Config, ModelError> {
    let map = object(text, path)?;
    let f = Fields { map: &map, path };
    let model_type = f.text("model_type")?.ok_or_else(|| f.error("model_type is missing", &supported()))?;
    if !FAMILIES.contains(&model_type.as_str()) {
        return Err(f.error(&format!("model_type {model_type:?} is not supported"), &supported()));
    }
    if map.get("quantization_config").is_some_and(|q| !q.is_null()) {
        return Err(f.error("quantization_config: the safetensors are quantised", "use the unquantised model or a GGUF of it"));
    }
    let act = f.text("hidden_act")?.unwrap_or_else(|| "silu".into());
    if act != "silu" && act != "swish" {
        return Err(f.error(&format!("hidden_act {act:?} is not supported"), "the decoder computes silu"));
    }
    if f.flag("mlp_bias")?.unwrap_or(false) {
        return Err(f.error("mlp_bias: true is not supported", "use a model without a bias in the MLP"));
    }
    let hidden_size = f.needed("hidden_size")?;
    let num_attention_heads = f.needed("num_attention_heads")?;
    if num_attention_heads == 0 {
        return Err(f.error("num_attention_heads is 0", "give the number of query heads"));
    }
    let default_kv = if model_type == "mistral" { 8.min(num_attention_heads) } else { num_attention_heads };
    let num_key_value_heads = f.count("num_key_value_heads")?.unwrap_or(default_kv);
    if num_key_value_heads == 0 || !num_attention_heads.is_multiple_of(num_key_value_heads) {
        let what = format!("num_key_value_heads {num_key_value_heads} does not divide num_attention_heads {num_attention_heads}");
        return Err(f.error(&what, "correct the file or fetch it again"));
    }
    let head_dim = match f.count("head_dim")? {
        Some(d) => d,
        None if model_type == "qwen3" => 128,
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
    let mut max_position_embeddings = f.count("max_position_embeddings")?.unwrap_or(match model_type.as_str() {
        "llama" => 2048,
        "mistral" => 131_072,
        _ => 32_768,
    });
    let (rope_theta, rope_scaling) = rope(&f, max_position_embeddings)?;
    if let Some(window) = sliding_window(&f, &model_type)? {
        max_position_embeddings = max_position_embeddings.min(window);
    }
    let bias = f.flag("attention_bias")?.unwrap_or(false);
    let mut eos_token_ids = f.ids("eos_token_id")?.unwrap_or_else(|| if model_type.starts_with("qwen") { vec![] } else { vec![2] });
    let mut bos_token_id = match map.get("bos_token_id") {
        None if !model_type.starts_with("qwen") => Some(1),
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
        vocab_size: f.needed("vocab_size")?,
        hidden_size,
        intermediate_size: f.needed("intermediate_size")?,
        num_hidden_layers: f.needed("num_hidden_layers")?,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        rms_norm_eps: f.number("rms_norm_eps")?.unwrap_or(1e-6),
        rope_theta,
        rope_scaling,
        max_position_embeddings,
        tie_word_embeddings: f.flag("tie_word_embeddings")?.unwrap_or(false),
        qkv_bias: model_type == "qwen2" || (bias && model_type != "mistral"),
        o_bias: bias && (model_type == "llama" || model_type == "qwen3"),
        qk_norm: model_type == "qwen3",
        eos_token_ids,
        bos_token_id,
        model_type,
    };
    match config.implausible() {
        Some(what) => Err(f.error(&what, "correct the field or fetch the file again")),
        None => Ok(config),
    }
}

/// The remedy for a family that is not supported.
pub(in crate::model) fn supported() -> String {
    format!("supported families: {}", FAMILIES.join(", "))
}

fn object(text: &[u8], path: &Path) -> Result<Map<String, Value>, ModelError> {
    let bad = |what: String| ModelError::File { path: path.into(), what, remedy: "fetch the file again".into() };
    match serde_json::from_slice(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(bad("not a JSON object".into())),
        Err(e) => Err(bad(format!("not valid JSON: {e}"))),
    }
}

/// The width of the sliding window, where one is in force in any layer.
fn sliding_window(f: &Fields, model_type: &str) -> Result<Option<usize>, ModelError> {
    let window = f.count("sliding_window")?.filter(|&w| w > 0);
    Ok(match model_type {
        "mistral" if f.map.contains_key("sliding_window") => window,
        "mistral" => Some(4096),
        "llama" => None,
        _ if f.flag("use_sliding_window")?.unwrap_or(false) => Some(window.unwrap_or(4096)),
        _ => None,
    })
}

/// Rotary base and scaling.
fn rope(f: &Fields, max_positions: usize) -> Result<(f64, RopeScaling), ModelError> {
    let nested = ["rope_parameters", "rope_scaling"].iter().find_map(|&key| match f.map.get(key) {
        Some(Value::Object(map)) => Some((key, map)),
        _ => None,
    });
    let theta = f.number("rope_theta")?;
    let Some((key, map)) = nested else { return Ok((theta.unwrap_or(ROPE_THETA), RopeScaling::Default)) };
    let r = Fields { map, path: f.path };
    let theta = r.number("rope_theta")?.or(theta).unwrap_or(ROPE_THETA);
    let partial = r.number("partial_rotary_factor")?.or(f.number("partial_rotary_factor")?).unwrap_or(1.0);
    if partial != 1.0 {
        return Err(f.error(&format!("partial_rotary_factor {partial} is not supported"), "the decoder rotates whole heads"));
    }
    let factor = || -> Result<f64, ModelError> {
        let found = r.number("factor")?;
        found.filter(|f| *f >= 1.0).ok_or_else(|| f.error(&format!("{key}.factor must be a number ≥ 1"), "correct the field"))
    };
    let number = |name: &str| r.number(name)?.ok_or_else(|| f.error(&format!("{key}.{name} is missing"), "add the field"));
    let original = || -> Result<usize, ModelError> {
        Ok(r.count("original_max_position_embeddings")?.or(f.count("original_max_position_embeddings")?).unwrap_or(max_positions))
    };
    let kind = r.text("rope_type")?.or(r.text("type")?).unwrap_or_else(|| "default".into());
    let scaling = match kind.as_str() {
        // Dynamic NTK equals the plain embedding up to max_position_embeddings, and no context here is longer.
        "default" | "dynamic" => RopeScaling::Default,
        "linear" => RopeScaling::Linear { factor: factor()? },
        "llama3" => RopeScaling::Llama3 {
            factor: factor()?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: original()?,
        },
        "yarn" => {
            if r.flag("truncate")? == Some(false) {
                return Err(f.error(&format!("{key}.truncate: false is not supported"), "remove the field or use another model"));
            }
            let original_max_position_embeddings = original()?;
            let factor = match map.get("factor") {
                None | Some(Value::Null) => max_positions as f64 / original_max_position_embeddings.max(1) as f64,
                Some(_) => factor()?,
            };
            let scale = |m: f64| if factor <= 1.0 { 1.0 } else { 0.1 * m * factor.ln() + 1.0 };
            let attention_factor = match (r.number("attention_factor")?, r.number("mscale")?, r.number("mscale_all_dim")?) {
                (Some(a), _, _) => Some(a),
                (None, Some(m), Some(all)) if m != 0.0 && all != 0.0 => Some(scale(m) / scale(all)),
                _ => None,
            };
            RopeScaling::Yarn {
                factor,
                beta_fast: r.number("beta_fast")?.filter(|b| *b != 0.0).unwrap_or(32.0),
                beta_slow: r.number("beta_slow")?.filter(|b| *b != 0.0).unwrap_or(1.0),
                original_max_position_embeddings,
                attention_factor,
            }
        }
        other => {
            let what = format!("{key}: type {other:?} is not supported");
            return Err(f.error(&what, "supported: default, linear, dynamic, llama3, yarn"));
        }
    };
    Ok((theta, scaling))
}

/// Typed access to a JSON object's fields, `null` read as absent.
struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: &'a Path,
}

impl Fields<'_> {
    fn error(&self, what: &str, remedy: &str) -> ModelError {
        ModelError::File { path: self.path.into(), what: what.into(), remedy: remedy.into() }
    }
    fn get<T>(&self, name: &str, want: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, ModelError> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(v) => match read(v) {
                Some(t) => Ok(Some(t)),
                None => Err(self.error(&format!("{name} is {v}, not {want}"), "correct the field or fetch the file again")),
            },
        }
    }
    fn count(&self, name: &str) -> Result<Option<usize>, ModelError> {
        self.get(name, "a whole number", |v| v.as_u64().and_then(|n| usize::try_from(n).ok()))
    }
    fn needed(&self, name: &str) -> Result<usize, ModelError> {
        match self.count(name)? {
            Some(n) if n > 0 => Ok(n),
            Some(_) => Err(self.error(&format!("{name} is 0"), "correct the field or fetch the file again")),
            None => Err(self.error(&format!("{name} is missing"), "add the field or fetch the file again")),
        }
    }
    fn number(&self, name: &str) -> Result<Option<f64>, ModelError> {
        self.get(name, "a number", Value::as_f64)
    }
    fn flag(&self, name: &str) -> Result<Option<bool>, ModelError> {
        self.get(name, "true or false", Value::as_bool)
    }
    fn text(&self, name: &str) -> Result<Option<String>, ModelError> {
        self.get(name, "a string", |v| v.as_str().map(str::to_owned))
    }
    fn ids(&self, name: &str) -> Result<Option<Vec<u32>>, ModelError> {
        let id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        self.get(name, "a token id or a list of them", |v| match v {
            Value::Array(list) => list.iter().map(id).collect(),
            v => id(v).map(|i| vec![i]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!((mistral.num_key_value_heads, mistral.max_position_embeddings), (8, 4096));
        let mistral = parse(with("mistral", json!({"num_attention_heads": 16, "sliding_window": null}))).unwrap();
        assert_eq!(mistral.max_position_embeddings, 131_072);
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

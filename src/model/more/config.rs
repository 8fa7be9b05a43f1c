//! `config.json` as candle-transformers' own readers want it: every field there, none that they pass over.

use crate::model::ModelError;
use crate::model::files::{Fields, LIMITS};
use serde_json::{Map, Value, json};

/// The longest context for which positions are kept.
const MAX_CONTEXT: u64 = 16_384;

/// A `config.json` made complete.
pub(super) struct Complete {
    /// All that candle-transformers reads.
    pub(super) json: Map<String, Value>,
    /// Positions for which it computes what transformers computes.
    pub(super) context: usize,
    /// Ids that end a sequence.
    pub(super) eos: Vec<u32>,
    /// The output projection is the embedding.
    pub(super) tied: bool,
}

/// What a family's configuration class in transformers says where the file is silent.
fn defaults(family: &str) -> Value {
    match family {
        "gemma" => {
            json!({"head_dim": 256, "num_key_value_heads": 16, "attention_bias": false, "rms_norm_eps": 1e-6, "max_position_embeddings": 8192,
            "rope_theta": 1e4, "tie_word_embeddings": true, "eos_token_id": 1})
        }
        "gemma2" => {
            json!({"head_dim": 256, "num_key_value_heads": 4, "attention_bias": false, "rms_norm_eps": 1e-6, "max_position_embeddings": 8192,
            "rope_theta": 1e4, "tie_word_embeddings": true, "eos_token_id": 1, "hidden_activation": "gelu_pytorch_tanh",
            "query_pre_attn_scalar": 256})
        }
        "glm4" => json!({"head_dim": 128, "num_key_value_heads": 2, "attention_bias": true, "rms_norm_eps": 1.5625e-7,
            "max_position_embeddings": 131_072, "rope_theta": 1e4, "tie_word_embeddings": false, "hidden_act": "silu", "partial_rotary_factor": 0.5}),
        "mixtral" => json!({"num_key_value_heads": 8, "rms_norm_eps": 1e-5, "max_position_embeddings": 131_072, "rope_theta": 1e6,
            "tie_word_embeddings": false, "hidden_act": "silu", "num_experts_per_tok": 2, "num_local_experts": 8, "eos_token_id": 2}),
        "olmo" => json!({"attention_bias": false, "max_position_embeddings": 2048, "rope_theta": 1e4, "tie_word_embeddings": false,
            "hidden_act": "silu", "eos_token_id": 50_279}),
        "phi" => json!({"max_position_embeddings": 2048, "layer_norm_eps": 1e-5, "tie_word_embeddings": false, "rope_theta": 1e4,
            "partial_rotary_factor": 0.5, "qk_layernorm": false, "hidden_act": "gelu_new", "eos_token_id": 2}),
        "stablelm" => json!({"num_key_value_heads": 32, "hidden_act": "silu", "partial_rotary_factor": 0.25, "rope_theta": 1e4,
            "max_position_embeddings": 4096, "layer_norm_eps": 1e-5, "tie_word_embeddings": false, "use_qkv_bias": false, "eos_token_id": 0}),
        _ => json!({"num_key_value_heads": 2, "hidden_act": "gelu_pytorch_tanh", "max_position_embeddings": 4096, "norm_epsilon": 1e-5,
            "rope_theta": 1e4, "use_bias": true, "tie_word_embeddings": true, "eos_token_id": 50_256}),
    }
}

/// Fields whose value, where it is another than this, candle-transformers does not compute for any family.
const NEUTRAL: [(&str, &str); 6] = [
    ("quantization_config", "null"),
    ("rope_scaling", "null"),
    ("qk_layernorm", "false"),
    ("use_parallel_residual", "false"),
    ("use_bidirectional_attention", "false"),
    ("residual_multiplier", "1.0"),
];

/// Completes the fields `f` of a model of `family`. Fails on what candle-transformers does not compute.
pub(super) fn complete(f: &Fields, family: &str) -> Result<Complete, ModelError> {
    let refuse = |what: &str| f.error(&format!("{what} is not computed for {family}"), LIMITS);
    let mut map = f.map.clone();
    if let Some(Value::Object(rope)) = map.remove("rope_parameters") {
        if rope.get("rope_type").is_some_and(|kind| kind != "default") {
            return Err(refuse("rope_parameters: a scaled rotary embedding"));
        }
        map.extend(rope.into_iter().filter(|(key, _)| key == "rope_theta" || key == "partial_rotary_factor"));
    }
    if let Value::Object(defaults) = defaults(family) {
        for (key, value) in defaults {
            if map.get(&key).is_none_or(Value::is_null) {
                map.insert(key, value);
            }
        }
    }
    for (name, neutral) in NEUTRAL {
        let written = map.get(name).filter(|v| !v.is_null()).map(Value::to_string);
        if let Some(value) = written.filter(|value| value != neutral) {
            return Err(refuse(&format!("{name}: {value}")));
        }
    }
    let whole = |map: &Map<String, Value>, name: &str| Fields { map, path: f.path }.count(name);
    let needed = |map: &Map<String, Value>, name: &str| Fields { map, path: f.path }.needed(name);
    let heads = needed(&map, "num_attention_heads")?;
    let width = needed(&map, "hidden_size")? / heads;
    if map.get("num_key_value_heads").is_none_or(Value::is_null) {
        map.insert("num_key_value_heads".into(), heads.into());
    }
    for (name, most) in
        [("vocab_size", 1_usize << 22), ("hidden_size", 1 << 18), ("intermediate_size", 1 << 20), ("num_hidden_layers", 1 << 12)]
    {
        let size = needed(&map, name)?;
        if size > most {
            return Err(f.error(&format!("{name} is {size}; a decoder has 1 to {most}"), "correct the field or fetch the file again"));
        }
    }
    // The window is not computed as transformers does; inside it attention is full, so that is where the context ends.
    let window = whole(&map, "sliding_window")?.filter(|&w| w > 0);
    map.insert("sliding_window".into(), if family == "mixtral" { MAX_CONTEXT.into() } else { Value::Null });
    let context = needed(&map, "max_position_embeddings")?.min(MAX_CONTEXT as usize).min(window.unwrap_or(usize::MAX));
    map.insert("max_position_embeddings".into(), context.into());
    match family {
        "mixtral" if whole(&map, "head_dim")?.is_some_and(|d| d != width) => {
            return Err(refuse("head_dim that is not hidden_size by heads"));
        }
        "gemma" => {
            // transformers reads hidden_act alone.
            map.remove("hidden_activation");
            map.entry("hidden_act").or_insert_with(|| "gelu_pytorch_tanh".into());
        }
        "mixtral" => {
            map.insert("use_flash_attn".into(), false.into());
        }
        "stablelm" => {
            map.insert("use_cache".into(), true.into());
        }
        _ => {}
    }
    let complete = Fields { map: &map, path: f.path };
    let tied = complete.flag("tie_word_embeddings")?.unwrap_or(false);
    if !tied && matches!(family, "gemma" | "gemma2" | "starcoder2") {
        return Err(refuse("tie_word_embeddings: false"));
    }
    let eos = complete.ids("eos_token_id")?.unwrap_or_default();
    Ok(Complete { context, eos, tied, json: map })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(family: &str, more: Value) -> Result<Complete, ModelError> {
        let mut v = json!({"model_type": family, "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4});
        more.as_object().unwrap().iter().for_each(|(k, x)| v[k] = x.clone());
        let Value::Object(map) = v else { panic!() };
        complete(&Fields { map: &map, path: Path::new("m/config.json") }, family)
    }

    #[test]
    fn what_is_missing_is_the_familys_default_and_a_window_ends_the_context() {
        let c = read("gemma2", json!({"rope_parameters": {"rope_type": "default", "rope_theta": 5e3}, "sliding_window": 100})).unwrap();
        assert_eq!((c.context, c.eos, c.tied), (100, vec![1], true));
        assert_eq!((&c.json["rope_theta"], &c.json["head_dim"], &c.json["sliding_window"]), (&json!(5e3), &json!(256), &Value::Null));
        let c = read("mixtral", json!({"sliding_window": null})).unwrap();
        assert_eq!((c.context, c.tied), (16_384, false));
    }

    #[test]
    fn what_is_not_computed_is_refused() {
        for (family, more, word) in [
            ("phi", json!({"qk_layernorm": true}), "qk_layernorm"),
            ("glm4", json!({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}), "rope_parameters"),
            ("stablelm", json!({"use_parallel_residual": true}), "use_parallel_residual"),
            ("starcoder2", json!({"tie_word_embeddings": false}), "tie_word_embeddings"),
            ("mixtral", json!({"head_dim": 16}), "head_dim"),
            ("gemma", json!({"quantization_config": {}}), "quantization_config"),
        ] {
            let error = read(family, more).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(word) && error.contains(family) && error.contains("m/config.json"), "{family}: {error}");
        }
    }
}

//! Seeds of what models are made of: small ones, so that a changed byte is likely to matter.

use crate::{Seeds, files};
use candle_core::quantized::gguf_file::{Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use reasonscope::model::TextTokenizer;
use serde_json::json;
use std::collections::HashMap;
use std::error::Error;
use std::io::Cursor;

// Width, rows of the embedding, and width of the MLP of the smallest decoder.
const HIDDEN: usize = 32;
const VOCAB: usize = 4;
const INNER: usize = 32;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The tensors of a decoder of one block, under their names on the hub.
fn tensors() -> Result<Vec<(String, Tensor)>> {
    let block = |part: &str| format!("model.layers.0.{part}.weight");
    let shapes: Vec<(String, Vec<usize>)> = vec![
        ("model.embed_tokens.weight".into(), vec![VOCAB, HIDDEN]),
        ("model.norm.weight".into(), vec![HIDDEN]),
        (block("input_layernorm"), vec![HIDDEN]),
        (block("post_attention_layernorm"), vec![HIDDEN]),
        (block("self_attn.q_proj"), vec![HIDDEN, HIDDEN]),
        (block("self_attn.k_proj"), vec![HIDDEN, HIDDEN]),
        (block("self_attn.v_proj"), vec![HIDDEN, HIDDEN]),
        (block("self_attn.o_proj"), vec![HIDDEN, HIDDEN]),
        (block("mlp.gate_proj"), vec![INNER, HIDDEN]),
        (block("mlp.up_proj"), vec![INNER, HIDDEN]),
        (block("mlp.down_proj"), vec![HIDDEN, INNER]),
    ];
    shapes.into_iter().map(|(name, shape)| Ok((name, Tensor::ones(shape, DType::F32, &Device::Cpu)?))).collect()
}

/// The name of a tensor in a GGUF file.
fn gguf_name(name: &str) -> String {
    let pairs = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("model.layers.", "blk."),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    pairs.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

fn gguf(tensors: &[(String, Tensor)], dtype: GgmlDType, tokens: &[&str], kind: &str) -> Result<Vec<u8>> {
    let text = |s: &str| Value::String(s.into());
    let number = |n: u32| Value::U32(n);
    let list = |words: &[&str]| Value::Array(words.iter().map(|w| text(w)).collect());
    let metadata = [
        ("general.architecture", text("llama")),
        ("llama.embedding_length", number(HIDDEN as u32)),
        ("llama.feed_forward_length", number(INNER as u32)),
        ("llama.block_count", number(1)),
        ("llama.context_length", number(64)),
        ("llama.attention.head_count", number(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.scaling.type", text("linear")),
        ("llama.rope.scaling.factor", Value::F32(2.0)),
        ("tokenizer.ggml.model", text(kind)),
        ("tokenizer.ggml.pre", text("qwen2")),
        ("tokenizer.ggml.tokens", list(tokens)),
        ("tokenizer.ggml.scores", Value::Array(tokens.iter().map(|_| Value::F32(0.0)).collect())),
        ("tokenizer.ggml.token_type", Value::Array(vec![Value::I32(3), Value::I32(1), Value::I32(1), Value::I32(1)])),
        ("tokenizer.ggml.merges", list(&["a b"])),
        ("tokenizer.ggml.bos_token_id", number(0)),
        ("tokenizer.ggml.eos_token_id", number(0)),
        ("tokenizer.chat_template", text("{{ messages[0]['content'] }}")),
    ];
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(name, value)| (*name, value)).collect();
    let stored = tensors.iter().map(|(name, tensor)| {
        let dtype = if tensor.rank() == 1 { GgmlDType::F32 } else { dtype };
        Ok((gguf_name(name), QTensor::quantize(tensor, dtype)?))
    });
    let stored: Vec<(String, QTensor)> = stored.collect::<Result<_>>()?;
    let stored: Vec<(&str, &QTensor)> = stored.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut out = Cursor::new(Vec::new());
    write(&mut out, &metadata, &stored)?;
    Ok(out.into_inner())
}

/// As a safetensors file.
fn safetensors(tensors: Vec<(String, Tensor)>, name: &str) -> Result<Vec<u8>> {
    let path = reasonscope_fuzz::folder().join(name);
    candle_core::safetensors::save(&tensors.into_iter().collect::<HashMap<_, _>>(), &path)?;
    Ok(std::fs::read(path)?)
}

pub fn put(seeds: &Seeds) -> Result<()> {
    let all = tensors()?;
    for dtype in [GgmlDType::F32, GgmlDType::Q8_0, GgmlDType::Q4_0] {
        seeds.put("gguf", &[&gguf(&all, dtype, &["<s>", "a", "b", "ab"], "gpt2")?])?;
        seeds.put("gguf", &[&gguf(&all, dtype, &["<unk>", "\u{2581}", "a", "<0x0A>"], "llama")?])?;
    }
    let weights = safetensors(all, "model.safetensors")?;
    let config = |kind: &str, scaling: serde_json::Value| {
        json!({ "model_type": kind, "hidden_size": HIDDEN, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": INNER,
            "num_hidden_layers": 1, "vocab_size": VOCAB, "tie_word_embeddings": true, "max_position_embeddings": 64, "rope_scaling": scaling,
            "attention_bias": false, "use_sliding_window": false })
        .to_string()
        .into_bytes()
    };
    let special = br#"{"bos_token":"<s>","eos_token":{"content":"</s>"}}"#;
    let llama3 = json!({ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32 });
    for (kind, scaling) in [
        ("llama", json!(null)),
        ("mistral", json!({ "type": "linear", "factor": 2 })),
        ("llama", llama3),
        ("llama", json!({ "rope_type": "yarn", "factor": 2 })),
    ] {
        seeds.put("model", &[&config(kind, scaling), &weights, br#"{"eos_token_id":[0,1]}"#, special])?;
    }
    let adapter = |rank: usize, shape: &[usize], part: &str| -> Result<(String, Tensor)> {
        let name = format!("base_model.model.model.layers.0.self_attn.q_proj.lora_{part}.weight");
        Ok((name, Tensor::ones([&[rank], shape].concat(), DType::F32, &Device::Cpu)?))
    };
    let b = Tensor::ones((32, 1), DType::F32, &Device::Cpu)?;
    let lora = vec![adapter(1, &[32], "A")?, ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight".into(), b)];
    let peft = json!({ "peft_type": "LORA", "base_model_name_or_path": "base", "r": 1, "lora_alpha": 2, "target_modules": ["q_proj"], "bias": "none" });
    seeds.put("adapter", &[peft.to_string().as_bytes(), &safetensors(lora, "adapter.safetensors")?, special])?;
    seeds.put("reward_card", &[&std::fs::read("assets/reward/reward.json")?])?;
    seeds.put("reward_card", &[&std::fs::read("assets/reward/reward.json")?, b"rsprobs1\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0"])?;
    let trained = TextTokenizer::train_bpe(["Tom has 12 é days.\n"].into_iter(), 270)?.to_json()?;
    seeds.put("tokenizer", &[trained.as_bytes(), "Tom has 12 é日.\n\n 3".as_bytes(), special])?;
    for small in [
        json!({ "version": "1.0", "model": { "type": "BPE", "vocab": { "a": 0, "b": 1, "ab": 2, "<s>": 3 }, "merges": ["a b"] }, "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true }, "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
            "added_tokens": [{ "id": 3, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true }] }),
        json!({ "version": "1.0", "model": { "type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["▁a", -1.0], ["b", -2.0]], "byte_fallback": false }, "normalizer": { "type": "Prepend", "prepend": "▁" }, "decoder": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true } }),
    ] {
        seeds.put("tokenizer", &[small.to_string().as_bytes(), b"ab a b", special])?;
    }
    templates(seeds)
}

/// The chat templates of the tests, each by itself.
fn templates(seeds: &Seeds) -> Result<()> {
    for (name, bytes) in files("tests/fixtures")? {
        if name != "chat_templates.json" {
            continue;
        }
        let all: serde_json::Value = serde_json::from_slice(&bytes)?;
        for template in all.as_array().into_iter().flatten().filter_map(|t| t["template"].as_str()) {
            seeds.put("chat_template", &[template.as_bytes(), b" 6 * 7? \"Say\" ", b"be brief"])?;
        }
    }
    let calls = "{% for m in messages %}{{ m.role | upper }}: {{ (m.content.split('a') | join('-')).strip().title() | tojson(indent=2) }}{% endfor %}";
    Ok(seeds.put("chat_template", &[calls.as_bytes(), b"a b"])?)
}

//! Tokenizers rebuilt from GGUF metadata, with the ids that the model's own `tokenizer.json` gives.

use crate::model::{GgufFile, ModelError, TextTokenizer};
use crate::util::foreign;
use candle_core::quantized::gguf_file::Value;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use tokenizers::models::bpe::{BPE, BpeBuilder, Vocab};
use tokenizers::{AddedToken, Tokenizer};

/// Token types of GGUF: part of the text of prompts only.
const CONTROL: i64 = 3;
/// Token types of GGUF: added by the model's maker, never split.
const USER_DEFINED: i64 = 4;
const UNKNOWN: i64 = 2;

/// Qwen2's split into words: one digit at a time, contractions in any case.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Llama 3's split into words: up to three digits at a time.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 3.5's: as Qwen2's, marks with the letters that they stand on.
const QWEN35: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// GPT-4o's: words parted where their case changes, up to three digits.
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Mistral's Tekken: as GPT-4o's without contractions, one digit.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// DeepSeek-V3's, one after the other.
const DEEPSEEK3: [&str; 3] = [
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
];
/// What llama.cpp does with a file that does not say.
const DEFAULT: [&str; 4] =
    [r"[\p{P}\$\+<=>\^~\|]+", r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)", r"\p{N}+", r"[0-9][0-9][0-9]"];

/// Whether a word that is a token needs no merges, and a text begins with BOS where the file does not say.
fn like_llama3(pre: &str) -> bool {
    matches!(pre, "llama-bpe" | "llama3" | "llama-v3" | "tekken")
}

/// What to do where the metadata is not enough.
const REMEDY: &str = "put the model's tokenizer.json beside the file";

/// The tokenizer of a GGUF file: byte-level BPE (`gpt2`) with a known pre-tokenizer, or SentencePiece BPE (`llama`).
pub(in crate::model) fn tokenizer(file: &GgufFile) -> Result<TextTokenizer, ModelError> {
    let kind = file.text("tokenizer.ggml.model").ok_or_else(|| file.error("tokenizer.ggml.model is missing", REMEDY))?;
    let tokens = strings(file, "tokenizer.ggml.tokens")?;
    let types: Vec<i64> = match file.content.metadata.get("tokenizer.ggml.token_type") {
        Some(Value::Array(list)) => list.iter().map(token_type).collect(),
        _ => vec![1; tokens.len()],
    };
    if types.len() != tokens.len() {
        return Err(file.error(format!("{} tokens but {} token types", tokens.len(), types.len()), REMEDY));
    }
    let id = |name: &str| file.count(&format!("tokenizer.ggml.{name}_token_id")).filter(|&i| i < tokens.len());
    let (bos, eos, unk) = (id("bos"), id("eos"), id("unknown"));
    let pre = file.text("tokenizer.ggml.pre").unwrap_or(if kind == "gpt2" { "default" } else { "" });
    let (mut parts, model, add_bos) = match kind {
        "gpt2" => {
            let (parts, model) = byte_level(file, &tokens, pre)?;
            (parts, model, like_llama3(pre))
        }
        "llama" => {
            let (parts, model) = pieces(file, &tokens, unk)?;
            (parts, model, true)
        }
        other => return Err(file.error(format!("tokenizer.ggml.model {other:?} cannot be rebuilt"), REMEDY)),
    };
    let special = |i: usize| types[i] == CONTROL || types[i] == UNKNOWN || Some(i) == bos || Some(i) == eos;
    let added = (0..tokens.len()).filter(|&i| special(i) || types[i] == USER_DEFINED);
    let added: Vec<AddedToken> = added.map(|i| AddedToken::from(tokens[i].as_str(), special(i)).normalized(false)).collect();
    if file.flag("tokenizer.ggml.add_bos_token").unwrap_or(add_bos)
        && let Some(bos) = bos
    {
        parts["post_processor"] = bos_template(&tokens[bos], bos);
    }
    // Vocabulary and merges are handed over as they are: as JSON they would be several times as large, and read twice.
    parts["model"] = json!({"type": "BPE", "vocab": {}, "merges": []});
    let bytes = serde_json::to_vec(&parts).map_err(|e| file.error(e.to_string(), REMEDY))?;
    let damaged = || file.error("the tokenizer cannot be rebuilt: the metadata are damaged", REMEDY);
    let make = || {
        let mut made = Tokenizer::from_bytes(bytes)?;
        made.with_model(model.build()?);
        made.add_tokens(added)?;
        Ok::<_, tokenizers::Error>(made)
    };
    let made = foreign::call(make).ok_or_else(damaged)?;
    let inner = made.map_err(|e| file.error(format!("the tokenizer cannot be rebuilt: {e}"), REMEDY))?;
    let mut tokenizer = foreign::call(|| TextTokenizer::new(inner, &file.path)).ok_or_else(damaged)??;
    tokenizer.set_special(bos.map(|i| tokens[i].clone()), eos.map(|i| tokens[i].clone()));
    Ok(tokenizer)
}

/// The type of a token, which files have as a number of 32 bits; candle's readers take no other width for it than they name.
fn token_type(value: &Value) -> i64 {
    match value {
        // As nearly all files have it; an error, which every other reader would make of it, is slow.
        Value::I32(n) => i64::from(*n),
        Value::I64(n) => *n,
        other => other.to_u64().map_or(1, |n| n as i64),
    }
}

/// The parts of `tokenizer.json` for byte-level BPE, and its model.
fn byte_level(file: &GgufFile, tokens: &[String], pre: &str) -> Result<(Json, BpeBuilder), ModelError> {
    let bytes = |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex});
    let split = |regex: &str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
    let sequence = |parts: Vec<Json>| json!({"type": "Sequence", "pretokenizers": parts});
    let splits = |regexes: &[&str]| sequence(regexes.iter().map(|r| split(r)).chain([bytes(false)]).collect());
    let (normalizer, pre_tokenizer) = match pre {
        "gpt-2" | "phi-2" => (Json::Null, bytes(true)),
        "olmo" => (json!({"type": "NFC"}), bytes(true)),
        "smollm" | "starcoder" | "refact" | "codeshell" => {
            (Json::Null, sequence(vec![json!({"type": "Digits", "individual_digits": true}), bytes(true)]))
        }
        "qwen2" | "deepseek-r1-qwen" => (json!({"type": "NFC"}), splits(&[QWEN2])),
        "qwen35" => (json!({"type": "NFC"}), splits(&[QWEN35])),
        "llama-bpe" | "llama3" | "llama-v3" | "smaug-bpe" | "dbrx" => (Json::Null, splits(&[LLAMA3])),
        "gpt-4o" | "llama4" => (Json::Null, splits(&[GPT4O])),
        "tekken" => (Json::Null, splits(&[TEKKEN])),
        "deepseek-v3" => (Json::Null, splits(&DEEPSEEK3)),
        "default" => {
            tracing::warn!(file = %file.path.display(), "the file does not say how its tokenizer splits text into words; the plain way of llama.cpp is taken");
            (Json::Null, splits(&DEFAULT))
        }
        other => {
            let known = "known: default, gpt-2, phi-2, olmo, smollm, starcoder, refact, codeshell, qwen2, qwen35, deepseek-r1-qwen, deepseek-v3, llama-bpe, \
                         llama4, smaug-bpe, dbrx, gpt-4o, tekken";
            return Err(file.error(format!("tokenizer.ggml.pre {other:?} is not known ({known})"), REMEDY));
        }
    };
    let pair = |m: &String| {
        let pair = m.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
        pair.ok_or_else(|| file.error(format!("tokenizer.ggml.merges: {m:?} is no pair"), REMEDY))
    };
    let merges = strings(file, "tokenizer.ggml.merges")?.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
    let parts = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": bytes(true),
    });
    Ok((parts, BPE::builder().vocab_and_merges(vocab(tokens), merges).ignore_merges(like_llama3(pre))))
}

/// The parts of `tokenizer.json` for SentencePiece BPE, and its model; merges follow from the scores as in transformers' converter: better score first.
fn pieces(file: &GgufFile, tokens: &[String], unk: Option<usize>) -> Result<(Json, BpeBuilder), ModelError> {
    let scores: Vec<f32> = match file.content.metadata.get("tokenizer.ggml.scores") {
        Some(Value::Array(list)) => list.iter().map(|v| v.to_f32().unwrap_or(f32::NEG_INFINITY)).collect(),
        _ => return Err(file.error("tokenizer.ggml.scores is missing", REMEDY)),
    };
    if scores.len() != tokens.len() {
        return Err(file.error(format!("{} tokens but {} scores", tokens.len(), scores.len()), REMEDY));
    }
    let ids: HashMap<&str, usize> = tokens.iter().enumerate().map(|(i, t)| (t.as_str(), i)).collect();
    let mut merges: Vec<(f32, usize, usize, &str, &str)> = Vec::new();
    for (token, &score) in tokens.iter().zip(&scores) {
        let mut local: Vec<(usize, usize, &str, &str)> = token
            .char_indices()
            .skip(1)
            .filter_map(|(at, _)| {
                let (l, r) = token.split_at(at);
                Some((*ids.get(l)?, *ids.get(r)?, l, r))
            })
            .collect();
        local.sort_unstable();
        merges.extend(local.into_iter().map(|(_, _, l, r)| (score, l.chars().count(), r.chars().count(), l, r)));
    }
    // Stable, so that equal scores keep the vocabulary's order.
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(b.2.cmp(&a.2)));
    let merges = merges.into_iter().map(|(_, _, _, l, r)| (l.to_owned(), r.to_owned())).collect();
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let prefix = file.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    let normalizer = match prefix {
        true => json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace(" ", "▁")]}),
        false => replace(" ", "▁"),
    };
    let mut decoders = vec![replace("▁", " "), json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    if prefix {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    let parts = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "normalizer": normalizer, "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": decoders},
    });
    let model = BPE::builder().vocab_and_merges(vocab(tokens), merges).fuse_unk(true).byte_fallback(true);
    Ok((parts, if let Some(unk) = unk { model.unk_token(tokens[unk].clone()) } else { model }))
}

fn vocab(tokens: &[String]) -> Vocab {
    tokens.iter().zip(0..).map(|(token, id)| (token.clone(), id)).collect()
}

/// A post-processor that puts `token` before the text.
fn bos_template(token: &str, id: usize) -> Json {
    let bos = |type_id: usize| json!({"SpecialToken": {"id": token, "type_id": type_id}});
    let text = |name: &str, type_id: usize| json!({"Sequence": {"id": name, "type_id": type_id}});
    json!({"type": "TemplateProcessing", "single": [bos(0), text("A", 0)], "pair": [bos(0), text("A", 0), bos(1), text("B", 1)],
        "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}}})
}

fn strings(file: &GgufFile, key: &str) -> Result<Vec<String>, ModelError> {
    let Some(Value::Array(list)) = file.content.metadata.get(key) else {
        return Err(file.error(format!("{key} is missing"), REMEDY));
    };
    let texts = list.iter().map(|v| v.to_string().cloned());
    texts.collect::<Result<_, _>>().map_err(|_| file.error(format!("{key} holds something that is no string"), REMEDY))
}

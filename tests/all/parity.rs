//! The decoder against Hugging Face transformers on tiny random models (`tests/make_fixtures.py`), and its own paths against each other.

use candle_core::{
    DType, Device, Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{Value, write},
    },
};
use reasonscope::model::{
    Config, Decoder, GgufFile, LinearWeight, ModelError, ModelFiles, Packed, RopeScaling, SafetensorsSource, WeightSource,
};
use serde::Deserialize;
use std::{
    fs::File,
    path::{Path, PathBuf},
};

const MODELS: [&str; 20] = [
    "llama-tied",
    "llama3-rope",
    "llama-linear",
    "mistral",
    "mistral-window",
    "qwen2",
    "qwen2-yarn",
    "qwen2-window",
    "qwen2.5-vl",
    "qwen3",
    "qwen3-moe",
    "qwen3-moe-plain",
    "gemma3",
    "gemma3-plain",
    "phi3",
    "phi3-longrope",
    "smollm3",
    "olmo2",
    "olmo3",
    "granite",
];
/// Largest difference of a logit, in f32.
const TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
struct Expected {
    ids: Vec<u32>,
    rows: Vec<usize>,
    logits: Vec<Vec<f32>>,
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn source(name: &str) -> (Config, SafetensorsSource) {
    let files = ModelFiles::open(&fixture(name)).unwrap();
    (files.config().unwrap(), SafetensorsSource::open(&files, &Device::Cpu, DType::F32, None).unwrap())
}

fn decoder(name: &str) -> Decoder {
    let (config, source) = source(name);
    Decoder::load(&config, &source, &mut |_| {}).unwrap()
}

fn expected(name: &str) -> Vec<Expected> {
    serde_json::from_slice(&std::fs::read(fixture(name).join("expected.json")).unwrap()).unwrap()
}

/// Logits of one sequence, a row a token.
fn whole(d: &Decoder, ids: &[u32]) -> Vec<Vec<f32>> {
    let mut batch = Packed::default();
    batch.push(ids);
    d.logits(&d.forward(&batch).unwrap()).unwrap().to_vec2().unwrap()
}

fn distance(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().flatten().zip(b.iter().flatten()).map(|(x, y)| (x - y).abs()).fold(0.0, |m, d| if d.is_nan() { f32::NAN } else { m.max(d) })
}

fn assert_near(a: &[Vec<f32>], b: &[Vec<f32>], what: &str) {
    let d = distance(a, b);
    assert!(d < TOLERANCE, "{what}: logits differ by {d}");
}

#[test]
fn logits_agree_with_transformers() {
    for name in MODELS {
        let d = decoder(name);
        for case in expected(name) {
            let logits = whole(&d, &case.ids);
            let rows: Vec<Vec<f32>> = case.rows.iter().map(|&r| logits[r].clone()).collect();
            assert_near(&rows, &case.logits, &format!("{name}, {} tokens", case.ids.len()));
        }
    }
}

#[test]
fn cached_and_uncached_agree_however_the_text_is_cut() {
    for name in MODELS {
        let d = decoder(name);
        let ids = &expected(name)[2].ids;
        let want = whole(&d, ids);
        for step in [1, 3, 5, ids.len()] {
            let mut cache = d.cache();
            let row = cache.add_row(None);
            let mut got = Vec::new();
            for part in ids.chunks(step) {
                let hidden = d.forward_cached(&[(row, part)], &mut cache).unwrap();
                got.extend(d.logits(&hidden).unwrap().to_vec2::<f32>().unwrap());
            }
            assert_near(&got, &want, &format!("{name} in chunks of {step}"));
        }
    }
}

#[test]
fn a_ragged_batch_agrees_with_single_sequences() {
    for name in MODELS {
        let d = decoder(name);
        let cases = expected(name);
        let want: Vec<Vec<f32>> = cases.iter().flat_map(|c| whole(&d, &c.ids)).collect();
        let mut batch = Packed::default();
        cases.iter().for_each(|c| batch.push(&c.ids));
        let got: Vec<Vec<f32>> = d.logits(&d.forward(&batch).unwrap()).unwrap().to_vec2().unwrap();
        assert_near(&got, &want, &format!("{name}, packed"));
        let mut cache = d.cache();
        let chunks: Vec<(usize, &[u32])> = cases.iter().map(|c| (cache.add_row(None), &c.ids[..])).collect();
        let got: Vec<Vec<f32>> = d.logits(&d.forward_cached(&chunks, &mut cache).unwrap()).unwrap().to_vec2().unwrap();
        assert_near(&got, &want, &format!("{name}, cached"));
    }
}

#[test]
fn rows_that_share_a_prompt_agree_with_rows_that_do_not() {
    for name in MODELS {
        let d = decoder(name);
        let prompt = expected(name)[2].ids.clone();
        let tails: [&[u32]; 3] = [&[3, 4, 5, 6], &[90, 1], &[7]];
        let mut cache = d.cache();
        let shared = cache.add_row(None);
        d.forward_cached(&[(shared, &prompt)], &mut cache).unwrap();
        let rows: Vec<usize> = tails.iter().map(|_| cache.add_row(Some(shared))).collect();
        let chunks: Vec<(usize, &[u32])> = rows.iter().copied().zip(tails).collect();
        let hidden = d.forward_cached(&chunks, &mut cache).unwrap();
        let mut got = d.logits(&hidden).unwrap().to_vec2::<f32>().unwrap().into_iter();
        for tail in tails {
            let want = whole(&d, &[&prompt[..], tail].concat()).split_off(prompt.len());
            let got: Vec<Vec<f32>> = got.by_ref().take(tail.len()).collect();
            assert_near(&got, &want, &format!("{name}, tail of {}", tail.len()));
        }
        // And once more from where each row stands.
        let hidden = d.forward_cached(&[(rows[1], &[8, 9])], &mut cache).unwrap();
        let want = whole(&d, &[&prompt[..], tails[1], &[8, 9]].concat()).split_off(prompt.len() + 2);
        assert_near(&d.logits(&hidden).unwrap().to_vec2().unwrap(), &want, &format!("{name}, continued"));
    }
}

/// Rows of each head from half-split into interleaved rotary order, as llama.cpp's converter writes them.
fn interleave(w: &Tensor, heads: usize) -> Tensor {
    let rows = w.dim(0).unwrap();
    let rest = &w.dims()[1..];
    let split = [&[heads, 2, rows / heads / 2], rest].concat();
    w.reshape(split).unwrap().transpose(1, 2).unwrap().contiguous().unwrap().reshape(w.shape()).unwrap()
}

/// Writes the model as GGUF, matrices in `kind`.
pub fn write_gguf(name: &str, kind: GgmlDType, path: &Path) {
    let (c, source) = source(name);
    let arch = match c.model_type.as_str() {
        "mistral" => "llama",
        "qwen2_5_vl" => "qwen2vl",
        "qwen3_moe" => "qwen3moe",
        "olmo3" => "olmo2",
        same => same,
    };
    let mut tensors = Vec::new();
    for layer in 0..c.num_hidden_layers {
        for part in ["gate", "up", "down"].iter().filter(|_| c.experts(layer).is_some()) {
            let of = |e: usize| format!("model.layers.{layer}.mlp.experts.{e}.{part}_proj.weight");
            let all = (0..c.experts(layer).unwrap().count).map(|e| source.tensor(&of(e), source.shape(&of(e)).unwrap()).unwrap());
            let stacked = Tensor::stack(&all.collect::<Vec<_>>(), 0).unwrap();
            tensors.push((format!("blk.{layer}.ffn_{part}_exps.weight"), QTensor::quantize(&stacked, kind).unwrap()));
        }
    }
    for hf in source.names().into_iter().filter(|n| !n.contains(".experts.") && !n.starts_with("visual")) {
        let mut w = source.tensor(hf, source.shape(hf).unwrap()).unwrap();
        for (part, heads) in [("q_proj", c.num_attention_heads), ("k_proj", c.num_key_value_heads)] {
            if matches!(arch, "llama" | "smollm3" | "granite") && hf.contains(part) {
                w = interleave(&w, heads);
            }
        }
        if arch == "gemma3" && hf.ends_with("norm.weight") {
            w = (w + 1.0).unwrap();
        }
        let hf = match arch {
            "gemma3" | "olmo2" => &hf.replace("post_attention_layernorm", "post_attention_norm"),
            _ => hf,
        };
        let mut name = hf.strip_prefix("model.").unwrap_or(hf).to_owned();
        for (from, to) in [
            ("embed_tokens", "token_embd"),
            ("lm_head", "output"),
            ("layers.", "blk."),
            ("self_attn.o_proj", "attn_output"),
            ("self_attn.", "attn_"),
            ("post_attention_layernorm", "ffn_norm"),
            ("pre_feedforward_layernorm", "ffn_norm"),
            ("post_feedforward_layernorm", "post_ffw_norm"),
            ("input_layernorm", "attn_norm"),
            ("mlp.gate.", "ffn_gate_inp."),
            ("mlp.gate_up_proj", "ffn_up"),
            ("mlp.", "ffn_"),
            ("_proj", ""),
        ] {
            name = name.replace(from, to);
        }
        if name == "norm.weight" {
            name = "output_norm.weight".into();
        }
        let kind = if w.rank() == 2 { kind } else { GgmlDType::F32 };
        tensors.push((name, QTensor::quantize(&w, kind).unwrap()));
    }
    let mut metadata: Vec<(String, Value)> = vec![("general.architecture".into(), Value::String(arch.into()))];
    let mut put = |key: &str, v: Value| metadata.push((format!("{arch}.{key}"), v));
    let count = |n: usize| Value::U32(n as u32);
    put("block_count", count(c.num_hidden_layers));
    put("embedding_length", count(c.hidden_size));
    put("feed_forward_length", count(c.intermediate_size));
    put("attention.head_count", count(c.num_attention_heads));
    put("attention.head_count_kv", count(c.num_key_value_heads));
    put("attention.key_length", count(c.head_dim));
    put("attention.layer_norm_rms_epsilon", Value::F32(c.rms_norm_eps as f32));
    put("rope.freq_base", Value::F32(c.rope_theta as f32));
    put("rope.dimension_count", count(c.rotary_dim()));
    let variant = &c.variant;
    if let Some(window) = variant.window {
        put("attention.sliding_window", count(window));
    }
    if let Some(experts) = &variant.experts {
        put("expert_count", count(experts.count));
        put("expert_used_count", count(experts.per_token));
        put("expert_feed_forward_length", count(experts.intermediate_size));
    }
    if arch == "granite" {
        put("embedding_scale", Value::F32(variant.embedding_multiplier as f32));
        put("residual_scale", Value::F32(variant.residual_multiplier as f32));
        put("attention.scale", Value::F32(variant.attention_scale.unwrap() as f32));
        put("logit_scale", Value::F32(variant.logits_divisor as f32));
    }
    // LongRoPE's context is that of the first training; the file has both.
    let longer = if matches!(c.rope_scaling, RopeScaling::LongRope { .. }) { 4 } else { 1 };
    put("context_length", count(longer * c.max_position_embeddings));
    match &c.rope_scaling {
        RopeScaling::Default => {}
        RopeScaling::LongRope { short_factor, .. } => {
            put("rope.scaling.original_context_length", count(c.max_position_embeddings));
            let short: Vec<f32> = short_factor.iter().map(|f| *f as f32).collect();
            let short = Tensor::from_vec(short, short_factor.len(), &Device::Cpu).unwrap();
            tensors.push(("rope_factors_short.weight".into(), QTensor::quantize(&short, GgmlDType::F32).unwrap()));
        }
        RopeScaling::Linear { factor } => {
            put("rope.scaling.type", Value::String("linear".into()));
            put("rope.scaling.factor", Value::F32(*factor as f32));
        }
        RopeScaling::Yarn { factor, original_max_position_embeddings, .. } => {
            put("rope.scaling.type", Value::String("yarn".into()));
            put("rope.scaling.factor", Value::F32(*factor as f32));
            put("rope.scaling.original_context_length", count(*original_max_position_embeddings));
        }
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
            let half = c.head_dim / 2;
            let divisors: Vec<f32> = (0..half)
                .map(|i| {
                    let wavelength = std::f64::consts::TAU * c.rope_theta.powf(i as f64 / half as f64);
                    let turns = *original_max_position_embeddings as f64 / wavelength;
                    let smooth = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                    (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
                })
                .collect();
            let divisors = Tensor::from_vec(divisors, half, &Device::Cpu).unwrap();
            tensors.push(("rope_freqs.weight".into(), QTensor::quantize(&divisors, GgmlDType::F32).unwrap()));
        }
    }
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(k, v)| (k.as_str(), v)).collect();
    write(&mut File::create(path).unwrap(), &metadata, &tensors).unwrap();
}

fn gguf_decoder(path: &Path) -> Decoder {
    let file = GgufFile::open(path).unwrap();
    let config = file.config().unwrap();
    Decoder::load(&config, &file.source(&Device::Cpu, DType::F32, None), &mut |_| {}).unwrap()
}

#[test]
fn a_config_with_fewer_layers_than_the_weights_is_refused() {
    for name in MODELS {
        let (mut config, source) = source(name);
        config.num_hidden_layers -= 1;
        let error = Decoder::load(&config, &source, &mut |_| {}).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("num_hidden_layers"), "{name}: {error}");
    }
}

/// Models that a GGUF can say. Llama 3's scaling stands in one only for its published parameters, which a context of 128 cannot have; windows of Mistral and
/// Qwen2, Gemma's `query_pre_attn_scalar` and layers of a mixture that have a plain MLP do not stand in one at all.
fn in_gguf() -> impl Iterator<Item = &'static str> {
    MODELS.into_iter().filter(|&m| !["llama3-rope", "mistral-window", "qwen2-window", "gemma3", "qwen3-moe"].contains(&m))
}

#[test]
fn a_gguf_of_the_same_weights_gives_the_same_logits() {
    let dir = tempfile::tempdir().unwrap();
    for name in in_gguf() {
        let path = dir.path().join(format!("{name}.gguf"));
        write_gguf(name, GgmlDType::F32, &path);
        let (a, b) = (decoder(name), gguf_decoder(&path));
        let (ours, theirs) = (a.config(), b.config());
        assert_eq!(
            (ours.tie_word_embeddings, ours.qkv_bias, ours.o_bias, ours.qk_norm, ours.head_dim),
            (theirs.tie_word_embeddings, theirs.qkv_bias, theirs.o_bias, theirs.qk_norm, theirs.head_dim),
            "{name}"
        );
        let (plain, mut read) = (&ours.variant, theirs.variant.clone());
        // f32 in the file.
        read.embedding_multiplier = plain.embedding_multiplier;
        read.residual_multiplier = plain.residual_multiplier;
        assert_eq!(format!("{plain:?}"), format!("{read:?}"), "{name}");
        let ids = &expected(name)[2].ids;
        assert_near(&whole(&b, ids), &whole(&a, ids), name);
    }
}

/// A source whose linear weights are all dequantised.
struct Dense(reasonscope::model::GgufSource);

impl WeightSource for Dense {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        self.0.tensor(name, shape)
    }
    fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

#[test]
fn quantised_weights_stay_quantised_and_compute_what_they_stand_for() {
    let dir = tempfile::tempdir().unwrap();
    // The codes stand in blocks of 32.
    for name in in_gguf().filter(|name| source(name).0.hidden_size.is_multiple_of(32)) {
        for kind in [GgmlDType::Q8_0, GgmlDType::Q4_0, GgmlDType::Q4_1] {
            let path = dir.path().join("model.gguf");
            write_gguf(name, kind, &path);
            let file = GgufFile::open(&path).unwrap();
            let config = file.config().unwrap();
            let source = file.source(&Device::Cpu, DType::F32, None);
            let q = config.num_attention_heads * config.head_dim;
            let weight = source.linear("model.layers.1.self_attn.q_proj.weight", q, config.hidden_size).unwrap();
            assert!(!matches!(weight, LinearWeight::Dense(_)));
            let quantised = Decoder::load(&config, &source, &mut |_| {}).unwrap();
            let dense = Decoder::load(&config, &Dense(source), &mut |_| {}).unwrap();
            let ids = &expected(name)[2].ids;
            let (a, b) = (whole(&quantised, ids), whole(&dense, ids));
            // Activations are rounded to eight bits in blocks of 32.
            let rms = |x: &mut dyn Iterator<Item = f32>| x.map(|x| x * x).sum::<f32>().sqrt();
            let far = rms(&mut a.iter().flatten().zip(b.iter().flatten()).map(|(x, y)| x - y)) / rms(&mut b.iter().flatten().copied());
            assert!(far < 0.05 && far > 0.0, "{name} {kind:?}: {far} of the logits' size");
        }
    }
}

#[test]
fn llama3_scaling_is_recognised_by_its_divisors_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    write_gguf("llama3-rope", GgmlDType::F32, &path);
    let e = GgufFile::open(&path).unwrap().config().unwrap_err().to_string();
    assert!(e.contains("rope_freqs.weight") && e.contains("safetensors"), "{e}");
}

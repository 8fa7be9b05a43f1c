//! Gradients of the decoder: present for every variable, equal between the fused and the plain path, and right by finite differences.

use candle_core::{DType, Device, Tensor, Var};
use reasonscope::model::{Activation, Config, Decoder, Layer, Norms, Packed, RopeScaling, VarStore, Variant, WeightSource, ops};

pub fn tiny(model_type: &str) -> Config {
    Config {
        model_type: model_type.into(),
        vocab_size: 19,
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 4,
        rms_norm_eps: 1e-5,
        rope_theta: 100.0,
        rope_scaling: RopeScaling::Default,
        max_position_embeddings: 64,
        tie_word_embeddings: true,
        qkv_bias: model_type == "qwen2",
        o_bias: false,
        qk_norm: model_type == "qwen3",
        eos_token_ids: vec![0],
        bos_token_id: None,
        variant: Default::default(),
    }
}

fn batch() -> (Packed, Vec<u32>) {
    let mut b = Packed::default();
    b.push(&[1, 5, 7, 2, 9, 18, 4]);
    b.push(&[3, 3, 8]);
    b.push(&[11]);
    let targets = (0..11).map(|i| (i * 7 + 3) % 19).collect();
    (b, targets)
}

fn loss(d: &Decoder) -> Tensor {
    let (b, targets) = batch();
    let logits = d.logits(&d.forward(&b).unwrap()).unwrap();
    let lp = ops::token_log_prob(&logits, &targets).unwrap();
    let weights: Vec<f64> = (0..11).map(|i| 0.3 + (i as f64 * 0.37).sin()).collect();
    let w = Tensor::new(weights, &Device::Cpu).unwrap().to_dtype(lp.dtype()).unwrap();
    (lp * w).unwrap().sum_all().unwrap()
}

fn build(config: &Config, dtype: DType, values: &[(String, Tensor)]) -> (Decoder, VarStore) {
    let store = VarStore::new(7, config.num_hidden_layers, &Device::Cpu, dtype).with_initial(values.iter().cloned());
    let decoder = Decoder::load(config, &store, &mut |_| {}).unwrap();
    (decoder, store)
}

/// Random values for every variable, so that no norm sits at 1 and no bias at 0.
fn values(config: &Config) -> Vec<(String, Tensor)> {
    let (_, store) = build(config, DType::F64, &[]);
    let mut k = 0.0;
    store
        .vars()
        .into_iter()
        .map(|(n, v)| {
            let base: f64 = if n.ends_with("norm.weight") && !config.variant.one_plus_norms { 1.0 } else { 0.0 };
            let count = v.elem_count();
            let data: Vec<f64> = (0..count)
                .map(|_| {
                    k += 1.0;
                    base + 0.4 * (k * 12.9898f64).sin()
                })
                .collect();
            (n, Tensor::from_vec(data, v.shape(), &Device::Cpu).unwrap())
        })
        .collect()
}

fn configs() -> Vec<Config> {
    let mut untied = tiny("llama");
    untied.tie_word_embeddings = false;
    let vary = |model_type: &str, variant: Variant| Config { variant, ..tiny(model_type) };
    let sliding = |i: usize| Layer { sliding: i == 0, rope: true };
    let window = vary("mistral", Variant { window: Some(3), ..Variant::default() });
    let gemma = Variant {
        norms: Norms::Around,
        one_plus_norms: true,
        activation: Activation::GeluTanh,
        embedding_multiplier: 4.0,
        attention_scale: Some(0.7),
        window: Some(3),
        layers: (0..2).map(sliding).collect(),
        local_rope_theta: Some(10.0),
        ..Variant::default()
    };
    let gemma = Config { qk_norm: true, ..vary("gemma3", gemma) };
    let phi = vary("phi3", Variant { rotary_dim: Some(2), ..Variant::default() });
    let nope = vary(
        "smollm3",
        Variant { layers: vec![Layer { sliding: false, rope: true }, Layer { sliding: false, rope: false }], ..Variant::default() },
    );
    let olmo = Config { qk_norm: true, ..vary("olmo2", Variant { norms: Norms::After, wide_qk_norm: true, ..Variant::default() }) };
    let granite = Variant {
        embedding_multiplier: 3.0,
        residual_multiplier: 0.4,
        attention_scale: Some(0.3),
        logits_divisor: 2.0,
        mlp_bias: true,
        ..Variant::default()
    };
    let granite = Config { qkv_bias: true, o_bias: true, ..vary("granite", granite) };
    vec![tiny("llama"), tiny("qwen2"), tiny("qwen3"), untied, window, gemma, phi, nope, olmo, granite]
}

#[test]
fn every_variable_gets_a_finite_nonzero_gradient() {
    for c in configs() {
        let (d, store) = build(&c, DType::F32, &[]);
        let grads = loss(&d).backward().unwrap();
        let vars = store.vars();
        assert!(vars.len() >= 2 + 9 * c.num_hidden_layers);
        for (name, var) in vars {
            let g = grads.get(&var).unwrap_or_else(|| panic!("{}: no gradient for {name}", c.model_type));
            let g: Vec<f32> = g.flatten_all().unwrap().to_vec1().unwrap();
            assert!(g.iter().all(|x| x.is_finite()) && g.iter().any(|x| *x != 0.0), "{} {name}", c.model_type);
        }
    }
}

#[test]
fn fused_and_plain_paths_agree() {
    for c in configs() {
        let values = values(&c);
        let (fast, fast_store) = build(&c, DType::F32, &values);
        let (slow, slow_store) = build(&c, DType::F64, &values);
        let (a, b) = (loss(&fast), loss(&slow));
        let (x, y) = (a.to_scalar::<f32>().unwrap() as f64, b.to_scalar::<f64>().unwrap());
        assert!((x - y).abs() < 1e-4 * y.abs().max(1.0), "{x} {y}");
        let (ga, gb) = (a.backward().unwrap(), b.backward().unwrap());
        for ((name, u), (_, v)) in fast_store.vars().into_iter().zip(slow_store.vars()) {
            let f: Vec<f32> = ga.get(&u).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let s: Vec<f64> = gb.get(&v).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let scale = s.iter().fold(0.0f64, |m, x| m.max(x.abs())).max(1e-3);
            for (f, s) in f.iter().zip(&s) {
                assert!((*f as f64 - s).abs() < 2e-5 * scale.max(1.0), "{} {name}: {f} {s}", c.model_type);
            }
        }
    }
}

#[test]
fn gradients_match_finite_differences() {
    for c in configs() {
        let values = values(&c);
        let (d, store) = build(&c, DType::F64, &values);
        let grads = loss(&d).backward().unwrap();
        for (name, var) in store.vars() {
            let g: Vec<f64> = grads.get(&var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let original: Vec<f64> = var.flatten_all().unwrap().to_vec1().unwrap();
            let at = |i: usize, delta: f64| {
                let mut x = original.clone();
                x[i] += delta;
                set(&var, x);
                loss(&d).to_scalar::<f64>().unwrap()
            };
            for i in [0, original.len() / 3, original.len() - 1] {
                let eps = 1e-5;
                let numeric = (at(i, eps) - at(i, -eps)) / (2.0 * eps);
                assert!((numeric - g[i]).abs() < 1e-6 * numeric.abs().max(1.0), "{} {name}[{i}]: {numeric} {}", c.model_type, g[i]);
            }
            set(&var, original);
        }
    }
}

fn set(var: &Var, x: Vec<f64>) {
    var.set(&Tensor::from_vec(x, var.shape(), &Device::Cpu).unwrap()).unwrap();
}

#[test]
fn a_frozen_weight_gets_no_gradient() {
    let w = Tensor::ones((3, 2), DType::F32, &Device::Cpu).unwrap();
    let x = Var::from_tensor(&Tensor::ones((4, 2), DType::F32, &Device::Cpu).unwrap()).unwrap();
    let grads = ops::linear(&x, &w).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&w).is_none());
    assert_eq!(grads.get(&x).unwrap().to_vec2::<f32>().unwrap(), vec![vec![3.0; 2]; 4]);
}

#[test]
fn cached_equals_whole_for_ragged_rows_and_shared_prefixes() {
    for c in configs() {
        let values = values(&c);
        let (d, _) = build(&c, DType::F32, &values);
        let (d64, _) = build(&c, DType::F64, &values);
        for d in [d, d64] {
            let prompt = [1u32, 5, 7, 2, 9];
            let tails: [&[u32]; 3] = [&[3, 4, 8, 1, 2, 2, 7], &[6], &[9, 10, 11, 12]];
            let mut whole = Packed::default();
            for t in tails {
                whole.push(&[&prompt[..], t].concat());
            }
            let want = rows(&d.forward(&whole).unwrap());
            let mut cache = d.cache();
            let root = cache.add_row(None);
            d.forward_cached(&[(root, &prompt)], &mut cache).unwrap();
            let r: Vec<usize> = tails.iter().map(|_| cache.add_row(Some(root))).collect();
            let mut got = vec![Vec::new(); 3];
            for pieces in [vec![(0, 0..1), (2, 0..3)], vec![(0, 1..7), (1, 0..1)], vec![(2, 3..4)]] {
                let chunks: Vec<(usize, &[u32])> = pieces.iter().map(|(i, p)| (r[*i], &tails[*i][p.clone()])).collect();
                let mut h = rows(&d.forward_cached(&chunks, &mut cache).unwrap()).into_iter();
                for (i, p) in &pieces {
                    got[*i].extend(h.by_ref().take(p.len()));
                }
            }
            let mut at = 0;
            for (t, got) in tails.iter().zip(got) {
                at += prompt.len();
                for (g, w) in got.iter().zip(&want[at..]) {
                    for (g, w) in g.iter().zip(w) {
                        assert!((g - w).abs() < 1e-4, "{} {g} {w}", c.model_type);
                    }
                }
                assert_eq!(got.len(), t.len());
                at += t.len();
            }
        }
    }
}

fn rows(t: &Tensor) -> Vec<Vec<f64>> {
    t.to_dtype(DType::F64).unwrap().to_vec2().unwrap()
}

#[test]
fn an_id_outside_the_vocabulary_and_a_full_context_are_errors() {
    let c = tiny("llama");
    let (d, store) = build(&c, DType::F32, &[]);
    assert!(store.contains("model.norm.weight"));
    let mut b = Packed::default();
    b.push(&[19]);
    assert!(d.forward(&b).unwrap_err().to_string().contains("outside the vocabulary"));
    let mut cache = d.cache();
    let row = cache.add_row(None);
    let long = vec![1u32; 65];
    assert!(d.forward_cached(&[(row, &long)], &mut cache).unwrap_err().to_string().contains("context of 64"));
    assert!(d.forward_cached(&[(row, &long[..3]), (row, &long[..3])], &mut cache).is_err());
}

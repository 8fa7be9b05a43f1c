//! Low-rank adapters: against Hugging Face PEFT (`tests/make_lora_reference.py`), over quantised bases, and their files.

use crate::parity::{fixture, write_gguf};
use candle_core::{
    DType, Device, Tensor,
    backprop::GradStore,
    quantized::{GgmlDType, QMatMul, QTensor},
};
use reasonscope::model::{
    Config, Decoder, GgufFile, LinearWeight, LoraConfig, LoraSource, Merged, ModelError, ModelFiles, Packed, PeftConfig, SafetensorsSource,
    VarStore, WeightSource, embedded_policy, ops,
};
use reasonscope::train::{Frozen, gather, package_adapter};
use safetensors::SafeTensors;
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path, sync::Arc};

#[derive(Deserialize)]
struct Expected {
    ids: Vec<u32>,
    weights: Vec<f64>,
    logits: Vec<Vec<f64>>,
}

fn expected() -> Expected {
    serde_json::from_slice(&std::fs::read(fixture("lora/expected.json")).unwrap()).unwrap()
}

/// Tensors of a safetensors file in the fixture of the adapter, under the names of this program.
fn tensors(file: &str) -> BTreeMap<String, Tensor> {
    let all = candle_core::safetensors::load(fixture("lora").join(file), &Device::Cpu).unwrap();
    all.into_iter().map(|(n, t)| (n.strip_prefix("base_model.model.").unwrap().to_owned(), t)).collect()
}

fn peft_config() -> PeftConfig {
    let path = fixture("lora/adapter_config.json");
    PeftConfig::parse(&std::fs::read(&path).unwrap(), &path).unwrap()
}

fn base(dtype: DType) -> (Config, SafetensorsSource) {
    let files = ModelFiles::open(&fixture("llama-tied")).unwrap();
    (files.config().unwrap(), SafetensorsSource::open(&files, &Device::Cpu, dtype, None).unwrap())
}

/// Trainable adapters that start from PEFT's.
fn store(dtype: DType) -> VarStore {
    VarStore::new(1, 2, &Device::Cpu, dtype).with_initial(tensors("adapter_model.safetensors"))
}

fn load(config: &Config, source: &dyn WeightSource) -> Decoder {
    Decoder::load(config, source, &mut |_| {}).unwrap()
}

fn logits(d: &Decoder, ids: &[u32]) -> Tensor {
    let mut batch = Packed::default();
    batch.push(ids);
    d.logits(&d.forward(&batch).unwrap()).unwrap()
}

/// Logits of the path that generates, a few tokens at a time.
fn cached(d: &Decoder, ids: &[u32]) -> Vec<f64> {
    let mut cache = d.cache();
    let row = cache.add_row(None);
    let steps = ids.chunks(4).map(|part| d.logits(&d.forward_cached(&[(row, part)], &mut cache).unwrap()).unwrap());
    numbers(&Tensor::cat(&steps.collect::<Vec<_>>(), 0).unwrap())
}

/// Gradients of the fixture's loss.
fn gradients(d: &Decoder) -> GradStore {
    let Expected { ids, weights, .. } = expected();
    let logits = logits(d, &ids).narrow(0, 0, weights.len()).unwrap();
    let log_probs = ops::token_log_prob(&logits, &ids[1..]).unwrap();
    let weights = Tensor::new(weights, &Device::Cpu).unwrap().to_dtype(log_probs.dtype()).unwrap();
    (log_probs * weights).unwrap().sum_all().unwrap().backward().unwrap()
}

fn numbers(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_near(got: &[f64], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    let far = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, |m: f64, d| if d.is_nan() { d } else { m.max(d) });
    assert!(far <= tolerance, "{what}: {far} apart");
}

#[test]
fn logits_and_gradients_are_those_of_peft() {
    let Expected { ids, logits: want, .. } = expected();
    let want: Vec<f64> = want.into_iter().flatten().collect();
    let tolerance = 1e-5;
    for dtype in [DType::F32, DType::F64] {
        let ((config, base), store) = (base(dtype), store(dtype));
        let source = LoraSource::new(base, &store, peft_config().lora).unwrap();
        let d = load(&config, &source);
        assert_near(&numbers(&logits(&d, &ids)), &want, tolerance, "logits");
        assert_near(&cached(&d, &ids), &want, tolerance, "logits of the cached path");
        assert_near(&numbers(&logits(&load(&config, &Merged(&source)), &ids)), &want, tolerance, "logits of the merged weights");
        assert_near(&numbers(&logits(&load(&config, &gather(&config, &Merged(&source)).unwrap()), &ids)), &want, tolerance, "gathered");
        let grads = gradients(&d);
        let expected = tensors("gradients.safetensors");
        let vars = store.vars();
        assert_eq!(vars.iter().map(|v| &v.0).collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (name, var) in vars {
            let want = numbers(&expected[&name]);
            let size = want.iter().fold(1.0f64, |m, x| m.max(x.abs()));
            assert_near(&numbers(grads.get(&var).unwrap()), &want, tolerance * size, &name);
        }
    }
}

#[test]
fn nothing_but_the_adapter_gets_a_gradient() {
    let (config, base) = base(DType::F32);
    for dtype in [DType::F32, DType::F64] {
        let names = base.names().into_iter().map(|n| (n.to_owned(), base.tensor(n, base.shape(n).unwrap()).unwrap()));
        let weights = VarStore::new(1, 2, &Device::Cpu, dtype).with_initial(names.collect::<Vec<_>>());
        let adapters = store(dtype);
        let d = load(&config, &LoraSource::new(&weights, &adapters, peft_config().lora).unwrap());
        let grads = gradients(&d);
        assert!(weights.vars().len() > 15);
        for (name, var) in weights.vars() {
            assert!(grads.get(&var).is_none(), "{name}");
        }
        // Whatever else candle keeps is a vector or an activation: no gradient of a frozen matrix was made.
        let rows = expected().ids.len();
        let weight = |g: &Tensor| g.rank() == 2 && g.dim(0).unwrap() != rows;
        let matrices = grads.get_ids().filter(|id| grads.get_id(**id).is_some_and(weight)).count();
        assert_eq!(matrices, adapters.vars().len());
    }
}

#[test]
fn a_new_adapter_changes_nothing_and_starts_as_in_peft() {
    let (config, base) = base(DType::F32);
    let fresh = |seed| {
        let store = VarStore::new(seed, 2, &Device::Cpu, DType::F32);
        let d = load(&config, &LoraSource::new(&base, &store, LoraConfig { rank: 5, ..Default::default() }).unwrap());
        (d, store)
    };
    let (d, store) = fresh(3);
    let ids = expected().ids;
    assert_eq!(numbers(&logits(&d, &ids)), numbers(&logits(&load(&config, &base), &ids)));
    assert_eq!(store.vars().len(), 2 * 2 * 7);
    for ((name, var), (_, again)) in store.vars().into_iter().zip(fresh(3).1.vars()) {
        let x = numbers(&var);
        assert_eq!(x, numbers(&again));
        if name.ends_with("lora_B.weight") {
            assert!(x.iter().all(|x| *x == 0.0), "{name}");
            continue;
        }
        // Uniform within ±1/√in: the root of the mean square is the bound over √3.
        let bound = 1.0 / (var.dim(1).unwrap() as f64).sqrt();
        let rms = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64).sqrt();
        assert!(x.iter().all(|x| x.abs() <= bound) && (rms / bound * 3f64.sqrt() - 1.0).abs() < 0.2, "{name}: {rms} of {bound}");
    }
    let a = |seed| numbers(&fresh(seed).1.vars()[0].1);
    assert_ne!(a(3), a(4));
}

/// A source whose linear layers are in candle's quantised form.
struct Quantises<S>(S);

impl<S: WeightSource> WeightSource for Quantises<S> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        self.0.tensor(name, shape)
    }
    fn linear(&self, name: &str, out: usize, input: usize) -> Result<LinearWeight, ModelError> {
        let w = QTensor::quantize(&self.0.tensor(name, &[out, input])?, GgmlDType::Q4_0)?;
        Ok(LinearWeight::Quantized(Arc::new(QMatMul::from_qtensor(w)?)))
    }
    fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// What another source stands for, dense.
struct Dequantises<S>(S);

impl<S: WeightSource> WeightSource for Dequantises<S> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        self.0.tensor(name, shape)
    }
    fn linear(&self, name: &str, out: usize, input: usize) -> Result<LinearWeight, ModelError> {
        Ok(LinearWeight::Dense(self.0.linear(name, out, input)?.dense(DType::F32)?))
    }
    fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

#[test]
fn over_a_quantised_base_everything_is_as_over_what_it_stands_for() {
    let dir = tempfile::tempdir().unwrap();
    let gguf = |kind: GgmlDType| -> Box<dyn WeightSource> {
        let path = dir.path().join(format!("{kind:?}.gguf"));
        write_gguf("llama-tied", kind, &path);
        Box::new(GgufFile::open(&path).unwrap().source(&Device::Cpu, DType::F32, None))
    };
    let bases: [(&str, Box<dyn WeightSource>); 4] = [
        ("GGUF in Q4_1", gguf(GgmlDType::Q4_1)),
        ("GGUF in Q8_0", gguf(GgmlDType::Q8_0)),
        ("GGUF in Q5_0", gguf(GgmlDType::Q5_0)),
        ("candle's Q4_0", Box::new(Quantises(base(DType::F32).1))),
    ];
    let config = base(DType::F32).0;
    // One adapter below everything else: its gradient passes through every frozen layer.
    let lowest = LoraConfig { rank: 3, alpha: 4.0, targets: vec!["model.layers.0.self_attn.v_proj".into()] };
    for (what, base) in &bases {
        assert!(!matches!(base.linear("model.layers.0.self_attn.q_proj.weight", 32, 32).unwrap(), LinearWeight::Dense(_)), "{what}");
        for lora in [peft_config().lora, lowest.clone()] {
            let (ours, theirs) = (store(DType::F32), store(DType::F32));
            let d = load(&config, &LoraSource::new(base, &ours, lora.clone()).unwrap());
            let dense = load(&config, &LoraSource::new(Dequantises(base), &theirs, lora.clone()).unwrap());
            let ids = expected().ids;
            let want = numbers(&logits(&dense, &ids));
            assert_near(&numbers(&logits(&d, &ids)), &want, 1e-5, what);
            // The path that generates rounds activations to eight bits.
            let size = (want.iter().map(|x| x * x).sum::<f64>() / want.len() as f64).sqrt();
            assert_near(&cached(&d, &ids), &want, 0.15 * size, what);
            let (a, b) = (gradients(&d), gradients(&dense));
            assert_eq!(ours.vars().len(), if lora == lowest { 2 } else { 20 });
            for ((name, x), (_, y)) in ours.vars().iter().zip(theirs.vars()) {
                let want = numbers(b.get(&y).unwrap());
                let size = want.iter().fold(1.0f64, |m, x| m.max(x.abs()));
                assert!(want.iter().any(|x| x.abs() > 1e-3), "{what} {name}");
                assert_near(&numbers(a.get(x).unwrap()), &want, 1e-5 * size, &format!("{what} {name}"));
            }
        }
    }
}

#[test]
fn the_adapter_that_is_written_is_pefts_key_for_key() {
    let (config, base) = base(DType::F32);
    let (store, dir) = (store(DType::F32), tempfile::tempdir().unwrap());
    load(&config, &LoraSource::new(base, &store, peft_config().lora).unwrap());
    package_adapter(dir.path(), &peft_config(), &Frozen::copy(store.vars()).unwrap()).unwrap();
    let read = |path: &Path| std::fs::read(path).unwrap();
    let (ours, theirs) = (read(&dir.path().join("adapter_model.safetensors")), read(&fixture("lora/adapter_model.safetensors")));
    let metadata = |bytes: &[u8]| SafeTensors::read_metadata(bytes).unwrap().1.metadata().clone();
    assert_eq!(metadata(&ours), metadata(&theirs));
    let entries = |bytes: &[u8]| -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
        let file = SafeTensors::deserialize(bytes).unwrap();
        file.tensors().into_iter().map(|(n, t)| (n, (format!("{:?}", t.dtype()), t.shape().to_vec(), t.data().to_vec()))).collect()
    };
    assert!(entries(&ours) == entries(&theirs));
    let json = |path: &Path| serde_json::from_slice::<serde_json::Value>(&read(path)).unwrap();
    let (ours, theirs) = (json(&dir.path().join("adapter_config.json")), json(&fixture("lora/adapter_config.json")));
    for (field, value) in ours.as_object().unwrap() {
        match field.as_str() {
            "lora_alpha" => assert_eq!(value.as_f64(), theirs[field].as_f64()),
            _ => assert_eq!(value, &theirs[field], "{field}"),
        }
    }
    let path = dir.path().join("adapter_config.json");
    assert_eq!(PeftConfig::parse(&read(&path), &path).unwrap(), peft_config());
}

/// A directory with the embedded policy under `base` and an adapter on it under `adapter`; returns the logits that both together give.
fn model_with_adapter(dir: &Path) -> (Vec<u32>, Vec<f64>) {
    let ModelFiles::Embedded { files, .. } = embedded_policy() else { panic!("embedded files") };
    std::fs::create_dir(dir.join("base")).unwrap();
    for (name, content) in files {
        std::fs::write(dir.join("base").join(name), content).unwrap();
    }
    let files = ModelFiles::open(&dir.join("base")).unwrap();
    let config = files.config().unwrap();
    let store = VarStore::new(5, config.num_hidden_layers, &Device::Cpu, DType::F32);
    let lora = LoraConfig { rank: 2, alpha: 6.0, targets: vec!["q_proj".into(), "mlp.down_proj".into()] };
    let source = LoraSource::new(SafetensorsSource::open(&files, &Device::Cpu, DType::F32, None).unwrap(), &store, lora.clone()).unwrap();
    let d = load(&config, &source);
    for (name, var) in store.vars() {
        if name.ends_with("lora_B.weight") {
            let n = var.elem_count();
            let b: Vec<f32> = (0..n).map(|i| 0.1 * (i as f32).sin()).collect();
            var.set(&Tensor::from_vec(b, var.shape(), &Device::Cpu).unwrap()).unwrap();
        }
    }
    store.tensor("reward.bias", &[1]).unwrap();
    let peft = PeftConfig { lora, base: "../base".into(), modules_to_save: vec!["reward".into()], task_type: None };
    package_adapter(&dir.join("adapter"), &peft, &Frozen::copy(store.vars()).unwrap()).unwrap();
    let ids = vec![3, 14, 15, 92, 65, 35];
    let want = numbers(&logits(&d, &ids));
    (ids, want)
}

#[test]
fn a_directory_with_an_adapter_opens_with_its_base() {
    let dir = tempfile::tempdir().unwrap();
    let (ids, want) = model_with_adapter(dir.path());
    let files = ModelFiles::open(&dir.path().join("adapter")).unwrap();
    assert_eq!(files.name(), "adapter");
    let open = files.load(&Device::Cpu, DType::F32, None).unwrap();
    assert!(open.stored.contains("rank 2"), "{}", open.stored);
    assert_eq!(numbers(&open.weights.tensor("reward.bias", &[1]).unwrap()), [0.0]);
    let d = load(&open.config, open.weights.as_ref());
    assert_near(&numbers(&logits(&d, &ids)), &want, 1e-5, "opened");
    assert_near(&cached(&d, &ids), &want, 1e-4, "opened, cached");
    let plain = ModelFiles::open(&dir.path().join("base")).unwrap().load(&Device::Cpu, DType::F32, None).unwrap();
    let far = numbers(&logits(&load(&plain.config, plain.weights.as_ref()), &ids)).iter().zip(&want).any(|(a, b)| (a - b).abs() > 0.1);
    assert!(far, "the adapter makes a difference");
}

#[test]
fn a_bad_adapter_is_one_error_with_file_and_remedy() {
    let dir = tempfile::tempdir().unwrap();
    model_with_adapter(dir.path());
    let path = dir.path().join("adapter/adapter_config.json");
    let good: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let fails = |field: &str, value: serde_json::Value, words: &[&str]| {
        let mut json = good.clone();
        json[field] = value;
        std::fs::write(&path, json.to_string()).unwrap();
        let e = ModelFiles::open(&dir.path().join("adapter"))
            .and_then(|f| f.load(&Device::Cpu, DType::F32, None))
            .and_then(|o| Decoder::load(&o.config, o.weights.as_ref(), &mut |_| {}))
            .err()
            .unwrap_or_else(|| panic!("{field} was accepted"))
            .to_string();
        for w in words.iter().chain(&["adapter", ";"]) {
            assert!(e.contains(w), "{e:?} lacks {w:?}");
        }
    };
    fails("use_dora", true.into(), &["use_dora is true", "merge_and_unload"]);
    fails("rank_pattern", serde_json::json!({"q_proj": 4}), &["rank_pattern is {\"q_proj\":4}"]);
    fails("bias", "all".into(), &["bias is \"all\""]);
    fails("peft_type", "IA3".into(), &["peft_type is \"IA3\"", "LORA"]);
    fails("r", 4.into(), &["lora_A.weight has shape [2, ", "r is 4", "adapter_model.safetensors"]);
    fails("r", "x".into(), &["r is missing or of the wrong type"]);
    fails("target_modules", serde_json::json!(["query_key_value"]), &["query_key_value", "q_proj"]);
    fails("target_modules", serde_json::json!(["q_proj"]), &["down_proj has an adapter", "target_modules"]);
    fails("target_modules", serde_json::json!(["q_proj", "k_proj", "down_proj"]), &["k_proj.lora_A.weight is missing", "another base"]);
    fails("base_model_name_or_path", serde_json::Value::Null, &["base_model_name_or_path is missing"]);
    fails("base_model_name_or_path", "nobody/nothing".into(), &["nobody/nothing", "data fetch --model"]);
    fails("base_model_name_or_path", ".".into(), &["adapter itself"]);
    std::fs::write(&path, good.to_string()).unwrap();
    std::fs::remove_file(dir.path().join("adapter/adapter_model.safetensors")).unwrap();
    let e = ModelFiles::open(&dir.path().join("adapter")).unwrap().load(&Device::Cpu, DType::F32, None).err().unwrap().to_string();
    assert!(e.contains("adapter_model.safetensors"), "{e}");
}

#[test]
fn checkpointed_gradients_are_those_of_the_plain_path() {
    for dtype in [DType::F32, DType::F64] {
        let (config, base) = base(dtype);
        let same = |vars: Vec<(String, candle_core::Var)>, d: Decoder, what: &str| {
            let ids = expected().ids;
            let checkpointed = d.clone().with_checkpointing(true);
            assert_eq!(numbers(&logits(&checkpointed, &ids)), numbers(&logits(&d, &ids)), "{what}");
            let (plain, again) = (gradients(&d), gradients(&checkpointed));
            for (name, var) in vars {
                let want = numbers(plain.get(&var).unwrap());
                let size = want.iter().fold(1.0f64, |m, x| m.max(x.abs()));
                let got = again.get(&var).unwrap_or_else(|| panic!("{what}: no gradient of {name}"));
                assert_near(&numbers(got), &want, 2e-5 * size, &format!("{what} {dtype:?} {name}"));
            }
        };
        let adapters = store(dtype);
        let d = load(&config, &LoraSource::new(&base, &adapters, peft_config().lora).unwrap());
        same(adapters.vars(), d, "LoRA");
        for (name, qkv_bias, qk_norm) in [("full", false, false), ("biases", true, false), ("norms of heads", false, true)] {
            let config = Config { qkv_bias, qk_norm, ..config.clone() };
            let names = base.names().into_iter().map(|n| (n.to_owned(), base.tensor(n, base.shape(n).unwrap()).unwrap()));
            let weights = VarStore::new(1, 2, &Device::Cpu, dtype).with_initial(names.collect::<Vec<_>>());
            let d = load(&config, &weights);
            same(weights.vars(), d, name);
        }
    }
}

#[test]
fn modules_to_save_are_trained_whole() {
    let (mut config, base) = base(DType::F32);
    config.tie_word_embeddings = false;
    let head = base.tensor("model.embed_tokens.weight", &[config.vocab_size, config.hidden_size]).unwrap();
    let initial = tensors("adapter_model.safetensors").into_iter().chain([("lm_head.weight".to_owned(), head)]);
    let store = VarStore::new(1, 2, &Device::Cpu, DType::F32).with_initial(initial);
    let d = load(&config, &LoraSource::new(base, &store, peft_config().lora).unwrap());
    let grads = gradients(&d);
    assert!(store.vars().iter().any(|(n, _)| n == "lm_head.weight"));
    for (name, var) in store.vars() {
        assert!(grads.get(&var).is_some(), "{name}");
    }
}

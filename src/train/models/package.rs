//! Finished models as directories in the layout of the Hugging Face hub.

use crate::model::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, Config, Decoder, ModelError, PeftConfig, TextTokenizer, WeightSource, peft_name};
use crate::train::TrainError;
use crate::train::models::checkpoint::{to_safetensors, write_atomically};
use candle_core::{DType, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Mutex;

/// Weights by name that are trained no further.
#[derive(Clone, Default)]
pub struct Frozen(pub BTreeMap<String, Tensor>);

impl Frozen {
    /// Copies of variables as they are now.
    pub fn copy(vars: Vec<(String, candle_core::Var)>) -> Result<Self, TrainError> {
        Ok(Self(vars.into_iter().map(|(n, v)| Ok((n, v.as_tensor().copy()?.detach()))).collect::<candle_core::Result<_>>()?))
    }
}

/// Every weight that a decoder of shape `config` asks `source` for, dense; of [`Merged`](crate::model::Merged), a base with its adapter merged.
pub fn gather(config: &Config, source: &dyn WeightSource) -> Result<Frozen, TrainError> {
    struct Gathers<'a>(&'a dyn WeightSource, Mutex<BTreeMap<String, Tensor>>);
    impl WeightSource for Gathers<'_> {
        fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
            let tensor = self.0.tensor(name, shape)?;
            self.1.lock().unwrap_or_else(|e| e.into_inner()).insert(name.to_owned(), tensor.clone());
            Ok(tensor)
        }
        fn contains(&self, name: &str) -> bool {
            self.0.contains(name)
        }
        fn makes(&self) -> bool {
            self.0.makes()
        }
    }
    let gathers = Gathers(source, Mutex::default());
    Decoder::load(config, &gathers, &mut |_| {})?;
    Ok(Frozen(gathers.1.into_inner().unwrap_or_else(|e| e.into_inner())))
}

impl WeightSource for Frozen {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        match self.0.get(name) {
            Some(t) if t.dims() == shape => Ok(t.clone()),
            other => Err(ModelError::Tensor {
                name: name.into(),
                what: format!("expected {shape:?}, found {:?}", other.map(|t| t.dims().to_vec())),
            }),
        }
    }
    fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Writes `config.json`, `tokenizer.json` and `model.safetensors`, the weights in f16.
pub fn package(dir: &Path, config: &Config, tokenizer: &TextTokenizer, weights: &Frozen) -> Result<(), TrainError> {
    let json = serde_json::json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": config.model_type,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "max_position_embeddings": config.max_position_embeddings,
        "tie_word_embeddings": config.tie_word_embeddings,
        "eos_token_id": config.eos_token_ids,
        "torch_dtype": "float16",
    });
    write_json(&dir.join("config.json"), &json)?;
    write_atomically(&dir.join("tokenizer.json"), tokenizer.to_json()?.as_bytes())?;
    write_weights(&dir.join("model.safetensors"), weights, true, str::to_owned)
}

/// Writes an adapter as Hugging Face PEFT opens it: `adapter_config.json`, and `adapter_model.safetensors` in f32. `weights` are the variables of
/// the adapter by name; whole tensors among them belong to `config.modules_to_save`.
pub fn package_adapter(dir: &Path, config: &PeftConfig, weights: &Frozen) -> Result<(), TrainError> {
    write_json(&dir.join(ADAPTER_CONFIG), &config.to_json())?;
    write_weights(&dir.join(ADAPTER_WEIGHTS), weights, false, peft_name)
}

fn write_weights(path: &Path, weights: &Frozen, half: bool, rename: fn(&str) -> String) -> Result<(), TrainError> {
    let rows = weights
        .0
        .iter()
        .map(|(n, t)| Ok((rename(n), t.dims().to_vec(), t.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?)))
        .collect::<Result<Vec<_>, TrainError>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write_atomically(path, &to_safetensors(&rows, half, metadata)?)
}

/// Writes a value as indented JSON.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), TrainError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| TrainError::Data(e.to_string()))?;
    text.push('\n');
    write_atomically(path, text.as_bytes())
}

//! Finished models as directories in the layout of the Hugging Face hub.

use super::TrainError;
use super::checkpoint::{to_safetensors, write_atomically};
use crate::model::{Config, ModelError, TextTokenizer, WeightSource};
use candle_core::Tensor;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Weights by name that are trained no further.
#[derive(Clone, Default)]
pub struct Frozen(pub BTreeMap<String, Tensor>);

impl Frozen {
    /// Copies of variables as they are now.
    pub fn copy(vars: Vec<(String, candle_core::Var)>) -> Result<Self, TrainError> {
        Ok(Self(vars.into_iter().map(|(n, v)| Ok((n, v.as_tensor().copy()?.detach()))).collect::<candle_core::Result<_>>()?))
    }
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
    let rows = weights
        .0
        .iter()
        .map(|(n, t)| Ok((n.clone(), t.dims().to_vec(), t.flatten_all()?.to_vec1()?)))
        .collect::<Result<Vec<_>, TrainError>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write_atomically(&dir.join("model.safetensors"), &to_safetensors(&rows, true, metadata)?)
}

/// Writes a value as indented JSON.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), TrainError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| TrainError::Data(e.to_string()))?;
    text.push('\n');
    write_atomically(path, text.as_bytes())
}

//! What a model's files say of what it is for, before its weights are read.

use super::ModelFiles;
use super::peft::PeftSource;
use super::safetensors::SafetensorsSource;
use crate::model::{ADAPTER_WEIGHTS, ModelError};
use candle_core::{DType, Device};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// First tensors of the heads that published reward models have beside or instead of `lm_head`.
pub const REWARD_HEADS: [&str; 4] = ["score.weight", "score.0.weight", "score_head.weight", "v_head.summary.weight"];

/// What a model's files say of what it is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// `architectures` of `config.json`; of an adapter that makes a classifier of its base `PeftForSequenceClassification` or
    /// `PeftForTokenClassification`; of a GGUF file, which is always a language model, `GgufForCausalLM`.
    pub architectures: Vec<String>,
    /// What it may be called: its directory, the hub id that its directory in the cache stands for, `_name_or_path`, the first heading of its README,
    /// and for an adapter the same of its base.
    pub names: Vec<String>,
    /// `pad_token_id` of `config.json`.
    pub pad_token_id: Option<u32>,
    /// Shapes of the tensors outside the decoder's blocks, by name; empty for a GGUF file.
    pub tensors: BTreeMap<String, Vec<usize>>,
}

impl ModelFiles {
    /// Reads configuration and headers, no weights. Fails where one of them is damaged, or the weights are pickled.
    pub fn look(&self) -> Result<Look, ModelError> {
        let mut names = vec![self.name()];
        names.extend(hub_ids(&self.path()));
        if let Self::Gguf(_) = self {
            return Ok(Look { architectures: vec!["GgufForCausalLM".into()], names, ..Look::default() });
        }
        if let Self::Adapter { dir, config, base } = self {
            let mut look = base.look()?;
            match config.task_type.as_deref() {
                Some("SEQ_CLS") => look.architectures = vec!["PeftForSequenceClassification".into()],
                Some("TOKEN_CLS") => look.architectures = vec!["PeftForTokenClassification".into()],
                _ => {}
            }
            let adapter = PeftSource::open(&dir.join(ADAPTER_WEIGHTS), &config.lora, &Device::Cpu, DType::F32)?;
            look.tensors.extend(adapter.whole().map(|(name, shape)| (name.to_owned(), shape.to_vec())));
            names.push(config.base.clone());
            names.append(&mut look.names);
            return Ok(Look { names, ..look });
        }
        let path = self.path_of("config.json");
        let config: Value = serde_json::from_slice(&self.read("config.json")?).map_err(|e| ModelError::File {
            path,
            what: format!("not valid JSON: {e}"),
            remedy: "fetch the file again".into(),
        })?;
        names.extend(config["_name_or_path"].as_str().map(str::to_owned));
        if self.has("README.md") {
            let card = self.read("README.md")?;
            let card = String::from_utf8_lossy(&card);
            names.extend(card.lines().find_map(|l| l.strip_prefix('#')).map(|l| l.trim_start_matches('#').trim().to_owned()));
        }
        let weights = SafetensorsSource::open(self, &Device::Cpu, DType::F32, None)?;
        let outside = weights.names().into_iter().filter(|n| !n.contains("layers."));
        Ok(Look {
            architectures: config["architectures"].as_array().into_iter().flatten().filter_map(|a| a.as_str().map(str::to_owned)).collect(),
            names,
            pad_token_id: config["pad_token_id"].as_u64().and_then(|id| u32::try_from(id).ok()),
            tensors: outside.filter_map(|n| Some((n.to_owned(), weights.shape(n)?.to_vec()))).collect(),
        })
    }
}

/// The hub ids that a path's components stand for: `models--OWNER--NAME` of the hub's cache.
fn hub_ids(path: &Path) -> impl Iterator<Item = String> + '_ {
    path.components().filter_map(|c| Some(c.as_os_str().to_str()?.strip_prefix("models--")?.replace("--", "/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_model_is_called_as_on_the_hub() {
        let path = Path::new("/c/hub/models--peiyi9979--math-shepherd-mistral-7b-prm/snapshots/0a1b");
        assert_eq!(hub_ids(path).collect::<Vec<_>>(), ["peiyi9979/math-shepherd-mistral-7b-prm"]);
    }
}

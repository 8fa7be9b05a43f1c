//! Adapters in the files of Hugging Face PEFT: `adapter_config.json` and `adapter_model.safetensors`.

use crate::model::{Config, LoraConfig, LoraSource, ModelError, SafetensorsSource, WeightSource};
use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Holds the shape of the adapter.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// Holds its weights.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// Stands before every name in a PEFT file.
const PREFIX: &str = "base_model.model.";
/// Fields that change what an adapter computes and must be off: null, false, empty, `none`.
const OFF: [&str; 12] = [
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "fan_in_fan_out",
    "bias",
    "rank_pattern",
    "alpha_pattern",
    "layers_to_transform",
    "exclude_modules",
    "target_parameters",
    "trainable_token_indices",
];

/// The content of `adapter_config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct PeftConfig {
    /// Rank, alpha and targets.
    pub lora: LoraConfig,
    /// Directory or hub id of the base model.
    pub base: String,
    /// Modules whose whole weights stand in the file.
    pub modules_to_save: Vec<String>,
    /// What the adapted model is for: `CAUSAL_LM`, `SEQ_CLS`, `TOKEN_CLS`.
    pub task_type: Option<String>,
}

impl PeftConfig {
    /// As PEFT writes it; `task_type` is `CAUSAL_LM` where nothing else is said.
    pub fn to_json(&self) -> Value {
        let saved = if self.modules_to_save.is_empty() { Value::Null } else { json!(self.modules_to_save) };
        json!({
            "peft_type": "LORA",
            "task_type": self.task_type.as_deref().unwrap_or("CAUSAL_LM"),
            "base_model_name_or_path": self.base,
            "r": self.lora.rank,
            "lora_alpha": self.lora.alpha,
            "target_modules": self.lora.target_modules(),
            "modules_to_save": saved,
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
        })
    }

    /// Reads an `adapter_config.json`. Errors name the field: another method than LoRA, variants of it that are not supported (DoRA,
    /// ranks that differ by layer), targets that are no linear layers of a decoder.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self, ModelError> {
        let error = |what: String, remedy: &str| ModelError::File { path: path.into(), what, remedy: remedy.into() };
        let json: Value = serde_json::from_slice(text).map_err(|e| error(format!("not valid JSON: {e}"), "fetch the file again"))?;
        if json["peft_type"] != "LORA" {
            return Err(error(format!("peft_type is {}", json["peft_type"]), "only LORA adapters are supported"));
        }
        let off = |v: &Value| match v {
            Value::Null | Value::Bool(false) => true,
            Value::String(s) => s == "none",
            Value::Array(a) => a.is_empty(),
            Value::Object(o) => o.is_empty(),
            _ => false,
        };
        if let Some(field) = OFF.iter().find(|f| !off(&json[**f])) {
            let remedy = "only plain LoRA is supported: merge the adapter into its base with PEFT (merge_and_unload) and open the result";
            return Err(error(format!("{field} is {}", json[*field]), remedy));
        }
        let missing = |field: &str| error(format!("{field} is missing or of the wrong type"), "save the adapter again with PEFT");
        let names = |field: &str| match &json[field] {
            Value::Null => Some(Vec::new()),
            Value::String(s) => Some(vec![s.clone()]),
            Value::Array(a) => a.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let rank = json["r"].as_u64().ok_or_else(|| missing("r"))? as usize;
        let alpha = json["lora_alpha"].as_f64().ok_or_else(|| missing("lora_alpha"))?;
        let targets = names("target_modules").ok_or_else(|| missing("target_modules"))?;
        let modules_to_save = names("modules_to_save").ok_or_else(|| missing("modules_to_save"))?;
        // Rank-stabilised LoRA (arXiv 2312.03732) multiplies by alpha/√r where plain LoRA multiplies by alpha/r: the same with an alpha of alpha·√r.
        let alpha = if json["use_rslora"] == true { alpha * (rank as f64).sqrt() } else { alpha };
        let lora = LoraConfig { rank, alpha, targets };
        lora.check()
            .map_err(|e| error(format!("r, lora_alpha or target_modules: {e}"), "only linear layers of a decoder can be adapted"))?;
        let base = json["base_model_name_or_path"].as_str().filter(|b| !b.is_empty()).map(str::to_owned);
        let base =
            base.ok_or_else(|| error("base_model_name_or_path is missing".into(), "write the base model's directory or hub id there"))?;
        let task_type = json["task_type"].as_str().map(str::to_owned);
        Ok(Self { lora, base, modules_to_save, task_type })
    }
}

/// The name in a PEFT file of a tensor of an adapter.
pub fn peft_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// Adapters out of a PEFT file.
pub(super) struct PeftSource {
    tensors: SafetensorsSource,
    path: PathBuf,
}

impl PeftSource {
    /// Opens the weights of an adapter and checks that they are those that `config` describes.
    pub(super) fn open(path: &Path, config: &LoraConfig, device: &Device, dtype: DType) -> Result<Self, ModelError> {
        let tensors = SafetensorsSource::open_file(path, device, dtype, None)?;
        let source = Self { tensors, path: path.into() };
        for name in source.tensors.names() {
            let foreign = || source.error(format!("tensor {name} is no part of a plain LoRA adapter"), "save the adapter again with PEFT");
            let own = name.strip_prefix(PREFIX).ok_or_else(foreign)?;
            if !own.contains("lora_") {
                continue;
            }
            let (layer, rank) = match own.rsplit_once(".lora_") {
                Some((layer, "A.weight")) => (layer, 0),
                Some((layer, "B.weight")) => (layer, 1),
                _ => return Err(foreign()),
            };
            if !config.adapts(layer) {
                return Err(source.error(format!("{layer} has an adapter, but is not one of target_modules"), "correct target_modules"));
            }
            let shape = source.tensors.shape(name).unwrap_or_default();
            if shape.get(rank) != Some(&config.rank) {
                let what = format!("tensor {name} has shape {shape:?}, but r is {}", config.rank);
                return Err(source.error(what, "the two files of the adapter do not belong together"));
            }
        }
        Ok(source)
    }

    /// Its whole tensors, by the names they have in the base, with their shapes.
    pub(super) fn whole(&self) -> impl Iterator<Item = (&str, &[usize])> {
        let names = self.tensors.names().into_iter().filter(|n| !n.contains("lora_"));
        names.filter_map(|n| Some((n.strip_prefix(PREFIX)?, self.tensors.shape(n)?)))
    }

    fn error(&self, what: String, remedy: &str) -> ModelError {
        ModelError::File { path: self.path.clone(), what, remedy: format!("{remedy} ({ADAPTER_CONFIG})") }
    }
}

impl WeightSource for PeftSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let stored = peft_name(name);
        match self.tensors.shape(&stored) {
            Some(found) if found == shape => self.tensors.tensor(&stored, shape),
            found => {
                let found = found.map_or("is missing".to_owned(), |f| format!("has shape {f:?}"));
                let what = format!("tensor {stored} {found}, expected {shape:?} by the base model");
                Err(self.error(what, "the adapter belongs to another base: correct base_model_name_or_path"))
            }
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.tensors.shape(&peft_name(name)).is_some()
    }
}

/// The weights of a base, whose shape is `shape`, with the adapter in the directory `dir`, for inference.
pub(in crate::model) fn adapted(
    base: Box<dyn WeightSource>,
    shape: &Config,
    dir: &Path,
    config: &PeftConfig,
    device: &Device,
    dtype: DType,
) -> Result<Box<dyn WeightSource>, ModelError> {
    let adapters = PeftSource::open(&dir.join(ADAPTER_WEIGHTS), &config.lora, device, dtype)?;
    if shape.tie_word_embeddings && adapters.contains("lm_head.weight") {
        let what = "modules_to_save has lm_head, which the base shares with its embedding".to_owned();
        return Err(adapters.error(what, "merge the adapter into its base with PEFT and open the result"));
    }
    Ok(Box::new(LoraSource::new(base, adapters, config.lora.clone())?))
}

//! The models of candle-transformers.

use super::config::complete;
use super::{Make, More, Steps, more_family};
use crate::model::files::{Fields, object};
use crate::model::{ModelError, ModelFiles, Progress, SafetensorsSource, WeightSource};
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{gemma, gemma2, glm4_new, mixtral, olmo, phi, stable_lm, starcoder2};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

type Forward<M> = fn(&mut M, &Tensor, usize) -> Result<Tensor>;

/// A model whose caches are made anew at each step, so that a copy has its own.
struct Copied<M>(M, Forward<M>);

impl<M: Clone + Send + 'static> Steps for Copied<M> {
    fn forward(&mut self, ids: &Tensor, at: usize) -> Result<Tensor> {
        (self.1)(&mut self.0, ids, at)
    }
    fn fork(&self) -> Option<Box<dyn Steps>> {
        Some(Box::new(Self(self.0.clone(), self.1)))
    }
}

/// A model that cannot be copied, or whose copies would write into one cache.
struct Alone<M>(M, Forward<M>);

impl<M: Send> Steps for Alone<M> {
    fn forward(&mut self, ids: &Tensor, at: usize) -> Result<Tensor> {
        (self.1)(&mut self.0, ids, at)
    }
    fn fork(&self) -> Option<Box<dyn Steps>> {
        None
    }
}

/// Reads configuration and weights, mends what can be mended, and makes the model once, so that a missing tensor is known now.
pub(super) fn open(files: &ModelFiles, device: &Device, progress: Option<Progress>) -> std::result::Result<More, ModelError> {
    let path = files.path_of("config.json");
    let map = object(&files.read("config.json")?, &path)?;
    let fields = Fields { map: &map, path: &path };
    let family =
        more_family(files).ok_or_else(|| fields.error("model_type is none that candle-transformers runs here", "use another model"))?;
    let mut config = complete(&fields, family)?;
    if files.has("generation_config.json") {
        let path = files.path_of("generation_config.json");
        let map = object(&files.read("generation_config.json")?, &path)?;
        let more = Fields { map: &map, path: &path }.ids("eos_token_id")?.unwrap_or_default();
        config.eos.extend(more.into_iter().filter(|id| !config.eos.contains(id)).collect::<Vec<_>>());
    }
    let source = SafetensorsSource::open(files, device, DType::F32, progress)?;
    let stored = source.stored();
    let mut tensors = HashMap::new();
    for name in source.names() {
        tensors.insert(name.to_owned(), source.tensor(name, source.shape(name).unwrap_or_default())?);
    }
    let parameters = tensors.values().map(Tensor::elem_count).sum();
    mend(family, &config.json, &mut tensors)?;
    if config.tied
        && !tensors.contains_key("lm_head.weight")
        && let Some(embedding) = tensors.get("model.embed_tokens.weight").cloned()
    {
        tensors.insert("lm_head.weight".into(), embedding);
    }
    let weights = VarBuilder::from_tensors(tensors, DType::F32, device);
    let json = std::mem::take(&mut config.json);
    let vocab_size = json.get("vocab_size").and_then(Value::as_u64).unwrap_or(0) as usize;
    let make = match family {
        "gemma" => made(&fields, json, weights, |c, w| Ok(copied(gemma::Model::new(false, c, w)?, |m, x, at| m.forward(x, at))))?,
        "gemma2" => made(&fields, json, weights, |c, w| Ok(copied(gemma2::Model::new(false, c, w)?, |m, x, at| m.forward(x, at))))?,
        "glm4" => made(&fields, json, weights, |c, w| Ok(alone(glm4_new::ModelForCausalLM::new(c, w)?, |m, x, at| m.forward(x, at))))?,
        "mixtral" => made(&fields, json, weights, |c, w| Ok(copied(mixtral::Model::new(c, w)?, |m, x, at| m.forward(x, at))))?,
        "olmo" => made(&fields, json, weights, |c, w| Ok(copied(olmo::Model::new(c, w)?, |m, x, at| m.forward(x, at))))?,
        "phi" => made(&fields, json, weights, |c, w| Ok(copied(phi::Model::new(c, w)?, |m, x, _| m.forward(x))))?,
        "stablelm" => made(&fields, json, weights, |c, w| Ok(alone(stable_lm::Model::new(c, w)?, |m, x, at| m.forward(x, at))))?,
        _ => made(&fields, json, weights, |c, w| Ok(copied(starcoder2::Model::new(c, w)?, |m, x, at| m.forward(x, at))))?,
    };
    make().map_err(|e| fields.error(&format!("the weights do not fit it: {e}"), "config.json and the weights do not belong together"))?;
    Ok(More { family, vocab_size, context: config.context, eos: config.eos, parameters, stored, device: device.clone(), make })
}

fn copied<M: Clone + Send + 'static>(model: M, forward: Forward<M>) -> Box<dyn Steps> {
    Box::new(Copied(model, forward))
}

fn alone<M: Send + 'static>(model: M, forward: Forward<M>) -> Box<dyn Steps> {
    Box::new(Alone(model, forward))
}

/// What makes a model of the configuration `json`; fails where that is not what the model's reader wants.
fn made<C: DeserializeOwned + Send + Sync + 'static>(
    fields: &Fields,
    json: Map<String, Value>,
    weights: VarBuilder<'static>,
    make: fn(&C, VarBuilder) -> Result<Box<dyn Steps>>,
) -> std::result::Result<Arc<Make>, ModelError> {
    let config: C = serde_json::from_value(Value::Object(json))
        .map_err(|e| fields.error(&format!("candle-transformers cannot read it: {e}"), "correct the field or fetch the file again"))?;
    Ok(Arc::new(move || make(&config, weights.clone())))
}

/// Puts right in the weights what a model computes otherwise than transformers.
fn mend(family: &str, config: &Map<String, Value>, tensors: &mut HashMap<String, Tensor>) -> std::result::Result<(), ModelError> {
    let number = |name: &str| config.get(name).and_then(Value::as_f64);
    if family == "gemma2"
        && let (Some(head), Some(scalar)) = (number("head_dim"), number("query_pre_attn_scalar"))
        && head != scalar
    {
        // The scores are divided by √head_dim, whatever query_pre_attn_scalar says.
        for (_, tensor) in tensors.iter_mut().filter(|(name, _)| name.contains(".q_proj.")) {
            *tensor = (&*tensor * (head / scalar).sqrt())?;
        }
    }
    Ok(())
}

//! A decoder to train: where its weights come from, and whether all of them move or an adapter does.

use crate::model::{
    Config, Decoder, LoraConfig, LoraSource, Merged, ModelFiles, PeftConfig, RopeScaling, TextTokenizer, VarStore, Variant, WeightSource,
};
use crate::reward::{Head, REFERENCE, RewardCard, Under};
use crate::train::TrainError;
use crate::train::models::checkpoint::write_atomically;
use crate::train::models::package::{Frozen, gather, package, package_adapter};
use crate::train::recipe::{RewardConfig, Shape};
use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};
use std::path::Path;
use std::rc::Rc;

/// Stream of the seed that initial weights are drawn from.
const INITIAL: u64 = 0xc56da532;

/// A pretrained base.
#[derive(Clone)]
struct Base {
    /// As the recipe names it.
    name: String,
    weights: Rc<dyn WeightSource>,
    lora: Option<LoraConfig>,
    /// Its `config.json`, where it has one.
    json: Option<Vec<u8>>,
    /// Its `reward.json`, where it is a reward model.
    card: Option<RewardCard>,
}

/// A problem as it was framed in training, a newline after it, for those who ask the model through its chat template.
const PLAIN: &str = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}";

/// The weights of a reward model's head.
const HEAD: [&str; 6] =
    ["reward.weight", "reward.bias", "reward.likelihood", "reward.mix", "reward.potential.weight", "reward.potential.bias"];

/// Why all weights of such a model cannot be written as a model of their own: without a `config.json` its family's options would be lost.
fn unwritable(config: &Config, has_json: bool) -> Option<String> {
    (!has_json && (config.variant != Variant::default() || config.rope_scaling != RopeScaling::Default)).then(|| {
        format!(
            "{} is read from a GGUF, whose options no config.json says; train an adapter (lora), or the model's safetensors",
            config.model_type
        )
    })
}

/// The weights as the family's files have them: of Phi-3 q, k and v in one matrix, and gate and up.
fn fused(config: &Config, weights: &Frozen) -> Result<Frozen, TrainError> {
    let mut all = weights.0.clone();
    if config.model_type != "phi3" {
        return Ok(Frozen(all));
    }
    for layer in 0..config.num_hidden_layers {
        for (module, parts, whole) in [("self_attn", &["q", "k", "v"][..], "qkv"), ("mlp", &["gate", "up"], "gate_up")] {
            let name = |part: &str| format!("model.layers.{layer}.{module}.{part}_proj.weight");
            let found: Vec<_> = parts.iter().filter_map(|part| all.remove(&name(part))).collect();
            if found.len() == parts.len() {
                all.insert(name(whole), Tensor::cat(&found, 0)?);
            }
        }
    }
    Ok(Frozen(all))
}

/// The `config.json` of what was trained of a model that also sees pictures: its text part as a model of its own. Any other stays as it is.
fn text_part(config: &Config, json: &[u8]) -> Vec<u8> {
    let (name, architecture) = match config.model_type.as_str() {
        "gemma3" => ("gemma3_text", "Gemma3ForCausalLM"),
        "qwen2_vl" | "qwen2_5_vl" => ("qwen2", "Qwen2ForCausalLM"),
        _ => return json.to_owned(),
    };
    let Ok(Value::Object(whole)) = serde_json::from_slice(json) else { return json.to_owned() };
    let mut part = match whole.get("text_config") {
        Some(Value::Object(part)) => part.clone(),
        _ if name == "gemma3_text" => return json.to_owned(),
        _ => whole.clone(),
    };
    for key in ["rope_scaling", "rope_parameters", "vision_config"].iter().filter(|_| name == "qwen2") {
        part.remove(*key);
    }
    for (key, value) in [
        ("model_type", json!(name)),
        ("architectures", json!([architecture])),
        ("vocab_size", json!(config.vocab_size)),
        ("num_attention_heads", json!(config.num_attention_heads)),
        ("num_key_value_heads", json!(config.num_key_value_heads)),
        ("head_dim", json!(config.head_dim)),
        ("rms_norm_eps", json!(config.rms_norm_eps)),
        ("tie_word_embeddings", json!(config.tie_word_embeddings)),
        ("eos_token_id", json!(config.eos_token_ids)),
    ] {
        part.insert(key.into(), value);
    }
    if name == "qwen2" {
        part.insert("rope_theta".into(), json!(config.rope_theta));
    }
    Value::Object(part).to_string().into_bytes()
}

/// What a policy or a reward model is made of.
#[derive(Clone)]
pub struct Backbone {
    /// The shape.
    pub config: Config,
    base: Option<Base>,
    seed: u64,
    checkpointing: bool,
}

impl Backbone {
    /// A decoder that starts from random weights.
    pub fn scratch(shape: &Shape, vocab_size: usize, eos: u32, seed: u64) -> Self {
        Self { config: shape.config(vocab_size, eos), base: None, seed, checkpointing: false }
    }

    /// A pretrained one, with its tokenizer; under `lora` an adapter moves and the base stays as it is stored, quantised or not.
    pub fn open(name: &str, lora: Option<&LoraConfig>, seed: u64, checkpointing: bool) -> Result<(Self, TextTokenizer), TrainError> {
        let files = ModelFiles::open(Path::new(name))?;
        let json = files.has("config.json").then(|| files.read("config.json")).transpose()?.map(|b| b.into_owned());
        let card = files.has(RewardCard::FILE).then(|| files.read(RewardCard::FILE)).transpose()?;
        let wrong = |e: serde_json::Error| TrainError::Data(format!("{}: {e}", files.path_of(RewardCard::FILE).display()));
        let card = card.map(|b| serde_json::from_slice(&b).map_err(wrong)).transpose()?;
        let model = files.load(&Device::Cpu, DType::F32, None)?;
        let wrong = |what: String| Err(TrainError::Data(format!("{}: {what}", files.path().display())));
        if let Some(why) = model.config.untrainable() {
            return wrong(why);
        }
        if let (Some(why), None) = (unwritable(&model.config, json.is_some()), lora) {
            return wrong(why);
        }
        if lora.is_some() && model.config.model_type == "phi3" {
            return wrong("phi3 has q, k and v in one matrix, as adapters elsewhere expect, and the layers that an adapter is written for here are parted; train all weights (no lora)".into());
        }
        let base = Base { name: name.into(), weights: model.weights.into(), lora: lora.cloned(), json, card };
        Ok((Self { config: model.config, base: Some(base), seed, checkpointing }, model.tokenizer))
    }

    /// The same decoder with `weights` as its base, on which an adapter moves.
    pub fn adapted(&self, weights: Frozen, lora: &LoraConfig) -> Self {
        let base = Base { name: String::new(), weights: Rc::new(weights), lora: Some(lora.clone()), json: None, card: None };
        Self { base: Some(base), ..self.clone() }
    }

    /// Where the base is a reward model: the weights of its head, and of the reference decoder that an implicit one has. Fails where `reward` asks for
    /// another head.
    pub fn learned_head(&self, reward: &RewardConfig) -> Result<Option<(Frozen, Option<Frozen>)>, TrainError> {
        let Some(Base { name, weights, card: Some(card), .. }) = &self.base else { return Ok(None) };
        if card.head != reward.network_head() {
            let json = |head: &Head| serde_json::to_string(head).unwrap_or_default();
            return Err(TrainError::Data(format!(
                "reward.from: {name} was learned with objective {} and has the head {}, but the recipe's objective, head, gamma and beta make {}; set them alike",
                card.objective.as_deref().unwrap_or("unknown"),
                json(&card.head),
                json(&reward.network_head())
            )));
        }
        let hidden = self.config.hidden_size;
        let rows = if card.head == Head::Scales { 3 } else { 1 };
        let shape = |name: &str| match name {
            "reward.weight" => vec![rows, hidden],
            "reward.potential.weight" => vec![1, hidden],
            "reward.bias" => vec![rows],
            "reward.mix" => vec![3],
            _ => vec![1],
        };
        let there = HEAD.into_iter().filter(|name| weights.contains(name));
        let head = there.map(|name| Ok((name.to_owned(), weights.tensor(name, &shape(name))?))).collect::<Result<_, TrainError>>()?;
        let reference = match card.head {
            Head::Implicit { .. } => Some(gather(&self.config, &Under(weights.as_ref(), REFERENCE))?),
            _ => None,
        };
        Ok(Some((Frozen(head), reference)))
    }

    /// All weights, an adapter's merged into its base's.
    pub fn merged(&self, own: Frozen) -> Result<Frozen, TrainError> {
        match &self.base {
            Some(Base { weights, lora: Some(lora), .. }) => {
                gather(&self.config, &Merged(&LoraSource::new(weights.clone(), own, lora.clone())?))
            }
            _ => Ok(own),
        }
    }

    /// Variables and the network over them, from `start` where it has them and from the base or the seed elsewhere.
    pub fn trainable(&self, mut start: Frozen) -> Result<(Rc<VarStore>, Decoder), TrainError> {
        if let (Some(Base { weights, lora: None, .. }), false) = (&self.base, start.0.contains_key("model.norm.weight")) {
            let own = std::mem::replace(&mut start, gather(&self.config, weights)?);
            start.0.extend(own.0);
        }
        let store = VarStore::new(self.seed ^ INITIAL, self.config.num_hidden_layers, &Device::Cpu, DType::F32).with_initial(start.0);
        let store = Rc::new(store);
        let net = self.network(store.clone())?;
        Ok((store, net))
    }

    /// The network with the weights, or over the base with the adapter, that [`Backbone::trainable`] made variables of.
    pub fn frozen(&self, weights: &Frozen) -> Result<Decoder, TrainError> {
        self.network(weights)
    }

    fn network(&self, own: impl WeightSource) -> Result<Decoder, TrainError> {
        let net = match &self.base {
            Some(Base { weights, lora: Some(lora), .. }) => {
                Decoder::load(&self.config, &LoraSource::new(weights.clone(), own, lora.clone())?, &mut |_| {})?
            }
            _ => Decoder::load(&self.config, &own, &mut |_| {})?,
        };
        Ok(net.with_checkpointing(self.checkpointing))
    }

    /// Writes a model directory; under LoRA one with an adapter in PEFT's layout, whose `modules_to_save` are `heads`.
    pub fn package(&self, dir: &Path, tokenizer: &TextTokenizer, weights: &Frozen, heads: &[&str]) -> Result<(), TrainError> {
        let Some(Base { lora, json, .. }) = &self.base else { return package(dir, &self.config, tokenizer, weights) };
        if lora.is_some() {
            self.write_adapter(dir, weights, heads)?;
        } else {
            package(dir, &self.config, tokenizer, &fused(&self.config, weights)?)?;
            let json = json.as_ref().map(|json| text_part(&self.config, json));
            json.map_or(Ok(()), |json| write_atomically(&dir.join("config.json"), &json))?;
        }
        write_atomically(&dir.join("chat_template.jinja"), PLAIN.as_bytes())
    }

    /// Writes the adapter alone, in PEFT's layout.
    pub fn write_adapter(&self, dir: &Path, weights: &Frozen, heads: &[&str]) -> Result<(), TrainError> {
        let Some(Base { name, lora: Some(lora), .. }) = &self.base else {
            return Err(TrainError::Data("all weights are trained; there is no adapter to write".into()));
        };
        let modules_to_save = heads.iter().map(|h| (*h).to_owned()).collect();
        // A path is written whole, so that the adapter opens from any folder.
        let base = std::fs::canonicalize(name).map_or_else(|_| name.clone(), |p| p.display().to_string());
        package_adapter(dir, &PeftConfig { lora: lora.clone(), base, modules_to_save, task_type: None }, weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse_config;

    #[test]
    fn what_was_trained_of_a_model_with_pictures_is_its_text_part() {
        let text = json!({"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 6, "sliding_window": 8});
        let qwen = json!({"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100,
            "rope_scaling": {"type": "mrope", "mrope_section": [2, 2, 4]}, "rope_theta": 5e5});
        for (whole, name) in [
            (json!({"model_type": "gemma3", "text_config": text, "vision_config": {}}), "gemma3"),
            (json!({"model_type": "qwen2_5_vl", "text_config": qwen, "tie_word_embeddings": true}), "qwen2"),
        ] {
            let read = |json: &[u8]| parse_config(json, None, Path::new("config.json")).unwrap();
            let before = read(whole.to_string().as_bytes());
            let written = text_part(&before, whole.to_string().as_bytes());
            assert!(!String::from_utf8_lossy(&written).contains("vision_config"));
            let after = read(&written);
            assert_eq!(after, Config { model_type: name.into(), bos_token_id: after.bos_token_id, ..before });
        }
    }

    #[test]
    fn phi3_is_written_in_its_own_matrices() {
        let config =
            br#"{"model_type":"phi3","vocab_size":8,"hidden_size":4,"intermediate_size":6,"num_hidden_layers":1,"num_attention_heads":2,
            "num_key_value_heads":1}"#;
        let config = parse_config(config, None, Path::new("config.json")).unwrap();
        let rows = |n: usize, from: f32| Tensor::from_vec((0..n * 4).map(|i| from + i as f32).collect(), (n, 4), &Device::Cpu).unwrap();
        let names =
            [("self_attn.q", 4, 0.0), ("self_attn.k", 2, 16.0), ("self_attn.v", 2, 24.0), ("mlp.gate", 6, 0.0), ("mlp.up", 6, 24.0)];
        let weights = names.map(|(part, n, from)| (format!("model.layers.0.{part}_proj.weight"), rows(n, from)));
        let written = fused(&config, &Frozen(weights.into_iter().collect())).unwrap().0;
        for (name, n) in [("self_attn.qkv", 8), ("mlp.gate_up", 12)] {
            let all: Vec<f32> = written[&format!("model.layers.0.{name}_proj.weight")].flatten_all().unwrap().to_vec1().unwrap();
            assert_eq!(all, (0..n * 4).map(|i| i as f32).collect::<Vec<_>>(), "{name}");
        }
        assert_eq!(written.len(), 2);
    }
}

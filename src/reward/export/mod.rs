//! A reward model that was trained here, written so that transformers loads it and scores alike.
//!
//! A head that is linear in the state after a token becomes transformers' own class for token classification. One that has the log-probability of the token
//! in it has no such class; a file of Python beside the weights is one (`trust_remote_code=True`). Either way `reward.toml` says how this program reads it.

mod tensors;

use super::protocol::{At, HeadKind, Input, Label, Lines, Output, PROTOCOL_FILE, Protocol, Read, Recognise, Says, Server, Shape, Squash};
use super::{Head, RewardCard};
use crate::model::{ModelError, ModelFiles};
use crate::util::atomic;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The file of Python, with `@BASE@` for the family.
const MODELING: &str = include_str!("modeling_reasonscope.py");
/// Its name, as `auto_map` has it.
const MODULE: &str = "modeling_reasonscope";
/// Files that go along as they are, where they are there.
const ALONG: [&str; 4] = ["tokenizer.json", "special_tokens_map.json", "chat_template.jinja", "generation_config.json"];

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Its class in transformers.
    pub class: String,
    /// Whether that class is the file of Python beside the weights.
    pub own_code: bool,
}

/// Writes the reward model `files` into the directory `to`, which is made; the error says what cannot be written so, or that something is there already.
pub fn export(files: &ModelFiles, to: &Path) -> Result<Exported, ModelError> {
    let error = |what: &str, remedy: &str| ModelError::File { path: files.path(), what: what.into(), remedy: remedy.into() };
    if !files.has(RewardCard::FILE) || matches!(files, ModelFiles::Gguf(_) | ModelFiles::Adapter { .. }) {
        return Err(error(
            "not a reward model that was trained here",
            "name a directory with reward.json that `reasonscope train` wrote, or `embedded`",
        ));
    }
    let card: RewardCard = serde_json::from_slice(&files.read(RewardCard::FILE)?).map_err(|e| ModelError::File {
        path: files.path_of(RewardCard::FILE),
        what: e.to_string(),
        remedy: "train or fetch the model again".into(),
    })?;
    let likelihood = match card.head {
        Head::Likelihood | Head::Shaped { likelihood: true, .. } => true,
        Head::Scalar | Head::Scales | Head::Shaped { likelihood: false, .. } => false,
        Head::Implicit { .. } => {
            return Err(error(
                "its reward lies between two models, which no class of transformers holds",
                "export a model with another head",
            ));
        }
        Head::Q { .. } => {
            return Err(error("its reward is read off its own logits, which has no head to export", "export a model with another head"));
        }
    };
    let base = match files.config()?.model_type.as_str() {
        "llama" => "Llama",
        "mistral" => "Mistral",
        "qwen2" => "Qwen2",
        "qwen3" => "Qwen3",
        other => return Err(error(&format!("a decoder of the family {other}"), "exported are llama, mistral, qwen2 and qwen3")),
    };
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ModelError::Io { path, source }
    };
    if std::fs::read_dir(to).is_ok_and(|mut d| d.next().is_some()) {
        return Err(ModelError::File {
            path: to.into(),
            what: "is there already and not empty".into(),
            remedy: "name a new directory".into(),
        });
    }
    std::fs::create_dir_all(to).map_err(io(to))?;
    let write = |name: &str, bytes: &[u8]| {
        let path: PathBuf = to.join(name);
        atomic::write(&path, bytes).map_err(io(&path))
    };
    let tensor = if likelihood { "reward" } else { "score" };
    let class = if likelihood { "ReasonscopeReward".to_owned() } else { format!("{base}ForTokenClassification") };
    write("model.safetensors", &tensors::of(files, card.head, tensor)?)?;
    write("config.json", pretty(&config(files, likelihood, &class)?).as_bytes())?;
    for name in ALONG.into_iter().filter(|name| files.has(name)) {
        write(name, &files.read(name)?)?;
    }
    write("tokenizer_config.json", pretty(&tokenizer_config(files)?).as_bytes())?;
    if likelihood {
        write(&format!("{MODULE}.py"), MODELING.replace("@BASE@", base).as_bytes())?;
    }
    let protocol = toml::to_string(&protocol(&card, likelihood, tensor)).map_err(|e| error(&e.to_string(), "rename the model"))?;
    write(PROTOCOL_FILE, protocol.as_bytes())?;
    Ok(Exported { class, own_code: likelihood })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn json_file(files: &ModelFiles, name: &str) -> Result<Value, ModelError> {
    serde_json::from_slice(&files.read(name)?).map_err(|e| ModelError::File {
        path: files.path_of(name),
        what: format!("not valid JSON: {e}"),
        remedy: "fetch the file again".into(),
    })
}

/// The model's configuration with the class that reads it.
fn config(files: &ModelFiles, likelihood: bool, class: &str) -> Result<Value, ModelError> {
    let mut config = json_file(files, "config.json")?;
    config["architectures"] = json!([class]);
    config["num_labels"] = 1.into();
    config["id2label"] = json!({ "0": "reward" });
    config["label2id"] = json!({ "reward": 0 });
    if likelihood {
        config["auto_map"] = json!({ "AutoModelForTokenClassification": format!("{MODULE}.{class}") });
    } else {
        // In training that class leaves out parts of a state before the head, unless told not to.
        config["classifier_dropout"] = 0.0.into();
    }
    Ok(config)
}

/// What transformers asks for beside `tokenizer.json`.
fn tokenizer_config(files: &ModelFiles) -> Result<Value, ModelError> {
    let name = "tokenizer_config.json";
    if files.has(name) {
        return json_file(files, name);
    }
    let tokenizer = files.tokenizer()?;
    let mut config = json!({ "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false });
    let eos = files.config()?.eos_token_ids.first().and_then(|&id| tokenizer.token(id));
    config["eos_token"] = eos.into();
    Ok(config)
}

/// How this program reads what was written.
fn protocol(card: &RewardCard, likelihood: bool, tensor: &str) -> Protocol {
    let reading = card.calibration.reading.clone();
    Protocol {
        name: card.name.clone(),
        source: String::new(),
        recognise: Recognise::default(),
        input: Input {
            layout: Shape::Plain,
            system: None,
            problem: "{problem}\n".into(),
            first: String::new(),
            between: String::new(),
            after: String::new(),
            tag: String::new(),
            tag_ids: Vec::new(),
            alone: false,
            lines: Lines::Keep,
        },
        write: None,
        read: Read {
            at: At::Token,
            head: if likelihood { HeadKind::Likelihood } else { HeadKind::Linear },
            tensor: tensor.into(),
            score: Squash::Logit,
            positive: Vec::<Label>::new(),
            negative: Vec::new(),
        },
        output: Output { aggregation: None, threshold: card.calibration.reward(), reading: Some(reading), steps: Says::Score },
        server: Server::default(),
    }
}

//! Which protocol a model is read by.

use super::{Protocol, Recognise, families, judge};
use crate::model::{Look, ModelError, ModelFiles};
use std::path::Path;

/// A user's description beside a model's weights.
pub const PROTOCOL_FILE: &str = "reward.toml";

/// What to do about a model that nothing is known of.
const DESCRIBE: &str = "describe how it is fed and read in reward.toml beside its weights, or in a file that --reward-protocol names; \
                        docs/reward-models.md says how, and `reasonscope doctor MODEL` shows what becomes of it";

/// What a model is taken for.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// How it is fed and read.
    pub protocol: Protocol,
    /// Why, as a sentence's end: `config.json names the architecture …`.
    pub because: String,
}

/// Finds the protocol of a model: the one in `file`, which the user named, or in `reward.toml` beside its weights, or the family that its files show.
///
/// Fails where a description is wrong, and where none fits: the error says what the model looks like and how to describe it.
pub fn recognise(files: &ModelFiles, file: Option<&Path>) -> Result<Taken, ModelError> {
    if let Some(path) = file {
        return named(path);
    }
    if files.has(PROTOCOL_FILE) {
        let path = files.path_of(PROTOCOL_FILE);
        let protocol = Protocol::parse(&String::from_utf8_lossy(&files.read(PROTOCOL_FILE)?), &path)?;
        return Ok(Taken { protocol, because: format!("{} says so", path.display()) });
    }
    let look = files.look()?;
    for family in families() {
        if let Some(because) = family.recognise.fits(&look) {
            return Ok(Taken { protocol: family.clone(), because });
        }
    }
    Err(ModelError::File { path: files.path(), what: unknown(&look), remedy: DESCRIBE.into() })
}

/// The family that a model's name alone shows, where its files are not at hand: one of the family's names is in it, or the family's own.
pub fn by_name(model: &str) -> Option<Protocol> {
    let model = plain(model);
    let shows = |family: &&Protocol| family.recognise.names.iter().chain([&family.name]).any(|name| model.contains(&plain(name)));
    families().iter().find(shows).cloned()
}

/// A name's letters and digits alone.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How a model is asked that is named as a judge: as the user's file says, or else as [`judge`] does.
pub fn as_judge(file: Option<&Path>) -> Result<Taken, ModelError> {
    match file {
        Some(path) => named(path),
        None => Ok(Taken { protocol: judge()?, because: "it was named as one (judge:MODEL)".into() }),
    }
}

/// The protocol in a file that the user named.
fn named(path: &Path) -> Result<Taken, ModelError> {
    Ok(Taken { protocol: Protocol::read(path)?, because: format!("{} says so", path.display()) })
}

impl Recognise {
    /// Why a model is of this family; `None` where it is not.
    fn fits(&self, look: &Look) -> Option<String> {
        let mut why = Vec::new();
        if !self.architectures.is_empty() {
            let is = |asked: &str, found: &str| asked.strip_prefix('*').map_or(asked == found, |end| found.ends_with(end));
            let found = look.architectures.iter().find(|found| self.architectures.iter().any(|asked| is(asked, found)))?;
            why.push(match found.strip_prefix("PeftFor") {
                Some(task) => format!("adapter_config.json makes a model for {task} of its base"),
                None => format!("config.json names the architecture {found}"),
            });
        }
        if !self.tensors.is_empty() {
            if !self.tensors.iter().all(|t| look.tensors.contains_key(t)) {
                return None;
            }
            why.push(format!("the weights have {}", self.tensors.join(", ")));
        }
        if !self.names.is_empty() {
            let found = look.names.iter().find(|name| self.names.iter().any(|asked| plain(name).contains(&plain(asked))))?;
            why.push(format!("it is called {found}"));
        }
        (!why.is_empty()).then(|| why.join(" and "))
    }
}

/// What a model looks like that no family fits.
fn unknown(look: &Look) -> String {
    let named = |parts: &[&str]| look.names.iter().any(|name| parts.iter().any(|part| plain(name).contains(part)));
    let architecture = look.architectures.first().map_or("without `architectures` in config.json", String::as_str);
    let heads: Vec<String> = look
        .tensors
        .iter()
        .filter(|(name, _)| !name.starts_with("model.") && !name.starts_with("lm_head"))
        .map(|(name, shape)| format!("{name} {shape:?}"))
        .take(6)
        .collect();
    if named(&["thinkprm", "rprm"]) {
        return "it looks like a reward model that writes before it judges, and how it is asked is not known here: a part [write] in reward.toml says it".into();
    }
    if named(&["implicitprm", "eurusprm"]) {
        return "it looks like an implicit reward model, whose score is a difference to a reference model: name both as implicit:MODEL,REFERENCE".into();
    }
    if !heads.is_empty() {
        return format!("a model ({architecture}) with a head of its own, {}, of no family that is known", heads.join(", "));
    }
    format!(
        "a language model ({architecture}) without reward.json or a head, and its name is of no family that is known, so nothing says how it judges (judge:MODEL asks any language model)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(architecture: &str, tensors: &[&str], name: &str) -> Look {
        Look {
            architectures: vec![architecture.into()],
            names: vec![name.into()],
            tensors: tensors.iter().map(|t| ((*t).to_owned(), vec![1, 8])).collect(),
            ..Look::default()
        }
    }

    fn family(look: &Look) -> Option<&'static str> {
        families().iter().find(|f| f.recognise.fits(look).is_some()).map(|f| f.name.as_str())
    }

    #[test]
    fn each_family_is_told_by_its_files() {
        let score = &["score.weight"];
        for (architecture, tensors, name, want) in [
            ("Qwen2ForProcessRewardModel", &["score.0.weight"][..], "a", "Qwen2.5-Math-PRM"),
            ("Qwen2ForProcessRewardModel", &["score.0.weight"], "Gen-Verse/ReasonFlux-PRM-7B", "ReasonFlux-PRM"),
            ("Qwen2ForRewardModel", &["score.0.weight"], "a", "Qwen2.5-Math-RM"),
            ("Qwen2ForPrmModel", &["v_head.summary.weight"], "a", "Skywork-o1-Open-PRM"),
            ("Qwen2ForCausalLM", &["v_head.summary.weight"], "a", "Skywork-o1-Open-PRM"),
            ("ReasonEval_7B", &["score_head.weight"], "a", "ReasonEval"),
            ("Qwen2ForTokenClassification", score, "a", "TRL PRMTrainer"),
            ("PeftForTokenClassification", score, "a", "TRL PRMTrainer"),
            ("Qwen2ForTokenClassification", score, "jinachris/PURE-PRM-7B", "PURE-PRM"),
            ("MistralForTokenClassification", score, "MATH-Minos", "MATH-Minos"),
            ("LlamaForSequenceClassification", score, "a", "outcome reward model"),
            ("PeftForSequenceClassification", score, "a", "outcome reward model"),
            ("MistralForCausalLM", &[], "peiyi9979/math-shepherd-mistral-7b-prm", "Math-Shepherd"),
            ("LlamaForCausalLM", &[], "RLHFlow/Llama3.1-8B-PRM-Deepseek-Data", "RLHFlow PRM"),
            ("LlamaForCausalLM", &[], "UW-Madison-Lee-Lab/VersaPRM", "VersaPRM"),
            ("Qwen2ForCausalLM", &[], "openreasoner/Math-psa", "OpenR math-psa"),
            ("LlamaForCausalLM", &[], "ScalableMath/llemma-7b-prm-metamath-level-1to3-hf", "llemma-7b-prm"),
            ("GgufForCausalLM", &[], "math-shepherd-mistral-7b-prm.Q4_K_M", "Math-Shepherd"),
            ("Qwen2ForCausalLM", &[], "GenPRM/GenPRM-1.5B", "GenPRM"),
        ] {
            assert_eq!(family(&look(architecture, tensors, name)), Some(want), "{architecture} {name}");
        }
        assert_eq!(family(&look("LlamaForCausalLM", &[], "SmolLM2-135M")), None);
    }

    #[test]
    fn a_name_alone_shows_a_family() {
        let shown = |name| by_name(name).map(|f| f.name);
        assert_eq!(shown("Qwen/Qwen2.5-Math-PRM-7B").as_deref(), Some("Qwen2.5-Math-PRM"));
        assert_eq!(shown("Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B").as_deref(), Some("Skywork-o1-Open-PRM"));
        assert_eq!(shown("peiyi9979/math-shepherd-mistral-7b-prm").as_deref(), Some("Math-Shepherd"));
        assert_eq!(shown("Qwen/Qwen2.5-7B-Instruct"), None);
    }

    #[test]
    fn what_is_not_known_is_described() {
        let says = |l: &Look, words: &[&str]| words.iter().for_each(|w| assert!(unknown(l).contains(w), "{} lacks {w}", unknown(l)));
        says(
            &look("LlamaForCausalLM", &["model.norm.weight", "lm_head.weight"], "x"),
            &["language model", "LlamaForCausalLM", "reward.json"],
        );
        says(&look("Qwen2ForEnsemblePRM", &["nn_out.weight"], "ActPRM"), &["Qwen2ForEnsemblePRM", "nn_out.weight [1, 8]"]);
        says(&look("Qwen2ForCausalLM", &[], "launch/ThinkPRM-1.5B"), &["[write]"]);
        says(&look("Qwen2ForCausalLM", &[], "PRIME-RL/EurusPRM-Stage2"), &["implicit:MODEL,REFERENCE"]);
    }
}

//! The recipe: everything a run depends on, in one TOML file.

mod check;
mod commented;
mod names;
mod optimise;
mod policy;
mod reward;
mod schema;

pub use optimise::{EvaluationConfig, PreferenceConfig, Ranking, Returns, RlConfig};
pub use policy::{DataConfig, PolicyConfig, SftConfig, Shape};
pub use reward::{AdversarialConfig, CalibrationConfig, HeadKind, LabelConfig, LabelKind, RewardConfig};

use crate::train::TrainError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A training run. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Seed of everything random.
    pub seed: u64,
    /// Folder of the run.
    pub output: PathBuf,
    /// Steps between checkpoints.
    #[serde(default = "checkpoint_every")]
    pub checkpoint_every: usize,
    /// Updates of a finished reward model on new demonstrations (`--demonstrations`).
    #[serde(default = "update_steps")]
    pub update_steps: usize,
    /// A finished run whose stages are taken over where nothing that they depend on differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<PathBuf>,
    /// Demonstrations.
    pub data: DataConfig,
    /// The policy.
    pub policy: PolicyConfig,
    /// The reward model; absent: none is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<RewardConfig>,
    /// Preference training on ranked samples; absent: none. It comes before policy optimisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<PreferenceConfig>,
    /// Policy optimisation; absent: the policy stays as it was fine-tuned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rl: Option<RlConfig>,
    /// The trained policy on problems that nothing was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationConfig>,
}

fn checkpoint_every() -> usize {
    100
}

fn update_steps() -> usize {
    100
}

impl Recipe {
    /// Reads a recipe, with `key=value` settings put over what the file says; keys are dotted, values TOML or plain words. Errors name the file, the
    /// line and the key.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|source| TrainError::Io { path: path.into(), source })?;
        let wrong = |what: String| TrainError::Recipe { path: path.into(), what };
        let recipe: Self = if overrides.is_empty() {
            toml::from_str(&text).map_err(|e| {
                let message = e.to_string();
                wrong(toml::from_str(&text).map_or_else(|_| message.clone(), |table| names::explain(&message, &table)))
            })?
        } else {
            let mut table: toml::Table = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
            for o in overrides {
                set(&mut table, o).map_err(|e| wrong(format!("--set {o}: {e}")))?;
            }
            let explained = |e: toml::de::Error| format!("with --set {}: {}", overrides.join(" "), names::explain(&e.to_string(), &table));
            table.clone().try_into().map_err(|e| wrong(explained(e)))?
        };
        recipe.check().map_err(wrong)?;
        Ok(recipe)
    }
}

impl Recipe {
    /// Whether reference answers take part in training.
    pub fn uses_answers(&self) -> bool {
        let labels = |l: &LabelConfig| l.kind != LabelKind::Steps;
        self.rl.as_ref().is_some_and(|r| r.verifier != 0.0)
            || self.preference.as_ref().is_some_and(|p| p.rank == Ranking::Verifier)
            || self.reward.as_ref().is_some_and(|r| r.adversarial.answer_agreement || r.labels.as_ref().is_some_and(labels))
    }
}

/// Tables that a key may name one inside the other: a table dropped at the end drops the next inside it.
const DEEPEST: usize = 16;

/// Puts `a.b.c=value` into a table; tables on the way are made where they are missing.
pub fn set(table: &mut toml::Table, assignment: &str) -> Result<(), String> {
    let (key, value) = assignment.split_once('=').ok_or("expected key=value, for example rl.steps=50")?;
    let value = value.trim();
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut at = table;
    let mut parts: Vec<&str> = key.trim().split('.').take(DEEPEST + 2).collect();
    if parts.len() > DEEPEST {
        return Err(format!("the key has more than {DEEPEST} parts, and no key of a recipe has"));
    }
    let last = parts.pop().filter(|k| !k.is_empty()).ok_or("the key is empty")?;
    for part in parts {
        let next = at.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = next.as_table_mut().ok_or_else(|| format!("{part} is a value and has no keys"))?;
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

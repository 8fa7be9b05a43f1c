//! What a run leaves beside its result so that it can be told later what made it.

use super::TrainError;
use super::data::Demonstrations;
use super::package::write_json;
use super::recipe::Recipe;
use super::run::Inputs;
use crate::util::hash::fnv1a;
use std::path::{Path, PathBuf};

/// Writes `run.json`: versions, seeds, hashes of the data, the commit of the folder that the run was started in, and whether answers were used.
pub(super) fn write(path: &Path, recipe: &Recipe, data: &Demonstrations, inputs: &Inputs) -> Result<(), TrainError> {
    let tokens = |ids: Vec<u32>| fnv1a(ids.into_iter().flat_map(u32::to_le_bytes));
    let demonstrations = (0..data.len() as u64).filter_map(|i| data.expert(i)).map(|s| tokens(s.ids));
    let demonstrations = fnv1a(demonstrations.flat_map(u64::to_le_bytes));
    let problems = fnv1a((0..data.problems() as u64).map(|i| tokens(data.prompt(i))).flat_map(u64::to_le_bytes));
    let uses_answers = recipe.uses_answers();
    let given = |number: usize, json: serde_json::Result<Vec<u8>>| {
        (number > 0).then(|| serde_json::json!({ "number": number, "hash": format!("{:016x}", fnv1a(json.unwrap_or_default())) }))
    };
    let record = serde_json::json!({
        "reasonscope": env!("CARGO_PKG_VERSION"),
        "commit": commit(),
        "seed": recipe.seed,
        "threads": rayon::current_num_threads(),
        "task": recipe.data.task.name(),
        "demonstrations": { "number": data.len(), "hash": format!("{demonstrations:016x}") },
        "problems": { "number": data.problems(), "hash": format!("{problems:016x}") },
        "labels": given(inputs.labels.len(), serde_json::to_vec(&inputs.labels)),
        "more_demonstrations": given(inputs.more.len(), serde_json::to_vec(&inputs.more)),
        "more_labels": given(inputs.more_labels.len(), serde_json::to_vec(&inputs.more_labels)),
        "uses_answers": uses_answers,
    });
    write_json(path, &record)
}

/// The commit that the current folder's repository stands at.
fn commit() -> Option<String> {
    let here = std::env::current_dir().ok()?;
    let git: PathBuf = here.ancestors().map(|d| d.join(".git")).find(|g| g.is_dir())?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(name) = head.trim().strip_prefix("ref: ") else { return Some(head.trim().to_owned()) };
    if let Ok(id) = std::fs::read_to_string(git.join(name)) {
        return Some(id.trim().to_owned());
    }
    let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
    packed.lines().find_map(|l| l.strip_suffix(name)?.split(' ').next().map(str::to_owned))
}

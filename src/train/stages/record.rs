//! What a run leaves beside its result so that it can be told later what made it.

use super::context::Inputs;
use crate::run::{RunRecord, Summarised};
use crate::train::data::Demonstrations;
use crate::train::recipe::Recipe;
use crate::util::hash::fnv1a;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Versions, seeds, hashes of the data, the commit of the folder that the run was started in, and whether answers were used; no stage is through yet.
pub fn record(recipe: &Recipe, data: &Demonstrations, inputs: &Inputs) -> RunRecord {
    let tokens = |ids: Vec<u32>| fnv1a(ids.into_iter().flat_map(u32::to_le_bytes));
    let demonstrations = (0..data.len() as u64).filter_map(|i| data.expert(i)).map(|s| tokens(s.ids));
    let demonstrations = fnv1a(demonstrations.flat_map(u64::to_le_bytes));
    let problems = fnv1a((0..data.problems() as u64).map(|i| tokens(data.prompt(i))).flat_map(u64::to_le_bytes));
    RunRecord {
        reasonscope: env!("CARGO_PKG_VERSION").into(),
        commit: commit(),
        seed: recipe.seed,
        threads: rayon::current_num_threads(),
        task: recipe.data.task.name().into(),
        demonstrations: summarised(data.len(), demonstrations),
        problems: summarised(data.problems(), problems),
        labels: given(&inputs.labels),
        more_demonstrations: given(&inputs.more),
        more_labels: given(&inputs.more_labels),
        uses_answers: recipe.uses_answers(),
        stages: BTreeMap::new(),
    }
}

fn summarised(number: usize, hash: u64) -> Summarised {
    Summarised { number, hash: format!("{hash:016x}") }
}

/// Data of files; `None` where there is none.
fn given<T: Serialize>(all: &[T]) -> Option<Summarised> {
    (!all.is_empty()).then(|| summarised(all.len(), fnv1a(serde_json::to_vec(all).unwrap_or_default())))
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

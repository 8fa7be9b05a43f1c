//! What a recipe of `train` reads: demonstrations, problems, labelled traces.

use crate::cli::demonstrations::{demonstrations, problems};
use crate::format::{Options, TraceList};
use crate::trace::Trace;
use crate::train::{Inputs, Recipe, step_labels};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// What the recipe's files hold.
pub(super) fn inputs(recipe: &Recipe, more: Option<&Path>, more_labels: Option<&Path>) -> Result<Inputs> {
    let task = recipe.data.task;
    let label_files = recipe.reward.as_ref().and_then(|r| r.labels.as_ref()).map_or(&[][..], |l| &l.files);
    let mut inputs =
        Inputs { demonstrations: demonstrations(task, &recipe.data.files)?, labels: labelled(label_files)?, ..Inputs::default() };
    if let Some(evaluation) = &recipe.evaluation {
        inputs.problems = problems(task, &evaluation.files)?;
    }
    if let Some(more) = more {
        inputs.more = demonstrations(task, &[more.to_owned()])?;
    }
    if let Some(file) = more_labels {
        inputs.more_labels = labelled(&[file.to_owned()])?;
        let known = |c| step_labels(c).iter().any(Option::is_some);
        if !inputs.more_labels.iter().flat_map(|t| &t.candidates).any(known) {
            bail!("{}: holds no labelled steps; mark some in the inspector with + and -", file.display());
        }
    }
    Ok(inputs)
}

/// The labelled traces that the recipe names.
fn labelled(files: &[PathBuf]) -> Result<Vec<Trace>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    Ok(TraceList::open(&files, Options::default())?.iter().collect::<Result<_, _>>()?)
}

//! `train RECIPE`, also `--train RECIPE`.

use super::args::OutputArgs;
use super::exit::Exit;
use super::interrupt::Interrupt;
use super::progress::Reporter;
use crate::format::{Options, TraceList};
use crate::trace::Trace;
use crate::train::{Inputs, Metrics, Progress, Recipe, TrainError};
use anyhow::{Context, Result};
use clap::Args;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Arguments of `train`.
#[derive(Args, Debug)]
pub struct Train {
    /// What to train and how: a TOML file such as samples/recipes/embedded.toml. Run again, it goes on from its last checkpoint
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    /// Puts a value over what the recipe says, for example `--set rl.steps=50 --set output=runs/a`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Train {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let recipe = Recipe::read(&self.recipe, &self.set)?;
        let inputs = Inputs { labels: labels(&recipe)?, more: Vec::new() };
        let folder = recipe.output.clone();
        fs::create_dir_all(&folder).with_context(|| format!("{}: cannot create the folder of the run", folder.display()))?;
        let mut metrics = MetricsFile::open(&folder.join("metrics.jsonl"))?;
        let mut reporter = Reporter::new(messages, "steps");
        let interrupt = Interrupt::listen()?;
        let stop = interrupt.flag();
        reporter.say(&format!("training into {}", folder.display()));
        let mut failed = None;
        let mut report = |m: &Metrics| {
            // The trainer's own errors have no place for those of this file; they end the run all the same.
            if let Err(error) = metrics.add(m) {
                failed = Some(error);
                return Err(TrainError::Interrupted);
            }
            let note = ["loss", "mean_token_accuracy", "disc_acc_expert", "disc_acc_gen", "tokens_per_second"]
                .iter()
                .filter_map(|name| m.values.get(*name).and_then(serde_json::Value::as_f64).map(|v| format!("{name} {v:.4}")))
                .collect::<Vec<_>>()
                .join("  ");
            reporter.progress(m.step as u64, Some(m.steps as u64), &format!("of {}  {note}", m.stage));
            Ok(())
        };
        let mut progress = Progress { report: &mut report, stop: &stop, checkpoint_every: recipe.checkpoint_every };
        let result = crate::train::run(&recipe, &inputs, &mut progress);
        metrics.finish()?;
        if let Some(error) = failed {
            return Err(error);
        }
        match result {
            Err(TrainError::Interrupted) => {
                reporter.say(&TrainError::Interrupted.to_string());
                Ok(Exit::Interrupted)
            }
            Err(error) => Err(error.into()),
            Ok(()) => {
                let (policy, reward) = (folder.join("policy"), folder.join("reward"));
                reporter.say(&format!("wrote {} and {}", policy.display(), reward.display()));
                reporter.record(serde_json::json!({ "event": "summary", "policy": policy, "reward": reward }));
                Ok(Exit::Ok)
            }
        }
    }
}

/// The labelled traces that the recipe names.
fn labels(recipe: &Recipe) -> Result<Vec<Trace>> {
    let Some(labels) = recipe.reward.as_ref().and_then(|r| r.labels.as_ref()).filter(|l| !l.files.is_empty()) else {
        return Ok(Vec::new());
    };
    let files: Vec<String> = labels.files.iter().map(|f| f.display().to_string()).collect();
    Ok(TraceList::open(&files, Options::default())?.iter().collect::<Result<_, _>>()?)
}

/// The run's metrics, a JSON line an update. A resumed run replaces the lines that it computes again.
struct MetricsFile {
    path: PathBuf,
    file: BufWriter<File>,
    stages: HashSet<String>,
}

impl MetricsFile {
    fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path).with_context(|| path.display().to_string())?;
        Ok(Self { path: path.into(), file: BufWriter::new(file), stages: HashSet::new() })
    }

    fn add(&mut self, metrics: &Metrics) -> Result<()> {
        if self.stages.insert(metrics.stage.clone()) {
            self.forget(&metrics.stage, metrics.step)?;
        }
        let line = serde_json::to_string(metrics)?;
        writeln!(self.file, "{line}").with_context(|| self.path.display().to_string())
    }

    /// Removes the lines of a stage from a step on.
    fn forget(&mut self, stage: &str, from: usize) -> Result<()> {
        self.file.flush()?;
        let mut kept = Vec::new();
        for line in BufReader::new(File::open(&self.path)?).lines() {
            let line = line?;
            let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            let again = value["stage"] == stage && value["step"].as_u64().is_none_or(|s| s as usize >= from);
            if !again && !value.is_null() {
                kept.extend_from_slice(line.as_bytes());
                kept.push(b'\n');
            }
        }
        crate::train::write_atomically(&self.path, &kept)?;
        self.file = BufWriter::new(File::options().append(true).open(&self.path)?);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.file.flush().with_context(|| self.path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_stage_replaces_its_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let metrics = |stage: &str, step| Metrics { stage: stage.into(), step, steps: 9, values: serde_json::Map::default() };
        let mut first = MetricsFile::open(&path).unwrap();
        for (stage, step) in [("policy", 1), ("policy", 2), ("policy", 3)] {
            first.add(&metrics(stage, step)).unwrap();
        }
        first.finish().unwrap();
        let mut second = MetricsFile::open(&path).unwrap();
        second.add(&metrics("policy", 2)).unwrap();
        second.add(&metrics("reward", 1)).unwrap();
        second.finish().unwrap();
        let read = |v: &str| serde_json::from_str::<serde_json::Value>(v).map(|v| format!("{}{}", v["stage"], v["step"])).unwrap();
        let lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(read).collect();
        assert_eq!(lines, ["\"policy\"1", "\"policy\"2", "\"reward\"1"]);
    }
}

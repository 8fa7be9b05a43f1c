//! `train RECIPE`, also `--train RECIPE`.

use super::args::OutputArgs;
use super::exit::Exit;
use super::interrupt::Interrupt;
use super::progress::Reporter;
use crate::train::{Metrics, Progress, Recipe, Session, TrainError, World};
use anyhow::{Context, Result};
use clap::Args;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `train`.
#[derive(Args, Debug)]
pub struct Train {
    /// What to train and how: a TOML file such as samples/recipes/embedded.toml. Run again, it goes on from its last checkpoint
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
}

impl Train {
    pub(super) fn new(recipe: PathBuf) -> Self {
        Self { recipe }
    }

    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let _session = Session::join()?;
        let world = World::here();
        let quiet = OutputArgs { quiet: messages.quiet || !world.is_first(), ..messages.clone() };
        let result = self.train(&quiet, world);
        if let Err(error) = &result
            && world.size() > 1
        {
            // What fails in all processes is said by the first; one that fails alone must not leave the others waiting.
            std::thread::sleep(Duration::from_millis(if world.is_first() { 0 } else { 1000 }));
            let error = anyhow::anyhow!("process {} of {}: {}", world.rank(), world.size(), super::exit::message(error));
            super::tell(&error, messages.json);
            world.abort();
        }
        result
    }

    fn train(self, messages: &OutputArgs, world: World) -> Result<Exit> {
        let recipe = Recipe::read(&self.recipe)?;
        let folder = recipe.output.clone();
        fs::create_dir_all(&folder).with_context(|| format!("{}: cannot create the folder of the run", folder.display()))?;
        // Of several processes, the first tells how it goes.
        let mut metrics = world.is_first().then(|| MetricsFile::open(&folder.join("metrics.jsonl"))).transpose()?;
        let mut reporter = Reporter::new(messages, "steps");
        let interrupt = Interrupt::listen()?;
        let stop = interrupt.flag();
        reporter.say(&format!("training into {}", folder.display()));
        let mut failed = None;
        let mut report = |m: &Metrics| {
            // The trainer's own errors have no place for those of this file; they end the run all the same.
            if let Some(Err(error)) = metrics.as_mut().map(|file| file.add(m)) {
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
        let result = crate::train::run(&recipe, &mut progress);
        metrics.as_mut().map_or(Ok(()), MetricsFile::finish)?;
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

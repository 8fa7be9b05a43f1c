//! `train RECIPE`, also `--train RECIPE`.

use super::args::OutputArgs;
use super::exit::{Exit, Gate};
use super::interrupt::Interrupt;
use super::progress::{Reporter, metrics_note};
use super::record::{FailOn, Recorder};
use crate::diagnose::AlarmKind;
use crate::format::{Options, TraceList};
use crate::trace::Trace;
use crate::train::table::Table;
use crate::train::{Inputs, Metrics, Progress, Recipe, TrainError};
use anyhow::{Context, Result};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Arguments of `train`.
#[derive(Args, Debug)]
pub struct Train {
    /// What to train and how: a TOML file such as samples/recipes/embedded.toml. Run again, it goes on from its last checkpoint
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    /// Puts a value over what the recipe says, for example `--set rl.steps=50 --set output=runs/a`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Alarms that end the run, its checkpoint saved, with exit code 3; others are warnings
    #[arg(long, value_name = "ALARM", value_delimiter = ',', value_parser = fail_on())]
    fail_on: Vec<FailOn>,
}

fn fail_on() -> impl TypedValueParser<Value = FailOn> {
    let names = AlarmKind::ALL.map(AlarmKind::name).into_iter().chain(["any"]);
    PossibleValuesParser::new(names).map(|name| name.parse().map_or(FailOn::Any, FailOn::Kind))
}

impl Train {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        if let Some(table) = Table::read(&self.recipe)? {
            return super::table::run(&table, &self.set, &mut Reporter::new(messages, "of the table's"));
        }
        let recipe = Recipe::read(&self.recipe, &self.set)?;
        let inputs = Inputs { labels: labels(&recipe)?, more: Vec::new() };
        let folder = recipe.output.clone();
        fs::create_dir_all(&folder).with_context(|| format!("{}: cannot create the folder of the run", folder.display()))?;
        let mut recorder = Recorder::open(&folder, self.fail_on)?;
        let mut reporter = Reporter::new(messages, "steps");
        let interrupt = Interrupt::listen()?;
        let stop = interrupt.flag();
        reporter.say(&format!("training into {}", folder.display()));
        let mut failed = None;
        let mut report = |m: &Metrics| {
            match recorder.add(m) {
                Ok(alarms) => alarms.iter().for_each(|a| reporter.warn(&format!("{}: {}", a.kind, a.message))),
                // The trainer's own errors have no place for those of the run's files; they end the run all the same.
                Err(error) => {
                    failed = Some(error);
                    return Err(TrainError::Interrupted);
                }
            }
            if recorder.fatal().is_some() {
                stop.store(true, Ordering::Relaxed);
            }
            reporter.stage(&m.stage);
            let head = format!("of {}  ", m.stage);
            let room = reporter.room(m.steps).map(|r| r.saturating_sub(head.len() + "steps ".len()));
            reporter.progress(m.step as u64, Some(m.steps as u64), &(head + &metrics_note(&m.values, room)));
            Ok(())
        };
        let mut progress = Progress { report: &mut report, stop: &stop, checkpoint_every: recipe.checkpoint_every };
        let result = crate::train::run(&recipe, &inputs, &mut progress);
        if let Some(error) = failed {
            return Err(error);
        }
        if let Err(TrainError::NotFinite(why)) = &result
            && recorder.not_finite(why)?
        {
            return Err(Gate(format!("--fail-on: {}: {why}", AlarmKind::Nan)).into());
        }
        if let Some(alarm) = recorder.fatal() {
            let kept = "the checkpoint is saved, and the same command without --fail-on goes on from it";
            return Err(Gate(format!("--fail-on: {}: {}; {kept}", alarm.kind, alarm.message)).into());
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

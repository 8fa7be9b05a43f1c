//! `train RECIPE`, also `--train RECIPE`.

mod inputs;
mod record;
mod table;

use super::args::{CodeArgs, OutputArgs};
use super::exit::{Exit, Gate, Usage};
use super::interrupt::Interrupt;
use super::progress::{Reporter, metrics_note};
use crate::diagnose::{Alarm, AlarmKind};
use crate::run::{RunFolder, stage};
use crate::train::table::Table;
use crate::train::{Metrics, Progress, Recipe, Session, TrainError, World, lacks_threshold};
use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use inputs::inputs;
use record::{FailOn, Recorder};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Arguments of `train`.
#[derive(Args, Debug)]
pub struct Train {
    /// What to train and how: a TOML file such as samples/recipes/embedded.toml. Run again, it goes on from its last checkpoint
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    /// Puts a value over what the recipe says, for example `--set rl.steps=50 --set output=runs/a`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Go on with a run that is there already; without one it is an error. A run goes on by itself, too, wherever its output folder has one
    #[arg(long)]
    resume: bool,
    /// New demonstrations, JSON lines: the run's reward model goes on learning from them, without forgetting the old ones
    #[arg(long, value_name = "FILE", requires = "resume")]
    demonstrations: Option<PathBuf>,
    /// Traces with step labels, such as those that the inspector keeps: the run's reward model goes on learning from them, without forgetting the old ones
    #[arg(long, value_name = "FILE", requires = "resume")]
    labels: Option<PathBuf>,
    /// Alarms that end the run, its checkpoint saved, with exit code 3; others are warnings
    #[arg(long, value_name = "ALARM", value_delimiter = ',', value_parser = fail_on())]
    fail_on: Vec<FailOn>,
    #[command(flatten)]
    code: CodeArgs,
}

fn fail_on() -> impl TypedValueParser<Value = FailOn> {
    let names = AlarmKind::ALL.map(AlarmKind::name).into_iter().chain(["any"]);
    PossibleValuesParser::new(names).map(|name| name.parse().map_or(FailOn::Any, FailOn::Kind))
}

impl Train {
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
        if let Some(table) = Table::read(&self.recipe, &self.set)? {
            if self.demonstrations.is_some() || self.labels.is_some() || !self.fail_on.is_empty() {
                let what = "--demonstrations, --labels and --fail-on are for one run; give them with the recipe of one";
                return Err(Usage(format!("{}: is a table of runs: {what}", self.recipe.display())).into());
            }
            return table::run(&table, &self.set, &self.code, messages);
        }
        let recipe = Recipe::read(&self.recipe, &self.set)?;
        let mut warning = None;
        let grader = self.code.grader(recipe.data.task, &mut |w| warning = Some(w.to_owned()))?;
        recipe.check_grader(&grader).with_context(|| self.recipe.display().to_string())?;
        let mut inputs = inputs(&recipe, self.demonstrations.as_deref(), self.labels.as_deref())?;
        inputs.grader = Arc::new(grader);
        let folder = RunFolder::new(&recipe.output);
        if recipe.reward.is_none() && (self.demonstrations.is_some() || self.labels.is_some()) {
            bail!("{}: has no [reward], so that there is no reward model to go on learning", self.recipe.display());
        }
        if self.resume && !folder.is_run() {
            bail!("{}: holds no run to go on with; leave --resume out to start one", folder.path().display());
        }
        fs::create_dir_all(folder.path()).with_context(|| format!("{}: cannot create the folder of the run", folder.path().display()))?;
        let mut recorder = None;
        let mut reporter = Reporter::new(messages, "steps");
        if let Some(warning) = warning.filter(|_| world.is_first()) {
            reporter.warn(&warning);
        }
        let interrupt = Interrupt::listen()?.telling(messages);
        let stop = interrupt.flag();
        reporter.say(&format!("training into {}", folder.path().display()));
        let (mut failed, mut evaluated) = (None, String::new());
        // Of several processes, the first tells how it goes. By the first report, the run has the folder to itself.
        let record = |recorder: &mut Option<Recorder>, m: &Metrics| -> Result<Vec<Alarm>> {
            if recorder.is_none() && world.is_first() {
                *recorder = Some(Recorder::open(&folder, self.fail_on.clone())?);
            }
            recorder.as_mut().map_or(Ok(Vec::new()), |r| Ok(r.add(m)?))
        };
        let mut report = |m: &Metrics| {
            if m.stage == stage::EVALUATION && !m.values.is_empty() {
                evaluated = metrics_note(&m.values, None);
            }
            match record(&mut recorder, m) {
                Ok(alarms) => alarms.iter().for_each(|a| reporter.warn(&format!("{}: {}", a.kind, a.message))),
                // The trainer's own errors have no place for those of the run's files; they end the run all the same.
                Err(error) => {
                    failed = Some(error);
                    return Err(TrainError::Interrupted);
                }
            }
            if recorder.as_ref().is_some_and(|r| r.fatal().is_some()) {
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
        if let (Err(TrainError::NotFinite(why)), Some(recorder)) = (&result, &mut recorder)
            && recorder.not_finite(why)?
        {
            return Err(Gate(format!("--fail-on: {}: {why}", AlarmKind::Nan)).into());
        }
        if let Some(alarm) = recorder.as_ref().and_then(Recorder::fatal) {
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
                let (policy, reward) = (folder.policy(), folder.reward());
                if !evaluated.is_empty() {
                    reporter.say(&format!("evaluation of the policy, as shares: {evaluated}"));
                }
                reporter.say(&format!("wrote {} and {}", policy.display(), reward.display()));
                if recipe.reward.as_ref().is_some_and(|r| r.calibration.is_some()) && lacks_threshold(&folder) {
                    reporter.warn(
                        "the reward model has no threshold, so that no step will be marked: too few samples for [reward.calibration]; raise its problems or samples",
                    );
                }
                reporter.record(serde_json::json!({ "event": "summary", "policy": policy, "reward": reward }));
                Ok(Exit::Ok)
            }
        }
    }
}

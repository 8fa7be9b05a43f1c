//! What a training run leaves behind while it goes on: metrics, event files for TensorBoard, alarms.

use crate::diagnose::{Alarm, AlarmKind, RunWatch};
use crate::train::{EventFile, Metrics};
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// An alarm that ends a run, as `--fail-on` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    /// Whatever alarm.
    Any,
    /// This one.
    Kind(AlarmKind),
}

impl FailOn {
    fn holds(self, kind: AlarmKind) -> bool {
        self == Self::Any || self == Self::Kind(kind)
    }
}

/// Writes `metrics.jsonl` and an event file in the folder of a run, and watches what it writes.
pub struct Recorder {
    metrics: MetricsFile,
    events: EventFile,
    watch: RunWatch,
    fail_on: Vec<FailOn>,
    last: (String, usize, usize),
}

/// A line of `metrics.jsonl`.
#[derive(Serialize)]
struct Line<'a> {
    stage: &'a str,
    step: usize,
    steps: usize,
    /// Seconds since 1970.
    time: f64,
    #[serde(flatten)]
    values: &'a Map<String, Value>,
}

impl Recorder {
    /// Goes on with the files of the folder; alarms of `fail_on` are [`Recorder::fatal`].
    pub fn open(folder: &Path, fail_on: Vec<FailOn>) -> Result<Self> {
        let metrics = MetricsFile::open(&folder.join("metrics.jsonl"))?;
        let events = EventFile::create(folder, now())?;
        Ok(Self { metrics, events, watch: RunWatch::default(), fail_on, last: (String::new(), 0, 0) })
    }

    /// Takes the metrics of an update; says which alarms they set off.
    pub fn add(&mut self, m: &Metrics) -> Result<Vec<Alarm>> {
        let time = now();
        if let Some(before) = self.metrics.enter(&m.stage, m.step)? {
            // A resumed stage is judged by its own start, and told no alarm twice.
            for (step, values) in before {
                self.watch.see(&m.stage, step, m.steps, &numbers(&values));
            }
        }
        self.metrics.write(&Line { stage: &m.stage, step: m.step, steps: m.steps, time, values: &m.values })?;
        let values = numbers(&m.values);
        if !values.is_empty() {
            let tagged: Vec<(String, f64)> = values.iter().map(|(name, v)| (format!("{}/{name}", m.stage), *v)).collect();
            self.events.scalars(time, m.step as u64, tagged.iter().map(|(tag, v)| (tag.as_str(), *v)))?;
        }
        self.last = (m.stage.clone(), m.step, m.steps);
        let alarms = self.watch.see(&m.stage, m.step, m.steps, &values);
        alarms.iter().try_for_each(|alarm| self.note(alarm))?;
        Ok(alarms)
    }

    /// The run broke off because of numbers that are not finite: leaves the alarm, and says whether the user made it a gate.
    pub fn not_finite(&mut self, why: &str) -> Result<bool> {
        let (stage, step, _) = self.last.clone();
        self.note(&Alarm { kind: AlarmKind::Nan, stage, step, since: step, message: why.into() })?;
        Ok(self.fail_on.iter().any(|f| f.holds(AlarmKind::Nan)))
    }

    /// An alarm that stands and that the user wants the run to end on.
    pub fn fatal(&self) -> Option<&Alarm> {
        self.watch.standing().find(|alarm| self.fail_on.iter().any(|f| f.holds(alarm.kind)))
    }

    fn note(&mut self, alarm: &Alarm) -> Result<()> {
        let mut values = Map::new();
        values.insert("alarm".into(), alarm.kind.name().into());
        values.insert("since".into(), alarm.since.into());
        values.insert("message".into(), alarm.message.as_str().into());
        self.metrics.write(&Line { stage: &alarm.stage, step: alarm.step, steps: self.last.2, time: now(), values: &values })
    }
}

/// Values as numbers; JSON has none that are not finite and writes them as null.
fn numbers(values: &Map<String, Value>) -> BTreeMap<String, f64> {
    let number = |v: &Value| if v.is_null() { Some(f64::NAN) } else { v.as_f64() };
    values.iter().filter_map(|(name, v)| Some((name.clone(), number(v)?))).collect()
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_millis() as f64 / 1000.0)
}

/// The run's metrics, a JSON line an update. A resumed run replaces the lines that it computes again.
struct MetricsFile {
    path: PathBuf,
    file: File,
    stages: HashSet<String>,
}

/// The step and the values of lines that are kept.
type Kept = Vec<(usize, Map<String, Value>)>;

impl MetricsFile {
    fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path).with_context(|| path.display().to_string())?;
        Ok(Self { path: path.into(), file, stages: HashSet::new() })
    }

    /// Whole lines, at once: somebody may be reading.
    fn write(&mut self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).with_context(|| self.path.display().to_string())
    }

    /// The first time that a stage reports, removes its lines from `step` on, and says which of its lines were there before.
    fn enter(&mut self, stage: &str, step: usize) -> Result<Option<Kept>> {
        if !self.stages.insert(stage.to_owned()) {
            return Ok(None);
        }
        let (mut text, mut kept, mut all) = (Vec::new(), Vec::new(), true);
        let name = || self.path.display().to_string();
        for line in BufReader::new(File::open(&self.path).with_context(name)?).split(b'\n') {
            let line = line.with_context(name)?;
            // What is no line of metrics is no loss.
            let value: Value = serde_json::from_slice(&line).unwrap_or_default();
            let at = value["step"].as_u64().map(|s| s as usize);
            let again = value["stage"] == stage && at.is_none_or(|s| s >= step);
            if again || value.is_null() {
                all = false;
                continue;
            }
            text.extend_from_slice(&line);
            text.push(b'\n');
            if let (Value::Object(mut values), Some(at)) = (value, at)
                && values.get("stage").is_some_and(|s| s == stage)
                && !values.contains_key("alarm")
            {
                ["stage", "step", "steps", "time"].iter().for_each(|name| {
                    values.shift_remove(*name);
                });
                kept.push((at, values));
            }
        }
        if !all {
            crate::train::write_atomically(&self.path, &text)?;
            self.file = File::options().append(true).open(&self.path)?;
        }
        Ok(Some(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(stage: &str, step: usize, values: &[(&str, f64)]) -> Metrics {
        let values = values.iter().map(|(n, v)| ((*n).to_owned(), serde_json::json!(v))).collect();
        Metrics { stage: stage.into(), step, steps: 40, values }
    }

    fn lines(folder: &Path) -> Vec<String> {
        let read = |v: &str| serde_json::from_str::<Value>(v).unwrap();
        let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
        text.lines()
            .map(read)
            .map(|v| format!("{} {} {}", v["stage"].as_str().unwrap(), v["step"], v["alarm"].as_str().unwrap_or("")))
            .collect()
    }

    #[test]
    fn a_resumed_stage_replaces_its_lines() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Recorder::open(dir.path(), Vec::new()).unwrap();
        for step in 1..=3 {
            first.add(&metrics("policy", step, &[])).unwrap();
        }
        drop(first);
        let mut second = Recorder::open(dir.path(), Vec::new()).unwrap();
        second.add(&metrics("policy", 2, &[])).unwrap();
        second.add(&metrics("reward", 1, &[])).unwrap();
        assert_eq!(lines(dir.path()), ["policy 1 ", "policy 2 ", "reward 1 "]);
    }

    #[test]
    fn alarms_are_lines_and_gates_and_outlive_a_resumption() {
        let dir = tempfile::tempdir().unwrap();
        let flat = |step| metrics("rl", step, &[("frac_reward_zero_std", 1.0)]);
        let mut first = Recorder::open(dir.path(), vec![FailOn::Kind(AlarmKind::AllTruncated)]).unwrap();
        let fired: Vec<usize> = (1..=6).filter(|&step| !first.add(&flat(step)).unwrap().is_empty()).collect();
        assert_eq!(fired, [4], "a stage of 40 updates has a patience of 4");
        assert!(first.fatal().is_none(), "another alarm was asked for");
        drop(first);
        assert_eq!(lines(dir.path())[3..5], ["rl 4 ", "rl 4 flat_rewards"]);
        let mut second = Recorder::open(dir.path(), vec![FailOn::Any]).unwrap();
        assert!(second.add(&flat(6)).unwrap().is_empty(), "it was told before");
        assert_eq!(second.fatal().map(|a| (a.kind, a.step)), Some((AlarmKind::FlatRewards, 4)), "but it still stands");
    }

    #[test]
    fn numbers_that_are_none_are_an_alarm() {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::open(dir.path(), vec![FailOn::Kind(AlarmKind::Nan)]).unwrap();
        recorder.add(&metrics("policy", 1, &[("loss", f64::INFINITY)])).unwrap();
        assert_eq!(recorder.fatal().map(|a| a.kind), Some(AlarmKind::Nan));
        assert!(recorder.not_finite("gradient norm is NaN").unwrap());
        assert_eq!(lines(dir.path()), ["policy 1 ", "policy 1 nan", "policy 1 nan"]);
    }
}

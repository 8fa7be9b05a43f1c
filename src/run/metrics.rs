//! `metrics.jsonl`: a line an update, and alarms between them.

use super::folder::{RunError, RunFolder, write_atomically};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

const STAGE: &str = "stage";
const STEP: &str = "step";
const STEPS: &str = "steps";
const TIME: &str = "time";
const ALARM: &str = "alarm";
const SINCE: &str = "since";
const MESSAGE: &str = "message";

/// One line of `metrics.jsonl`: the metrics of an update, or an alarm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsLine {
    /// Name of the stage.
    pub stage: String,
    /// 1-based update, or units done.
    pub step: usize,
    /// Updates of the stage, or units to do.
    pub steps: usize,
    /// When it was written, in seconds since 1970; runs of old versions do not say.
    pub time: Option<f64>,
    /// Metrics by name, as they were told; what is not finite is written as null and read as NaN.
    pub values: Vec<(String, f64)>,
    /// The line is an alarm.
    pub alarm: Option<RunAlarm>,
}

/// An alarm as a run's metrics have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunAlarm {
    /// Its name, for example `flat_rewards`.
    pub name: String,
    /// The first update that it is concluded from.
    pub since: usize,
    /// For people.
    pub message: String,
}

impl MetricsLine {
    /// The metrics by name.
    pub fn numbers(&self) -> BTreeMap<String, f64> {
        self.values.iter().cloned().collect()
    }

    /// The line, without its end.
    pub fn to_json(&self) -> String {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        put(STAGE, self.stage.as_str().into());
        put(STEP, self.step.into());
        put(STEPS, self.steps.into());
        if let Some(time) = self.time {
            put(TIME, time.into());
        }
        self.values.iter().for_each(|(name, value)| put(name, (*value).into()));
        if let Some(alarm) = &self.alarm {
            put(ALARM, alarm.name.as_str().into());
            put(SINCE, alarm.since.into());
            put(MESSAGE, alarm.message.as_str().into());
        }
        Value::Object(fields).to_string()
    }

    /// Reads a line; the error says which field is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut fields: Map<String, Value> = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let mut take = |name: &str| fields.shift_remove(name);
        let count = |value: Option<Value>, name: &str| match value.as_ref().and_then(Value::as_u64) {
            Some(n) => Ok(n as usize),
            None => Err(format!("\"{name}\" is no whole number")),
        };
        let stage = match take(STAGE) {
            Some(Value::String(stage)) => stage,
            _ => return Err(format!("\"{STAGE}\" is no text")),
        };
        let (step, steps) = (count(take(STEP), STEP)?, count(take(STEPS), STEPS)?);
        let time = take(TIME).as_ref().and_then(Value::as_f64);
        let alarm = match take(ALARM) {
            Some(Value::String(name)) => {
                let since = take(SINCE).as_ref().and_then(Value::as_u64).map_or(step, |s| s as usize);
                let message = take(MESSAGE).as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
                Some(RunAlarm { name, since, message })
            }
            _ => None,
        };
        let number = |(name, value): (String, Value)| match value {
            Value::Null => Some((name, f64::NAN)),
            value => Some((name, value.as_f64()?)),
        };
        Ok(Self { stage, step, steps, time, values: fields.into_iter().filter_map(number).collect(), alarm })
    }
}

/// `metrics.jsonl` as it is written. A resumed run replaces the lines that it computes again.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
    stages: HashSet<String>,
}

impl MetricsLog {
    /// Goes on with the file of the folder.
    pub fn open(folder: &RunFolder) -> Result<Self, RunError> {
        let path = folder.metrics();
        let file = File::options().create(true).append(true).open(&path).map_err(|source| RunError::Io { path: path.clone(), source })?;
        Ok(Self { path, file, stages: HashSet::new() })
    }

    fn io(&self, source: std::io::Error) -> RunError {
        RunError::Io { path: self.path.clone(), source }
    }

    /// Whole lines, at once: somebody may be reading.
    pub fn write(&mut self, line: &MetricsLine) -> Result<(), RunError> {
        let text = line.to_json() + "\n";
        self.file.write_all(text.as_bytes()).map_err(|e| self.io(e))
    }

    /// The first time that a stage reports, removes its lines from `step` on, and gives those of its lines that were there before, without alarms; `None` at
    /// every other time.
    pub fn enter(&mut self, stage: &str, step: usize) -> Result<Option<Vec<MetricsLine>>, RunError> {
        if !self.stages.insert(stage.to_owned()) {
            return Ok(None);
        }
        let (mut text, mut kept, mut all) = (Vec::new(), Vec::new(), true);
        for bytes in BufReader::new(File::open(&self.path).map_err(|e| self.io(e))?).split(b'\n') {
            let bytes = bytes.map_err(|e| self.io(e))?;
            // What is no line of metrics is no loss.
            let line = std::str::from_utf8(&bytes).ok().and_then(|t| MetricsLine::parse(t).ok());
            let Some(line) = line.filter(|l| l.stage != stage || l.step < step) else {
                all = false;
                continue;
            };
            text.extend_from_slice(&bytes);
            text.push(b'\n');
            if line.stage == stage && line.alarm.is_none() {
                kept.push(line);
            }
        }
        if !all {
            write_atomically(&self.path, &text)?;
            self.file = File::options().append(true).open(&self.path).map_err(|e| self.io(e))?;
        }
        Ok(Some(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let metrics = MetricsLine {
            stage: "rl".into(),
            step: 2,
            steps: 9,
            time: Some(12.5),
            values: vec![("reward".into(), 0.5), ("kl".into(), 1e-9)],
            alarm: None,
        };
        assert_eq!(metrics.to_json(), r#"{"stage":"rl","step":2,"steps":9,"time":12.5,"reward":0.5,"kl":1e-9}"#);
        let alarm = RunAlarm { name: "nan".into(), since: 1, message: "m".into() };
        let alarm = MetricsLine { values: Vec::new(), alarm: Some(alarm), ..metrics.clone() };
        for line in [metrics.clone(), alarm] {
            assert_eq!(MetricsLine::parse(&line.to_json()), Ok(line));
        }
        let broken = MetricsLine { values: vec![("loss".into(), f64::INFINITY)], ..metrics };
        assert!(broken.to_json().ends_with("\"loss\":null}"));
        assert!(MetricsLine::parse(&broken.to_json()).unwrap().numbers()["loss"].is_nan());
    }

    #[test]
    fn lines_of_old_versions_are_read_and_others_named() {
        let old = MetricsLine::parse(r#"{"stage":"rl","step":3,"steps":9,"alarm":"nan"}"#).unwrap();
        assert_eq!((old.time, old.alarm), (None, Some(RunAlarm { name: "nan".into(), since: 3, message: String::new() })));
        assert_eq!(MetricsLine::parse(r#"{"stage":1}"#).unwrap_err(), "\"stage\" is no text");
        assert_eq!(MetricsLine::parse(r#"{"stage":"rl","step":-1}"#).unwrap_err(), "\"step\" is no whole number");
    }

    #[test]
    fn a_resumed_stage_replaces_its_lines() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        let line = |stage: &str, step| MetricsLine { stage: stage.into(), step, steps: 4, ..MetricsLine::default() };
        let mut log = MetricsLog::open(&folder).unwrap();
        assert_eq!(log.enter("policy", 1).unwrap(), Some(Vec::new()));
        for step in 1..=3 {
            assert_eq!(log.enter("policy", step).unwrap(), None);
            log.write(&line("policy", step)).unwrap();
        }
        let mut log = MetricsLog::open(&folder).unwrap();
        assert_eq!(log.enter("policy", 2).unwrap(), Some(vec![line("policy", 1)]));
        log.write(&line("policy", 2)).unwrap();
        let text = std::fs::read_to_string(folder.metrics()).unwrap();
        let steps: Vec<usize> = text.lines().map(|l| MetricsLine::parse(l).unwrap().step).collect();
        assert_eq!(steps, [1, 2]);
    }
}

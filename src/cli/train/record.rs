//! What a training run leaves behind while it goes on: metrics, event files for TensorBoard, alarms.

use crate::diagnose::{Alarm, AlarmKind, RunWatch};
use crate::run::{EventFile, MetricsLine, MetricsLog, RunAlarm, RunError, RunFolder};
use crate::train::Metrics;
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

/// Writes the metrics and an event file in the folder of a run, and watches what it writes.
pub struct Recorder {
    metrics: MetricsLog,
    events: EventFile,
    watch: RunWatch,
    fail_on: Vec<FailOn>,
    last: (String, usize, usize),
}

impl Recorder {
    /// Goes on with the files of the folder; alarms of `fail_on` are [`Recorder::fatal`].
    pub fn open(folder: &RunFolder, fail_on: Vec<FailOn>) -> Result<Self, RunError> {
        let (metrics, events) = (MetricsLog::open(folder)?, EventFile::create(folder, now())?);
        Ok(Self { metrics, events, watch: RunWatch::default(), fail_on, last: (String::new(), 0, 0) })
    }

    /// Takes the metrics of an update; says which alarms they set off.
    pub fn add(&mut self, m: &Metrics) -> Result<Vec<Alarm>, RunError> {
        // A resumed stage is judged by its own start, and told no alarm twice.
        for before in self.metrics.enter(&m.stage, m.step)?.into_iter().flatten() {
            self.watch.see(&m.stage, before.step, m.steps, &before.numbers());
        }
        let time = now();
        let values: Vec<(String, f64)> = m.values.iter().filter_map(|(name, v)| Some((name.clone(), number(v)?))).collect();
        let line = MetricsLine { stage: m.stage.clone(), step: m.step, steps: m.steps, time: Some(time), values, alarm: None };
        self.metrics.write(&line)?;
        if !line.values.is_empty() {
            let tagged: Vec<(String, f64)> = line.numbers().into_iter().map(|(name, v)| (format!("{}/{name}", m.stage), v)).collect();
            self.events.scalars(time, m.step as u64, tagged.iter().map(|(tag, v)| (tag.as_str(), *v)))?;
        }
        self.last = (m.stage.clone(), m.step, m.steps);
        let alarms = self.watch.see(&m.stage, m.step, m.steps, &line.numbers());
        alarms.iter().try_for_each(|alarm| self.note(alarm))?;
        Ok(alarms)
    }

    /// The run broke off because of numbers that are not finite: leaves the alarm, and says whether the user made it a gate.
    pub fn not_finite(&mut self, why: &str) -> Result<bool, RunError> {
        let (stage, step, _) = self.last.clone();
        self.note(&Alarm { kind: AlarmKind::Nan, stage, step, since: step, message: why.into() })?;
        Ok(self.fail_on.iter().any(|f| f.holds(AlarmKind::Nan)))
    }

    /// An alarm that stands and that the user wants the run to end on.
    pub fn fatal(&self) -> Option<&Alarm> {
        self.watch.standing().find(|alarm| self.fail_on.iter().any(|f| f.holds(alarm.kind)))
    }

    fn note(&mut self, alarm: &Alarm) -> Result<(), RunError> {
        let told = RunAlarm { name: alarm.kind.name().into(), since: alarm.since, message: alarm.message.clone() };
        self.metrics.write(&MetricsLine {
            stage: alarm.stage.clone(),
            step: alarm.step,
            steps: self.last.2,
            time: Some(now()),
            values: Vec::new(),
            alarm: Some(told),
        })
    }
}

/// A metric as a number; JSON has none that are not finite and writes them as null.
fn number(value: &serde_json::Value) -> Option<f64> {
    if value.is_null() { Some(f64::NAN) } else { value.as_f64() }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_millis() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(stage: &str, step: usize, values: &[(&str, f64)]) -> Metrics {
        let values = values.iter().map(|(n, v)| ((*n).to_owned(), serde_json::json!(v))).collect();
        Metrics { stage: stage.into(), step, steps: 40, values }
    }

    fn lines(folder: &RunFolder) -> Vec<String> {
        let text = std::fs::read_to_string(folder.metrics()).unwrap();
        let read = |text: &str| MetricsLine::parse(text).unwrap();
        text.lines().map(read).map(|l| format!("{} {} {}", l.stage, l.step, l.alarm.map_or(String::new(), |a| a.name))).collect()
    }

    #[test]
    fn alarms_are_lines_and_gates_and_outlive_a_resumption() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        let flat = |step| metrics("rl", step, &[("frac_reward_zero_std", 1.0)]);
        let mut first = Recorder::open(&folder, vec![FailOn::Kind(AlarmKind::AllTruncated)]).unwrap();
        let fired: Vec<usize> = (1..=6).filter(|&step| !first.add(&flat(step)).unwrap().is_empty()).collect();
        assert_eq!(fired, [4], "a stage of 40 updates has a patience of 4");
        assert!(first.fatal().is_none(), "another alarm was asked for");
        drop(first);
        assert_eq!(lines(&folder)[3..5], ["rl 4 ", "rl 4 flat_rewards"]);
        let mut second = Recorder::open(&folder, vec![FailOn::Any]).unwrap();
        assert!(second.add(&flat(6)).unwrap().is_empty(), "it was told before");
        assert_eq!(second.fatal().map(|a| (a.kind, a.step)), Some((AlarmKind::FlatRewards, 4)), "but it still stands");
    }

    #[test]
    fn numbers_that_are_none_are_an_alarm() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        let mut recorder = Recorder::open(&folder, vec![FailOn::Kind(AlarmKind::Nan)]).unwrap();
        recorder.add(&metrics("policy", 1, &[("loss", f64::INFINITY)])).unwrap();
        assert_eq!(recorder.fatal().map(|a| a.kind), Some(AlarmKind::Nan));
        assert!(recorder.not_finite("gradient norm is NaN").unwrap());
        assert_eq!(lines(&folder), ["policy 1 ", "policy 1 nan", "policy 1 nan"]);
    }
}

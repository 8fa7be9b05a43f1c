//! The first step that deviates: the rules, and the thresholds they were calibrated to.

use super::{Candidate, Granularity, Orientation, REWARD, Reading, Signal, Statistic, Threshold};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a first deviation is found in a signal's step values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// First step beyond the threshold: below it where high values are good, above it where low ones are.
    #[default]
    Threshold,
    /// The step with the largest fall from the step before it (the first step falls from the mean of all); always marks one.
    LargestDrop,
}

/// Which signal is watched, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Detector {
    /// The signal and the statistic of a step.
    pub reading: Reading,
    /// The rule.
    pub rule: Rule,
}

impl Default for Detector {
    fn default() -> Self {
        Self::below(Reading::new(REWARD, Statistic::Min))
    }
}

/// A predicted first deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    /// 0-based step.
    pub step: usize,
    /// What marked it.
    pub by: Detector,
    /// The value that crossed, in the signal's unit; the size of the fall for [`Rule::LargestDrop`].
    pub value: f32,
    /// What it was held against; NaN for the largest drop.
    pub threshold: f32,
}

/// Thresholds of signals for one reward model, and how they were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Calibration {
    /// The reading of the reward that was chosen, on other traces than those that are judged.
    pub reading: Reading,
    /// A threshold for each reading that was calibrated, in the signal's own unit.
    pub thresholds: BTreeMap<Reading, f32>,
    /// Stated false-alarm rate: the chance that a right trace is marked.
    pub false_alarm_rate: Option<f32>,
    /// Task whose traces it was calibrated on; the false-alarm rate is stated for that task alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Number of traces it was calibrated on.
    pub samples: usize,
    /// How, in a sentence.
    pub method: String,
    /// Calibrations of reward models beside the first, by the names of their signals.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, Calibration>,
}

impl Default for Calibration {
    fn default() -> Self {
        Self {
            reading: Detector::default().reading,
            thresholds: BTreeMap::new(),
            false_alarm_rate: None,
            task: None,
            samples: 0,
            method: String::new(),
            beside: BTreeMap::new(),
        }
    }
}

/// A calibration as it stands in files: today's shape, and the older one with a field each for the reward's minimum, the least
/// log-probability and the highest entropy.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Stored {
    reading: Option<Reading>,
    thresholds: BTreeMap<Reading, f32>,
    threshold: Option<f32>,
    logprob: Option<f32>,
    entropy: Option<f32>,
    false_alarm_rate: Option<f32>,
    task: Option<String>,
    samples: usize,
    method: String,
    beside: BTreeMap<String, Calibration>,
}

impl From<Stored> for Calibration {
    fn from(stored: Stored) -> Self {
        let old = [
            (Reading::new(REWARD, Statistic::Min), stored.threshold),
            (Reading::new(super::LOGPROB, Statistic::Min), stored.logprob),
            (Reading::new(super::ENTROPY, Statistic::Max), stored.entropy),
        ];
        let mut thresholds = stored.thresholds;
        thresholds.extend(old.into_iter().filter_map(|(reading, value)| Some((reading, value?))));
        Self {
            reading: stored.reading.unwrap_or_else(|| Detector::default().reading),
            thresholds,
            false_alarm_rate: stored.false_alarm_rate,
            task: stored.task,
            samples: stored.samples,
            method: stored.method,
            beside: stored.beside,
        }
    }
}

impl Calibration {
    /// A calibration of one reading, which is the chosen one.
    pub fn at(reading: Reading, threshold: f32) -> Self {
        Self { thresholds: BTreeMap::from([(reading.clone(), threshold)]), reading, ..Self::default() }
    }

    /// This calibration for a reward model whose signal has another name; what it says of other signals is left out.
    pub fn of_signal(&self, signal: &str) -> Self {
        let named = |reading: &Reading| Reading { signal: signal.to_owned(), ..reading.clone() };
        let own = self.thresholds.iter().filter(|(reading, _)| reading.signal == REWARD);
        Self {
            reading: named(&self.reading),
            thresholds: own.map(|(reading, value)| (named(reading), *value)).collect(),
            beside: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// The calibration that holds for a signal: that of the reward model that gives it, or this one.
    pub fn of(&self, signal: &str) -> &Self {
        self.beside.get(signal).unwrap_or(self)
    }

    /// The readings of a signal that have a threshold.
    pub fn readings<'a>(&'a self, signal: &'a str) -> impl Iterator<Item = &'a Reading> + Clone {
        self.of(signal).thresholds.keys().filter(move |r| r.signal == signal)
    }

    /// The threshold of a reading, in the signal's own unit.
    pub fn threshold(&self, reading: &Reading) -> Option<f32> {
        let beside = self.beside.get(&reading.signal).and_then(|c| c.thresholds.get(reading));
        self.thresholds.get(reading).or(beside).copied()
    }

    /// The threshold of the chosen reading of the reward.
    pub fn reward(&self) -> Option<f32> {
        self.threshold(&self.reading)
    }

    /// How the reward marks the first deviation.
    pub fn detector(&self) -> Detector {
        Detector::below(self.reading.clone())
    }

    /// The threshold of a reading with what is stated of it.
    pub fn stated(&self, reading: &Reading) -> Option<Threshold> {
        let value = self.threshold(reading)?;
        let Self { false_alarm_rate, task, .. } = self.of(&reading.signal);
        Some(Threshold { reading: reading.clone(), value, false_alarm_rate: *false_alarm_rate, task: task.clone() })
    }
}

impl Detector {
    /// The first step beyond the reading's threshold.
    pub fn below(reading: Reading) -> Self {
        Self { reading, rule: Rule::Threshold }
    }

    /// The largest fall of the reading.
    pub fn drop(reading: Reading) -> Self {
        Self { reading, rule: Rule::LargestDrop }
    }

    /// The first deviating step, `None` where none is marked. `values`: one a step in the signal's own unit, `None` not known yet.
    ///
    /// Steps are judged in order, so the answer for a growing candidate does not change once given, except by [`Rule::LargestDrop`].
    pub fn mark(&self, orientation: Orientation, values: &[Option<f32>], threshold: Option<f32>) -> Option<Deviation> {
        let of = |step, value, threshold| Some(Deviation { step, by: self.clone(), value, threshold });
        match self.rule {
            Rule::Threshold => {
                let threshold = threshold?;
                let limit = orientation.turn(threshold);
                let step = values.iter().position(|v| v.is_some_and(|v| orientation.turn(v) < limit))?;
                of(step, values[step]?, threshold)
            }
            Rule::LargestDrop => {
                let turned: Vec<Option<f32>> = values.iter().map(|v| v.map(|v| orientation.turn(v))).collect();
                let (step, fall) = largest_drop(&turned)?;
                of(step, fall, f32::NAN)
            }
        }
    }

    /// Whether a signal can be judged by this detector: its steps differ, and there is a threshold where the rule needs one.
    pub fn can_judge(&self, signal: &Signal, granularity: Granularity, calibration: &Calibration) -> bool {
        let bound = || signal.threshold_of(&self.reading, calibration).is_some();
        signal.has_steps() && !signal.is_alike(granularity) && (self.rule == Rule::LargestDrop || bound())
    }

    /// The first deviating step among the first `closed` steps of a candidate. `signal`: the one that the reading names. The threshold is that of
    /// [`Signal::threshold_of`]. `None` too where the detector cannot judge the signal.
    pub fn first(
        &self,
        signal: &Signal,
        candidate: &Candidate,
        closed: usize,
        granularity: Granularity,
        calibration: &Calibration,
    ) -> Option<Deviation> {
        if !self.can_judge(signal, granularity, calibration) {
            return None;
        }
        let values = candidate.step_values(signal, &self.reading, granularity);
        let threshold = signal.threshold_of(&self.reading, calibration).map(|t| t.value);
        self.mark(signal.orientation, &values[..closed.min(values.len())], threshold)
    }
}

/// The step with the largest fall from the known step before it, the first one from the mean of all, and its size; `None` without any value.
fn largest_drop(values: &[Option<f32>]) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    for (step, drop) in drop_from_before(values).into_iter().enumerate() {
        let Some(drop) = drop else { continue };
        if best.is_none_or(|(_, d)| drop > d) {
            best = Some((step, drop));
        }
    }
    best
}

/// How far each value lies below the known value before it, the first below the mean of all; `None` where the value is not known.
pub fn drop_from_before(values: &[Option<f32>]) -> Vec<Option<f32>> {
    let known = values.iter().flatten();
    let mut before = known.clone().sum::<f32>() / known.count().max(1) as f32;
    values
        .iter()
        .map(|v| {
            let v = (*v)?;
            let drop = before - v;
            before = v;
            Some(drop)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Span, TokenValue, segment};

    #[test]
    fn a_missing_value_neither_drops_nor_breaks_the_chain() {
        assert_eq!(drop_from_before(&[Some(3.0), None, Some(1.0), Some(2.0)]), [Some(-1.0), None, Some(2.0), Some(-1.0)]);
        assert!(drop_from_before(&[]).is_empty());
    }

    #[test]
    fn low_may_be_good() {
        let values = [Some(1.0), Some(5.0), Some(0.5)];
        let marked = |rule: Detector, orientation| rule.mark(orientation, &values, Some(2.0)).map(|d| (d.step, d.value));
        let below = || Detector::below(Reading::of("x"));
        assert_eq!(marked(below(), Orientation::High), Some((0, 1.0)));
        assert_eq!(marked(below(), Orientation::Low), Some((1, 5.0)));
        assert_eq!(marked(Detector::drop(Reading::of("x")), Orientation::High), Some((2, 4.5)));
        assert_eq!(marked(Detector::drop(Reading::of("x")), Orientation::Low), Some((1, 4.0)));
        assert_eq!(below().mark(Orientation::High, &values, None), None, "no threshold, no mark");
    }

    #[test]
    fn an_open_step_is_not_judged() {
        let candidate = Candidate { text: "a\nb".into(), steps: segment("a\nb", &"line".parse().unwrap()), ..Candidate::default() }
            .with_rewards(vec![TokenValue { span: Span::new(0, 1), value: 1.0 }, TokenValue { span: Span::new(2, 3), value: -1.0 }]);
        let detector = Detector::default();
        let calibration = Calibration::at(detector.reading.clone(), 0.0);
        let signal = candidate.signal(REWARD).unwrap();
        let find = |closed| detector.first(signal, &candidate, closed, Granularity::Dense, &calibration).map(|d| d.step);
        assert_eq!((find(1), find(2), find(9)), (None, Some(1), Some(1)));
        // A threshold that came with the signal stands where nothing else is calibrated, for its own reading alone.
        let threshold = Threshold { reading: detector.reading.clone(), value: 0.0, false_alarm_rate: None, task: None };
        let own = Signal { threshold: Some(threshold), ..signal.clone() };
        let mark = |d: &Detector| d.first(&own, &candidate, 2, Granularity::Dense, &Calibration::default()).map(|d| d.step);
        assert_eq!((mark(&detector), mark(&Detector::below(Reading::new(REWARD, Statistic::Sum)))), (Some(1), None));
    }

    #[test]
    fn each_reward_model_has_its_own_thresholds() {
        let reading = |text: &str| text.parse::<Reading>().unwrap();
        let first =
            Calibration { task: Some("stories".into()), false_alarm_rate: Some(0.05), ..Calibration::at(reading("reward.min"), -1.0) };
        let mut second = Calibration { task: Some("gsm8k".into()), ..Calibration::at(reading("reward"), 0.5) };
        second.thresholds.insert(reading("logprob.sum"), -9.0);
        let both = Calibration { beside: BTreeMap::from([("reward:b".into(), second.of_signal("reward:b"))]), ..first.clone() };
        assert_eq!((both.threshold(&reading("reward.min")), both.threshold(&reading("reward:b"))), (Some(-1.0), Some(0.5)));
        assert_eq!((both.threshold(&reading("logprob.sum")), both.threshold(&reading("reward:b.min"))), (None, None));
        let stated = both.stated(&reading("reward:b")).unwrap();
        assert_eq!((stated.task.as_deref(), stated.false_alarm_rate), (Some("gsm8k"), None), "nothing of the first's");
        assert_eq!(both.stated(&reading("reward.min")), first.stated(&reading("reward.min")));
        assert_eq!((both.reading.signal.as_str(), &both.of("reward:b").reading), ("reward", &reading("reward:b")));
        assert_eq!(both.readings("reward:b").collect::<Vec<_>>(), [&reading("reward:b")]);
        assert_eq!(serde_json::from_str::<Calibration>(&serde_json::to_string(&both).unwrap()).unwrap(), both);
        // What was put in by hand for this very reading stands before.
        let given = Calibration { thresholds: BTreeMap::from([(reading("reward:b"), 0.75)]), ..both };
        assert_eq!(given.threshold(&reading("reward:b")), Some(0.75));
    }

    #[test]
    fn older_calibrations_are_read() {
        let old = r#"{"threshold": -2.5, "logprob": -4.0, "entropy": 3.0, "false_alarm_rate": 0.05, "samples": 9, "method": "m"}"#;
        let read: Calibration = serde_json::from_str(old).unwrap();
        let of = |r: &str| read.threshold(&r.parse().unwrap());
        assert_eq!((of("reward.min"), of("logprob.min"), of("entropy.max"), of("reward.sum")), (Some(-2.5), Some(-4.0), Some(3.0), None));
        assert_eq!((read.reward(), read.samples), (Some(-2.5), 9));
        let again: Calibration = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
        assert_eq!(again, read);
    }
}

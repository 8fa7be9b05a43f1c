//! What is known of a run: its stages, their metrics over the steps, its alarms.

use crate::diagnose::{Alarm, RunWatch};
use crate::run::MetricsLine;
use std::collections::VecDeque;

/// Reports from which the speed of a stage is taken.
const PACE: usize = 50;
/// An update that seems to take so many times as long as half of them do was none: the run stood still for a while, or somebody set the clock.
const BREAK: f64 = 50.0;

/// Metrics that are told first, in this order; the others follow by name.
const FIRST: &[&str] = &[
    "reward",
    "pass@1",
    "pass@10",
    "loss",
    "mean_token_accuracy",
    "disc_loss",
    "disc_acc_expert",
    "disc_acc_gen",
    "disc_acc_shuffled",
    "entropy",
    "kl",
    "completions/mean_length",
    "completions/clipped_ratio",
    "reward_std",
    "frac_reward_zero_std",
    "policy_loss",
    "clip_ratio",
    "logit_expert",
    "logit_gen",
    "grad_norm",
    "learning_rate",
];

/// A run as far as its lines have been read.
#[derive(Clone, Debug, Default)]
pub struct History {
    stages: Vec<StageHistory>,
    /// The one whose line came last.
    newest: Option<usize>,
    alarms: Vec<SeenAlarm>,
    watch: RunWatch,
}

/// A stage of a run.
#[derive(Clone, Debug, Default)]
pub struct StageHistory {
    /// Its name.
    pub name: String,
    /// The newest update, 1-based.
    pub step: usize,
    /// Its updates.
    pub steps: usize,
    /// Its metrics, the most telling first.
    pub series: Vec<Series>,
    /// When it last reported, in seconds since 1970.
    pub time: Option<f64>,
    pace: VecDeque<(f64, usize)>,
}

/// A metric over the steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Step and value, by step; values may be NaN.
    pub points: Vec<(usize, f64)>,
}

/// An alarm, and whether it still stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAlarm {
    /// Its name.
    pub name: String,
    /// The stage.
    pub stage: String,
    /// The update at which it was noticed.
    pub step: usize,
    /// The first update it is concluded from.
    pub since: usize,
    /// For people.
    pub message: String,
    /// The update at which it had cleared.
    pub cleared: Option<usize>,
}

impl History {
    /// Takes a line of the run's metrics. Alarms are judged anew from the metrics; those that only the lines tell of are taken from there.
    pub fn take(&mut self, line: &MetricsLine) {
        let at = self.stages.iter().position(|s| s.name == line.stage).unwrap_or_else(|| {
            self.stages.push(StageHistory { name: line.stage.clone(), ..StageHistory::default() });
            self.stages.len() - 1
        });
        if let Some(alarm) = &line.alarm {
            let known = |a: &SeenAlarm| a.name == alarm.name && a.stage == line.stage && a.step == line.step;
            if !self.alarms.iter().any(known) {
                self.alarms.push(SeenAlarm {
                    name: alarm.name.clone(),
                    stage: line.stage.clone(),
                    step: line.step,
                    since: alarm.since,
                    message: alarm.message.clone(),
                    cleared: None,
                });
            }
            return;
        }
        self.stages[at].take(line);
        self.newest = Some(at);
        let fired = self.watch.see(&line.stage, line.step, line.steps, &line.numbers());
        let standing: Vec<&Alarm> = self.watch.standing().collect();
        for seen in self.alarms.iter_mut().filter(|a| a.cleared.is_none() && a.stage == line.stage) {
            if !standing.iter().any(|a| a.kind.name() == seen.name && a.stage == seen.stage) && !line.values.is_empty() {
                seen.cleared = Some(line.step);
            }
        }
        self.alarms.extend(fired.into_iter().map(|a| SeenAlarm {
            name: a.kind.name().into(),
            stage: a.stage,
            step: a.step,
            since: a.since,
            message: a.message,
            cleared: None,
        }));
    }

    /// The stages, in the order in which they began.
    pub fn stages(&self) -> &[StageHistory] {
        &self.stages
    }

    /// Alarms, those that stand first, the newest first.
    pub fn alarms(&self) -> Vec<&SeenAlarm> {
        let mut alarms: Vec<&SeenAlarm> = self.alarms.iter().rev().collect();
        alarms.sort_by_key(|a| a.cleared.is_some());
        alarms
    }

    /// The stage that reported last, by the order of the lines: a clock may be set while a run is at work.
    pub fn newest(&self) -> Option<usize> {
        self.newest.or(self.stages.len().checked_sub(1))
    }
}

impl StageHistory {
    fn take(&mut self, line: &MetricsLine) {
        (self.step, self.steps) = (line.step, line.steps);
        if let Some(time) = line.time {
            self.time = Some(time);
            self.pace.push_back((time, line.step));
            if self.pace.len() > PACE {
                self.pace.pop_front();
            }
        }
        for (name, value) in &line.values {
            let rank = |n: &str| (FIRST.iter().position(|f| *f == n).unwrap_or(FIRST.len()), n.to_owned());
            let at = match self.series.iter().position(|s| s.name == *name) {
                Some(at) => at,
                None => {
                    let at = self.series.partition_point(|s| rank(&s.name) < rank(name));
                    self.series.insert(at, Series { name: name.clone(), points: Vec::new() });
                    at
                }
            };
            self.series[at].points.push((line.step, *value));
        }
    }

    /// Whether it is through.
    pub fn is_done(&self) -> bool {
        self.step >= self.steps
    }

    /// Seconds that it will still take at the speed it has now; `None` where it is through or the lines bear no times that grow.
    pub fn seconds_left(&self) -> Option<f64> {
        let reports = self.pace.iter().zip(self.pace.iter().skip(1));
        let mut each: Vec<(f64, usize)> = reports.filter_map(|(a, b)| Some((b.0 - a.0, b.1.checked_sub(a.1)?))).collect();
        each.retain(|(seconds, steps)| *seconds >= 0.0 && *steps > 0);
        each.sort_by(|a, b| (a.0 / a.1 as f64).total_cmp(&(b.0 / b.1 as f64)));
        let usual = each.get(each.len() / 2).map(|(seconds, steps)| seconds / *steps as f64);
        let longest = usual.filter(|s| *s > 0.0).map_or(f64::INFINITY, |s| BREAK * s);
        let counted = each.iter().filter(|(seconds, steps)| seconds / *steps as f64 <= longest);
        let (seconds, steps) = counted.fold((0.0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (seconds > 0.0 && !self.is_done()).then(|| seconds / steps as f64 * (self.steps - self.step) as f64)
    }
}

impl Series {
    /// The newest value.
    pub fn last(&self) -> f64 {
        self.points.last().map_or(f64::NAN, |p| p.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunAlarm;

    fn line(stage: &str, step: usize, values: &[(&str, f64)]) -> MetricsLine {
        MetricsLine {
            stage: stage.into(),
            step,
            steps: 100,
            time: Some(1000.0 + 2.0 * step as f64),
            values: values.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect(),
            alarm: None,
        }
    }

    #[test]
    fn stages_series_and_time_left_follow_the_lines() {
        let mut h = History::default();
        h.take(&line("policy", 100, &[("loss", 1.0)]));
        for step in 1..=40 {
            h.take(&line("rl", step, &[("zeta", 0.0), ("entropy", 0.5), ("alpha", 0.0), ("reward", step as f64)]));
        }
        let stage = &h.stages()[1];
        assert_eq!(stage.series.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["reward", "entropy", "alpha", "zeta"]);
        assert_eq!(stage.series[0].points[39], (40, 40.0));
        assert_eq!(stage.seconds_left(), Some(120.0), "60 updates at two seconds");
        assert_eq!((h.stages()[0].seconds_left(), h.stages()[0].is_done()), (None, true));
        assert_eq!(h.newest(), Some(1), "its lines came last, though the policy's say a later time");
        assert_eq!(History::default().newest(), None);
    }

    #[test]
    fn a_clock_that_jumps_and_a_run_that_rests_leave_the_time_left_as_it_is() {
        // Two seconds an update; the clock is set by so much before the twentieth of 40.
        for jump in [-3600.0, -1.0, 0.0, 7200.0, 1e12, f64::NAN] {
            let mut h = History::default();
            h.take(&line("policy", 100, &[]));
            for step in 1..=40 {
                let usual = line("rl", step, &[]);
                let time = usual.time.map(|t| if step >= 20 { t + jump } else { t });
                h.take(&MetricsLine { time, ..usual });
            }
            let left = h.stages()[1].seconds_left().unwrap();
            assert!((left - 120.0).abs() < 2.0, "{jump}: {left}");
            assert_eq!(h.newest(), Some(1), "{jump}");
        }
        // Lines that bear the same time say nothing.
        let mut h = History::default();
        (1..=40).for_each(|step| h.take(&MetricsLine { time: Some(5.0), ..line("rl", step, &[]) }));
        assert_eq!(h.stages()[0].seconds_left(), None);
    }

    #[test]
    fn alarms_are_judged_and_told_ones_not_doubled() {
        let mut h = History::default();
        for step in 1..=10 {
            h.take(&line("rl", step, &[("frac_reward_zero_std", 1.0)]));
        }
        let told = |name: &str, step| MetricsLine {
            alarm: Some(RunAlarm { name: name.into(), since: 1, message: "m".into() }),
            ..line("rl", step, &[])
        };
        h.take(&told("flat_rewards", 10));
        h.take(&told("nan", 10));
        let names: Vec<&str> = h.alarms().iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["nan", "flat_rewards"]);
        for step in 11..=20 {
            h.take(&line("rl", step, &[("frac_reward_zero_std", 0.0)]));
        }
        let alarms = h.alarms();
        assert_eq!((alarms[1].name.as_str(), alarms[1].cleared), ("flat_rewards", Some(20)), "it clears after ten fine reports");
    }
}

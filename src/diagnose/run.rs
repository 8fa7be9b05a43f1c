//! Alarms over the metrics of a training run, as they come.

use super::alarm::{Alarm, AlarmKind, DECLINE, FEWEST, PATIENCE, patience};
use std::collections::{BTreeMap, VecDeque};

/// A policy whose entropy (nats a token) is below this writes one text whatever it is asked.
const NO_ENTROPY: f64 = 0.002;
/// A policy whose entropy is below this share of what it had at the start has collapsed, too.
const ENTROPY_LEFT: f64 = 0.1;
/// A policy below this share of the pass@1 it had at the start has collapsed …
const PASS_LEFT: f64 = 0.5;
/// … where that is also a loss of at least so much pass@1, which chance does not make.
const PASS_LOST: f64 = 0.05;
/// pass@1 has declined where that loss is also so many standard errors of the difference; a run is looked at some hundred times.
const DECLINE_ERRORS: f64 = 3.0;
/// A policy whose completions have less than this share of their length at the start has collapsed.
const LENGTH_LEFT: f64 = 0.25;
/// Lengths have drifted when they are this many times longer or shorter than at the start.
const LENGTH_DRIFT: f64 = 2.0;
/// Share of groups whose rewards are all the same from which on rewards count as flat.
const FLAT: f64 = 0.9;
/// Accuracy on either side from which on a discriminator counts as saturated.
const SATURATED: f64 = 0.98;
/// Share of completions cut by the token limit that counts as all.
const TRUNCATED: f64 = 0.95;
/// The discriminator leaks the format when it keeps this share of its lead over chance on shuffled content …
const LEAK: f64 = 0.8;
/// … and leads chance by at least so much on both.
const LEAK_LEAD: f64 = 0.1;

/// Watches the metrics of a run and says once, until it has cleared, what goes wrong.
#[derive(Clone, Debug, Default)]
pub struct RunWatch {
    stages: BTreeMap<String, Stage>,
}

#[derive(Clone, Debug, Default)]
struct Stage {
    trends: BTreeMap<String, Trend>,
    standing: BTreeMap<AlarmKind, Standing>,
}

#[derive(Clone, Debug)]
struct Standing {
    alarm: Alarm,
    /// Reports in a row that were fine again.
    fine: usize,
}

/// What a metric was at the start and is now.
#[derive(Clone, Debug, Default)]
struct Trend {
    start: Vec<f64>,
    recent: VecDeque<(usize, f64)>,
    reports: usize,
}

impl RunWatch {
    /// Takes the metrics of one update of a stage, and says which alarms they set off.
    ///
    /// `step` is 1-based, of `steps`. A value that is not finite is an alarm and enters nothing else. An alarm looks back over some reports of its
    /// metrics (ten, or a tenth of a short stage); at the last update of a stage those that there were must do. It clears after as many reports that are fine again.
    pub fn see(&mut self, stage: &str, step: usize, steps: usize, values: &BTreeMap<String, f64>) -> Vec<Alarm> {
        let s = self.stages.entry(stage.to_owned()).or_default();
        for (name, value) in values.iter().filter(|v| v.1.is_finite()) {
            s.trends.entry(name.clone()).or_default().see(step, *value, patience(steps));
        }
        let mut fired = Vec::new();
        for kind in AlarmKind::ALL {
            if kind != AlarmKind::Nan && !kind.reads().iter().any(|name| values.contains_key(*name)) {
                continue;
            }
            let look_back = kind.patience(steps);
            let Some((since, what)) = s.judge(kind, Window { reports: look_back, ended: step >= steps }, step, values) else {
                if let Some(standing) = s.standing.get_mut(&kind) {
                    standing.fine += 1;
                    if standing.fine >= look_back {
                        s.standing.remove(&kind);
                    }
                }
                continue;
            };
            if let Some(standing) = s.standing.get_mut(&kind) {
                standing.fine = 0;
                continue;
            }
            let message = format!("{what}, since {stage} step {since}; {}", kind.remedy());
            let alarm = Alarm { kind, stage: stage.to_owned(), step, since, message };
            s.standing.insert(kind, Standing { alarm: alarm.clone(), fine: 0 });
            fired.push(alarm);
        }
        fired
    }

    /// Alarms that were set off and have not cleared.
    pub fn standing(&self) -> impl Iterator<Item = &Alarm> {
        self.stages.values().flat_map(|s| s.standing.values().map(|s| &s.alarm))
    }
}

/// How many of the newest reports must agree.
#[derive(Clone, Copy)]
struct Window {
    reports: usize,
    /// The stage is at its end: fewer will have to do.
    ended: bool,
}

impl Stage {
    /// The first update and the words for what is wrong; `None` where it is fine or too early to tell.
    fn judge(&self, kind: AlarmKind, window: Window, step: usize, values: &BTreeMap<String, f64>) -> Option<(usize, String)> {
        let recent = |name| self.trends.get(name).and_then(|t| t.recent(window));
        let change = |name| self.trends.get(name).and_then(|t| t.change(window));
        match kind {
            AlarmKind::CollapsedPolicy => {
                // Only a policy that is trained by reward can be said to collapse; fine-tuning lowers its entropy, as it should.
                self.trends.get("reward")?;
                if let Some(now) = recent("entropy")
                    && (now.mean < NO_ENTROPY || change("entropy").is_some_and(|(start, now)| now.mean < ENTROPY_LEFT * start))
                {
                    return Some((now.since, format!("the policy's entropy is down to {:.4} nats a token", now.mean)));
                }
                if let Some((start, now)) = change("pass@1")
                    && now.mean < PASS_LEFT * start
                    && start - now.mean >= PASS_LOST
                {
                    return Some((now.since, format!("pass@1 has fallen from {start:.3} at the start to {:.3}", now.mean)));
                }
                let (start, now) = change("completions/mean_length").filter(|(start, now)| now.mean < LENGTH_LEFT * start)?;
                Some((now.since, format!("completions have shrunk from {start:.1} tokens at the start to {:.1}", now.mean)))
            }
            AlarmKind::DecliningPolicy => {
                self.trends.get("reward")?;
                let (start, now, error) = self.trends.get("pass@1")?.difference()?;
                (start - now.mean > PASS_LOST.max(DECLINE_ERRORS * error)).then(|| {
                    let what = "more than the problems drawn by chance explain";
                    (now.since, format!("pass@1 is down from {start:.3} at the start to {:.3} ± {error:.3}, {what}", now.mean))
                })
            }
            AlarmKind::FlatRewards => recent("frac_reward_zero_std").filter(|r| r.min >= FLAT).map(|r| {
                (
                    r.since,
                    format!(
                        "in {:.0} % of the groups all completions had the same reward, so that nothing is learned from them",
                        r.mean * 100.0
                    ),
                )
            }),
            AlarmKind::SaturatedDiscriminator => {
                let (expert, gen_) = (recent("disc_acc_expert")?, recent("disc_acc_gen")?);
                (expert.min >= SATURATED && gen_.min >= SATURATED).then(|| {
                    let right = 50.0 * (expert.mean + gen_.mean);
                    (expert.since.max(gen_.since), format!("the discriminator was right about {right:.1} % of both sides"))
                })
            }
            AlarmKind::AllTruncated => recent("completions/clipped_ratio")
                .filter(|r| r.min >= TRUNCATED)
                .map(|r| (r.since, format!("{:.0} % of the completions were cut by the token limit", r.mean * 100.0))),
            AlarmKind::AllMasked => {
                recent("labels").filter(|r| r.max <= 0.0).map(|r| (r.since, "the batch had no label to learn from".into()))
            }
            AlarmKind::NoGradient => recent("vars_without_grad")
                .filter(|r| r.min > 0.0)
                .map(|r| (r.since, format!("{:.0} trained variables got no gradient", r.mean))),
            AlarmKind::Nan => {
                let bad: Vec<&str> = values.iter().filter(|v| !v.1.is_finite()).map(|v| v.0.as_str()).collect();
                (!bad.is_empty()).then(|| (step, format!("not a finite number: {}", bad.join(", "))))
            }
            AlarmKind::LengthDrift => {
                let (start, now) = change("completions/mean_length")?;
                (now.mean > LENGTH_DRIFT * start || now.mean * LENGTH_DRIFT < start)
                    .then(|| (now.since, format!("completions have gone from {start:.1} tokens at the start to {:.1}", now.mean)))
            }
            AlarmKind::FormatLeak => {
                let shuffled = recent("disc_acc_shuffled")?;
                let whole = (recent("disc_acc_expert")?.mean + recent("disc_acc_gen")?.mean) / 2.0;
                let lead = shuffled.mean - 0.5;
                (lead.min(whole - 0.5) >= LEAK_LEAD && lead >= LEAK * (whole - 0.5)).then(|| {
                    let what = format!(
                        "the discriminator is right about {:.0} % where the content is shuffled, {:.0} % where it is whole",
                        shuffled.mean * 100.0,
                        whole * 100.0
                    );
                    (shuffled.since, what)
                })
            }
        }
    }
}

/// The newest reports of a metric.
#[derive(Clone, Copy)]
struct Recent {
    since: usize,
    mean: f64,
    min: f64,
    max: f64,
}

impl Trend {
    fn see(&mut self, step: usize, value: f64, patience: usize) {
        self.reports += 1;
        if self.start.len() < patience {
            self.start.push(value);
        }
        self.recent.push_back((step, value));
        if self.recent.len() > patience.max(FEWEST).max(DECLINE) {
            self.recent.pop_front();
        }
    }

    fn recent(&self, window: Window) -> Option<Recent> {
        let n = window.reports.min(self.recent.len());
        if n == 0 || (n < window.reports && !window.ended) {
            return None;
        }
        let newest = || self.recent.iter().skip(self.recent.len() - n);
        Some(Recent {
            since: newest().next()?.0,
            mean: newest().map(|r| r.1).sum::<f64>() / n as f64,
            min: newest().map(|r| r.1).fold(f64::INFINITY, f64::min),
            max: newest().map(|r| r.1).fold(f64::NEG_INFINITY, f64::max),
        })
    }

    /// Mean at the start and the newest reports, once there are enough for both.
    fn change(&self, window: Window) -> Option<(f64, Recent)> {
        let start = self.start.iter().sum::<f64>() / self.start.len().max(1) as f64;
        (self.reports >= 2 * window.reports).then(|| self.recent(window).map(|r| (start, r)))?
    }

    /// Mean at the start, the newest [`DECLINE`] reports, and the standard error of the difference of their means, with one variance for both.
    fn difference(&self) -> Option<(f64, Recent, f64)> {
        let (a, b) = (self.start.len(), DECLINE);
        if a < PATIENCE || self.reports < a + b {
            return None;
        }
        let now = self.recent(Window { reports: b, ended: false })?;
        let start = self.start.iter().sum::<f64>() / a as f64;
        let newest = self.recent.iter().skip(self.recent.len() - b);
        let squares: f64 = self.start.iter().map(|x| (x - start).powi(2)).chain(newest.map(|r| (r.1 - now.mean).powi(2))).sum();
        let variance = squares / (a + b - 2) as f64;
        Some((start, now, (variance * (1.0 / a as f64 + 1.0 / b as f64)).sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect()
    }

    /// Feeds `n` updates of a stage of 200, and collects (kind, step, since).
    fn feed(n: usize, at: impl Fn(usize) -> Vec<(&'static str, f64)>) -> Vec<(AlarmKind, usize, usize)> {
        let mut watch = RunWatch::default();
        (1..=n).flat_map(|step| watch.see("rl", step, 200, &values(&at(step)))).map(|a| (a.kind, a.step, a.since)).collect()
    }

    /// A run as it should be: noisy, improving.
    fn healthy(step: usize) -> Vec<(&'static str, f64)> {
        let wave = (step as f64 * 0.7).sin();
        vec![
            ("reward", 0.2 + 0.1 * wave),
            ("pass@1", 0.30 + 0.06 * wave + step as f64 * 0.001),
            ("entropy", 0.09 - step as f64 * 0.0003),
            ("completions/mean_length", 80.0 + 15.0 * wave + step as f64 * 0.2),
            ("completions/clipped_ratio", 0.05),
            ("frac_reward_zero_std", 0.5 + 0.3 * wave),
            ("disc_acc_expert", 0.8 + 0.1 * wave),
            ("disc_acc_gen", 0.85 - 0.1 * wave),
            ("disc_acc_shuffled", 0.5 + 0.05 * wave),
            ("labels", 400.0),
            ("vars_without_grad", 0.0),
            ("grad_norm", 1.0),
        ]
    }

    #[test]
    fn a_healthy_run_sets_off_nothing() {
        assert_eq!(feed(200, healthy), []);
    }

    fn but(step: usize, changed: &[(&'static str, f64)]) -> Vec<(&'static str, f64)> {
        healthy(step).into_iter().map(|(n, v)| (n, changed.iter().find(|c| c.0 == n).map_or(v, |c| c.1))).collect()
    }

    /// Healthy up to step 40, then with these values.
    fn from_41(changed: &'static [(&'static str, f64)]) -> Vec<(AlarmKind, usize, usize)> {
        feed(60, |step| but(step, if step > 40 { changed } else { &[] }))
    }

    #[test]
    fn alarms_with_patience_wait_for_ten_reports_and_fire_once() {
        assert_eq!(from_41(&[("frac_reward_zero_std", 0.95)]), [(AlarmKind::FlatRewards, 50, 41)]);
        assert_eq!(from_41(&[("disc_acc_expert", 0.99), ("disc_acc_gen", 1.0)]), [(AlarmKind::SaturatedDiscriminator, 50, 41)]);
        assert_eq!(from_41(&[("disc_acc_expert", 1.0)]), [], "one side alone may be right about everything");
        assert_eq!(from_41(&[("completions/clipped_ratio", 1.0)]), [(AlarmKind::AllTruncated, 50, 41)]);
    }

    #[test]
    fn nine_bad_reports_in_a_row_are_not_ten() {
        let at = |step: usize| but(step, if step > 40 && !step.is_multiple_of(10) { &[("frac_reward_zero_std", 0.95)] } else { &[] });
        assert_eq!(feed(200, at), []);
    }

    #[test]
    fn a_collapse_is_measured_against_the_start() {
        // pass@1 is about 0.3 at the start; ten reports of 0.0 after 0.34: the mean is below half at the sixth.
        let fired: Vec<_> = from_41(&[("pass@1", 0.0)]).into_iter().filter(|a| a.0 != AlarmKind::DecliningPolicy).collect();
        assert_eq!((fired.len(), fired[0].0), (1, AlarmKind::CollapsedPolicy));
        assert!((44..=48).contains(&fired[0].1), "{fired:?}");
        let weak = |step: usize| but(step, if step > 40 { &[("pass@1", 0.0)] } else { &[("pass@1", 0.04)] });
        assert_eq!(feed(100, weak), [], "there is too little pass@1 to lose");
        // entropy: 0.09 at the start, so a tenth is 0.0087; the window's mean is below it once all ten are 0.005 but one of 0.078: 0.0123, or none.
        assert_eq!(from_41(&[("entropy", 0.005)]), [(AlarmKind::CollapsedPolicy, 50, 41)]);
        assert_eq!(from_41(&[("entropy", 0.02)]), []);
        // length: 80 at the start; ten of 10 tokens are an eighth. Length drift says so first.
        let kinds: Vec<AlarmKind> = from_41(&[("completions/mean_length", 10.0)]).iter().map(|a| a.0).collect();
        assert_eq!(kinds, [AlarmKind::LengthDrift, AlarmKind::CollapsedPolicy]);
    }

    #[test]
    fn a_decline_is_more_than_chance() {
        // Reports alternate 0.1 about their mean; at the start it is 0.3. Over 10 and 24 of them the variance is 34·0.01/32, its root 0.1031, the error
        // of the difference 0.1031·√(1/10 + 1/24) = 0.0388, three of them 0.116.
        let run = |level: f64| {
            let (up, mean) = (|s: usize| if s.is_multiple_of(2) { 0.1 } else { -0.1 }, move |s: usize| if s > 10 { level } else { 0.3 });
            feed(60, |s| but(s, &[("pass@1", mean(s) + up(s))]))
        };
        assert_eq!(run(0.18), [(AlarmKind::DecliningPolicy, 34, 11)]);
        assert_eq!(run(0.19), []);
        // A short stage does not say.
        let mut watch = RunWatch::default();
        let at = |s: usize| values(&[("reward", 0.0), ("pass@1", if s > 9 { 0.16 } else { 0.3 })]);
        assert!((1..=90).all(|s| watch.see("rl", s, 90, &at(s)).is_empty()));
    }

    #[test]
    fn fine_tuning_may_lower_the_entropy() {
        assert_eq!(feed(100, |step| vec![("loss", 0.1), ("entropy", if step < 30 { 3.0 } else { 0.001 })]), []);
    }

    #[test]
    fn lengths_drift_both_ways() {
        let kinds = |length| feed(60, |s| vec![("completions/mean_length", if s > 40 { length } else { 80.0 })]);
        // mean of the window: 80 + k·(length − 80)/10 > 160 first at k = 7 for 200; < 40 first at k = 6 for 10
        assert_eq!(kinds(200.0), [(AlarmKind::LengthDrift, 47, 38)]);
        assert_eq!(kinds(10.0), [(AlarmKind::LengthDrift, 46, 37)]);
        assert_eq!(kinds(150.0), []);
    }

    #[test]
    fn what_is_wrong_at_once_is_said_at_once() {
        assert_eq!(from_41(&[("labels", 0.0)]), [(AlarmKind::AllMasked, 41, 41)]);
        assert_eq!(from_41(&[("grad_norm", f64::NAN)]), [(AlarmKind::Nan, 41, 41)]);
        assert_eq!(from_41(&[("vars_without_grad", 2.0)]), [(AlarmKind::NoGradient, 43, 41)]);
    }

    #[test]
    fn a_format_leak_is_a_lead_that_outlives_the_content() {
        // 0.8 and 0.85 on average lead chance by 0.325; four fifths of it are 0.26
        assert_eq!(from_41(&[("disc_acc_shuffled", 0.8)]), [(AlarmKind::FormatLeak, 43, 41)]);
        assert_eq!(from_41(&[("disc_acc_shuffled", 0.65)]), []);
        let chance = [("disc_acc_expert", 0.52), ("disc_acc_gen", 0.52), ("disc_acc_shuffled", 0.63)];
        assert_eq!(feed(60, |step| but(step, &chance)), [], "a discriminator at chance leaks nothing");
    }

    #[test]
    fn alarms_clear_and_may_fire_again() {
        let flat = |step: usize| (11..=30).contains(&step) || step > 60;
        let fired = feed(80, |step| but(step, if flat(step) { &[("frac_reward_zero_std", 1.0)] } else { &[] }));
        assert_eq!(fired, [(AlarmKind::FlatRewards, 20, 11), (AlarmKind::FlatRewards, 70, 61)]);
        let mut watch = RunWatch::default();
        let mut standing = Vec::new();
        for step in 1..=50 {
            watch.see("rl", step, 200, &values(&but(step, if flat(step) { &[("frac_reward_zero_std", 1.0)] } else { &[] })));
            standing.push(watch.standing().count());
        }
        // standing from step 20 until ten reports after step 30 were fine
        assert_eq!(standing.iter().position(|n| *n == 1), Some(19));
        assert_eq!(standing.iter().rposition(|n| *n == 1), Some(38));
    }

    #[test]
    fn short_stages_are_judged_at_their_end() {
        let mut watch = RunWatch::default();
        let cut = values(&[("completions/clipped_ratio", 1.0)]);
        assert_eq!(watch.see("rollouts", 64, 128, &values(&[])), []);
        let fired = watch.see("rollouts", 128, 128, &cut);
        assert_eq!((fired.len(), fired[0].kind), (1, AlarmKind::AllTruncated));
        assert_eq!(
            fired[0].message.split(';').next(),
            Some("100 % of the completions were cut by the token limit, since rollouts step 128")
        );
        assert_eq!(watch.see("calibration", 1, 9, &cut), [], "each stage is judged by itself");
    }
}

//! Localisation: whether a method marks the first wrong step of wrong traces, and nothing in right ones.
//!
//! With a prediction "first step below τ, else none" this is ProcessBench's protocol (arXiv 2412.06559): `acc_error`,
//! `acc_correct` and their harmonic mean F1.

use super::resample::Resampled;
use super::stats::{Bootstrap, Interval, Paired};
use super::{EvalError, ScoredCandidate, ScoredTrace};
use crate::trace::{Calibration, Detector, ENTROPY, LOGPROB, Orientation, REWARD, Reading, Statistic};
use serde::Serialize;

/// Per-step values in which a method looks for a deviation; low values deviate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The reward of the step, in logits.
    Reward,
    /// Baseline: the least token log-probability of the step, in nats.
    LogProb,
    /// Baseline: the same under the reward model's own decoder, without its head.
    CriticLogProb,
    /// Baseline: the highest token entropy of the step, in nats, negated.
    Entropy,
    /// Reward and log-probability together, see [`super::combine`].
    Combined,
}

impl Signal {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Reward => "reward",
            Signal::LogProb => "log-prob",
            Signal::CriticLogProb => "critic log-prob",
            Signal::Entropy => "entropy",
            Signal::Combined => "reward + log-prob",
        }
    }

    /// The reading that its threshold is calibrated for; `None` for those that a calibration does not know.
    fn reading(self) -> Option<Reading> {
        match self {
            Signal::Reward => Some(Reading::new(REWARD, Statistic::Min)),
            Signal::LogProb => Some(Reading::new(LOGPROB, Statistic::Min)),
            Signal::Entropy => Some(Reading::new(ENTROPY, Statistic::Max)),
            Signal::CriticLogProb | Signal::Combined => None,
        }
    }

    /// Its calibrated threshold, turned so that values below it deviate.
    pub fn threshold(self, calibration: &Calibration) -> Option<f32> {
        let threshold = calibration.threshold(&self.reading()?)?;
        Some(if self == Signal::Entropy { -threshold } else { threshold })
    }

    /// Puts a threshold below which values deviate into a calibration, or takes it out.
    pub fn set_threshold(self, calibration: &mut Calibration, threshold: Option<f32>) {
        let Some(reading) = self.reading() else { return };
        match threshold {
            Some(t) => calibration.thresholds.insert(reading, if self == Signal::Entropy { -t } else { t }),
            None => calibration.thresholds.remove(&reading),
        };
    }

    /// One value a step, low where it deviates; `None` where it is not known.
    pub fn values(self, candidate: &ScoredCandidate) -> Vec<Option<f32>> {
        let known = |v: &Option<f32>| v.filter(|v| !v.is_nan());
        match self {
            Signal::Reward => candidate.step_rewards.iter().map(known).collect(),
            Signal::LogProb => candidate.step_logprob_min.iter().map(known).collect(),
            Signal::CriticLogProb => candidate.step_critic_logprob_min.iter().map(known).collect(),
            Signal::Entropy => candidate.step_entropy_max.iter().map(|v| known(v).map(|v| -v)).collect(),
            Signal::Combined => candidate.step_combined.iter().map(known).collect(),
        }
    }
}

/// How the step to mark is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Marker {
    /// The first step whose value is below the threshold (for entropy: whose negated entropy is).
    Below(Signal, f32),
    /// The step with the largest fall, as [`crate::trace::Rule::LargestDrop`]; always marks one.
    LargestDrop(Signal),
    /// Floor: knows whether the final answer is right, and marks step 0 where it is not.
    AnswerOracle,
}

impl Marker {
    /// The marked step, `None` where none is.
    pub fn mark(self, candidate: &ScoredCandidate) -> Option<usize> {
        match self {
            Marker::Below(signal, threshold) => signal.values(candidate).iter().position(|v| v.is_some_and(|v| v < threshold)),
            Marker::LargestDrop(signal) => {
                Detector::drop(Reading::of(signal.name())).mark(Orientation::High, &signal.values(candidate), None).map(|d| d.step)
            }
            Marker::AnswerOracle => (!candidate.correct).then_some(0),
        }
    }
}

/// What a method does on the labelled candidates; counts may be fractions for an expectation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Candidates with a wrong step.
    pub wrong: f64,
    /// … whose first wrong step is marked exactly.
    pub exact: f64,
    /// … whose mark is at most one step away.
    pub within_one: f64,
    /// Candidates without a wrong step.
    pub right: f64,
    /// … that stay unmarked.
    pub unmarked: f64,
}

impl Counts {
    /// Share of wrong traces hit exactly (`acc_error`); NaN without any.
    pub fn acc_error(&self) -> f64 {
        self.exact / self.wrong
    }
    /// Share of wrong traces hit within one step; NaN without any.
    pub fn acc_within_one(&self) -> f64 {
        self.within_one / self.wrong
    }
    /// Share of right traces left unmarked (`acc_correct`); NaN without any.
    pub fn acc_correct(&self) -> f64 {
        self.unmarked / self.right
    }
    /// Harmonic mean of `acc_error` and `acc_correct`; 0 where both are 0.
    pub fn f1(&self) -> f64 {
        let (e, c) = (self.acc_error(), self.acc_correct());
        if e + c == 0.0 { 0.0 } else { 2.0 * e * c / (e + c) }
    }
    fn fields(&self) -> [f64; FIELDS] {
        [self.wrong, self.exact, self.within_one, self.right, self.unmarked]
    }
    /// The counts of method `at` among the sums of several.
    fn read(sums: &[f64], at: usize) -> Self {
        let s = &sums[FIELDS * at..];
        Self { wrong: s[0], exact: s[1], within_one: s[2], right: s[3], unmarked: s[4] }
    }
}

/// Numbers in [`Counts`].
const FIELDS: usize = 5;

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        let add = |a: [f64; FIELDS], b: Counts| std::array::from_fn(|i| a[i] + b.fields()[i]);
        Self::read(&counts.fold([0.0; FIELDS], add), 0)
    }
}

/// Counts of one problem's labelled candidates.
pub fn counts(marker: Marker, trace: &ScoredTrace) -> Counts {
    let mut out = Counts::default();
    for candidate in trace.candidates.iter().filter(|c| c.labelled) {
        let mark = marker.mark(candidate);
        match candidate.first_error {
            Some(gold) => {
                out.wrong += 1.0;
                out.exact += f64::from(u8::from(mark == Some(gold)));
                out.within_one += f64::from(u8::from(mark.is_some_and(|m| m.abs_diff(gold) <= 1)));
            }
            None => {
                out.right += 1.0;
                out.unmarked += f64::from(u8::from(mark.is_none()));
            }
        }
    }
    out
}

/// Expected counts of a guess that is uniform over a trace's steps and, with `may_pass`, "no step is wrong".
pub fn chance_counts(trace: &ScoredTrace, may_pass: bool) -> Counts {
    let mut out = Counts::default();
    for candidate in trace.candidates.iter().filter(|c| c.labelled) {
        let n = candidate.n_steps;
        let share = 1.0 / (n + usize::from(may_pass)).max(1) as f64;
        match candidate.first_error {
            Some(gold) => {
                out.wrong += 1.0;
                let near = (gold.saturating_sub(1)..=gold + 1).filter(|s| *s < n).count();
                out.exact += if gold < n { share } else { 0.0 };
                out.within_one += near as f64 * share;
            }
            None => {
                out.right += 1.0;
                out.unmarked += if may_pass { share } else { 0.0 };
            }
        }
    }
    out
}

/// Expected counts of flags at every step with chance `rate`, the first of which is the mark: the floor of a detector that only knows how often to flag.
pub fn flag_counts(trace: &ScoredTrace, rate: f64) -> Counts {
    let mut out = Counts::default();
    let first = |step: usize| (1.0 - rate).powi(step as i32) * rate;
    for candidate in trace.candidates.iter().filter(|c| c.labelled) {
        let n = candidate.n_steps;
        match candidate.first_error {
            Some(gold) => {
                out.wrong += 1.0;
                out.exact += if gold < n { first(gold) } else { 0.0 };
                out.within_one += (gold.saturating_sub(1)..=gold + 1).filter(|s| *s < n).map(first).sum::<f64>();
            }
            None => {
                out.right += 1.0;
                out.unmarked += (1.0 - rate).powi(n as i32);
            }
        }
    }
    out
}

/// F1 over all problems; 0 without traces of both kinds.
pub fn total_f1(problems: &[Counts]) -> f64 {
    let sum: Counts = problems.iter().copied().sum();
    if sum.wrong > 0.0 && sum.right > 0.0 { sum.f1() } else { 0.0 }
}

/// A localisation result with intervals over problems.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Localisation {
    /// Sums over all problems.
    pub counts: Counts,
    /// Share of wrong traces whose first wrong step is hit.
    pub acc_error: Interval,
    /// … hit within one step.
    pub acc_within_one: Interval,
    /// Share of right traces unmarked.
    pub acc_correct: Interval,
    /// Harmonic mean of `acc_error` and `acc_correct`.
    pub f1: Interval,
}

/// Counts of several methods over the same resampled problems, so that any two compare in pairs.
#[derive(Clone, Debug)]
pub struct Comparison(Resampled);

impl Comparison {
    /// Resamples the counts of every method, one a problem.
    ///
    /// # Errors
    /// As [`Resampled::of`].
    pub fn new(methods: &[&[Counts]], options: Bootstrap) -> Result<Self, EvalError> {
        let column = |m: &[Counts], k: usize| m.iter().map(|c| c.fields()[k]).collect::<Vec<f64>>();
        let columns: Vec<Vec<f64>> = methods.iter().flat_map(|m| (0..FIELDS).map(|k| column(m, k))).collect();
        Resampled::of(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), options).map(Self)
    }

    /// A statistic, for example [`Counts::f1`], of one method.
    pub fn interval(&self, method: usize, statistic: fn(&Counts) -> f64) -> Interval {
        self.0.interval(|s| statistic(&Counts::read(s, method)))
    }

    /// The difference of a statistic between two methods.
    pub fn paired(&self, first: usize, second: usize, statistic: fn(&Counts) -> f64) -> Paired {
        self.0.paired(|s| statistic(&Counts::read(s, first)) - statistic(&Counts::read(s, second)))
    }

    /// Everything of one method. Shares without traces of their kind are NaN.
    pub fn summary(&self, method: usize) -> Localisation {
        Localisation {
            counts: Counts::read(self.0.data(), method),
            acc_error: self.interval(method, Counts::acc_error),
            acc_within_one: self.interval(method, Counts::acc_within_one),
            acc_correct: self.interval(method, Counts::acc_correct),
            f1: self.interval(method, Counts::f1),
        }
    }

    /// A statistic of one method in the data and in every resample.
    pub fn values(&self, method: usize, statistic: fn(&Counts) -> f64) -> Vec<f64> {
        self.0.values(|s| statistic(&Counts::read(s, method)))
    }
}

/// Sums counts over problems and resamples the problems.
///
/// # Errors
/// As [`Resampled::of`]. Shares without traces of their kind are NaN.
pub fn summarise(problems: &[Counts], options: Bootstrap) -> Result<Localisation, EvalError> {
    Ok(Comparison::new(&[problems], options)?.summary(0))
}

/// Paired bootstrap of a statistic (for example [`Counts::f1`]) of two methods over the same problems.
///
/// # Errors
/// As [`Resampled::of`], lengths that differ among them.
pub fn compare(first: &[Counts], second: &[Counts], statistic: fn(&Counts) -> f64, options: Bootstrap) -> Result<Paired, EvalError> {
    Ok(Comparison::new(&[first, second], options)?.paired(0, 1, statistic))
}

/// The threshold with the best F1 on these very traces: an upper bound for a baseline, not a fair figure for a method.
///
/// All distinct outcomes are tried, in O(m log m) for m traces; the lowest of equally good thresholds is returned, with its F1. `None`
/// without a wrong and a right labelled trace.
pub fn best_threshold(signal: Signal, traces: &[ScoredTrace]) -> Option<(f32, f64)> {
    // A wrong trace is hit for gold value < τ ≤ least value before; a right one stays unmarked for τ ≤ least value.
    let (mut opens, mut closes, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    let (mut wrong, mut right) = (0_usize, 0_usize);
    let least = |values: &[Option<f32>]| values.iter().flatten().copied().fold(f32::INFINITY, f32::min);
    for candidate in traces.iter().flat_map(|t| &t.candidates).filter(|c| c.labelled) {
        let values = signal.values(candidate);
        match candidate.first_error {
            None => {
                right += 1;
                floors.push(least(&values));
            }
            Some(gold) => {
                wrong += 1;
                let Some(value) = values.get(gold).copied().flatten() else { continue };
                let before = least(&values[..gold]);
                if value < before {
                    opens.push(value);
                    closes.push(before);
                }
            }
        }
    }
    if wrong == 0 || right == 0 {
        return None;
    }
    for list in [&mut opens, &mut closes, &mut floors] {
        list.sort_by(f32::total_cmp);
    }
    let below = |list: &[f32], t: f32| list.partition_point(|v| *v < t);
    let mut thresholds: Vec<f32> = opens.iter().chain(&closes).chain(&floors).copied().chain([f32::INFINITY]).collect();
    thresholds.sort_by(f32::total_cmp);
    thresholds.dedup();
    let mut best: Option<(f32, f64)> = None;
    for t in thresholds {
        let result = Counts {
            wrong: wrong as f64,
            exact: (below(&opens, t) - below(&closes, t)) as f64,
            within_one: 0.0,
            right: right as f64,
            unmarked: (floors.len() - below(&floors, t)) as f64,
        };
        if best.is_none_or(|(_, f1)| result.f1() > f1) {
            best = Some((t, result.f1()));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };

    fn candidate(first_error: Option<usize>, rewards: &[f32]) -> ScoredCandidate {
        ScoredCandidate {
            correct: first_error.is_none(),
            labelled: true,
            first_error,
            n_steps: rewards.len(),
            step_rewards: rewards.iter().map(|r| Some(*r)).collect(),
            step_logprob_min: rewards.iter().map(|r| Some(*r - 10.0)).collect(),
            step_entropy_max: rewards.iter().map(|r| Some(-*r)).collect(),
            ..ScoredCandidate::default()
        }
    }

    fn traces() -> Vec<ScoredTrace> {
        let groups = [
            vec![candidate(Some(1), &[2.0, -1.0, 3.0]), candidate(None, &[2.0, 1.0])],
            vec![candidate(Some(2), &[1.0, -2.0, -3.0, 0.0]), candidate(Some(0), &[-1.5])],
            vec![candidate(None, &[-0.5, 4.0]), candidate(Some(2), &[1.0, 1.0])],
        ];
        groups.into_iter().map(|candidates| ScoredTrace::new("", candidates)).collect()
    }

    #[test]
    fn threshold_by_hand() {
        let t = traces();
        let per: Vec<Counts> = t.iter().map(|t| counts(Marker::Below(Signal::Reward, 0.0), t)).collect();
        let l = summarise(&per, OPTIONS).unwrap();
        // Wrong: hit, one step early, hit, unreachable and unmarked. Right: unmarked, marked.
        assert_eq!(l.counts, Counts { wrong: 4.0, exact: 2.0, within_one: 3.0, right: 2.0, unmarked: 1.0 });
        assert_eq!((l.acc_error.estimate, l.acc_within_one.estimate, l.acc_correct.estimate), (0.5, 0.75, 0.5));
        assert_eq!(l.f1.estimate, 0.5);
        assert!(l.f1.low <= 0.5 && l.f1.high >= 0.5);
    }

    #[test]
    fn signals_agree_where_they_say_the_same() {
        for t in traces() {
            let reward = counts(Marker::Below(Signal::Reward, 0.0), &t);
            assert_eq!(counts(Marker::Below(Signal::LogProb, -10.0), &t), reward);
            assert_eq!(counts(Marker::Below(Signal::Entropy, 0.0), &t), reward);
        }
    }

    #[test]
    fn largest_drop_always_marks_one() {
        let t = &traces()[0];
        assert_eq!(
            counts(Marker::LargestDrop(Signal::Reward), t),
            Counts { wrong: 1.0, exact: 1.0, within_one: 1.0, right: 1.0, unmarked: 0.0 }
        );
    }

    #[test]
    fn answer_oracle_marks_step_zero_of_wrong_answers() {
        let t = traces();
        let sum: Counts = t.iter().map(|t| counts(Marker::AnswerOracle, t)).sum();
        assert_eq!(sum, Counts { wrong: 4.0, exact: 1.0, within_one: 2.0, right: 2.0, unmarked: 2.0 });
        assert!((sum.f1() - 0.4).abs() < 1e-12);
    }

    #[test]
    fn chance_is_one_over_steps() {
        let t = &traces()[1];
        let c = chance_counts(t, false);
        assert_eq!((c.wrong, c.exact, c.within_one, c.unmarked), (2.0, 1.25, 0.75 + 1.0, 0.0));
        let c = chance_counts(t, true);
        assert!((c.exact - (0.2 + 0.5)).abs() < 1e-12);
        let unreachable = chance_counts(&traces()[2], false);
        assert_eq!((unreachable.exact, unreachable.within_one), (0.0, 0.5));
        assert_eq!(chance_counts(&traces()[2], true).unmarked, 1.0 / 3.0);
    }

    #[test]
    fn random_flags_by_hand() {
        // Of 4 steps the third is wrong, of 1 the first: (1 − ½)²·½ + ½; nothing is right.
        let c = flag_counts(&traces()[1], 0.5);
        assert_eq!((c.wrong, c.exact, c.right), (2.0, 0.625, 0.0));
        // Within one step: ¼ + ⅛ + 1/16, and ½.
        assert_eq!(c.within_one, 0.9375);
        assert_eq!(flag_counts(&traces()[2], 0.5).unmarked, 0.25);
        assert_eq!(total_f1(&[c]), 0.0);
    }

    #[test]
    fn unlabelled_candidates_are_passed_over() {
        let mut t = traces().remove(0);
        t.candidates[0].labelled = false;
        assert_eq!(counts(Marker::Below(Signal::Reward, 0.0), &t).wrong, 0.0);
    }

    #[test]
    fn best_threshold_is_the_best_of_a_sweep() {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / 65536.0 % 8.0
        };
        for round in 0..20 {
            let all: Vec<ScoredTrace> = (0..15)
                .map(|i| {
                    let steps = 1 + (i + round) % 5;
                    let gold = (i % 3 != 0).then_some(i % (steps + 1));
                    let values: Vec<f32> = (0..steps).map(|_| next().round() / 2.0).collect();
                    ScoredTrace::new("", vec![candidate(gold, &values)])
                })
                .collect();
            let f1 = |t: f32| all.iter().map(|x| counts(Marker::Below(Signal::Reward, t), x)).sum::<Counts>().f1();
            let (best, value) = best_threshold(Signal::Reward, &all).unwrap();
            assert!((f1(best) - value).abs() < 1e-12, "{best}: {value} against {}", f1(best));
            let sweep = (-10..100).map(|i| f1(i as f32 * 0.25 + 0.1)).fold(0.0, f64::max);
            assert!(value >= sweep - 1e-12, "{value} below {sweep}");
        }
        assert_eq!(best_threshold(Signal::Reward, &traces()[1..2]), None, "no right trace");
    }

    #[test]
    fn comparing_a_method_with_itself_finds_nothing() {
        let twice = [traces(), traces()].concat();
        let per: Vec<Counts> = twice.iter().map(|t| counts(Marker::Below(Signal::Reward, 0.0), t)).collect();
        let same = compare(&per, &per, Counts::f1, OPTIONS).unwrap();
        assert_eq!((same.difference.estimate, same.p), (0.0, 1.0));
        assert!(compare(&per, &per[1..], Counts::f1, OPTIONS).is_err());
    }
}

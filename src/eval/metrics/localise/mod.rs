//! Localisation: whether a method marks the first wrong step of wrong traces, and nothing in right ones.
//!
//! With a prediction "first step below τ, else none" this is ProcessBench's protocol (arXiv 2412.06559): `acc_error`,
//! `acc_correct` and their harmonic mean F1.

pub mod choose;
pub mod combine;
pub mod conformal;
pub mod grid;
pub mod onset;
pub mod processbench;

use crate::eval::scored::known;
use crate::eval::stats::resample::Resampled;
use crate::eval::stats::{Bootstrap, Interval, Paired};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};
use crate::trace::{Detector, Orientation, Reading};

/// How the step to mark is chosen. Values and thresholds are turned so that high is good.
#[derive(Clone, Debug, PartialEq)]
pub enum Marker {
    /// The first step whose value is below the threshold.
    Below(Reading, f32),
    /// The step with the largest fall, as [`crate::trace::Rule::LargestDrop`]; always marks one.
    LargestDrop(Reading),
    /// Floor: knows whether the final answer is right, and marks step 0 where it is not.
    AnswerOracle,
}

impl Marker {
    /// The marked step, `None` where none is.
    pub fn mark(&self, candidate: &ScoredCandidate) -> Option<usize> {
        match self {
            Marker::Below(reading, threshold) => candidate.steps(reading).iter().position(|v| v < threshold),
            Marker::LargestDrop(reading) => {
                Detector::drop(reading.clone()).mark(Orientation::High, &known(candidate.steps(reading)), None).map(|d| d.step)
            }
            Marker::AnswerOracle => (!candidate.correct).then_some(0),
        }
    }
}

/// What a method does on the labelled candidates; counts may be fractions for an expectation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
pub fn counts(marker: &Marker, trace: &ScoredTrace) -> Counts {
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
#[derive(Clone, Copy, Debug, PartialEq)]
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

#[cfg(test)]
pub(in crate::eval) mod tests {
    use super::*;
    use crate::eval::scored::{Column, Says};
    use crate::trace::{ENTROPY, REWARD, Statistic};

    /// The reading of the test's rewards.
    pub(in crate::eval) fn reading() -> Reading {
        Reading::new(REWARD, Statistic::Min)
    }

    /// A labelled candidate with step rewards, and the same as entropies.
    pub(in crate::eval) fn candidate(first_error: Option<usize>, rewards: &[f32]) -> ScoredCandidate {
        let mut out = ScoredCandidate {
            correct: first_error.is_none(),
            labelled: true,
            first_error,
            n_steps: rewards.len(),
            ..ScoredCandidate::default()
        };
        out.put(Column::steps(reading(), Says::Model), rewards, f32::NAN);
        let entropy = Column { orientation: Orientation::Low, ..Column::steps(Reading::new(ENTROPY, Statistic::Max), Says::Policy) };
        out.put(entropy, rewards, f32::NAN);
        out
    }

    pub(in crate::eval) fn traces() -> Vec<ScoredTrace> {
        let groups = [
            vec![candidate(Some(1), &[2.0, -1.0, 3.0]), candidate(None, &[2.0, 1.0])],
            vec![candidate(Some(2), &[1.0, -2.0, -3.0, 0.0]), candidate(Some(0), &[-1.5])],
            vec![candidate(None, &[-0.5, 4.0]), candidate(Some(2), &[1.0, 1.0])],
        ];
        groups.into_iter().map(|candidates| ScoredTrace::new("", candidates)).collect()
    }

    fn below(threshold: f32) -> Marker {
        Marker::Below(reading(), threshold)
    }

    #[test]
    fn threshold_by_hand() {
        let per: Vec<Counts> = traces().iter().map(|t| counts(&below(0.0), t)).collect();
        let options = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };
        let drawn = Comparison::new(&[&per, &per], options).unwrap();
        let l = drawn.summary(0);
        // Wrong: hit, one step early, hit, unreachable and unmarked. Right: unmarked, marked.
        assert_eq!(l.counts, Counts { wrong: 4.0, exact: 2.0, within_one: 3.0, right: 2.0, unmarked: 1.0 });
        assert_eq!((l.acc_error.estimate, l.acc_within_one.estimate, l.acc_correct.estimate), (0.5, 0.75, 0.5));
        assert_eq!(l.f1.estimate, 0.5);
        assert!(l.f1.low <= 0.5 && l.f1.high >= 0.5);
        assert_eq!(drawn.paired(0, 1, Counts::f1).difference.estimate, 0.0);
    }

    #[test]
    fn a_step_without_a_value_is_not_marked() {
        let mut t = traces().remove(0);
        t.candidates[0].put(Column::steps(reading(), Says::Model), &[f32::NAN, f32::NAN], f32::NAN);
        assert_eq!(below(f32::INFINITY).mark(&t.candidates[0]), None);
        assert_eq!(Marker::Below(Reading::of("absent"), 0.0).mark(&t.candidates[0]), None);
    }

    #[test]
    fn largest_drop_always_marks_one() {
        let t = &traces()[0];
        assert_eq!(
            counts(&Marker::LargestDrop(reading()), t),
            Counts { wrong: 1.0, exact: 1.0, within_one: 1.0, right: 1.0, unmarked: 0.0 }
        );
    }

    #[test]
    fn answer_oracle_marks_step_zero_of_wrong_answers() {
        let t = traces();
        let sum: Counts = t.iter().map(|t| counts(&Marker::AnswerOracle, t)).sum();
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
        assert_eq!(counts(&below(0.0), &t).wrong, 0.0);
    }

    #[test]
    fn comparisons_need_the_same_problems() {
        let per: Vec<Counts> = traces().iter().map(|t| counts(&below(0.0), t)).collect();
        assert!(Comparison::new(&[&per, &per[1..]], Bootstrap { resamples: 1000, seed: 1, level: 0.95 }).is_err());
    }
}

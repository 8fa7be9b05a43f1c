//! Thresholds and readings chosen by labels: on all of them, or on some of the problems for the others.

use super::Counts;
use crate::eval::ScoredTrace;
use crate::eval::stats::auroc;
use crate::eval::stats::resample::{FOLDS, folds};
use crate::trace::Reading;
use rayon::prelude::*;

/// A threshold, turned so that high is good, and its F1 on the traces that chose it.
pub type Best = (f32, f64);

/// The threshold with the best F1 on these very traces: an upper bound for a baseline, not a fair figure for a method.
///
/// All distinct outcomes are tried, in O(m log m) for m traces; the lowest of equally good thresholds is returned, with its F1. `None` without a wrong and
/// a right labelled trace.
pub fn best_threshold(reading: &Reading, traces: &[ScoredTrace]) -> Option<Best> {
    Sweep::new(reading, traces, &vec![0; traces.len()], 1).best().0
}

/// What happens to the counts at a threshold above a value.
#[derive(Clone, Copy)]
enum Event {
    /// One more first wrong step is hit.
    Hit,
    /// An earlier step is marked in its place.
    Early,
    /// One more right trace is marked.
    Alarm,
}

/// Wrong, hit, right, unmarked traces of a part.
type Tally = [i64; 4];

fn f1([wrong, hit, right, unmarked]: Tally) -> f64 {
    Counts { wrong: wrong as f64, exact: hit as f64, within_one: 0.0, right: right as f64, unmarked: unmarked as f64 }.f1()
}

/// Every threshold's counts, by fold.
struct Sweep {
    /// Ascending by the value above which they happen, with the fold.
    events: Vec<(f32, Event, u8)>,
    /// Of each fold at the lowest threshold.
    start: Vec<Tally>,
}

impl Sweep {
    fn new(reading: &Reading, traces: &[ScoredTrace], fold: &[usize], k: usize) -> Self {
        let (mut events, mut start) = (Vec::new(), vec![[0; 4]; k]);
        let least = |values: &[f32]| values.iter().copied().fold(f32::INFINITY, f32::min);
        for (trace, &fold) in traces.iter().zip(fold) {
            for candidate in trace.candidates.iter().filter(|c| c.labelled) {
                let (values, tally) = (candidate.steps(reading), &mut start[fold]);
                match candidate.first_error {
                    // A right one stays unmarked for τ ≤ least value.
                    None => {
                        tally[2] += 1;
                        tally[3] += 1;
                        events.push((least(values), Event::Alarm, fold as u8));
                    }
                    // A wrong one is hit for gold value < τ ≤ least value before.
                    Some(gold) => {
                        tally[0] += 1;
                        let Some(&value) = values.get(gold).filter(|v| !v.is_nan()) else { continue };
                        let before = least(&values[..gold]);
                        if value < before {
                            events.push((value, Event::Hit, fold as u8));
                            events.push((before, Event::Early, fold as u8));
                        }
                    }
                }
            }
        }
        events.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        Self { events, start }
    }

    /// The best threshold of all, and of the other folds than each.
    fn best(&self) -> (Option<Best>, Vec<Option<Best>>) {
        let sum = |tallies: &[Tally]| tallies.iter().fold([0; 4], |a, b| std::array::from_fn(|i| a[i] + b[i]));
        let mut tallies = self.start.clone();
        let mut all = sum(&tallies);
        let mut best: Vec<Option<Best>> = vec![None; tallies.len() + 1];
        // A fold's threshold is one that the others have: `own` says that a value is that fold's alone.
        let mut look = |threshold: f32, all: Tally, tallies: &[Tally], own: Option<u8>| {
            for (k, best) in best.iter_mut().enumerate() {
                let tally = tallies.get(k).map_or(all, |own| std::array::from_fn(|i| all[i] - own[i]));
                if tally[0] > 0 && tally[2] > 0 && own.is_none_or(|own| usize::from(own) != k) {
                    let f1 = f1(tally);
                    if best.is_none_or(|(_, b)| f1 > b) {
                        *best = Some((threshold, f1));
                    }
                }
            }
        };
        for at in self.events.chunk_by(|a, b| a.0 == b.0).filter(|at| at[0].0 < f32::INFINITY) {
            let (value, _, fold) = at[0];
            look(value, all, &tallies, at.iter().all(|e| e.2 == fold).then_some(fold));
            for &(_, event, fold) in at {
                let (place, change) = match event {
                    Event::Hit => (1, 1),
                    Event::Early => (1, -1),
                    Event::Alarm => (3, -1),
                };
                tallies[usize::from(fold)][place] += change;
                all[place] += change;
            }
        }
        // Traces without a value are never marked.
        look(f32::INFINITY, all, &tallies, None);
        let of_all = best.pop().flatten();
        (of_all, best)
    }
}

/// A reading with its thresholds: chosen on all labels, and for each fold on the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The reading.
    pub reading: Reading,
    /// On all labels: an upper bound.
    pub best: Option<Best>,
    /// For each fold, on the labels of the others.
    pub held_out: Vec<Option<Best>>,
}

/// The thresholds of several readings, by the same folds of the problems.
pub fn thresholds(readings: &[&Reading], traces: &[ScoredTrace], seed: u64) -> Vec<Chosen> {
    let fold = folds(traces.len(), FOLDS, seed);
    let one = |reading: &&Reading| {
        let (best, held_out) = Sweep::new(reading, traces, &fold, FOLDS).best();
        Chosen { reading: (*reading).clone(), best, held_out }
    };
    readings.par_iter().map(one).collect()
}

/// What a family of readings comes to where reading and threshold are chosen on the other folds' labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// The reading with the best F1 on all labels, its threshold and F1: an upper bound.
    pub reading: Reading,
    /// As it says.
    pub best: Best,
    /// How many folds chose that reading.
    pub agreed: usize,
    /// Counts of every problem by what the other folds chose.
    pub counts: Vec<Counts>,
}

/// Chooses among the readings of a family for each fold on the others; the first of equally good ones. `None` without a wrong and a right labelled trace.
pub fn validated(family: &[&Chosen], traces: &[ScoredTrace], seed: u64) -> Option<Validated> {
    let f1 = |best: Option<Best>| best.map_or(f64::NEG_INFINITY, |b| b.1);
    let first_best = |of: &dyn Fn(&Chosen) -> Option<Best>| -> Option<(usize, Best)> {
        let at = (0..family.len()).reduce(|a, b| if f1(of(family[b])) > f1(of(family[a])) { b } else { a })?;
        Some((at, of(family[at])?))
    };
    let (winner, best) = first_best(&|c| c.best)?;
    let by_fold: Vec<Option<(usize, Best)>> = (0..FOLDS).map(|k| first_best(&|c| c.held_out[k])).collect();
    let markers: Vec<Option<super::Marker>> =
        by_fold.iter().map(|b| b.map(|(at, (t, _))| super::Marker::Below(family[at].reading.clone(), t))).collect();
    let fold = folds(traces.len(), FOLDS, seed);
    let count = |(trace, &k): (&ScoredTrace, &usize)| match &markers[k] {
        Some(marker) => super::counts(marker, trace),
        // Nothing was chosen, so nothing is marked.
        None => super::counts(&super::Marker::Below(family[winner].reading.clone(), f32::NEG_INFINITY), trace),
    };
    Some(Validated {
        reading: family[winner].reading.clone(),
        best,
        agreed: by_fold.iter().flatten().filter(|b| b.0 == winner).count(),
        counts: traces.par_iter().zip(&fold).map(count).collect(),
    })
}

/// Chance that a first wrong step has a worse value than a right step, ties half: right steps are those of right traces and those before a first wrong one.
/// `None` without both.
pub fn step_auroc(reading: &Reading, traces: &[ScoredTrace]) -> Option<f64> {
    let mut steps: Vec<(f64, bool)> = Vec::new();
    for candidate in traces.iter().flat_map(|t| &t.candidates).filter(|c| c.labelled) {
        let values = candidate.steps(reading);
        let upto = candidate.first_error.map_or(values.len(), |e| (e + 1).min(values.len()));
        let judged = values[..upto].iter().enumerate().filter(|(_, v)| !v.is_nan());
        steps.extend(judged.map(|(i, v)| (-f64::from(*v), candidate.first_error == Some(i))));
    }
    auroc(&steps)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{candidate, reading, traces};
    use super::super::{Marker, counts};
    use super::*;

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
            let f1 = |t: f32| all.iter().map(|x| counts(&Marker::Below(reading(), t), x)).sum::<Counts>().f1();
            let (best, value) = best_threshold(&reading(), &all).unwrap();
            assert!((f1(best) - value).abs() < 1e-12, "{best}: {value} against {}", f1(best));
            let sweep = (-10..100).map(|i| f1(i as f32 * 0.25 + 0.1)).fold(0.0, f64::max);
            assert!(value >= sweep - 1e-12, "{value} below {sweep}");
            // Each fold's threshold is the best of the others, which is what a sweep of those alone finds.
            let chosen = &thresholds(&[&reading()], &all, 3)[0];
            assert_eq!(chosen.best, Some((best, value)));
            let fold = folds(all.len(), FOLDS, 3);
            for (k, held) in chosen.held_out.iter().enumerate() {
                let others: Vec<ScoredTrace> = all.iter().zip(&fold).filter(|(_, f)| **f != k).map(|(t, _)| t.clone()).collect();
                assert_eq!(*held, best_threshold(&reading(), &others));
            }
        }
        assert_eq!(best_threshold(&reading(), &traces()[1..2]), None, "no right trace");
    }

    #[test]
    fn a_family_is_judged_on_the_problems_that_did_not_choose() {
        // 40 problems of one right and one wrong trace; one reading parts them all, the other none.
        let other = Reading::of("noise");
        let all: Vec<ScoredTrace> = (0..40)
            .map(|i| {
                let mut pair = vec![candidate(Some(1), &[2.0, -1.0]), candidate(None, &[2.0, 1.0])];
                for c in &mut pair {
                    c.put(
                        crate::eval::scored::Column::steps(other.clone(), crate::eval::scored::Says::Check),
                        &[i as f32, i as f32],
                        f32::NAN,
                    );
                }
                ScoredTrace::new(format!("p{i}"), pair)
            })
            .collect();
        let chosen = thresholds(&[&other, &reading()], &all, 1);
        let found = validated(&chosen.iter().collect::<Vec<_>>(), &all, 1).unwrap();
        assert_eq!((&found.reading, found.agreed, found.best), (&reading(), FOLDS, (1.0, 1.0)));
        assert_eq!(found.counts.iter().copied().sum::<Counts>().f1(), 1.0);
        // The other's best threshold on 32 problems marks step 0 of those below it, and hits nothing.
        let worst = validated(&[&chosen[0]], &all, 1).unwrap();
        assert_eq!(worst.counts.iter().copied().sum::<Counts>().exact, 0.0);
        assert!(validated(&[], &all, 1).is_none() && validated(&[&chosen[1]], &[], 1).is_some());
        assert_eq!(step_auroc(&reading(), &all), Some(1.0));
        assert_eq!(step_auroc(&Reading::of("absent"), &all), None);
    }
}

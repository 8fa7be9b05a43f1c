//! How well a score parts right candidates from wrong ones: AUROC and average precision, with intervals over problems.

use crate::eval::EvalError;
use crate::eval::parts::section::{Section, numbers};
use crate::eval::parts::{Cell, Table};
use crate::eval::stats::effect::clustered_d;
use crate::eval::stats::resample::{LANES, Resampled, affordable};
use crate::eval::stats::{Bootstrap, Interval};
use pulp::{Arch, Simd, WithSimd};

/// Scored candidates, sorted once, so that each resample of problems costs one pass.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// In ascending order of score: problem · 4 + 2 for a positive + 1 for the last of its tie.
    order: Vec<u32>,
    /// Negatives and positives of each problem.
    kinds: Vec<[f64; 2]>,
}

/// Area under the ROC curve and average precision; NaN where one kind is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Areas {
    /// Chance that a random positive scores above a random negative, ties half.
    pub auroc: f64,
    /// Area under the precision–recall curve, Σ (Rₖ − Rₖ₋₁)·Pₖ over descending distinct scores; the share of positives is chance.
    pub average_precision: f64,
}

impl Ranked {
    /// Sorts the scores of every problem's candidates, `true` for positives. NaN scores are left out.
    pub fn new(problems: &[Vec<(f64, bool)>]) -> Self {
        let mut all: Vec<(f64, u32, bool)> = Vec::new();
        let mut kinds = vec![[0.0; 2]; problems.len()];
        for (i, problem) in problems.iter().enumerate() {
            for &(score, positive) in problem.iter().filter(|c| !c.0.is_nan()) {
                all.push((score, i as u32, positive));
                kinds[i][usize::from(positive)] += 1.0;
            }
        }
        all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let last = |i: usize| all.get(i + 1).is_none_or(|next| next.0 != all[i].0);
        let order = all.iter().enumerate().map(|(i, a)| a.1 * 4 + 2 * u32::from(a.2) + u32::from(last(i))).collect();
        Self { order, kinds }
    }

    /// Number of scores.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is no score.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The areas where problem `i` stands `counts[i]` times in the data.
    pub fn areas(&self, counts: &[u32]) -> Areas {
        let weights: Vec<[f64; LANES]> = counts.iter().map(|c| [f64::from(*c); LANES]).collect();
        let mut found = [[0.0; LANES]; 2];
        self.areas_of_lanes(&weights, &mut found);
        Areas { auroc: found[0][0], average_precision: found[1][0] }
    }

    /// AUROC and average precision of several data sets at once: `weights[i]` says how often problem `i` stands in each of them.
    fn areas_of_lanes(&self, weights: &[[f64; LANES]], found: &mut [[f64; LANES]]) {
        let total = |kind: usize, lane: usize| self.kinds.iter().zip(weights).map(|(k, w)| k[kind] * w[lane]).sum::<f64>();
        let [negatives, positives] = [0, 1].map(|kind| std::array::from_fn(|lane| total(kind, lane)));
        let mut sums = [[0.0; LANES]; 2];
        Arch::new().dispatch(Pass { order: &self.order, weights, negatives: &negatives, positives: &positives, sums: &mut sums });
        for lane in 0..LANES {
            let both = positives[lane] != 0.0 && negatives[lane] != 0.0;
            found[0][lane] = if both { sums[0][lane] / (positives[lane] * negatives[lane]) } else { f64::NAN };
            found[1][lane] = if both { sums[1][lane] / positives[lane] } else { f64::NAN };
        }
    }

    /// AUROC and average precision with intervals over problems.
    ///
    /// # Errors
    /// As [`Resampled::with`].
    pub fn intervals(&self, options: Bootstrap) -> Result<[Interval; 2], EvalError> {
        let drawn = Resampled::with_lanes(self.kinds.len(), options, 2, |weights, found| self.areas_of_lanes(weights, found))?;
        Ok([0, 1].map(|k| drawn.interval(|s| s[k])))
    }
}

/// One pass over sorted candidates, of as many data sets side by side as the processor's vectors hold.
struct Pass<'a> {
    order: &'a [u32],
    weights: &'a [[f64; LANES]],
    negatives: &'a [f64; LANES],
    positives: &'a [f64; LANES],
    /// Pairs that stand in the right order, ties half; and the precision at each positive, summed.
    sums: &'a mut [[f64; LANES]; 2],
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (one, half) = (simd.splat_f64s(1.0), simd.splat_f64s(0.5));
        let zero = simd.splat_f64s(0.0);
        for at in (0..LANES).step_by(S::F64_LANES) {
            let lanes = at..at + S::F64_LANES;
            let (positives, negatives) =
                (S::as_simd_f64s(&self.positives[lanes.clone()]).0[0], S::as_simd_f64s(&self.negatives[lanes.clone()]).0[0]);
            // Weights below the current score and of its tie, in numbers that hold counts exactly; without a branch on who was drawn, which nothing predicts.
            let (mut wrong_below, mut right_below, mut wrong_tied, mut right_tied) = (zero, zero, zero, zero);
            let (mut wins, mut precision) = (zero, zero);
            for &entry in self.order {
                let weight = S::as_simd_f64s(&self.weights[(entry >> 2) as usize][lanes.clone()]).0[0];
                let positive = simd.mul_f64s(weight, simd.splat_f64s(f64::from((entry >> 1) & 1)));
                right_tied = simd.add_f64s(right_tied, positive);
                wrong_tied = simd.add_f64s(wrong_tied, simd.sub_f64s(weight, positive));
                if entry & 1 == 1 {
                    let beaten = simd.add_f64s(wrong_below, simd.mul_f64s(wrong_tied, half));
                    wins = simd.add_f64s(wins, simd.mul_f64s(right_tied, beaten));
                    let (right, wrong) = (simd.sub_f64s(positives, right_below), simd.sub_f64s(negatives, wrong_below));
                    let kept = simd.max_f64s(simd.add_f64s(right, wrong), one);
                    precision = simd.add_f64s(precision, simd.div_f64s(simd.mul_f64s(right_tied, right), kept));
                    wrong_below = simd.add_f64s(wrong_below, wrong_tied);
                    right_below = simd.add_f64s(right_below, right_tied);
                    (wrong_tied, right_tied) = (zero, zero);
                }
            }
            S::as_mut_simd_f64s(&mut self.sums[0][lanes.clone()]).0[0] = wins;
            S::as_mut_simd_f64s(&mut self.sums[1][lanes]).0[0] = precision;
        }
    }
}

/// A score by name, one list a problem, `true` for right candidates.
pub type Score<'a> = (&'a str, Vec<Vec<(f64, bool)>>);

/// A table of how each score parts right from wrong candidates: AUROC, average precision, Cohen's d. Scores that lack a kind are left out. The
/// figures `auroc` and `pr_auc` are the first score's.
///
/// # Errors
/// As [`Resampled::with`].
pub fn section(scores: &[Score<'_>], options: Bootstrap) -> Result<Section, EvalError> {
    let columns = ["score", "candidates", "AUROC", "PR-AUC", "chance PR-AUC", "Cohen's d", "low", "high"];
    let mut section = Section::default();
    let mut table = Table::new("Right against wrong candidates", &columns);
    for (i, (name, problems)) in scores.iter().enumerate() {
        let ranked = Ranked::new(problems);
        let fewer = affordable(options, ranked.len());
        if ranked.areas(&vec![1; problems.len()]).auroc.is_nan() {
            continue;
        }
        let [auroc, precision] = ranked.intervals(fewer)?;
        let positives: f64 = ranked.kinds.iter().map(|k| k[1]).sum();
        let mut row = vec![Cell::Text((*name).into()), Cell::Count(ranked.len()), Cell::Interval(auroc), Cell::Interval(precision)];
        row.push(Cell::Share(positives / ranked.len() as f64));
        row.extend(numbers(clustered_d(problems, options)?));
        table.rows.push(row);
        if i == 0 {
            section.figure("auroc", 100.0 * auroc.estimate);
            section.figure("pr_auc", 100.0 * precision.estimate);
        }
    }
    if table.rows.is_empty() {
        return Ok(section);
    }
    section.tables.push(table);
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::stats::auroc;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };

    /// Problems of up to four candidates with scores on a coarse grid, so that many tie.
    fn problems() -> Vec<Vec<(f64, bool)>> {
        let mut state = 11_u64;
        let mut next = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        (0..30).map(|_| (0..=next(4)).map(|_| (next(6) as f64, next(2) == 0)).collect()).collect()
    }

    #[test]
    fn areas_by_hand() {
        let of = |c: &[(f64, bool)]| Ranked::new(&[c.to_vec()]).areas(&[1]);
        let areas = of(&[(0.9, true), (0.8, false), (0.7, true), (0.1, false)]);
        // Pairs: 0.9 beats both, 0.7 beats one of two. Precision 1 at recall ½, ⅔ at recall 1.
        assert!((areas.auroc - 0.75).abs() < 1e-12 && (areas.average_precision - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12);
        let tied = of(&[(1.0, true), (1.0, false), (0.0, false)]);
        assert_eq!((tied.auroc, tied.average_precision), (0.75, 0.5));
        assert!(of(&[(1.0, true)]).auroc.is_nan() && of(&[]).average_precision.is_nan());
        assert_eq!(of(&[(f64::NAN, true), (2.0, true), (1.0, false)]).auroc, 1.0);
    }

    #[test]
    fn counts_stand_for_copies() {
        let problems = problems();
        let ranked = Ranked::new(&problems);
        let counts: Vec<u32> = (0..30).map(|i| i % 4).collect();
        let copies: Vec<(f64, bool)> =
            problems.iter().zip(&counts).flat_map(|(p, c)| std::iter::repeat_n(p, *c as usize)).flatten().copied().collect();
        let areas = ranked.areas(&counts);
        assert!((areas.auroc - auroc(&copies).unwrap()).abs() < 1e-12);
        // Average precision by its definition, over the distinct scores.
        let positives = copies.iter().filter(|c| c.1).count() as f64;
        let at_least = |s: f64, kind: bool| copies.iter().filter(|c| c.0 >= s && (c.1 || !kind)).count() as f64;
        let by_definition: f64 = (0..6)
            .map(f64::from)
            .filter(|s| at_least(*s, false) > 0.0)
            .map(|s| (at_least(s, true) - at_least(s + 0.5, true)) / positives * at_least(s, true) / at_least(s, false))
            .sum();
        assert!((areas.average_precision - by_definition).abs() < 1e-12);
    }

    #[test]
    fn intervals_hold_their_estimate() {
        let problems = problems();
        let [auroc, precision] = Ranked::new(&problems).intervals(OPTIONS).unwrap();
        for i in [auroc, precision] {
            assert!(i.low < i.estimate && i.estimate < i.high && i.high - i.low > 0.05, "{i:?}");
        }
        let one_by_one = Resampled::with(30, OPTIONS, 2, |counts, out| {
            let areas = Ranked::new(&problems).areas(counts);
            (out[0], out[1]) = (areas.auroc, areas.average_precision);
        });
        assert_eq!([auroc, precision], [0, 1].map(|k| one_by_one.as_ref().unwrap().interval(|s| s[k])), "side by side is one by one");
        let section = section(&[("reward", problems), ("nothing", vec![vec![(1.0, true)]])], OPTIONS).unwrap();
        assert_eq!(section.tables[0].rows.len(), 1, "no wrong candidate, no row");
        assert!((section.figures["auroc"] - 100.0 * auroc.estimate).abs() < 1e-9);
    }
}

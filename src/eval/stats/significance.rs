//! Intervals and tests: bootstrap over problems, paired bootstrap, McNemar, Holm, AUROC.

use super::resample::{self, Resampled, tested};
use super::{Bootstrap, Interval, Paired};
use crate::eval::EvalError;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Interval of the mean of one value a problem.
///
/// # Errors
/// No problems, fewer than [`super::MIN_RESAMPLES`] resamples, or a level outside 0..1.
pub fn bootstrap_mean(values: &[f64], options: Bootstrap) -> Result<Interval, EvalError> {
    Ok(Resampled::of(&[values], options)?.interval(|sums| sums[0] / values.len() as f64))
}

/// Compares two methods by one value a problem each, in the same order.
///
/// # Errors
/// As [`bootstrap_mean`], and lengths that differ.
pub fn paired_bootstrap(first: &[f64], second: &[f64], options: Bootstrap) -> Result<Paired, EvalError> {
    Ok(Resampled::of(&[first, second], options)?.paired(|sums| (sums[0] - sums[1]) / first.len() as f64))
}

/// As [`paired_bootstrap`], of differences over problems that come in groups, such as the seeds of a training: groups are resampled, and then the problems of
/// each that is drawn. The estimate is the mean over groups of their means.
///
/// # Errors
/// As [`bootstrap_mean`]; no groups, or one without problems.
pub fn paired_grouped(groups: &[Vec<f64>], options: Bootstrap) -> Result<Paired, EvalError> {
    resample::check(groups.iter().map(Vec::len).min().unwrap_or(0), options)?;
    let n = groups.len() as f64;
    let estimate = groups.iter().map(|g| g.iter().sum::<f64>() / g.len() as f64).sum::<f64>() / n;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut draw = || {
        let group = |rng: &mut ChaCha8Rng| {
            let g = &groups[rng.random_range(0..groups.len())];
            (0..g.len()).map(|_| g[rng.random_range(0..g.len())]).sum::<f64>() / g.len() as f64
        };
        groups.iter().map(|_| group(&mut rng)).sum::<f64>() / n
    };
    let mut draws: Vec<f64> = (0..options.resamples).map(|_| draw()).collect();
    draws.sort_by(f64::total_cmp);
    Ok(tested(estimate, &draws, options.level))
}

/// Exact two-sided McNemar test: `only_first` and `only_second` problems that just one of two methods solves. 1 where they never differ.
pub fn mcnemar(only_first: usize, only_second: usize) -> f64 {
    let n = only_first + only_second;
    // ln C(n, k) from ln C(n, k − 1).
    let (mut ln_choose, mut tail) = (0.0, 0.0);
    for k in 0..=only_first.min(only_second) {
        if k > 0 {
            ln_choose += ((n - k + 1) as f64 / k as f64).ln();
        }
        tail += (ln_choose - n as f64 * std::f64::consts::LN_2).exp();
    }
    (2.0 * tail).min(1.0)
}

/// Counts of problems that only the first, and only the second, of two methods solves.
pub fn discordant(first: &[bool], second: &[bool]) -> (usize, usize) {
    let count = |a: bool, b: bool| first.iter().zip(second).filter(|(x, y)| **x == a && **y == b).count();
    (count(true, false), count(false, true))
}

/// Holm's step-down adjustment of p-values, in their own order, each at most 1. NaN is a test that was not made, and stays one.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).filter(|&i| !p_values[i].is_nan()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![f64::NAN; p_values.len()];
    let (made, mut running) = (order.len(), 0.0_f64);
    for (rank, i) in order.into_iter().enumerate() {
        running = running.max((made - rank) as f64 * p_values[i]).min(1.0);
        adjusted[i] = running;
    }
    adjusted
}

/// Area under the ROC curve: the chance that a random positive scores above a random negative, ties half. `None` without both kinds.
pub fn auroc(scored: &[(f64, bool)]) -> Option<f64> {
    let mut sorted: Vec<(f64, bool)> = scored.iter().copied().filter(|(s, _)| !s.is_nan()).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins) = (0.0, 0.0);
    for group in sorted.chunk_by(|a, b| a.0 == b.0) {
        let positives = group.iter().filter(|g| g.1).count() as f64;
        let negatives = group.len() as f64 - positives;
        wins += positives * (below + negatives / 2.0);
        below += negatives;
    }
    let positives = sorted.len() as f64 - below;
    (positives > 0.0 && below > 0.0).then(|| wins / (positives * below))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 2000, seed: 3, level: 0.95 };

    #[test]
    fn interval_of_a_mean_is_the_textbook_one() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 4 == 0))).collect();
        let i = bootstrap_mean(&values, OPTIONS).unwrap();
        let half = 1.96 * (0.25_f64 * 0.75 / 400.0).sqrt();
        assert_eq!(i.estimate, 0.25);
        assert!((i.low - (0.25 - half)).abs() < 0.01 && (i.high - (0.25 + half)).abs() < 0.01, "{i:?}");
        assert_eq!(i, bootstrap_mean(&values, OPTIONS).unwrap(), "seeded");
        let uneven: Vec<f64> = (0..40).map(|i| f64::from(i).sqrt()).collect();
        assert_ne!(bootstrap_mean(&uneven, OPTIONS).unwrap(), bootstrap_mean(&uneven, Bootstrap { seed: 4, ..OPTIONS }).unwrap());
    }

    #[test]
    fn constant_data_has_no_width() {
        assert_eq!(bootstrap_mean(&[0.5; 7], OPTIONS).unwrap(), Interval { estimate: 0.5, low: 0.5, high: 0.5 });
    }

    #[test]
    fn bad_requests_are_refused() {
        assert!(bootstrap_mean(&[], OPTIONS).is_err());
        assert!(bootstrap_mean(&[1.0], Bootstrap { resamples: 249, ..OPTIONS }).is_err());
        assert!(bootstrap_mean(&[1.0], Bootstrap { level: 1.0, ..OPTIONS }).is_err());
        assert!(paired_bootstrap(&[1.0], &[1.0, 2.0], OPTIONS).is_err());
    }

    #[test]
    fn paired_test_sees_a_difference_and_no_difference() {
        let a: Vec<f64> = (0..300).map(|i| f64::from(u8::from(i % 10 < 6))).collect();
        let b: Vec<f64> = (0..300).map(|i| f64::from(u8::from(i % 10 < 5))).collect();
        let better = paired_bootstrap(&a, &b, OPTIONS).unwrap();
        assert!((better.difference.estimate - 0.1).abs() < 1e-12 && better.difference.low > 0.0);
        assert!((better.p - 2.0 / 2001.0).abs() < 1e-12, "no resample reaches 0: {}", better.p);
        assert_eq!(paired_bootstrap(&a, &a, OPTIONS).unwrap().p, 1.0);
        let c: Vec<f64> = (0..300).map(|i| f64::from(u8::from((i + 5) % 10 < 5))).collect();
        assert!(paired_bootstrap(&b, &c, OPTIONS).unwrap().p > 0.5, "equal means");
    }

    #[test]
    fn mcnemar_is_the_sign_test() {
        assert!((mcnemar(1, 9) - 2.0 * 11.0 / 1024.0).abs() < 1e-12);
        assert!((mcnemar(9, 1) - mcnemar(1, 9)).abs() < 1e-15);
        assert!((mcnemar(0, 5) - 2.0 / 32.0).abs() < 1e-12);
        assert_eq!((mcnemar(5, 5), mcnemar(0, 0)), (1.0, 1.0));
        assert!(mcnemar(0, 5000) < 1e-300);
        assert_eq!(discordant(&[true, true, false, false], &[true, false, true, true]), (1, 2));
    }

    #[test]
    fn groups_and_what_is_in_them_are_resampled() {
        // Two groups of 100 zeros and ones: a draw has the standard deviation √(¼ / 200) = 0.035.
        let halves: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
        let both = paired_grouped(&[halves.clone(), halves.clone()], Bootstrap::default()).unwrap();
        let Interval { estimate, low, high } = both.difference;
        assert!(estimate == 0.5 && (0.415..0.445).contains(&low) && (0.555..0.585).contains(&high), "{both:?}");
        // Groups apart are what is uncertain, however many problems each has.
        let apart = paired_grouped(&[vec![1.0; 100], vec![-1.0; 100], vec![1.0; 100]], Bootstrap::default()).unwrap();
        assert!((apart.difference.low, apart.difference.high) == (-1.0, 1.0) && apart.p > 0.3, "{apart:?}");
        assert!(paired_grouped(&[vec![]], Bootstrap::default()).is_err() && paired_grouped(&[], Bootstrap::default()).is_err());
    }

    #[test]
    fn holm_steps_down() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (a, b) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((a - b).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
        let some = holm(&[f64::NAN, 0.02, 0.01]);
        assert!(some[0].is_nan() && some[1..] == [0.02, 0.02], "tests that were not made count for nothing: {some:?}");
    }

    #[test]
    fn auroc_counts_pairs() {
        assert_eq!(auroc(&[(0.1, false), (0.4, true), (0.35, false), (0.8, true)]), Some(1.0));
        assert_eq!(auroc(&[(1.0, true), (2.0, false), (3.0, true)]), Some(0.5));
        assert_eq!(auroc(&[(1.0, true), (1.0, false)]), Some(0.5));
        assert_eq!(auroc(&[(1.0, true)]), None);
    }
}

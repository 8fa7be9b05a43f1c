//! Sizes of effects, what seeds leave uncertain, and whether there are enough problems.

use crate::eval::EvalError;
use crate::eval::stats::resample::Resampled;
use crate::eval::stats::special::{normal_quantile, t_quantile};
use crate::eval::stats::{Bootstrap, Interval};

/// Half a 95 % interval wider than this share is called too wide.
pub const WIDE: f64 = 0.10;

/// Fewest seeds for a claim about training.
pub const MIN_SEEDS: usize = 5;

/// Cohen's h of two shares: 2·asin√first − 2·asin√second; 0.2 is called small, 0.5 medium, 0.8 large.
pub fn cohens_h(first: f64, second: f64) -> f64 {
    let angle = |p: f64| 2.0 * p.clamp(0.0, 1.0).sqrt().asin();
    angle(first) - angle(second)
}

/// Cohen's d of the values of one kind (`true`) against the other, resampling problems, whose values hang together.
///
/// # Errors
/// As [`Resampled::of`].
pub fn clustered_d(problems: &[Vec<(f64, bool)>], options: Bootstrap) -> Result<Interval, EvalError> {
    let mut columns = vec![vec![0.0; problems.len()]; 6];
    for (i, problem) in problems.iter().enumerate() {
        for &(x, kind) in problem {
            let at = if kind { 0 } else { 3 };
            columns[at][i] += 1.0;
            columns[at + 1][i] += x;
            columns[at + 2][i] += x * x;
        }
    }
    let read = |s: &[f64]| Moments { n: s[0], sum: s[1], squares: s[2] };
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    Ok(Resampled::of(&columns, options)?.interval(|s| read(&s[..3]).d(&read(&s[3..]))))
}

struct Moments {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    /// Sum of squares about the mean.
    fn spread(&self) -> f64 {
        (self.squares - self.sum * self.sum / self.n).max(0.0)
    }

    fn d(&self, other: &Self) -> f64 {
        if self.n < 2.0 || other.n < 2.0 {
            return f64::NAN;
        }
        let pooled = ((self.spread() + other.spread()) / (self.n + other.n - 2.0)).sqrt();
        let d = (self.sum / self.n - other.sum / other.n) / pooled;
        if d.is_finite() { d } else { f64::NAN }
    }
}

/// A figure over training seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seeds {
    /// Number of seeds.
    pub n: usize,
    /// Mean over the seeds with its t-interval; NaN ends for fewer than two seeds.
    pub mean: Interval,
    /// Standard deviation over the seeds (n − 1); NaN for fewer than two.
    pub sd: f64,
}

/// Mean, standard deviation and t-interval (mean ± t·sd/√n, n − 1 degrees of freedom) of one value a seed.
///
/// # Errors
/// No values, or a level outside 0..1.
pub fn over_seeds(values: &[f64], level: f64) -> Result<Seeds, EvalError> {
    if values.is_empty() {
        return Err(EvalError::Empty("no seeds".into()));
    }
    if !(level > 0.0 && level < 1.0) {
        return Err(EvalError::Input(format!("level {level} is not between 0 and 1")));
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let sd = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let half = if values.len() < 2 { f64::NAN } else { t_quantile(f64::midpoint(level, 1.0), n - 1.0) * sd / n.sqrt() };
    Ok(Seeds { n: values.len(), mean: Interval { estimate: mean, low: mean - half, high: mean + half }, sd })
}

/// The smallest difference of means that a two-sided paired test at 1 − `level` finds with a chance of `power`: (z₁₋α/₂ + z_power)·sd/√n, with the
/// standard deviation of the paired differences of the data. `None` for fewer than two problems and where no difference varies.
pub fn detectable_difference(differences: &[f64], level: f64, power: f64) -> Option<f64> {
    let sd = over_seeds(differences, level).ok()?.sd;
    let z = normal_quantile(f64::midpoint(level, 1.0)) + normal_quantile(power);
    (sd > 0.0).then(|| z * sd / (differences.len() as f64).sqrt())
}

/// What to say of the number of problems: the smallest difference that the comparison `first` against `second` (one share a problem each) could
/// find, and whether the intervals, for example those of the two, are wider than ±10 points.
pub fn size_notes(first: &[f64], second: &[f64], against: &str, intervals: &[Interval], level: f64) -> Vec<String> {
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let mut notes = Vec::new();
    if let Some(d) = detectable_difference(&differences, level, 0.8) {
        notes.push(format!(
            "With {} problems, a gain over {against} of less than {:.1} points would be missed more than one time in five (80 % power, {:.0} % level).",
            differences.len(),
            100.0 * d,
            100.0 * (1.0 - level)
        ));
    }
    notes.extend(wide_note(differences.len(), intervals));
    notes
}

/// A note where one of the intervals (shares) is wider than ±[`WIDE`].
pub fn wide_note(problems: usize, intervals: &[Interval]) -> Option<String> {
    let half = intervals.iter().map(|i| (i.high - i.low) / 2.0).filter(|h| h.is_finite()).fold(0.0, f64::max);
    (half > WIDE).then(|| {
        format!(
            "Too few problems ({problems}): intervals reach ±{:.0} points, wider than ±{:.0}; differences of that size mean little here.",
            100.0 * half,
            100.0 * WIDE
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 2000, seed: 1, level: 0.95 };

    #[test]
    fn h_by_hand() {
        // asin √½ = π/4, asin √¼ = π/6, asin √1 = π/2.
        let pi = std::f64::consts::PI;
        assert!((cohens_h(0.5, 0.25) - pi / 6.0).abs() < 1e-12);
        assert!((cohens_h(1.0, 0.0) - pi).abs() < 1e-12 && (cohens_h(0.0, 1.0) + pi).abs() < 1e-12);
    }

    #[test]
    fn d_by_hand() {
        // Means 3 and 1, both with variance 1: d = 2.
        let of = |first: &[f64], second: &[f64]| {
            let kind = |values: &[f64], kind| values.iter().map(|x| (*x, kind)).collect::<Vec<_>>();
            clustered_d(&[kind(first, true), kind(second, false)], OPTIONS).unwrap().estimate
        };
        assert!((of(&[2.0, 3.0, 4.0], &[0.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!(of(&[1.0], &[0.0, 1.0]).is_nan());
        assert!(of(&[1.0, 1.0], &[0.0, 0.0]).is_nan(), "no spread");
        let problems: Vec<Vec<(f64, bool)>> = (0..60).map(|i| vec![(2.0 + f64::from(i % 3), true), (f64::from(i % 3), false)]).collect();
        let clustered = clustered_d(&problems, OPTIONS).unwrap();
        // Variance 2/3 · 60/59 on both sides.
        assert!((clustered.estimate - 2.0 / (40.0_f64 / 59.0).sqrt()).abs() < 1e-12);
        assert!(clustered.low < clustered.estimate && clustered.high > clustered.estimate);
    }

    #[test]
    fn seeds_by_hand() {
        // 1 … 5: mean 3, sd √2.5, half width 2.776 · √2.5 / √5 = 1.963.
        let s = over_seeds(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95).unwrap();
        assert!((s.sd - 2.5_f64.sqrt()).abs() < 1e-12);
        assert!((s.mean.high - 3.0 - 1.963_24).abs() < 1e-4 && (s.mean.low + s.mean.high - 6.0).abs() < 1e-12);
        let one = over_seeds(&[0.4], 0.95).unwrap();
        assert!(one.mean.low.is_nan() && one.sd.is_nan() && one.mean.estimate == 0.4);
        assert!(over_seeds(&[], 0.95).is_err());
    }

    #[test]
    fn few_problems_are_called_few() {
        // Differences ±1 alternating, n = 100: sd = √(100/99), δ = (1.95996 + 0.84162) · 1.00504 / 10.
        let (a, b): (Vec<f64>, Vec<f64>) = (0..100).map(|i| if i % 2 == 0 { (1.0, 0.0) } else { (0.0, 1.0) }).unzip();
        let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
        let d = detectable_difference(&differences, 0.95, 0.8).unwrap();
        assert!((d - 2.801_585 * (100.0_f64 / 99.0).sqrt() / 10.0).abs() < 1e-6, "{d}");
        assert_eq!(detectable_difference(&[0.0; 10], 0.95, 0.8), None);
        let narrow = Interval { estimate: 0.5, low: 0.42, high: 0.58 };
        let wide = Interval { estimate: 0.5, low: 0.35, high: 0.65 };
        let notes = size_notes(&a, &b, "random", &[narrow], 0.95);
        assert!(notes.len() == 1 && notes[0].contains("100 problems") && notes[0].contains("28.2 points"), "{notes:?}");
        let notes = size_notes(&a, &b, "random", &[narrow, wide], 0.95);
        assert!(notes[1].contains("Too few problems (100)") && notes[1].contains("±15"), "{notes:?}");
    }
}

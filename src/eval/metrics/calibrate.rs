//! Calibration of the probability that a candidate is right: reliability, expected calibration error, Brier score, temperature.

use crate::eval::EvalError;
use crate::eval::parts::chart::{Chart, ChartKind, ReliabilityBin};
use crate::eval::parts::section::Section;
use crate::eval::parts::{Cell, Table};
use crate::eval::stats::resample::affordable;
use crate::eval::stats::resample::{Resampled, halves};
use crate::eval::stats::{Bootstrap, Interval};

/// Bins of the expected calibration error.
pub const BINS: usize = 15;

/// Predicted probabilities of one problem's candidates, and whether each is right.
pub type Predictions = Vec<(f64, bool)>;

/// Upper borders of bins of equal width in 0..=1.
pub fn equal_width(bins: usize) -> Vec<f64> {
    (1..=bins).map(|b| b as f64 / bins as f64).collect()
}

/// Upper borders of bins with the same number of candidates each, as nearly as equal probabilities, which stay together, allow; at most `bins`.
pub fn equal_mass(problems: &[Predictions], bins: usize) -> Vec<f64> {
    let mut sorted: Vec<f64> = problems.iter().flatten().map(|p| p.0).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut borders: Vec<f64> = (1..=bins).filter_map(|b| sorted.get((b * sorted.len()).div_ceil(bins).checked_sub(1)?).copied()).collect();
    borders.dedup();
    borders
}

/// The bin of a probability: the first whose upper border is not below it, or the last.
fn bin(borders: &[f64], p: f64) -> usize {
    borders.partition_point(|b| *b < p).min(borders.len().saturating_sub(1))
}

/// Sums of a bin: candidates, predicted probabilities, right ones.
type Sums = [f64; 3];

/// Binned sums of every problem, resampled.
struct Binned {
    drawn: Resampled,
    bins: usize,
}

impl Binned {
    fn new(problems: &[Predictions], borders: &[f64], options: Bootstrap) -> Result<Self, EvalError> {
        let mut columns = vec![vec![0.0; problems.len()]; 3 * borders.len()];
        for (i, problem) in problems.iter().enumerate() {
            for &(p, right) in problem {
                let b = bin(borders, p);
                columns[3 * b][i] += 1.0;
                columns[3 * b + 1][i] += p;
                columns[3 * b + 2][i] += f64::from(u8::from(right));
            }
        }
        // Adding a column costs a fraction of what a pass over single values does.
        let options = affordable(options, problems.len() * columns.len() / 2);
        let drawn = Resampled::of(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), options)?;
        Ok(Self { drawn, bins: borders.len() })
    }

    fn bins(sums: &[f64]) -> impl Iterator<Item = Sums> {
        sums.chunks_exact(3).map(|s| [s[0], s[1], s[2]]).filter(|s| s[0] > 0.0)
    }

    fn ece(&self) -> Interval {
        self.drawn.interval(ece)
    }

    fn reliability(&self) -> Vec<ReliabilityBin> {
        let all = self.drawn.data();
        let held = (0..self.bins).filter(|b| all[3 * b] > 0.0);
        held.map(|b| ReliabilityBin {
            predicted: all[3 * b + 1] / all[3 * b],
            observed: self.drawn.interval(|s| s[3 * b + 2] / s[3 * b]),
            count: all[3 * b] as usize,
        })
        .collect()
    }
}

/// Σ over bins of the share of candidates × |share right − mean probability|.
fn ece(sums: &[f64]) -> f64 {
    let n: f64 = Binned::bins(sums).map(|s| s[0]).sum();
    Binned::bins(sums).map(|[_, p, right]| (right - p).abs()).sum::<f64>() / n
}

/// Expected calibration error (Naeini et al. 2015; Guo et al. 2017) in bins with the given upper borders, with its interval over problems. It is biased
/// upwards where bins hold few candidates.
///
/// # Errors
/// As [`Resampled::of`].
pub fn expected_calibration_error(problems: &[Predictions], borders: &[f64], options: Bootstrap) -> Result<Interval, EvalError> {
    Ok(Binned::new(problems, borders, options)?.ece())
}

/// Predicted and observed shares in bins with the given upper borders, those that hold something.
///
/// # Errors
/// As [`Resampled::of`].
pub fn reliability(problems: &[Predictions], borders: &[f64], options: Bootstrap) -> Result<Vec<ReliabilityBin>, EvalError> {
    Ok(Binned::new(problems, borders, options)?.reliability())
}

/// Brier score, the mean of (p − right)², with Murphy's (1973) decomposition over bins: score = reliability − resolution + uncertainty + within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brier {
    /// The score, 0 to 1, lower is better.
    pub score: f64,
    /// Mean squared distance of the bins' mean probability from their share of right ones; 0 is calibrated.
    pub reliability: f64,
    /// Mean squared distance of the bins' shares from the overall one; higher tells candidates apart.
    pub resolution: f64,
    /// Overall share × (1 − share): the score of always saying the share.
    pub uncertainty: f64,
    /// What the bins hide, since probabilities differ inside a bin.
    pub within: f64,
}

/// The Brier score, decomposed over bins with the given upper borders; all NaN without a candidate.
pub fn brier(problems: &[Predictions], borders: &[f64]) -> Brier {
    let mut sums = vec![0.0; 3 * borders.len()];
    let (mut n, mut squares) = (0.0, 0.0);
    for &(p, right) in problems.iter().flatten() {
        let (b, y) = (bin(borders, p), f64::from(u8::from(right)));
        sums[3 * b] += 1.0;
        sums[3 * b + 1] += p;
        sums[3 * b + 2] += y;
        n += 1.0;
        squares += (p - y).powi(2);
    }
    let share = Binned::bins(&sums).map(|s| s[2]).sum::<f64>() / n;
    let reliability = Binned::bins(&sums).map(|[k, p, y]| (p - y).powi(2) / k).sum::<f64>() / n;
    let resolution = Binned::bins(&sums).map(|[k, _, y]| k * (y / k - share).powi(2)).sum::<f64>() / n;
    let (score, uncertainty) = (squares / n, share * (1.0 - share));
    Brier { score, reliability, resolution, uncertainty, within: score - reliability + resolution - uncertainty }
}

/// Log-odds of a probability, finite.
fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-12, 1.0 - 1e-12);
    (p / (1.0 - p)).ln()
}

/// σ(log-odds of `p` / `temperature`).
pub fn tempered(p: f64, temperature: f64) -> f64 {
    1.0 / (1.0 + (-logit(p) / temperature).exp())
}

/// The temperature T > 0 by which log-odds are divided for the highest likelihood of the outcomes (Guo et al. 2017), within 0.01..=100. The likelihood
/// is concave in 1/T, so its slope Σ z·(right − σ(z/T)) is followed to 0.
pub fn temperature(problems: &[Predictions]) -> f64 {
    let slope = |inverse: f64| -> f64 {
        problems
            .iter()
            .flatten()
            .map(|&(p, right)| logit(p) * (f64::from(u8::from(right)) - 1.0 / (1.0 + (-logit(p) * inverse).exp())))
            .sum()
    };
    let (mut low, mut high) = (0.01_f64, 100.0_f64);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    1.0 / (low * high).sqrt()
}

/// A table of calibration before and after a temperature fitted on one half of the problems, both judged on the other half, beside all problems as they
/// are; and a reliability picture of all. The figures `ece`, `ece_mass`, `brier` are those of all problems, `ece_tempered` that of the judged half.
///
/// # Errors
/// As [`Resampled::of`]; no predictions.
pub fn section(problems: &[Predictions], options: Bootstrap) -> Result<Section, EvalError> {
    if problems.iter().all(Vec::is_empty) {
        return Err(EvalError::Empty("no probabilities".into()));
    }
    let first = halves(problems.len(), options.seed);
    let half = |which: bool| problems.iter().zip(&first).filter(|(_, f)| **f == which).map(|(p, _)| p.clone()).collect::<Vec<_>>();
    let (fitting, judged) = (half(true), half(false));
    let columns = ["probabilities", "candidates", "ECE", "ECE, equal mass", "Brier", "reliability", "resolution", "uncertainty"];
    let mut table = Table::new(&format!("Calibration of σ(reward) as the chance to be right ({BINS} bins)"), &columns);
    let mut section = Section::default();
    let mut row = |name: &str, problems: &[Predictions]| -> Result<[f64; 3], EvalError> {
        let borders = equal_mass(problems, BINS);
        let width = expected_calibration_error(problems, &equal_width(BINS), options)?;
        let mass = expected_calibration_error(problems, &borders, options)?;
        let b = brier(problems, &borders);
        let numbers = [b.score, b.reliability, b.resolution, b.uncertainty].map(Cell::Number);
        let n = problems.iter().map(Vec::len).sum();
        let cells = [Cell::Text(name.into()), Cell::Count(n), Cell::Interval(width), Cell::Interval(mass)];
        table.rows.push(cells.into_iter().chain(numbers).collect());
        Ok([width.estimate, mass.estimate, b.score])
    };
    let all = row("all problems, as they are", problems)?;
    for (name, value) in ["ece", "ece_mass", "brier"].iter().zip(all) {
        section.figure(name, 100.0 * value);
    }
    if judged.iter().any(|p| !p.is_empty()) && fitting.iter().any(|p| !p.is_empty()) {
        let t = temperature(&fitting);
        row("judged half, as they are", &judged)?;
        let after: Vec<Predictions> = judged.iter().map(|p| p.iter().map(|(p, y)| (tempered(*p, t), *y)).collect()).collect();
        let [ece, ..] = row("judged half, with temperature", &after)?;
        section.figure("ece_tempered", 100.0 * ece);
        section.notes.push(format!("Temperature {t:.3}, fitted on the other half of the problems."));
    }
    section.tables.push(table);
    let bins = reliability(problems, &equal_mass(problems, BINS), options)?;
    let title = "Share of right candidates against σ(reward)".into();
    section.charts.push(Chart { name: "reliability".into(), title, kind: ChartKind::Reliability { bins } });
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };

    fn each(predictions: &[(f64, bool)]) -> Vec<Predictions> {
        predictions.iter().map(|p| vec![*p]).collect()
    }

    #[test]
    fn ece_and_reliability_by_hand() {
        let problems = each(&[(0.1, false), (0.2, true), (0.9, true), (0.7, true)]);
        // Halves 0..0.5 and 0.5..1: means 0.15 and 0.8, shares ½ and 1: ½·0.35 + ½·0.2.
        let borders = equal_width(2);
        assert!((expected_calibration_error(&problems, &borders, OPTIONS).unwrap().estimate - 0.275).abs() < 1e-12);
        let bins = reliability(&problems, &borders, OPTIONS).unwrap();
        assert_eq!((bins.len(), bins[0].count, bins[0].observed.estimate, bins[1].observed.estimate), (2, 2, 0.5, 1.0));
        assert!((bins[0].predicted - 0.15).abs() < 1e-12);
        assert_eq!(equal_mass(&problems, 2), [0.2, 0.9]);
        assert_eq!(equal_mass(&each(&[(0.5, true), (0.5, false), (0.5, true), (0.8, true)]), 4), [0.5, 0.8], "equals stay together");
        assert_eq!((bin(&borders, 0.0), bin(&borders, 0.5), bin(&borders, 0.51), bin(&borders, 1.0)), (0, 0, 1, 1));
    }

    #[test]
    fn brier_by_hand() {
        let problems = each(&[(0.2, false), (0.2, true), (0.8, true), (0.8, true)]);
        let b = brier(&problems, &equal_width(2));
        // (0.04 + 0.64 + 0.04 + 0.04) / 4; bins: (0.2 − ½)², (0.8 − 1)²; shares ½, 1 about ¾; ¾·¼.
        assert!((b.score - 0.19).abs() < 1e-12);
        assert!((b.reliability - 0.065).abs() < 1e-12 && (b.resolution - 0.0625).abs() < 1e-12);
        assert!((b.uncertainty - 0.1875).abs() < 1e-12 && b.within.abs() < 1e-12, "one probability a bin hides nothing");
        assert!(brier(&[], &equal_width(2)).score.is_nan());
    }

    #[test]
    fn temperature_undoes_a_scale() {
        // Of candidates with probability σ(4) the share σ(2) is right: T = 2.
        let p = 1.0 / (1.0 + (-4.0_f64).exp());
        let right = (1000.0 / (1.0 + (-2.0_f64).exp())).round() as usize;
        let up: Vec<(f64, bool)> = (0..1000).map(|i| (p, i < right)).collect();
        let problems: Vec<Predictions> = vec![up.clone(), up.iter().map(|(p, y)| (1.0 - p, !y)).collect()];
        let t = temperature(&problems);
        assert!((t - 2.0).abs() < 0.01, "{t}");
        assert!((tempered(p, t) - right as f64 / 1000.0).abs() < 1e-6);
        assert!((tempered(0.3, 1.0) - 0.3).abs() < 1e-12);
        assert!(temperature(&each(&[(0.9, true), (0.1, false)])) <= 0.0101, "separable: as cold as allowed");
    }

    #[test]
    fn a_section_judges_on_the_other_half() {
        let problems: Vec<Predictions> =
            (0..200).map(|i| vec![(if i % 2 == 0 { 0.99 } else { 0.01 }, i % 4 < 2 || i % 8 == 2), (0.5, i % 3 == 0)]).collect();
        let section = section(&problems, OPTIONS).unwrap();
        assert_eq!(section.tables[0].rows.len(), 3);
        assert!(section.tables[0].rows.iter().all(|r| r.len() == section.tables[0].columns.len()));
        assert!(section.figures["ece_tempered"] < section.figures["ece"], "{:?}", section.figures);
        assert!(super::section(&[vec![]], OPTIONS).is_err());
    }
}

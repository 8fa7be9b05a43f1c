//! Rewards against labels of single steps: PRMScore, and correlation with human ratings.

use crate::eval::parts::section::{Section, by_problem, numbers};
use crate::eval::parts::{Cell, Table};
use crate::eval::scored::{Column, known};
use crate::eval::stats::correlate::Observations;
use crate::eval::stats::resample::Resampled;
use crate::eval::stats::{Bootstrap, Interval};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};
use crate::trace::{LOGPROB, Reading, Statistic};

/// Labelled steps by label and prediction; positive: a right step (PRMBench, arXiv 2501.03124).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Confusion {
    /// Right steps taken for right.
    pub true_positive: f64,
    /// Wrong steps taken for right.
    pub false_positive: f64,
    /// Right steps taken for wrong.
    pub false_negative: f64,
    /// Wrong steps taken for wrong.
    pub true_negative: f64,
}

impl Confusion {
    /// F1 of the right steps: 2·TP / (2·TP + FP + FN); NaN where there is neither such a step nor such a prediction.
    pub fn f1(&self) -> f64 {
        2.0 * self.true_positive / (2.0 * self.true_positive + self.false_positive + self.false_negative)
    }

    /// F1 of the wrong steps.
    pub fn f1_negative(&self) -> f64 {
        2.0 * self.true_negative / (2.0 * self.true_negative + self.false_positive + self.false_negative)
    }

    /// PRMScore: the mean of both, over pooled steps.
    pub fn prm_score(&self) -> f64 {
        f64::midpoint(self.f1(), self.f1_negative())
    }

    fn read(s: &[f64]) -> Self {
        Self { true_positive: s[0], false_positive: s[1], false_negative: s[2], true_negative: s[3] }
    }
}

/// The steps of a candidate with a label other than neutral and a value: whether each is right, and its value.
fn judged(reading: &Reading, candidate: &ScoredCandidate) -> Vec<(bool, f32)> {
    let values = known(candidate.steps(reading));
    let labels = candidate.step_labels.iter().map(|l| l.filter(|l| *l != 0).map(|l| l > 0));
    labels.zip(values).filter_map(|(l, v)| Some((l?, v?))).collect()
}

/// Sums of every problem, of the candidates that `inside` lets in; a step is taken for right where its value is at least the threshold.
fn confusions(reading: &Reading, threshold: f32, traces: &[ScoredTrace], inside: impl Fn(&ScoredCandidate) -> bool) -> [Vec<f64>; 4] {
    let mut out = std::array::from_fn(|_| vec![0.0; traces.len()]);
    for (i, trace) in traces.iter().enumerate() {
        for (right, value) in trace.candidates.iter().filter(|c| inside(c)).flat_map(|c| judged(reading, c)) {
            let at = match (right, value >= threshold) {
                (true, true) => 0,
                (false, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
            };
            out[at][i] += 1.0;
        }
    }
    out
}

/// PRMScore of a reading at a threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct PrmScore {
    /// The class, `None` for all steps pooled.
    pub class: Option<String>,
    /// The steps.
    pub confusion: Confusion,
    /// F1 of right steps.
    pub f1: Interval,
    /// F1 of wrong steps.
    pub f1_negative: Interval,
    /// Mean of both.
    pub score: Interval,
}

/// PRMScore over all steps, then of every class of candidates, with intervals over problems.
///
/// # Errors
/// As [`Resampled::of`].
pub fn prm_scores(reading: &Reading, threshold: f32, traces: &[ScoredTrace], options: Bootstrap) -> Result<Vec<PrmScore>, EvalError> {
    let mut classes: Vec<&str> = traces.iter().flat_map(|t| &t.candidates).filter_map(|c| c.class.as_deref()).collect();
    classes.sort_unstable();
    classes.dedup();
    let groups: Vec<Option<&str>> = [None].into_iter().chain(classes.into_iter().map(Some)).collect();
    let inside = |c: &ScoredCandidate, class: Option<&str>| class.is_none() || c.class.as_deref() == class;
    let columns: Vec<Vec<f64>> = groups.iter().flat_map(|g| confusions(reading, threshold, traces, |c| inside(c, *g))).collect();
    let drawn = Resampled::of(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), options)?;
    let score = |(g, class): (usize, &Option<&str>)| {
        let of = |f: fn(&Confusion) -> f64| drawn.interval(|s| f(&Confusion::read(&s[4 * g..])));
        PrmScore {
            class: class.map(str::to_string),
            confusion: Confusion::read(&drawn.data()[4 * g..]),
            f1: of(Confusion::f1),
            f1_negative: of(Confusion::f1_negative),
            score: of(Confusion::prm_score),
        }
    };
    Ok(groups.iter().enumerate().map(score).collect())
}

/// A table of PRMScores at fixed thresholds (turned so that high is good; shown in the signal's own unit), a row a method and class. The figure `prm_score` is the first method's over all steps.
///
/// # Errors
/// As [`prm_scores`].
pub fn section(methods: &[(String, &Column, f32)], traces: &[ScoredTrace], options: Bootstrap) -> Result<Section, EvalError> {
    let columns = ["method", "class", "threshold", "right steps", "wrong steps", "F1", "F1 negative", "PRMScore"];
    let mut table = Table::new("Labelled steps: PRMScore = ½ F1 + ½ F1 of wrong steps", &columns);
    let mut section = Section::default();
    for (name, column, threshold) in methods {
        for s in prm_scores(&column.reading, *threshold, traces, options)? {
            let c = s.confusion;
            if s.class.is_none() && !section.figures.contains_key("prm_score") {
                section.figure("prm_score", 100.0 * s.score.estimate);
            }
            table.rows.push(vec![
                Cell::Text(name.clone()),
                Cell::Text(s.class.unwrap_or_else(|| "all".into())),
                Cell::Number(f64::from(column.turn(*threshold))),
                Cell::Count((c.true_positive + c.false_negative) as usize),
                Cell::Count((c.true_negative + c.false_positive) as usize),
                Cell::Interval(s.f1),
                Cell::Interval(s.f1_negative),
                Cell::Interval(s.score),
            ]);
        }
    }
    section.tables.push(table);
    Ok(section)
}

/// A table of how the values of each reading go with the ratings −1, 0, 1 of steps: Spearman's correlation, plain and given the step's position
/// and least log-probability. Readings without a value are left out. The figure `rating_spearman` is the first one's.
///
/// # Errors
/// As [`Observations::spearman`].
pub fn ratings(readings: &[Reading], traces: &[ScoredTrace], options: Bootstrap) -> Result<Section, EvalError> {
    let title = "Step values against ratings: Spearman's correlation, given position and log-prob in the last three columns";
    let mut table = Table::new(title, &["signal", "steps", "rho", "low", "high", "partial rho", "partial low", "partial high"]);
    let mut section = Section::default();
    let given_logprob = Reading::new(LOGPROB, Statistic::Min);
    for reading in readings {
        let rows = |c: &ScoredCandidate| {
            let (values, logprobs) = (known(c.steps(reading)), known(c.steps(&given_logprob)));
            let at = |i: usize| {
                let rating = f64::from(c.step_labels.get(i).copied().flatten()?);
                let logprob = logprobs.get(i).copied().flatten().map_or(0.0, f64::from);
                Some([f64::from(values.get(i).copied().flatten()?), rating, i as f64 / c.n_steps.max(1) as f64, logprob])
            };
            Some((0..c.n_steps).filter_map(at).collect::<Vec<_>>())
        };
        let problems: Vec<Vec<[f64; 4]>> = by_problem(traces, rows).into_iter().map(|p| p.into_iter().flatten().collect()).collect();
        let observed = Observations::new(&problems);
        if observed.is_empty() {
            continue;
        }
        // A signal given itself has nothing left.
        let given: &[usize] = if reading.signal == LOGPROB { &[2] } else { &[2, 3] };
        let found = observed.partial_spearman(&[&[], given], options)?;
        let (plain, partial) = (found[0], found[1]);
        if table.rows.is_empty() {
            section.figure("rating_spearman", plain.estimate);
        }
        let row = [Cell::Text(reading.to_string()), Cell::Count(observed.len())];
        table.rows.push(row.into_iter().chain(numbers(plain)).chain(numbers(partial)).collect());
    }
    section.tables.push(table);
    section.notes.push("Correlations given log-prob: for the log-prob itself given the position alone.".into());
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::scored::Says;
    use crate::trace::Orientation;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };

    fn reading() -> Reading {
        "reward.min".parse().unwrap()
    }

    fn candidate(class: &str, labels: &[i8], rewards: &[f32]) -> ScoredCandidate {
        let mut c = ScoredCandidate {
            n_steps: labels.len(),
            step_labels: labels.iter().map(|l| Some(*l)).collect(),
            class: Some(class.into()),
            ..ScoredCandidate::default()
        };
        c.put(Column::steps(reading(), Says::Model), rewards, f32::NAN);
        c
    }

    fn traces() -> Vec<ScoredTrace> {
        let of = |candidates| ScoredTrace::new("", candidates);
        vec![
            of(vec![candidate("redundancy", &[1, 1, -1], &[2.0, -1.0, -2.0])]),
            of(vec![candidate("confidence", &[1, 0, -1, 1], &[2.0, 9.0, 0.5, 0.0])]),
        ]
    }

    #[test]
    fn prm_score_by_hand() {
        let scores = prm_scores(&reading(), 0.0, &traces(), OPTIONS).unwrap();
        // Right: 2 ✓, −1 ✗, 2 ✓, 0 ✓; wrong: −2 ✓, 0.5 ✗. The neutral one is passed over.
        let all = &scores[0];
        assert_eq!(all.confusion, Confusion { true_positive: 3.0, false_positive: 1.0, false_negative: 1.0, true_negative: 1.0 });
        assert_eq!((all.f1.estimate, all.f1_negative.estimate, all.score.estimate), (0.75, 0.5, 0.625));
        let named: Vec<_> = scores[1..].iter().map(|s| (s.class.as_deref().unwrap(), s.f1.estimate, s.f1_negative.estimate)).collect();
        assert_eq!(named, [("confidence", 0.8, 0.0), ("redundancy", 2.0 / 3.0, 2.0 / 3.0)]);
        let column = Column::steps(reading(), Says::Model);
        let low = Column { orientation: Orientation::Low, ..column.clone() };
        let section = section(&[("reward".into(), &column, 0.0), ("entropy".into(), &low, -1.5)], &traces(), OPTIONS).unwrap();
        assert_eq!(
            (&section.tables[0].rows[0][2], &section.tables[0].rows[3][2]),
            (&Cell::Number(0.0), &Cell::Number(1.5)),
            "an entropy's own sign"
        );
        assert_eq!((section.tables[0].rows.len(), section.figures["prm_score"]), (6, 62.5));
        assert_eq!(section.tables[0].rows[0][3..5], [Cell::Count(4), Cell::Count(2)]);
    }

    #[test]
    fn ratings_by_hand() {
        let section = ratings(&[reading(), Reading::of("entropy")], &traces(), OPTIONS).unwrap();
        assert_eq!(section.tables[0].rows.len(), 1, "no entropy is known");
        // Values 2 −1 −2 2 9 .5 0 have ranks 5.5 2 1 5.5 7 4 3; ratings 1 1 −1 1 0 −1 1 have 5.5 5.5 1.5 5.5 3 1.5 5.5.
        let (x, y) = ([5.5, 2.0, 1.0, 5.5, 7.0, 4.0, 3.0_f64], [5.5, 5.5, 1.5, 5.5, 3.0, 1.5, 5.5_f64]);
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - 4.0) * (b - 4.0)).sum::<f64>();
        let rho = sum(&x, &y) / (sum(&x, &x) * sum(&y, &y)).sqrt();
        assert!((section.figures["rating_spearman"] - rho).abs() < 1e-12);
    }
}

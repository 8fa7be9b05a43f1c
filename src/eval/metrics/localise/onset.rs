//! Where the marks fall: rank of the first wrong step among the drops, onset lag, alarms in right traces, accuracy by position.

use super::Marker;
use crate::eval::parts::chart::{Chart, ChartKind};
use crate::eval::parts::section::Section;
use crate::eval::parts::{Cell, Table};
use crate::eval::scored::known;
use crate::eval::stats::resample::{Resampled, quantile};
use crate::eval::stats::{Bootstrap, Interval};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};
use crate::trace::{Reading, drop_from_before};
use rayon::prelude::*;

/// Parts of a trace by which the accuracy is split.
pub const PARTS: usize = 5;

/// Average precision of the first wrong step `gold` when the steps are ranked by how far they fall, largest first: 1 / its rank, the only relevant
/// step being this one. Ties, and steps without a value at the end, by expectation over their order; 0 for a step that is not there.
pub fn drop_precision(values: &[Option<f32>], gold: usize) -> f64 {
    let drops = drop_from_before(values);
    let Some(own) = drops.get(gold) else { return 0.0 };
    let known = drops.iter().flatten();
    let (ahead, tied) = match own {
        Some(own) => (known.clone().filter(|d| *d > own).count(), known.filter(|d| *d == own).count()),
        None => (known.clone().count(), drops.len() - known.count()),
    };
    (1..=tied).map(|j| 1.0 / (ahead + j) as f64).sum::<f64>() / tied as f64
}

/// The same of a random ranking of `n` steps: (1 + ½ + … + 1/n) / n.
pub fn chance_precision(n: usize, gold: usize) -> f64 {
    if gold < n { (1..=n).map(|j| 1.0 / j as f64).sum::<f64>() / n as f64 } else { 0.0 }
}

/// Number of steps of a candidate that a method marks.
pub fn alarms(marker: &Marker, candidate: &ScoredCandidate) -> usize {
    match marker {
        Marker::Below(reading, threshold) => candidate.steps(reading).iter().filter(|v| *v < threshold).count(),
        _ => usize::from(marker.mark(candidate).is_some()),
    }
}

/// How far marks lie from the first wrong step, in steps; positive: too late.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// Wrong traces that are marked.
    pub marked: usize,
    /// Wrong traces.
    pub wrong: usize,
    /// Lower quartile, median, upper quartile of the marked ones, interpolated; NaN without any.
    pub quartiles: [f64; 3],
}

/// The onset lag of a method over labelled wrong traces.
pub fn lag(marker: &Marker, traces: &[ScoredTrace]) -> Lag {
    let wrong = labelled(traces).filter_map(|c| c.first_error.map(|gold| (c, gold)));
    let marks: Vec<Option<f64>> = wrong.map(|(c, gold)| marker.mark(c).map(|m| m as f64 - gold as f64)).collect();
    let mut lags: Vec<f64> = marks.iter().flatten().copied().collect();
    lags.sort_unstable_by(f64::total_cmp);
    Lag { marked: lags.len(), wrong: marks.len(), quartiles: [0.25, 0.5, 0.75].map(|q| quantile(&lags, q)) }
}

fn labelled(traces: &[ScoredTrace]) -> impl Iterator<Item = &ScoredCandidate> {
    traces.iter().flat_map(|t| &t.candidates).filter(|c| c.labelled)
}

/// Sums over each problem of what `value` says of its labelled candidates of one kind, and their number.
fn sums(traces: &[ScoredTrace], wrong: bool, value: impl Fn(&ScoredCandidate) -> f64 + Sync) -> [Vec<f64>; 2] {
    let of = |t: &ScoredTrace| {
        let kind = t.candidates.iter().filter(|c| c.labelled && c.first_error.is_some() == wrong);
        kind.fold((0.0, 0.0), |(sum, n), c| (sum + value(c), n + 1.0))
    };
    let (sum, n): (Vec<f64>, Vec<f64>) = traces.par_iter().map(of).unzip();
    [sum, n]
}

/// Means of several values, each over the labelled candidates of its kind, with intervals over problems.
fn means(columns: &[[Vec<f64>; 2]], options: Bootstrap) -> Result<Vec<Interval>, EvalError> {
    let columns: Vec<&[f64]> = columns.iter().flatten().map(Vec::as_slice).collect();
    let drawn = Resampled::of(&columns, options)?;
    Ok((0..columns.len() / 2).map(|k| drawn.interval(|s| s[2 * k] / s[2 * k + 1])).collect())
}

/// A table of the marks of every method, by name: rank of the first wrong step, onset lag, alarms in right traces. The figures `map`,
/// `onset_lag_median` and `false_alarms` are the first method's that has them.
///
/// # Errors
/// As [`Resampled::of`].
pub fn section(methods: &[(String, Marker)], traces: &[ScoredTrace], options: Bootstrap) -> Result<Section, EvalError> {
    let columns =
        ["method", "MAP of drops", "wrong traces marked", "lag, quartile 1", "lag, median", "lag, quartile 3", "alarms per 100 right"];
    let mut section = Section::default();
    let mut table = Table::new("Where marks fall: lag in steps from the first wrong step, positive where late", &columns);
    let precision =
        |reading: &Reading| sums(traces, true, |c| drop_precision(&known(c.steps(reading)), c.first_error.unwrap_or(usize::MAX)));
    let mut values = vec![sums(traces, true, |c| chance_precision(c.n_steps, c.first_error.unwrap_or(usize::MAX)))];
    for (_, marker) in methods {
        values.push(match marker {
            Marker::LargestDrop(reading) => precision(reading),
            _ => sums(traces, false, |c| alarms(marker, c) as f64),
        });
    }
    let means = means(&values, options)?;
    for ((name, marker), mean) in methods.iter().zip(&means[1..]) {
        let drop = matches!(marker, Marker::LargestDrop(_));
        let lag = lag(marker, traces);
        let [q1, median, q3] = lag.quartiles;
        let (map, alarms) = if drop { (Cell::Interval(*mean), Cell::Empty) } else { (Cell::Empty, Cell::Interval(*mean)) };
        let marked = Cell::Share(lag.marked as f64 / lag.wrong as f64);
        table.rows.push(vec![Cell::Text(name.clone()), map, marked, Cell::Number(q1), Cell::Number(median), Cell::Number(q3), alarms]);
        if !section.figures.contains_key(if drop { "map" } else { "false_alarms" }) {
            section.figure(if drop { "map" } else { "false_alarms" }, 100.0 * mean.estimate);
        }
        if !section.figures.contains_key("onset_lag_median") {
            section.figure("onset_lag_median", median);
        }
    }
    let chance = [Cell::Text("chance, drops in random order".into()), Cell::Interval(means[0])];
    table.rows.push(chance.into_iter().chain((0..5).map(|_| Cell::Empty)).collect());
    section.tables.push(table);
    Ok(section)
}

/// The fifth of its trace in which a first wrong step lies; a step missing at the end counts for the last.
fn part(candidate: &ScoredCandidate) -> Option<usize> {
    Some((candidate.first_error? * PARTS / candidate.n_steps.max(1)).min(PARTS - 1))
}

/// Share of first wrong steps hit exactly by where they lie in their trace, for every method and for a random step, as a picture.
///
/// # Errors
/// As [`Resampled::of`].
pub fn by_position(methods: &[(String, Marker)], traces: &[ScoredTrace], options: Bootstrap) -> Result<Chart, EvalError> {
    let chance = |c: &ScoredCandidate| if c.first_error < Some(c.n_steps) { 1.0 / c.n_steps as f64 } else { 0.0 };
    let hit = |m: &Marker, c: &ScoredCandidate| f64::from(u8::from(m.mark(c) == c.first_error));
    let names: Vec<String> = methods.iter().map(|m| m.0.clone()).chain(["chance, a step".into()]).collect();
    let mut columns = Vec::new();
    for marker in methods.iter().map(|m| Some(&m.1)).chain([None]) {
        // Hits and wrong traces of every part.
        let of = |t: &ScoredTrace| {
            let mut sums = [[0.0; 2]; PARTS];
            for c in t.candidates.iter().filter(|c| c.labelled) {
                if let Some(p) = part(c) {
                    sums[p][0] += marker.map_or_else(|| chance(c), |m| hit(m, c));
                    sums[p][1] += 1.0;
                }
            }
            sums
        };
        let problems: Vec<[[f64; 2]; PARTS]> = traces.par_iter().map(of).collect();
        columns.extend((0..PARTS).map(|p| [0, 1].map(|k| problems.iter().map(|s| s[p][k]).collect::<Vec<f64>>())));
    }
    let means = means(&columns, options)?;
    let groups = (0..PARTS).map(|p| format!("{}–{} %", 100 * p / PARTS, 100 * (p + 1) / PARTS)).collect();
    let value = |i: &Interval| i.estimate.is_finite().then_some(*i);
    let series = names.into_iter().zip(means.chunks(PARTS)).map(|(name, m)| (name, m.iter().map(value).collect())).collect();
    let kind = ChartKind::Bars {
        x: "position of the first wrong step in its trace".into(),
        y: "first wrong step hit".into(),
        percent: true,
        groups,
        series,
    };
    Ok(Chart { name: "localisation-by-position".into(), title: "Localisation by position".into(), kind })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{candidate, reading};
    use super::*;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };

    fn some(values: &[f32]) -> Vec<Option<f32>> {
        values.iter().map(|v| Some(*v)).collect()
    }

    fn traces() -> Vec<ScoredTrace> {
        let groups = [
            vec![candidate(Some(1), &[2.0, -1.0, 3.0, -2.0, 1.0]), candidate(None, &[2.0, -1.0, -1.0])],
            vec![candidate(Some(4), &[1.0, -2.0, -3.0, 0.0, 0.0]), candidate(Some(0), &[1.0, 1.0])],
            vec![candidate(None, &[0.5, 4.0])],
        ];
        groups.into_iter().map(|candidates| ScoredTrace::new("", candidates)).collect()
    }

    #[test]
    fn drops_are_ranked_by_hand() {
        // Mean 0.6: drops −1.4, 3, −4, 5, −3.
        let values = some(&[2.0, -1.0, 3.0, -2.0, 1.0]);
        assert_eq!([0, 1, 2, 3, 4].map(|g| drop_precision(&values, g)), [1.0 / 3.0, 0.5, 0.2, 1.0, 0.25]);
        assert_eq!(drop_precision(&values, 5), 0.0, "no such step");
        // Mean 1: drops 0, 0, 0 — any order.
        assert!((drop_precision(&some(&[1.0; 3]), 1) - (1.0 + 0.5 + 1.0 / 3.0) / 3.0).abs() < 1e-12);
        assert!((chance_precision(3, 1) - (1.0 + 0.5 + 1.0 / 3.0) / 3.0).abs() < 1e-12);
        assert_eq!(drop_precision(&[Some(1.0), None, Some(0.0)], 1), 1.0 / 3.0, "without a value: last");
    }

    #[test]
    fn lags_and_alarms_by_hand() {
        let below = Marker::Below(reading(), 0.0);
        // Marks 1 (gold 1), 1 (gold 4), none (gold 0): lags −3 and 0.
        let lag = lag(&below, &traces());
        assert_eq!((lag.marked, lag.wrong, lag.quartiles), (2, 3, [-2.25, -1.5, -0.75]));
        assert_eq!(alarms(&below, &traces()[0].candidates[1]), 2);
        assert_eq!(alarms(&Marker::LargestDrop(reading()), &traces()[0].candidates[1]), 1);
        let methods = [("reward".to_string(), below), ("drop".to_string(), Marker::LargestDrop(reading()))];
        let section = section(&methods, &traces(), OPTIONS).unwrap();
        assert_eq!(section.figures["false_alarms"], 100.0, "two alarms in two right traces");
        assert_eq!(section.figures["onset_lag_median"], -1.5);
        // Ranks: 2 of 5; drops of the second −1.8, 3, 1, −3, 0: gold 4 is third; the third ties two: ¾.
        assert!((section.figures["map"] - 100.0 * (0.5 + 1.0 / 3.0 + 0.75) / 3.0).abs() < 1e-9);
        assert!(section.tables[0].rows.iter().all(|r| r.len() == section.tables[0].columns.len()));
    }

    #[test]
    fn positions_by_hand() {
        let methods = [("reward".to_string(), Marker::Below(reading(), 0.0))];
        let ChartKind::Bars { groups, series, .. } = by_position(&methods, &traces(), OPTIONS).unwrap().kind else { panic!() };
        assert_eq!(groups, ["0–20 %", "20–40 %", "40–60 %", "60–80 %", "80–100 %"]);
        let estimates = |k: usize| series[k].1.iter().map(|i| i.map(|i| i.estimate)).collect::<Vec<_>>();
        assert_eq!(estimates(0), [Some(0.0), Some(1.0), None, None, Some(0.0)]);
        assert_eq!(estimates(1), [Some(0.5), Some(0.2), None, None, Some(0.2)]);
        assert_eq!(part(&candidate(Some(3), &[0.0; 3])), Some(4), "a missing step");
    }
}

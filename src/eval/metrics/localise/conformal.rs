//! Conformal coverage of the deviation rule: how often right traces are marked, against the false-alarm rate that was promised.

use crate::eval::EvalError;
use crate::eval::ScoredTrace;
use crate::eval::parts::chart::{Chart, ChartKind, Line};
use crate::eval::parts::section::Section;
use crate::eval::parts::{Cell, Table};
use crate::eval::stats::resample::{Resampled, halves};
use crate::eval::stats::special::clopper_pearson;
use crate::eval::stats::{Bootstrap, Interval};
use crate::trace::Reading;

pub use crate::reward::conformal_threshold;

/// Promised false-alarm rates of a report.
pub const LEVELS: [f64; 7] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5];

/// What a promised rate comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coverage {
    /// The promise.
    pub rate: f64,
    /// Share of right traces that are marked, with its interval.
    pub false_alarms: Interval,
    /// Share of wrong traces that are marked, anywhere; NaN without any.
    pub detected: Interval,
}

/// Least value and whether every step is right, of every labelled candidate of every problem.
fn floors(reading: &Reading, traces: &[ScoredTrace]) -> Vec<Vec<(f32, bool)>> {
    crate::eval::parts::section::by_problem(traces, |c| c.labelled.then_some((c.worst_step(reading)?, c.first_error.is_none())))
}

/// Measures promised rates: each half of the problems (split at random by the seed) is judged with the thresholds of the other half's right traces.
/// Intervals are percentile bootstrap over problems; where no or every right trace is marked, which resampling cannot vary, exact binomial with one
/// trial a problem. They leave out the luck of the split.
///
/// # Errors
/// As [`Resampled::of`]; no right labelled traces.
pub fn coverage(reading: &Reading, traces: &[ScoredTrace], rates: &[f64], options: Bootstrap) -> Result<Vec<Coverage>, EvalError> {
    let problems = floors(reading, traces);
    let first = halves(problems.len(), options.seed);
    let right_of = |half: bool| {
        let inside = problems.iter().zip(&first).filter(|(_, f)| **f == half).flat_map(|(p, _)| p);
        let mut all: Vec<f32> = inside.filter(|c| c.1).map(|c| c.0).collect();
        all.sort_unstable_by(f32::total_cmp);
        all
    };
    let fitted = [right_of(false), right_of(true)];
    if fitted.iter().all(Vec::is_empty) {
        return Err(EvalError::Empty("no right labelled traces to measure false alarms on".into()));
    }
    let count = |kind: bool, below: Option<f64>| -> Vec<f64> {
        let of = |(problem, half): (&Vec<(f32, bool)>, &bool)| {
            let at = below.and_then(|rate| conformal_threshold(&fitted[usize::from(!*half)], rate));
            let inside = |c: &&(f32, bool)| c.1 == kind && (below.is_none() || at.is_some_and(|t| c.0 < t));
            problem.iter().filter(inside).count() as f64
        };
        problems.iter().zip(&first).map(of).collect()
    };
    let mut columns = vec![count(true, None), count(false, None)];
    for &rate in rates {
        columns.extend([count(true, Some(rate)), count(false, Some(rate))]);
    }
    let drawn = Resampled::of(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), options)?;
    let with_right = columns[0].iter().filter(|n| **n > 0.0).count();
    let measured = |(k, &rate): (usize, &f64)| {
        let mut false_alarms = drawn.interval(|s| s[2 * k + 2] / s[0]);
        if false_alarms.estimate == 0.0 || false_alarms.estimate == 1.0 {
            let hits = if false_alarms.estimate == 0.0 { 0 } else { with_right };
            false_alarms = clopper_pearson(hits, with_right, options.level);
        }
        Coverage { rate, false_alarms, detected: drawn.interval(|s| s[2 * k + 3] / s[1]) }
    };
    Ok(rates.iter().enumerate().map(measured).collect())
}

/// A table and a picture of promised against measured false alarms of several readings at [`LEVELS`]. The figure `coverage_error` is the largest distance
/// between the first one's measured and promised rates, in percentage points.
///
/// # Errors
/// As [`coverage`].
pub fn section(readings: &[Reading], traces: &[ScoredTrace], options: Bootstrap) -> Result<Section, EvalError> {
    let title = "Conformal thresholds: right traces marked, against the rate promised";
    let mut table = Table::new(title, &["signal", "promised", "right traces marked", "kept", "wrong traces marked"]);
    let mut lines = Vec::new();
    let mut section = Section::default();
    for reading in readings {
        let found = coverage(reading, traces, &LEVELS, options)?;
        for c in &found {
            // The promise is broken only where the whole interval lies above it.
            let kept = Cell::Text(if c.false_alarms.low > c.rate { "no" } else { "yes" }.into());
            let name = Cell::Text(reading.to_string());
            table.rows.push(vec![name, Cell::Share(c.rate), Cell::Interval(c.false_alarms), kept, Cell::Interval(c.detected)]);
        }
        if lines.is_empty() {
            let worst = found.iter().map(|c| (c.false_alarms.estimate - c.rate).abs()).fold(0.0, f64::max);
            section.figure("coverage_error", 100.0 * worst);
        }
        let points = found.iter().map(|c| (c.rate, c.false_alarms)).collect();
        lines.push(Line { name: reading.to_string(), points });
    }
    let promise = |rate: f64| (rate, Interval { estimate: rate, low: rate, high: rate });
    lines.push(Line { name: "as promised".into(), points: LEVELS.map(promise).to_vec() });
    section.tables.push(table);
    section.notes.push("Conformal thresholds: each half of the problems is judged with those of the other half's right traces.".into());
    let kind = ChartKind::Lines {
        x: "false-alarm rate promised".into(),
        y: "right traces marked".into(),
        log_x: false,
        percent: true,
        series: lines,
    };
    section.charts.push(Chart { name: "conformal-coverage".into(), title: "Conformal coverage of the deviation rule".into(), kind });
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{candidate, reading};
    use super::*;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 2, level: 0.95 };

    fn trace(first_error: Option<usize>, least: f32) -> ScoredTrace {
        ScoredTrace::new("", vec![candidate(first_error, &[least + 1.0, least])])
    }

    #[test]
    fn a_promise_is_kept_on_fresh_traces_of_the_same_kind() {
        let spread = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
        let mut traces: Vec<ScoredTrace> = (0..800).map(|i| trace(None, spread(i))).collect();
        traces.extend((0..200).map(|i| trace(Some(1), spread(i) - 0.5)));
        let found = coverage(&reading(), &traces, &LEVELS, OPTIONS).unwrap();
        for c in &found {
            assert!((c.false_alarms.estimate - c.rate).abs() < 0.04, "{c:?}");
            assert!(c.detected.estimate > c.false_alarms.estimate + 0.2, "{c:?}");
        }
        let section = section(&[reading()], &traces, OPTIONS).unwrap();
        assert!(section.figures["coverage_error"] < 4.0);
        assert_eq!(section.tables[0].rows.len(), LEVELS.len());
    }

    #[test]
    fn no_alarm_has_an_honest_upper_end() {
        let traces: Vec<ScoredTrace> = (0..10).map(|_| trace(None, 1.0)).collect();
        let c = coverage(&reading(), &traces, &[0.3], OPTIONS).unwrap()[0];
        assert_eq!((c.false_alarms.estimate, c.false_alarms.low), (0.0, 0.0), "all tie at the threshold");
        assert!((c.false_alarms.high - (1.0 - 0.025_f64.powf(0.1))).abs() < 1e-9 && c.detected.estimate.is_nan());
        assert!(coverage(&reading(), &[trace(Some(0), 1.0)], &[0.3], OPTIONS).is_err());
        assert!(coverage(&Reading::of("absent"), &traces, &[0.3], OPTIONS).is_err(), "no such signal");
    }
}

//! ProcessBench over its subsets: one threshold for all, and the unweighted mean of their F1s (arXiv 2412.06559).

use super::choose::best_threshold;
use super::{Comparison, Counts, Localisation, Marker, counts};
use crate::eval::parts::section::Section;
use crate::eval::parts::{Cell, Table};
use crate::eval::scored::Column;
use crate::eval::stats::resample::percentile;
use crate::eval::stats::{Bootstrap, Interval};
use crate::eval::{EvalError, ScoredTrace};
use crate::trace::Reading;

/// Traces of one subset by name.
pub type Subset<'a> = (&'a str, &'a [ScoredTrace]);

/// Where the threshold comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold<'a> {
    /// Fixed beforehand, without any of these labels; turned so that low values deviate.
    Fixed(f32),
    /// The best F1 on the subset of this name, reused for the others, as the benchmark has it; on that subset itself the figure is an upper bound.
    BestOn(&'a str),
}

/// One signal on every subset.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessBench {
    /// The threshold, turned so that low values deviate.
    pub threshold: f32,
    /// Each subset's result, in their order.
    pub subsets: Vec<Localisation>,
    /// Unweighted mean of the subsets' F1s; the subsets are resampled apart.
    pub average: Interval,
}

/// Marks the first step below the threshold in every subset.
///
/// # Errors
/// No subsets, an unknown subset for the threshold, one without a wrong and a right trace, and as [`Comparison::new`].
pub fn process_bench(
    reading: &Reading,
    subsets: &[Subset<'_>],
    threshold: Threshold<'_>,
    options: Bootstrap,
) -> Result<ProcessBench, EvalError> {
    let threshold = match threshold {
        Threshold::Fixed(t) => t,
        Threshold::BestOn(name) => {
            let known = || subsets.iter().map(|s| s.0).collect::<Vec<_>>().join(", ");
            let subset = subsets.iter().find(|s| s.0 == name);
            let (_, traces) = subset.ok_or_else(|| EvalError::Input(format!("no subset {name:?} for the threshold among: {}", known())))?;
            let best = best_threshold(reading, traces);
            best.ok_or_else(|| {
                EvalError::Input(format!("subset {name:?} has no wrong or no right labelled trace to choose a threshold on"))
            })?
            .0
        }
    };
    let mut results = Vec::with_capacity(subsets.len());
    let mut totals: Vec<f64> = Vec::new();
    let marker = Marker::Below(reading.clone(), threshold);
    for (i, (name, traces)) in subsets.iter().enumerate() {
        let per: Vec<Counts> = traces.iter().map(|t| counts(&marker, t)).collect();
        // Subsets of equal size must not be resampled in step.
        let own = Bootstrap { seed: options.seed ^ ((i as u64) << 32), ..options };
        let drawn = Comparison::new(&[&per], own).map_err(|e| EvalError::Input(format!("subset {name:?}: {e}")))?;
        results.push(drawn.summary(0));
        let values = drawn.values(0, Counts::f1);
        totals.resize(values.len(), 0.0);
        totals.iter_mut().zip(values).for_each(|(t, v)| *t += v / subsets.len() as f64);
    }
    let Some((&average, _)) = totals.split_first() else { return Err(EvalError::Empty("no subsets".into())) };
    let mut draws: Vec<f64> = totals.split_off(1);
    draws.retain(|d| d.is_finite());
    draws.sort_unstable_by(f64::total_cmp);
    Ok(ProcessBench { threshold, subsets: results, average: percentile(average, &draws, options.level) })
}

/// A table of every method on every subset with its average. The figures `processbench_SUBSET` and `processbench_average` are the first method's.
///
/// # Errors
/// As [`process_bench`].
pub fn section(methods: &[(String, &Column, Threshold<'_>)], subsets: &[Subset<'_>], options: Bootstrap) -> Result<Section, EvalError> {
    let columns = ["method", "subset", "threshold", "wrong", "right", "acc_error", "acc_correct", "F1"];
    let mut table = Table::new("ProcessBench: first wrong step by subset; the average of F1s is unweighted", &columns);
    let mut section = Section::default();
    for (m, (name, column, threshold)) in methods.iter().enumerate() {
        let found = process_bench(&column.reading, subsets, *threshold, options)?;
        let shown = Cell::Number(f64::from(column.turn(found.threshold)));
        for ((subset, _), r) in subsets.iter().zip(&found.subsets) {
            table.rows.push(vec![
                Cell::Text(name.clone()),
                Cell::Text((*subset).into()),
                shown.clone(),
                Cell::Count(r.counts.wrong as usize),
                Cell::Count(r.counts.right as usize),
                Cell::Interval(r.acc_error),
                Cell::Interval(r.acc_correct),
                Cell::Interval(r.f1),
            ]);
            if m == 0 {
                section.figure(&format!("processbench_{subset}"), 100.0 * r.f1.estimate);
            }
        }
        let mut row = vec![Cell::Text(name.clone()), Cell::Text("average".into()), shown];
        row.extend([Cell::Empty, Cell::Empty, Cell::Empty, Cell::Empty, Cell::Interval(found.average)]);
        table.rows.push(row);
        if m == 0 {
            section.figure("processbench_average", 100.0 * found.average.estimate);
        }
    }
    section.tables.push(table);
    if let Some(name) = methods.iter().find_map(|m| if let Threshold::BestOn(n) = m.2 { Some(n) } else { None }) {
        section
            .notes
            .push(format!("Thresholds chosen on {name} are chosen on its labels: its own F1 is an upper bound, the others' are not."));
    }
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{candidate, reading};
    use super::*;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };

    fn trace(first_error: Option<usize>, rewards: &[f32]) -> ScoredTrace {
        ScoredTrace::new("", vec![candidate(first_error, rewards)])
    }

    #[test]
    fn the_average_is_unweighted_and_the_threshold_is_carried_over() {
        // On gsm8k any threshold in (1, 2] is perfect; on math it hits one of two and spares two of three.
        let gsm8k = [trace(Some(1), &[3.0, 1.0]), trace(None, &[2.0, 2.5])];
        let math =
            [trace(Some(0), &[1.5, 9.0]), trace(Some(1), &[5.0, 4.0]), trace(None, &[9.0]), trace(None, &[8.0]), trace(None, &[0.0])];
        let subsets: [Subset<'_>; 2] = [("gsm8k", &gsm8k), ("math", &math)];
        let found = process_bench(&reading(), &subsets, Threshold::BestOn("gsm8k"), OPTIONS).unwrap();
        assert_eq!(found.threshold, 2.0);
        assert_eq!(found.subsets[0].f1.estimate, 1.0);
        // 2 · ½ · ⅔ / (½ + ⅔) = 4/7.
        assert!((found.subsets[1].f1.estimate - 4.0 / 7.0).abs() < 1e-12);
        assert!((found.average.estimate - (1.0 + 4.0 / 7.0) / 2.0).abs() < 1e-12 && found.average.low < found.average.estimate);
        let fixed = process_bench(&reading(), &subsets, Threshold::Fixed(0.5), OPTIONS).unwrap();
        assert_eq!(fixed.average.estimate, 0.0);
        let unknown = process_bench(&reading(), &subsets, Threshold::BestOn("omnimath"), OPTIONS).unwrap_err().to_string();
        assert!(unknown.contains("omnimath") && unknown.contains("gsm8k, math"), "{unknown}");
        assert!(process_bench(&reading(), &[], Threshold::Fixed(0.0), OPTIONS).is_err());
        let columns = subsets[0].1[0].candidates[0].columns();
        let methods = [("reward".into(), &columns[0], Threshold::BestOn("gsm8k")), ("entropy".into(), &columns[1], Threshold::Fixed(0.5))];
        let section = section(&methods, &subsets, OPTIONS).unwrap();
        assert_eq!(section.tables[0].rows[3][2], Cell::Number(-0.5), "an entropy is shown in its own unit");
        assert_eq!(section.tables[0].rows.len(), 6);
        assert_eq!(section.figures["processbench_gsm8k"], 100.0);
        assert!(section.tables[0].rows.iter().all(|r| r.len() == 8) && section.notes[0].contains("gsm8k"));
    }
}

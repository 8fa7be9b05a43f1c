//! pass@k, and what the samples are like.

use super::{Options, sizes};
use crate::eval::metrics::passk;
use crate::eval::parts::section::Section;
use crate::eval::parts::{Cell, Table};
use crate::eval::stats::resample::Resampled;
use crate::eval::stats::{Bootstrap, Interval, bootstrap_mean};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};

/// pass@k, and what the samples are like.
///
/// # Errors
/// As [`super::evaluate`].
pub fn pass(traces: &[ScoredTrace], options: &Options) -> Result<Section, EvalError> {
    let sizes = sizes(options)?;
    let mut section = Section::default();
    let names: Vec<String> = sizes.iter().map(|n| format!("k={n}")).collect();
    let columns: Vec<&str> = [""].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut table = Table::new("pass@k, unbiased", &columns);
    let values = sizes.iter().map(|k| passk::per_problem(traces, *k)).collect::<Result<Vec<_>, _>>()?;
    let drawn = Resampled::of(&values.iter().map(Vec::as_slice).collect::<Vec<_>>(), options.bootstrap)?;
    let at: Vec<Interval> = (0..sizes.len()).map(|k| drawn.interval(|s| s[k] / traces.len() as f64)).collect();
    for (name, of) in [("pass_1", sizes.iter().position(|k| *k == 1)), ("pass_n", sizes.len().checked_sub(1))] {
        section.figure(name, of.map_or(f64::NAN, |k| 100.0 * at[k].estimate));
    }
    table.rows.push([Cell::Text("policy".into())].into_iter().chain(at.into_iter().map(Cell::Interval)).collect());
    section.tables.extend([table, samples(traces, options.bootstrap)?]);
    Ok(section)
}

/// What the samples are like: share right, with an answer at all, agreeing with the most frequent answer of their problem; and their length. Problems are
/// resampled.
///
/// # Errors
/// As [`bootstrap_mean`].
fn samples(traces: &[ScoredTrace], options: Bootstrap) -> Result<Table, EvalError> {
    let mut table = Table::new("The samples", &["what", "share, or mean"]);
    let share = |f: &dyn Fn(&ScoredTrace, &ScoredCandidate) -> bool| -> Vec<f64> {
        let of = |t: &ScoredTrace| t.candidates.iter().filter(|c| f(t, c)).count() as f64 / t.candidates.len().max(1) as f64;
        traces.iter().map(of).collect()
    };
    let mut row = |name: &str, values: Vec<f64>| -> Result<(), EvalError> {
        table.rows.push(vec![Cell::Text(name.into()), Cell::Interval(bootstrap_mean(&values, options)?)]);
        Ok(())
    };
    row("right", share(&|_, c| c.correct))?;
    // Programs have no answers to agree on.
    let answers = traces.iter().flat_map(|t| &t.candidates).any(|c| c.answer.is_some());
    if answers {
        row("with an answer", share(&|_, c| c.answer.is_some()))?;
    }
    let agree = traces.iter().map(|t| {
        let most = t.ballot().votes(|_| Some(1.0)).first().map_or(0, |vote| vote.candidates.len());
        most as f64 / t.candidates.len().max(1) as f64
    });
    if answers {
        row("with the most frequent answer of their problem", agree.collect())?;
    }
    let all: Vec<f64> = traces.iter().flat_map(|t| &t.candidates).map(|c| c.length() as f64).collect();
    let unit = if traces.iter().flat_map(|t| &t.candidates).any(|c| c.n_tokens > 0) { "tokens" } else { "steps" };
    table.rows.push(vec![Cell::Text(format!("mean {unit}")), Cell::Number(all.iter().sum::<f64>() / all.len().max(1) as f64)]);
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_by_hand() {
        let of = |answer: Option<&str>, correct| ScoredCandidate {
            answer: answer.map(Into::into),
            correct,
            n_tokens: 3,
            ..ScoredCandidate::default()
        };
        let candidates = vec![of(Some("1"), false), of(Some("1"), false), of(Some("2"), true), of(None, false)];
        let table = samples(&[ScoredTrace::new("p", candidates)], Bootstrap::default()).unwrap();
        let cells: Vec<String> = table.rows.iter().map(|r| r[1].text()).collect();
        assert_eq!(cells, ["25.0 [25.0, 25.0]", "75.0 [75.0, 75.0]", "50.0 [50.0, 50.0]", "3.000"]);
    }
}

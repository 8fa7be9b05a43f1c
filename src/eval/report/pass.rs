//! pass@k, and what the samples are like.

use super::{Options, sizes};
use crate::eval::metrics::passk;
use crate::eval::parts::section::Section;
use crate::eval::parts::{Cell, Table};
use crate::eval::stats::resample::Resampled;
use crate::eval::stats::{Bootstrap, Interval, bootstrap_mean};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};

/// Name of a way to read answers, and whether a candidate is right by it.
type AnswerReading = (&'static str, fn(&ScoredCandidate) -> bool);

/// How candidates are found right: as they were graded, and by either reading of their texts.
const READINGS: [AnswerReading; 3] =
    [("policy", |c| c.correct), ("strict-match", |c| c.strict == Some(true)), ("flexible-extract", |c| c.flexible == Some(true))];

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
    let known = traces.iter().flat_map(|t| &t.candidates).any(|c| c.strict.is_some());
    for (at, (name, right)) in READINGS.iter().take(if known { READINGS.len() } else { 1 }).enumerate() {
        let values = sizes.iter().map(|k| passk::per_problem(traces, *k, right)).collect::<Result<Vec<_>, _>>()?;
        let drawn = Resampled::of(&values.iter().map(Vec::as_slice).collect::<Vec<_>>(), options.bootstrap)?;
        let shares: Vec<Interval> = (0..sizes.len()).map(|k| drawn.interval(|s| s[k] / traces.len() as f64)).collect();
        if at == 0 {
            for (name, of) in [("pass_1", sizes.iter().position(|k| *k == 1)), ("pass_n", sizes.len().checked_sub(1))] {
                section.figure(name, of.map_or(f64::NAN, |k| 100.0 * shares[k].estimate));
            }
        }
        table.rows.push([Cell::Text((*name).into())].into_iter().chain(shares.into_iter().map(Cell::Interval)).collect());
    }
    if known {
        section.notes.push(
            "strict-match: the answer that a text marks; flexible-extract: else its last number or option letter (names of lm-evaluation-harness).".into(),
        );
    }
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
    let any = |f: fn(&ScoredCandidate) -> bool| traces.iter().flat_map(|t| &t.candidates).any(f);
    row("right", share(&|_, c| c.correct))?;
    if any(|c| c.strict.is_some()) {
        row("right, strict-match", share(&|_, c| c.strict == Some(true)))?;
        row("right, flexible-extract", share(&|_, c| c.flexible == Some(true)))?;
    }
    if any(|c| c.unknown) {
        row("unknown, counted as wrong", share(&|_, c| c.unknown))?;
    }
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

    #[test]
    fn strict_and_flexible_stand_beside_each_other_where_texts_were_read() {
        let of =
            |strict, flexible, unknown| ScoredCandidate { strict, flexible, unknown, correct: strict == Some(true), ..Default::default() };
        let candidates = vec![
            of(Some(true), Some(true), false),
            of(Some(false), Some(true), false),
            of(None, None, true),
            of(Some(false), Some(false), false),
        ];
        let traces = [ScoredTrace::new("p", candidates)];
        let options = Options { sizes: vec![1], ..Options::default() };
        let section = pass(&traces, &options).unwrap();
        let cells = |table: &Table| table.rows.iter().map(|r| format!("{} {}", r[0].text(), r[1].text())).collect::<Vec<_>>();
        assert_eq!(
            cells(&section.tables[0]),
            ["policy 25.0 [25.0, 25.0]", "strict-match 25.0 [25.0, 25.0]", "flexible-extract 50.0 [50.0, 50.0]"]
        );
        let samples = cells(&section.tables[1]);
        assert!(samples.contains(&"unknown, counted as wrong 25.0 [25.0, 25.0]".into()), "{samples:?}");
        assert!(samples.contains(&"right, flexible-extract 50.0 [50.0, 50.0]".into()), "{samples:?}");
    }
}

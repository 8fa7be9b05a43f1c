//! What the reward says of single candidates: discrimination, correlation with the outcome, calibration.

use super::{Options, figures};
use crate::eval::columns::columns;
use crate::eval::metrics::methods::{mean_logprob, other_scores};
use crate::eval::metrics::{calibrate, roc};
use crate::eval::parts::section::{Section, by_problem, numbers};
use crate::eval::parts::table::{Cell, Table};
use crate::eval::stats::correlate::Observations;
use crate::eval::stats::resample::affordable;
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};

/// What the main method's score says of single candidates: discrimination, correlation, calibration. Empty where no signal is the main method's.
///
/// # Errors
/// As [`super::evaluate`].
pub fn candidates(traces: &[ScoredTrace], options: &Options) -> Result<Section, EvalError> {
    let main = options.main(traces);
    let columns = columns(traces);
    let Some(main) = main.score().filter(|s| columns.iter().any(|c| c.reading == s.reading)) else { return Ok(Section::default()) };
    let reward = |c: &ScoredCandidate| figures::score(main, c);
    let others = other_scores(&columns, Some(&main.reading), options.aggregation, &options.calibration);
    let (mut titles, mut scores) = (vec![main.to_string()], vec![by_problem(traces, |c| Some((reward(c)?, c.correct)))]);
    for other in others {
        scores.push(by_problem(traces, |c| Some((f64::from(other.of(c)?), c.correct))));
        titles.push(other.to_string());
    }
    scores.push(by_problem(traces, |c| Some((-(c.length() as f64), c.correct))));
    titles.push("length, negated".into());
    if scores[0].iter().all(Vec::is_empty) {
        return Ok(Section::default());
    }
    let named: Vec<roc::Score<'_>> = titles.iter().map(String::as_str).zip(scores).collect();
    let mut all = roc::section(&named, options.bootstrap)?;
    all.charts.extend(figures::histogram(main, traces));
    // Where some candidates have log-probabilities, those that have none are left out of all four.
    let mean_logprob = mean_logprob();
    let logprobs = columns.iter().any(|c| c.reading == mean_logprob.reading) && *main != mean_logprob;
    let observed = by_problem(traces, |c| {
        let logprob = if logprobs { f64::from(mean_logprob.of(c)?) } else { 0.0 };
        Some([reward(c)?, f64::from(u8::from(c.correct)), c.length() as f64, logprob])
    });
    let observed = Observations::new(&observed);
    let fewest = affordable(options.bootstrap, 4 * observed.len()).resamples;
    if fewest < options.bootstrap.resamples {
        all.notes
            .push(format!("Intervals of AUROC, PR-AUC, correlations, ECE and reliability are from fewer resamples, at least {fewest}."));
    }
    let title = "Aggregated reward against outcome: Spearman's correlation";
    let mut table = Table::new(title, &["given", "candidates", "rho", "low", "high"]);
    let both = format!("length and {mean_logprob}");
    let name = mean_logprob.to_string();
    let all_given: [(&str, &[usize]); 4] = [("nothing", &[]), ("length", &[2]), (&name, &[3]), (&both, &[2, 3])];
    let (names, given): (Vec<&str>, Vec<&[usize]>) = all_given.into_iter().filter(|g| logprobs || !g.1.contains(&3)).unzip();
    let found = observed.partial_spearman(&given, options.bootstrap)?;
    for ((name, given), rho) in names.into_iter().zip(given).zip(found) {
        if given.len() == 2 {
            all.figure("partial_correlation", rho.estimate);
        }
        table.rows.push([Cell::Text(name.into()), Cell::Count(observed.len())].into_iter().chain(numbers(rho)).collect());
    }
    all.tables.push(table);
    let chance = |c: &ScoredCandidate| Some((f64::from(main.weight(c)?), c.correct));
    let calibration = calibrate::section(&by_problem(traces, chance), options.bootstrap)?;
    Ok(all.followed_by(calibration))
}

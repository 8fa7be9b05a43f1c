//! What the reward says of single candidates: discrimination, correlation with the outcome, calibration.

use super::{Options, main_aggregation};
use crate::eval::correlate::Observations;
use crate::eval::section::{Section, affordable, by_problem, numbers};
use crate::eval::table::{Cell, Table};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace, calibrate, figures, roc};
use crate::trace::vote_weight;

/// What the main method's aggregated reward says of single candidates: discrimination, correlation, calibration. Empty without rewards.
///
/// # Errors
/// As [`super::evaluate`].
pub fn candidates(traces: &[ScoredTrace], options: &Options) -> Result<Section, EvalError> {
    let aggregation = main_aggregation(options.main);
    let reward = |c: &ScoredCandidate| figures::reward(aggregation, c);
    let mean = |sum: Option<f32>, c: &ScoredCandidate| sum.filter(|_| c.n_tokens > 0).map(|s| f64::from(s) / c.n_tokens as f64);
    let scores = [
        ("reward", by_problem(traces, |c| Some((reward(c)?, c.correct)))),
        ("log-prob mean", by_problem(traces, |c| Some((mean(c.logprob_sum, c)?, c.correct)))),
        ("critic log-prob mean", by_problem(traces, |c| Some((mean(c.critic_logprob_sum, c)?, c.correct)))),
        ("entropy mean, negated", by_problem(traces, |c| Some((-f64::from(c.entropy_mean?), c.correct)))),
        ("length, negated", by_problem(traces, |c| Some((-(c.length() as f64), c.correct)))),
    ];
    if scores[0].1.iter().all(Vec::is_empty) {
        return Ok(Section::default());
    }
    let mut all = roc::section(&scores, options.bootstrap)?;
    all.charts.extend(figures::histogram(aggregation, traces));
    // Where some candidates have log-probabilities, those that have none are left out of all four.
    let logprobs = scores[1].1.iter().any(|c| !c.is_empty());
    let observed = by_problem(traces, |c| {
        let logprob = if logprobs { mean(c.logprob_sum, c)? } else { 0.0 };
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
    let all_given: [(&str, &[usize]); 4] =
        [("nothing", &[]), ("length", &[2]), ("log-prob mean", &[3]), ("length and log-prob mean", &[2, 3])];
    let (names, given): (Vec<&str>, Vec<&[usize]>) = all_given.into_iter().filter(|g| logprobs || !g.1.contains(&3)).unzip();
    let found = observed.partial_spearman(&given, options.bootstrap)?;
    for ((name, given), rho) in names.into_iter().zip(given).zip(found) {
        if given.len() == 2 {
            all.figure("partial_correlation", rho.estimate);
        }
        table.rows.push([Cell::Text(name.into()), Cell::Count(observed.len())].into_iter().chain(numbers(rho)).collect());
    }
    all.tables.push(table);
    let right = |c: &ScoredCandidate| Some((f64::from(vote_weight(aggregation, reward(c)? as f32)), c.correct));
    let calibration = calibrate::section(&by_problem(traces, right), options.bootstrap)?;
    Ok(all.followed_by(calibration))
}

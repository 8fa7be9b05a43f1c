//! Best of N, and what the main method gains over the others.

use super::{Options, main_aggregation, sizes};
use crate::eval::effect::{cohens_h, size_notes};
use crate::eval::rerank::{self, Method, Point};
use crate::eval::resample::Resampled;
use crate::eval::section::{Section, numbers};
use crate::eval::stats::{Paired, discordant, holm, mcnemar};
use crate::eval::table::{Cell, Table};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace, figures};
use crate::trace::Aggregation;

/// What the candidates have the scores for; one aggregation where they have rewards of the whole alone.
fn methods(traces: &[ScoredTrace], main: Method) -> Vec<Method> {
    let any = |f: fn(&ScoredCandidate) -> bool| traces.iter().flat_map(|t| &t.candidates).any(f);
    let (rewards, steps) = (any(ScoredCandidate::has_reward), any(|c| c.step_rewards.iter().any(Option::is_some)));
    let (logprobs, answers) = (any(|c| c.logprob_sum.is_some()), any(|c| c.answer.is_some()));
    let critic = any(|c| c.critic_logprob_sum.is_some());
    let aggregated = |a: Aggregation| rewards && (steps || a == main_aggregation(main));
    let usable = |m: &Method| match *m {
        Method::Reward(a) => aggregated(a),
        Method::WeightedMajority(a) => aggregated(a) && answers,
        Method::Majority => answers,
        Method::LogProbSum | Method::LogProbMean => logprobs,
        Method::Greedy => traces.iter().all(|t| t.greedy.is_some()),
        Method::EntropyMean => any(|c| c.entropy_mean.is_some()),
        Method::CriticLogProbSum | Method::CriticLogProbMean => critic,
        _ => true,
    };
    Method::all().into_iter().filter(usable).collect()
}

/// Best of N, and the main method's gains at the largest N.
///
/// # Errors
/// As [`super::evaluate`].
pub fn reranking(traces: &[ScoredTrace], options: &Options) -> Result<Section, EvalError> {
    let sizes = sizes(options)?;
    let methods = methods(traces, options.main);
    let points = rerank::curve(traces, &methods, &sizes, options.bootstrap)?;
    let names: Vec<String> = sizes.iter().map(|n| format!("N={n}")).collect();
    let columns: Vec<&str> = ["method"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut table = Table::new("Best of N: share of problems whose pick is right", &columns);
    for of in points.chunks(sizes.len()) {
        let cells = of.iter().map(|p| Cell::Interval(p.accuracy));
        table.rows.push([Cell::Text(of[0].method.name())].into_iter().chain(cells).collect());
    }
    let at_largest: Vec<Point> = points.chunks(sizes.len()).filter_map(|of| of.last().cloned()).collect();
    // Without the scores that it picks by, the main method is none.
    let gains = match methods.contains(&options.main) {
        true => gains(traces, &at_largest, &methods, options)?,
        false => Gains::default(),
    };
    let aggregation = main_aggregation(options.main);
    let mut section = figures::reranking(options.main, aggregation, &points, &gains.of);
    section.charts.push(figures::best_of_n(options.main, aggregation, &points));
    section.tables.push(table);
    section.tables.extend(gains.table);
    if sizes.len() > 1 {
        let what =
            "random and oracle are exact, and the others are means over all subsets, or over some at random where there are more than 32";
        section.notes.push(format!("Below all candidates: {what}."));
    }
    section.notes.extend(gains.notes);
    Ok(section)
}

/// The gains of the main method, and what to say of the number of problems.
#[derive(Default)]
struct Gains {
    table: Option<Table>,
    of: Vec<(Method, Paired)>,
    notes: Vec<String>,
}

/// The main method against every baseline at the largest N.
fn gains(traces: &[ScoredTrace], points: &[Point], methods: &[Method], options: &Options) -> Result<Gains, EvalError> {
    let n = points.first().map_or(0, |p| p.n);
    let title = format!("Gain of {} at N={n}, percentage points", options.main.name());
    let mut table = Table::new(&title, &["against", "gain", "Cohen's h", "h low", "h high", "p (bootstrap)", "p (Holm)", "p (McNemar)"]);
    let main = rerank::per_problem(options.main, traces, n)?;
    let rival = |m: &&Method| **m != options.main && !matches!(m, Method::Reward(_) | Method::Oracle);
    let baselines: Vec<Method> = methods.iter().filter(rival).copied().collect();
    let others = baselines.iter().map(|m| rerank::per_problem(*m, traces, n)).collect::<Result<Vec<_>, _>>()?;
    let columns: Vec<&[f64]> = [&main].into_iter().chain(&others).map(Vec::as_slice).collect();
    let drawn = Resampled::of(&columns, options.bootstrap)?;
    let tests: Vec<Paired> = (1..columns.len()).map(|k| drawn.paired(|s| (s[0] - s[k]) / traces.len() as f64)).collect();
    let adjusted = holm(&tests.iter().map(|t| t.p).collect::<Vec<_>>());
    let share = |sum: f64| sum / traces.len() as f64;
    for (k, (((method, other), test), adjusted)) in baselines.iter().zip(&others).zip(&tests).zip(adjusted).enumerate() {
        // McNemar needs one yes or no a problem: not an expectation, not an average over blocks.
        let whole = |v: &[f64]| v.iter().all(|x| *x == 0.0 || *x == 1.0);
        let exact = (whole(&main) && whole(other) && *method != Method::Random).then(|| {
            let solved = |v: &[f64]| v.iter().map(|x| *x == 1.0).collect::<Vec<_>>();
            let (first, second) = discordant(&solved(&main), &solved(other));
            mcnemar(first, second)
        });
        let effect = numbers(drawn.interval(|s| cohens_h(share(s[0]), share(s[k + 1]))));
        let p = [Cell::P(test.p), Cell::P(adjusted), exact.map_or(Cell::Empty, Cell::P)];
        table.rows.push([Cell::Text(method.name()), Cell::Interval(test.difference)].into_iter().chain(effect).chain(p).collect());
    }
    let sized = points.iter().filter(|p| p.method == options.main || p.method == Method::Random).map(|p| p.accuracy).collect::<Vec<_>>();
    // The hardest rival to tell apart that needs no model, where there is one.
    let against = baselines.iter().position(|m| *m == Method::Majority).or_else(|| baselines.iter().position(|m| *m == Method::Random));
    let notes = against.map_or_else(Vec::new, |k| size_notes(&main, &others[k], &baselines[k].name(), &sized, options.bootstrap.level));
    Ok(Gains { table: Some(table), of: baselines.into_iter().zip(tests).collect(), notes })
}

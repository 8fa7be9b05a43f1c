//! Best of N, what the main method gains over the others, and the best reading of every signal.

use super::{Options, figures, sizes};
use crate::eval::columns::columns;
use crate::eval::metrics::methods::{all_scores, methods};
use crate::eval::metrics::rerank::{Method, Point, per_problem_at, points};
use crate::eval::metrics::score::Score;
use crate::eval::parts::section::{Section, numbers};
use crate::eval::parts::table::{Cell, Table};
use crate::eval::stats::effect::{cohens_h, size_notes};
use crate::eval::stats::resample::{FOLDS, Resampled, affordable, folds};
use crate::eval::stats::{Paired, discordant, holm, mcnemar};
use crate::eval::{EvalError, ScoredTrace};

/// Best of N, the main method's gains at the largest N, and every signal with the reading that is chosen for it.
///
/// # Errors
/// As [`super::evaluate`].
pub fn reranking(traces: &[ScoredTrace], options: &Options) -> Result<Section, EvalError> {
    let sizes = sizes(options)?;
    let main = options.main(traces);
    let (methods, columns) = listed(traces, &main, &sizes, options)?;
    let points = points(&methods, &sizes, &columns, options.bootstrap)?;
    let names: Vec<String> = sizes.iter().map(|n| format!("N={n}")).collect();
    let heads: Vec<&str> = ["method"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut table = Table::new("Best of N: share of problems whose pick is right", &heads);
    for of in points.chunks(sizes.len()) {
        let cells = of.iter().map(|p| Cell::Interval(p.accuracy));
        table.rows.push([Cell::Text(of[0].method.name())].into_iter().chain(cells).collect());
    }
    let largest: Vec<&Vec<f64>> = columns.chunks(sizes.len()).filter_map(<[Vec<f64>]>::last).collect();
    // Without the scores that it picks by, the main method is none.
    let gains = match methods.iter().position(|m| *m == main) {
        Some(at) => gains(at, &methods, &largest, &points, options)?,
        None => Gains::default(),
    };
    let mut section = figures::reranking(&main, &points, &gains.of);
    section.charts.push(figures::best_of_n(&main, &points));
    section.tables.push(table);
    section.tables.extend(gains.table);
    if sizes.len() > 1 {
        let what =
            "random and oracle are exact, and the others are means over all subsets, or over some at random where there are more than 32";
        section.notes.push(format!("Below all candidates: {what}."));
    }
    section.notes.extend(gains.notes);
    Ok(section.followed_by(chosen(traces, sizes.last().copied().unwrap_or(1), options)?))
}

/// The methods, with their columns at every size; a weighted vote that picks like a vote before it in every problem is left out.
fn listed(traces: &[ScoredTrace], main: &Method, sizes: &[usize], options: &Options) -> Result<(Vec<Method>, Vec<Vec<f64>>), EvalError> {
    let all = methods(traces, main, &options.calibration);
    let columns = per_problem_at(&all, traces, sizes)?;
    let (mut out, mut kept): (Vec<Method>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
    for (method, of) in all.into_iter().zip(columns.chunks(sizes.len())) {
        let votes = |m: &Method| matches!(m, Method::Majority | Method::WeightedMajority(_));
        let mut before = out.iter().zip(kept.chunks(sizes.len()));
        if matches!(method, Method::WeightedMajority(_)) && before.any(|(m, columns)| votes(m) && columns == of) {
            continue;
        }
        out.push(method);
        kept.extend_from_slice(of);
    }
    Ok((out, kept))
}

/// The gains of the main method, and what to say of the number of problems.
#[derive(Default)]
struct Gains {
    table: Option<Table>,
    of: Vec<(Method, Paired)>,
    notes: Vec<String>,
}

/// The main method against every method at the largest N that is no other reading of its own signal.
fn gains(at: usize, methods: &[Method], columns: &[&Vec<f64>], points: &[Point], options: &Options) -> Result<Gains, EvalError> {
    let (main, problems) = (&methods[at], columns[at].len());
    let n = points.iter().map(|p| p.n).max().unwrap_or(0);
    let title = format!("Gain of {} at N={n}, percentage points", main.name());
    let mut table = Table::new(&title, &["against", "gain", "Cohen's h", "h low", "h high", "p (bootstrap)", "p (Holm)", "p (McNemar)"]);
    let own = |m: &Method| match (m, main) {
        (Method::Best(a), Method::Best(b)) => a.reading.signal == b.reading.signal,
        _ => m == main,
    };
    let rivals: Vec<usize> = (0..methods.len()).filter(|&k| !own(&methods[k]) && methods[k] != Method::Oracle).collect();
    let compared: Vec<&[f64]> = [columns[at].as_slice()].into_iter().chain(rivals.iter().map(|&k| columns[k].as_slice())).collect();
    let drawn = Resampled::of(&compared, options.bootstrap)?;
    let share = |sum: f64| sum / problems as f64;
    let tests: Vec<Paired> = (1..compared.len()).map(|k| drawn.paired(|s| share(s[0] - s[k]))).collect();
    let adjusted = holm(&tests.iter().map(|t| t.p).collect::<Vec<_>>());
    for (k, ((&rival, test), adjusted)) in rivals.iter().zip(&tests).zip(adjusted).enumerate() {
        // McNemar needs one yes or no a problem: not an expectation, not an average over blocks.
        let whole = |v: &[f64]| v.iter().all(|x| *x == 0.0 || *x == 1.0);
        let exact = (whole(compared[0]) && whole(compared[k + 1]) && methods[rival] != Method::Random).then(|| {
            let solved = |v: &[f64]| v.iter().map(|x| *x == 1.0).collect::<Vec<_>>();
            let (first, second) = discordant(&solved(compared[0]), &solved(compared[k + 1]));
            mcnemar(first, second)
        });
        let effect = numbers(drawn.interval(|s| cohens_h(share(s[0]), share(s[k + 1]))));
        let p = [Cell::P(test.p), Cell::P(adjusted), exact.map_or(Cell::Empty, Cell::P)];
        table.rows.push([Cell::Text(methods[rival].name()), Cell::Interval(test.difference)].into_iter().chain(effect).chain(p).collect());
    }
    let sized: Vec<_> =
        points.iter().filter(|p| p.n == n && (p.method == *main || p.method == Method::Random)).map(|p| p.accuracy).collect();
    // The hardest rival to tell apart that needs no model, where there is one.
    let place = |m: Method| rivals.iter().position(|&k| methods[k] == m);
    let against = place(Method::Majority).or_else(|| place(Method::Random));
    let notes = against
        .map_or_else(Vec::new, |k| size_notes(compared[0], compared[k + 1], &methods[rivals[k]].name(), &sized, options.bootstrap.level));
    Ok(Gains { table: Some(table), of: rivals.iter().map(|&k| methods[k].clone()).zip(tests).collect(), notes })
}

/// Every signal with the reading and aggregation that do best, chosen on other problems than they are judged on; and, where everything is asked for, all.
fn chosen(traces: &[ScoredTrace], n: usize, options: &Options) -> Result<Section, EvalError> {
    let mut section = Section::default();
    let families = all_scores(&columns(traces), traces);
    if families.is_empty() || n < 2 {
        return Ok(section);
    }
    let methods: Vec<Method> = families.iter().flat_map(|f| &f.1).cloned().map(Method::Best).collect();
    let columns = per_problem_at(&methods, traces, &[n])?;
    let fold = folds(traces.len(), FOLDS, options.bootstrap.seed);
    let share = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let title = format!("Best of {n} by every signal: reading and aggregation chosen by cross-validation");
    let mut table = Table::new(&title, &["signal", "chosen", "cross-validated", "best on these labels"]);
    let title = format!("Best of {n} by every reading of every signal");
    let mut full = Table::new(&title, &["signal", "method", "share right"]);
    let (mut rows, mut judged, mut at) = (Vec::new(), Vec::new(), 0);
    for (name, scores) in &families {
        let own = &columns[at..at + scores.len()];
        at += scores.len();
        let best = first_best(scores.len(), |k| share(&own[k]));
        let outside = |f: usize, k: usize| own[k].iter().zip(&fold).filter(|(_, of)| **of != f).map(|(x, _)| *x).sum::<f64>();
        let picks: Vec<usize> = (0..FOLDS).map(|f| first_best(scores.len(), |k| outside(f, k))).collect();
        let held_out: Vec<f64> = fold.iter().enumerate().map(|(i, &f)| own[picks[f]][i]).collect();
        rows.push((name, &scores[best]));
        judged.extend([held_out, own[best].clone()]);
        full.rows.extend(scores.iter().zip(own).map(|(score, values)| row(name, score, share(values))));
    }
    let affordable = affordable(options.bootstrap, judged.len() * traces.len() / 8);
    let drawn = Resampled::of(&judged.iter().map(Vec::as_slice).collect::<Vec<_>>(), affordable)?;
    for (k, (name, score)) in rows.into_iter().enumerate() {
        let of = |column: usize| Cell::Interval(drawn.interval(|s| s[column] / traces.len() as f64));
        table.rows.push(vec![Cell::Text(name.clone()), Cell::Text(score.to_string()), of(2 * k), of(2 * k + 1)]);
    }
    section.tables.push(table);
    section.tables.extend(options.full.then_some(full));
    section.notes.push(format!(
        "Cross-validated: for each fifth of the problems (drawn by seed {}) the reading and aggregation that do best on the other four; named is what does best on all.",
        options.bootstrap.seed
    ));
    Ok(section)
}

fn row(name: &str, score: &Score, share: f64) -> Vec<Cell> {
    vec![Cell::Text(name.to_owned()), Cell::Text(score.to_string()), Cell::Share(share)]
}

/// The first of the highest.
fn first_best(n: usize, value: impl Fn(usize) -> f64) -> usize {
    (0..n).reduce(|a, b| if value(b) > value(a) { b } else { a }).unwrap_or(0)
}

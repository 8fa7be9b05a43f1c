//! Two evaluated runs side by side, paired by problem: accuracy of every method, localisation, with tests of the differences.

use super::chart::{Chart, ChartKind, Line};
use super::effect::cohens_h;
use super::localise::{self, Comparison, Counts, Marker, Signal};
use super::report::{Cell, Report, Table};
use super::rerank::{self, Method};
use super::resample::Resampled;
use super::stats::{Bootstrap, Interval, Paired, discordant, holm, mcnemar};
use super::{EvalError, ScoredCandidate, ScoredTrace};
use crate::trace::{Aggregation, Calibration};
use std::collections::{BTreeMap, HashMap};

pub use super::folder::read;

/// Fewer problems than this are called few: percentile intervals are too narrow there.
const FEW: usize = 50;

/// How two runs are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What the two runs are called.
    pub names: [String; 2],
    /// Candidates to pick from; `None`: as many as every problem of both runs has.
    pub n: Option<usize>,
    /// Compare on the problems that both runs hold where each also holds others; without it that is refused.
    pub shared_only: bool,
    /// Thresholds of each run, fixed beforehand.
    pub calibrations: [Calibration; 2],
    /// The same for the combined detector.
    pub combined_thresholds: [Option<f32>; 2],
    /// The method that is drawn against N.
    pub main: Method,
    /// How to resample.
    pub bootstrap: Bootstrap,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            names: ["first".into(), "second".into()],
            n: None,
            shared_only: false,
            calibrations: Default::default(),
            combined_thresholds: [None; 2],
            main: Method::Reward(Aggregation::Mean),
            bootstrap: Bootstrap::default(),
        }
    }
}

/// The same problems of both runs in the first one's order, and how many only one of them holds.
struct Pairs {
    a: Vec<ScoredTrace>,
    b: Vec<ScoredTrace>,
    alone: [usize; 2],
}

fn pair(a: &[ScoredTrace], b: &[ScoredTrace], options: &Options) -> Result<Pairs, EvalError> {
    fn by_id<'a>(traces: &'a [ScoredTrace], name: &str) -> Result<HashMap<&'a str, &'a ScoredTrace>, EvalError> {
        let mut map = HashMap::with_capacity(traces.len());
        for trace in traces {
            if map.insert(trace.id.as_str(), trace).is_some() {
                return Err(EvalError::Input(format!("{name} holds problem {} twice; problems are paired by id", trace.id)));
            }
        }
        Ok(map)
    }
    let (in_a, in_b) = (by_id(a, &options.names[0])?, by_id(b, &options.names[1])?);
    let only_a: Vec<&str> = a.iter().map(|t| t.id.as_str()).filter(|id| !in_b.contains_key(id)).collect();
    let only_b: Vec<&str> = b.iter().map(|t| t.id.as_str()).filter(|id| !in_a.contains_key(id)).collect();
    let (first, second): (Vec<ScoredTrace>, Vec<ScoredTrace>) =
        a.iter().filter_map(|t| Some((t.clone(), (*in_b.get(t.id.as_str())?).clone()))).unzip();
    let apart = [(&only_a, &options.names[0]), (&only_b, &options.names[1])]
        .into_iter()
        .filter(|(ids, _)| !ids.is_empty())
        .map(|(ids, name)| {
            let more = if ids.len() > 3 { ", …" } else { "" };
            format!("{} only in {name} ({}{more})", ids.len(), ids.iter().take(3).copied().collect::<Vec<_>>().join(", "))
        })
        .collect::<Vec<_>>()
        .join(", ");
    if first.is_empty() {
        return Err(EvalError::Empty(if apart.is_empty() { "no problems".into() } else { format!("the runs share no problem: {apart}") }));
    }
    if !apart.is_empty() && !options.shared_only {
        return Err(EvalError::Input(format!(
            "the runs hold different problems: {apart}; {} are shared. Ask for the shared ones alone, or evaluate both on the same",
            first.len()
        )));
    }
    Ok(Pairs { a: first, b: second, alone: [only_a.len(), only_b.len()] })
}

/// The candidates that every problem of both runs has at least.
fn common_n(pairs: &Pairs, asked: Option<usize>) -> Result<usize, EvalError> {
    let least = pairs.a.iter().chain(&pairs.b).min_by_key(|t| t.candidates.len());
    let Some(least) = least else { return Err(EvalError::Empty("no problems".into())) };
    match (least.candidates.len(), asked) {
        (0, _) => Err(EvalError::Input(format!("problem {} has no candidates in one of the runs", least.id))),
        (n, Some(asked)) if asked == 0 || asked > n => {
            Err(EvalError::Input(format!("best-of-{asked}, but problem {} has {n} candidates in one of the runs", least.id)))
        }
        (n, asked) => Ok(asked.unwrap_or(n)),
    }
}

/// Methods that both runs have scores for.
fn methods(pairs: &Pairs) -> Vec<Method> {
    let in_both = |f: &dyn Fn(&ScoredCandidate) -> bool| [&pairs.a, &pairs.b].iter().all(|r| r.iter().flat_map(|t| &t.candidates).any(f));
    let rewards = in_both(&ScoredCandidate::has_reward);
    let answers = in_both(&|c| c.answer.is_some());
    let usable = |m: &Method| match m {
        Method::LogProbSum | Method::LogProbMean => in_both(&|c| c.logprob_sum.is_some()),
        Method::Greedy => pairs.a.iter().chain(&pairs.b).all(|t| t.greedy.is_some()),
        Method::EntropyMean => in_both(&|c| c.entropy_mean.is_some()),
        Method::CriticLogProbSum | Method::CriticLogProbMean => in_both(&|c| c.critic_logprob_sum.is_some()),
        Method::Majority | Method::WeightedMajority(_) if !answers => false,
        m => !m.uses_reward() || rewards,
    };
    Method::all().into_iter().filter(usable).collect()
}

/// A method in both runs, one value a problem each.
struct Compared {
    method: Method,
    means: [Interval; 2],
    test: Paired,
    mcnemar: Option<f64>,
}

fn compared(pairs: &Pairs, n: usize, bootstrap: Bootstrap) -> Result<Vec<Compared>, EvalError> {
    let methods = methods(pairs);
    let mut columns = Vec::with_capacity(2 * methods.len());
    for method in &methods {
        columns.push(rerank::per_problem(*method, &pairs.a, n)?);
        columns.push(rerank::per_problem(*method, &pairs.b, n)?);
    }
    let drawn = Resampled::of(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), bootstrap)?;
    let problems = pairs.a.len() as f64;
    let one = |(k, method): (usize, Method)| {
        let (a, b) = (2 * k, 2 * k + 1);
        // McNemar needs one yes or no a problem: not an expectation, not an average over blocks.
        let whole = |v: &[f64]| v.iter().all(|x| *x == 0.0 || *x == 1.0);
        let solved = |v: &[f64]| v.iter().map(|x| *x == 1.0).collect::<Vec<_>>();
        let mcnemar = (method != Method::Random && whole(&columns[a]) && whole(&columns[b])).then(|| {
            let (only_a, only_b) = discordant(&solved(&columns[a]), &solved(&columns[b]));
            mcnemar(only_a, only_b)
        });
        let mean = |column: usize| drawn.interval(|sums| sums[column] / problems);
        Compared { method, means: [mean(a), mean(b)], test: drawn.paired(|sums| (sums[b] - sums[a]) / problems), mcnemar }
    };
    Ok(methods.into_iter().enumerate().map(one).collect())
}

fn accuracy_table(compared: &[Compared], n: usize) -> Table {
    let title = format!("Share of problems whose pick is right, best of {n}; B − A in percentage points");
    let mut table = Table::new(&title, &["method", "A", "B", "B − A", "p (bootstrap)", "p (Holm)", "p (McNemar)", "Cohen's h"]);
    let adjusted = holm(&compared.iter().map(|c| c.test.p).collect::<Vec<_>>());
    for (c, adjusted) in compared.iter().zip(adjusted) {
        table.rows.push(vec![
            Cell::Text(c.method.name()),
            Cell::Interval(c.means[0]),
            Cell::Interval(c.means[1]),
            Cell::Interval(c.test.difference),
            Cell::P(c.test.p),
            Cell::P(adjusted),
            c.mcnemar.map_or(Cell::Empty, Cell::P),
            Cell::Number(cohens_h(c.means[1].estimate, c.means[0].estimate)),
        ]);
    }
    table
}

/// A detector in both runs, with its counts a problem.
struct Located {
    name: String,
    counts: [Vec<Counts>; 2],
}

/// Detectors that both runs have; none where one of them has no labelled wrong and right candidate.
fn located(pairs: &Pairs, options: &Options) -> Vec<Located> {
    let runs = [&pairs.a, &pairs.b];
    let mut out = Vec::new();
    for signal in [Signal::Reward, Signal::LogProb, Signal::CriticLogProb, Signal::Entropy, Signal::Combined] {
        let known = |r: &&Vec<ScoredTrace>| r.iter().flat_map(|t| &t.candidates).any(|c| signal.values(c).iter().any(Option::is_some));
        if !runs.iter().all(known) {
            continue;
        }
        let fixed = |run: usize| match signal {
            Signal::Combined => options.combined_thresholds[run],
            _ => signal.threshold(&options.calibrations[run]),
        };
        // Without labels of both kinds there is no best threshold, and no F1 either.
        let best = runs.map(|r| localise::best_threshold(signal, r).map(|b| b.0));
        if best.iter().any(Option::is_none) {
            continue;
        }
        for (kind, thresholds) in [("calibrated", [fixed(0), fixed(1)]), ("best", best)] {
            let [Some(a), Some(b)] = thresholds else { continue };
            let counts = |run: &[ScoredTrace], t: f32| run.iter().map(|x| localise::counts(Marker::Below(signal, t), x)).collect();
            out.push(Located { name: format!("{}, {kind}", signal.name()), counts: [counts(&pairs.a, a), counts(&pairs.b, b)] });
        }
    }
    out
}

/// The table, and each detector's name with F1 in both runs and the test of their difference.
type F1s = Vec<(String, [Interval; 2], Paired)>;

fn localisation(located: &[Located], bootstrap: Bootstrap) -> Result<(Table, F1s), EvalError> {
    let mut table = Table::new(
        "First wrong step; B − A in percentage points",
        &[
            "method",
            "F1 of A",
            "F1 of B",
            "F1, B − A",
            "p (bootstrap)",
            "p (Holm)",
            "acc_error, B − A",
            "h (acc_error)",
            "acc_correct, B − A",
            "h (acc_correct)",
        ],
    );
    let mut f1s = F1s::new();
    let mut rest = Vec::new();
    let counts: Vec<&[Counts]> = located.iter().flat_map(|l| l.counts.each_ref().map(Vec::as_slice)).collect();
    let drawn = Comparison::new(&counts, bootstrap)?;
    for (k, l) in located.iter().enumerate() {
        let (a, b) = (2 * k, 2 * k + 1);
        let (in_a, in_b) = (drawn.summary(a), drawn.summary(b));
        let test = |statistic: fn(&Counts) -> f64| drawn.paired(b, a, statistic);
        f1s.push((l.name.clone(), [in_a.f1, in_b.f1], test(Counts::f1)));
        rest.push([
            Cell::Interval(test(Counts::acc_error).difference),
            Cell::Number(cohens_h(in_b.acc_error.estimate, in_a.acc_error.estimate)),
            Cell::Interval(test(Counts::acc_correct).difference),
            Cell::Number(cohens_h(in_b.acc_correct.estimate, in_a.acc_correct.estimate)),
        ]);
    }
    let adjusted = holm(&f1s.iter().map(|f| f.2.p).collect::<Vec<_>>());
    for (((name, f1, test), rest), adjusted) in f1s.iter().zip(rest).zip(adjusted) {
        let head = [Cell::Text(name.clone()), Cell::Interval(f1[0]), Cell::Interval(f1[1]), Cell::Interval(test.difference)];
        table.rows.push(head.into_iter().chain([Cell::P(test.p), Cell::P(adjusted)]).chain(rest).collect());
    }
    Ok((table, f1s))
}

/// Accuracy of the main method against N in both runs; `None` where there is one N alone.
fn against_n(pairs: &Pairs, n: usize, options: &Options, series: &[String; 2]) -> Result<Option<Chart>, EvalError> {
    let mut sizes: Vec<usize> = (0..).map(|k| 1 << k).take_while(|s| *s < n).collect();
    sizes.push(n);
    if sizes.len() < 2 || !methods(pairs).contains(&options.main) {
        return Ok(None);
    }
    let line = |name: &String, run: &[ScoredTrace]| {
        let points = rerank::curve(run, &[options.main], &sizes, options.bootstrap)?;
        Ok::<_, EvalError>(Line { name: name.clone(), points: points.into_iter().map(|p| (p.n as f64, p.accuracy)).collect() })
    };
    let kind = ChartKind::Lines {
        x: "candidates N".into(),
        y: "share of problems whose pick is right".into(),
        log_x: true,
        percent: true,
        series: vec![line(&series[0], &pairs.a)?, line(&series[1], &pairs.b)?],
    };
    Ok(Some(Chart { name: "compare-n".into(), title: format!("{} against the number of candidates", options.main.name()), kind }))
}

fn bars(name: &str, title: String, y: &str, groups: Vec<String>, series: Vec<(String, Vec<Option<Interval>>)>) -> Chart {
    let kind = ChartKind::Bars { x: "method".into(), y: y.into(), percent: true, groups, series };
    Chart { name: name.into(), title, kind }
}

/// Whether both runs hold the same candidates, as far as rows can tell: only the scores differ.
fn same_candidates(pairs: &Pairs) -> bool {
    let same = |x: &ScoredCandidate, y: &ScoredCandidate| {
        (x.correct, x.n_tokens, x.n_steps, x.first_error, &x.answer) == (y.correct, y.n_tokens, y.n_steps, y.first_error, &y.answer)
    };
    pairs
        .a
        .iter()
        .zip(&pairs.b)
        .all(|(x, y)| x.candidates.len() == y.candidates.len() && x.candidates.iter().zip(&y.candidates).all(|(c, d)| same(c, d)))
}

fn notes(pairs: &Pairs, n: usize, options: &Options) -> Vec<String> {
    let [a, b] = &options.names;
    let count = |run: &[ScoredTrace]| run.iter().map(|t| t.candidates.len()).sum::<usize>();
    let mut notes = vec![
        format!("A: {a}; {} candidates. B: {b}; {} candidates.", count(&pairs.a), count(&pairs.b)),
        format!(
            "{} problems are shared, and paired by id; best of {n} is the largest N asked for that every problem of both has.",
            pairs.a.len()
        ),
        format!(
            "Differences are B − A with {:.0} % paired percentile bootstrap intervals over problems ({} resamples, seed {}); Holm's correction is over a table's rows; McNemar's test is exact.",
            100.0 * options.bootstrap.level,
            options.bootstrap.resamples,
            options.bootstrap.seed
        ),
        "Cohen's h is the difference of two shares on the arcsine scale: 0.2 small, 0.5 medium, 0.8 large.".into(),
    ];
    if pairs.alone != [0, 0] {
        let [x, y] = pairs.alone;
        notes.push(format!(
            "Left out: {x} problems that only A holds, {y} that only B holds; the shared ones may not be a fair sample of either."
        ));
    }
    notes.push(if same_candidates(pairs) {
        "Both runs score the same candidates, as far as rows tell.".into()
    } else {
        "The runs hold different candidates: differences mix the policy's with the reward's.".into()
    });
    if pairs.a.len() < FEW {
        notes.push(format!("{} problems are few: intervals this small a sample gives are too narrow.", pairs.a.len()));
    }
    notes
}

fn key(prefix: &str, name: &str) -> String {
    let words: Vec<String> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
    format!("{prefix}_{}", words.join("_"))
}

/// Sets two runs side by side: every method's accuracy at the largest common N and, where first errors are labelled, localisation; differences are
/// second minus first. Figures: `shared_problems`, `difference_METHOD` and `f1_difference_DETECTOR` in percentage points.
///
/// # Errors
/// The runs share no problem, or hold different ones (they are named) and `shared_only` is not set; a problem stands twice in a run or has
/// fewer candidates than `n`; too few resamples.
pub fn compare(a: &[ScoredTrace], b: &[ScoredTrace], options: &Options) -> Result<Report, EvalError> {
    let pairs = pair(a, b, options)?;
    let n = common_n(&pairs, options.n)?;
    let series = [format!("A: {}", options.names[0]), format!("B: {}", options.names[1])];
    let compared = compared(&pairs, n, options.bootstrap)?;
    let mut tables = vec![accuracy_table(&compared, n)];
    let names = || compared.iter().map(|c| c.method.name()).collect::<Vec<_>>();
    let of = |k: usize| (series[k].clone(), compared.iter().map(|c| Some(c.means[k])).collect::<Vec<_>>());
    let difference = compared.iter().map(|c| Some(c.test.difference)).collect();
    let mut charts = vec![
        bars("compare-accuracy", format!("Best of {n}"), "share of problems whose pick is right", names(), vec![of(0), of(1)]),
        bars(
            "compare-difference",
            format!("Best of {n}: B − A"),
            "difference, percentage points",
            names(),
            vec![("B − A".into(), difference)],
        ),
    ];
    charts.extend(against_n(&pairs, n, options, &series)?);
    let mut figures: BTreeMap<String, f64> = [("shared_problems".to_string(), pairs.a.len() as f64)].into();
    figures.extend(compared.iter().map(|c| (key("difference", &c.method.name()), 100.0 * c.test.difference.estimate)));
    let mut notes = notes(&pairs, n, options);
    let located = located(&pairs, options);
    if !located.is_empty() {
        let (table, f1s) = localisation(&located, options.bootstrap)?;
        tables.push(table);
        figures.extend(f1s.iter().map(|f| (key("f1_difference", &f.0), 100.0 * f.2.difference.estimate)));
        let of = |k: usize| (series[k].clone(), f1s.iter().map(|f| Some(f.1[k])).collect::<Vec<_>>());
        let names = f1s.iter().map(|f| f.0.clone()).collect();
        charts.push(bars("compare-f1", "F1 of the first wrong step".into(), "F1", names, vec![of(0), of(1)]));
        notes.push("Thresholds marked \"best\" are chosen in each run on these very labels: an upper bound for both.".into());
    }
    Ok(Report { title: format!("{} against {}", options.names[1], options.names[0]), tables, charts, figures, notes })
}

#[cfg(test)]
mod tests;

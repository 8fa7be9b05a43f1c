//! Two evaluated runs side by side, paired by problem: accuracy of every method, localisation, with tests of the differences.

use crate::eval::columns::{columns, has_steps, is_content_free, main_of};
use crate::eval::metrics::localise::choose::best_threshold;
use crate::eval::metrics::localise::{self, Comparison, Counts, Marker};
use crate::eval::metrics::methods::{main_method, methods};
use crate::eval::metrics::rerank::{self, Method, per_problem_at};
use crate::eval::parts::chart::{Chart, ChartKind, Line};
use crate::eval::parts::{Cell, Report, Table};
use crate::eval::readings::LIKELIHOOD;
use crate::eval::stats::effect::cohens_h;
use crate::eval::stats::resample::Resampled;
use crate::eval::stats::{Bootstrap, Interval, Paired, discordant, holm, mcnemar};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};
use crate::trace::{Aggregation, Calibration, ENTROPY, LOGPROB, Reading};
use std::collections::{BTreeMap, HashMap};

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
    /// The reading that ranks candidates; `None`: the default one of the first run, see [`main_method`].
    pub rank_by: Option<Reading>,
    /// How its steps become one number.
    pub aggregation: Aggregation,
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
            rank_by: None,
            aggregation: Aggregation::Mean,
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

/// The main method, and the methods that both runs have scores for. A weighted vote that picks like the plain one in every problem of both is left out.
fn methods_of_both(pairs: &Pairs, options: &Options) -> (Method, Vec<Method>) {
    let main = main_method(&pairs.a, options.rank_by.as_ref(), options.aggregation, &options.calibrations[0]);
    let in_b = methods(&pairs.b, &main, &options.calibrations[1]);
    let both = methods(&pairs.a, &main, &options.calibrations[0]).into_iter().filter(|m| in_b.contains(m)).collect();
    (main, both)
}

/// A method in both runs, one value a problem each.
struct Compared {
    method: Method,
    means: [Interval; 2],
    test: Paired,
    mcnemar: Option<f64>,
}

fn compared(pairs: &Pairs, n: usize, methods: &[Method], bootstrap: Bootstrap) -> Result<Vec<Compared>, EvalError> {
    let runs = [per_problem_at(methods, &pairs.a, &[n])?, per_problem_at(methods, &pairs.b, &[n])?];
    let votes = |m: &Method| matches!(m, Method::Majority | Method::WeightedMajority(_));
    let same = |k: usize, j: usize| runs.iter().all(|r| r[k] == r[j]);
    let differs = |k: &usize| !matches!(methods[*k], Method::WeightedMajority(_)) || !(0..*k).any(|j| votes(&methods[j]) && same(*k, j));
    let kept: Vec<usize> = (0..methods.len()).filter(differs).collect();
    let columns: Vec<&Vec<f64>> = kept.iter().flat_map(|&k| [&runs[0][k], &runs[1][k]]).collect();
    let drawn = Resampled::of(&columns.iter().map(|c| c.as_slice()).collect::<Vec<_>>(), bootstrap)?;
    let problems = pairs.a.len() as f64;
    let one = |(k, &method): (usize, &usize)| {
        let method = methods[method].clone();
        let (a, b) = (2 * k, 2 * k + 1);
        // McNemar needs one yes or no a problem: not an expectation, not an average over blocks.
        let whole = |v: &[f64]| v.iter().all(|x| *x == 0.0 || *x == 1.0);
        let solved = |v: &[f64]| v.iter().map(|x| *x == 1.0).collect::<Vec<_>>();
        let mcnemar = (method != Method::Random && whole(columns[a]) && whole(columns[b])).then(|| {
            let (only_a, only_b) = discordant(&solved(columns[a]), &solved(columns[b]));
            mcnemar(only_a, only_b)
        });
        let mean = |column: usize| drawn.interval(|sums| sums[column] / problems);
        Compared { method, means: [mean(a), mean(b)], test: drawn.paired(|sums| (sums[b] - sums[a]) / problems), mcnemar }
    };
    Ok(kept.iter().enumerate().map(one).collect())
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
    /// Whether its reading stands for its signal.
    stands: bool,
    reading: Reading,
    counts: [Vec<Counts>; 2],
}

/// Detectors that both runs have; none where one of them has no labelled wrong and right candidate.
fn located(pairs: &Pairs, options: &Options) -> Vec<Located> {
    let runs = [&pairs.a, &pairs.b];
    let [of_a, of_b] = runs.map(|r| columns(r));
    let mut out = Vec::new();
    for column in of_a.iter().filter(|c| has_steps(c) && !is_content_free(c) && of_b.iter().any(|other| other.reading == c.reading)) {
        let reading = &column.reading;
        let stands = main_of(&of_a, &reading.signal, &options.calibrations[0]).is_some_and(|c| c.reading == *reading);
        let fixed = [0, 1].map(|run| options.calibrations[run].threshold(reading).map(|t| column.turn(t)));
        if !stands && fixed.iter().any(Option::is_none) {
            continue;
        }
        // Without labels of both kinds there is no best threshold, and no F1 either.
        let best = runs.map(|r| best_threshold(reading, r).map(|b| b.0));
        if best.iter().any(Option::is_none) {
            continue;
        }
        for (kind, thresholds) in [("calibrated", fixed), ("best", best)] {
            let [Some(a), Some(b)] = thresholds else { continue };
            let counts = |run: &[ScoredTrace], t: f32| {
                let marker = Marker::Below(reading.clone(), t);
                run.iter().map(|x| localise::counts(&marker, x)).collect()
            };
            out.push(Located {
                name: format!("{reading}, {kind}"),
                stands,
                reading: reading.clone(),
                counts: [counts(&pairs.a, a), counts(&pairs.b, b)],
            });
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
fn against_n(pairs: &Pairs, n: usize, main: &Method, options: &Options, series: &[String; 2]) -> Result<Option<Chart>, EvalError> {
    let mut sizes: Vec<usize> = (0..).map(|k| 1 << k).take_while(|s| *s < n).collect();
    sizes.push(n);
    if sizes.len() < 2 {
        return Ok(None);
    }
    let line = |name: &String, run: &[ScoredTrace]| {
        let points = rerank::curve(run, std::slice::from_ref(main), &sizes, options.bootstrap)?;
        Ok::<_, EvalError>(Line { name: name.clone(), points: points.into_iter().map(|p| (p.n as f64, p.accuracy)).collect() })
    };
    let kind = ChartKind::Lines {
        x: "candidates N".into(),
        y: "share of problems whose pick is right".into(),
        log_x: true,
        percent: true,
        series: vec![line(&series[0], &pairs.a)?, line(&series[1], &pairs.b)?],
    };
    Ok(Some(Chart { name: "compare-n".into(), title: format!("{} against the number of candidates", main.name()), kind }))
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

/// The name of a figure. A reading that stands for its signal goes by the signal alone, as it did before signals had readings.
fn figure(prefix: &str, name: &str, reading: Option<&Reading>, stands: bool) -> String {
    let signal = |r: &Reading| match r.signal.as_str() {
        LOGPROB => "log_prob".to_owned(),
        LIKELIHOOD => "critic_log_prob".to_owned(),
        name => name.to_owned(),
    };
    let old = |r: &Reading| match (r.signal.as_str(), r.statistic) {
        (LOGPROB | LIKELIHOOD | ENTROPY, Some(statistic)) if prefix == "difference" => Some(format!("{} {}", signal(r), statistic.name())),
        _ => stands.then(|| signal(r)),
    };
    match reading.and_then(|r| Some((r.to_string(), old(r)?))) {
        Some((whole, short)) => key(prefix, &name.replacen(&whole, &short, 1)),
        None => key(prefix, name),
    }
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
    let (main, methods) = methods_of_both(&pairs, options);
    let compared = compared(&pairs, n, &methods, options.bootstrap)?;
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
    if methods.contains(&main) {
        charts.extend(against_n(&pairs, n, &main, options, &series)?);
    }
    let mut figures: BTreeMap<String, f64> = [("shared_problems".to_string(), pairs.a.len() as f64)].into();
    let columns = columns(&pairs.a);
    let stands = |r: &Reading| main_of(&columns, &r.signal, &options.calibrations[0]).is_some_and(|c| c.reading == *r);
    figures.extend(compared.iter().map(|c| {
        let reading = c.method.score().map(|s| &s.reading);
        let name = figure("difference", &c.method.name(), reading, reading.is_some_and(stands));
        (name, 100.0 * c.test.difference.estimate)
    }));
    let mut notes = notes(&pairs, n, options);
    let located = located(&pairs, options);
    if !located.is_empty() {
        let (table, f1s) = localisation(&located, options.bootstrap)?;
        tables.push(table);
        figures.extend(
            located
                .iter()
                .zip(&f1s)
                .map(|(l, f)| (figure("f1_difference", &l.name, Some(&l.reading), l.stands), 100.0 * f.2.difference.estimate)),
        );
        let of = |k: usize| (series[k].clone(), f1s.iter().map(|f| Some(f.1[k])).collect::<Vec<_>>());
        let names = f1s.iter().map(|f| f.0.clone()).collect();
        charts.push(bars("compare-f1", "F1 of the first wrong step".into(), "F1", names, vec![of(0), of(1)]));
        notes.push("Thresholds marked \"best\" are chosen in each run on these very labels: an upper bound for both.".into());
    }
    Ok(Report { title: format!("{} against {}", options.names[1], options.names[0]), tables, charts, figures, notes })
}

#[cfg(test)]
mod tests;

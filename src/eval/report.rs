//! One report of reranking and localisation.

use super::correlate::Observations;
use super::effect::{cohens_h, size_notes, wide_note};
use super::localise::{self, Comparison, Counts, Marker, Signal};
use super::rerank::{self, Method, Point};
use super::resample::Resampled;
use super::section::{Section, affordable, by_problem, numbers};
use super::stats::{Bootstrap, Interval, Paired, discordant, holm, mcnemar};
use super::{EvalError, ScoredCandidate, ScoredTrace, calibrate, conformal, figures, onset, passk, roc};
use crate::trace::{Aggregation, Calibration, vote_weight};
use rayon::prelude::*;

pub use super::table::{Cell, Report, Table};

/// What to report.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Title of the report.
    pub title: String,
    /// Sizes N of the reranking; those above a problem's candidates are refused.
    pub sizes: Vec<usize>,
    /// The method whose gains are tested, at the largest N.
    pub main: Method,
    /// Thresholds fixed beforehand, without these traces' labels.
    pub calibration: Calibration,
    /// The same for [`Signal::Combined`]: [`super::combine::Combined::threshold`].
    pub combined_threshold: Option<f32>,
    /// How to resample.
    pub bootstrap: Bootstrap,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            title: "Evaluation".into(),
            sizes: vec![1, 2, 4, 8, 16],
            main: Method::Reward(Aggregation::Mean),
            calibration: Calibration::default(),
            combined_threshold: None,
            bootstrap: Bootstrap::default(),
        }
    }
}

/// Reports reranking, the main method's gains, pass@k, localisation, discrimination, calibration and conformal coverage of scored traces, with the
/// figures of [`figures::NAMES`].
///
/// # Errors
/// No traces, no sizes, a size above a problem's candidates (it is named), or too few resamples.
pub fn evaluate(traces: &[ScoredTrace], options: &Options) -> Result<Report, EvalError> {
    if traces.is_empty() {
        return Err(EvalError::Empty("no traces".into()));
    }
    let mut report = begin(traces, options);
    reranking(traces, options)?.add_to(&mut report);
    pass(traces, options)?.add_to(&mut report);
    localisation(traces, options)?.add_to(&mut report);
    candidates(traces, options)?.add_to(&mut report);
    Ok(report)
}

/// Fewer problems than this are called few.
const FEW: usize = 30;

/// Ascending and each once.
fn sizes(options: &Options) -> Result<Vec<usize>, EvalError> {
    let mut sizes = options.sizes.clone();
    sizes.sort_unstable();
    sizes.dedup();
    if sizes.is_empty() { Err(EvalError::Empty("no sizes N to pick from".into())) } else { Ok(sizes) }
}

/// A report with its title and what is to be said of any traces, without tables.
pub fn begin(traces: &[ScoredTrace], options: &Options) -> Report {
    let mut report = Report { title: options.title.clone(), notes: notes(traces, options), ..Report::default() };
    report.figures.insert("problems".into(), traces.len() as f64);
    report
}

fn notes(traces: &[ScoredTrace], options: &Options) -> Vec<String> {
    let candidates = || traces.iter().flat_map(|t| &t.candidates);
    let right = candidates().filter(|c| c.correct).count();
    let unreachable = candidates().filter(|c| c.labelled && c.first_error.is_some_and(|e| e >= c.n_steps)).count();
    let mut notes = vec![
        format!("{} problems, {} candidates, {right} right.", traces.len(), candidates().count()),
        format!(
            "Shares in percent, with {:.0} % percentile bootstrap intervals over problems ({} resamples, seed {}).",
            100.0 * options.bootstrap.level,
            options.bootstrap.resamples,
            options.bootstrap.seed
        ),
    ];
    if traces.len() < FEW {
        notes.push(format!(
            "Only {} problems: resampling so few says little, and intervals are narrower than they should be.",
            traces.len()
        ));
    }
    if candidates().any(|c| c.first_error.is_some()) {
        notes.push("Thresholds marked \"best\" are chosen on these very labels: an upper bound, kept for the baselines' benefit.".into());
    }
    if candidates().any(|c| c.critic_logprob_sum.is_some()) {
        notes.push("Critic log-prob: the log-probability under the reward model's own decoder, without its head.".into());
    }
    if unreachable > 0 {
        notes.push(format!("{unreachable} wrong traces lack a step at their end; no method can mark it, and all are charged with it."));
    }
    notes
}

fn main_aggregation(method: Method) -> Aggregation {
    match method {
        Method::Reward(a) | Method::WeightedMajority(a) => a,
        _ => Aggregation::default(),
    }
}

fn has_rewards(traces: &[ScoredTrace]) -> bool {
    traces.iter().flat_map(|t| &t.candidates).any(|c| c.step_rewards.iter().any(Option::is_some))
}

fn methods(traces: &[ScoredTrace]) -> Vec<Method> {
    let (rewards, any) = (has_rewards(traces), |f: fn(&ScoredCandidate) -> bool| traces.iter().flat_map(|t| &t.candidates).any(f));
    let (logprobs, answers) = (any(|c| c.logprob_sum.is_some()), any(|c| c.answer.is_some()));
    let critic = any(|c| c.critic_logprob_sum.is_some());
    let usable = |m: &Method| match m {
        Method::Reward(_) => rewards,
        Method::WeightedMajority(_) => rewards && answers,
        Method::Majority => answers,
        Method::LogProbSum | Method::LogProbMean => logprobs,
        Method::CriticLogProbSum | Method::CriticLogProbMean => critic,
        _ => true,
    };
    Method::all().into_iter().filter(usable).collect()
}

/// Best of N, and the main method's gains at the largest N.
///
/// # Errors
/// As [`evaluate`].
pub fn reranking(traces: &[ScoredTrace], options: &Options) -> Result<Section, EvalError> {
    let sizes = sizes(options)?;
    let mut methods = methods(traces);
    let shown = methods.len();
    if !methods.contains(&options.main) {
        methods.push(options.main);
    }
    let points = rerank::curve(traces, &methods, &sizes, options.bootstrap)?;
    let names: Vec<String> = sizes.iter().map(|n| format!("N={n}")).collect();
    let columns: Vec<&str> = ["method"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut table = Table::new("Best of N: share of problems whose pick is right", &columns);
    for of in points.chunks(sizes.len()).take(shown) {
        let cells = of.iter().map(|p| Cell::Interval(p.accuracy));
        table.rows.push([Cell::Text(of[0].method.name())].into_iter().chain(cells).collect());
    }
    let at_largest: Vec<Point> = points.chunks(sizes.len()).filter_map(|of| of.last().cloned()).collect();
    let gains = gains(traces, &at_largest, &methods[..shown], options)?;
    let aggregation = main_aggregation(options.main);
    let mut section = figures::reranking(options.main, aggregation, &points, &gains.of);
    section.charts.push(figures::best_of_n(options.main, aggregation, &points));
    section.tables.extend([table, gains.table]);
    section.notes = gains.notes;
    Ok(section)
}

/// The gains of the main method, and what to say of the number of problems.
struct Gains {
    table: Table,
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
    Ok(Gains { table, of: baselines.into_iter().zip(tests).collect(), notes })
}

/// pass@k, and what the samples are like.
///
/// # Errors
/// As [`evaluate`].
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
    section.tables.extend([table, passk::samples(traces, options.bootstrap)?]);
    Ok(section)
}

/// What the main method's aggregated reward says of single candidates: discrimination, correlation, calibration. Empty without rewards.
///
/// # Errors
/// As [`evaluate`].
pub fn candidates(traces: &[ScoredTrace], options: &Options) -> Result<Section, EvalError> {
    let aggregation = main_aggregation(options.main);
    let reward = |c: &ScoredCandidate| figures::reward(aggregation, c);
    let mean = |sum: Option<f32>, c: &ScoredCandidate| sum.filter(|_| c.n_tokens > 0).map(|s| f64::from(s) / c.n_tokens as f64);
    let scores = [
        ("reward", by_problem(traces, |c| Some((reward(c)?, c.correct)))),
        ("log-prob mean", by_problem(traces, |c| Some((mean(c.logprob_sum, c)?, c.correct)))),
        ("critic log-prob mean", by_problem(traces, |c| Some((mean(c.critic_logprob_sum, c)?, c.correct)))),
        ("length, negated", by_problem(traces, |c| (c.n_tokens > 0).then_some((-(c.n_tokens as f64), c.correct)))),
    ];
    if scores[0].1.iter().all(Vec::is_empty) {
        return Ok(Section::default());
    }
    let mut all = roc::section(&scores, options.bootstrap)?;
    all.charts.extend(figures::histogram(aggregation, traces));
    let observed = by_problem(traces, |c| {
        Some([reward(c)?, f64::from(u8::from(c.correct)), c.n_tokens as f64, mean(c.logprob_sum, c).unwrap_or(0.0)])
    });
    let observed = Observations::new(&observed);
    let fewest = affordable(options.bootstrap, 4 * observed.len()).resamples;
    if fewest < options.bootstrap.resamples {
        all.notes
            .push(format!("Intervals of AUROC, PR-AUC, correlations, ECE and reliability are from fewer resamples, at least {fewest}."));
    }
    let title = "Aggregated reward against outcome: Spearman's correlation";
    let mut table = Table::new(title, &["given", "candidates", "rho", "low", "high"]);
    let given: [&[usize]; 4] = [&[], &[2], &[3], &[2, 3]];
    let found = observed.partial_spearman(&given, options.bootstrap)?;
    let names = ["nothing", "length", "log-prob mean", "length and log-prob mean"];
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

/// A localisation method with its counts a problem.
struct Located {
    name: String,
    threshold: Option<f64>,
    marks_right: bool,
    marker: Option<Marker>,
    counts: Vec<Counts>,
}

/// The first wrong step by every method that the data allows. Empty where no trace has a labelled first error.
///
/// # Errors
/// As [`evaluate`].
pub fn localisation(traces: &[ScoredTrace], options: &Options) -> Result<Section, EvalError> {
    let labelled = || traces.iter().flat_map(|t| &t.candidates).filter(|c| c.labelled);
    let mut section = Section::default();
    if !labelled().any(|c| c.first_error.is_some()) {
        return Ok(section);
    }
    let located = located(traces, options);
    let drawn = Comparison::new(&located.iter().map(|l| l.counts.as_slice()).collect::<Vec<_>>(), options.bootstrap)?;
    let mut table = Table::new(
        "First wrong step (ProcessBench: acc_error, acc_correct, F1)",
        &["method", "threshold", "acc_error", "within ±1", "acc_correct", "F1"],
    );
    for (i, l) in located.iter().enumerate() {
        let r = drawn.summary(i);
        let judged = |i: Interval| if l.marks_right { Cell::Interval(i) } else { Cell::Empty };
        table.rows.push(vec![
            Cell::Text(l.name.clone()),
            l.threshold.map_or(Cell::Empty, Cell::Number),
            Cell::Interval(r.acc_error),
            Cell::Interval(r.acc_within_one),
            judged(r.acc_correct),
            judged(r.f1),
        ]);
        if i == 0 {
            let named = [("acc_error", r.acc_error), ("acc_within_one", r.acc_within_one), ("acc_correct", r.acc_correct), ("f1", r.f1)];
            named.into_iter().for_each(|(name, i)| section.figure(name, 100.0 * i.estimate));
            let judged = traces.iter().filter(|t| t.candidates.iter().any(|c| c.labelled)).count();
            section.notes.extend(wide_note(judged, &named.map(|n| n.1)).map(|note| format!("Localisation: {note}")));
        }
    }
    section.tables.push(table);
    if located.first().is_some_and(|l| l.name.starts_with("reward")) {
        section.tables.push(localisation_gains(&located, &drawn));
    }
    let marked: Vec<(String, Marker)> = located.iter().filter_map(|l| Some((l.name.clone(), l.marker?))).collect();
    section = section.followed_by(onset::section(&marked, traces, options.bootstrap)?);
    // One threshold a signal; the first is the calibrated one where there is one.
    let mut seen = Vec::new();
    let first = |m: &&(String, Marker)| matches!(m.1, Marker::Below(s, _) if !seen.contains(&s) && { seen.push(s); true });
    let firsts: Vec<(String, Marker)> = marked.iter().filter(first).cloned().collect();
    section.charts.push(onset::by_position(&firsts, traces, options.bootstrap)?);
    let known = |s: &Signal| labelled().any(|c| c.first_error.is_none() && s.values(c).iter().any(Option::is_some));
    let signals: Vec<Signal> = [Signal::Reward, Signal::LogProb, Signal::Entropy, Signal::Combined].into_iter().filter(known).collect();
    if !signals.is_empty() && traces.len() > 1 {
        section = section.followed_by(conformal::section(&signals, traces, options.bootstrap)?);
    }
    Ok(section)
}

/// The first method, a reward's, against all others that may leave a trace unmarked.
fn localisation_gains(located: &[Located], drawn: &Comparison) -> Table {
    let rivals: Vec<usize> = (0..located.len()).filter(|&i| located[i].marks_right && !located[i].name.starts_with("reward,")).collect();
    let test = |statistic: fn(&Counts) -> f64| rivals.iter().map(|&r| drawn.paired(0, r, statistic)).collect::<Vec<_>>();
    let (hits, f1s) = (test(Counts::acc_error), test(Counts::f1));
    let adjusted = holm(&f1s.iter().map(|t| t.p).collect::<Vec<_>>());
    let title = format!("Gain of {} in localisation, percentage points", located[0].name);
    let mut table = Table::new(&title, &["against", "acc_error", "p", "F1", "p (bootstrap)", "p (Holm)"]);
    for (((&rival, hit), f1), p) in rivals.iter().zip(&hits).zip(&f1s).zip(adjusted) {
        table.rows.push(vec![
            Cell::Text(located[rival].name.clone()),
            Cell::Interval(hit.difference),
            Cell::P(hit.p),
            Cell::Interval(f1.difference),
            Cell::P(f1.p),
            Cell::P(p),
        ]);
    }
    table
}

/// Every method that the data allows; the reward, at its calibrated threshold if there is one, comes first.
fn located(traces: &[ScoredTrace], options: &Options) -> Vec<Located> {
    let per = |marker: Marker| traces.par_iter().map(|t| localise::counts(marker, t)).collect::<Vec<_>>();
    let fixed = &options.calibration;
    let mut out = Vec::new();
    for (signal, threshold, sign) in [
        (Signal::Reward, fixed.threshold, 1.0),
        (Signal::LogProb, fixed.logprob, 1.0),
        (Signal::CriticLogProb, None, 1.0),
        (Signal::Entropy, fixed.entropy, -1.0_f32),
        (Signal::Combined, options.combined_threshold, 1.0),
    ] {
        let known = traces.iter().flat_map(|t| &t.candidates).any(|c| signal.values(c).iter().any(Option::is_some));
        if !known {
            continue;
        }
        let best = localise::best_threshold(signal, traces).map(|b| b.0);
        for (kind, value) in [("calibrated", threshold.map(|t| sign * t)), ("best", best)] {
            let Some(value) = value else { continue };
            out.push(Located {
                name: format!("{}, {kind}", signal.name()),
                threshold: Some(f64::from(sign * value)),
                marks_right: true,
                marker: Some(Marker::Below(signal, value)),
                counts: per(Marker::Below(signal, value)),
            });
        }
        let name = format!("{}, largest drop", signal.name());
        let marker = Marker::LargestDrop(signal);
        out.push(Located { name, threshold: None, marks_right: false, marker: Some(marker), counts: per(marker) });
    }
    let chance = |may_pass| traces.iter().map(|t| localise::chance_counts(t, may_pass)).collect::<Vec<_>>();
    for (name, marks_right) in [("chance, a step", false), ("chance, a step or none", true)] {
        out.push(Located { name: name.into(), threshold: None, marks_right, marker: None, counts: chance(marks_right) });
    }
    let flags = (1..100).map(|r| traces.iter().map(|t| localise::flag_counts(t, f64::from(r) / 100.0)).collect::<Vec<_>>());
    let best = flags.max_by(|a, b| localise::total_f1(a).total_cmp(&localise::total_f1(b)));
    if let Some(counts) = best {
        out.push(Located { name: "random flags, best rate".into(), threshold: None, marks_right: true, marker: None, counts });
    }
    // Where no answer is known to be right, nothing is known of the others either.
    if traces.iter().flat_map(|t| &t.candidates).any(|c| c.labelled && c.correct) {
        let (name, marker) = ("answer oracle, step 0".into(), Marker::AnswerOracle);
        out.push(Located { name, threshold: None, marks_right: true, marker: Some(marker), counts: per(marker) });
    }
    out
}

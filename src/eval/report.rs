//! One report of reranking and localisation: plain text, Markdown, JSON.

use super::chart::Chart;
use super::localise::{self, Counts, Marker, Signal};
use super::rerank::{self, Method};
use super::stats::{Bootstrap, Interval, auroc, bootstrap_mean, discordant, holm, mcnemar, paired_bootstrap};
use super::{EvalError, ScoredCandidate, ScoredTrace, passk};
use crate::trace::{Aggregation, Calibration, aggregate};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing to say.
    Empty,
    /// A word.
    Text(String),
    /// A count.
    Count(usize),
    /// A plain number, for example a threshold.
    Number(f64),
    /// A share, shown in percent.
    Share(f64),
    /// A share with its interval, shown in percent.
    Interval(Interval),
    /// A p-value.
    P(f64),
}

impl Cell {
    /// For people. Shares in percent with one decimal; `–` for nothing and for what is not a number.
    pub fn text(&self) -> String {
        match self {
            Cell::Text(t) => t.clone(),
            Cell::Count(n) => n.to_string(),
            Cell::Number(x) if x.is_finite() => format!("{x:.3}"),
            Cell::Share(x) if x.is_finite() => format!("{:.1}", 100.0 * x),
            Cell::Interval(i) if i.estimate.is_finite() => {
                format!("{:.1} [{:.1}, {:.1}]", 100.0 * i.estimate, 100.0 * i.low, 100.0 * i.high)
            }
            Cell::P(p) if *p < 0.001 => "<0.001".into(),
            Cell::P(p) if p.is_finite() => format!("{p:.3}"),
            _ => "–".into(),
        }
    }

    /// For programs; unrounded, shares in 0..=1.
    pub fn json(&self) -> Value {
        match self {
            Cell::Empty => Value::Null,
            Cell::Text(t) => json!(t),
            Cell::Count(n) => json!(n),
            Cell::Number(x) | Cell::Share(x) | Cell::P(x) => json!(x),
            Cell::Interval(i) => json!({ "estimate": i.estimate, "low": i.low, "high": i.high }),
        }
    }
}

/// A table; every row has as many cells as there are columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// Tables under a title, with notes on how they were made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What was evaluated.
    pub title: String,
    /// The tables.
    pub tables: Vec<Table>,
    /// Pictures of the same.
    pub charts: Vec<Chart>,
    /// The figures that a gate may ask for, by name; shares in 0..=1 times 100, differences in percentage points.
    pub figures: BTreeMap<String, f64>,
    /// How to read them.
    pub notes: Vec<String>,
}

impl Table {
    /// An empty table.
    pub fn new(title: &str, columns: &[&str]) -> Self {
        Self { title: title.into(), columns: columns.iter().map(|c| (*c).to_string()).collect(), rows: Vec::new() }
    }

    /// Column widths in characters, and the cells as text.
    fn layout(&self) -> (Vec<usize>, Vec<Vec<String>>) {
        let rows: Vec<Vec<String>> = self.rows.iter().map(|r| r.iter().map(Cell::text).collect()).collect();
        let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).chain([&self.columns[c]]).map(|t| t.chars().count()).max().unwrap_or(0);
        ((0..self.columns.len()).map(width).collect(), rows)
    }

    fn text(&self) -> String {
        let (widths, rows) = self.layout();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).enumerate().map(|(c, (t, w))| {
                let fill = " ".repeat(w.saturating_sub(t.chars().count()));
                if c == 0 { format!("{t}{fill}") } else { format!("{fill}{t}") }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
        };
        let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        let body: String = rows.iter().map(|r| line(r)).collect();
        format!("{}\n{}{}{body}", self.title, line(&self.columns), line(&rule))
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.iter().map(|c| c.replace('|', "\\|")).collect::<Vec<_>>().join(" | "));
        let (_, rows) = self.layout();
        let rule: Vec<String> = (0..self.columns.len()).map(|c| if c == 0 { "---".into() } else { "---:".into() }).collect();
        let body: String = rows.iter().map(|r| line(r)).collect();
        format!("### {}\n\n{}{}{body}", self.title, line(&self.columns), line(&rule))
    }

    fn json(&self) -> Value {
        let row = |r: &Vec<Cell>| -> Value {
            self.columns.iter().cloned().zip(r.iter().map(Cell::json)).collect::<serde_json::Map<_, _>>().into()
        };
        json!({ "title": self.title, "rows": self.rows.iter().map(row).collect::<Vec<_>>() })
    }
}

impl Report {
    /// Plain text for a terminal.
    pub fn text(&self) -> String {
        let mut parts = vec![format!("{}\n", self.title)];
        parts.extend(self.tables.iter().map(Table::text));
        if !self.notes.is_empty() {
            parts.push(self.notes.iter().map(|n| format!("{n}\n")).collect());
        }
        parts.join("\n")
    }

    /// GitHub Markdown.
    pub fn markdown(&self) -> String {
        let mut parts = vec![format!("## {}\n", self.title)];
        parts.extend(self.tables.iter().map(Table::markdown));
        if !self.notes.is_empty() {
            parts.push(self.notes.iter().map(|n| format!("- {n}\n")).collect());
        }
        parts.join("\n")
    }

    /// One JSON object: `title`, `tables` (rows as objects by column name), `figures`, `notes`.
    pub fn json(&self) -> Value {
        json!({ "title": self.title, "tables": self.tables.iter().map(Table::json).collect::<Vec<_>>(), "figures": self.figures, "notes": self.notes })
    }
}

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
            bootstrap: Bootstrap::default(),
        }
    }
}

/// Reports reranking, the main method's gains, pass@k and localisation of scored traces.
///
/// # Errors
/// No traces, no sizes, a size above a problem's candidates (it is named), or too few resamples.
pub fn evaluate(traces: &[ScoredTrace], options: &Options) -> Result<Report, EvalError> {
    if traces.is_empty() {
        return Err(EvalError::Empty("no traces".into()));
    }
    let mut sizes = options.sizes.clone();
    sizes.sort_unstable();
    sizes.dedup();
    let Some(&largest) = sizes.last() else { return Err(EvalError::Empty("no sizes N to pick from".into())) };
    let mut tables = vec![reranking(traces, &sizes, options)?, gains(traces, largest, options)?, pass(traces, &sizes, options)?];
    tables.extend(localisation(traces, options)?);
    let candidates: Vec<&ScoredCandidate> = traces.iter().flat_map(|t| &t.candidates).collect();
    let right = candidates.iter().filter(|c| c.correct).count();
    let unreachable = candidates.iter().filter(|c| c.labelled && c.first_error.is_some_and(|e| e >= c.n_steps)).count();
    let mut notes = vec![
        format!("{} problems, {} candidates, {right} right.", traces.len(), candidates.len()),
        format!(
            "Shares in percent, with {:.0} % percentile bootstrap intervals over problems ({} resamples, seed {}).",
            100.0 * options.bootstrap.level,
            options.bootstrap.resamples,
            options.bootstrap.seed
        ),
        "Thresholds marked \"best\" are chosen on these very labels: an upper bound, kept for the baselines' benefit.".into(),
    ];
    if candidates.iter().any(|c| c.critic_logprob_sum.is_some()) {
        notes.push("Critic log-prob: the log-probability under the reward model's own decoder, without its head.".into());
    }
    if unreachable > 0 {
        notes.push(format!("{unreachable} wrong traces lack a step at their end; no method can mark it, and all are charged with it."));
    }
    let scored: Vec<(f64, bool)> = candidates
        .iter()
        .filter_map(|c| Some((f64::from(aggregate(main_aggregation(options.main), &c.step_rewards)?), c.correct)))
        .collect();
    if let Some(area) = auroc(&scored) {
        notes.push(format!("AUROC of the aggregated reward, right against wrong answers: {area:.3}."));
    }
    Ok(Report { title: options.title.clone(), tables, notes, ..Report::default() })
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

fn reranking(traces: &[ScoredTrace], sizes: &[usize], options: &Options) -> Result<Table, EvalError> {
    let names: Vec<String> = sizes.iter().map(|n| format!("N={n}")).collect();
    let columns: Vec<&str> = ["method"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut table = Table::new("Best of N: share of problems whose pick is right", &columns);
    for method in methods(traces) {
        let points = rerank::curve(traces, &[method], sizes, options.bootstrap)?;
        let cells = points.into_iter().map(|p| Cell::Interval(p.accuracy));
        table.rows.push([Cell::Text(method.name())].into_iter().chain(cells).collect());
    }
    Ok(table)
}

/// The main method against every baseline at the largest N.
fn gains(traces: &[ScoredTrace], n: usize, options: &Options) -> Result<Table, EvalError> {
    let title = format!("Gain of {} at N={n}, percentage points", options.main.name());
    let mut table = Table::new(&title, &["against", "gain", "p (bootstrap)", "p (Holm)", "p (McNemar)"]);
    let main = rerank::per_problem(options.main, traces, n)?;
    let baselines: Vec<Method> =
        methods(traces).into_iter().filter(|m| *m != options.main && !matches!(m, Method::Reward(_) | Method::Oracle)).collect();
    let others = baselines.iter().map(|m| rerank::per_problem(*m, traces, n)).collect::<Result<Vec<_>, _>>()?;
    let tests = others.iter().map(|o| paired_bootstrap(&main, o, options.bootstrap)).collect::<Result<Vec<_>, _>>()?;
    let adjusted = holm(&tests.iter().map(|t| t.p).collect::<Vec<_>>());
    for (((method, other), test), adjusted) in baselines.iter().zip(&others).zip(&tests).zip(adjusted) {
        // McNemar needs one yes or no a problem: not an expectation, not an average over blocks.
        let whole = |v: &[f64]| v.iter().all(|x| *x == 0.0 || *x == 1.0);
        let exact = (whole(&main) && whole(other) && *method != Method::Random).then(|| {
            let solved = |v: &[f64]| v.iter().map(|x| *x == 1.0).collect::<Vec<_>>();
            let (first, second) = discordant(&solved(&main), &solved(other));
            mcnemar(first, second)
        });
        let gain = Cell::Interval(test.difference);
        table.rows.push(vec![Cell::Text(method.name()), gain, Cell::P(test.p), Cell::P(adjusted), exact.map_or(Cell::Empty, Cell::P)]);
    }
    Ok(table)
}

fn pass(traces: &[ScoredTrace], sizes: &[usize], options: &Options) -> Result<Table, EvalError> {
    let names: Vec<String> = sizes.iter().map(|n| format!("k={n}")).collect();
    let columns: Vec<&str> = [""].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut table = Table::new("pass@k, unbiased", &columns);
    let mut row = vec![Cell::Text("policy".into())];
    for &k in sizes {
        row.push(Cell::Interval(bootstrap_mean(&passk::per_problem(traces, k)?, options.bootstrap)?));
    }
    table.rows.push(row);
    Ok(table)
}

/// A localisation method with its counts a problem.
struct Located {
    name: String,
    threshold: Option<f64>,
    marks_right: bool,
    counts: Vec<Counts>,
}

/// `None` where no trace has a labelled first error.
fn localisation(traces: &[ScoredTrace], options: &Options) -> Result<Vec<Table>, EvalError> {
    let labelled = |f: fn(&ScoredCandidate) -> bool| traces.iter().flat_map(|t| &t.candidates).any(|c| c.labelled && f(c));
    if !labelled(|c| c.first_error.is_some()) {
        return Ok(Vec::new());
    }
    let located = located(traces, options);
    let mut table = Table::new(
        "First wrong step (ProcessBench: acc_error, acc_correct, F1)",
        &["method", "threshold", "acc_error", "within ±1", "acc_correct", "F1"],
    );
    for l in &located {
        let r = localise::summarise(&l.counts, options.bootstrap)?;
        let judged = |i: Interval| if l.marks_right { Cell::Interval(i) } else { Cell::Empty };
        table.rows.push(vec![
            Cell::Text(l.name.clone()),
            l.threshold.map_or(Cell::Empty, Cell::Number),
            Cell::Interval(r.acc_error),
            Cell::Interval(r.acc_within_one),
            judged(r.acc_correct),
            judged(r.f1),
        ]);
    }
    let mut tables = vec![table];
    let Some(main) = located.first().filter(|l| l.name.starts_with("reward")) else { return Ok(tables) };
    let rivals: Vec<&Located> = located.iter().filter(|l| l.marks_right && !l.name.starts_with("reward")).collect();
    let test = |statistic: fn(&Counts) -> f64| {
        rivals.iter().map(|r| localise::compare(&main.counts, &r.counts, statistic, options.bootstrap)).collect::<Result<Vec<_>, _>>()
    };
    let (hits, f1s) = (test(Counts::acc_error)?, test(Counts::f1)?);
    let adjusted = holm(&f1s.iter().map(|t| t.p).collect::<Vec<_>>());
    let title = format!("Gain of {} in localisation, percentage points", main.name);
    let mut table = Table::new(&title, &["against", "acc_error", "p", "F1", "p (bootstrap)", "p (Holm)"]);
    for (((rival, hit), f1), p) in rivals.iter().zip(&hits).zip(&f1s).zip(adjusted) {
        table.rows.push(vec![
            Cell::Text(rival.name.clone()),
            Cell::Interval(hit.difference),
            Cell::P(hit.p),
            Cell::Interval(f1.difference),
            Cell::P(f1.p),
            Cell::P(p),
        ]);
    }
    tables.push(table);
    Ok(tables)
}

/// Every method that the data allows; the reward, at its calibrated threshold if there is one, comes first.
fn located(traces: &[ScoredTrace], options: &Options) -> Vec<Located> {
    let per = |marker: Marker| traces.iter().map(|t| localise::counts(marker, t)).collect::<Vec<_>>();
    let fixed = &options.calibration;
    let mut out = Vec::new();
    for (signal, threshold, sign) in [
        (Signal::Reward, fixed.threshold, 1.0),
        (Signal::LogProb, fixed.logprob, 1.0),
        (Signal::CriticLogProb, None, 1.0),
        (Signal::Entropy, fixed.entropy, -1.0_f32),
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
                counts: per(Marker::Below(signal, value)),
            });
        }
        let name = format!("{}, largest drop", signal.name());
        out.push(Located { name, threshold: None, marks_right: false, counts: per(Marker::LargestDrop(signal)) });
    }
    let chance = |may_pass| traces.iter().map(|t| localise::chance_counts(t, may_pass)).collect::<Vec<_>>();
    out.push(Located { name: "chance, a step".into(), threshold: None, marks_right: false, counts: chance(false) });
    out.push(Located { name: "chance, a step or none".into(), threshold: None, marks_right: true, counts: chance(true) });
    let oracle = per(Marker::AnswerOracle);
    out.push(Located { name: "answer oracle, step 0".into(), threshold: None, marks_right: true, counts: oracle });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_read_well() {
        let i = Interval { estimate: 0.25, low: 0.2, high: 0.3 };
        assert_eq!(Cell::Interval(i).text(), "25.0 [20.0, 30.0]");
        assert_eq!(Cell::P(0.0004).text(), "<0.001");
        assert_eq!(Cell::P(0.0412).text(), "0.041");
        assert_eq!(Cell::Share(f64::NAN).text(), "–");
        assert_eq!(Cell::Number(-1.5).text(), "-1.500");
        assert_eq!(Cell::Share(f64::NAN).json(), Value::Null);
    }

    #[test]
    fn three_forms_of_one_table() {
        let mut table = Table::new("T", &["method", "x"]);
        table.rows.push(vec![Cell::Text("a|b".into()), Cell::Share(0.5)]);
        table.rows.push(vec![Cell::Text("longer name".into()), Cell::Count(3)]);
        let report = Report { title: "R".into(), tables: vec![table], notes: vec!["n".into()], ..Report::default() };
        assert_eq!(report.text(), "R\n\nT\nmethod          x\n-----------  ----\na|b          50.0\nlonger name     3\n\nn\n");
        assert_eq!(report.markdown(), "## R\n\n### T\n\n| method | x |\n| --- | ---: |\n| a\\|b | 50.0 |\n| longer name | 3 |\n\n- n\n");
        assert_eq!(report.json()["tables"][0]["rows"][1], json!({ "method": "longer name", "x": 3 }));
    }
}

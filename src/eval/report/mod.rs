//! One report of reranking and localisation.

mod candidates;
mod localisation;
mod reranking;

use super::localise::Signal;
use super::rerank::Method;
use super::resample::Resampled;
use super::section::Section;
use super::stats::{Bootstrap, Interval};
use super::{EvalError, ScoredTrace, passk};
use crate::trace::{Aggregation, Calibration};

pub use candidates::candidates;
pub use localisation::localisation;
pub use reranking::reranking;

pub use super::table::{Cell, Report, Table};

/// Where fixed thresholds come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ThresholdSource {
    /// No label has chosen them.
    #[default]
    Calibrated,
    /// The reward's was said; the others are calibrated.
    Given,
    /// They have the best F1 on the labels of these traces.
    BestOn(String),
}

impl ThresholdSource {
    /// What a signal's threshold is called in tables.
    pub fn name(&self, signal: Signal) -> String {
        match self {
            Self::BestOn(subset) => format!("best on {subset}"),
            Self::Given if signal == Signal::Reward => "given".into(),
            _ => "calibrated".into(),
        }
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
    /// Thresholds fixed beforehand.
    pub calibration: Calibration,
    /// Where they come from.
    pub source: ThresholdSource,
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
            source: ThresholdSource::default(),
            combined_threshold: None,
            bootstrap: Bootstrap::default(),
        }
    }
}

/// Reports reranking, the main method's gains, pass@k, localisation, discrimination, calibration and conformal coverage of scored traces, with the
/// figures of [`super::figures::NAMES`].
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

/// `1 problem`, `2 problems`.
pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
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
        format!("{}, {}, {right} with the right answer.", count(traces.len(), "problem"), count(candidates().count(), "candidate")),
        format!(
            "Shares in percent, with {:.0} % percentile bootstrap intervals over problems ({} resamples, seed {}).",
            100.0 * options.bootstrap.level,
            options.bootstrap.resamples,
            options.bootstrap.seed
        ),
    ];
    if traces.len() < FEW {
        notes.push(format!(
            "Only {}: resampling so few says little, and intervals are narrower than they should be.",
            count(traces.len(), "problem")
        ));
    }
    if candidates().any(|c| c.first_error.is_some()) {
        notes.push("Thresholds marked \"best\" are chosen on these very labels: an upper bound, kept for the baselines' benefit.".into());
    }
    if candidates().any(|c| c.critic_logprob_sum.is_some()) {
        notes.push("Critic log-prob: the log-probability under the reward model's own decoder, without its head.".into());
    }
    if candidates().any(|c| c.n_tokens == 0) {
        notes.push("Length is in steps where a candidate has no tokens; --policy or --reward gives it tokens.".into());
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

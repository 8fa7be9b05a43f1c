//! Reports of scored candidates: their tables, pictures and figures; two runs side by side; a report as a folder.

mod agreement;
mod candidates;
pub mod compare;
pub mod figures;
pub mod folder;
pub mod html;
mod localisation;
mod pass;
mod reranking;
pub mod rows;
pub mod seeds;

use super::columns::{asked, columns, default_reading, has_steps};
use super::metrics::methods::main_method;
use super::metrics::rerank::Method;
use super::parts::Report;
use super::readings::LIKELIHOOD;
use super::scored::Column;
use super::stats::Bootstrap;
use super::{EvalError, ScoredTrace};
use crate::trace::{Aggregation, Calibration, Reading};
use std::collections::BTreeMap;

pub use agreement::agreement;
pub use candidates::candidates;
pub use localisation::localisation;
pub use pass::pass;
pub use reranking::reranking;

/// Where fixed thresholds come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ThresholdSource {
    /// No label has chosen them.
    #[default]
    Calibrated,
    /// The main detector's was said; the others are calibrated.
    Given,
    /// They have the best F1 on the labels of these traces.
    BestOn(String),
}

impl ThresholdSource {
    /// What a threshold is called in tables; `main`: whether it is the main detector's.
    pub fn name(&self, main: bool) -> String {
        match self {
            Self::BestOn(subset) => format!("best on {subset}"),
            Self::Given if main => "given".into(),
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
    /// The reading that ranks candidates, whose gains are tested at the largest N; `None`: the default one, see [`main_method`].
    pub rank_by: Option<Reading>,
    /// How its steps become one number.
    pub aggregation: Aggregation,
    /// The reading that marks first wrong steps; `None`: the default reward with step values.
    pub detect_by: Option<Reading>,
    /// Thresholds fixed beforehand, of a fitted detector among them.
    pub calibration: Calibration,
    /// Where they come from.
    pub source: ThresholdSource,
    /// Thresholds that came with the candidates' own signals, for where nothing is calibrated.
    pub bounds: BTreeMap<Reading, f32>,
    /// Also a table of every reading of every signal.
    pub full: bool,
    /// How to resample.
    pub bootstrap: Bootstrap,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            title: "Evaluation".into(),
            sizes: vec![1, 2, 4, 8, 16],
            rank_by: None,
            aggregation: Aggregation::Mean,
            detect_by: None,
            calibration: Calibration::default(),
            source: ThresholdSource::default(),
            bounds: BTreeMap::new(),
            full: false,
            bootstrap: Bootstrap::default(),
        }
    }
}

impl Options {
    /// The method whose gains are tested.
    pub fn main(&self, traces: &[ScoredTrace]) -> Method {
        main_method(traces, self.rank_by.as_ref(), self.aggregation, &self.calibration)
    }

    /// The column that marks first wrong steps before all others; `None` where nothing but baselines does.
    pub fn detector(&self, columns: &[Column]) -> Option<Column> {
        let with_steps: Vec<Column> = columns.iter().filter(|c| has_steps(c)).cloned().collect();
        let column = match &self.detect_by {
            Some(reading) => asked(&with_steps, reading, &self.calibration),
            None => default_reading(&with_steps, &self.calibration),
        };
        column.cloned()
    }
}

/// Reports reranking, the main method's gains, pass@k, localisation, discrimination, calibration, conformal coverage and the agreement of several rewards of
/// scored traces, with the figures of [`figures::NAMES`].
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
    agreement::of_rewards(traces, options)?.add_to(&mut report);
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
    let unknown = candidates().filter(|c| c.unknown).count();
    let unknown = if unknown > 0 { format!("; of {unknown} that is not known, and they count as wrong") } else { String::new() };
    let unreachable = candidates().filter(|c| c.labelled && c.first_error.is_some_and(|e| e >= c.n_steps)).count();
    let mut notes = vec![
        format!(
            "{}, {}, {right} with the right answer{unknown}.",
            count(traces.len(), "problem"),
            count(candidates().count(), "candidate")
        ),
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
    if columns(traces).iter().any(|c| c.reading.signal == LIKELIHOOD) {
        notes.push(format!("{LIKELIHOOD}: the log-probability under the reward model's own decoder, without its head."));
    }
    if candidates().any(|c| c.n_tokens == 0) {
        notes.push("Length is in steps where a candidate has no tokens; --policy or --reward gives it tokens.".into());
    }
    if unreachable > 0 {
        notes.push(format!("{unreachable} wrong traces lack a step at their end; no method can mark it, and all are charged with it."));
    }
    notes
}

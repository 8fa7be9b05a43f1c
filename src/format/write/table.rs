//! Traces as a table: a row a candidate or a step, a column a signal.

use super::{Options, Rows};
use crate::trace::{Candidate, FinishReason, GoldDeviation, Reading, Signal, StepKind, Trace};
use crate::util::table::{Column, Kind, Value};
use std::borrow::Cow;

/// The columns before those of signals, by names that readers of tables know. `index` and `first_error_index` count from 0.
const OF_CANDIDATES: [(&str, Kind); 11] = [
    ("problem_id", Kind::Text),
    ("index", Kind::Count),
    ("problem", Kind::Text),
    ("gold_answer", Kind::Text),
    ("policy", Kind::Text),
    (TEXT, Kind::Text),
    ("predicted_answer", Kind::Text),
    ("correct", Kind::Flag),
    ("labelled", Kind::Flag),
    ("first_error_index", Kind::Count),
    ("finish_reason", Kind::Text),
];
/// Those that a table of steps has behind them.
const OF_STEPS: [(&str, Kind); 3] = [("step_index", Kind::Count), ("step_kind", Kind::Text), ("step_label", Kind::Number)];
/// The column of the candidate's text, and what stands in its place where a row is a step.
const TEXT: &str = "completion";
const STEP_TEXT: &str = "step_text";

/// A value that a row keeps until it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(Option<String>),
    Flag(Option<bool>),
    Count(Option<usize>),
    Number(Option<f32>),
}

impl Cell {
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text.as_deref()),
            Self::Flag(flag) => Value::Flag(*flag),
            Self::Count(count) => Value::Count(*count),
            Self::Number(number) => Value::Number(*number),
        }
    }
}

/// The columns of a table with these signals. A signal that has the name of another column is `signal:NAME`.
pub(super) fn columns(rows: Rows, signals: &[String]) -> Vec<Column> {
    let steps = if rows == Rows::Step { &OF_STEPS[..] } else { &[] };
    let fixed = OF_CANDIDATES.iter().chain(steps);
    let taken: Vec<&str> = OF_CANDIDATES.iter().chain(&OF_STEPS).map(|f| f.0).chain([STEP_TEXT]).collect();
    let own = |name: &'static str| if name == TEXT && rows == Rows::Step { STEP_TEXT } else { name };
    let named = |name: &String| if taken.contains(&name.as_str()) { format!("signal:{name}") } else { name.clone() };
    let column = |name: String, kind| Column { required: name == "problem_id", name, kind };
    let mut out: Vec<Column> = fixed.map(|(name, kind)| column(own(name).to_owned(), *kind)).collect();
    for name in signals {
        let mut name = named(name);
        while out.iter().any(|c| c.name == name) {
            name.push('_');
        }
        out.push(column(name, Kind::Number));
    }
    out
}

/// The signals of a candidate that have a column: those that are stored, and those that the policy's tokens give.
pub(super) fn signals(c: &Candidate) -> impl Iterator<Item = Cow<'_, Signal>> {
    c.all_signals().into_iter().filter(|s| s.has_values() && s.name != crate::trace::LABEL)
}

/// The texts of a candidate's cells.
pub(super) fn texts<'a>(trace: &'a Trace, c: &'a Candidate, rows: Rows) -> impl Iterator<Item = &'a str> {
    let once = [Some(&trace.id), Some(&trace.problem), trace.gold_answer.as_ref(), c.policy.as_ref(), c.answer.as_ref()];
    let by_step = rows == Rows::Step;
    let steps = c.steps.iter().filter(move |_| by_step).map(|s| s.span.of(&c.text));
    let whole = (!by_step).then_some(c.text.as_str());
    once.into_iter().flatten().map(String::as_str).chain(whole).chain(steps)
}

/// Whether a spreadsheet may take a text for a formula.
pub(super) fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// The rows of a trace.
pub(super) fn rows(trace: &Trace, options: &Options, names: &[String]) -> Vec<Vec<Cell>> {
    trace.candidates.iter().enumerate().flat_map(|(i, c)| of_candidate(trace, i, c, options, names)).collect()
}

/// One value a step, none where a signal is of the whole, and the candidate's.
type Taken = (Vec<Option<f32>>, Option<f32>);

fn of_candidate(trace: &Trace, index: usize, c: &Candidate, options: &Options, names: &[String]) -> Vec<Vec<Cell>> {
    let own: Vec<Cow<'_, Signal>> = signals(c).collect();
    let taken: Vec<Option<Taken>> = names
        .iter()
        .map(|name| {
            let signal = own.iter().find(|s| s.name == *name)?;
            let reading = signal.threshold.as_ref().map_or_else(|| Reading::of(name.as_str()), |t| t.reading.clone());
            let steps = c.step_values(signal, &reading, options.granularity);
            let whole = signal.candidate_value(options.aggregation, &steps);
            Some((if signal.has_steps() { steps } else { Vec::new() }, whole))
        })
        .collect();
    let first_error = match c.gold {
        Some(GoldDeviation::Step(step)) => Some(step),
        _ => None,
    };
    let start = |text: &str| {
        vec![
            Cell::Text(Some(trace.id.clone())),
            Cell::Count(Some(index)),
            Cell::Text(Some(trace.problem.clone())),
            Cell::Text(trace.gold_answer.clone()),
            Cell::Text(c.policy.clone()),
            Cell::Text(Some(text.to_owned())),
            Cell::Text(c.answer.clone()),
            Cell::Flag(c.correct),
            Cell::Flag(Some(c.gold.is_some())),
            Cell::Count(first_error),
            Cell::Text(c.finish.as_ref().map(|f| finish(f).to_owned())),
        ]
    };
    if options.rows == Rows::Candidate {
        let mut row = start(&c.text);
        row.extend(taken.iter().map(|t| Cell::Number(t.as_ref().and_then(|t| t.1))));
        return vec![row];
    }
    let step = |(i, step): (usize, &crate::trace::Step)| {
        let mut row = start(step.span.of(&c.text));
        let kind = if step.kind == StepKind::Answer { "answer" } else { "reasoning" };
        row.extend([Cell::Count(Some(i)), Cell::Text(Some(kind.to_owned())), Cell::Number(step.label)]);
        // What is said of the whole alone stands in each of its rows.
        let value = |t: &Taken| if t.0.is_empty() { t.1 } else { t.0.get(i).copied().flatten() };
        row.extend(taken.iter().map(|t| Cell::Number(t.as_ref().and_then(value))));
        row
    };
    c.steps.iter().enumerate().map(step).collect()
}

fn finish(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Cancelled => "cancelled",
        FinishReason::Failed(_) => "failed",
    }
}

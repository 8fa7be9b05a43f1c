//! Every row behind a report's figures, one a candidate, as CSV or Parquet; CSV is read back as it was written.
//!
//! Columns are the fields of [`ScoredCandidate`], then what is derived from them for a reader's convenience (means a token, the reward under
//! each aggregation, the first step below the threshold); reading passes over those. A value that is not known is an empty field, a number
//! that is none is `NaN`. `greedy` is the problem's, the same in each of its rows. Lists of step values are JSON: `[1.5,null,"NaN"]`. An answer or class
//! that is empty or starts with `"` is a JSON string. A problem without candidates has one row without an index.

#[cfg(feature = "parquet")]
mod parquet;

use super::localise::{Marker, Signal};
use super::{ScoredCandidate, ScoredTrace};
use crate::trace::Aggregation;
use csv::{ReaderBuilder, StringRecord, Writer};
use std::io::{self, Read, Write};
use std::str::FromStr;

#[cfg(feature = "parquet")]
pub use parquet::write_parquet;

/// The aggregations that have a column.
const AGGREGATIONS: [(&str, Aggregation); Aggregation::ALL.len()] = [
    ("reward_mean", Aggregation::Mean),
    ("reward_min", Aggregation::Min),
    ("reward_last", Aggregation::Last),
    ("reward_product", Aggregation::Product),
    ("reward_sum", Aggregation::Sum),
    ("reward_discounted", Aggregation::Discounted),
];

/// Names of the columns in order.
pub const COLUMNS: [&str; 29] = [
    "problem_id",
    "index",
    "correct",
    "labelled",
    "first_error",
    "n_steps",
    "n_tokens",
    "answer",
    "logprob_sum",
    "critic_logprob_sum",
    "entropy_mean",
    "outcome_reward",
    "step_rewards",
    "step_logprob_min",
    "step_entropy_max",
    "step_critic_logprob_min",
    "step_combined",
    "step_labels",
    "class",
    "greedy",
    "logprob_mean",
    "critic_logprob_mean",
    "reward_mean",
    "reward_min",
    "reward_last",
    "reward_product",
    "reward_sum",
    "reward_discounted",
    "predicted_first_error",
];
/// Columns that a file must have to be read: the first ones, up to what is derived.
const NEEDED: usize = 20;

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The source fails.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not CSV of this kind.
    #[error("line {line}: {reason}")]
    Row {
        /// 1-based line where the row begins.
        line: u64,
        /// Field and remedy.
        reason: String,
    },
}

/// What is derived from a candidate's fields.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Derived {
    logprob_mean: Option<f32>,
    critic_logprob_mean: Option<f32>,
    rewards: [Option<f32>; AGGREGATIONS.len()],
    predicted: Option<usize>,
}

impl Derived {
    fn of(c: &ScoredCandidate, threshold: Option<f32>) -> Self {
        let mean = |sum: Option<f32>| sum.filter(|_| c.n_tokens > 0).map(|s| s / c.n_tokens as f32);
        Self {
            logprob_mean: mean(c.logprob_sum),
            critic_logprob_mean: mean(c.critic_logprob_sum),
            rewards: AGGREGATIONS.map(|a| c.reward(a.1)),
            predicted: threshold.and_then(|t| Marker::Below(Signal::Reward, t).mark(c)),
        }
    }
}

/// A number as Rust and JSON read it back to the bit; `NaN`, `inf` and `-inf` as words, quoted in JSON.
fn push_number(out: &mut Vec<u8>, value: f32, quoted: bool) {
    if value.is_finite() {
        // Writing to a vector cannot fail.
        let _ = serde_json::to_writer(out, &value);
    } else {
        let quote = if quoted { "\"" } else { "" };
        let _ = write!(out, "{quote}{value}{quote}");
    }
}

fn push_list(out: &mut Vec<u8>, values: &[Option<f32>]) {
    out.push(b'[');
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        match value {
            Some(v) => push_number(out, *v, true),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b']');
}

/// Fields of one row, written into a buffer that is used again.
struct Fields<W: Write> {
    writer: Writer<W>,
    buffer: Vec<u8>,
}

impl<W: Write> Fields<W> {
    fn bytes(&mut self, field: &[u8]) -> io::Result<()> {
        self.writer.write_field(field).map_err(io::Error::other)
    }
    fn count(&mut self, value: Option<usize>) -> io::Result<()> {
        self.buffer.clear();
        if let Some(v) = value {
            write!(self.buffer, "{v}")?;
        }
        self.flush_buffer()
    }
    fn number(&mut self, value: Option<f32>) -> io::Result<()> {
        self.buffer.clear();
        if let Some(v) = value {
            push_number(&mut self.buffer, v, false);
        }
        self.flush_buffer()
    }
    fn list(&mut self, values: &[Option<f32>]) -> io::Result<()> {
        self.buffer.clear();
        push_list(&mut self.buffer, values);
        self.flush_buffer()
    }
    fn flag(&mut self, value: Option<bool>) -> io::Result<()> {
        self.bytes(match value {
            Some(true) => b"true",
            Some(false) => b"false",
            None => b"",
        })
    }
    fn labels(&mut self, values: &[Option<i8>]) -> io::Result<()> {
        let words: Vec<String> = values.iter().map(|v| v.map_or("null".into(), |v| v.to_string())).collect();
        self.bytes(format!("[{}]", words.join(",")).as_bytes())
    }
    fn text(&mut self, value: Option<&str>) -> io::Result<()> {
        match value {
            Some(a) if a.is_empty() || a.starts_with('"') => self.bytes(serde_json::Value::from(a).to_string().as_bytes()),
            a => self.bytes(a.unwrap_or("").as_bytes()),
        }
    }
    fn flush_buffer(&mut self) -> io::Result<()> {
        self.writer.write_field(&self.buffer).map_err(io::Error::other)
    }
    fn end(&mut self) -> io::Result<()> {
        self.writer.write_record(None::<&[u8]>).map_err(io::Error::other)
    }
}

/// Writes the rows as CSV with a header, one row at a time. `threshold`: what marks a first error in `predicted_first_error`, in logits.
///
/// # Errors
/// The destination fails.
pub fn csv(traces: &[ScoredTrace], threshold: Option<f32>, out: impl Write) -> io::Result<()> {
    let mut f = Fields { writer: Writer::from_writer(out), buffer: Vec::new() };
    f.writer.write_record(COLUMNS).map_err(io::Error::other)?;
    for trace in traces {
        if trace.candidates.is_empty() {
            f.bytes(trace.id.as_bytes())?;
            for column in &COLUMNS[1..] {
                f.flag(trace.greedy.filter(|_| *column == "greedy"))?;
            }
            f.end()?;
        }
        for (index, c) in trace.candidates.iter().enumerate() {
            let derived = Derived::of(c, threshold);
            f.bytes(trace.id.as_bytes())?;
            f.count(Some(index))?;
            f.flag(Some(c.correct))?;
            f.flag(Some(c.labelled))?;
            f.count(c.first_error)?;
            f.count(Some(c.n_steps))?;
            f.count(Some(c.n_tokens))?;
            f.text(c.answer.as_deref())?;
            f.number(c.logprob_sum)?;
            f.number(c.critic_logprob_sum)?;
            f.number(c.entropy_mean)?;
            f.number(c.outcome_reward)?;
            for values in [&c.step_rewards, &c.step_logprob_min, &c.step_entropy_max, &c.step_critic_logprob_min, &c.step_combined] {
                f.list(values)?;
            }
            f.labels(&c.step_labels)?;
            f.text(c.class.as_deref())?;
            f.flag(trace.greedy)?;
            f.number(derived.logprob_mean)?;
            f.number(derived.critic_logprob_mean)?;
            for value in derived.rewards {
                f.number(value)?;
            }
            f.count(derived.predicted)?;
            f.end()?;
        }
    }
    f.writer.flush()
}

/// A row while it is read.
struct Row<'a> {
    record: &'a StringRecord,
    at: &'a [usize; NEEDED],
    line: u64,
}

impl Row<'_> {
    fn field(&self, column: &str) -> &str {
        let place = COLUMNS[..NEEDED].iter().position(|c| *c == column);
        place.and_then(|p| self.record.get(self.at[p])).unwrap_or("")
    }
    fn fault(&self, column: &str, what: &str) -> RowError {
        let value: String = self.field(column).chars().take(40).collect();
        RowError::Row { line: self.line, reason: format!("{column} is `{value}`; {what}") }
    }
    fn optional<T: FromStr>(&self, column: &str, what: &str) -> Result<Option<T>, RowError> {
        let field = self.field(column);
        if field.is_empty() { Ok(None) } else { field.parse().map(Some).map_err(|_| self.fault(column, what)) }
    }
    fn whole(&self, column: &str) -> Result<usize, RowError> {
        self.optional(column, "a whole number is needed")?.ok_or_else(|| self.fault(column, "a whole number is needed"))
    }
    fn flag(&self, column: &str) -> Result<Option<bool>, RowError> {
        match self.field(column) {
            "" => Ok(None),
            "true" | "True" => Ok(Some(true)),
            "false" | "False" => Ok(Some(false)),
            _ => Err(self.fault(column, "`true` or `false` is needed")),
        }
    }
    fn known_flag(&self, column: &str) -> Result<bool, RowError> {
        self.flag(column)?.ok_or_else(|| self.fault(column, "`true` or `false` is needed"))
    }
    fn list<T: FromStr>(&self, column: &str) -> Result<Vec<Option<T>>, RowError> {
        let fault = || self.fault(column, "a JSON list of numbers, `null` and \"NaN\" is needed");
        let text = self.field(column).trim();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let inside = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).ok_or_else(fault)?.trim();
        if inside.is_empty() {
            return Ok(Vec::new());
        }
        let item = |item: &str| match item.trim() {
            "null" => Ok(None),
            number => number.trim_matches('"').parse().map(Some).map_err(|_| fault()),
        };
        inside.split(',').map(item).collect()
    }
    fn text(&self, column: &str) -> Result<Option<String>, RowError> {
        match self.field(column) {
            "" => Ok(None),
            text if text.starts_with('"') => {
                serde_json::from_str(text).map(Some).map_err(|_| self.fault(column, "a closing `\"` is missing"))
            }
            text => Ok(Some(text.to_string())),
        }
    }
    fn candidate(&self) -> Result<ScoredCandidate, RowError> {
        Ok(ScoredCandidate {
            correct: self.known_flag("correct")?,
            labelled: self.known_flag("labelled")?,
            first_error: self.optional("first_error", "a whole number or nothing is needed")?,
            n_steps: self.whole("n_steps")?,
            n_tokens: self.whole("n_tokens")?,
            answer: self.text("answer")?,
            logprob_sum: self.optional("logprob_sum", "a number or nothing is needed")?,
            critic_logprob_sum: self.optional("critic_logprob_sum", "a number or nothing is needed")?,
            entropy_mean: self.optional("entropy_mean", "a number or nothing is needed")?,
            outcome_reward: self.optional("outcome_reward", "a number or nothing is needed")?,
            step_rewards: self.list("step_rewards")?,
            step_logprob_min: self.list("step_logprob_min")?,
            step_entropy_max: self.list("step_entropy_max")?,
            step_critic_logprob_min: self.list("step_critic_logprob_min")?,
            step_combined: self.list("step_combined")?,
            step_labels: self.list("step_labels")?,
            class: self.text("class")?,
        })
    }
}

/// Reads what [`csv()`] wrote; columns may stand in any order, and others are passed over. Rows of a problem stand together, in order.
///
/// # Errors
/// The source fails, a column is missing, a field is not of its kind, or an index is not the next of its problem.
pub fn read_csv(source: impl Read) -> Result<Vec<ScoredTrace>, RowError> {
    let mut reader = ReaderBuilder::new().from_reader(source);
    let broken = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(e) => RowError::Io(e),
        csv::ErrorKind::Utf8 { pos, err } => RowError::Row { line: pos.map_or(0, |p| p.line()), reason: format!("not UTF-8: {err}") },
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            RowError::Row { line: pos.map_or(0, |p| p.line()), reason: format!("{len} fields where the header names {expected_len}") }
        }
        kind => RowError::Row { line: 0, reason: format!("{kind:?}") },
    };
    let header = reader.headers().map_err(broken)?.clone();
    let mut at = [0; NEEDED];
    for (place, name) in at.iter_mut().zip(COLUMNS) {
        let found = header.iter().position(|h| h == name);
        *place = found.ok_or_else(|| RowError::Row { line: 1, reason: format!("no column {name}; is this the rows.csv of a report?") })?;
    }
    let mut traces: Vec<ScoredTrace> = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(broken)? {
        let row = Row { record: &record, at: &at, line: record.position().map_or(0, csv::Position::line) };
        let (id, greedy) = (row.field("problem_id"), row.flag("greedy")?);
        let Some(index) = row.optional::<usize>("index", "a whole number or nothing is needed")? else {
            traces.push(ScoredTrace { greedy, ..ScoredTrace::new(id, Vec::new()) });
            continue;
        };
        let candidate = row.candidate()?;
        match traces.last_mut().filter(|_| index > 0) {
            Some(trace) if trace.id == id && trace.candidates.len() == index => trace.candidates.push(candidate),
            Some(_) => return Err(row.fault("index", "the rows of a problem must stand together, from index 0 on")),
            None if index > 0 => return Err(row.fault("index", "the rows of a problem must start at index 0")),
            None => traces.push(ScoredTrace { greedy, ..ScoredTrace::new(id, vec![candidate]) }),
        }
    }
    Ok(traces)
}

#[cfg(test)]
pub(super) mod tests;

//! Rows read back.

use super::fields::{Part, fixed, part};
use crate::eval::scored::Column;
use crate::eval::{ScoredCandidate, ScoredTrace};
use csv::{ReaderBuilder, StringRecord};
use std::io::{self, Read};
use std::str::FromStr;

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

/// What the columns of a file are.
struct Layout {
    /// Name and part of every column that is read, with its place.
    parts: Vec<(usize, String, Part)>,
    /// The readings, with the places of their steps and of their whole among the parts.
    readings: Vec<(Column, Option<usize>, Option<usize>)>,
}

impl Layout {
    fn of(header: &StringRecord) -> Result<Self, RowError> {
        let parts: Vec<(usize, String, Part)> =
            header.iter().enumerate().filter_map(|(at, name)| Some((at, name.to_owned(), part(name)?))).collect();
        if let Some(missing) = fixed().find(|name| !header.iter().any(|h| h == *name)) {
            return Err(RowError::Row { line: 1, reason: format!("no column {missing}; is this the rows.csv of a report?") });
        }
        let mut readings: Vec<(Column, Option<usize>, Option<usize>)> = Vec::new();
        for (at, (_, _, part)) in parts.iter().enumerate() {
            let (Part::StepsOf(column) | Part::WholeOf(column)) = part else { continue };
            let known = readings.iter().position(|r| r.0.reading == column.reading).unwrap_or_else(|| {
                readings.push((column.clone(), None, None));
                readings.len() - 1
            });
            let place = if matches!(part, Part::StepsOf(_)) { &mut readings[known].1 } else { &mut readings[known].2 };
            *place = Some(at);
        }
        Ok(Self { parts, readings })
    }
}

/// A row while it is read.
struct Row<'a> {
    record: &'a StringRecord,
    layout: &'a Layout,
    line: u64,
}

impl Row<'_> {
    /// Place of a fixed field among the parts.
    fn place(&self, part: &Part) -> usize {
        self.layout.parts.iter().position(|p| p.2 == *part).unwrap_or(usize::MAX)
    }
    fn field(&self, at: usize) -> &str {
        self.layout.parts.get(at).and_then(|p| self.record.get(p.0)).unwrap_or("")
    }
    fn fault(&self, at: usize, what: &str) -> RowError {
        let value: String = self.field(at).chars().take(40).collect();
        let name = self.layout.parts.get(at).map_or("", |p| p.1.as_str());
        RowError::Row { line: self.line, reason: format!("{name} is `{value}`; {what}") }
    }
    fn optional<T: FromStr>(&self, at: usize, what: &str) -> Result<Option<T>, RowError> {
        let field = self.field(at);
        if field.is_empty() { Ok(None) } else { field.parse().map(Some).map_err(|_| self.fault(at, what)) }
    }
    fn count(&self, part: &Part) -> Result<Option<usize>, RowError> {
        self.optional(self.place(part), "a whole number or nothing is needed")
    }
    fn whole(&self, part: &Part) -> Result<usize, RowError> {
        let (at, what) = (self.place(part), "a whole number is needed");
        self.optional(at, what)?.ok_or_else(|| self.fault(at, what))
    }
    fn flag(&self, part: &Part) -> Result<Option<bool>, RowError> {
        let at = self.place(part);
        match self.field(at) {
            "" => Ok(None),
            "true" | "True" => Ok(Some(true)),
            "false" | "False" => Ok(Some(false)),
            _ => Err(self.fault(at, "`true` or `false` is needed")),
        }
    }
    fn known_flag(&self, part: &Part) -> Result<bool, RowError> {
        self.flag(part)?.ok_or_else(|| self.fault(self.place(part), "`true` or `false` is needed"))
    }
    fn list<T: FromStr>(&self, at: usize) -> Result<Vec<Option<T>>, RowError> {
        let fault = || self.fault(at, "a JSON list of numbers and `null` is needed");
        let text = self.field(at).trim();
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
    fn text(&self, part: &Part) -> Result<Option<String>, RowError> {
        let at = self.place(part);
        match self.field(at) {
            "" => Ok(None),
            text if text.starts_with('"') => serde_json::from_str(text).map(Some).map_err(|_| self.fault(at, "a closing `\"` is missing")),
            text => Ok(Some(text.to_string())),
        }
    }

    fn candidate(&self) -> Result<ScoredCandidate, RowError> {
        let mut candidate = ScoredCandidate {
            correct: self.flag(&Part::Correct)?.unwrap_or(false),
            unknown: self.flag(&Part::Correct)?.is_none(),
            labelled: self.known_flag(&Part::Labelled)?,
            first_error: self.count(&Part::FirstError)?,
            n_steps: self.whole(&Part::Steps)?,
            n_tokens: self.whole(&Part::Tokens)?,
            answer: self.text(&Part::Answer)?,
            step_labels: self.list(self.place(&Part::StepLabels))?,
            class: self.text(&Part::Class)?,
            ..ScoredCandidate::default()
        };
        let n = candidate.n_steps;
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for (column, steps, whole) in &self.layout.readings {
            let list: Vec<Option<f32>> = steps.map_or(Ok(Vec::new()), |at| self.list(at))?;
            let said: Option<f32> = whole.map_or(Ok(None), |at| self.optional(at, "a number or nothing is needed"))?;
            if list.is_empty() && said.is_none() && (n > 0 || steps.is_none_or(|at| self.field(at).is_empty())) {
                continue;
            }
            if let Some(at) = steps.filter(|_| !list.is_empty() && list.len() != n) {
                return Err(self.fault(at, &format!("{} values, but n_steps is {n}", list.len())));
            }
            let turned = |v: Option<f32>| v.map_or(f32::NAN, |v| column.turn(v));
            values.extend((0..n).map(|i| turned(list.get(i).copied().flatten())));
            values.push(turned(said));
            columns.push(column.clone());
        }
        candidate.set(columns, values);
        Ok(candidate)
    }
}

/// Reads what [`csv()`](super::csv()) wrote, and what older versions did; columns may stand in any order, and others are passed over. Rows of a problem stand
/// together, in order.
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
    let layout = Layout::of(reader.headers().map_err(broken)?)?;
    let mut traces: Vec<ScoredTrace> = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(broken)? {
        let row = Row { record: &record, layout: &layout, line: record.position().map_or(0, csv::Position::line) };
        let (id, greedy) = (row.field(row.place(&Part::Id)), row.flag(&Part::Greedy)?);
        let Some(index) = row.count(&Part::Index)? else {
            traces.push(ScoredTrace { greedy, ..ScoredTrace::new(id, Vec::new()) });
            continue;
        };
        let candidate = row.candidate()?;
        let fault = |what: &str| Err(row.fault(row.place(&Part::Index), what));
        match traces.last_mut().filter(|_| index > 0) {
            Some(trace) if trace.id == id && trace.candidates.len() == index => trace.candidates.push(candidate),
            Some(_) => return fault("the rows of a problem must stand together, from index 0 on"),
            None if index > 0 => return fault("the rows of a problem must start at index 0"),
            None => traces.push(ScoredTrace { greedy, ..ScoredTrace::new(id, vec![candidate]) }),
        }
    }
    Ok(traces)
}

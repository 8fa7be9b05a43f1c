//! Samples for HumanEval's functions, and the file beside them that says which of them passed the tests.

use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_integer, lines, wrong};
use crate::trace::{Candidate, Trace};
use serde_json::{Map, Value};

pub(in crate::format) fn fits_samples(record: &Map<String, Value>) -> bool {
    record.contains_key("prompt") && record.get("samples").is_some_and(Value::is_array)
}

pub(in crate::format) fn fits_verdicts(record: &Map<String, Value>) -> bool {
    record.contains_key("task_id") && record.get("passed").is_some_and(Value::is_array) && !record.contains_key("samples")
}

/// The id of a record that names none, which are in the order of the benchmark: `HumanEval/0` is the first.
pub(in crate::format) fn id_at(number: u32) -> String {
    format!("HumanEval/{}", number.saturating_sub(1))
}

/// A candidate an element of `samples`, the code that goes on from `prompt`; verdicts of `passed`, where it stands in the record itself.
pub(in crate::format) fn parse_samples(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let texts = record.texts("samples")?;
    let passed = if record.get("passed").is_some() { verdicts(&record)? } else { vec![None; texts.len()] };
    if passed.len() != texts.len() {
        let problem = format!("has {} elements for {} samples", passed.len(), texts.len());
        return Err(FieldError::new("passed", problem, "give one a sample"));
    }
    let code = |(text, correct): (&&str, Option<bool>)| Candidate {
        text: (*text).to_owned(),
        steps: lines(text),
        correct,
        ..Candidate::default()
    };
    Ok(Trace {
        id: record.opt_text("task_id")?.unwrap_or_default().to_owned(),
        problem: record.text("prompt")?.to_owned(),
        candidates: texts.iter().zip(passed).map(code).collect(),
        ..Trace::default()
    })
}

/// Candidates that have a verdict and no text; [`join`](crate::format::join()) puts them to their samples.
pub(in crate::format) fn parse_verdicts(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let candidates = verdicts(&record)?.into_iter().map(|correct| Candidate { correct, ..Candidate::default() }).collect();
    Ok(Trace { id: record.text("task_id")?.to_owned(), candidates, ..Trace::default() })
}

/// `passed`: true or false, 1 or 0, or null.
fn verdicts(record: &Fields<'_>) -> Result<Vec<Option<bool>>, FieldError> {
    let one = |(i, v): (usize, &Value)| match (v, as_integer(v)) {
        (Value::Null, _) => Ok(None),
        (Value::Bool(b), _) => Ok(Some(*b)),
        (_, Some(n @ (0 | 1))) => Ok(Some(n == 1)),
        _ => Err(wrong(&format!("passed[{i}]"), v, "true, false, 1, 0 or null")),
    };
    record.array("passed")?.iter().enumerate().map(one).collect()
}

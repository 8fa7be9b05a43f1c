//! Problems without candidates: JSON records or plain text, one a line.

use crate::format::error::FieldError;
use crate::format::fields::Fields;
use crate::format::flat::{gold, posed};
use crate::trace::Trace;
use serde_json::{Map, Value};

const NAMES: [&str; 3] = ["problem", "question", "prompt"];
const ANSWERS: [&str; 5] = ["gold_answer", "answer", "final_answer", "ground_truth", "gold"];

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    NAMES.iter().any(|k| record.get(*k).is_some_and(|v| v.is_string() || v.as_array().is_some_and(|all| all.iter().any(Value::is_object))))
}

/// The problem under its first name that is there, and the reference answer where there is one (what follows `####` in a solution).
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let Some(name) = NAMES.into_iter().find(|k| record.get(k).is_some()) else {
        return Err(FieldError::new("problem", "is missing", "name it problem, question or prompt"));
    };
    let problem = posed(record.need(name)?, name)?.problem;
    if problem.is_empty() {
        return Err(FieldError::new(name, "is empty", "fill it or remove the record"));
    }
    let named = ANSWERS.iter().find_map(|k| record.get(k));
    let answer = named.or_else(|| record.get("reward_model")?.get("ground_truth"));
    Ok(Trace { id: record.id().unwrap_or_default(), problem, gold_answer: answer.and_then(|v| gold(v).0), ..Trace::default() })
}

/// A line of plain text.
pub(in crate::format) fn parse_text(line: &str) -> Trace {
    Trace { problem: line.trim().to_owned(), ..Trace::default() }
}

//! Pools of answers to GSM8K questions: many candidates a question, each with the answer read off it and a verdict.

use crate::format::error::FieldError;
use crate::format::fields::{Fields, keep_others, lines, plain_number, wrong};
use crate::trace::{Candidate, Trace};
use serde_json::{Map, Value};

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    record.contains_key("question") && record.contains_key("gold") && record.get("candidates").is_some_and(Value::is_array)
}

/// `question`, `gold` and `candidates`, each with `text`, `source` (who wrote it), `pred` (null: none was found) and `correct`.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let mut candidates = Vec::new();
    for fields in record.objects("candidates")? {
        let text = fields.text("text")?;
        let answer = match fields.get("pred") {
            Some(v) => Some(plain_number(v).ok_or_else(|| wrong(&fields.name("pred"), v, "a number, a string or null"))?),
            None => None,
        };
        candidates.push(Candidate {
            text: text.to_owned(),
            steps: lines(text),
            answer,
            correct: fields.opt_bool("correct")?,
            policy: fields.opt_text("source")?.map(Into::into),
            ..Candidate::default()
        });
    }
    let mut trace = Trace {
        id: record.id().unwrap_or_default(),
        problem: record.text("question")?.to_owned(),
        gold_answer: record.get("gold").and_then(plain_number),
        candidates,
        ..Trace::default()
    };
    keep_others(&mut trace, record.map, &["question", "gold", "candidates"]);
    Ok(trace)
}

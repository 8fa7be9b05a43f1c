//! GSM8K: expert solutions, and the four recorded model solutions a problem.

use crate::format::error::FieldError;
use crate::format::fields::{Fields, final_answer, keep_others, lines};
use crate::trace::{Candidate, Trace};
use serde_json::{Map, Value};

const SOLVERS: [&str; 4] = ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"];

pub(in crate::format) fn fits_expert(record: &Map<String, Value>) -> bool {
    record.contains_key("question") && record.get("answer").and_then(Value::as_str).is_some_and(|a| a.contains("####"))
}

pub(in crate::format) fn fits_solutions(record: &Map<String, Value>) -> bool {
    record.contains_key("question") && SOLVERS.iter().any(|s| record.contains_key(*s))
}

/// The expert's solution as the one candidate, a step a line, calculator notes kept.
pub(in crate::format) fn parse_expert(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let text = record.text("answer")?;
    let Some(answer) = final_answer(text) else {
        return Err(FieldError::new("answer", "has no line `#### ANSWER`", "end it with one"));
    };
    let candidate = Candidate {
        text: text.to_owned(),
        steps: lines(text),
        answer: Some(answer.clone()),
        correct: Some(true),
        policy: Some("expert".into()),
        ..Candidate::default()
    };
    let mut trace = Trace {
        id: record.id().unwrap_or_default(),
        problem: record.text("question")?.to_owned(),
        gold_answer: Some(answer),
        candidates: vec![candidate],
        source: None,
    };
    keep_others(&mut trace, record.map, &["question", "answer"]);
    Ok(trace)
}

/// One candidate a recorded solver; whichever are there.
pub(in crate::format) fn parse_solutions(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let mut candidates = Vec::new();
    for name in SOLVERS {
        let Some(solution) = record.opt_object(name)? else { continue };
        let text = solution.text("solution")?;
        candidates.push(Candidate {
            text: text.to_owned(),
            steps: lines(text),
            answer: final_answer(text),
            correct: solution.opt_bool("is_correct")?,
            policy: Some(name.into()),
            ..Candidate::default()
        });
    }
    let mut trace = Trace {
        id: record.id().unwrap_or_default(),
        problem: record.text("question")?.to_owned(),
        gold_answer: record.opt_text("ground_truth")?.and_then(final_answer),
        candidates,
        source: None,
    };
    keep_others(&mut trace, record.map, &[&["question", "ground_truth"], &SOLVERS[..]].concat());
    Ok(trace)
}

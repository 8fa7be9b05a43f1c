//! PRMBench (arXiv 2501.03124): a right solution and the same with faults put in, the faulty steps named, and the class of the fault.

use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_integer, join_steps, keep_others, wrong};
use crate::trace::{Candidate, GoldDeviation, Trace};
use serde_json::{Map, Value};

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    record.contains_key("original_process") && record.contains_key("modified_process")
}

/// Fields that have a place in the trace.
const TAKEN: [&str; 8] = [
    "original_process",
    "modified_process",
    "error_steps",
    "original_question",
    "question",
    "modified_question",
    "classification",
    "reason",
];

/// Two candidates, `original` and `modified`, with step labels: 0 for the steps that `error_steps` counts from 1, 1 for the others. Numbers behind the
/// last step, of which the published set has some, are left out; a record with nothing but those is an error.
///
/// The class of the fault (`classification`), its `reason`, and the question where it was changed too (`modified_question`) stay beside the modified
/// candidate.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let (original, modified) = (record.texts("original_process")?, record.texts("modified_process")?);
    let given = record.array("error_steps")?;
    let mut faults = Vec::with_capacity(given.len());
    for (i, v) in given.iter().enumerate() {
        let number = as_integer(v).and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
        faults.push(number.ok_or_else(|| wrong(&format!("error_steps[{i}]"), v, "step numbers, from 1"))? - 1);
    }
    faults.retain(|&at| at < modified.len());
    if faults.is_empty() && !given.is_empty() {
        let problem = format!("names none of the {} steps of `modified_process`", modified.len());
        return Err(FieldError::new("error_steps", problem, "give step numbers, from 1"));
    }
    let problem = match record.get("original_question") {
        Some(_) => record.text("original_question")?,
        None => record.text("question")?,
    };
    let mut notes = Map::new();
    for key in ["classification", "reason"] {
        if let Some(text) = record.opt_text(key)? {
            notes.insert(key.into(), text.into());
        }
    }
    if let Some(changed) = record.opt_text("modified_question")?.filter(|q| q.trim() != problem.trim()) {
        notes.insert("modified_question".into(), changed.into());
    }
    let extra = (!notes.is_empty()).then(|| Value::Object(notes).to_string());
    let candidates = vec![candidate("original", &original, &[]), Candidate { extra, ..candidate("modified", &modified, &faults) }];
    let mut trace = Trace { id: record.id().unwrap_or_default(), problem: problem.to_owned(), candidates, ..Trace::default() };
    keep_others(&mut trace, record.map, &TAKEN);
    Ok(trace)
}

fn candidate(name: &str, parts: &[&str], faults: &[usize]) -> Candidate {
    let (text, mut steps) = join_steps(parts, "\n\n");
    for (i, step) in steps.iter_mut().enumerate() {
        step.label = Some(if faults.contains(&i) { 0.0 } else { 1.0 });
    }
    let gold = faults.iter().min().map_or(GoldDeviation::None, |&first| GoldDeviation::Step(first));
    Candidate { text, steps, gold: Some(gold), policy: Some(name.into()), ..Candidate::default() }
}

//! ProcessBench: steps of a model's solution and the index of the first wrong one.

use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_integer, as_text, first_wrong, join_steps, wrong};
use crate::format::flat::{Read, label, posed, step_fields, text_key, verdict};
use crate::trace::{Candidate, GoldDeviation, Trace};
use serde_json::{Map, Value};

const PROBLEMS: [&str; 3] = ["problem", "question", "prompt"];
pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    let asked = PROBLEMS.iter().any(|k| record.contains_key(*k));
    record.contains_key("steps")
        && record.contains_key("label")
        && (record.contains_key("final_answer_correct") || asked && record.get("steps").is_some_and(Value::is_array))
}

/// `label` counts from 0; −1 says that no step is wrong, null that nobody knows. It may be a text, or a list with a label a step. `final_answer_correct` and
/// `generator` may be missing; other fields are kept, numbers as signals.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let given = record.array("steps")?;
    let text_of = |(i, v): (usize, &'_ Value)| -> Result<String, FieldError> {
        let text = text_key(v).and_then(|key| v.get(key)).or_else(|| v.get("step")).unwrap_or(v);
        Ok(as_text(text, &format!("steps[{i}]"))?.to_owned())
    };
    let texts: Vec<String> = given.iter().enumerate().map(text_of).collect::<Result<_, _>>()?;
    let parts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (text, mut steps) = join_steps(&parts, "\n\n");
    let gold = match record.map.get("label") {
        Some(Value::Null) => None,
        Some(Value::Array(labels)) => {
            if labels.len() != steps.len() {
                let problem = format!("has {} elements for {} steps", labels.len(), steps.len());
                return Err(FieldError::new("label", problem, "give one a step, or the index of the first wrong one"));
            }
            for (i, (step, given)) in steps.iter_mut().zip(labels).enumerate() {
                step.label = label(given).ok_or_else(|| wrong(&format!("label[{i}]"), given, "true, false, 1, 0 or -1"))?;
            }
            first_wrong(&steps)
        }
        _ => Some(first(&record, steps.len())?),
    };
    let name = PROBLEMS.into_iter().find(|k| record.get(k).is_some()).unwrap_or(PROBLEMS[0]);
    let asked = posed(record.need(name)?, name)?;
    let correct = match record.get("final_answer_correct") {
        Some(v) => Some(verdict(v).ok_or_else(|| wrong("final_answer_correct", v, "true or false"))?),
        None => None,
    };
    let candidate = Candidate { text, steps, gold, correct, policy: record.opt_text("generator")?.map(Into::into), ..Candidate::default() };
    let mut read = Read { candidate, ..Read::default() };
    let objects: Vec<&Map<String, Value>> = given.iter().filter_map(Value::as_object).collect();
    if objects.len() == given.len() {
        let gold = read.candidate.gold;
        step_fields(&mut read, &objects, &|name| name == "step" || given.iter().any(|v| text_key(v) == Some(name)));
        read.candidate.gold = gold.or(read.candidate.gold);
    }
    let id = record.id().unwrap_or_default();
    read.put_others(record.map, &["steps", "label", "final_answer_correct", "generator", name], &id);
    Ok(Trace { id, problem: asked.problem, candidates: vec![read.done()], ..Trace::default() })
}

/// The first wrong step.
fn first(record: &Fields<'_>, steps: usize) -> Result<GoldDeviation, FieldError> {
    let given = record.need("label")?;
    let label = as_integer(given).or_else(|| given.as_str()?.trim().parse().ok()).ok_or_else(|| wrong("label", given, "an integer"))?;
    match usize::try_from(label) {
        Err(_) if label == -1 => Ok(GoldDeviation::None),
        Ok(step) if step < steps => Ok(GoldDeviation::Step(step)),
        _ => {
            let problem = format!("is {label} with {steps} steps");
            Err(FieldError::new("label", problem, "give the 0-based index of the first wrong step, or -1"))
        }
    }
}

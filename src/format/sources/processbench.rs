//! ProcessBench: steps of a model's solution and the index of the first wrong one.

use crate::format::error::FieldError;
use crate::format::fields::{Fields, join_steps};
use crate::trace::{Candidate, GoldDeviation, Trace};
use serde_json::{Map, Value};

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    record.contains_key("steps") && record.contains_key("label") && record.contains_key("final_answer_correct")
}

/// `label` counts from 0; −1 says that no step is wrong.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let parts = record.texts("steps")?;
    let (text, steps) = join_steps(&parts, "\n\n");
    let label = record.integer("label")?;
    let gold = match usize::try_from(label) {
        Err(_) if label == -1 => GoldDeviation::None,
        Ok(step) if step < steps.len() => GoldDeviation::Step(step),
        _ => {
            let problem = format!("is {label} with {} steps", steps.len());
            return Err(FieldError::new("label", problem, "give the 0-based index of the first wrong step, or -1"));
        }
    };
    Ok(Trace {
        id: record.id().unwrap_or_default(),
        problem: record.text("problem")?.to_owned(),
        candidates: vec![Candidate {
            text,
            steps,
            gold: Some(gold),
            correct: record.opt_bool("final_answer_correct")?,
            policy: record.opt_text("generator")?.map(Into::into),
            ..Candidate::default()
        }],
        ..Trace::default()
    })
}

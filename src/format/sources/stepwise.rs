//! Stepwise supervision: TRL's `prompt`, `completions`, `labels`, and Math-Shepherd's marked text.

use super::openai::problem_of;
use crate::format::error::FieldError;
use crate::format::fields::{Fields, join_steps, wrong};
use crate::trace::{Candidate, GoldDeviation, Segmentation, Step, Trace, segment};
use serde_json::{Map, Value};

/// Math-Shepherd's mark at the end of a step.
pub(in crate::format) const MARK: &str = "ки";

pub(in crate::format) fn fits_trl(record: &Map<String, Value>) -> bool {
    record.contains_key("prompt") && record.contains_key("completions") && record.contains_key("labels")
}

pub(in crate::format) fn fits_shepherd(record: &Map<String, Value>) -> bool {
    record.get("input").and_then(Value::as_str).is_some_and(|s| s.contains(MARK)) && record.contains_key("label")
}

/// A step an element of `completions`, a label (true, false or a number) an element of `labels`.
pub(in crate::format) fn parse_trl(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let parts = record.texts("completions")?;
    let given = record.array("labels")?;
    if given.len() != parts.len() {
        let problem = format!("has {} elements for {} completions", given.len(), parts.len());
        return Err(FieldError::new("labels", problem, "give one a completion"));
    }
    // a completion that brings its own line end needs no other
    let separator = if parts.iter().any(|p| p.ends_with('\n')) { "" } else { "\n" };
    let (text, mut steps) = join_steps(&parts, separator);
    for (i, (step, label)) in steps.iter_mut().zip(given).enumerate() {
        step.label = match label {
            Value::Null => None,
            Value::Bool(b) => Some(f32::from(u8::from(*b))),
            Value::Number(n) => n.as_f64().map(|x| x as f32),
            _ => return Err(wrong(&format!("labels[{i}]"), label, "true, false or a number")),
        };
    }
    let problem = match record.need("prompt")? {
        Value::String(s) => s.clone(),
        Value::Array(_) => problem_of(&record.objects("prompt")?)?,
        other => return Err(wrong("prompt", other, "a string or a list of messages")),
    };
    let gold = gold(&steps);
    let candidate = Candidate { text, steps, gold, ..Candidate::default() };
    Ok(Trace { id: record.id().unwrap_or_default(), problem, candidates: vec![candidate], ..Trace::default() })
}

/// The first step labelled 0, where every label is 0 or 1; shares of right rollouts name no first error.
fn gold(steps: &[Step]) -> Option<GoldDeviation> {
    if steps.is_empty() || !steps.iter().all(|s| s.label.is_some_and(|l| l == 0.0 || l == 1.0)) {
        return None;
    }
    Some(steps.iter().position(|s| s.label == Some(0.0)).map_or(GoldDeviation::None, GoldDeviation::Step))
}

/// `input` is problem and steps with a mark after each step; `label` is the same text with `+` or `-` in the marks' places. The marks stay in the text.
pub(in crate::format) fn parse_shepherd(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let (input, label) = (record.text("input")?, record.text("label")?);
    let first_mark = input.find(MARK).unwrap_or(input.len());
    let start = input[..first_mark].rfind("Step 1:").unwrap_or(0);
    let text = input[start..].trim_end();
    let mut steps = segment(text, &Segmentation::Separator(MARK.to_owned()));
    for (i, (at, _)) in input.match_indices(MARK).enumerate() {
        // every mark before this one is shorter in the label
        let there = at - i * (MARK.len() - 1);
        let verdict = match label.as_bytes().get(there) {
            Some(b'+') => 1.0,
            Some(b'-') => 0.0,
            _ => {
                let problem = format!("has no + or - where `input` has its mark number {}", i + 1);
                return Err(FieldError::new("label", problem, "repeat the input with + or - for each mark"));
            }
        };
        if let Some(step) = steps.get_mut(i) {
            step.label = Some(verdict);
        }
    }
    let answer = text.rsplit_once("The answer is:").map(|(_, a)| a.trim().trim_end_matches(MARK).trim().to_owned());
    let gold = gold(&steps);
    Ok(Trace {
        id: record.id().unwrap_or_default(),
        problem: input[..start].trim().to_owned(),
        candidates: vec![Candidate { text: text.to_owned(), steps, gold, answer, ..Candidate::default() }],
        ..Trace::default()
    })
}

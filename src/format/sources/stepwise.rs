//! Stepwise supervision: TRL's `prompt`, `completions`, `labels`, and texts with a mark after each step (Math-Shepherd, ER-PRM).

use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_text, first_wrong, join_steps, wrong};
use crate::format::flat::{Read, fit, label, posed};
use crate::trace::{Candidate, Segmentation, Trace, segment};
use serde_json::{Map, Value};

/// Math-Shepherd's mark at the end of a step.
pub(in crate::format) const MARK: &str = "ки";
/// Fields that a marked text may stand in, and those that what is said of its steps may.
const INPUTS: [&str; 3] = ["input", "text", "solution"];
const LABELS: [&str; 6] = ["label", "labels", "value", "values", "scores", "rewards"];

pub(in crate::format) fn fits_trl(record: &Map<String, Value>) -> bool {
    record.contains_key("prompt") && record.contains_key("completions") && record.contains_key("labels")
}

pub(in crate::format) fn fits_shepherd(record: &Map<String, Value>) -> bool {
    let marked = INPUTS.iter().any(|k| record.get(*k).and_then(Value::as_str).is_some_and(|s| s.contains(MARK)));
    // Labels that name the marks' places may stand beside a text without marks.
    let shown = || record.get("input").is_some_and(Value::is_string) && record.get("label").and_then(Value::as_array).is_some();
    (marked || shown()) && LABELS.iter().any(|k| record.contains_key(*k))
}

/// A step an element of `completions`, a label (true, false, a number, or a word or sign for one) an element of `labels`.
pub(in crate::format) fn parse_trl(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let parts = match record.need("completions")? {
        Value::String(one) => vec![one.as_str()],
        _ => record.texts("completions")?,
    };
    // a completion that brings its own line end needs no other
    let separator = if parts.iter().any(|p| p.ends_with('\n')) { "" } else { "\n" };
    let (text, mut steps) = join_steps(&parts, separator);
    if let Some(given) = record.get("labels") {
        let given = given.as_array().map_or(std::slice::from_ref(given), Vec::as_slice);
        if given.len() != parts.len() {
            let problem = format!("has {} elements for {} completions", given.len(), parts.len());
            return Err(FieldError::new("labels", problem, "give one a completion"));
        }
        for (i, (step, given)) in steps.iter_mut().zip(given).enumerate() {
            step.label = label(given).ok_or_else(|| wrong(&format!("labels[{i}]"), given, "true, false or a number"))?;
        }
    }
    let asked = posed(record.need("prompt")?, "prompt")?;
    let gold = first_wrong(&steps);
    let mut read = Read { candidate: Candidate { text, steps, gold, ..Candidate::default() }, ..Read::default() };
    if let Some(system) = asked.system {
        read.keep("system", &Value::String(system));
    }
    let id = record.id().unwrap_or_default();
    read.put_others(record.map, &["prompt", "completions", "labels"], &id);
    Ok(Trace { id, problem: asked.problem, candidates: vec![read.done()], ..Trace::default() })
}

/// A problem and its steps with a mark after each; the marks stay in the text. `label` is the same text with `+` or `-` in the marks' places, or a list with one
/// of them, or a number, a step; numbers between 0 and 1 (`value`: the share of right continuations) are a signal.
pub(in crate::format) fn parse_shepherd(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let name = INPUTS.into_iter().find(|k| record.get(k).and_then(Value::as_str).is_some_and(|s| s.contains(MARK))).unwrap_or(INPUTS[0]);
    let input = record.text(name)?;
    let labels = LABELS.into_iter().find(|k| record.get(k).is_some()).unwrap_or(LABELS[0]);
    let first_mark = input.find(MARK).unwrap_or(input.len());
    let start = if name == "solution" { 0 } else { beginning(&input[..first_mark]) };
    let text = input[start..].trim_end();
    let marked = input.contains(MARK);
    let cut = if marked { Segmentation::Separator(MARK.to_owned()) } else { Segmentation::Auto };
    let candidate = Candidate { text: text.to_owned(), steps: segment(text, &cut), ..Candidate::default() };
    let mut read = Read { candidate, ..Read::default() };
    match record.need(labels)? {
        Value::Array(all) => listed(&mut read, labels, all)?,
        other => signs(&mut read, input, as_text(other, labels)?, labels)?,
    }
    let answer = text.rsplit_once("The answer is:").map(|(_, a)| a.trim().trim_end_matches(MARK).trim().to_owned());
    read.candidate.answer = answer;
    read.candidate.gold = first_wrong(&read.candidate.steps);
    let id = record.id().unwrap_or_default();
    let asked = ["question", "problem", "prompt"].into_iter().find(|k| record.get(k).is_some());
    let problem = match asked {
        Some(own) => posed(record.need(own)?, own)?.problem,
        None => input[..start].trim().to_owned(),
    };
    read.put_others(record.map, &[name, labels, asked.unwrap_or_default()], &id);
    Ok(Trace { id, problem, candidates: vec![read.done()], ..Trace::default() })
}

/// Where the first step begins: at its heading, else after the question that stands before it.
fn beginning(before: &str) -> usize {
    let heading = before.rfind("Step 1:").or_else(|| before.rfind("Step 1"));
    heading.or_else(|| before.trim_end().rfind('\n').map(|at| at + 1)).or_else(|| before.rfind("? ").map(|at| at + 2)).unwrap_or(0)
}

/// A label or a number a step.
fn listed(read: &mut Read, name: &str, all: &[Value]) -> Result<(), FieldError> {
    let given: Option<Vec<Option<f32>>> = all.iter().map(label).collect();
    let Some(given) = given else {
        return Err(FieldError::new(name, "holds something that is no label", "give \"+\" or \"-\", true or false, or a number a step"));
    };
    // Marks or none: the steps are those that there are labels for.
    fit(&mut read.candidate, given.len());
    let steps = read.candidate.steps.len();
    let soft = name.starts_with("value") || given.iter().flatten().any(|v| v.fract() != 0.0);
    if soft && read.step_signal(name, &given) {
        return Ok(());
    }
    if given.len() != steps {
        return Err(FieldError::new(name, format!("has {} elements for {steps} steps", given.len()), "give one a step"));
    }
    read.candidate.steps.iter_mut().zip(given).for_each(|(s, l)| s.label = l);
    Ok(())
}

/// The signs in a text that repeats the input.
fn signs(read: &mut Read, input: &str, label: &str, name: &str) -> Result<(), FieldError> {
    for (i, (at, _)) in input.match_indices(MARK).enumerate() {
        // every mark before this one is shorter in the label
        let there = at - i * (MARK.len() - 1);
        let verdict = match label.as_bytes().get(there) {
            Some(b'+') => 1.0,
            Some(b'-') => 0.0,
            _ => {
                let problem = format!("has no + or - where `input` has its mark number {}", i + 1);
                return Err(FieldError::new(name, problem, "repeat the input with + or - for each mark"));
            }
        };
        if let Some(step) = read.candidate.steps.get_mut(i) {
            step.label = Some(verdict);
        }
    }
    Ok(())
}

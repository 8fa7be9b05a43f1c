//! Labels of steps as a conversation, as RLHFlow's PRM data has them: the user says a step, the assistant `+` or `-`.

use super::{finish, first};
use crate::format::error::FieldError;
use crate::format::fields::{Fields, first_wrong, join_steps};
use crate::format::flat::{Read, label, message, posed};
use crate::trace::{Candidate, Trace};
use serde_json::{Map, Value};

const LISTS: [&str; 2] = ["conversations", "messages"];

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    first(record, &LISTS).is_some_and(|(name, v)| {
        // One word of one turn may be an answer as well.
        v.as_array().is_some_and(|all| is_labelled(all) && (name == LISTS[0] || all.len() > 2))
    })
}

/// Whether all that the assistant says is labels.
fn is_labelled(all: &[Value]) -> bool {
    let role = |m: &Value| m.get("role").or_else(|| m.get("from")).and_then(Value::as_str).unwrap_or_default().to_owned();
    let said = |m: &&Value| matches!(role(m).as_str(), "assistant" | "gpt" | "model");
    let says = |m: &Value| m.get("content").or_else(|| m.get("value")).and_then(Value::as_str).map(str::trim).map(str::to_owned);
    let mark = |m: &Value| {
        says(m)
            .is_some_and(|s| matches!(s.as_str(), "+" | "-" | "−" | "Yes" | "No" | "yes" | "no" | "<+>" | "<->" | "correct" | "incorrect"))
    };
    let mut any = false;
    let all_marks = all.iter().filter(said).all(|m| {
        any = true;
        mark(m)
    });
    // A yes or no alone may be an answer; with several turns, or a sign, it is a label.
    let sign = || all.iter().filter(said).any(|m| says(m).is_some_and(|s| s.contains(['+', '-', '−'])));
    any && all_marks && (all.iter().filter(said).count() > 1 || sign())
}

/// The steps are the user's turns, the first one's problem before them; a turn that nobody answered is a step without label.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let (key, turns) = first(record.map, &LISTS).unwrap_or(("conversations", &Value::Null));
    let (mut system, mut texts, mut labels): (Vec<String>, Vec<String>, Vec<Option<f32>>) = (Vec::new(), Vec::new(), Vec::new());
    for (i, turn) in turns.as_array().map_or(&[][..], Vec::as_slice).iter().enumerate() {
        let turn = message(turn);
        let content = turn.get("content").and_then(Value::as_str).unwrap_or_default();
        match turn.get("role").and_then(Value::as_str).unwrap_or_default() {
            "assistant" => match labels.last_mut() {
                Some(last) if last.is_none() => {
                    *last = label(&content.trim().trim_matches(['<', '>']).into()).flatten();
                }
                _ => return Err(FieldError::new(format!("{key}[{i}]"), "is a label that follows no step", "put the step before it")),
            },
            "system" | "developer" => system.push(content.to_owned()),
            _ => {
                texts.push(content.to_owned());
                labels.push(None);
            }
        }
    }
    let own = first(record.map, &["prompt", "question", "problem"]);
    let mut problem = own.map(|(name, v)| posed(v, name)).transpose()?.unwrap_or_default().problem;
    if let Some(begin) = texts.first_mut() {
        let (asked, step) = split(begin, &problem);
        if problem.is_empty() {
            problem = asked;
        }
        *begin = step;
    }
    let parts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let separator = if parts.iter().any(|p| p.ends_with('\n')) { "" } else { "\n" };
    let (text, mut steps) = join_steps(&parts, separator);
    steps.iter_mut().zip(labels).for_each(|(s, l)| s.label = l);
    let gold = first_wrong(&steps);
    let mut read = Read { candidate: Candidate { text, steps, gold, ..Candidate::default() }, ..Read::default() };
    if !system.is_empty() {
        read.keep("system", &Value::String(system.join("\n\n")));
    }
    let mut taken: Vec<&str> = std::iter::once(key).chain(own.map(|o| o.0)).collect();
    for (key, v) in record.map.iter().filter(|(_, v)| v.is_number()) {
        read.put(key, v, false);
        taken.push(key);
    }
    Ok(Trace { id: record.id().unwrap_or_default(), problem, candidates: finish(vec![read], record.map, &taken), ..Trace::default() })
}

/// The problem and the first step of a turn that holds both: the step begins at a heading, after a blank line, after a line, or after a question mark.
fn split(turn: &str, problem: &str) -> (String, String) {
    if !problem.is_empty() {
        return (problem.to_owned(), turn.trim_start().strip_prefix(problem).unwrap_or(turn).trim().to_owned());
    }
    let marks = ["Step 1:", "Step 1.", "## Step 1", "Step 1"];
    let at = marks
        .iter()
        .find_map(|m| turn.find(m))
        .or_else(|| turn.trim_end().rfind("\n\n"))
        .or_else(|| turn.trim_end().rfind('\n'))
        .or_else(|| turn.rfind("? ").map(|at| at + 1));
    match at.filter(|at| !turn[..*at].trim().is_empty()) {
        Some(at) => (turn[..at].trim().to_owned(), turn[at..].trim().to_owned()),
        None => (turn.trim().to_owned(), turn.trim().to_owned()),
    }
}

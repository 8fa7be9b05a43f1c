//! Thoughts of several models beside their attempts, as s1K has them: `deepseek_thinking_trajectory` with `deepseek_attempt`, or a list `thinking_trajectories`.

use super::{finish, first};
use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_text};
use crate::format::flat::{Read, gold, posed, verdict, with_thoughts, written};
use crate::trace::Trace;
use serde_json::{Map, Value};

const THOUGHTS: &str = "_thinking_trajectory";
const LISTS: [&str; 2] = ["thinking_trajectories", "thinking_trajectory"];
const PROBLEMS: [&str; 3] = ["question", "problem", "prompt"];

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    let one = record.iter().any(|(key, v)| key.ends_with(THOUGHTS) && v.is_string());
    (one || LISTS.iter().any(|key| record.get(*key).is_some_and(|v| v.is_array() || v.is_string()))) && first(record, &PROBLEMS).is_some()
}

/// A candidate a model, or an element of the list: the thoughts, and after them the attempt where there is one. `NAME_grade` with Yes or No is its verdict.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let map = record.map;
    let (mut reads, mut taken) = (Vec::new(), Vec::new());
    for (key, thoughts) in map.iter().filter(|(key, v)| key.ends_with(THOUGHTS) && !v.is_null()) {
        let model = key.trim_end_matches(THOUGHTS);
        let mut read = attempt(as_text(thoughts, key)?, map.get_key_value(&format!("{model}_attempt")), &mut taken)?;
        read.candidate.policy = Some(model.to_owned());
        taken.push(key);
        let grade = map.get_key_value(&format!("{model}_grade")).and_then(|(key, v)| Some((key, verdict(v)?)));
        if let Some((key, right)) = grade {
            read.candidate.correct = Some(right);
            taken.push(key);
        }
        // Everything else that is said of this model is said of its candidate.
        for (key, v) in map.iter().filter(|(key, _)| key.strip_prefix(model).is_some_and(|rest| rest.starts_with('_'))) {
            if !taken.contains(&key.as_str()) {
                read.put(key, v, false);
                taken.push(key);
            }
        }
        reads.push(read);
    }
    if let Some((key, thoughts)) = first(map, &LISTS) {
        let all = thoughts.as_array().map_or(std::slice::from_ref(thoughts), Vec::as_slice);
        let attempts = first(map, &["attempts", "attempt"]).filter(|(_, v)| v.as_array().map_or(1, Vec::len) == all.len());
        for (i, thought) in all.iter().enumerate().filter(|(_, t)| !t.is_null()) {
            let answered = attempts.map(|(_, v)| v.as_array().and_then(|all| all.get(i)).unwrap_or(v));
            let text = as_text(thought, &format!("{key}[{i}]"))?;
            let answered = answered.map_or(Ok(Default::default()), |v| written(v, "attempt"))?;
            reads.push(Read { candidate: with_thoughts(text, answered), ..Read::default() });
        }
        taken.push(key);
        taken.extend(attempts.map(|a| a.0));
    }
    let (name, asked) = first(map, &PROBLEMS).unwrap_or(("question", &Value::Null));
    taken.push(name);
    let reference = first(map, &["answer", "ground_truth", "solution"]);
    let gold_answer = reference.and_then(|(_, v)| gold(v).0).filter(|a| a.len() <= 400);
    if let Some((key, v)) = reference.filter(|(_, v)| gold_answer.as_deref() == v.as_str().map(str::trim)) {
        let _ = v;
        taken.push(key);
    }
    Ok(Trace {
        id: record.id().unwrap_or_default(),
        problem: posed(asked, name)?.problem,
        gold_answer,
        candidates: finish(reads, map, &taken),
        source: None,
    })
}

fn attempt<'a>(thoughts: &str, answered: Option<(&'a String, &'a Value)>, taken: &mut Vec<&'a str>) -> Result<Read, FieldError> {
    let answer = match answered {
        Some((key, v)) => {
            taken.push(key);
            written(v, key)?
        }
        None => Default::default(),
    };
    Ok(Read { candidate: with_thoughts(thoughts, answer), ..Read::default() })
}

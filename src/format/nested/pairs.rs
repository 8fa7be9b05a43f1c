//! Preference pairs: a chosen and a rejected answer to one prompt, as texts or as lists of messages.

use super::{finish, first};
use crate::format::error::FieldError;
use crate::format::fields::Fields;
use crate::format::flat::{Read, message, posed, written};
use crate::trace::{Trace, Values};
use serde_json::{Map, Value, json};

const PROBLEMS: [&str; 6] = ["prompt", "question", "problem", "instruction", "input", "query"];
const SIDES: [&str; 2] = ["chosen", "rejected"];

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    SIDES.iter().all(|side| record.get(*side).is_some_and(|v| v.is_string() || v.is_array() || v.is_object()))
}

/// Two candidates by the names `chosen` and `rejected`. What both begin with is the prompt where the record has none of its own, and is left out of them
/// where it repeats it. The signal `chosen` is 1 for the one and 0 for the other. Numbers of a side (`score_chosen`, `rejected_rating`) are its signals; those of the pair (`margin`) stand with both.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let [chosen, rejected] = SIDES.map(|side| record.map.get(side).unwrap_or(&Value::Null));
    let own = first(record.map, &PROBLEMS);
    let mut asked = own.map(|(name, v)| posed(v, name)).transpose()?;
    let mut reads = Vec::new();
    for (side, (answer, before)) in SIDES.into_iter().zip(apart(chosen, rejected, asked.as_ref().map(|p| p.problem.as_str()))) {
        if asked.is_none()
            && let Some(before) = before
        {
            asked = Some(posed(&before, side)?);
        }
        let mut read = Read { candidate: written(&answer, side)?, ..Read::default() };
        read.candidate.policy = Some(side.to_owned());
        read.signal("chosen", Values::Candidate(f32::from(u8::from(side == SIDES[0]))));
        reads.push(read);
    }
    let asked = asked.unwrap_or_default();
    let mut taken: Vec<&str> = SIDES.into_iter().chain(own.map(|o| o.0)).collect();
    for (key, value) in record.map.iter().filter(|(key, _)| !SIDES.contains(&key.as_str())) {
        let side = SIDES.iter().position(|side| key.contains(side));
        match side {
            Some(i) => {
                let name = key.replace(SIDES[i], "");
                let name = name.trim_matches(['_', '-', '.']);
                reads[i].put(if name.is_empty() { key } else { name }, value, false);
                taken.push(key);
            }
            None if value.is_number() && record.id() != Some(value.to_string()) => {
                reads.iter_mut().for_each(|r| r.put(key, value, false));
                taken.push(key);
            }
            None => {}
        }
    }
    if let Some(system) = asked.system {
        reads[0].keep("system", &Value::String(system));
    }
    Ok(Trace {
        id: record.id().unwrap_or_default(),
        problem: asked.problem,
        gold_answer: None,
        candidates: finish(reads, record.map, &taken),
        source: None,
    })
}

/// The two answers without what both begin with, and that beginning.
fn apart(chosen: &Value, rejected: &Value, prompt: Option<&str>) -> [(Value, Option<Value>); 2] {
    if let (Value::Array(a), Value::Array(b)) = (chosen, rejected) {
        let same = a.iter().zip(b).take_while(|(a, b)| message(a) == message(b)).count();
        // The last message is always an answer.
        let same = same.min(a.len().saturating_sub(1)).min(b.len().saturating_sub(1));
        let before = (same > 0).then(|| Value::Array(a[..same].to_vec()));
        return [(json!(a[same..]), before.clone()), (json!(b[same..]), before)];
    }
    if let (Value::String(a), Value::String(b)) = (chosen, rejected) {
        // A prompt that both texts repeat is no part of the answers.
        if let Some(prompt) = prompt {
            let less = |text: &str| {
                text.trim_start().strip_prefix(prompt).filter(|rest| !rest.trim().is_empty()).unwrap_or(text).trim_start().to_owned()
            };
            let repeated = !prompt.is_empty() && a.trim_start().starts_with(prompt) && b.trim_start().starts_with(prompt);
            return if repeated {
                [(less(a).into(), None), (less(b).into(), None)]
            } else {
                [(chosen.clone(), None), (rejected.clone(), None)]
            };
        }
        if let Some(at) = turn_before(a, b) {
            let before = Some(Value::String(a[..at].to_owned()));
            return [(a[at..].trim().into(), before.clone()), (b[at..].trim().into(), before)];
        }
    }
    [(chosen.clone(), None), (rejected.clone(), None)]
}

/// Where two texts of one conversation begin to differ: behind the last mark of the assistant's turn that both have.
fn turn_before(a: &str, b: &str) -> Option<usize> {
    const TURNS: [&str; 6] = [
        "\n\nAssistant:",
        "<|im_start|>assistant\n",
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "[/INST]",
        "<｜Assistant｜>",
        "<|assistant|>\n",
    ];
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let same = (0..=same).rev().find(|i| a.is_char_boundary(*i))?;
    TURNS.iter().filter_map(|mark| a[..same].rfind(mark).map(|at| at + mark.len())).max()
}

//! What was answered: a text, messages, or an object with one of them, as the text of a candidate with its steps.

use super::prompt::message;
use crate::format::chat::record;
use crate::format::error::FieldError;
use crate::format::fields::wrong;
use crate::trace::{Candidate, FinishReason, Segmentation, Span, Step, StepKind, segment};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Fields of an object that hold a text.
const TEXTS: [&str; 10] =
    ["text", "completion", "response", "generation", "output", "content", "generated_text", "solution", "message", "messages"];

/// The text of one candidate, at `path`. A list of messages is one text, a turn after the other.
pub fn written(value: &Value, path: &str) -> Result<Candidate, FieldError> {
    match value {
        Value::String(text) => Ok(plain(text)),
        Value::Null => Ok(Candidate::default()),
        Value::Array(all) => match all.as_slice() {
            [only @ Value::String(_)] => written(only, path),
            _ if !all.is_empty() && all.iter().all(Value::is_object) => dialogue(all),
            _ => Err(wrong(path, value, "a text or a list of messages")),
        },
        Value::Object(map) if map.contains_key("role") || map.contains_key("from") => dialogue(std::slice::from_ref(value)),
        Value::Object(map) => match TEXTS.iter().find_map(|k| map.get(*k).map(|v| (k, v))) {
            Some((key, inner)) => written(inner, &format!("{path}.{key}")),
            None => Err(wrong(path, value, "a text or a list of messages")),
        },
        _ => Err(wrong(path, value, "a text or a list of messages")),
    }
}

/// The key under which an object holds its text.
pub fn text_key(value: &Value) -> Option<&'static str> {
    let map = value.as_object()?;
    TEXTS.into_iter().find(|k| map.get(*k).is_some_and(|v| !v.is_null()))
}

/// Marks by which a model ends what it says.
const ENDS: [&str; 7] = ["<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>", "<｜end▁of▁sentence｜>", "</s>"];

/// A text as it is, but for the marks of its end.
fn plain(text: &str) -> Candidate {
    let mut text = text;
    let whole = text.len();
    while let Some(less) = ENDS.iter().find_map(|mark| text.trim_end().strip_suffix(mark)) {
        text = less;
    }
    let finish = (text.len() < whole).then_some(FinishReason::Stop);
    Candidate { finish, text: text.to_owned(), steps: segment(text, &Segmentation::Auto), ..Candidate::default() }
}

/// Whether a list is of messages.
pub fn is_messages(all: &[Value]) -> bool {
    let is = |v: &Value| v.as_object().is_some_and(|m| m.contains_key("role") || m.contains_key("from"));
    !all.is_empty() && all.iter().all(is)
}

/// Messages as one text: what the assistant says as it is, what others say with their role.
fn dialogue(all: &[Value]) -> Result<Candidate, FieldError> {
    let mut whole = Candidate::default();
    for turn in all {
        let turn = message(turn);
        let role = turn.get("role").and_then(Value::as_str).unwrap_or("assistant").to_owned();
        if role == "assistant" {
            let read = record::parse(&json!({ "messages": [turn] }))?.candidates.pop().unwrap_or_default();
            append(&mut whole, read);
        } else {
            let content = match turn.get("content") {
                Some(Value::String(text)) => Cow::Borrowed(text.as_str()),
                Some(Value::Null) | None => Cow::Borrowed(""),
                Some(other) => Cow::Owned(other.to_string()),
            };
            append(&mut whole, one_step(&format!("{role}: {content}")));
        }
    }
    Ok(whole)
}

fn one_step(text: &str) -> Candidate {
    let lead = text.len() - text.trim_start().len();
    let step = Step { span: Span::new(lead, lead + text.trim().len()), ..Step::default() };
    Candidate { text: text.to_owned(), steps: vec![step], ..Candidate::default() }
}

/// Puts what follows behind a text, after a blank line.
fn append(whole: &mut Candidate, next: Candidate) {
    if next.text.is_empty() {
        return;
    }
    if !whole.text.is_empty() {
        whole.text.push_str("\n\n");
    }
    let base = whole.text.len();
    whole.text.push_str(&next.text);
    let moved = |span: Span| Span::new(base + span.start, base + span.end);
    whole.steps.extend(next.steps.into_iter().map(|s| Step { span: moved(s.span), ..s }));
    whole.tokens.extend(next.tokens.into_iter().map(|t| crate::trace::Token { span: moved(t.span), ..t }));
}

/// Thoughts before what was answered. Thoughts that the text repeats stand there once.
pub fn with_thoughts(thoughts: &str, answered: Candidate) -> Candidate {
    let trimmed = thoughts.trim();
    if trimmed.is_empty() || answered.text.contains(trimmed) {
        return answered;
    }
    let mut whole = plain(thoughts.trim_end());
    let before = whole.steps.len();
    append(&mut whole, answered);
    whole.steps[before..].iter_mut().for_each(|s| s.kind = StepKind::Answer);
    whole
}

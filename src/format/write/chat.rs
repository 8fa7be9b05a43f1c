//! Chat records: the problem as the user's message, the candidate as the assistant's.

use crate::format::detect::Format;
use crate::trace::{Candidate, FinishReason, Span, StepKind, Trace};
use serde_json::{Map, Value, json};

/// A record with `messages`. A thought before the answer is `reasoning_content` where the text has no tags that say so; log-probabilities are
/// `logprobs.content`.
pub(super) fn record(trace: &Trace, c: &Candidate) -> Value {
    let plain = with_message(trace, c, json!({ "role": "assistant", "content": c.text }));
    match parted(c) {
        Some((thought, answer)) if !reads_as(&plain, c) => {
            with_message(trace, c, json!({ "role": "assistant", "reasoning_content": thought, "content": answer }))
        }
        _ => plain,
    }
}

/// Thought and answer of a text in which a blank line parts them.
fn parted(c: &Candidate) -> Option<(&str, &str)> {
    let first = c.steps.iter().position(|s| s.kind == StepKind::Answer).filter(|at| *at > 0)?;
    let gap = Span::new(c.steps[first - 1].span.end, c.steps[first].span.start);
    let at = gap.of(&c.text).find("\n\n")? + gap.start;
    Some((c.text.get(..at)?, c.text.get(at + 2..)?))
}

/// Whether a record says which steps are the answer, as the candidate has it.
fn reads_as(record: &Value, c: &Candidate) -> bool {
    let kinds = |c: &Candidate| c.steps.iter().map(|s| s.kind).collect::<Vec<_>>();
    let again = Format::OpenAiChat.read(record.to_string().as_bytes()).and_then(|r| r);
    again.is_ok_and(|t| t.candidates.first().is_some_and(|again| kinds(again) == kinds(c)))
}

fn with_message(trace: &Trace, c: &Candidate, message: Value) -> Value {
    let mut record = Map::new();
    record.insert("id".into(), json!(trace.id));
    let user = (!trace.problem.is_empty()).then(|| json!({ "role": "user", "content": trace.problem }));
    record.insert("messages".into(), user.into_iter().chain([message]).collect());
    if let Some(policy) = &c.policy {
        record.insert("model".into(), json!(policy));
    }
    let finish = match c.finish {
        Some(FinishReason::Stop) => Some("stop"),
        Some(FinishReason::Length) => Some("length"),
        _ => None,
    };
    if let Some(finish) = finish {
        record.insert("finish_reason".into(), json!(finish));
    }
    if c.tokens.iter().any(|t| t.logprob.is_some()) {
        let token = |t: &crate::trace::Token| {
            let text = t.span.of(&c.text);
            json!({ "token": text, "bytes": text.as_bytes(), "logprob": t.logprob })
        };
        let content: Vec<Value> = c.tokens.iter().map(token).collect();
        record.insert("logprobs".into(), json!({ "content": content }));
    }
    Value::Object(record)
}

//! OpenAI-style chat records: messages, reasoning fields, `<think>` in the content, token log-probabilities.

use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_text, wrong};
use crate::trace::{Candidate, FinishReason, Segmentation, Span, Step, StepKind, Token, Trace, segment};
use serde_json::{Map, Value};

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    let list = |v: Option<&Value>| v.is_some_and(Value::is_array);
    list(record.get("messages")) || (list(record.get("choices")) && (record.contains_key("prompt") || record.contains_key("object")))
}

/// With `choices`, each is a candidate for `messages`; else the last assistant message is the one candidate for the messages before it.
///
/// Reasoning (`reasoning`, `reasoning_content`, or thinking parts of the content) comes first in the text, the content after a blank line; steps are
/// cut automatically in each. `logprobs.content` may stand in the choice, the message or the record.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let messages = if record.get("messages").is_some() { record.objects("messages")? } else { Vec::new() };
    let model = record.opt_text("model")?;
    let mut candidates = Vec::new();
    let before = if record.get("choices").is_some() {
        for choice in record.objects("choices")? {
            let message = choice.object("message")?;
            let mut candidate = candidate(&message, choice.opt_object("logprobs")?)?;
            candidate.finish = choice.opt_text("finish_reason")?.and_then(finish);
            candidates.push(candidate);
        }
        &messages[..]
    } else {
        let Some(last) = messages.iter().rposition(|m| m.get("role").and_then(Value::as_str) == Some("assistant")) else {
            return Err(FieldError::new("messages", "has no assistant message", "add one, or pass the file as --problems"));
        };
        let message = &messages[last];
        let logprobs = match message.opt_object("logprobs")? {
            Some(own) => Some(own),
            None => record.opt_object("logprobs")?,
        };
        let mut candidate = candidate(message, logprobs)?;
        candidate.finish = record.opt_text("finish_reason")?.and_then(finish);
        candidates.push(candidate);
        &messages[..last]
    };
    for candidate in &mut candidates {
        candidate.policy = model.map(Into::into);
    }
    let problem = if before.is_empty() { record.opt_text("prompt")?.unwrap_or_default().to_owned() } else { problem_of(before)? };
    Ok(Trace { id: record.id().unwrap_or_default(), problem, candidates, ..Trace::default() })
}

fn finish(reason: &str) -> Option<FinishReason> {
    match reason {
        "stop" | "tool_calls" | "end_turn" => Some(FinishReason::Stop),
        "length" | "max_tokens" => Some(FinishReason::Length),
        _ => None,
    }
}

/// The problem a list of messages poses: the user's text alone where there is one user message, else every turn with its role. System messages are left out.
pub(in crate::format) fn problem_of(messages: &[Fields<'_>]) -> Result<String, FieldError> {
    let mut turns = Vec::new();
    for message in messages {
        let role = message.text("role")?;
        if role != "system" && role != "developer" {
            turns.push((role, content(message)?.1));
        }
    }
    Ok(match turns.as_mut_slice() {
        [(_, only)] => std::mem::take(only),
        turns => turns.iter().map(|(role, text)| format!("{role}: {text}")).collect::<Vec<_>>().join("\n\n"),
    })
}

/// Reasoning and answer of a message; the content is a string, a list of parts, or null.
fn content(message: &Fields<'_>) -> Result<(String, String), FieldError> {
    let mut reasoning = String::new();
    for key in ["reasoning", "reasoning_content"] {
        if reasoning.is_empty()
            && let Some(text) = message.opt_text(key)?
        {
            reasoning.push_str(text);
        }
    }
    let mut answer = String::new();
    match message.get("content") {
        None => {}
        Some(Value::String(s)) => answer.push_str(s),
        Some(Value::Array(parts)) => {
            for (i, part) in parts.iter().enumerate() {
                let path = format!("{}[{i}]", message.name("content"));
                if let Value::String(s) = part {
                    answer.push_str(s);
                    continue;
                }
                let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
                let text = ["text", "thinking", "reasoning", "content"].iter().find_map(|k| part.get(*k).filter(|v| !v.is_null()));
                match (kind, text) {
                    ("thinking" | "reasoning", Some(text)) => reasoning.push_str(as_text(text, &path)?),
                    ("text" | "output_text" | "input_text", Some(text)) => answer.push_str(as_text(text, &format!("{path}.text"))?),
                    // pictures, tool calls
                    _ => {}
                }
            }
        }
        Some(other) => return Err(wrong(&message.name("content"), other, "a string or a list of parts")),
    }
    Ok((reasoning, answer))
}

fn candidate(message: &Fields<'_>, logprobs: Option<Fields<'_>>) -> Result<Candidate, FieldError> {
    let (reasoning, answer) = content(message)?;
    let mut steps = segment(&reasoning, &Segmentation::Auto);
    let mut text = reasoning;
    let thought = !text.is_empty();
    if thought && !answer.is_empty() {
        text.push_str("\n\n");
    }
    let base = text.len();
    steps.extend(segment(&answer, &Segmentation::Auto).into_iter().map(|s| Step {
        span: Span::new(base + s.span.start, base + s.span.end),
        kind: if thought { StepKind::Answer } else { s.kind },
        ..s
    }));
    text.push_str(&answer);
    let tokens = match logprobs {
        Some(logprobs) if logprobs.get("content").is_some() => {
            let entries = logprobs.objects("content")?;
            let mut pieces = Vec::with_capacity(entries.len());
            for entry in &entries {
                pieces.push((token_bytes(entry)?, entry.opt_f32("logprob")?));
            }
            // a server may list the reasoning's tokens or the content's alone
            let whole = align(&text, 0, &pieces);
            let tail = align(&text, base, &pieces);
            let covered = |tokens: &[Token]| tokens.iter().map(|t| t.span.len()).sum::<usize>();
            if covered(&tail) > covered(&whole) { tail } else { whole }
        }
        _ => Vec::new(),
    };
    Ok(Candidate { text, steps, tokens, ..Candidate::default() })
}

fn token_bytes(entry: &Fields<'_>) -> Result<Vec<u8>, FieldError> {
    let Some(bytes) = entry.opt_array("bytes")? else { return Ok(entry.text("token")?.as_bytes().to_vec()) };
    let byte = |v: &Value| v.as_u64().and_then(|b| u8::try_from(b).ok());
    bytes
        .iter()
        .map(byte)
        .collect::<Option<_>>()
        .ok_or_else(|| FieldError::new(entry.name("bytes"), "holds something that is no byte", "give integers from 0 to 255"))
}

/// Lays tokens along the text from byte `from`. A token that is not there (a tag or an end mark that the server took out) gets an empty span.
fn align(text: &str, from: usize, pieces: &[(Vec<u8>, Option<f32>)]) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut at = from;
    // start of the character that the tokens so far leave unfinished
    let mut open = from;
    let blank = |at: usize| bytes[at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    pieces
        .iter()
        .map(|(piece, logprob)| {
            let skip = if bytes[at..].starts_with(piece) { 0 } else { blank(at) };
            let token = if at + skip <= bytes.len() && !piece.is_empty() && bytes[at + skip..].starts_with(piece) {
                if skip > 0 {
                    open = at + skip;
                }
                at += skip + piece.len();
                if text.is_char_boundary(at) {
                    let span = Span::new(open, at);
                    open = at;
                    span
                } else {
                    // the last whole character before it is still this token's
                    let mut end = at;
                    while !text.is_char_boundary(end) {
                        end -= 1;
                    }
                    let span = Span::new(open.min(end), end);
                    open = end;
                    span
                }
            } else {
                Span::new(open, open)
            };
            Token { id: None, span: token, logprob: logprob.filter(|l| l.is_finite()), entropy: None }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_own_whole_characters() {
        let text = "aé漢 b";
        let bytes = text.as_bytes();
        let cuts: [&[u8]; 5] = [&bytes[0..2], &bytes[2..4], &bytes[4..6], &bytes[6..7], &bytes[7..8]];
        let pieces: Vec<_> = cuts.iter().map(|c| (c.to_vec(), Some(-1.0))).collect();
        let spans: Vec<&str> = align(text, 0, &pieces).iter().map(|t| t.span.of(text)).collect();
        assert_eq!(spans, ["a", "é", "漢", " ", "b"]);
    }

    #[test]
    fn tokens_that_the_server_took_out_own_nothing() {
        let text = "so 2";
        let pieces: Vec<_> = ["<think>", "\n", "so", " 2", "<|im_end|>"].iter().map(|t| (t.as_bytes().to_vec(), None)).collect();
        let spans: Vec<&str> = align(text, 0, &pieces).iter().map(|t| t.span.of(text)).collect();
        assert_eq!(spans, ["", "", "so", " 2", ""]);
    }
}

//! What the content of a message holds: text, thoughts, calls of tools and their results, pictures, in any producer's shape.

use crate::format::error::FieldError;
use crate::format::fields::{Fields, wrong};
use serde_json::Value;

/// A piece of a message, in the order in which it stands there.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::format) enum Piece {
    /// Reasoning that is kept apart from what is said.
    Thought(String),
    /// What is said; marks such as `<think>` may stand in it.
    Text(String),
    /// A sign in place of what is no text, for example `[image]`.
    Sign(String),
    /// A call of a tool, as models write it.
    Call(String),
    /// What a tool gave back.
    Result(String),
}

type Outcome = Result<(), FieldError>;

/// Adds text; neighbouring pieces of it are one.
pub(super) fn add_text(text: &str, out: &mut Vec<Piece>) {
    match out.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(before)) => before.push_str(text),
        _ => out.push(Piece::Text(text.to_owned())),
    }
}

/// Adds reasoning; neighbouring pieces of it are one, with a blank line between them.
pub(super) fn add_thought(text: &str, out: &mut Vec<Piece>) {
    match out.last_mut() {
        _ if text.trim().is_empty() => {}
        Some(Piece::Thought(before)) => {
            before.push_str("\n\n");
            before.push_str(text);
        }
        _ => out.push(Piece::Thought(text.to_owned())),
    }
}

fn add_sign(what: &str, out: &mut Vec<Piece>) {
    out.push(Piece::Sign(format!("[{what}]")));
}

/// Reads content: a string, a number, null, a part, or a list of strings and parts.
pub(super) fn content(value: &Value, path: &str, out: &mut Vec<Piece>) -> Outcome {
    match value {
        Value::Null => {}
        Value::String(text) => add_text(text, out),
        Value::Number(_) | Value::Bool(_) => add_text(&value.to_string(), out),
        Value::Array(parts) => {
            for (i, one) in parts.iter().enumerate() {
                content(one, &format!("{path}[{i}]"), out)?;
            }
        }
        Value::Object(_) => part(&Fields::of(value, path.to_owned())?, out)?,
    }
    Ok(())
}

/// Content as one text, whatever it holds.
pub(super) fn plain(value: &Value, path: &str) -> Result<String, FieldError> {
    let mut pieces = Vec::new();
    content(value, path, &mut pieces)?;
    Ok(joined(&pieces))
}

/// Pieces as one text, with blank lines between them.
pub(super) fn joined(pieces: &[Piece]) -> String {
    let text = |p: &'_ Piece| match p {
        Piece::Thought(t) | Piece::Text(t) | Piece::Sign(t) | Piece::Call(t) | Piece::Result(t) => t.clone(),
    };
    pieces.iter().map(text).collect::<Vec<_>>().join("\n\n")
}

/// The first of some fields that is there, as one text.
pub(super) fn first_text(part: &Fields<'_>, keys: &[&str]) -> Result<Option<String>, FieldError> {
    let found = keys.iter().find_map(|k| part.get(k).map(|v| (*k, v)));
    found.map(|(key, value)| plain(value, &part.name(key))).transpose()
}

/// Reads one part.
pub(super) fn part(part: &Fields<'_>, out: &mut Vec<Piece>) -> Outcome {
    let kind = part.opt_text("type")?.or(part.opt_text("content_type")?).unwrap_or_default();
    match kind {
        "" => untyped(part, out)?,
        "thinking" | "thought" | "reasoning" | "reasoning_text" | "reasoning_content" | "reasoning.text" | "reasoning.summary"
        | "summary_text" | "thoughts" => {
            let text = thought(part)?;
            if text.trim().is_empty() && hidden(part) {
                add_sign("reasoning that the provider keeps encrypted", out);
            }
            add_thought(&text, out);
        }
        "redacted_thinking" | "redacted_reasoning" | "reasoning.encrypted" => add_sign("reasoning that the provider keeps encrypted", out),
        "refusal" => {
            if let Some(Piece::Text(before)) = out.last_mut() {
                before.push_str("\n\n");
            }
            add_text(&first_text(part, &["refusal", "text", "content"])?.unwrap_or_default(), out);
        }
        _ if is_result(kind) => out.push(Piece::Result(result(part)?)),
        _ if is_call(kind) => {
            out.push(Piece::Call(call(part)?));
            // What a tool on the provider's side gave back may stand in its call.
            const OUTPUTS: [&str; 4] = ["outputs", "output", "results", "result"];
            if let Some(key) = OUTPUTS.iter().find(|k| kind.ends_with("_call") && part.get(k).is_some()) {
                out.push(Piece::Result(answered(&output(part.need(key)?, &part.name(key))?)));
            }
        }
        _ if names(kind, "image") => add_sign("image", out),
        _ if names(kind, "audio") => match first_text(part, &["transcript"])? {
            Some(said) => add_text(&said, out),
            None => add_sign("audio", out),
        },
        _ if names(kind, "video") => add_sign("video", out),
        _ if names(kind, "file") || names(kind, "document") => add_sign(&file_name(part, kind), out),
        _ => match first_text(part, &["text", "content", "value", "parts", "output", "logs"])? {
            Some(text) => add_text(&text, out),
            None => {
                let about = ["title", "name", "url"].iter().filter_map(|k| part.get(k)?.as_str());
                add_sign(&std::iter::once(kind).chain(about).collect::<Vec<_>>().join(" "), out);
            }
        },
    }
    Ok(())
}

/// A part whose fields say what it is, as Gemini's.
fn untyped(part: &Fields<'_>, out: &mut Vec<Piece>) -> Outcome {
    let any = |keys: &[&'static str]| keys.iter().find_map(|k| part.get(k).map(|v| (*k, v)));
    if let Some((key, value)) = any(&["functionCall", "function_call", "toolUse", "tool_use"]) {
        out.push(Piece::Call(call(&Fields::of(value, part.name(key))?)?));
    } else if let Some((key, value)) = any(&["functionResponse", "function_response", "toolResult", "tool_result"]) {
        out.push(Piece::Result(result(&Fields::of(value, part.name(key))?)?));
    } else if let Some((_, value)) = any(&["executableCode", "executable_code"]) {
        out.push(Piece::Call(called("code", &value.get("code").unwrap_or(value).clone())));
    } else if let Some((key, value)) = any(&["codeExecutionResult", "code_execution_result"]) {
        out.push(Piece::Result(answered(&output(value, &part.name(key))?)));
    } else if let Some((_, value)) = any(&["inlineData", "inline_data", "fileData", "file_data"]) {
        let mime = ["mimeType", "mime_type"].iter().find_map(|k| value.get(k)?.as_str()).unwrap_or("file");
        add_sign(mime.split('/').next().unwrap_or(mime), out);
    } else if let Some((key, value)) = any(&["reasoningContent", "thinking", "reasoning"]) {
        add_thought(&plain(value.get("reasoningText").unwrap_or(value), &part.name(key))?, out);
    } else if let Some(text) = first_text(part, &["text", "value", "parts", "content", "output", "result"])? {
        let thinks = part.get("thought").is_some_and(|t| t.as_bool().unwrap_or(true));
        if thinks { add_thought(&text, out) } else { add_text(&text, out) }
    } else if let Some(text) = part.get("thought").and_then(Value::as_str) {
        add_thought(text, out);
    } else if part.get("image").is_some() || part.get("image_url").is_some() {
        add_sign("image", out);
    } else if part.map.values().any(|v| !v.is_null()) && part.get("thoughtSignature").is_none() {
        let keys: Vec<&str> = part.map.keys().map(String::as_str).take(3).collect();
        add_sign(&keys.join(", "), out);
    }
    Ok(())
}

/// The words of a part that is reasoning: its text, and its summary where that says something else.
fn thought(part: &Fields<'_>) -> Result<String, FieldError> {
    let sealed = part.opt_bool("redacted").ok().flatten() == Some(true);
    let keys: &[&str] = if sealed { &[] } else { &["thinking", "reasoning", "text", "content", "thoughts", "thought"] };
    let text = first_text(part, keys)?.unwrap_or_default();
    let summary = first_text(part, &["summary"])?.unwrap_or_default();
    Ok(match (text.trim().is_empty(), summary.trim().is_empty()) {
        (true, _) => summary,
        (_, true) => text,
        _ if text.contains(summary.trim()) => text,
        _ => format!("{text}\n\n{summary}"),
    })
}

fn hidden(part: &Fields<'_>) -> bool {
    ["encrypted_content", "data", "signature", "redacted"].iter().any(|k| part.get(k).is_some_and(|v| v != &Value::Bool(false)))
}

fn names(kind: &str, what: &str) -> bool {
    kind.split(['_', '-', '/', '.']).any(|word| word == what)
}

fn file_name(part: &Fields<'_>, kind: &str) -> String {
    let inner = part.get("file").and_then(Value::as_object).unwrap_or(part.map);
    let name = ["filename", "file_name", "name", "title", "file_id"].iter().find_map(|k| inner.get(*k)?.as_str());
    name.map_or_else(|| kind.to_owned(), |name| format!("file {name}"))
}

/// Whether a kind of part or item is a call of a tool.
pub(super) fn is_call(kind: &str) -> bool {
    kind.ends_with("_call") || kind.ends_with("tool_use") || matches!(kind, "tool-call" | "tool-use" | "function" | "mcp_approval_request")
}

/// Whether a kind of part or item is what a tool gave back.
pub(super) fn is_result(kind: &str) -> bool {
    kind.ends_with("tool_result") || kind.ends_with("_call_output") || matches!(kind, "tool-result" | "tool_response" | "function_response")
}

/// A call of a tool as text, in the words that models write: `<tool_call>` around its name and arguments in JSON.
pub(super) fn call(part: &Fields<'_>) -> Result<String, FieldError> {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    let nested = ["function", "custom"].iter().find(|k| part.get(k).is_some_and(Value::is_object));
    let inner = match nested {
        Some(key) => part.object(key)?,
        None => part.clone(),
    };
    const NAMES: [&str; 7] = ["name", "function_name", "toolName", "tool_name", "function", "tool", "server_label"];
    let name = NAMES.iter().find_map(|k| inner.get(k)?.as_str());
    const ARGUMENTS: [&str; 10] =
        ["arguments", "args", "input", "parameters", "action", "code", "query", "queries", "tool_input", "operation"];
    let arguments = ARGUMENTS.iter().find_map(|k| inner.get(k));
    let own = kind.strip_suffix("_call").unwrap_or(kind);
    Ok(called(name.unwrap_or(if nested.is_some() { "" } else { own }), arguments.unwrap_or(&Value::Null)))
}

fn called(name: &str, arguments: &Value) -> String {
    let arguments = match arguments {
        Value::Null => "{}".to_owned(),
        Value::String(s) if s.trim().is_empty() => "{}".to_owned(),
        Value::String(s) if serde_json::from_str::<serde::de::IgnoredAny>(s).is_ok() => s.trim().to_owned(),
        other => other.to_string(),
    };
    format!("<tool_call>\n{{\"name\": {}, \"arguments\": {arguments}}}\n</tool_call>", Value::from(name))
}

/// The calls of a message: a list of objects or of strings with JSON in them, one object, or null.
pub(super) fn calls(value: &Value, path: &str, out: &mut Vec<Piece>) -> Outcome {
    match value {
        Value::Null => {}
        Value::Array(all) => {
            for (i, one) in all.iter().enumerate() {
                calls(one, &format!("{path}[{i}]"), out)?;
            }
        }
        Value::Object(_) => out.push(Piece::Call(call(&Fields::of(value, path.to_owned())?)?)),
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Array(_) | Value::Object(_))) => calls(&inner, path, out)?,
            _ if text.trim().is_empty() => {}
            _ => out.push(Piece::Call(format!("<tool_call>\n{}\n</tool_call>", text.trim()))),
        },
        other => return Err(wrong(path, other, "a list of calls")),
    }
    Ok(())
}

/// What a tool gave back, as text: `<tool_response>` around it.
pub(super) fn answered(text: &str) -> String {
    format!("<tool_response>\n{}\n</tool_response>", text.trim())
}

/// What a tool gave back, without marks: its text, or, where it gave data, that as JSON.
pub(super) fn output(value: &Value, path: &str) -> Result<String, FieldError> {
    let is_part = |v: &Value| v.as_object().is_some_and(|m| ["type", "text", "content"].iter().any(|k| m.contains_key(*k)));
    match value {
        Value::Object(_) if !is_part(value) => Ok(value.to_string()),
        Value::Array(all) if !all.iter().all(|v| v.is_string() || is_part(v)) => Ok(value.to_string()),
        _ => plain(value, path),
    }
}

fn result(part: &Fields<'_>) -> Result<String, FieldError> {
    let found = ["content", "output", "response", "result", "text", "value"].iter().find_map(|k| part.get(k).map(|v| (*k, v)));
    let text = found.map(|(key, value)| output(value, &part.name(key))).transpose()?.unwrap_or_default();
    let failed = ["is_error", "isError"].iter().any(|k| part.get(k) == Some(&Value::Bool(true)));
    Ok(answered(&if failed { format!("[error] {text}") } else { text }))
}

/// A string with JSON in it, as some exports write lists and objects.
pub(super) fn unquoted(value: &Value) -> Option<Value> {
    let text = value.as_str()?.trim();
    let looks = (text.starts_with('[') && text.ends_with(']')) || (text.starts_with('{') && text.ends_with('}'));
    looks.then(|| serde_json::from_str(text).ok()).flatten()
}

//! The pieces of one answer, put together into what the server would have sent at once.

use super::super::answers::Shape;
use serde_json::{Map, Value, json};

/// One answer as it grows.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// The answer so far, in the shape that its server sends at once.
    answer: Map<String, Value>,
    /// The server said why it ended.
    pub ended: bool,
    /// What the server said where it failed.
    pub error: Option<String>,
}

/// Whether an object is a piece of an answer by itself, whatever line it stands on.
pub(super) fn is_piece(map: &Map<String, Value>) -> bool {
    let chunk = map.get("object").and_then(Value::as_str).is_some_and(|o| o.ends_with(".chunk"));
    let choices = map.get("choices").and_then(Value::as_array);
    let delta = choices.is_some_and(|c| c.iter().any(|c| c.get("delta").is_some_and(Value::is_object) && c.get("message").is_none()));
    chunk || delta || event(map).is_some()
}

/// Whether an object is an answer, or a piece in the same shape.
pub(super) fn is_answer(map: &Map<String, Value>) -> bool {
    Shape::of(map).is_some()
        || map.get("token").is_some_and(Value::is_object)
        || map.get("choices").is_some_and(Value::is_array)
        || map.contains_key("error")
}

/// The kind of an event of Anthropic's or of the Responses API.
fn event(map: &Map<String, Value>) -> Option<&str> {
    const ANTHROPIC: [&str; 6] =
        ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"];
    let kind = map.get("type").and_then(Value::as_str)?;
    (ANTHROPIC.contains(&kind) || kind.starts_with("response.")).then_some(kind)
}

/// The id of the answer that a piece is of; empty where pieces have none.
pub(super) fn id(map: &Map<String, Value>) -> String {
    if event(map).is_some() {
        return String::new();
    }
    ["id", "responseId", "request_id"].iter().find_map(|k| map.get(*k)?.as_str()).unwrap_or_default().to_owned()
}

/// Whether a piece says that its answer has ended.
pub(super) fn ends(map: &Map<String, Value>) -> bool {
    if let Some(kind) = event(map) {
        return matches!(kind, "message_stop" | "response.completed" | "response.incomplete" | "response.failed");
    }
    let yes = |key: &str| map.get(key) == Some(&Value::Bool(true));
    let reason = |v: &Value| ["finish_reason", "finishReason"].iter().any(|k| v.get(*k).is_some_and(|r| !r.is_null() && r != ""));
    let any = |key: &str| map.get(key).and_then(Value::as_array).is_some_and(|all| all.iter().any(reason));
    yes("done")
        || yes("stop")
        || any("choices")
        || any("candidates")
        || map.get("generated_text").is_some_and(Value::is_string)
        || map.contains_key("error")
}

impl Joined {
    /// Adds the next piece.
    pub fn take(&mut self, piece: Map<String, Value>) {
        self.ended |= ends(&piece);
        if let Some(error) = piece.get("error").filter(|e| !e.is_null()) {
            let text = error.get("message").unwrap_or(error);
            self.error = Some(text.as_str().map_or_else(|| text.to_string(), str::to_owned));
        }
        match event(&piece).map(str::to_owned) {
            Some(kind) if kind.starts_with("response.") => self.response_event(&kind, &piece),
            Some(kind) => self.message_event(&kind, &piece),
            None => {
                for (key, value) in piece {
                    self.field(&key, value);
                }
            }
        }
    }

    /// The answer as a whole.
    pub fn value(self) -> Value {
        Value::Object(self.answer)
    }

    fn field(&mut self, key: &str, value: Value) {
        match (key, value) {
            (_, Value::Null) => {}
            ("error", _) => {}
            ("choices", Value::Array(choices)) => {
                for (at, choice) in choices.into_iter().enumerate() {
                    let Value::Object(choice) = choice else { continue };
                    let index = choice.get("index").cloned().unwrap_or_else(|| json!(at));
                    in_list(&mut self.answer, "choices", &index, |own| merge_choice(own, choice));
                }
            }
            ("candidates", Value::Array(all)) => {
                for (at, one) in all.into_iter().enumerate() {
                    let Value::Object(one) = one else { continue };
                    let index = one.get("index").cloned().unwrap_or_else(|| json!(at));
                    in_list(&mut self.answer, "candidates", &index, |own| merge_candidate(own, one));
                }
            }
            ("message", Value::Object(message)) => {
                let mut own = match self.answer.get_mut("message").map(Value::take) {
                    Some(Value::Object(own)) => own,
                    _ => Map::new(),
                };
                merge_delta(&mut own, message);
                self.answer.insert("message".to_owned(), Value::Object(own));
            }
            // Ollama's and llama.cpp's words; text-generation-inference's come as tokens.
            ("response" | "content" | "thinking", Value::String(words)) => append(&mut self.answer, key, &words),
            ("token", Value::Object(token)) => {
                let listed = json!({"token": token.get("text"), "id": token.get("id"), "logprob": token.get("logprob")});
                if token.get("special") != Some(&Value::Bool(true)) {
                    append(&mut self.answer, "generated_text", token.get("text").and_then(Value::as_str).unwrap_or_default());
                }
                extend(&mut self.answer, "logprobs", vec![listed]);
            }
            ("logprobs" | "completion_probabilities", Value::Array(more)) => extend(&mut self.answer, key, more),
            ("object", Value::String(name)) => {
                self.answer.insert(key.into(), name.trim_end_matches(".chunk").into());
            }
            (_, value) => {
                self.answer.insert(key.into(), value);
            }
        }
    }

    /// An event of Anthropic's.
    fn message_event(&mut self, kind: &str, piece: &Map<String, Value>) {
        let delta = piece.get("delta").and_then(Value::as_object);
        let index = piece.get("index").cloned().unwrap_or_default();
        match (kind, delta) {
            ("message_start", _) => {
                let message = piece.get("message").and_then(Value::as_object).cloned().unwrap_or_default();
                self.answer.extend(message);
            }
            ("content_block_start", _) => {
                let block = piece.get("content_block").and_then(Value::as_object).cloned().unwrap_or_default();
                in_list(&mut self.answer, "content", &index, |own| own.extend(block));
            }
            ("content_block_delta", Some(delta)) => in_list(&mut self.answer, "content", &index, |own| {
                for (key, value) in delta {
                    match (key.as_str(), value) {
                        ("text" | "thinking", Value::String(words)) => {
                            own.entry("type").or_insert_with(|| key.as_str().into());
                            append(own, key, words);
                        }
                        ("partial_json", Value::String(words)) => append(own, "input", words),
                        _ => {}
                    }
                }
            }),
            ("message_delta", delta) => {
                self.answer.extend(delta.cloned().unwrap_or_default().into_iter().filter(|(_, v)| !v.is_null()));
                if let Some(usage) = piece.get("usage") {
                    self.answer.insert("usage".to_owned(), usage.clone());
                }
            }
            _ => {}
        }
        self.answer.entry("role").or_insert_with(|| "assistant".into());
    }

    /// An event of OpenAI's Responses API.
    fn response_event(&mut self, kind: &str, piece: &Map<String, Value>) {
        if let Some(Value::Object(response)) = piece.get("response") {
            let has_items = response.get("output").and_then(Value::as_array).is_some_and(|o| !o.is_empty());
            for (key, value) in response {
                if key != "output" || has_items {
                    self.answer.insert(key.clone(), value.clone());
                }
            }
        }
        self.answer.entry("output").or_insert_with(|| Value::Array(Vec::new()));
        self.answer.entry("object").or_insert_with(|| "response".into());
        let index = |key: &str| piece.get(key).cloned().unwrap_or_default();
        let delta = piece.get("delta").and_then(Value::as_str).unwrap_or_default();
        let place = index("output_index");
        let part = match kind {
            "response.output_text.delta" | "response.refusal.delta" => Some(("content", "content_index", "output_text")),
            "response.reasoning_text.delta" => Some(("content", "content_index", "reasoning_text")),
            "response.reasoning_summary_text.delta" => Some(("summary", "summary_index", "summary_text")),
            _ => None,
        };
        if let Some((list, at, named)) = part {
            in_list(&mut self.answer, "output", &place, |item| {
                item.entry("type").or_insert_with(|| if named == "output_text" { "message" } else { "reasoning" }.into());
                in_list(item, list, &index(at), |part| {
                    part.entry("type").or_insert_with(|| named.into());
                    append(part, "text", delta);
                });
            });
        } else if kind == "response.function_call_arguments.delta" {
            in_list(&mut self.answer, "output", &place, |item| {
                item.entry("type").or_insert_with(|| "function_call".into());
                append(item, "arguments", delta);
            });
        } else if let ("response.output_item.added" | "response.output_item.done", Some(Value::Object(item))) = (kind, piece.get("item")) {
            // Its parts are indexed as they come; the whole item at the end takes their place.
            let item = item.clone();
            in_list(&mut self.answer, "output", &place, |own| own.extend(item));
        }
    }
}

/// Elements of a list that pieces may tell apart, at most; what comes after belongs to the last.
const MOST: usize = 1024;

/// Edits the element of a list with this index; list and element are made where they are not there.
fn in_list(map: &mut Map<String, Value>, key: &str, index: &Value, edit: impl FnOnce(&mut Map<String, Value>)) {
    let mut list = match map.get_mut(key).map(Value::take) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    let own = |v: &Value| v.get("index").unwrap_or(&Value::Null) == index;
    let at = list.iter().rposition(own).unwrap_or_else(|| {
        if list.len() < MOST {
            list.push(if index.is_null() { json!({}) } else { json!({ "index": index }) });
        }
        list.len() - 1
    });
    let mut element = match list[at].take() {
        Value::Object(element) => element,
        _ => Map::new(),
    };
    edit(&mut element);
    list[at] = Value::Object(element);
    map.insert(key.to_owned(), Value::Array(list));
}

/// Adds words to a text.
fn append(map: &mut Map<String, Value>, key: &str, words: &str) {
    match map.get_mut(key) {
        Some(Value::String(text)) => text.push_str(words),
        _ => {
            map.insert(key.to_owned(), words.into());
        }
    }
}

/// Adds elements to a list.
fn extend(map: &mut Map<String, Value>, key: &str, more: Vec<Value>) {
    match map.get_mut(key) {
        Some(Value::Array(list)) => list.extend(more),
        _ => {
            map.insert(key.to_owned(), Value::Array(more));
        }
    }
}

fn merge_choice(own: &mut Map<String, Value>, choice: Map<String, Value>) {
    for (key, value) in choice {
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            ("delta" | "message", Value::Object(delta)) => {
                let mut message = match own.get_mut("message").map(Value::take) {
                    Some(Value::Object(message)) => message,
                    _ => Map::new(),
                };
                merge_delta(&mut message, delta);
                own.insert("message".to_owned(), Value::Object(message));
            }
            ("text", Value::String(words)) => append(own, "text", &words),
            ("logprobs", Value::Object(more)) => {
                let mut all = match own.get_mut("logprobs").map(Value::take) {
                    Some(Value::Object(all)) => all,
                    _ => Map::new(),
                };
                for (key, value) in more {
                    if let Value::Array(entries) = value {
                        extend(&mut all, &key, entries);
                    }
                }
                own.insert("logprobs".to_owned(), Value::Object(all));
            }
            (_, value) => {
                own.insert(key, value);
            }
        }
    }
}

/// Adds a piece of a message: texts grow, calls of tools by their index, parts of reasoning where they go on.
fn merge_delta(message: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (key, value) in delta {
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            ("role" | "name" | "channel", value) => {
                message.entry(key).or_insert(value);
            }
            ("tool_calls", Value::Array(calls)) => calls.into_iter().enumerate().for_each(|(at, call)| merge_call(message, at, call)),
            ("reasoning_details", Value::Array(details)) => details.into_iter().for_each(|detail| merge_detail(message, detail)),
            (key, Value::String(words)) => append(message, key, &words),
            (key, Value::Array(more)) => extend(message, key, more),
            (key, value) => {
                message.insert(key.to_owned(), value);
            }
        }
    }
}

fn merge_call(message: &mut Map<String, Value>, at: usize, call: Value) {
    let Value::Object(call) = call else { return };
    let index = call.get("index").cloned().unwrap_or_else(|| json!(at));
    // Pieces have an index; whole calls, as Ollama sends them, have none and are one each.
    let whole = call.get("index").is_none() && call.get("function").is_some_and(|f| f.get("arguments").is_some_and(Value::is_object));
    if whole {
        return extend(message, "tool_calls", vec![Value::Object(call)]);
    }
    in_list(message, "tool_calls", &index, |own| {
        for (key, value) in call {
            match (key.as_str(), value) {
                ("function", Value::Object(function)) => {
                    let mut all = match own.get_mut("function").map(Value::take) {
                        Some(Value::Object(all)) => all,
                        _ => Map::new(),
                    };
                    for (key, value) in function {
                        match (key.as_str(), value) {
                            ("arguments", Value::String(words)) => append(&mut all, "arguments", &words),
                            (_, Value::Null) => {}
                            (_, value) => {
                                all.insert(key, value);
                            }
                        }
                    }
                    own.insert("function".to_owned(), Value::Object(all));
                }
                (_, Value::Null) => {}
                (_, value) => {
                    own.insert(key, value);
                }
            }
        }
    });
}

fn merge_detail(message: &mut Map<String, Value>, detail: Value) {
    let last = message.get_mut("reasoning_details").and_then(Value::as_array_mut).and_then(|all| all.last_mut());
    let same = |last: &Value, key: &str| last.get(key).unwrap_or(&Value::Null) == detail.get(key).unwrap_or(&Value::Null);
    match last.filter(|l| same(l, "type") && same(l, "index")).and_then(Value::as_object_mut) {
        Some(last) => {
            for key in ["text", "summary", "data"] {
                if let Some(words) = detail.get(key).and_then(Value::as_str) {
                    append(last, key, words);
                }
            }
        }
        None => extend(message, "reasoning_details", vec![detail]),
    }
}

/// Adds a piece of Gemini's: parts that go on are one.
fn merge_candidate(own: &mut Map<String, Value>, piece: Map<String, Value>) {
    for (key, value) in piece {
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            ("content", Value::Object(content)) => {
                let mut all = match own.get_mut("content").map(Value::take) {
                    Some(Value::Object(all)) => all,
                    _ => Map::new(),
                };
                for (key, value) in content {
                    match value {
                        Value::Array(parts) if key == "parts" => parts.into_iter().for_each(|part| merge_part(&mut all, part)),
                        value => {
                            all.insert(key, value);
                        }
                    }
                }
                own.insert("content".to_owned(), Value::Object(all));
            }
            (_, value) => {
                own.insert(key, value);
            }
        }
    }
}

fn merge_part(content: &mut Map<String, Value>, part: Value) {
    let last = content.get_mut("parts").and_then(Value::as_array_mut).and_then(|all| all.last_mut()).and_then(Value::as_object_mut);
    let thinks = |m: &Map<String, Value>| m.get("thought") == Some(&Value::Bool(true));
    match (last, part.as_object().map(|p| (p.get("text").and_then(Value::as_str), thinks(p)))) {
        (Some(last), Some((Some(words), own))) if last.contains_key("text") && thinks(last) == own => append(last, "text", words),
        _ => extend(content, "parts", vec![part]),
    }
}

//! What servers answer, in the shape of any of them: one candidate or several.

use super::beside;
use super::dialogue::{candidate, candidate_of};
use super::finish::finished;
use super::tokens::{Listed, listed};
use super::turn::Turn;
use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_text, wrong};
use crate::trace::{Candidate, FinishReason, Segmentation, Signal, SignalSource, Unit, Values, segment};
use serde_json::{Map, Value};

/// The answers to one request.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub candidates: Vec<Candidate>,
    pub model: Option<String>,
    pub id: Option<String>,
    /// Fields of the answer that become nothing else.
    pub rest: Map<String, Value>,
}

type Outcome<T> = Result<T, FieldError>;

/// How an answer is shaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `choices`, each with a message or a text: OpenAI and all that speak like it.
    Choices,
    /// `output` with items: OpenAI's Responses API.
    Items,
    /// `candidates` with parts: Gemini.
    Candidates,
    /// `outputs` with texts: vLLM's own.
    Outputs,
    /// A message by itself: Anthropic, and what a log keeps of others.
    Message,
    /// A message in a field: Ollama, Cohere, Bedrock.
    Within(&'static str),
    /// A text in a field: Ollama's and llama.cpp's completions, text-generation-inference, SGLang.
    Text(&'static str),
}

impl Shape {
    /// `None` where an object is no answer.
    pub fn of(map: &Map<String, Value>) -> Option<Self> {
        let array = |key: &str| map.get(key).and_then(Value::as_array);
        let each = |key: &str, has: &[&str]| {
            array(key).is_some_and(|all| !all.is_empty() && all.iter().all(|v| has.iter().any(|k| v.get(*k).is_some())))
        };
        let text = |key: &str| map.get(key).is_some_and(Value::is_string);
        let object = |key: &str| map.get(key).is_some_and(Value::is_object);
        let any = |keys: &[&str]| keys.iter().any(|k| map.contains_key(*k));
        if array("choices").is_some_and(|all| all.iter().all(|c| ["message", "text", "delta"].iter().any(|k| c.get(*k).is_some()))) {
            Some(Self::Choices)
        } else if each("output", &["type"]) || (map.get("object").is_some_and(|o| o == "response") && array("output").is_some()) {
            Some(Self::Items)
        } else if each("candidates", &["content", "finishReason", "finish_reason"])
            && each("candidates", &["content", "index", "finishReason"])
        {
            Some(Self::Candidates)
        } else if each("outputs", &["text"]) && any(&["prompt", "request_id", "prompt_token_ids"]) {
            Some(Self::Outputs)
        } else if map.get("output").is_some_and(|o| o.get("message").is_some_and(Value::is_object)) {
            Some(Self::Within("output"))
        } else if object("message")
            && map["message"].get("content").is_some()
            && any(&["done", "model", "finish_reason", "usage", "created_at"])
        {
            Some(Self::Within("message"))
        } else if any(&["content", "tool_calls"]) && map.get("role").is_some_and(|r| r == "assistant") {
            Some(Self::Message)
        } else if text("response") && any(&["done", "created_at", "done_reason"]) {
            Some(Self::Text("response"))
        } else if text("content") && any(&["stop", "tokens_predicted", "generation_settings"]) {
            Some(Self::Text("content"))
        } else if text("text") && any(&["meta_info"]) {
            Some(Self::Text("text"))
        } else if text("generated_text") {
            Some(Self::Text("generated_text"))
        } else {
            None
        }
    }
}

/// Reads an answer of whatever shape; a bare string is a text, a list is of messages.
pub(super) fn answers(value: &Value, path: &str) -> Outcome<Answers> {
    match value {
        Value::String(text) => Ok(Answers { candidates: vec![plain(text)], ..Answers::default() }),
        Value::Array(all) if all.iter().all(Value::is_string) && !all.is_empty() => {
            Ok(Answers { candidates: all.iter().filter_map(Value::as_str).map(plain).collect(), ..Answers::default() })
        }
        Value::Array(all) if all.len() == 1 && all[0].as_object().is_some_and(|m| Shape::of(m).is_some()) => {
            answers(&all[0], &format!("{path}[0]"))
        }
        Value::Array(all) => {
            let messages = all.iter().enumerate().map(|(i, v)| Fields::of(v, format!("{path}[{i}]"))).collect::<Outcome<Vec<_>>>()?;
            Ok(Answers { candidates: vec![candidate_of(&messages)?], ..Answers::default() })
        }
        Value::Object(map) => {
            let answer = Fields::of(value, path.to_owned())?;
            match map.get("messages") {
                Some(messages) if Shape::of(map).is_none() => answers(messages, &answer.name("messages")),
                _ => of_object(&answer),
            }
        }
        other => Err(wrong(path, other, "a text, a message or an answer of a server")),
    }
}

/// Reads an answer that is an object.
pub(super) fn of_object(answer: &Fields<'_>) -> Outcome<Answers> {
    if let Some(error) = failure(answer) {
        return Err(error);
    }
    let Some(shape) = Shape::of(answer.map) else {
        const SAID: [&str; 7] = ["answer", "output", "result", "response", "generation", "completion", "output_text"];
        if !Turn::is_message(answer) {
            if let Some(key) = SAID.iter().find(|k| answer.get(k).is_some()) {
                return answers(answer.need(key)?, &answer.name(key));
            }
            let keys: Vec<&str> = answer.map.keys().map(String::as_str).take(6).collect();
            let problem = format!("holds no answer that is known; it has the fields {}", keys.join(", "));
            return Err(FieldError::new(
                answer.name("").trim_end_matches('.'),
                problem,
                "give it as a message, `{\"role\": \"assistant\", \"content\": …}`",
            ));
        }
        let turn = Turn::read_as(answer, Some("assistant"))?;
        return Ok(Answers { candidates: vec![candidate(&[turn], None)?], ..Answers::default() });
    };
    let found = shaped(answer, shape)?;
    if found.candidates.is_empty() {
        return Err(FieldError::new(
            answer.name("choices"),
            "is empty: the server gave no answer",
            "send the request again, or leave it out",
        ));
    }
    Ok(found)
}

/// The error for a request that failed, where a record says that it did.
pub(super) fn failure(answer: &Fields<'_>) -> Option<FieldError> {
    fn said(value: &Value) -> Option<String> {
        match value {
            Value::String(s) => Some(s.trim().to_owned()).filter(|s| !s.is_empty()),
            Value::Object(map) => {
                let text = ["error", "message", "detail", "code", "type"].iter().find_map(|k| map.get(*k).filter(|v| !v.is_null()));
                text.map_or_else(|| Some(value.to_string()), said)
            }
            Value::Number(code) => Some(code.to_string()),
            _ => None,
        }
    }
    let error = ["error", "error_str", "errors"].iter().find_map(|k| answer.get(k).map(|v| (*k, v)));
    let blocked = answer
        .get("promptFeedback")
        .and_then(|f| f.get("blockReason"))
        .filter(|_| answer.get("candidates").is_none_or(|c| c.as_array().is_some_and(Vec::is_empty)));
    let (field, text) = match (error, blocked) {
        (Some((key, value)), _) => (key, said(value)?),
        (None, Some(reason)) => ("promptFeedback", reason.as_str().unwrap_or_default().to_owned()),
        (None, None) => return None,
    };
    let text: String = text.chars().take(200).collect();
    Some(FieldError::new(answer.name(field), format!("says that the request failed: {text}"), "send it again, or leave it out"))
}

fn shaped(answer: &Fields<'_>, shape: Shape) -> Outcome<Answers> {
    let mut used = vec!["id", "model", "modelVersion", "responseId"];
    let candidates = match shape {
        Shape::Choices => {
            used.push("choices");
            each(answer, "choices", choice)?
        }
        Shape::Outputs => {
            used.extend(["outputs", "prompt", "prompt_token_ids", "request_id"]);
            each(answer, "outputs", choice)?
        }
        Shape::Candidates => {
            used.push("candidates");
            each(answer, "candidates", gemini)?
        }
        Shape::Items => {
            used.extend(["output", "status", "incomplete_details", "output_text", "error"]);
            vec![items(answer)?]
        }
        Shape::Message => {
            used.extend(["content", "role", "type", "stop_reason", "finish_reason"]);
            let turn = Turn::read_as(answer, Some("assistant"))?;
            vec![finished(candidate(&[turn], None)?, answer)]
        }
        Shape::Within(key) => {
            used.extend([key, "done", "done_reason", "finish_reason", "stopReason", "logprobs"]);
            let outer = answer.object(key)?;
            let message = if key == "output" { outer.object("message")? } else { outer };
            let turn = Turn::read_as(&message, Some("assistant"))?;
            vec![finished(candidate(&[turn], tokens(answer)?.as_deref())?, answer)]
        }
        Shape::Text(key) => {
            used.extend([key, "thinking", "done", "done_reason", "finish_reason", "logprobs", "prompt", "stop", "stop_type", "context"]);
            vec![finished(text(answer, key)?, answer)]
        }
    };
    let model = ["model", "modelVersion"].iter().find_map(|k| answer.get(k)?.as_str()).map(str::to_owned);
    let id = answer.id().or_else(|| ["responseId", "request_id"].iter().find_map(|k| answer.get(k)?.as_str()).map(str::to_owned));
    Ok(Answers { candidates, model, id, rest: beside::rest(answer, &used) })
}

fn each(answer: &Fields<'_>, key: &str, read: fn(&Fields<'_>) -> Outcome<Candidate>) -> Outcome<Vec<Candidate>> {
    answer.objects(key)?.iter().map(read).collect()
}

fn plain(text: &str) -> Candidate {
    Candidate { text: text.to_owned(), steps: segment(text, &Segmentation::Auto), ..Candidate::default() }
}

/// The tokens that an answer lists.
fn tokens(fields: &Fields<'_>) -> Outcome<Option<Vec<Listed>>> {
    const NAMES: [&str; 5] = ["logprobs", "logprobsResult", "completion_probabilities", "probs", "logprobs_result"];
    let Some(key) = NAMES.iter().find(|k| fields.get(k).is_some()) else { return Ok(None) };
    listed(fields.need(key)?, &fields.name(key))
}

/// A choice: a message, or a text as completions have it, with its tokens.
fn choice(choice: &Fields<'_>) -> Outcome<Candidate> {
    let tokens = tokens(choice)?;
    let message = ["message", "delta"].iter().find(|k| choice.get(k).is_some_and(Value::is_object));
    let turn = match message {
        Some(key) => Turn::read_as(&choice.object(key)?, Some("assistant"))?,
        None if choice.get("message").is_some_and(Value::is_string) => Turn::saying(choice, choice.text("message")?),
        None => Turn::saying(choice, choice.text("text")?),
    };
    let mut candidate = finished(candidate(&[turn], tokens.as_deref())?, choice);
    if let Some(sum) = choice.get("cumulative_logprob").and_then(Value::as_f64) {
        candidate.signals.push(of_policy("cumulative_logprob", sum));
    }
    const USED: [&str; 12] = [
        "message",
        "delta",
        "text",
        "index",
        "finish_reason",
        "logprobs",
        "cumulative_logprob",
        "role",
        "content",
        "native_finish_reason",
        "stop_reason",
        "finishReason",
    ];
    let mut rest = beside::rest(choice, &USED);
    if candidate.tokens.iter().any(|t| t.id.is_some()) {
        rest.shift_remove("token_ids");
    }
    keep_alternatives(choice, &mut rest);
    for key in ["native_finish_reason", "stop_reason"] {
        if let Some(value) = choice.get(key) {
            rest.insert(key.into(), value.clone());
        }
    }
    beside::note(&mut candidate, &mut rest);
    Ok(candidate)
}

/// The likeliest other tokens have no place in a candidate; where a record lists some, its own words for them are kept.
fn keep_alternatives(choice: &Fields<'_>, rest: &mut Map<String, Value>) {
    let Some(logprobs) = choice.get("logprobs") else { return };
    let filled = |v: &Value| v.as_array().is_some_and(|a| !a.is_empty()) || v.as_object().is_some_and(|o| !o.is_empty());
    let listed =
        logprobs.get("content").and_then(Value::as_array).is_some_and(|c| c.iter().any(|e| e.get("top_logprobs").is_some_and(filled)));
    let columns = logprobs.get("top_logprobs").is_some_and(|t| t.as_array().is_some_and(|a| a.iter().any(filled)));
    if listed {
        let of = |e: &Value| e.get("top_logprobs").cloned().unwrap_or_default();
        let all: Vec<Value> = logprobs.get("content").and_then(Value::as_array).into_iter().flatten().map(of).collect();
        rest.insert("top_logprobs".into(), Value::Array(all));
    } else if columns {
        rest.insert("top_logprobs".into(), logprobs["top_logprobs"].clone());
    }
}

fn of_policy(name: &str, value: f64) -> Signal {
    Signal { unit: Unit::Nats, ..Signal::new(name, SignalSource::Policy, Values::Candidate(value as f32)) }
}

fn gemini(answer: &Fields<'_>) -> Outcome<Candidate> {
    let tokens = tokens(answer)?;
    let turn = match answer.opt_object("content")? {
        Some(content) => Turn::read_as(&content, Some("assistant"))?,
        None => Turn::saying(answer, ""),
    };
    let mut candidate = finished(candidate(&[turn], tokens.as_deref())?, answer);
    if let Some(mean) = ["avgLogprobs", "avg_logprobs"].iter().find_map(|k| answer.get(k)?.as_f64()) {
        candidate.signals.push(of_policy("avg_logprob", mean));
    }
    const USED: [&str; 7] = ["content", "finishReason", "finish_reason", "index", "avgLogprobs", "avg_logprobs", "logprobsResult"];
    beside::note(&mut candidate, &mut beside::rest(answer, &USED));
    Ok(candidate)
}

/// The items of OpenAI's Responses API: reasoning, messages, calls and what they gave back, in order.
fn items(answer: &Fields<'_>) -> Outcome<Candidate> {
    let turns = answer.objects("output")?.iter().map(|item| Turn::read_as(item, Some("assistant"))).collect::<Outcome<Vec<_>>>()?;
    let mut candidate = candidate(&turns, None)?;
    let status = answer.get("status").and_then(Value::as_str).unwrap_or_default();
    let reason = answer.get("incomplete_details").and_then(|d| d.get("reason")).and_then(Value::as_str);
    candidate.finish = reason.and_then(FinishReason::named).or_else(|| FinishReason::named(status));
    Ok(candidate)
}

fn text(answer: &Fields<'_>, key: &str) -> Outcome<Candidate> {
    let mut turn = Turn::saying(answer, as_text(answer.need(key)?, &answer.name(key))?);
    if let Some(thought) = answer.opt_text("thinking")? {
        turn.think_before(thought);
    }
    candidate(&[turn], tokens(answer)?.as_deref())
}

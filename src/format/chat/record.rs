//! Records with messages: where the request stands, and where the answer.

use super::answers::{Answers, Shape, answers, failure, of_object};
use super::asked::{Asked, REQUESTS, asked, has_answer, system_beside};
use super::finish::finished;
use super::parts::unquoted;
use super::turn::Role;
use super::{beside, dialogue, stream};
use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_answer};
use crate::trace::{FinishReason, Trace};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Names of a list of messages.
const MESSAGES: [&str; 5] = ["messages", "conversations", "conversation", "traj", "trajectory"];
/// Names of the field that an answer may stand in, beside a request.
const ANSWERS: [&str; 9] =
    ["response", "output", "outputs", "completion", "result", "completions", "responses", "generation", "answer_message"];
/// Names of the field that a request may stand in, beside an answer.
const ASKED: [&str; 6] = ["request", "body", "input", "inputs", "params", "kwargs"];

/// Who wrote a record, by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Kind {
    /// Messages, or choices: OpenAI's chats and all that are like them.
    Chat,
    /// Choices with texts.
    Completions,
    /// Items of OpenAI's Responses API.
    Responses,
    /// A line of a batch's results.
    Batch,
    /// A request and its answer.
    Exchange,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's candidates.
    Gemini,
    /// vLLM's outputs.
    Vllm,
    /// Turns with `from` and `value`.
    ShareGpt,
    /// A request without answer.
    Problem,
    /// Ollama's answers.
    Ollama,
    /// A piece of an answer.
    Stream,
}

/// What a record is, `None` where it is no chat.
pub(in crate::format) fn kind(record: &Map<String, Value>) -> Option<Kind> {
    let get = |key: &str| record.get(key).filter(|v| !v.is_null());
    if stream::fits_ollama(record) {
        return Some(Kind::Ollama);
    }
    if stream::fits(record) {
        return Some(Kind::Stream);
    }
    if get("custom_id").is_some() || get("key").is_some() {
        if ["response", "result"].iter().any(|k| get(k).is_some_and(Value::is_object)) || (get("error").is_some() && get("body").is_none())
        {
            return Some(Kind::Batch);
        }
        if get("body").or(get("params")).or(get("request")).is_some_and(is_request) {
            return Some(Kind::Problem);
        }
    }
    if get("response").is_some_and(|r| r.get("body").is_some()) && get("request").is_none() {
        return Some(Kind::Batch);
    }
    if get("request").is_some_and(is_request) && (get("response").is_some() || get("error").is_some()) {
        return Some(Kind::Exchange);
    }
    if let Some(messages) = MESSAGES.iter().find_map(|k| get(k).and_then(list)) {
        return of_messages(record, &messages);
    }
    match Shape::of(record) {
        Some(Shape::Choices) => {
            let texts = get("choices").and_then(Value::as_array).is_some_and(|c| c.iter().all(|c| c.get("message").is_none()));
            return Some(if texts { Kind::Completions } else { Kind::Chat });
        }
        Some(Shape::Items) => return Some(Kind::Responses),
        Some(Shape::Candidates) => return Some(Kind::Gemini),
        Some(Shape::Outputs) => return Some(Kind::Vllm),
        Some(Shape::Message) => {
            let own = get("stop_reason").is_some() || get("type").is_some_and(|t| t == "message");
            return Some(if own { Kind::Anthropic } else { Kind::Chat });
        }
        Some(Shape::Within(_)) => return Some(Kind::Chat),
        Some(Shape::Text("content" | "text" | "response")) => return Some(Kind::Completions),
        _ => {}
    }
    let has_shape = |v: &Value| v.as_object().is_some_and(|m| Shape::of(m).is_some());
    let says = |v: &Value| has_shape(v) || has_answer(v) || v.get("role").is_some() || v.get("messages").is_some_and(Value::is_array);
    let answered =
        ["response", "output", "outputs"].iter().any(|k| get(k).is_some_and(|v| unquoted(v).as_ref().map_or_else(|| says(v), says)));
    let asks = |v: &Value| v.is_string() || is_request(v) || v.is_array();
    if answered && ["input", "inputs", "prompt", "request"].iter().any(|k| get(k).is_some_and(asks)) {
        return Some(Kind::Exchange);
    }
    if get("contents").is_some_and(Value::is_array) || get("body").is_some_and(is_request) {
        return Some(Kind::Problem);
    }
    None
}

fn of_messages(record: &Map<String, Value>, messages: &Value) -> Option<Kind> {
    let all = messages.as_array()?;
    if marks_only(all) {
        return None;
    }
    let said = || ANSWERS.iter().any(|k| record.get(*k).is_some_and(|v| v.is_string() || v.is_object() || v.is_array()));
    if record.get("choices").is_some_and(Value::is_array) {
        return Some(Kind::Chat);
    }
    if ["response", "output"].iter().any(|k| record.get(*k).is_some_and(|v| v.is_object() || v.is_array())) {
        return Some(Kind::Exchange);
    }
    if all.first().is_some_and(|m| m.get("from").is_some()) {
        return Some(Kind::ShareGpt);
    }
    Some(if has_answer(messages) || said() { Kind::Chat } else { Kind::Problem })
}

/// Whether the assistant of some messages says nothing but `+` and `-`: those are labels of steps, as RLHFlow's reward models are trained on.
fn marks_only(messages: &[Value]) -> bool {
    let is_assistant =
        |m: &&Value| ["role", "from"].iter().any(|k| m.get(*k).and_then(Value::as_str).is_some_and(|n| Role::of(n) == Role::Assistant));
    let text =
        |m: &Value| ["content", "value"].iter().find_map(|k| m.get(*k)?.as_str()).map(|t| matches!(t.trim(), "+" | "-")).unwrap_or(false);
    let mut said = messages.iter().filter(is_assistant).peekable();
    // One sign alone may be an answer.
    messages.len() > 2 && said.peek().is_some() && said.all(text)
}

/// A list of messages, which may be written as a string; empty ones and lists of other things are none.
fn list(value: &Value) -> Option<Cow<'_, Value>> {
    let value = unquoted(value).map_or(Cow::Borrowed(value), Cow::Owned);
    let is_message = |m: &Value| m.is_object() && ["role", "from", "type", "author"].iter().any(|k| m.get(*k).is_some());
    value.as_array().is_some_and(|all| all.iter().any(is_message)).then_some(value)
}

fn is_request(value: &Value) -> bool {
    let unpacked = unquoted(value);
    let asks = |v: &Value| v.as_object().is_some_and(|m| REQUESTS.iter().any(|k| m.contains_key(*k)));
    let value = unpacked.as_ref().unwrap_or(value);
    asks(value) || value.get("body").is_some_and(asks)
}

/// Reads a record: the answers of a server are the candidates for what was asked; messages alone are both.
///
/// Where reasoning stands in fields of its own it comes first in the text, what is said after a blank line; steps are cut in each. Tokens with their
/// log-probabilities may stand in the choice, the message or the record.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    // Lists and objects that an export wrote as strings.
    let mut unpacked = None;
    if let Value::Object(map) = value {
        for key in MESSAGES.iter().chain(&ANSWERS).chain(&ASKED) {
            if let Some(inner) = map.get(*key).and_then(unpack) {
                let whole: &mut Value = unpacked.get_or_insert_with(|| value.clone());
                whole[*key] = inner;
            }
        }
    }
    let record = Fields::record(unpacked.as_ref().unwrap_or(value))?;
    match answer_of(&record)? {
        Some((key, found)) => exchange(&record, key, found),
        None => conversation(&record),
    }
}

/// Reads the lines of one record of a log: its answers are the candidates. One whose end is not in the log is cut.
pub(in crate::format) fn parse_stream(bytes: &[u8]) -> Result<Trace, FieldError> {
    let mut whole: Option<Trace> = None;
    for answer in stream::whole(bytes) {
        let failed =
            |error: &str| FieldError::new("error", format!("says that the request failed: {error}"), "send it again, or leave it out");
        let mut trace = parse(&answer.answer).map_err(|e| answer.error.as_deref().map_or(e, failed))?;
        for candidate in trace.candidates.iter_mut().filter(|c| c.finish.is_none() || answer.error.is_some()) {
            candidate.finish = match &answer.error {
                Some(error) => Some(FinishReason::Failed(error.clone())),
                None if answer.ended => None,
                None => Some(FinishReason::Failed("the log breaks off before the answer ends".into())),
            };
        }
        match &mut whole {
            Some(whole) => whole.candidates.append(&mut trace.candidates),
            None => whole = Some(trace),
        }
    }
    whole.ok_or_else(|| FieldError::new("data", "holds no answer", "remove the line"))
}

/// A value that an export wrote as a string: JSON, or a stream as it came.
fn unpack(value: &Value) -> Option<Value> {
    let text = value.as_str().filter(|t| t.starts_with("data:") || t.starts_with("event:"));
    match text.map(|t| stream::whole(t.as_bytes())) {
        Some(mut all) if all.len() == 1 => all.pop().map(|one| one.answer),
        _ => unquoted(value),
    }
}

/// A request without its answer.
pub(in crate::format) fn parse_problem(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let (asked, _) = request_of(&record, "")?;
    let asked = asked.filter(|a| !a.problem.trim().is_empty());
    let Some(asked) = asked else { return Err(FieldError::new("messages", "holds no problem", "add a message of the user's")) };
    let mut trace = Trace { id: id(&record).unwrap_or_default(), problem: asked.problem, ..Trace::default() };
    beside::apply(&mut trace, beside::rest(&record, &[]));
    Ok(trace)
}

/// The answers in a record and the field that they stand in, empty for the record itself; `None` where it is a conversation.
fn answer_of<'a>(record: &Fields<'a>) -> Result<Option<(&'a str, Answers)>, FieldError> {
    const BATCH: [&str; 2] = ["response", "result"];
    let in_batch = record.get("custom_id").is_some() || record.get("key").is_some();
    if in_batch && let Some(error) = failure(record) {
        return Err(error);
    }
    if let Some(key) = BATCH.into_iter().find(|k| record.get(k).is_some_and(|v| v.is_object() && (in_batch || v.get("body").is_some()))) {
        return batch(&record.object(key)?).map(|found| Some((key, found)));
    }
    let other = |k: &str| record.get(k).is_some();
    if (in_batch || other("request") || !other("messages"))
        && !ANSWERS.iter().any(|k| other(k))
        && Shape::of(record.map).is_none()
        && let Some(error) = failure(record)
    {
        return Err(error);
    }
    if Shape::of(record.map).is_some() {
        return of_object(record).map(|found| Some(("", found)));
    }
    let is_conversation = MESSAGES.iter().any(|k| record.get(k).is_some_and(has_answer));
    for key in ANSWERS {
        let Some(value) = record.get(key) else { continue };
        // Beside a whole conversation a text may be anything.
        if is_conversation && !value.is_object() && !(key == "response" && value.is_array()) {
            continue;
        }
        return answers(value, &record.name(key)).map(|found| Some((key, found)));
    }
    Ok(None)
}

/// The result of a request in a batch: OpenAI's and Mistral's with a body, Anthropic's with a message, Gemini's as it is.
fn batch(result: &Fields<'_>) -> Result<Answers, FieldError> {
    let kind = result.get("type").and_then(Value::as_str).unwrap_or_default();
    if let Some(error) = failure(result) {
        return Err(error);
    }
    if matches!(kind, "errored" | "expired" | "canceled") {
        return Err(FieldError::new(result.name("type"), format!("says that the request is {kind}"), "send it again, or leave it out"));
    }
    let inner = ["body", "message"].iter().find(|k| result.get(k).is_some_and(Value::is_object));
    if let Some(key) = inner {
        return answers(result.need(key)?, &result.name(key));
    }
    if let Some(status) = result.get("status_code").and_then(Value::as_u64).filter(|s| *s >= 400) {
        return Err(FieldError::new(
            result.name("status_code"),
            format!("is {status}: the request failed"),
            "send it again, or leave it out",
        ));
    }
    of_object(result)
}

/// A request with its answers.
fn exchange(record: &Fields<'_>, key: &str, found: Answers) -> Result<Trace, FieldError> {
    let (asked, wrapped) = request_of(record, key)?;
    let asked = asked.unwrap_or_default();
    let model = found.model.clone().or_else(|| model(record)).or_else(|| wrapped.as_ref().and_then(model));
    let mut trace =
        Trace { id: id(record).or(found.id).unwrap_or_default(), problem: asked.problem, candidates: found.candidates, ..Trace::default() };
    for candidate in &mut trace.candidates {
        candidate.policy = candidate.policy.take().or_else(|| model.clone());
        if !key.is_empty() && candidate.finish.is_none() {
            *candidate = finished(std::mem::take(candidate), record);
        }
    }
    let mut fields = found.rest;
    if !key.is_empty() {
        let used = [&[key, "id", "model", "custom_id", "finish_reason"], &REQUESTS[..], &ASKED[..]].concat();
        fields.extend(beside::rest(record, &used));
    }
    if let Some(system) = asked.system {
        fields.insert("system".into(), system.into());
    }
    for name in REQUESTS {
        fields.shift_remove(name);
    }
    if let Some(request) = wrapped {
        let rest = beside::rest(&request, &[&REQUESTS[..], &["system", "model", "systemInstruction", "instructions"]].concat());
        if !rest.is_empty() {
            fields.insert("request".into(), Value::Object(rest));
        }
    }
    beside::apply(&mut trace, fields);
    Ok(trace)
}

/// What was asked, and the object that it stands in where that is not the record itself.
fn request_of<'a>(record: &Fields<'a>, answer: &str) -> Result<(Option<Asked>, Option<Fields<'a>>), FieldError> {
    for key in ASKED {
        if key != answer && record.get(key).is_some_and(is_request) {
            let mut request = record.object(key)?;
            if request.get("body").is_some_and(Value::is_object) {
                request = request.object("body")?;
            }
            return Ok((asked(&request, "")?, Some(request)));
        }
    }
    Ok((asked(record, answer)?, None))
}

/// Messages that hold both problem and candidate.
fn conversation(record: &Fields<'_>) -> Result<Trace, FieldError> {
    let Some(key) = MESSAGES.into_iter().find(|k| record.get(k).is_some()) else {
        let key = if ASKED.iter().any(|k| record.get(k).is_some()) { ANSWERS[0] } else { MESSAGES[0] };
        return Err(FieldError::new(key, "is missing or null", "add it, or leave the record out"));
    };
    let beside = dialogue::Beside { logprobs: record.get("logprobs").map(|v| (v, "logprobs")), thought: thought(record) };
    let read = dialogue::read(&record.objects(key)?, &beside)?;
    let Some(candidate) = read.candidate else {
        return Err(FieldError::new(key, "has no assistant message", "add one, or pass the file as --problems"));
    };
    let mut candidate = finished(candidate, record);
    candidate.policy = model(record);
    let (mut problem, mut system) = (read.problem, system_beside(record)?.or(read.system));
    if problem.is_empty() {
        const TEXTS: [&str; 4] = ["prompt", "problem", "question", "instruction"];
        problem = TEXTS.iter().find_map(|k| record.get(k)?.as_str()).unwrap_or_default().to_owned();
    }
    if problem.is_empty() {
        problem = system.take().unwrap_or_default();
    }
    let mut trace = Trace { id: id(record).unwrap_or_default(), problem, candidates: vec![candidate], ..Trace::default() };
    let mut fields = beside::rest(record, &[key, "id", "model", "logprobs", "system", "prompt", "custom_id"]);
    if beside.thought.is_some() {
        THOUGHTS.iter().for_each(|k| drop(fields.shift_remove(*k)));
    }
    if let Some(system) = system {
        fields.insert("system".into(), system.into());
    }
    beside::apply(&mut trace, fields);
    Ok(trace)
}

/// Names of the reasoning of a conversation's last message, where it stands beside the messages.
const THOUGHTS: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];

/// Such reasoning; a word alone says how a model was set.
fn thought<'a>(record: &Fields<'a>) -> Option<&'a str> {
    THOUGHTS.iter().find_map(|k| record.get(k)?.as_str()).filter(|t| t.trim().contains(char::is_whitespace))
}

fn model(record: &Fields<'_>) -> Option<String> {
    const NAMES: [&str; 5] = ["model", "model_name", "modelVersion", "model_id", "generator"];
    NAMES.iter().find_map(|k| record.get(k)?.as_str()).filter(|m| !m.is_empty()).map(str::to_owned)
}

/// The name of a record: in a batch, the one that the sender gave.
fn id(record: &Fields<'_>) -> Option<String> {
    const OTHERS: [&str; 7] = ["task_id", "instance_id", "example_id", "conversation_id", "session_id", "uuid", "request_id"];
    let own = ["custom_id", "key"].iter().find_map(|k| record.get(k)?.as_str()).map(str::to_owned);
    own.or_else(|| record.id()).or_else(|| OTHERS.iter().find_map(|k| record.get(k).and_then(as_answer)).filter(|id| !id.is_empty()))
}

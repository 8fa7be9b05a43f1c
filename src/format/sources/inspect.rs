//! Samples of Inspect's evaluation logs: <https://inspect.aisi.org.uk/eval-logs.html>.

use crate::format::chat::record as chat;
use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_answer, json};
use crate::trace::{Candidate, FinishReason, Signal, Trace, with_options};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};
use std::fmt;

/// Fields that make up most of a sample and tell nothing of its messages.
const LEFT_OUT: [&str; 4] = ["events", "events_data", "store", "timelines"];
/// Fields that are kept with the candidates as they stand.
const KEPT: [&str; 9] = ["epoch", "metadata", "scores", "model_usage", "total_time", "working_time", "uuid", "limit", "error"];

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    let has = |key: &str| record.contains_key(key);
    has("id") && has("epoch") && has("input") && has("target") && (has("messages") || has("output"))
}

/// Reads a sample; see [`parse`]. The outer error: it is no JSON.
pub(in crate::format) fn read(bytes: &[u8]) -> Result<Result<Trace, FieldError>, FieldError> {
    let Short(mut record) = json(bytes)?;
    let told = |key: &str| record.get(key).and_then(Value::as_array).is_some_and(|m| !m.is_empty());
    if !told("messages") {
        // What a sample that was stopped has said stands in its events alone.
        let whole: Value = json(bytes)?;
        if let Some(messages) = last_call(&whole) {
            record.insert("messages".to_owned(), messages);
        }
    }
    Ok(parse(&Value::Object(record)))
}

/// The messages of a sample, from its first answer on, are the text of a candidate, reasoning and calls of tools included; its epochs are candidates of one
/// problem. Scores are signals, and the first of them that is a verdict says whether the candidate is right; the answer that was graded stands beside it.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let mut value = value.clone();
    let attached = value.get_mut("attachments").map(Value::take).or_else(|| value.pointer_mut("/transcript/content").map(Value::take));
    if let Some(attached) = attached.as_ref().and_then(Value::as_object) {
        for key in ["input", "messages", "output"] {
            if let Some(inner) = value.get_mut(key) {
                resolve(inner, attached);
            }
        }
    }
    let record = Fields::record(&value)?;
    let (id, problem) = problem(&value)?;
    let said: &[Value] = record.opt_array("messages")?.unwrap_or_default();
    let role = |m: &Value| m.get("role").and_then(Value::as_str).unwrap_or_default().to_owned();
    let first = said.iter().position(|m| role(m) == "assistant").unwrap_or(said.len());
    let choices =
        record.opt_object("output")?.map(|o| o.opt_array("choices").map(Option::unwrap_or_default)).transpose()?.unwrap_or_default();
    let mut texts: Vec<(Vec<Value>, Option<&Value>)> = Vec::new();
    if first < said.len() {
        let mut turns: Vec<Value> = said[first..].iter().map(message).collect();
        let logprobs = choices.first().and_then(|c| c.get("logprobs")).filter(|l| !l.is_null());
        if let (Some(last), Some(logprobs)) = (turns.iter_mut().rfind(|m| m["role"] == "assistant"), logprobs) {
            last["logprobs"] = logprobs.clone();
        }
        texts.push((turns, choices.first()));
    }
    // More choices than the one that the conversation went on with.
    for choice in choices.iter().skip(texts.len()) {
        if let Some(own) = choice.get("message") {
            let mut turn = message(own);
            turn["logprobs"] = choice.get("logprobs").cloned().unwrap_or_default();
            texts.push((vec![turn], Some(choice)));
        }
    }
    if texts.is_empty() {
        // An answer that never came is a failed candidate still.
        texts.push((Vec::new(), None));
    }
    let model = record.opt_text("model")?.or_else(|| value.pointer("/output/model").and_then(Value::as_str)).filter(|m| !m.is_empty());
    let scored = scores(&record)?;
    let extra: Map<String, Value> =
        KEPT.iter().filter_map(|k| Some(((*k).to_owned(), record.get(k).filter(|v| !is_empty(v))?.clone()))).collect();
    let mut candidates = Vec::new();
    for (i, (turns, choice)) in texts.into_iter().enumerate() {
        let mut candidate = Candidate::default();
        if !turns.is_empty() {
            let mut messages = vec![json!({"role": "user", "content": problem.clone()})];
            messages.extend(turns);
            candidate = chat::parse(&json!({ "messages": messages }))?.candidates.pop().unwrap_or_default();
        }
        candidate.policy = model.map(str::to_owned);
        candidate.finish = finish(&record, choice);
        if i == 0 {
            candidate.signals.extend(scored.signals.iter().cloned());
            candidate.correct = scored.correct.or(candidate.correct);
            candidate.answer = scored.answer.clone().or(candidate.answer);
        }
        candidate.extra = (!extra.is_empty()).then(|| Value::Object(extra.clone()).to_string());
        candidates.push(candidate);
    }
    let gold_answer = match record.get("target") {
        Some(Value::Array(any)) => any.iter().find_map(as_answer),
        target => target.and_then(as_answer),
    };
    Ok(Trace { id, problem, gold_answer: gold_answer.filter(|g| !g.is_empty()), candidates, source: None })
}

/// A sample's own name, and the text of its input with the options that it leaves.
pub(in crate::format) fn problem(value: &Value) -> Result<(String, String), FieldError> {
    let record = Fields::record(value)?;
    let mut text = match record.need("input")? {
        Value::String(text) => text.clone(),
        _ => {
            let mut messages: Vec<Value> = record.array("input")?.iter().map(message).collect();
            // What is read as a chat has an answer.
            messages.push(json!({"role": "assistant", "content": "."}));
            chat::parse(&json!({ "messages": messages }))?.problem
        }
    };
    let options: Vec<&str> = record.opt_array("choices")?.unwrap_or_default().iter().filter_map(Value::as_str).collect();
    if !options.is_empty() {
        let letters: Vec<String> = (b'A'..=b'Z').map(|l| char::from(l).to_string()).collect();
        text = with_options(&text, letters.iter().map(String::as_str).zip(options));
    }
    Ok((record.id().unwrap_or_default(), text))
}

struct Scored {
    signals: Vec<Signal>,
    correct: Option<bool>,
    answer: Option<String>,
}

/// What the scorers say; a score of several parts is as many signals.
fn scores(record: &Fields<'_>) -> Result<Scored, FieldError> {
    let mut out = Scored { signals: Vec::new(), correct: None, answer: None };
    let mut scores: Vec<(String, &Value)> = Vec::new();
    if let Some(several) = record.opt_object("scores")? {
        scores.extend(several.map.iter().map(|(name, score)| (name.clone(), score)));
    }
    // before there were several
    scores.extend(record.get("score").map(|score| ("score".to_owned(), score)));
    for (name, score) in scores {
        let value = score.get("value").unwrap_or(score);
        let mut parts = Vec::new();
        match value {
            Value::Object(inner) => parts.extend(inner.iter().map(|(key, v)| (format!("{name}.{key}"), v))),
            Value::Array(inner) => parts.extend(inner.iter().enumerate().map(|(i, v)| (format!("{name}[{i}]"), v))),
            whole => parts.push((name.clone(), whole)),
        }
        for (name, value) in parts {
            let (number, verdict) = grade(value);
            out.signals.extend(number.map(|n| Signal::given(name, n)));
            if out.correct.is_none() {
                out.correct = verdict;
            }
        }
        if out.answer.is_none() {
            out.answer = score.get("answer").and_then(as_answer).filter(|a| !a.is_empty());
        }
    }
    Ok(out)
}

/// A score as a number, and as a verdict where it is one: C is correct, I incorrect, N no answer, P partly correct.
fn grade(value: &Value) -> (Option<f32>, Option<bool>) {
    match value {
        Value::Bool(right) => (Some(f32::from(u8::from(*right))), Some(*right)),
        Value::Number(number) => (number.as_f64().map(|n| n as f32), None),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "c" | "correct" | "yes" | "true" => (Some(1.0), Some(true)),
            "i" | "incorrect" | "n" | "noanswer" | "no" | "false" => (Some(0.0), Some(false)),
            "p" | "partial" => (Some(0.5), None),
            number => (number.parse().ok().filter(|n: &f32| n.is_finite()), None),
        },
        _ => (None, None),
    }
}

fn finish(record: &Fields<'_>, choice: Option<&Value>) -> Option<FinishReason> {
    let named = |value: &Value, key: &str| value.as_str().or_else(|| value.get(key)?.as_str()).map(str::to_owned);
    if let Some(error) = record.get("error") {
        return Some(FinishReason::Failed(named(error, "message").unwrap_or_else(|| "the sample failed".to_owned())));
    }
    if let Some(limit) = record.get("limit") {
        return match named(limit, "type").as_deref() {
            Some("token" | "context" | "message" | "turn") | None => Some(FinishReason::Length),
            Some("operator") => Some(FinishReason::Cancelled),
            Some(other) => Some(FinishReason::Failed(format!("the sample came to its limit of {other}"))),
        };
    }
    match choice?.get("stop_reason")?.as_str()? {
        "stop" | "tool_calls" => Some(FinishReason::Stop),
        "max_tokens" | "model_length" => Some(FinishReason::Length),
        "content_filter" => Some(FinishReason::Failed("the server's filter ended it".to_owned())),
        _ => None,
    }
}

/// A message as a chat record has it.
fn message(value: &Value) -> Value {
    let mut out = Map::new();
    for key in ["role", "tool_call_id"] {
        if let Some(own) = value.get(key).filter(|v| !v.is_null()) {
            out.insert(key.to_owned(), own.clone());
        }
    }
    if let Some(name) = value.get("function").or_else(|| value.get("name")).filter(|v| v.is_string()) {
        out.insert("name".to_owned(), name.clone());
    }
    let (mut reasoning, mut text) = (String::new(), String::new());
    match value.get("content") {
        Some(Value::String(own)) => text.push_str(own),
        Some(Value::Array(parts)) => parts.iter().for_each(|p| part(p, &mut reasoning, &mut text)),
        _ => {}
    }
    // before there were parts for it
    if let Some(own) = value.get("reasoning").and_then(Value::as_str).filter(|_| reasoning.is_empty()) {
        reasoning.push_str(own);
    }
    let failed = value.get("error").and_then(|e| e.get("message")).and_then(Value::as_str);
    if let Some(error) = failed.filter(|_| text.is_empty()) {
        text.push_str(error);
    }
    if !reasoning.is_empty() {
        out.insert("reasoning".to_owned(), reasoning.into());
    }
    out.insert("content".to_owned(), text.into());
    if let Some(calls) = value.get("tool_calls").and_then(Value::as_array).filter(|c| !c.is_empty()) {
        out.insert("tool_calls".to_owned(), calls.iter().map(call).collect());
    }
    Value::Object(out)
}

fn part(value: &Value, reasoning: &mut String, text: &mut String) {
    let own = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let kind = if value.is_string() { "string" } else { own("type") };
    match kind {
        "string" => text.push_str(value.as_str().unwrap_or_default()),
        "text" => text.push_str(own("text")),
        "reasoning" => {
            // What the server hid is no text; its summary is.
            let hidden = value.get("redacted").and_then(Value::as_bool).unwrap_or(false);
            let shown = if hidden || own("reasoning").is_empty() { own("summary") } else { own("reasoning") };
            if !reasoning.is_empty() && !shown.is_empty() {
                reasoning.push_str("\n\n");
            }
            reasoning.push_str(shown);
        }
        "tool_use" => {
            let plain = |key: &str| value.get(key).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).unwrap_or_default();
            text.push_str(&format!("\n\n{}({})\n\n{}\n\n", own("name"), plain("arguments"), plain("result")));
        }
        other => text.push_str(&format!("({other})")),
    }
}

/// A call of a tool as a chat record has it.
fn call(value: &Value) -> Value {
    let Some(name) = value.get("function").and_then(Value::as_str) else { return value.clone() };
    let arguments = value.get("arguments").map(|a| a.as_str().map_or_else(|| a.to_string(), str::to_owned)).unwrap_or_default();
    json!({"id": value.get("id"), "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// Puts texts in the place of what stands for them, however deep.
fn resolve(value: &mut Value, attached: &Map<String, Value>) {
    match value {
        Value::String(text) => {
            let name = text.strip_prefix("attachment://").or_else(|| text.strip_prefix("tc://"));
            if let Some(own) = name.and_then(|n| attached.get(n)) {
                *value = own.clone();
            }
        }
        Value::Array(inner) => inner.iter_mut().for_each(|v| resolve(v, attached)),
        Value::Object(inner) => inner.values_mut().for_each(|v| resolve(v, attached)),
        _ => {}
    }
}

/// The conversation that the model was last asked with and what it said, of a sample's events.
fn last_call(sample: &Value) -> Option<Value> {
    let events = sample.get("events").or_else(|| sample.pointer("/transcript/events"))?.as_array()?;
    let event = events.iter().rev().find(|e| e.get("event").and_then(Value::as_str) == Some("model"))?;
    let mut messages = event.get("input").and_then(Value::as_array).cloned().unwrap_or_default();
    if messages.is_empty() {
        let pool = sample.pointer("/events_data/messages").or_else(|| sample.get("message_pool"))?.as_array()?;
        for range in event.get("input_refs")?.as_array()? {
            let end = |i: usize| range.get(i).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
            messages.extend(pool.get(end(0)?..end(1)?)?.iter().cloned());
        }
    }
    messages.extend(event.pointer("/output/choices/0/message").cloned());
    Some(messages.into())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(inner) => inner.is_empty(),
        Value::Array(inner) => inner.is_empty(),
        _ => false,
    }
}

/// A record without the fields that are left out; those are not kept in memory either.
struct Short(Map<String, Value>);

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = Short;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Short, A::Error> {
                let mut out = Map::new();
                while let Some(key) = map.next_key::<String>()? {
                    if LEFT_OUT.contains(&key.as_str()) {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        out.insert(key, map.next_value()?);
                    }
                }
                Ok(Short(out))
            }
        }
        deserializer.deserialize_map(Whole)
    }
}

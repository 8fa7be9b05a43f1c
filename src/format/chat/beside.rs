//! What stands beside messages: the reference answer, verdicts, rewards, and fields that are kept as they are.

use crate::format::fields::{Fields, as_answer};
use crate::trace::{Candidate, Signal, Trace};
use serde_json::{Map, Value};

/// The fields of an object that are none of those, without nulls.
pub(super) fn rest(fields: &Fields<'_>, used: &[&str]) -> Map<String, Value> {
    let kept = |(key, value): &(&String, &Value)| !value.is_null() && !used.contains(&key.as_str());
    fields.map.iter().filter(kept).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// Adds fields to those that a candidate keeps; what it has already stays.
pub(super) fn keep(candidate: &mut Candidate, fields: &Map<String, Value>) {
    if fields.is_empty() {
        return;
    }
    let mut own: Map<String, Value> = candidate.extra.as_deref().and_then(|e| serde_json::from_str(e).ok()).unwrap_or_default();
    for (key, value) in fields {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
    candidate.extra = Some(Value::Object(own).to_string());
}

/// Names of the reference answer.
const GOLD: [&str; 10] =
    ["gold_answer", "ground_truth", "gold", "reference_answer", "expected_answer", "correct_answer", "gt", "gts", "target", "answer"];
/// Names of the answer that was read out of the text.
const ANSWERS: [&str; 6] = ["extracted_answer", "predicted_answer", "prediction", "pred", "parsed_answer", "model_answer"];
/// Names of the verdict.
const VERDICTS: [&str; 9] = ["correct", "is_correct", "label", "passed", "success", "resolved", "verdict", "correctness", "is_right"];
/// Words that make a number a judgement of the candidate.
const JUDGEMENTS: [&str; 12] =
    ["reward", "score", "advantage", "rating", "metric", "return", "logprob", "likelihood", "accuracy", "quality", "kl", "entropy"];

/// Takes out of `fields` what they say of one candidate: its verdict, answer and rewards; the others are kept with it.
pub(super) fn note(candidate: &mut Candidate, fields: &mut Map<String, Value>) {
    let one = std::slice::from_mut(candidate);
    judge(one, fields);
    keep(candidate, fields);
}

/// Takes out of `fields` what they say of a trace: the reference answer, and of each candidate its verdict, answer and rewards; the others are kept with each.
pub(super) fn apply(trace: &mut Trace, mut fields: Map<String, Value>) {
    judge(&mut trace.candidates, &mut fields);
    let named = |key: &&&str| fields.get(**key).is_some_and(|v| as_gold(v).is_some());
    if let Some(key) = GOLD.iter().find(named) {
        trace.gold_answer = fields.shift_remove(*key).as_ref().and_then(as_gold);
    } else if let Some(label) = fields.get("label").and_then(as_gold).filter(|l| l.len() <= 2 || !l.chars().all(char::is_alphabetic)) {
        // A label that is no verdict.
        trace.gold_answer = Some(label);
        fields.shift_remove("label");
    }
    if let Some(value) = fields.get("answer").cloned() {
        each(&mut trace.candidates, &value, as_gold, put_answer).then(|| fields.shift_remove("answer"));
    }
    trace.candidates.iter_mut().for_each(|c| keep(c, &fields));
}

fn judge(candidates: &mut [Candidate], fields: &mut Map<String, Value>) {
    for key in VERDICTS {
        let Some(value) = fields.get(key) else { continue };
        if each(candidates, value, as_verdict, |c, right| c.correct = c.correct.or(Some(right))) {
            fields.shift_remove(key);
        }
    }
    for key in ANSWERS {
        let Some(value) = fields.get(key) else { continue };
        if each(candidates, value, as_gold, put_answer) {
            fields.shift_remove(key);
        }
    }
    let names: Vec<String> = fields.keys().filter(|k| is_judgement(k)).cloned().collect();
    for key in names {
        let Some(value) = fields.get(&key).cloned() else { continue };
        let taken = match &value {
            Value::Object(inner) => {
                let mut left = inner.clone();
                left.retain(|name, value| is_use(name) || !signal(candidates, &format!("{key}.{name}"), value));
                let all = left.is_empty();
                fields.insert(key.clone(), Value::Object(left));
                all
            }
            value => signal(candidates, &key, value),
        };
        if taken {
            fields.shift_remove(&key);
        }
    }
    // The first one ranks where nobody names another: the whole before its parts, what training made of it last.
    let rank = |name: &str| match name {
        "reward" | "score" | "total_reward" => 0,
        name if name.starts_with("advantage") => 2,
        _ => 1,
    };
    candidates.iter_mut().for_each(|c| c.signals.sort_by_key(|s| rank(&s.name)));
}

fn put_answer(candidate: &mut Candidate, answer: String) {
    candidate.answer = candidate.answer.take().or(Some(answer));
}

/// Whether a field's name says that its number judges.
fn is_judgement(key: &str) -> bool {
    let mut words = key.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
    words.any(|w| JUDGEMENTS.iter().any(|j| w == *j || w.strip_suffix('s') == Some(*j)))
}

/// Whether a number says what an answer took, or how long it is, and not how good.
fn is_use(key: &str) -> bool {
    const USES: [&str; 16] = [
        "cost", "usd", "token", "tokens", "time", "latency", "duration", "ms", "seconds", "steps", "turns", "length", "len", "count",
        "num", "calls",
    ];
    key.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| USES.contains(&w.to_ascii_lowercase().as_str()))
}

/// Puts a number to every candidate, one of a list to each, or, where there is one candidate, one of a list to each of its steps. False where the value is none
/// of these.
fn signal(candidates: &mut [Candidate], name: &str, value: &Value) -> bool {
    if each(candidates, value, as_number, |c, x| c.put_signal(Signal::given(name, x))) {
        return true;
    }
    let ([candidate], Value::Array(all)) = (candidates, value) else { return false };
    let fits = all.len() == candidate.steps.len() && all.iter().all(|v| v.is_null() || as_number(v).is_some());
    if fits && !all.is_empty() {
        candidate.put_signal(Signal::given_steps(name, all.iter().map(as_number).collect()));
    }
    fits && !all.is_empty()
}

/// Gives a value to every candidate, or of a list with one for each candidate its own. False, and nothing is done, where `read` refuses one.
fn each<T: Clone>(
    candidates: &mut [Candidate],
    value: &Value,
    read: impl Fn(&Value) -> Option<T>,
    put: impl Fn(&mut Candidate, T),
) -> bool {
    let read_all = |all: &[Value]| all.iter().map(|v| if v.is_null() { Some(None) } else { read(v).map(Some) }).collect::<Option<Vec<_>>>();
    let values = match value {
        Value::Array(all) if all.len() == candidates.len() => read_all(all),
        Value::Array(_) => None,
        value => read(value).map(|one| vec![Some(one); candidates.len()]),
    };
    let Some(values) = values.filter(|v| !v.is_empty()) else { return false };
    for (candidate, value) in candidates.iter_mut().zip(values) {
        if let Some(value) = value {
            put(candidate, value);
        }
    }
    true
}

fn as_number(value: &Value) -> Option<f32> {
    match value {
        Value::Number(n) => n.as_f64().map(|x| x as f32),
        Value::Bool(b) => Some(f32::from(u8::from(*b))),
        Value::String(s) if s.len() <= 40 => s.trim().parse().ok().filter(|x: &f32| x.is_finite()),
        _ => None,
    }
}

/// A verdict in any dialect.
fn as_verdict(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(right) => Some(*right),
        Value::Number(n) if n.as_f64() == Some(1.0) => Some(true),
        Value::Number(n) if n.as_f64() == Some(0.0) => Some(false),
        Value::String(word) => match word.trim().to_ascii_lowercase().as_str() {
            "true" | "correct" | "right" | "yes" | "1" | "pass" | "passed" => Some(true),
            "false" | "incorrect" | "wrong" | "no" | "0" | "fail" | "failed" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// An answer: a text, a number, true or false, or a list of one of them.
fn as_gold(value: &Value) -> Option<String> {
    match value {
        Value::Bool(b) => Some(b.to_string()),
        Value::Array(all) if all.len() == 1 => as_gold(&all[0]),
        other => as_answer(other).filter(|a| !a.is_empty()),
    }
}

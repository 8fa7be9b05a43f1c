//! Traces of verifiers v1 and prime-rl since 2026: a graph of messages (`nodes` with `parent`), alone or several in an episode.

use super::{SHARED, finish};
use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_integer};
use crate::format::flat::{Read, gold, posed, written};
use crate::trace::{FinishReason, Trace, Values};
use serde_json::{Map, Value};

fn is_trace(value: &Value) -> bool {
    value.get("nodes").and_then(Value::as_array).is_some_and(|all| all.first().is_none_or(|n| n.get("message").is_some()))
}

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    let alone = record.get("nodes").and_then(Value::as_array).and_then(|all| all.first()).is_some_and(|n| n.get("message").is_some());
    let several = record.get("traces").and_then(Value::as_array).is_some_and(|all| all.iter().all(is_trace));
    alone || several && record.contains_key("task")
}

/// A candidate a branch of each trace: what its model wrote and was answered after the prompt. Rewards and metrics are signals by their names, `reward` their
/// weighted sum; the numbers of tokens (`advantages`, `logprobs`) have no text without a tokenizer, so that their means are signals of the branch and
/// they themselves are kept.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let single = [value.clone()];
    let (traces, alone) = match record.map.get("traces").and_then(Value::as_array) {
        Some(all) => (all.as_slice(), false),
        None => (&single[..], true),
    };
    let task = record.map.get("task").or_else(|| traces.first().and_then(|t| t.get("task")));
    let data = task.map(|t| t.get("data").unwrap_or(t));
    let field = |name: &str| data.and_then(|d| d.get(name)).filter(|v| !v.is_null());
    let mut problem =
        field("prompt").or_else(|| field("question")).map(|v| posed(v, "task.data.prompt")).transpose()?.unwrap_or_default().problem;
    let gold_answer = ["answer", "ground_truth", "target", "gold"].iter().find_map(|n| field(n)).and_then(|v| gold(v).0);
    let mut reads = Vec::new();
    for (i, trace) in traces.iter().enumerate() {
        let path = if alone { String::new() } else { format!("traces[{i}].") };
        branches(trace, &path, &mut problem, &mut reads)?;
    }
    let errors = |v: &Value| {
        v.get("errors")
            .and_then(Value::as_array)
            .and_then(|e| e.last())
            .and_then(|e| e.get("message"))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    if let Some(why) = errors(value).filter(|_| reads.is_empty()) {
        let mut read = Read::default();
        read.candidate.finish = Some(FinishReason::Failed(why));
        reads.push(read);
    }
    let group = record.map.get("group").and_then(|g| g.get("id")).or_else(|| field("idx")).or_else(|| record.map.get("id"));
    let id = group.and_then(|v| v.as_str().map(str::to_owned).or_else(|| v.as_number().map(ToString::to_string))).unwrap_or_default();
    let taken = ["traces", "nodes", "rewards", "metrics", "calls", "stop_condition", "is_completed", "timing"];
    Ok(Trace { id, problem, gold_answer, candidates: finish(reads, record.map, &taken), source: None })
}

/// About how many bytes a value takes.
fn weight(value: &Value) -> usize {
    8 + match value {
        Value::String(s) => s.len(),
        Value::Array(all) => all.iter().map(weight).sum(),
        Value::Object(map) => map.iter().map(|(k, v)| k.len() + weight(v)).sum(),
        _ => 0,
    }
}

/// Adds the branches of a trace. Each holds what it shares with others too, so that all together are bounded.
fn branches(trace: &Value, path: &str, problem: &mut String, reads: &mut Vec<Read>) -> Result<(), FieldError> {
    let record = Fields::record(trace)?;
    let nodes = record.opt_array("nodes")?.unwrap_or_default();
    let mut parents: Vec<Option<usize>> = Vec::with_capacity(nodes.len());
    let mut is_leaf = vec![true; nodes.len()];
    let mut weights: Vec<usize> = Vec::with_capacity(nodes.len());
    for (i, node) in nodes.iter().enumerate() {
        let parent = match node.get("parent").filter(|p| !p.is_null()) {
            None => None,
            Some(p) => {
                let at = as_integer(p).and_then(|p| usize::try_from(p).ok()).filter(|&p| p < i);
                Some(at.ok_or_else(|| {
                    FieldError::new(format!("{path}nodes[{i}].parent"), "is no node before it", "give the index of an earlier node")
                })?)
            }
        };
        if let Some(p) = parent {
            is_leaf[p] = false;
        }
        parents.push(parent);
        weights.push(weight(node));
    }
    let mut left = SHARED.max(2 * weights.iter().sum::<usize>());
    for leaf in (0..nodes.len()).filter(|&i| is_leaf[i]) {
        let (mut way, mut at) = (Vec::new(), Some(leaf));
        while let Some(i) = at {
            left = left.checked_sub(weights[i]).ok_or_else(|| {
                let problem = format!("shares messages among so many branches that they are longer than {} MiB", SHARED >> 20);
                FieldError::new(format!("{path}nodes"), problem, "split the record")
            })?;
            way.push(&nodes[i]);
            at = parents[i];
        }
        way.reverse();
        reads.push(branch(&record, &way, path, problem)?);
    }
    Ok(())
}

fn branch(record: &Fields<'_>, way: &[&Value], path: &str, problem: &mut String) -> Result<Read, FieldError> {
    let sampled = |n: &Value| match n.get("sampled").and_then(Value::as_bool) {
        Some(is) => is,
        None => n.get("message").and_then(|m| m.get("role")).and_then(Value::as_str) == Some("assistant"),
    };
    let begin = way.iter().position(|n| sampled(n)).unwrap_or(way.len());
    let messages = |part: &[&Value]| Value::Array(part.iter().filter_map(|n| n.get("message").cloned()).collect());
    let mut read = Read::default();
    if begin > 0 {
        let asked = posed(&messages(&way[..begin]), &format!("{path}nodes"))?;
        if problem.is_empty() {
            *problem = asked.problem;
        }
        if let Some(system) = asked.system {
            read.keep("system", &Value::String(system));
        }
    }
    if begin < way.len() {
        read.candidate = written(&messages(&way[begin..]), &format!("{path}nodes"))?;
    }
    let mut sum = None;
    for (name, value) in record.map.get("rewards").and_then(Value::as_object).into_iter().flatten() {
        let score = value.get("score").unwrap_or(value);
        let weight = value.get("weight").and_then(Value::as_f64).unwrap_or(1.0);
        sum = score.as_f64().map(|s| sum.unwrap_or(0.0) + s * weight).or(sum);
        read.put(&format!("rewards.{name}"), score, false);
        if weight != 1.0 {
            read.keep(&format!("rewards.{name}.weight"), &value["weight"]);
        }
    }
    if let Some(sum) = sum {
        read.signal("reward", Values::Candidate(sum as f32));
    }
    for (name, value) in record.map.get("metrics").and_then(Value::as_object).into_iter().flatten() {
        read.put(&format!("metrics.{name}"), value, false);
    }
    for name in ["advantages", "logprobs", "reference_logprobs"] {
        let all: Vec<f64> = way.iter().filter_map(|n| n.get(name)?.as_array()).flatten().filter_map(Value::as_f64).collect();
        if !all.is_empty() {
            read.signal(
                &format!("mean_{}", name.trim_end_matches('s')),
                Values::Candidate((all.iter().sum::<f64>() / all.len() as f64) as f32),
            );
        }
    }
    let bare: Vec<Value> = way.iter().map(|n| without_message(n)).collect();
    read.keep("nodes", &Value::Array(bare));
    let calls = record.map.get("calls").and_then(Value::as_array);
    let why = calls.and_then(|c| c.last()).and_then(|c| c.get("finish_reason"));
    let stop = record.map.get("stop_condition").filter(|v| !v.is_null());
    let limits = |v: &Value| v.as_str().is_some_and(|s| s.starts_with("max_") || s == "context_length" || s == "length");
    read.candidate.finish = match (why, stop) {
        (Some(v), _) | (_, Some(v)) if limits(v) => Some(FinishReason::Length),
        (_, Some(v)) if v == "error" => Some(FinishReason::Failed("the rollout failed".into())),
        _ => record.map.get("is_completed").and_then(Value::as_bool).filter(|b| *b).map(|_| FinishReason::Stop),
    };
    for key in ["id", "stop_condition", "calls", "timing"] {
        if let Some(v) = record.map.get(key).filter(|v| !v.is_null()) {
            read.keep(&format!("trace.{key}"), v);
        }
    }
    let model = record.map.get("agent").and_then(|a| a.get("model").or_else(|| a.get("config")?.get("model"))).and_then(Value::as_str);
    read.candidate.policy = model.map(str::to_owned);
    Ok(read)
}

/// A node with everything but the message, which is in the text.
fn without_message(node: &Value) -> Value {
    let keep = |map: &Map<String, Value>| map.iter().filter(|(k, _)| *k != "message").map(|(k, v)| (k.clone(), v.clone())).collect();
    node.as_object().map_or(Value::Null, |map| Value::Object(keep(map)))
}

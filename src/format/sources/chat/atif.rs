//! The Agent Trajectory Interchange Format of the Harbor framework, v1.0 to v1.7 (<https://harborframework.com/docs/trajectory-format>).

use super::beside;
use super::compose::Place;
use super::dialogue::{problem, system, with_places};
use super::parts::{Piece, answered, output};
use super::turn::{Role, Turn};
use crate::format::error::FieldError;
use crate::format::fields::Fields;
use crate::trace::{Candidate, Orientation, Signal, SignalSource, Trace, Unit, Values};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    let version = record.get("schema_version").and_then(Value::as_str).unwrap_or_default();
    version.starts_with("ATIF") && record.get("steps").is_some_and(Value::is_array)
}

/// What is said before the agent's first step is the problem; from there on everything is the candidate, also what users say later.
///
/// The metrics of a step are signals that judge nothing, at the last step of the text that it becomes; of its tokens' log-probabilities the mean is.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let mut turns = Vec::new();
    for step in record.objects("steps")? {
        let turn = Turn::read_as(&step, Some("agent"))?;
        let observed = observed(&step)?;
        turns.push(turn);
        if !observed.is_empty() {
            turns.push(Turn { role: Role::Tool, pieces: observed, fields: step });
        }
    }
    let Some(start) = turns.iter().position(|t| t.role == Role::Assistant) else {
        return Err(FieldError::new("steps", "has no step of the agent's", "add one, or pass the file as --problems"));
    };
    let (mut candidate, places) = with_places(&turns[start..], None)?;
    put_metrics(&mut candidate, &turns[start..], &places)?;
    let agent = record.opt_object("agent")?;
    let named = |key: &str| agent.as_ref()?.get(key)?.as_str().map(str::to_owned);
    candidate.policy = named("model_name").or_else(|| named("name"));
    let id = ["trajectory_id", "session_id"].iter().find_map(|k| record.get(k)?.as_str());
    let mut trace =
        Trace { id: id.unwrap_or_default().to_owned(), problem: problem(&turns[..start]), candidates: vec![candidate], ..Trace::default() };
    let mut fields = beside::rest(&record, &["schema_version", "steps", "trajectory_id", "session_id", "final_metrics"]);
    if let Some(system) = system(&turns[..start]) {
        fields.insert("system".into(), system.into());
    }
    beside::apply(&mut trace, fields);
    // Totals of the whole run judge nothing.
    let totals = record.get("final_metrics").map(|v| ("final_metrics".to_owned(), v.clone()));
    trace.candidates.iter_mut().for_each(|c| beside::keep(c, &totals.clone().into_iter().collect()));
    Ok(trace)
}

/// What the tools of a step gave back, and the other trajectories that it names.
fn observed(step: &Fields<'_>) -> Result<Vec<Piece>, FieldError> {
    let mut pieces = Vec::new();
    let Some(observation) = step.opt_object("observation")? else { return Ok(pieces) };
    if observation.get("results").is_none() {
        return Ok(pieces);
    }
    for result in observation.objects("results")? {
        let text = result.get("content").map(|v| output(v, &result.name("content"))).transpose()?;
        let others = result.get("subagent_trajectory_ref").and_then(Value::as_array).into_iter().flatten();
        let name = |other: &Value| {
            ["trajectory_id", "session_id", "trajectory_path"].iter().find_map(|k| other.get(*k)?.as_str().map(str::to_owned))
        };
        let others = others.map(|other| format!("[subagent {}]", name(other).unwrap_or_default()));
        let all: Vec<String> = text.into_iter().chain(others).collect();
        pieces.push(Piece::Result(answered(&all.join("\n"))));
    }
    Ok(pieces)
}

fn put_metrics(candidate: &mut Candidate, turns: &[Turn<'_>], places: &[Place]) -> Result<(), FieldError> {
    let mut found: BTreeMap<String, Vec<Option<f32>>> = BTreeMap::new();
    for (turn, place) in turns.iter().zip(places).filter(|(t, p)| t.role != Role::Tool && p.end_step > p.first_step) {
        let Some(metrics) = turn.fields.opt_object("metrics")? else { continue };
        for (key, value) in metrics.map {
            let logprobs = || -> Option<f64> {
                let all: Vec<f64> = value.as_array().filter(|_| key == "logprobs")?.iter().filter_map(Value::as_f64).collect();
                (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
            };
            let (name, value) = match value.as_f64() {
                Some(number) => (key.as_str(), number),
                None => match logprobs() {
                    Some(mean) => ("mean_logprob", mean),
                    None => continue,
                },
            };
            let values = found.entry(name.to_owned()).or_insert_with(|| vec![None; candidate.steps.len()]);
            values[place.end_step - 1] = Some(value as f32);
        }
    }
    for (name, values) in found {
        let (source, unit) = match name.as_str() {
            "mean_logprob" => (SignalSource::Policy, Unit::Nats),
            name if name.ends_with("_tokens") => (SignalSource::File, Unit::Count),
            _ => (SignalSource::File, Unit::Unknown),
        };
        let orientation = if unit == Unit::Nats { Orientation::High } else { Orientation::Neither };
        candidate.put_signal(Signal { orientation, unit, ..Signal::new(name, source, Values::Steps(values)) });
    }
    Ok(())
}

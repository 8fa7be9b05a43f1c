//! Several files about the same problems as one list of traces.

use super::detect::Format;
use super::error::FormatError;
use super::flat::FieldMap;
use super::list::TraceList;
use crate::trace::{Candidate, Trace};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// What [`join`] makes of files.
pub struct Joined {
    /// Traces with candidates, in the order in which their ids first came.
    pub traces: Vec<Trace>,
    /// What is wrong with records; those are left out.
    pub errors: Vec<FormatError>,
    /// The files as they were named, with their formats.
    pub files: Vec<(String, Format)>,
}

/// Reads files whole and joins what is about the same problem into one trace: MMLU-Pro's outputs of several models with one another and with a file of
/// its questions, by question id; HumanEval's samples with the verdicts on them, by task id and order; lines of native files, by trace id. Traces of
/// other formats stay by themselves. Takes the memory of all candidates; [`TraceList`] takes that of one.
///
/// # Errors
/// A file that cannot be opened or fits no format. What is wrong with a record is in [`Joined::errors`], and so are verdicts that fit no samples.
pub fn join<S: AsRef<str>>(paths: &[S]) -> Result<Joined, FormatError> {
    join_mapped(paths, None)
}

/// As [`join`], with the parts of records where a user says that they are.
///
/// # Errors
/// Those of [`join`], and fields that are in none of the first records.
pub fn join_mapped<S: AsRef<str>>(paths: &[S], fields: Option<FieldMap>) -> Result<Joined, FormatError> {
    let list = TraceList::open_parts(paths, fields)?;
    let mut traces: Vec<Trace> = Vec::new();
    let mut parts: Vec<Trace> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for trace in list.iter().filter_map(Result::ok) {
        let format = trace.source.as_ref().map(|s| s.format.clone()).unwrap_or_default();
        let known = [Format::MmluPro, Format::HumanEvalSamples, Format::Native].iter().any(|f| f.name() == format);
        if is_part(&format) {
            parts.push(trace);
        } else if !known {
            traces.push(trace);
        } else if let Some(&at) = index.get(&trace.id) {
            let into = &mut traces[at];
            into.gold_answer = into.gold_answer.take().or(trace.gold_answer);
            if into.problem.is_empty() {
                into.problem = trace.problem;
            }
            into.candidates.extend(trace.candidates);
        } else {
            index.insert(trace.id.clone(), traces.len());
            traces.push(trace);
        }
    }
    let mut errors = list.errors();
    for part in parts {
        let Some(&at) = index.get(&part.id) else { continue };
        if let Err(problem) = put(&mut traces[at], part.clone()) {
            let path = part.source.map(|s| s.path).unwrap_or_default();
            errors.push(FormatError::file(&path, problem, "give the verdicts that were made for these samples"));
        }
    }
    Ok(Joined { traces, errors, files: list.files() })
}

fn is_part(format: &str) -> bool {
    [Format::MmluProQuestions, Format::HumanEvalVerdicts].iter().any(|f| f.name() == format)
}

/// Puts a question, or verdicts, to the candidates of its trace.
fn put(into: &mut Trace, part: Trace) -> Result<(), String> {
    let verdicts = part.source.as_ref().is_some_and(|s| s.format == Format::HumanEvalVerdicts.name());
    if verdicts {
        if part.candidates.len() != into.candidates.len() {
            return Err(format!("has {} verdicts on {} samples of {}", part.candidates.len(), into.candidates.len(), part.id));
        }
        for (candidate, verdict) in into.candidates.iter_mut().zip(part.candidates) {
            candidate.correct = verdict.correct.or(candidate.correct);
        }
        return Ok(());
    }
    into.gold_answer = part.gold_answer.or(into.gold_answer.take());
    into.problem = part.problem;
    let notes = part.candidates.first().map(fields).unwrap_or_default();
    for candidate in &mut into.candidates {
        let mut own = fields(candidate);
        for (key, value) in &notes {
            own.entry(key.clone()).or_insert_with(|| value.clone());
        }
        candidate.extra = (!own.is_empty()).then(|| Value::Object(own).to_string());
    }
    Ok(())
}

fn fields(candidate: &Candidate) -> Map<String, Value> {
    candidate.extra.as_deref().and_then(|e| serde_json::from_str(e).ok()).unwrap_or_default()
}

/// What a record says of a candidate under `key` beyond what a trace holds, as text: `classification` and `reason` of PRMBench, `category` of MMLU-Pro,
/// and whatever a native file has.
pub fn note(candidate: &Candidate, key: &str) -> Option<String> {
    match fields(candidate).remove(key)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

//! Logs of Inspect: archives with a sample an entry, of which each is read when it is asked for.

use super::tree::natural;
use super::zip::Archive;
use crate::format::split::LONGEST;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

/// Characters of an input that no version of Inspect leaves out of its summary.
const WHOLE: usize = 1000;

/// A log in the format `.eval`: <https://inspect.aisi.org.uk/eval-logs.html>.
#[derive(Debug)]
pub(in crate::format) struct EvalLog {
    archive: Arc<Archive>,
    samples: Vec<Sample>,
    /// The fields that every sample gets: the model.
    outer: Vec<u8>,
    /// Samples whose parts are entries of their own, which are not read.
    pub in_pieces: usize,
}

#[derive(Clone, Debug)]
struct Sample {
    id: String,
    epoch: u64,
    entry: usize,
}

/// What the index says of a sample.
#[derive(Debug, Deserialize)]
struct Summary {
    id: Value,
    epoch: u64,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl EvalLog {
    /// The log that an archive is; `None` where it is none.
    pub fn of(archive: &Arc<Archive>) -> Option<Self> {
        let names = archive.names();
        let entry = |name: &str| names.iter().find(|n| n.1 == name).map(|n| n.0);
        let header = entry("header.json").or_else(|| entry("_journal/start.json"))?;
        let mut samples = Vec::new();
        let mut in_pieces = 0;
        for (entry, name) in &names {
            let Some(name) = name.strip_prefix("samples/") else { continue };
            if let Some((id, epoch)) = name.strip_suffix(".json").and_then(place) {
                samples.push(Sample { id: id.to_owned(), epoch, entry: *entry });
            } else if name.strip_suffix("/sample.json").and_then(place).is_some() {
                in_pieces += 1;
            }
        }
        samples.sort_by(|a, b| natural(&a.id, &b.id).then(a.epoch.cmp(&b.epoch)));
        // A sample that ran again is written again; the last one counts.
        samples.reverse();
        samples.dedup_by(|a, b| (&a.id, a.epoch) == (&b.id, b.epoch));
        samples.reverse();
        let model = archive.read(header, LONGEST).ok().and_then(|bytes| {
            let header: Value = serde_json::from_slice(&bytes).ok()?;
            Some(header.pointer("/eval/model")?.as_str()?.to_owned())
        });
        let outer = model.and_then(|m| serde_json::to_vec(&m).ok()).map_or_else(Vec::new, |m| [&b"\"model\":"[..], &m].concat());
        Some(Self { archive: Arc::clone(archive), samples, outer, in_pieces })
    }

    /// The samples that another log has not.
    pub fn without(&self, other: &Self) -> Self {
        let had: HashSet<(&str, u64)> = other.samples.iter().map(|s| (s.id.as_str(), s.epoch)).collect();
        let samples = self.samples.iter().filter(|s| !had.contains(&(s.id.as_str(), s.epoch))).cloned().collect();
        Self { archive: Arc::clone(&self.archive), samples, outer: self.outer.clone(), in_pieces: self.in_pieces }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// A sample's record.
    pub fn read(&self, at: usize) -> io::Result<Vec<u8>> {
        let sample = self.samples.get(at).ok_or(io::ErrorKind::NotFound)?;
        let bytes = self.archive.read(sample.entry, LONGEST)?;
        Ok(super::wrapper::inside(&self.outer, bytes))
    }

    /// What a sample is called: the name of its entry.
    pub fn name(&self, at: usize) -> Option<(&str, u64)> {
        self.samples.get(at).map(|s| (s.id.as_str(), s.epoch))
    }

    /// What the log's index says of its samples: the fields that tell their problems, by id and epoch. Those whose inputs it has cut are left out.
    pub fn summaries(&self) -> HashMap<(String, u64), Value> {
        let mut out = HashMap::new();
        let names = self.archive.names();
        let index = names.iter().filter(|n| n.1 == "summaries.json");
        let mut entries: Vec<usize> = index.map(|n| n.0).collect();
        if entries.is_empty() {
            entries.extend(names.iter().filter(|n| n.1.starts_with("_journal/summaries/")).map(|n| n.0));
        }
        for entry in entries {
            let Ok(bytes) = self.archive.read(entry, LONGEST) else { continue };
            let Ok(summaries) = serde_json::from_slice::<Vec<Summary>>(&bytes) else { continue };
            for Summary { id, epoch, mut rest } in summaries {
                rest.retain(|key, _| key == "input" || key == "choices");
                if !rest.get("input").is_some_and(is_whole) {
                    continue;
                }
                let name = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
                rest.insert("id".to_owned(), id);
                out.insert((name, epoch), Value::Object(rest));
            }
        }
        out
    }
}

/// `q1_epoch_2` of `q1_epoch_2.json`, as an id and an epoch.
fn place(name: &str) -> Option<(&str, u64)> {
    let (id, epoch) = name.rsplit_once("_epoch_")?;
    Some((id, epoch.parse().ok()?))
}

/// Whether the summary of an input is the input: texts only, and none that was cut.
fn is_whole(input: &Value) -> bool {
    let short = |v: &Value| v.as_str().is_some_and(|t| t.chars().nth(WHOLE).is_none());
    match input {
        Value::Array(messages) => messages.iter().all(|m| m.get("content").is_some_and(short)),
        other => short(other),
    }
}

//! Records whose candidates stand in a structure of their own: pairs, trees of prefixes, turns with labels, graphs of messages, thoughts beside attempts.

pub(super) mod episodes;
pub(super) mod pairs;
pub(super) mod thoughts;
pub(super) mod tree;
pub(super) mod turns;

use super::error::FieldError;
use super::fields::is_short;
use super::flat::Read;
use crate::trace::Candidate;
use serde_json::{Map, Value};

/// The candidates with all fields of their record that have no place: short ones with each, long ones with the first.
fn finish(mut reads: Vec<Read>, record: &Map<String, Value>, taken: &[&str]) -> Vec<Candidate> {
    let n = reads.len();
    for (key, value) in record.iter().filter(|(key, _)| !taken.contains(&key.as_str())) {
        let many = if is_short(value) { n } else { n.min(1) };
        reads[..many].iter_mut().for_each(|r| r.keep(key, value));
    }
    reads.into_iter().map(Read::done).collect()
}

/// Bytes that the candidates of one record have at most, where they share parts of a record's text.
const SHARED: usize = 64 << 20;

/// What is left of them after a text more.
fn less(left: usize, text: &str, field: &str) -> Result<usize, FieldError> {
    let problem = || format!("shares text among so many branches that they are longer than {} MiB", SHARED >> 20);
    left.checked_sub(text.len()).ok_or_else(|| FieldError::new(field, problem(), "split the record"))
}

/// The first of some fields that is there.
fn first<'a>(record: &'a Map<String, Value>, names: &[&'a str]) -> Option<(&'a str, &'a Value)> {
    names.iter().find_map(|name| record.get(*name).filter(|v| !v.is_null()).map(|v| (*name, v)))
}

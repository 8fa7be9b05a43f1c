//! What tells which records are about the same problem, without keeping their texts.

use super::detect::Format;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::hash::{BuildHasher, RandomState};

/// What a record says of its problem, as hashes that hold within one list: two records of one key are about the same problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProblemKey {
    /// Hash of the record's own name for its problem; 0 where it has none, or where the name is of the sample and not of the problem.
    pub id: u64,
    /// Hash of the problem's text without outer whitespace; 0 where there is none.
    pub text: u64,
}

/// Makes the keys of one list.
#[derive(Default)]
pub(super) struct KeyMaker(RandomState);

impl KeyMaker {
    /// The key of a record with its own `id`, which may be empty.
    ///
    /// What names a record of a chat names a request, not a problem. Lists of problems are what they are: nobody wrote a problem there twice without
    /// meaning it, so their records have no key.
    pub fn of(&self, format: Format, id: &str, problem: &str) -> ProblemKey {
        let hash = |text: &str| if text.is_empty() { 0 } else { self.0.hash_one(text).max(1) };
        let text = hash(problem.trim());
        match format {
            Format::Problems | Format::Text | Format::ChatProblems => ProblemKey::default(),
            format if format.names_requests() && text != 0 => ProblemKey { id: 0, text },
            _ => ProblemKey { id: hash(id), text },
        }
    }
}

/// Enough of a native line to know which trace and problem it belongs to.
#[derive(Deserialize)]
pub(super) struct NativeHead {
    pub trace_id: String,
    pub problem: Option<Value>,
    pub messages: Option<IgnoredAny>,
}

/// Enough of a record of another format that has its problem in a field.
#[derive(Deserialize)]
pub(super) struct RecordHead {
    id: Option<Value>,
    idx: Option<Value>,
    unique_id: Option<Value>,
    custom_id: Option<Value>,
    problem: Option<Value>,
    question: Option<Value>,
}

impl RecordHead {
    /// The record's own name; see [`Fields::id`](super::fields::Fields::id).
    pub fn id(&self) -> String {
        let name = |value: &Option<Value>| match value {
            Some(Value::String(s)) if !s.is_empty() => Some(s.clone()),
            Some(Value::Number(n)) => Some(n.to_string()),
            _ => None,
        };
        [&self.id, &self.idx, &self.unique_id, &self.custom_id].into_iter().find_map(name).unwrap_or_default()
    }

    /// The problem's text under the name that [`Format::problem_field`] says.
    pub fn text(&self, field: &str) -> &str {
        let value = if field == "problem" { &self.problem } else { &self.question };
        value.as_ref().and_then(Value::as_str).unwrap_or_default()
    }
}

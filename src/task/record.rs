//! What a record of a benchmark says, and how its fields are read.

use serde_json::Value;

/// What a record says, before it has an id.
pub(super) struct Record {
    /// The problem.
    pub text: String,
    /// The expert's solution, or why there is none and what to do.
    pub solution: Result<String, String>,
    /// Reference answer.
    pub gold: Option<String>,
}

/// A field that must be a non-empty text.
pub(super) fn field<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    let text = value.get(name).and_then(Value::as_str).filter(|s| !s.trim().is_empty());
    text.ok_or_else(|| format!("field `{name}` must be a non-empty text"))
}

/// The first of some fields that is a non-empty text; the error names the first.
pub(super) fn field_of<'a>(value: &'a Value, names: &[&str]) -> Result<&'a str, String> {
    let mut found = names.iter().map(|name| field(value, name));
    let first = found.next().unwrap_or_else(|| Err("no field".into()));
    first.or_else(|error| found.find_map(Result::ok).ok_or(error))
}

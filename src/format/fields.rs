//! Reading JSON fields with errors that name them.

use super::error::FieldError;
use super::mend::mended;
use super::own::is_own_field;
use crate::answer::marked;
use crate::trace::{GoldDeviation, Segmentation, Span, Step, Trace, segment};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A JSON object and where in the record it stands.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    pub map: &'a Map<String, Value>,
    path: String,
}

type Result<T> = std::result::Result<T, FieldError>;

impl<'a> Fields<'a> {
    pub fn record(value: &'a Value) -> Result<Self> {
        Self::of(value, String::new())
    }

    /// An object at a path of its record.
    pub fn of(value: &'a Value, path: String) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ => Err(wrong(&path, value, "an object")),
        }
    }

    /// The path of one of its fields.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// `None` where it is missing or null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    pub fn need(&self, key: &str) -> Result<&'a Value> {
        self.get(key).ok_or_else(|| {
            let problem = if self.map.contains_key(key) { "is null" } else { "is missing" };
            FieldError::new(self.name(key), problem, "add it")
        })
    }

    pub fn text(&self, key: &str) -> Result<&'a str> {
        as_text(self.need(key)?, &self.name(key))
    }

    pub fn opt_text(&self, key: &str) -> Result<Option<&'a str>> {
        self.get(key).map(|v| as_text(v, &self.name(key))).transpose()
    }

    pub fn opt_bool(&self, key: &str) -> Result<Option<bool>> {
        self.get(key).map(|v| v.as_bool().ok_or_else(|| wrong(&self.name(key), v, "true or false"))).transpose()
    }

    pub fn opt_f32(&self, key: &str) -> Result<Option<f32>> {
        self.get(key).map(|v| v.as_f64().map(|x| x as f32).ok_or_else(|| wrong(&self.name(key), v, "a number"))).transpose()
    }

    pub fn integer(&self, key: &str) -> Result<i64> {
        let v = self.need(key)?;
        as_integer(v).ok_or_else(|| wrong(&self.name(key), v, "an integer"))
    }

    pub fn array(&self, key: &str) -> Result<&'a [Value]> {
        let v = self.need(key)?;
        v.as_array().map(Vec::as_slice).ok_or_else(|| wrong(&self.name(key), v, "an array"))
    }

    pub fn opt_array(&self, key: &str) -> Result<Option<&'a [Value]>> {
        if self.get(key).is_some() { self.array(key).map(Some) } else { Ok(None) }
    }

    pub fn object(&self, key: &str) -> Result<Fields<'a>> {
        Self::of(self.need(key)?, self.name(key))
    }

    pub fn opt_object(&self, key: &str) -> Result<Option<Fields<'a>>> {
        if self.get(key).is_some() { self.object(key).map(Some) } else { Ok(None) }
    }

    /// The elements of an array of objects.
    pub fn objects(&self, key: &str) -> Result<Vec<Fields<'a>>> {
        let path = self.name(key);
        self.array(key)?.iter().enumerate().map(|(i, v)| Self::of(v, format!("{path}[{i}]"))).collect()
    }

    /// The elements of an array of strings.
    pub fn texts(&self, key: &str) -> Result<Vec<&'a str>> {
        let path = self.name(key);
        self.array(key)?.iter().enumerate().map(|(i, v)| as_text(v, &format!("{path}[{i}]"))).collect()
    }

    /// The record's own name for itself: the first of `id`, `idx`, `unique_id`, `custom_id` that is a string or a number.
    pub fn id(&self) -> Option<String> {
        ["id", "idx", "unique_id", "custom_id"].iter().find_map(|key| match self.get(key)? {
            Value::String(s) if !s.is_empty() => Some(s.clone()),
            Value::Number(n) => Some(n.to_string()),
            _ => None,
        })
    }
}

pub(super) fn as_integer(v: &Value) -> Option<i64> {
    v.as_i64().or_else(|| v.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 9e15).map(|x| x as i64))
}

pub(super) fn as_text<'a>(value: &'a Value, path: &str) -> Result<&'a str> {
    value.as_str().ok_or_else(|| wrong(path, value, "a string"))
}

/// An answer given as a string or a number.
pub(super) fn as_answer(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.trim().to_owned()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

pub(super) fn wrong(path: &str, value: &Value, expected: &str) -> FieldError {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    FieldError::new(path, format!("is {is}"), format!("give {expected}"))
}

/// The text of given steps joined by `separator`, and their spans without outer whitespace (empty for a step of whitespace).
pub fn join_steps(parts: &[&str], separator: &str) -> (String, Vec<Step>) {
    let mut text = String::new();
    let mut steps = Vec::with_capacity(parts.len());
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            text.push_str(separator);
        }
        let lead = part.len() - part.trim_start().len();
        let start = text.len() + if part.trim().is_empty() { 0 } else { lead };
        text.push_str(part);
        steps.push(Step { span: Span::new(start, start + part.trim().len()), ..Step::default() });
    }
    (text, steps)
}

/// Keeps the fields of a record that have no place in its trace: short ones with every candidate, long ones with the first.
pub(super) fn keep_others(trace: &mut Trace, record: &Map<String, Value>, taken: &[&str]) {
    let names_it = |v: &Value| v.as_str() == Some(&trace.id) || v.as_number().is_some_and(|n| n.to_string() == trace.id);
    let left = record.iter().filter(|(key, v)| !taken.contains(&key.as_str()) && !v.is_null() && !names_it(v));
    let left: Vec<(String, &Value)> = left.map(|(key, v)| (free_name(key), v)).collect();
    if left.is_empty() {
        return;
    }
    for (i, candidate) in trace.candidates.iter_mut().enumerate() {
        let mut extra: Map<String, Value> = candidate.extra.as_deref().and_then(|e| serde_json::from_str(e).ok()).unwrap_or_default();
        for (key, v) in left.iter().filter(|(_, v)| i == 0 || is_short(v)) {
            extra.entry(key.clone()).or_insert_with(|| (*v).clone());
        }
        candidate.extra = (!extra.is_empty()).then(|| Value::Object(extra).to_string());
    }
}

/// The final answer that a solution marks, as it stands there.
pub(super) fn final_answer(text: &str) -> Option<String> {
    marked(text).map(|a| a.trim().to_owned()).filter(|a| !a.is_empty())
}

/// An answer without the `.0` of a whole number.
pub(super) fn plain_number(value: &Value) -> Option<String> {
    let whole = value.as_f64().filter(|x| value.is_f64() && x.fract() == 0.0 && x.abs() < 9e15);
    whole.map(|x| format!("{x:.0}")).or_else(|| as_answer(value))
}

/// Whether a field of a record may go with each of its candidates, however many there are.
pub(super) fn is_short(value: &Value) -> bool {
    !value.is_array() && !value.is_object() && value.as_str().is_none_or(|s| s.len() <= 100)
}

/// The name under which a field is kept: its own, or `record.NAME` where a native record has one of that name.
pub(super) fn free_name(name: &str) -> String {
    if is_own_field(name) { format!("record.{name}") } else { name.to_owned() }
}

/// The first step that is labelled wrong, where the labels of all steps up to it say right or wrong: 0 of 0 and 1, −1 of −1, 0 and 1. Shares of right
/// continuations name no first error.
pub(super) fn first_wrong(steps: &[Step]) -> Option<GoldDeviation> {
    let labels = || steps.iter().map(|s| s.label);
    if labels().flatten().any(|l| ![-1.0, 0.0, 1.0].contains(&l)) || steps.is_empty() {
        return None;
    }
    let wrong = if labels().any(|l| l == Some(-1.0)) { -1.0 } else { 0.0 };
    let first = labels().position(|l| l == Some(wrong));
    let known = labels().take(first.unwrap_or(steps.len())).all(|l| l.is_some());
    known.then(|| first.map_or(GoldDeviation::None, GoldDeviation::Step))
}

/// Steps of a recorded text whose source names none.
pub(super) fn lines(text: &str) -> Vec<Step> {
    segment(text, &Segmentation::Line)
}

/// A field that holds one of a few things; the error says which.
pub(super) fn one_of<T: for<'a> Deserialize<'a>>(record: &Fields<'_>, key: &str, names: &str) -> Result<Option<T>> {
    let read = |v: &Value| T::deserialize(v.clone()).map_err(|_| FieldError::new(record.name(key), "is unknown", format!("give {names}")));
    record.get(key).map(read).transpose()
}

/// Fails where two arrays that go together differ in length.
pub(super) fn aligned(key: &str, len: usize, want: usize, with: &str) -> Result<()> {
    if len == want {
        return Ok(());
    }
    Err(FieldError::new(key, format!("has {len} elements, `{with}` has {want}"), "make the arrays equally long"))
}

/// An array of `want` numbers or nulls, as many as `with` has.
pub(super) fn numbers(record: &Fields<'_>, key: &str, want: usize, with: &str) -> Result<Option<Vec<Option<f32>>>> {
    let Some(values) = record.opt_array(key)? else { return Ok(None) };
    aligned(key, values.len(), want, with)?;
    let number = |(i, v): (usize, &Value)| match v {
        Value::Null => Ok(None),
        Value::Number(n) => Ok(n.as_f64().map(|x| x as f32)),
        _ => Err(wrong(&format!("{key}[{i}]"), v, "a number or null")),
    };
    values.iter().enumerate().map(number).collect::<Result<_>>().map(Some)
}

/// An array of byte ranges of `text`, each whole characters.
pub(super) fn spans(record: &Fields<'_>, key: &str, text: &str) -> Result<Option<Vec<Span>>> {
    let Some(values) = record.opt_array(key)? else { return Ok(None) };
    let mut out = Vec::with_capacity(values.len());
    for (i, v) in values.iter().enumerate() {
        let name = || format!("{key}[{i}]");
        let pair = v.as_array().filter(|p| p.len() == 2).map(|p| (p[0].as_u64(), p[1].as_u64()));
        let Some((Some(start), Some(end))) = pair else {
            return Err(FieldError::new(name(), "is no pair of byte positions", "give [start, end]"));
        };
        out.push(span(name, start, end, text)?);
    }
    Ok(Some(out))
}

/// The byte range `start..end` of `text`, which must be whole characters; `name` is that of its field.
pub(super) fn span(name: impl Fn() -> String, start: u64, end: u64, text: &str) -> Result<Span> {
    let span = Span::new(usize::try_from(start).unwrap_or(usize::MAX), usize::try_from(end).unwrap_or(usize::MAX));
    if span.end > text.len() || span.start > span.end {
        let problem = format!("is {start}..{end} in a text of {} bytes", text.len());
        return Err(FieldError::new(name(), problem, "count UTF-8 bytes of `text`"));
    }
    if !text.is_char_boundary(span.start) || !text.is_char_boundary(span.end) {
        let problem = format!("({start}..{end}) cuts a character");
        return Err(FieldError::new(name(), problem, "count UTF-8 bytes of `text`, whole characters"));
    }
    Ok(span)
}

/// Parses JSON, with U+FFFD in place of bytes that are no UTF-8, and what [`mended`] says of numbers and characters that no JSON has.
pub(super) fn json<T: for<'de> serde::Deserialize<'de>>(bytes: &[u8]) -> Result<T> {
    // Whole text is looked through several times faster than text that may not be.
    let text = std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
    serde_json::from_str(&text).map_err(|e| FieldError::json(&e)).or_else(|error| {
        let mended = mended(&text).ok_or_else(|| error.clone())?;
        serde_json::from_str(&mended.text).map_err(|_| error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_field() {
        let value = serde_json::json!({"a": {"b": [1, "x"]}, "n": null, "f": 2.5});
        let record = Fields::record(&value).unwrap();
        let a = record.object("a").unwrap();
        assert_eq!(a.texts("b").unwrap_err(), FieldError::new("a.b[0]", "is a number", "give a string"));
        assert_eq!(record.text("n").unwrap_err().problem, "is null");
        assert_eq!(record.text("z").unwrap_err(), FieldError::new("z", "is missing", "add it"));
        assert_eq!(record.integer("f").unwrap_err().remedy, "give an integer");
        assert_eq!(a.objects("b").unwrap_err().field, "a.b[0]");
    }

    #[test]
    fn joined_steps_keep_their_bytes_and_trim_their_spans() {
        let (text, steps) = join_steps(&[" a ", "", "b\n"], "\n\n");
        assert_eq!(text, " a \n\n\n\nb\n");
        let shown: Vec<&str> = steps.iter().map(|s| s.span.of(&text)).collect();
        assert_eq!(shown, ["a", "", "b"]);
        assert!(steps.windows(2).all(|w| w[0].span.end <= w[1].span.start));
    }
}

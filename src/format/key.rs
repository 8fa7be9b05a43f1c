//! What tells which records are about the same problem, without keeping their texts.

use super::detect::Format;
use super::error::FieldError;
use super::fields::Fields;
use super::flat;
use super::mend::mended;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
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
            Format::Flat(shape) if text != 0 && !shape.by_id => ProblemKey { id: 0, text },
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

/// A record's own name and its problem's text, read without the rest of it; `None` where they are not to be had so.
pub(super) fn head(format: Format, bytes: &[u8]) -> Result<Option<(String, String)>, FieldError> {
    let fields = format.problem_fields();
    if fields.is_empty() {
        return Ok(None);
    }
    let few = few(bytes, &fields)?;
    let head = match format {
        Format::Flat(shape) => flat::head(shape, &few).ok(),
        _ => {
            let text = fields[0];
            let record = Fields::record(&few)?;
            Some((record.id().unwrap_or_default(), record.get(text).and_then(Value::as_str).unwrap_or_default().to_owned()))
        }
    };
    Ok(head)
}

/// A record with these fields alone; what is in the others is only looked through.
fn few(bytes: &[u8], fields: &[&str]) -> Result<Value, FieldError> {
    let read = |text: &str| {
        let mut json = serde_json::Deserializer::from_str(text);
        let value = Few(fields).deserialize(&mut json)?;
        json.end()?;
        Ok(value)
    };
    let text = std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
    read(&text).or_else(|e: serde_json::Error| match mended(&text) {
        Some(mended) => read(&mended.text).map_err(|e| FieldError::json(&e)),
        None => Err(FieldError::json(&e)),
    })
}

/// Reads an object's named fields.
struct Few<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Few<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Few<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if self.0.contains(&key.as_ref()) {
                out.insert(key.into_owned(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_a_few_fields() {
        let line = br#"{"x": [1, {"input": 2}], "input": "user\nHow many?\nassistant\n", "output": "7", "score": NaN}"#;
        let format = Format::of_record(&super::super::fields::json(line).unwrap()).unwrap();
        assert_eq!(head(format, line).unwrap(), Some((String::new(), "How many?".into())));
        assert_eq!(head(Format::BestOfN, br#"{"idx": 3, "question": "q"}"#).unwrap(), Some(("3".into(), "q".into())));
        assert_eq!(head(Format::Prm800k, b"{}").unwrap(), None);
        assert!(head(Format::BestOfN, b"{\"idx\": 3").is_err() && head(Format::BestOfN, b"[1]").is_err());
    }
}

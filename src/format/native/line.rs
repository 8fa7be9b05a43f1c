//! A native line as it is parsed: the arrays with an element for each token, which make up most of it, as plain numbers; the rest as JSON values.

use crate::format::error::FieldError;
use crate::format::fields::{self, Fields, aligned, as_integer, json, wrong};
use crate::trace::Span;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Fields that hold byte ranges of tokens.
const SPANS: [&str; 2] = ["token_spans", "reward_spans"];
/// Fields that hold a number a token.
const NUMBERS: [&str; 4] = ["token_ids", "logprobs", "entropies", "token_rewards"];

/// The fields of one line.
pub(in crate::format) struct Line {
    /// All fields but those below; where one of those is not as it should be, these are all, and the fault is told by who reads them.
    rest: Value,
    spans: [Option<Vec<(u64, u64)>>; SPANS.len()],
    numbers: [Option<Vec<Option<f64>>>; NUMBERS.len()],
}

impl Line {
    /// Parses a line. Fails where it is no JSON.
    pub(in crate::format) fn read(bytes: &[u8]) -> Result<Self, FieldError> {
        json(bytes).or_else(|_| json::<Value>(bytes).map(Self::from))
    }

    /// All fields but those with an element for each token.
    pub(super) fn fields(&self) -> Result<Fields<'_>, FieldError> {
        Fields::record(&self.rest)
    }

    fn spans_of(&self, key: &str) -> Option<&[(u64, u64)]> {
        self.spans[SPANS.iter().position(|k| *k == key)?].as_deref()
    }

    fn numbers_of(&self, key: &str) -> Option<&[Option<f64>]> {
        self.numbers[NUMBERS.iter().position(|k| *k == key)?].as_deref()
    }

    /// Whether a field with an element for each token is there and not null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.spans_of(key).is_some() || self.numbers_of(key).is_some() || self.rest.get(key).is_some_and(|v| !v.is_null())
    }

    /// As [`fields::spans`].
    pub(super) fn spans(&self, key: &str, text: &str) -> Result<Option<Vec<Span>>, FieldError> {
        let Some(spans) = self.spans_of(key) else { return fields::spans(&self.fields()?, key, text) };
        let checked = |(i, &(start, end)): (usize, &(u64, u64))| fields::span(|| format!("{key}[{i}]"), start, end, text);
        spans.iter().enumerate().map(checked).collect::<Result<_, _>>().map(Some)
    }

    /// As [`fields::numbers`].
    pub(super) fn numbers(&self, key: &str, want: usize, with: &str) -> Result<Option<Vec<Option<f32>>>, FieldError> {
        let Some(numbers) = self.numbers_of(key) else { return fields::numbers(&self.fields()?, key, want, with) };
        aligned(key, numbers.len(), want, with)?;
        Ok(Some(numbers.iter().map(|n| n.map(|n| n as f32)).collect()))
    }

    /// The ids of `want` tokens, `None` where one is null.
    pub(super) fn ids(&self, key: &str, want: usize, with: &str) -> Result<Option<Vec<Option<u32>>>, FieldError> {
        let id = |i: usize, value: Value| match as_integer(&value).and_then(|id| u32::try_from(id).ok()) {
            _ if value.is_null() => Ok(None),
            None => Err(wrong(&format!("{key}[{i}]"), &value, "an id of 0 or more")),
            id => Ok(id),
        };
        let record = self.fields()?;
        let (len, value): (usize, &dyn Fn(usize) -> Value) = match (self.numbers_of(key), record.opt_array(key)?) {
            (Some(numbers), _) => (numbers.len(), &|i| Value::from(numbers[i])),
            (None, Some(values)) => (values.len(), &|i| values[i].clone()),
            (None, None) => return Ok(None),
        };
        aligned(key, len, want, with)?;
        (0..len).map(|i| id(i, value(i))).collect::<Result<_, _>>().map(Some)
    }
}

impl From<Value> for Line {
    fn from(rest: Value) -> Self {
        Self { rest, spans: Default::default(), numbers: Default::default() }
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = Line;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
                let (mut rest, mut line) = (Map::new(), Line::from(Value::Null));
                // The last of two fields of one name counts, as in any JSON that is read here.
                while let Some(key) = map.next_key::<String>()? {
                    if let Some(i) = SPANS.iter().position(|k| *k == key) {
                        line.spans[i] = map.next_value()?;
                    } else if let Some(i) = NUMBERS.iter().position(|k| *k == key) {
                        line.numbers[i] = map.next_value()?;
                    } else {
                        rest.insert(key, map.next_value()?);
                    }
                }
                Ok(Line { rest: Value::Object(rest), ..line })
            }
        }
        deserializer.deserialize_map(Whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<T: fmt::Debug>(result: Result<T, FieldError>) -> String {
        let e = result.unwrap_err();
        format!("{}: {}; {}", e.field, e.problem, e.remedy)
    }

    #[test]
    fn plain_numbers_are_read_as_json_values_are() {
        let text = r#"{"x": [1], "token_ids": [7, null, 2.0], "logprobs": [-0.5, 1e-40, null], "token_spans": [[0, 1], [1, 2], [2, 2]], "entropies": null}"#;
        let (plain, values) = (Line::read(text.as_bytes()).unwrap(), Line::from(serde_json::from_str::<Value>(text).unwrap()));
        assert!(plain.spans_of("token_spans").is_some() && values.spans_of("token_spans").is_none(), "they are two ways");
        for line in [plain, values] {
            assert_eq!(line.ids("token_ids", 3, "t").unwrap(), Some(vec![Some(7), None, Some(2)]));
            assert_eq!(line.numbers("logprobs", 3, "t").unwrap(), Some(vec![Some(-0.5), Some(1e-40_f64 as f32), None]));
            assert_eq!(line.spans("token_spans", "ab").unwrap(), Some(vec![Span::new(0, 1), Span::new(1, 2), Span::new(2, 2)]));
            assert_eq!(line.numbers("entropies", 3, "t").unwrap(), None);
            assert_eq!((line.has("entropies"), line.has("token_ids"), line.has("token_rewards")), (false, true, false));
            assert_eq!(said(line.spans("token_spans", "a")), "token_spans[1]: is 1..2 in a text of 1 bytes; count UTF-8 bytes of `text`");
            assert_eq!(said(line.ids("logprobs", 3, "t")), "logprobs[0]: is a number; give an id of 0 or more");
            assert_eq!(said(line.ids("token_ids", 2, "t")), "token_ids: has 3 elements, `t` has 2; make the arrays equally long");
            assert_eq!(line.fields().unwrap().array("x").unwrap().len(), 1);
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_told_by_its_place() {
        let read = |text: &str| Line::read(text.as_bytes()).unwrap();
        assert_eq!(said(read(r#"{"logprobs": [1, "x"]}"#).numbers("logprobs", 2, "t")), "logprobs[1]: is a string; give a number or null");
        assert_eq!(said(read(r#"{"token_ids": [1, -2]}"#).ids("token_ids", 2, "t")), "token_ids[1]: is a number; give an id of 0 or more");
        assert_eq!(
            said(read(r#"{"token_spans": [[0, 1], [1]]}"#).spans("token_spans", "ab")),
            "token_spans[1]: is no pair of byte positions; give [start, end]"
        );
        let twice = read(r#"{"logprobs": [1], "logprobs": [2]}"#);
        assert_eq!(twice.numbers("logprobs", 1, "t").unwrap(), Some(vec![Some(2.0)]));
        assert!(Line::read(b"{\"logprobs\": [1").is_err() && Line::read(b"[1]").unwrap().fields().is_err());
    }
}

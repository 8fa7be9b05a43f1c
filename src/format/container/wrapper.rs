//! Records in a list inside an object: `{"model": …, "samples": [{…}, …]}`.

use crate::format::fields::json;
use serde_json::{Map, Value};

/// Names of lists that are looked into while the object is not whole yet.
const LISTS: [&str; 18] = [
    "completions",
    "data",
    "episodes",
    "examples",
    "generations",
    "instances",
    "items",
    "logs",
    "outputs",
    "predictions",
    "records",
    "results",
    "rollouts",
    "rows",
    "samples",
    "traces",
    "trajectories",
    "trials",
];
/// Fields beside the list that are of every record in it, unless it has them itself.
const OUTER: [&str; 8] = ["checkpoint", "generator", "global_step", "model", "model_id", "model_name", "policy", "step"];
/// Records of a list that are tried.
const TRIED: usize = 3;
/// Bytes of an object that is not whole from which on a list of a known name, and of any name, is looked into.
const EARLY: usize = 1 << 20;
const ANY: usize = 16 << 20;

/// A list of records inside an object.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::format) struct Wrapped<T> {
    /// Where the list begins.
    pub from: u64,
    /// The fields that all its records get, as they stand in an object.
    pub outer: Vec<u8>,
    /// What its records are.
    pub found: T,
}

/// Finds the first list whose records are something (`what`) in the only object that a file holds, or in an object in it. `end`: `text` is all there is;
/// `base`: where it begins in the file.
pub(in crate::format) fn wrapped<T>(text: &[u8], base: u64, end: bool, what: impl Fn(&Value) -> Option<T>) -> Option<Wrapped<T>> {
    let whole = after(text, 0);
    match whole {
        // Another value follows: these are records, not what they are wrapped in.
        Some(at) if text[at..].iter().any(|b| !b.is_ascii_whitespace()) => return None,
        Some(_) => {}
        None if !end && text.len() >= EARLY => {}
        None => return None,
    }
    let any = whole.is_some() || text.len() >= ANY;
    let mut search = Search { text, base, any, what, outer: Map::new() };
    search.object(0, 0)
}

/// A record of a list that is named as such lists are, where an object has one.
pub(in crate::format) fn listed(object: &Value) -> Option<&Value> {
    LISTS.iter().find_map(|list| object.get(*list)?.as_array()?.iter().find(|v| v.is_object()))
}

struct Search<'a, F> {
    text: &'a [u8],
    base: u64,
    any: bool,
    what: F,
    outer: Map<String, Value>,
}

impl<T, F: Fn(&Value) -> Option<T>> Search<'_, F> {
    fn object(&mut self, at: usize, depth: usize) -> Option<Wrapped<T>> {
        let mut at = at + 1;
        loop {
            at = self.blank(at);
            let key = match self.text.get(at)? {
                b',' => {
                    at += 1;
                    continue;
                }
                b'"' => {
                    let end = string(self.text, at)?;
                    let key = serde_json::from_slice::<String>(&self.text[at..end]).ok()?;
                    at = self.blank(end);
                    key
                }
                _ => return None,
            };
            if *self.text.get(at)? != b':' {
                return None;
            }
            at = self.blank(at + 1);
            match self.text.get(at)? {
                b'[' if self.any || LISTS.contains(&key.as_str()) => {
                    if let Some(found) = self.list(at + 1) {
                        return Some(found);
                    }
                }
                b'{' if depth == 0 => {
                    if let Some(found) = self.object(at, 1) {
                        return Some(found);
                    }
                }
                _ => {}
            }
            let end = after(self.text, at)?;
            // The settings of an evaluation name its model too.
            if OUTER.contains(&key.as_str()) && (depth == 0 || key == "model") && !matches!(self.text[at], b'{' | b'[') {
                let Ok(value) = json::<Value>(&self.text[at..end]) else { return None };
                if depth == 0 || !self.outer.contains_key(&key) {
                    self.outer.insert(key, value);
                }
            }
            at = end;
        }
    }

    fn list(&self, begin: usize) -> Option<Wrapped<T>> {
        let mut at = begin;
        let outer = serde_json::to_vec(&self.outer).ok()?;
        let outer = outer[1..outer.len() - 1].to_vec();
        for _ in 0..TRIED {
            at = self.blank(at);
            if *self.text.get(at)? != b'{' {
                return None;
            }
            let end = after(self.text, at)?;
            let record = inside(&outer, self.text[at..end].to_vec());
            if let Some(found) = json(&record).ok().and_then(|r| (self.what)(&r)) {
                return Some(Wrapped { from: self.base + begin as u64 - 1, outer, found });
            }
            at = self.blank(end);
            if *self.text.get(at)? != b',' {
                return None;
            }
            at += 1;
        }
        None
    }

    fn blank(&self, at: usize) -> usize {
        at + self.text[at.min(self.text.len())..].iter().take_while(|b| b.is_ascii_whitespace()).count()
    }
}

/// A record with the fields of what it is wrapped in before its own, which count where both have one.
pub(in crate::format) fn inside(outer: &[u8], record: Vec<u8>) -> Vec<u8> {
    let Some(begin) = record.iter().position(|b| *b == b'{').filter(|_| !outer.is_empty()) else { return record };
    let rest = &record[begin + 1..];
    let comma: &[u8] = if rest.trim_ascii_start().starts_with(b"}") { b"" } else { b"," };
    [b"{", outer, comma, rest].concat()
}

/// Where a string ends that begins at `at`.
fn string(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Where the value ends that begins at `at`; `None` where it does not.
fn after(text: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = at;
    loop {
        match text.get(at)? {
            b'"' => at = string(text, at)? - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                if depth == 0 {
                    return Some(at);
                }
                depth -= 1;
            }
            b if depth == 0 && (b.is_ascii_whitespace() || *b == b',') => return Some(at),
            _ if depth == 0 => {
                at += 1;
                continue;
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Option<(String, String)> {
        let what = |v: &Value| v.get("p").map(ToString::to_string);
        let found = wrapped(text.as_bytes(), 0, true, what)?;
        assert_eq!(text.as_bytes()[found.from as usize], b'[');
        Some((String::from_utf8(found.outer).unwrap(), text[found.from as usize..].chars().take(9).collect()))
    }

    #[test]
    fn the_list_that_holds_records_is_found() {
        let found = |outer: &str, list: &str| Some((outer.to_owned(), list.to_owned()));
        assert_eq!(
            find(r#"{"n": [1, 2], "steps": [{"x": 1}], "model": "m", "accuracy": 0.5, "rows": [{"p": 1}]}"#),
            found("\"model\":\"m\"", "[{\"p\": 1}")
        );
        assert_eq!(
            find(r#"{"eval": {"model": "a\"b", "step": 1}, "data": {"any": [{"x": 0},{"p": 1}]}}"#),
            found(r#""model":"a\"b""#, "[{\"x\": 0}")
        );
        assert_eq!(find("{\n \"samples\" : [\n  {\n   \"p\": \"]}\"\n  }\n ]\n}\n"), found("", "[\n  {\n   "));
        for none in [
            "{}",
            "{\"a\": {\"b\": {\"c\": [{\"p\": 1}]}}}",
            "{\"a\": [[{\"p\": 1}]]}",
            "{\"a\": [{\"p\": 1}]}\n{\"a\": []}",
            "{\"a\": [{\"p\"",
            "{\"a\" 1}",
        ] {
            assert_eq!(find(none), None, "{none}");
        }
    }

    #[test]
    fn a_record_gets_the_outer_fields_that_it_has_not() {
        let merged = |record: &str| -> Value { serde_json::from_slice(&inside(b"\"model\":\"m\"", record.as_bytes().to_vec())).unwrap() };
        assert_eq!(merged(" { }"), serde_json::json!({"model": "m"}));
        assert_eq!(merged("{\"a\": 1, \"model\": \"own\"}"), serde_json::json!({"model": "own", "a": 1}));
        assert_eq!(inside(b"", b"{}".to_vec()), b"{}");
    }
}

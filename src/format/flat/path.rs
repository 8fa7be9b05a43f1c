//! Dotted paths into a record: `doc.question`, `choices[0].text`, `samples[].text`.

use crate::trace::sanitize;
use serde_json::{Map, Value};

/// Names that a listing of a record's fields has at most, and how deep it looks.
const LISTED: usize = 200;
const DEEP: usize = 4;
/// Characters of a field's name that are shown.
const NAME: usize = 60;

/// The values at a path, in order: `.` goes into an object, `[]` to every element of a list, `[0]` to one of them and `[-1]` to the last. A field whose own
/// name has a dot is found by that name.
pub fn find<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut out = Vec::new();
    walk(value, path, &mut out);
    out
}

fn walk<'a>(value: &'a Value, path: &str, out: &mut Vec<&'a Value>) {
    if path.is_empty() {
        out.push(value);
        return;
    }
    if let Some((inside, rest)) = path.strip_prefix('[').and_then(|p| p.split_once(']')) {
        let (rest, all) = (rest.strip_prefix('.').unwrap_or(rest), value.as_array().map_or(&[][..], Vec::as_slice));
        if inside.is_empty() {
            all.iter().for_each(|v| walk(v, rest, out));
        } else if let Ok(at) = inside.parse::<i64>() {
            let at = if at < 0 { all.len().checked_sub(at.unsigned_abs() as usize) } else { usize::try_from(at).ok() };
            if let Some(v) = at.and_then(|i| all.get(i)) {
                walk(v, rest, out);
            }
        }
        return;
    }
    let Some(map) = value.as_object() else { return };
    if let Some(v) = get(map, path) {
        out.push(v);
        return;
    }
    for at in memchr::memchr2_iter(b'.', b'[', path.as_bytes()) {
        if let Some(v) = get(map, &path[..at]) {
            let rest = &path[at..];
            walk(v, rest.strip_prefix('.').unwrap_or(rest), out);
            return;
        }
    }
}

/// Fields of a record up to which looking through them is faster than hashing a name.
const FEW: usize = 24;

/// A field of an object. Records have few, and many names are tried on them.
pub fn get<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if map.len() > FEW {
        return map.get(name);
    }
    map.iter().find(|(key, _)| key.len() == name.len() && *key == name).map(|(_, value)| value)
}

/// The field of the record that a path begins with.
pub fn top(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

/// Whether a path names every element of a list.
pub fn is_list(path: &str) -> bool {
    path.contains("[]")
}

/// The paths of a record's fields, objects opened, lists of objects by their first element; the first 200.
pub fn listing(map: &Map<String, Value>) -> Vec<(String, &Value)> {
    let mut out = Vec::new();
    list(map, "", 0, &mut out);
    out
}

fn list<'a>(map: &'a Map<String, Value>, before: &str, depth: usize, out: &mut Vec<(String, &'a Value)>) {
    for (key, value) in map {
        if out.len() >= LISTED {
            return;
        }
        let path = format!("{before}{key}");
        match value {
            Value::Object(inner) if depth < DEEP && !inner.is_empty() => list(inner, &format!("{path}."), depth + 1, out),
            Value::Array(all) if depth < DEEP => match all.first() {
                Some(Value::Object(inner)) if !inner.is_empty() => list(inner, &format!("{path}[]."), depth + 1, out),
                _ => out.push((path, value)),
            },
            _ => out.push((path, value)),
        }
    }
}

/// A name as a message shows it.
pub fn short(name: &str) -> String {
    let clean: String = sanitize(name).chars().filter(|c| !c.is_control()).collect();
    if clean.chars().count() <= NAME { clean } else { format!("{}…", clean.chars().take(NAME).collect::<String>()) }
}

/// The existing path that is most like one that is not there.
pub fn nearest(map: &Map<String, Value>, path: &str) -> Option<String> {
    // The work is bounded by what a name may be long.
    let begin = |text: &str| text.chars().take(100).collect::<String>();
    let wanted = begin(path);
    let like = |name: &str| strsim::jaro_winkler(&wanted, &begin(name));
    let all = listing(map).into_iter().map(|(name, _)| (like(&name).max(like(name.rsplit('.').next().unwrap_or(&name))), name));
    all.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|best| best.0 >= 0.6).map(|best| short(&best.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_go_into_objects_and_lists() {
        let record = json!({"a": {"b": [1, {"c": "x"}]}, "d.e": 2, "l": [[3], [4, 5]], "m": [{"t": 6}, {"t": 7}, {}]});
        let found = |path: &str| find(&record, path).into_iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        for (path, want) in [
            ("a.b[0]", "1"),
            ("a.b[1].c", "\"x\""),
            ("a.b[-1].c", "\"x\""),
            ("a.b[2]", ""),
            ("a.b[-3]", ""),
            ("d.e", "2"),
            ("l[][]", "3 4 5"),
            ("l[1]", "[4,5]"),
            ("m[].t", "6 7"),
            ("z", ""),
            ("a.z", ""),
            ("a[0]", ""),
            ("a.b[x]", ""),
        ] {
            assert_eq!(found(path), want, "{path}");
        }
        let names: Vec<String> = listing(record.as_object().unwrap()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a.b", "d.e", "l", "m[].t"]);
        assert_eq!(nearest(record.as_object().unwrap(), "m[].tt").as_deref(), Some("m[].t"));
        assert_eq!(nearest(record.as_object().unwrap(), "qqqqqqq"), None);
    }
}

//! `--fields`: a user says where the parts of a record are.

use super::path::{find, nearest, top};
use super::{Names, Role, Shape};
use crate::format::error::FormatError;
use serde_json::Value;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Which field of a record is what: `problem=q,text=out.text,gold=a,signal:help=scores.help`.
///
/// Paths have dots for objects, `[]` for all elements of a list and `[0]` for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldMap(pub(in crate::format) &'static Shape);

/// What a user may name, and what it is.
const KEYS: [(&str, Role); 13] = [
    ("problem", Role::Problem),
    ("text", Role::Text),
    ("reasoning", Role::Reasoning),
    ("gold", Role::Gold),
    ("solution", Role::Solution),
    ("answer", Role::Answer),
    ("verdict", Role::Verdict),
    ("steps", Role::Steps),
    ("labels", Role::Labels),
    ("first_error", Role::FirstError),
    ("group", Role::Group),
    ("policy", Role::Policy),
    ("finish", Role::Finish),
];

impl FromStr for FieldMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        static KNOWN: OnceLock<Mutex<HashMap<String, FieldMap>>> = OnceLock::new();
        let mut known = KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(map) = known.get(text) {
            return Ok(*map);
        }
        let map = parse(text)?;
        known.insert(text.to_owned(), map);
        Ok(map)
    }
}

/// A row as long-lived as those of the table; one text makes one.
fn parse(text: &str) -> Result<FieldMap, String> {
    let mut roles: Vec<(Role, Vec<&'static str>)> = Vec::new();
    let mut signals: Vec<(&'static str, &'static str)> = Vec::new();
    let mut by_id = false;
    for pair in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let Some((key, path)) = pair.split_once('=').map(|(k, p)| (k.trim(), p.trim())) else {
            return Err(format!("`{pair}` has no `=`; write KEY=PATH, for example problem=question"));
        };
        if path.is_empty() {
            return Err(format!("`{key}=` names no field; write {key}=PATH"));
        }
        let path: &'static str = path.to_owned().leak();
        if let Some(name) = key.strip_prefix("signal:") {
            if name.is_empty() {
                return Err("`signal:` has no name; write signal:NAME=PATH".into());
            }
            signals.push((name.to_owned().leak(), path));
            continue;
        }
        let Some((_, role)) = KEYS.iter().find(|(k, _)| *k == key) else {
            let near = KEYS.iter().map(|(k, _)| (strsim::jaro_winkler(k, key), *k)).max_by(|a, b| a.0.total_cmp(&b.0));
            let near = near.filter(|n| n.0 >= 0.6).map_or_else(String::new, |n| format!("did you mean `{}`? ", n.1));
            let all: Vec<&str> = KEYS.iter().map(|k| k.0).collect();
            return Err(format!("`{key}` is no part of a trace; {near}there are {} and signal:NAME", all.join(", ")));
        };
        by_id |= *role == Role::Group;
        match roles.iter_mut().find(|(r, _)| r == role) {
            Some((_, paths)) => paths.push(path),
            None => roles.push((*role, vec![path])),
        }
    }
    if roles.is_empty() && signals.is_empty() {
        return Err("names no field; write KEY=PATH,…, for example problem=question,text=response".into());
    }
    let roles: Vec<Names> = roles.into_iter().map(|(role, paths)| -> Names { (role, paths.leak()) }).collect();
    let shape = Shape {
        name: "fields",
        needs: &[],
        roles: roles.leak(),
        signals: signals.leak(),
        strict: true,
        by_id,
        expert: false,
        told_by: None,
    };
    Ok(FieldMap(Box::leak(Box::new(shape))))
}

/// Whether every field that a user named is in one of a file's first records; the error names the first that is not, with the nearest that is.
pub fn check(file: &str, shape: &'static Shape, records: &[Value]) -> Result<(), FormatError> {
    let paths = shape.roles.iter().flat_map(|(_, paths)| paths.iter()).chain(shape.signals.iter().map(|(_, path)| path));
    for path in paths {
        if records.iter().any(|r| !find(r, path).is_empty() || (path.contains("[]") && r.get(top(path)).is_some())) {
            continue;
        }
        let near = records.iter().filter_map(Value::as_object).find_map(|map| nearest(map, path));
        let remedy = match near {
            Some(near) => format!("the nearest is `{near}`"),
            None => {
                records.iter().find_map(Value::as_object).map_or_else(String::new, |map| format!("there are {}", super::fields_of(map)))
            }
        };
        return Err(FormatError::file(file, format!("--fields names `{path}`, which is in none of its first records"), remedy));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fails(text: &str) -> String {
        text.parse::<FieldMap>().unwrap_err()
    }

    #[test]
    fn keys_are_checked() {
        assert!(fails("probelm=q").contains("did you mean `problem`?"), "{}", fails("probelm=q"));
        assert!(fails("zzz=q").starts_with("`zzz` is no part of a trace; there are problem, text"));
        assert!(
            fails("text").contains("has no `=`") && fails("text=").contains("names no field") && fails(" , ").contains("names no field")
        );
        assert!(fails("signal:=x").contains("has no name"));
        let map: FieldMap = "problem=q, text=o[].t,signal:a=s.a".parse().unwrap();
        assert_eq!((map.0.paths(Role::Problem), map.0.paths(Role::Text), map.0.signals), (&["q"][..], &["o[].t"][..], &[("a", "s.a")][..]));
        assert_eq!(map.0.paths(Role::Gold).len(), 0, "what is not named is not guessed");
        assert_eq!(map, "problem=q, text=o[].t,signal:a=s.a".parse().unwrap());
    }

    #[test]
    fn fields_that_are_nowhere_are_named_with_the_nearest() {
        let records = [json!({"quest": "x", "out": {"text": "y"}}), json!({"other": 1})];
        let said = |text: &str| check("f", text.parse::<FieldMap>().unwrap().0, &records).map_err(|e| e.to_string());
        assert_eq!(said("problem=quest,text=out.text,gold=other"), Ok(()));
        assert_eq!(
            said("problem=question").unwrap_err(),
            "f: --fields names `question`, which is in none of its first records; the nearest is `quest`"
        );
    }
}

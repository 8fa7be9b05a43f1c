//! What Python brings to a template and the engine does not: methods of texts, lists and mappings, and JSON as `json.dumps` writes it.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{ErrorKind, State, Value};

/// Bytes that a method of ours may make of a text.
const LARGEST: usize = 64 << 20;

/// The methods of Python's strings, lists and mappings that templates call.
pub(super) fn method(_: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, minijinja::Error> {
    let unknown = || minijinja::Error::new(ErrorKind::UnknownMethod, format!("method {name} is not supported"));
    let text = |i: usize| args.get(i).and_then(Value::as_str);
    if let Some(s) = value.as_str() {
        let strip = |c: char| text(0).map_or(c.is_whitespace(), |set| set.contains(c));
        let any = |test: &dyn Fn(&str) -> bool| match args.first() {
            Some(a) if a.as_str().is_none() => a.try_iter().is_ok_and(|mut all| all.any(|p| p.as_str().is_some_and(test))),
            Some(a) => a.as_str().is_some_and(test),
            None => false,
        };
        return Ok(match name {
            "strip" => s.trim_matches(strip).into(),
            "lstrip" => s.trim_start_matches(strip).into(),
            "rstrip" => s.trim_end_matches(strip).into(),
            "startswith" => any(&|p| s.starts_with(p)).into(),
            "endswith" => any(&|p| s.ends_with(p)).into(),
            "upper" => s.to_uppercase().into(),
            "lower" => s.to_lowercase().into(),
            "title" => title(s).into(),
            "capitalize" => {
                let mut chars = s.chars();
                chars
                    .next()
                    .map(|c| c.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect::<String>())
                    .unwrap_or_default()
                    .into()
            }
            "split" => match (text(0), args.get(1).and_then(Value::as_i64)) {
                (Some(on), Some(most)) if most >= 0 => s.splitn(most as usize + 1, on).map(Value::from).collect(),
                (Some(on), _) => s.split(on).map(Value::from).collect(),
                (None, _) => s.split_whitespace().map(Value::from).collect(),
            },
            "splitlines" => s.lines().map(Value::from).collect(),
            "replace" => match (text(0), text(1)) {
                (Some(from), Some(to)) => {
                    within(s.matches(from).count().saturating_mul(to.len()).saturating_add(s.len()))?;
                    s.replace(from, to).into()
                }
                _ => return Err(unknown()),
            },
            "join" => {
                let parts: Vec<String> =
                    args.first().map(|a| a.try_iter()).transpose()?.into_iter().flatten().map(|p| p.to_string()).collect();
                within(parts.iter().map(|p| p.len() + s.len()).sum())?;
                parts.join(s).into()
            }
            "find" => text(0).and_then(|p| s.find(p)).map_or(-1, |at| s[..at].chars().count() as i64).into(),
            "count" => text(0).map_or(0, |p| s.matches(p).count()).into(),
            "isdigit" => (!s.is_empty() && s.chars().all(|c| c.is_ascii_digit())).into(),
            _ => return Err(unknown()),
        });
    }
    if value.kind() == ValueKind::Map {
        let keys = || value.try_iter();
        return Ok(match name {
            "keys" => keys()?.collect(),
            "values" => keys()?.map(|k| value.get_item(&k)).collect::<Result<_, _>>()?,
            "items" => keys()?.map(|k| value.get_item(&k).map(|v| Value::from(vec![k, v]))).collect::<Result<_, _>>()?,
            "get" => match args.first().map(|k| value.get_item(k)).transpose()? {
                Some(v) if !v.is_undefined() => v,
                _ => args.get(1).cloned().unwrap_or(Value::from(())),
            },
            _ => return Err(unknown()),
        });
    }
    Err(unknown())
}

/// The engine counts what its own filters make; what the methods here make is bounded by this.
pub(super) fn within(bytes: usize) -> Result<(), minijinja::Error> {
    if bytes > LARGEST { Err(minijinja::Error::new(ErrorKind::OutOfFuel, "too much text")) } else { Ok(()) }
}

/// Python's `str.title`: a capital after everything that is no letter.
fn title(s: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in s.chars() {
        if inside {
            out.extend(c.to_lowercase())
        } else {
            out.extend(c.to_uppercase())
        }
        inside = c.is_alphabetic();
    }
    out
}

/// JSON as Python's `json.dumps` writes it: a space after `,` and `:`, nothing escaped for HTML; with `indent` one entry a line.
pub(super) fn tojson(value: Value, kwargs: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    // Accepted as transformers does; text is never escaped to ASCII here.
    let _: Option<bool> = kwargs.get("ensure_ascii")?;
    kwargs.assert_all_used()?;
    let json = serde_json::to_value(&value).map_err(|e| minijinja::Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    let mut out = String::new();
    write_json(&json, indent, 0, &mut out);
    Ok(out)
}

fn write_json(value: &serde_json::Value, indent: Option<usize>, depth: usize, out: &mut String) {
    use serde_json::Value as Json;
    let line = |out: &mut String, depth: usize| {
        if let Some(n) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', n * depth));
        }
    };
    let comma = if indent.is_some() { "," } else { ", " };
    match value {
        Json::Array(list) if !list.is_empty() => {
            out.push('[');
            for (i, v) in list.iter().enumerate() {
                if i > 0 {
                    out.push_str(comma);
                }
                line(out, depth + 1);
                write_json(v, indent, depth + 1, out);
            }
            line(out, depth);
            out.push(']');
        }
        Json::Object(map) if !map.is_empty() => {
            out.push('{');
            for (i, (k, v)) in map.iter().enumerate() {
                if i > 0 {
                    out.push_str(comma);
                }
                line(out, depth + 1);
                out.push_str(&Json::from(k.as_str()).to_string());
                out.push_str(": ");
                write_json(v, indent, depth + 1, out);
            }
            line(out, depth);
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

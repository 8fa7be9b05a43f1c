//! What the records of a file that nothing fits hold, and what would open it.

use super::path::{listing, short};
use serde_json::{Map, Value};

/// Fields that a message names at most.
const SHOWN: usize = 16;

/// The fields of a record with what they are, for a message.
pub fn fields_of(map: &Map<String, Value>) -> String {
    let all = listing(map);
    let shown: Vec<String> = all.iter().take(SHOWN).map(|(name, value)| format!("{} ({})", short(name), kind(value))).collect();
    let more = all.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    if shown.is_empty() { "none".into() } else { format!("{}{rest}", shown.join(", ")) }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "true or false".into(),
        Value::Number(_) => "a number".into(),
        Value::String(s) if s.len() > 40 => format!("a text of {} bytes", s.len()),
        Value::String(_) => "a text".into(),
        Value::Object(_) => "an empty object".into(),
        Value::Array(all) => match all.first() {
            None => "an empty list".into(),
            Some(Value::String(_)) => format!("a list of {} texts", all.len()),
            Some(Value::Number(_)) => format!("a list of {} numbers", all.len()),
            Some(_) => format!("a list of {}", all.len()),
        },
    }
}

/// A `--fields` that would open records like this one: the text is the longest text or list of texts, the problem what is called so or the next longest.
/// `None` where no field can be a text, or where one of the names cannot be written on a command line.
pub fn guess(map: &Map<String, Value>) -> Option<String> {
    let all = listing(map);
    let named = |name: &str, words: &[&str]| {
        let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
        words.iter().any(|w| last.contains(w))
    };
    const ASKS: [&str; 9] = ["problem", "question", "prompt", "query", "instruction", "input", "ask", "task", "user"];
    const GOLD: [&str; 7] = ["gold", "truth", "reference", "expected", "target", "answer", "gt"];
    const VERDICT: [&str; 6] = ["correct", "right", "passed", "success", "is_ok", "verdict"];
    const GROUP: [&str; 4] = ["problem_id", "question_id", "prompt_id", "group"];
    let length = |value: &Value| match value {
        Value::String(s) => s.len(),
        Value::Array(all) if all.iter().all(Value::is_string) => all.iter().filter_map(Value::as_str).map(str::len).sum(),
        _ => 0,
    };
    let texts = || {
        all.iter()
            .filter(|(_, v)| length(v) > 0)
            .filter(|(name, _)| !named(name, &["id", "url", "date", "model", "hash"]) || name.len() > 12)
    };
    let text = texts()
        .filter(|(name, _)| !named(name, &ASKS))
        .max_by_key(|(_, v)| length(v))
        .or_else(|| texts().max_by_key(|(_, v)| length(v)))?;
    let asks = texts().filter(|(name, _)| *name != text.0);
    let problem =
        asks.clone().filter(|(name, _)| named(name, &ASKS)).max_by_key(|(_, v)| length(v)).or_else(|| asks.max_by_key(|(_, v)| length(v)));
    let mut out = Vec::new();
    let mut used: Vec<&str> = vec![&text.0];
    if let Some((name, _)) = problem {
        out.push(format!("problem={name}"));
        used.push(name);
    }
    out.push(format!("text={}", text.0));
    let mut add = |key: &str, words: &[&str], fits: &dyn Fn(&Value) -> bool| {
        let found = all.iter().find(|(name, v)| !used.contains(&name.as_str()) && named(name, words) && fits(v));
        if let Some((name, _)) = found {
            out.push(format!("{key}={name}"));
            used.push(name);
        }
    };
    add("verdict", &VERDICT, &|v| super::verdict(v).is_some());
    add("gold", &GOLD, &|v| v.is_string() || v.is_number());
    add("group", &GROUP, &|v| v.is_string() || v.is_number());
    let nested = all
        .iter()
        .filter(|(name, v)| name.contains('.') && !name.contains("[]") && v.is_number() && !super::rest::names_something(name))
        .take(4);
    out.extend(nested.map(|(name, _)| format!("signal:{}={name}", name.rsplit('.').next().unwrap_or(name))));
    let said = out.join(",");
    let plain = |c: char| c.is_alphanumeric() || "_-.:=,[]@#/ ".contains(c);
    (said.len() <= 400 && said.chars().all(plain) && out.iter().all(|o| o.matches('=').count() == 1 && !o.contains(','))).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_there_is_listed_and_a_mapping_guessed() {
        let record = json!({"ask": "How many?", "meta": {"id": 3, "s": {"help": 0.5}}, "out": ["a long text of an answer", "x"], "is_right": true, "truth": "7", "e": {}});
        let map = record.as_object().unwrap();
        assert_eq!(
            fields_of(map),
            "ask (a text), meta.id (a number), meta.s.help (a number), out (a list of 2 texts), is_right (true or false), truth (a text), e (an empty object)"
        );
        assert_eq!(guess(map).unwrap(), "problem=ask,text=out,verdict=is_right,gold=truth,signal:help=meta.s.help");
        assert_eq!(guess(json!({"a": 1, "b": 2}).as_object().unwrap()), None);
        let wild = json!({"a\u{1b}[31m": 1, "long": "x".repeat(50)});
        assert_eq!(fields_of(wild.as_object().unwrap()), "a (a number), long (a text of 50 bytes)");
        assert_eq!(guess(json!({"a'b": "text"}).as_object().unwrap()), None, "it could not be copied");
    }
}

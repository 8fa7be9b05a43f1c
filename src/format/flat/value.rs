//! The dialects in which files say yes, no, a number, a reference answer, why a text ended.

use crate::format::fields::{final_answer, plain_number};
use crate::trace::FinishReason;
use serde_json::Value;

/// A verdict: true or false, 1, 0 or −1, `"correct"`, `"wrong"`, `"yes"`, `"+"` and their like; `None` for what says neither.
pub fn verdict(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::Number(n) => match n.as_f64()? {
            1.0 => Some(true),
            0.0 | -1.0 => Some(false),
            _ => None,
        },
        Value::String(s) => word(s),
        _ => None,
    }
}

fn word(text: &str) -> Option<bool> {
    let text = text.trim();
    // No word is longer.
    if text.len() > 12 {
        return None;
    }
    match text.to_lowercase().as_str() {
        "correct" | "right" | "true" | "yes" | "y" | "pass" | "passed" | "success" | "solved" | "good" | "positive" | "pos" | "1"
        | "1.0" | "+" => Some(true),
        "incorrect" | "wrong" | "false" | "no" | "n" | "fail" | "failed" | "failure" | "unsolved" | "bad" | "negative" | "neg"
        | "error" | "0" | "0.0" | "-1" | "-1.0" | "-" | "−" => Some(false),
        _ => None,
    }
}

/// A step's label, numbers as they are; a word for right is 1, one for wrong 0, `neutral` ½. The outer `None`: it is no label.
pub fn label(value: &Value) -> Option<Option<f32>> {
    match value {
        Value::Null => Some(None),
        Value::Bool(b) => Some(Some(f32::from(u8::from(*b)))),
        Value::Number(n) => n.as_f64().map(|x| x as f32).filter(|x| x.is_finite()).map(Some),
        Value::String(s) if s.trim().is_empty() => Some(None),
        Value::String(s) => match (s.trim().parse::<f32>().ok().filter(|x| x.is_finite()), word(s)) {
            (Some(number), _) => Some(Some(number)),
            (None, Some(right)) => Some(Some(f32::from(u8::from(right)))),
            (None, None) => (s.trim().eq_ignore_ascii_case("neutral")).then_some(Some(0.5)),
        },
        _ => None,
    }
}

/// A number, or with `loose` a text that is one.
pub fn number(value: &Value, loose: bool) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) if loose && s.len() <= 40 => {
            let text = s.trim();
            let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
            text.parse().ok().filter(|x: &f64| plain && x.is_finite())
        }
        _ => None,
    }
}

/// Whether a number's digits survive as a signal's value, but for those of a fraction.
pub fn survives(x: f64) -> bool {
    (x as f32).is_finite() && (x.fract() != 0.0 || f64::from(x as f32) == x)
}

/// Fields under which an object holds a reference answer.
const GOLD: [&str; 9] = ["ground_truth", "gold", "answer", "target", "value", "final_answer", "reference", "label", "text"];

/// A reference answer: what is marked in a solution, else the text itself; of several, the first. The second: whether the value says no more than that.
pub fn gold(value: &Value) -> (Option<String>, bool) {
    match value {
        Value::String(s) => {
            let text = s.trim();
            let answer = final_answer(text).unwrap_or_else(|| text.to_owned());
            let whole = answer == text;
            (Some(answer).filter(|a| !a.is_empty()), whole)
        }
        Value::Number(_) => (plain_number(value), true),
        Value::Bool(b) => (Some(b.to_string()), true),
        Value::Array(all) => match all.as_slice() {
            [one] => gold(one),
            [first, ..] => (gold(first).0, false),
            [] => (None, true),
        },
        Value::Object(map) => {
            let numbers = ["nums", "numbers"].iter().find_map(|k| map.get(*k)?.as_array());
            // A countdown task: the numbers and what is to come out.
            if let (Some(numbers), Some(target)) = (numbers, map.get("target").filter(|t| t.is_number())) {
                let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                return (Some(format!("[{}] = {target}", numbers.join(", "))), false);
            }
            (GOLD.iter().find_map(|k| map.get(*k).and_then(|v| gold(v).0)), false)
        }
        Value::Null => (None, true),
    }
}

/// An answer as text: a text or a number; of a list, its first.
pub fn answer(value: &Value) -> Option<String> {
    match value {
        Value::Array(all) if all.len() == 1 => answer(&all[0]),
        Value::Bool(b) => Some(b.to_string()),
        _ => plain_number(value).filter(|a| !a.is_empty()),
    }
}

/// A list of texts that is written as a text itself, by JSON or by Python.
pub fn list_of_texts(text: &str) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    if let Ok(all) = serde_json::from_str(text) {
        return Some(all);
    }
    let (mut out, mut rest) = (Vec::new(), inner.trim());
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let mut item = String::new();
        let mut chars = rest[1..].char_indices();
        let end = loop {
            match chars.next()? {
                (at, c) if c == quote => break at + 2,
                (_, '\\') => match chars.next()?.1 {
                    'n' => item.push('\n'),
                    't' => item.push('\t'),
                    'r' => item.push('\r'),
                    own @ ('\'' | '"' | '\\') => item.push(own),
                    // Other escapes stay as they are.
                    other => item.extend(['\\', other]),
                },
                (_, c) => item.push(c),
            }
        };
        out.push(item);
        rest = rest[end..].trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(out)
}

/// Why a text ended, by the field's name and value; `None` for what is not known.
pub fn finish(field: &str, value: &Value) -> Option<FinishReason> {
    let cut = |is: bool| if is { FinishReason::Length } else { FinishReason::Stop };
    let name = field.rsplit('.').next().unwrap_or(field);
    match value {
        Value::String(s) => match s.trim().to_lowercase().as_str() {
            "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" | "tool_calls" | "completed" | "complete" | "finished" | "done" => {
                Some(FinishReason::Stop)
            }
            "length" | "max_tokens" | "max_length" | "max_new_tokens" | "truncated" | "context_length" | "max_output_tokens"
            | "max_total_tokens" | "max_input_tokens" | "max_turns" | "model_length" => Some(FinishReason::Length),
            "abort" | "aborted" | "cancelled" | "canceled" => Some(FinishReason::Cancelled),
            _ => verdict(value).filter(|_| !name.contains("reason")).and_then(|b| finish(field, &Value::Bool(b))),
        },
        Value::Bool(b) if name.contains("trunc") || name.contains("clipped") => Some(cut(*b)),
        Value::Bool(b) if name.contains("complete") || name.contains("finished") || name == "done" => Some(cut(!*b)),
        Value::Number(n) => finish(field, &Value::Bool(verdict(&Value::Number(n.clone()))?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dialects_of_right_and_wrong() {
        for v in [json!(true), json!(1), json!(1.0), json!("correct"), json!(" Yes "), json!("+"), json!("TRUE"), json!("1")] {
            assert_eq!(verdict(&v), Some(true), "{v}");
        }
        for v in [json!(false), json!(0), json!(-1), json!("wrong"), json!("Incorrect"), json!("no"), json!("-"), json!("0.0"), json!("-1")]
        {
            assert_eq!(verdict(&v), Some(false), "{v}");
        }
        for v in [json!(0.5), json!("maybe"), json!(null), json!([true]), json!("a long sentence that is right")] {
            assert_eq!(verdict(&v), None, "{v}");
        }
        assert_eq!(
            [json!("+"), json!("-"), json!("-1"), json!(0.25), json!(null), json!("")].map(|v| label(&v)),
            [Some(Some(1.0)), Some(Some(0.0)), Some(Some(-1.0)), Some(Some(0.25)), Some(None), Some(None)]
        );
        assert_eq!(label(&json!("fine, mostly")), None);
    }

    #[test]
    fn reference_answers_of_every_kind() {
        let of = |v: Value| gold(&v).0.unwrap_or_default();
        assert_eq!(of(json!("14+9=23\n#### 23")), "23");
        assert_eq!(of(json!(" 18 ")), "18");
        assert_eq!(of(json!(18.0)), "18");
        assert_eq!(of(json!(["3", "three"])), "3");
        assert_eq!(of(json!({"style": "rule", "ground_truth": "7"})), "7");
        assert_eq!(of(json!({"numbers": [1, 2, 3], "target": 6})), "[1, 2, 3] = 6");
        assert_eq!((of(json!({"x": 1})), of(json!([])), of(json!(null))), (String::new(), String::new(), String::new()));
    }

    #[test]
    fn lists_in_texts() {
        assert_eq!(list_of_texts(r#"["a", "b\n"]"#).unwrap(), ["a", "b\n"]);
        assert_eq!(list_of_texts(r#"['it\'s', "b 'c'", 'x\\y', '\frac',]"#).unwrap(), ["it's", "b 'c'", "x\\y", "\\frac"]);
        assert_eq!(list_of_texts("[]").unwrap(), [""; 0]);
        for text in ["[1, 2]", "['a' 'b']", "['a", "a", "[a]"] {
            assert_eq!(list_of_texts(text), None, "{text}");
        }
    }

    #[test]
    fn why_a_text_ended() {
        assert_eq!(finish("is_truncated", &json!(true)), Some(FinishReason::Length));
        assert_eq!(finish("is_reasoning_complete", &json!(false)), Some(FinishReason::Length));
        assert_eq!(finish("is_reasoning_complete", &json!(1)), Some(FinishReason::Stop));
        assert_eq!(finish("truncated", &json!("False")), Some(FinishReason::Stop));
        assert_eq!(finish("stop_reason", &json!("length")), Some(FinishReason::Length));
        assert_eq!(finish("stop_reason", &json!("whim")), None);
    }
}

//! Tokens with log-probabilities, in any server's shape, laid along the text.

use super::compose::Place;
use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_text, wrong};
use crate::trace::{Span, Token};
use crate::util::work::count;
use serde_json::Value;

/// A token as a server lists it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Listed {
    /// Its bytes; empty where only its id is told.
    pub bytes: Vec<u8>,
    pub id: Option<u32>,
    pub logprob: Option<f32>,
}

type Outcome<T> = Result<T, FieldError>;

/// The tokens that a message lists itself, or the parts of its content do.
pub(super) fn of_message(message: &Fields<'_>) -> Outcome<Option<Vec<Listed>>> {
    if let Some(value) = message.get("logprobs") {
        return listed(value, &message.name("logprobs"));
    }
    let mut all = Vec::new();
    for (i, part) in message.get("content").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if let Some(value) = part.get("logprobs").filter(|v| !v.is_null()) {
            all.extend(listed(value, &format!("{}[{i}].logprobs", message.name("content")))?.unwrap_or_default());
        }
    }
    Ok((!all.is_empty()).then_some(all))
}

/// Reads what a server writes of tokens: `content` with an entry each (chats), `tokens` and `token_logprobs` side by side (completions), a list of entries, or,
/// a token each, of objects by id (vLLM). `None` where it lists none.
pub(super) fn listed(value: &Value, path: &str) -> Outcome<Option<Vec<Listed>>> {
    let out = match value {
        Value::Object(_) => {
            let fields = Fields::of(value, path.to_owned())?;
            const LISTS: [&str; 3] = ["content", "chosenCandidates", "chosen_candidates"];
            if let Some(key) = LISTS.iter().find(|k| fields.get(k).is_some()) {
                entries(fields.array(key)?, &fields.name(key))?
            } else if fields.get("tokens").is_some() {
                columns(&fields)?
            } else {
                return Ok(None);
            }
        }
        Value::Array(all) => entries(all, path)?,
        _ => return Ok(None),
    };
    Ok((!out.is_empty()).then_some(out))
}

fn entries(all: &[Value], path: &str) -> Outcome<Vec<Listed>> {
    all.iter().enumerate().map(|(i, value)| entry(value, &format!("{path}[{i}]"))).collect()
}

fn entry(value: &Value, path: &str) -> Outcome<Listed> {
    match value {
        Value::Null => Ok(Listed::default()),
        Value::Number(n) => Ok(Listed { logprob: n.as_f64().map(|x| x as f32), ..Listed::default() }),
        // As SGLang writes them: log-probability, id, text.
        Value::Array(of) => Ok(Listed {
            bytes: of.get(2).and_then(Value::as_str).unwrap_or_default().into(),
            id: of.get(1).and_then(as_id),
            logprob: of.first().and_then(Value::as_f64).map(|x| x as f32),
        }),
        Value::Object(map) => {
            let fields = Fields::of(value, path.to_owned())?;
            // As vLLM writes them: an object with an entry for each of the likeliest tokens, the drawn one first.
            if !map.keys().any(|k| k == "token" || k == "logprob" || k == "content")
                && let Some((id, inner)) = map.iter().find(|(id, inner)| inner.is_object() && id.parse::<u32>().is_ok())
            {
                let told = entry(inner, &fields.name(id))?;
                return Ok(Listed { id: id.parse().ok(), ..told });
            }
            let number = |keys: &[&str]| keys.iter().find_map(|k| fields.get(k)).and_then(Value::as_f64).map(|x| x as f32);
            let text = ["token", "decoded_token", "content", "text", "tok_str"].iter().find_map(|k| fields.get(k).map(|v| (*k, v)));
            let word = match text {
                Some((_, Value::Number(_))) | None => "",
                Some((key, value)) => as_text(value, &fields.name(key))?,
            };
            let named = word.strip_prefix("token_id:").and_then(|id| id.parse().ok());
            let id = ["id", "token_id", "tokenId", "token"].iter().find_map(|k| fields.get(k).and_then(as_id));
            let bytes = match fields.opt_array("bytes")? {
                Some(bytes) => read_bytes(bytes, &fields.name("bytes"))?,
                None if named.is_some() => Vec::new(),
                None => word.into(),
            };
            Ok(Listed { bytes, id: id.or(named), logprob: number(&["logprob", "logProbability", "log_probability", "log_prob"]) })
        }
        other => Err(wrong(path, other, "an object with a token and its logprob")),
    }
}

/// Lists side by side, as the completions API has them.
fn columns(fields: &Fields<'_>) -> Outcome<Vec<Listed>> {
    let tokens = fields.array("tokens")?;
    let logprobs = fields.opt_array("token_logprobs")?.unwrap_or_default();
    let ids = fields.opt_array("token_ids")?.unwrap_or_default();
    let mut out = Vec::with_capacity(tokens.len());
    for (i, token) in tokens.iter().enumerate() {
        let word = if token.is_number() { "" } else { as_text(token, &format!("{}[{i}]", fields.name("tokens")))? };
        let named = word.strip_prefix("token_id:").and_then(|id| id.parse().ok());
        let escaped = word.strip_prefix("bytes:").map(|hex| hex.split("\\x").filter_map(|h| u8::from_str_radix(h, 16).ok()).collect());
        out.push(Listed {
            bytes: if named.is_some() { Vec::new() } else { escaped.unwrap_or_else(|| word.into()) },
            id: ids.get(i).and_then(as_id).or(as_id(token)).or(named),
            logprob: logprobs.get(i).and_then(Value::as_f64).map(|x| x as f32),
        });
    }
    Ok(out)
}

fn as_id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

fn read_bytes(bytes: &[Value], path: &str) -> Outcome<Vec<u8>> {
    let byte = |v: &Value| v.as_u64().and_then(|b| u8::try_from(b).ok());
    let read: Option<Vec<u8>> = bytes.iter().map(byte).collect();
    read.ok_or_else(|| FieldError::new(path, "holds something that is no byte", "give integers from 0 to 255"))
}

/// Lays the tokens of a message along its text: a server may list those of the reasoning too, or of what is said alone.
pub(super) fn lay(text: &str, place: Place, listed: &[Listed]) -> Vec<Token> {
    let text = &text[..place.end];
    let whole = align(text, place.start, listed);
    if place.said == place.start {
        return whole;
    }
    let said = align(text, place.said, listed);
    let covered = |tokens: &[Token]| tokens.iter().map(|t| t.span.len()).sum::<usize>();
    if covered(&said) > covered(&whole) { said } else { whole }
}

/// Lays tokens along the text from byte `from`. A token that is not there (a tag or an end mark that the server took out) gets an empty span.
fn align(text: &str, from: usize, listed: &[Listed]) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut at = from;
    // start of the character that the tokens so far leave unfinished
    let mut open = from;
    // how much whitespace stands at which byte, counted once
    let mut blank = (from, None);
    let mut tokens = Vec::with_capacity(listed.len());
    for Listed { bytes: piece, id, logprob } in listed {
        let skip = if bytes[at..].starts_with(piece) {
            0
        } else {
            if blank.0 != at || blank.1.is_none() {
                let run = bytes[at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
                count(run);
                blank = (at, Some(run));
            }
            blank.1.unwrap_or_default()
        };
        count(piece.len());
        let span = if !piece.is_empty() && bytes[at + skip..].starts_with(piece) {
            if skip > 0 {
                open = at + skip;
            }
            at += skip + piece.len();
            // the last whole character before it is still this token's
            let end = (open..=at).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(open);
            let span = Span::new(open, end);
            open = end;
            span
        } else {
            Span::new(open, open)
        };
        tokens.push(Token { id: *id, span, logprob: logprob.filter(|l| l.is_finite()), entropy: None });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::work::grows_with_the_text;

    fn words<'a>(all: impl IntoIterator<Item = &'a [u8]>) -> Vec<Listed> {
        all.into_iter().map(|w| Listed { bytes: w.to_vec(), id: None, logprob: Some(-1.0) }).collect()
    }

    #[test]
    fn tokens_own_whole_characters() {
        let text = "aé漢 b";
        let bytes = text.as_bytes();
        let cuts: [&[u8]; 5] = [&bytes[0..2], &bytes[2..4], &bytes[4..6], &bytes[6..7], &bytes[7..8]];
        let spans: Vec<&str> = align(text, 0, &words(cuts)).iter().map(|t| t.span.of(text)).collect();
        assert_eq!(spans, ["a", "é", "漢", " ", "b"]);
    }

    #[test]
    fn tokens_that_the_server_took_out_own_nothing() {
        let text = "so 2";
        let listed = words(["<think>", "\n", "so", " 2", "<|im_end|>"].map(str::as_bytes));
        let spans: Vec<&str> = align(text, 0, &listed).iter().map(|t| t.span.of(text)).collect();
        assert_eq!(spans, ["", "", "so", " 2", ""]);
    }

    #[test]
    fn a_list_that_does_not_fit_costs_no_more_than_it_is_long() {
        let text = |n: usize| " ".repeat(n);
        grows_with_the_text("blank text", text, |text| {
            align(text, 0, &words(std::iter::repeat_n(&b"x"[..], text.len())));
        });
    }

    #[test]
    fn every_server_s_shape_is_read() {
        let read = |value: Value| -> Vec<(String, Option<u32>, Option<f32>)> {
            let listed = listed(&value, "logprobs").unwrap().unwrap();
            listed.into_iter().map(|l| (String::from_utf8(l.bytes).unwrap(), l.id, l.logprob)).collect()
        };
        let one = |id| vec![("a".to_owned(), id, Some(-0.5))];
        use serde_json::json;
        assert_eq!(read(json!({"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]})), one(None));
        assert_eq!(read(json!({"tokens": ["a"], "token_logprobs": [-0.5], "text_offset": [0]})), one(None));
        assert_eq!(read(json!([{"token": "a", "logprob": -0.5}])), one(None));
        assert_eq!(read(json!([{"7": {"logprob": -0.5, "rank": 1, "decoded_token": "a"}, "8": {"logprob": -2.0}}])), one(Some(7)));
        assert_eq!(read(json!({"chosenCandidates": [{"token": "a", "tokenId": 7, "logProbability": -0.5}]})), one(Some(7)));
        assert_eq!(read(json!([[-0.5, 7, "a"]])), one(Some(7)));
        assert_eq!(read(json!({"tokens": ["bytes:\\x61"], "token_logprobs": [null]})), [("a".into(), None, None)]);
        assert_eq!(read(json!({"content": [{"token": "token_id:7", "logprob": null}]})), [(String::new(), Some(7), None)]);
        assert_eq!(listed(&json!({"content": []}), "").unwrap(), None);
        let error = listed(&json!({"content": [{"token": "a", "bytes": [300]}]}), "logprobs").unwrap_err();
        assert_eq!((error.field.as_str(), error.problem.as_str()), ("logprobs.content[0].bytes", "holds something that is no byte"));
    }
}

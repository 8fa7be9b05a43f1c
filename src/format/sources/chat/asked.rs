//! What was asked of a server, in the shape of any of them.

use super::dialogue::{problem, system};
use super::parts::{plain, unquoted};
use super::turn::{Role, Turn};
use crate::format::error::FieldError;
use crate::format::fields::Fields;
use serde_json::Value;

/// A request.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub problem: String,
    pub system: Option<String>,
}

/// Names of the fields that a request may stand in, the messages first.
pub(super) const REQUESTS: [&str; 9] =
    ["messages", "prompt", "input", "contents", "inputs", "prompts", "conversation", "conversations", "chat_history"];
/// Names of instructions beside the messages.
const SYSTEM: [&str; 6] = ["system", "system_prompt", "instructions", "systemInstruction", "system_instruction", "system_message"];

/// Reads a request: messages, items, or a text; `None` where an object holds none. `but`: a field that is the answer.
pub(super) fn asked(request: &Fields<'_>, but: &str) -> Result<Option<Asked>, FieldError> {
    let found = REQUESTS.iter().filter(|k| **k != but).find_map(|k| request.get(k).map(|v| (*k, v)));
    let Some((key, value)) = found else { return Ok(None) };
    let unpacked = unquoted(value);
    let mut asked = read(unpacked.as_ref().unwrap_or(value), &request.name(key))?;
    asked.system = system_beside(request)?.or(asked.system);
    Ok(Some(asked))
}

/// The instructions that stand beside messages.
pub(super) fn system_beside(request: &Fields<'_>) -> Result<Option<String>, FieldError> {
    let Some(key) = SYSTEM.iter().find(|k| request.get(k).is_some()) else { return Ok(None) };
    let text = plain(request.need(key)?, &request.name(key))?;
    Ok(Some(text).filter(|t| !t.trim().is_empty()))
}

fn read(value: &Value, path: &str) -> Result<Asked, FieldError> {
    match value {
        Value::Array(all) if all.iter().all(Value::is_object) => {
            let turn = |(i, v)| Turn::read_as(&Fields::of(v, format!("{path}[{i}]"))?, Some("user"));
            let turns = all.iter().enumerate().map(turn).collect::<Result<Vec<_>, _>>()?;
            Ok(Asked { problem: problem(&turns), system: system(&turns) })
        }
        // Ids of tokens say nothing without their tokenizer.
        Value::Array(all) if all.iter().all(Value::is_number) => Ok(Asked::default()),
        Value::Object(map) => {
            let inner = Fields::of(value, path.to_owned())?;
            if let Some(asked) = asked(&inner, "")? {
                return Ok(asked);
            }
            if map.contains_key("role") || map.contains_key("parts") {
                let turn = Turn::read_as(&inner, Some("user"))?;
                return Ok(Asked { problem: turn.words(), system: None });
            }
            let text = ["question", "query", "problem", "text", "user", "content"].iter().find_map(|k| inner.get(k)?.as_str());
            Ok(Asked { problem: text.map_or_else(|| value.to_string(), str::to_owned), system: None })
        }
        other => Ok(Asked { problem: plain(other, path)?, system: None }),
    }
}

/// Whether a list of messages has words of the assistant in it.
pub(super) fn has_answer(messages: &Value) -> bool {
    const ROLES: [&str; 4] = ["role", "from", "source", "type"];
    let said = |m: &Value| {
        let name = ROLES.iter().find_map(|k| m.get(*k).and_then(Value::as_str));
        name.is_some_and(|name| Role::of(name) == Role::Assistant)
    };
    messages.as_array().is_some_and(|all| all.iter().any(said))
}

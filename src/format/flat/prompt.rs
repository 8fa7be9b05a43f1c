//! The problem in a prompt: a text, a list of messages, or the text that a chat template has made of one.

use crate::format::chat::dialogue::problem_of;
use crate::format::error::FieldError;
use crate::format::fields::{Fields, wrong};
use serde_json::{Map, Value, json};

/// What a prompt poses.
#[derive(Debug, Default, PartialEq)]
pub struct Posed {
    /// The user's text where there is one user turn, else every turn with its role.
    pub problem: String,
    /// What the system was told.
    pub system: Option<String>,
}

/// Reads a prompt; `path` is where it stands.
pub fn posed(value: &Value, path: &str) -> Result<Posed, FieldError> {
    match value {
        Value::String(text) => Ok(match turns(text) {
            Some(turns) => of_turns(turns),
            None => Posed { problem: text.trim().to_owned(), system: None },
        }),
        Value::Number(_) | Value::Bool(_) => Ok(Posed { problem: value.to_string(), system: None }),
        Value::Array(all) => match all.as_slice() {
            [only @ Value::String(_)] => posed(only, path),
            _ if all.iter().any(Value::is_object) => of_messages(all),
            _ => Err(wrong(path, value, "a text or a list of messages")),
        },
        Value::Object(map) => match ["messages", "prompt", "content", "question", "problem", "text"].iter().find_map(|k| map.get(*k)) {
            Some(inner) => posed(inner, path),
            None => Err(wrong(path, value, "a text or a list of messages")),
        },
        Value::Null => Ok(Posed::default()),
    }
}

fn of_messages(all: &[Value]) -> Result<Posed, FieldError> {
    let messages: Vec<Value> = all.iter().map(message).collect();
    let record = json!({ "messages": messages });
    let system = messages.iter().filter(|m| is_system(m.get("role").and_then(Value::as_str).unwrap_or_default()));
    let system: Vec<&str> = system.filter_map(|m| m.get("content").and_then(Value::as_str)).collect();
    let problem = problem_of(&Fields::record(&record)?.objects("messages")?)?;
    Ok(Posed { problem: problem.trim().to_owned(), system: Some(system.join("\n\n")).filter(|s| !s.is_empty()) })
}

/// A message under the names `role` and `content`, whichever names it had.
pub fn message(value: &Value) -> Value {
    let Value::Object(map) = value else { return json!({ "role": "user", "content": value }) };
    let own = |keys: [&str; 3]| keys.iter().find_map(|k| map.get(*k));
    if map.contains_key("role") && map.contains_key("content") {
        return value.clone();
    }
    let role = own(["role", "from", "author"]).and_then(Value::as_str).unwrap_or("user");
    let role = match role {
        "human" => "user",
        "gpt" | "model" | "bot" => "assistant",
        other => other,
    };
    let mut out: Map<String, Value> = map.clone();
    out.insert("role".into(), role.into());
    if let Some(content) = own(["content", "value", "text"]) {
        out.insert("content".into(), content.clone());
    }
    Value::Object(out)
}

fn is_system(role: &str) -> bool {
    role == "system" || role == "developer"
}

fn of_turns(turns: Vec<(String, String)>) -> Posed {
    let (system, asked): (Vec<_>, Vec<_>) = turns.into_iter().partition(|(role, _)| is_system(role));
    let problem = match asked.as_slice() {
        [(_, only)] => only.clone(),
        _ => asked.iter().map(|(role, text)| format!("{role}: {text}")).collect::<Vec<_>>().join("\n\n"),
    };
    let system: Vec<String> = system.into_iter().map(|(_, text)| text).collect();
    Posed { problem, system: Some(system.join("\n\n")).filter(|s| !s.is_empty()) }
}

/// Templates that open each turn with a mark, the role and the end of the role, and close it.
const OPENED: [(&str, &[&str], &[&str]); 4] = [
    ("<|im_start|>", &["<|im_sep|>", "\n"], &["<|im_end|>"]),
    ("<|start_header_id|>", &["<|end_header_id|>"], &["<|eot_id|>", "<|eom_id|>"]),
    ("<start_of_turn>", &["\n"], &["<end_of_turn>"]),
    ("<|start|>", &["<|message|>"], &["<|end|>", "<|return|>"]),
];

/// Templates whose marks are the roles.
const MARKED: [&[(&str, &str)]; 7] = [
    &[("<｜User｜>", "user"), ("<｜Assistant｜>", "assistant")],
    &[("<|User|>", "user"), ("<|Assistant|>", "assistant")],
    &[("<|system|>", "system"), ("<|user|>", "user"), ("<|assistant|>", "assistant")],
    &[("[SYSTEM_PROMPT]", "system"), ("[/SYSTEM_PROMPT]", ""), ("[INST]", "user"), ("[/INST]", "assistant")],
    &[("### Instruction:", "user"), ("### Input:", "user"), ("### Response:", "assistant")],
    &[("\n\nHuman:", "user"), ("\n\nAssistant:", "assistant")],
    &[("\nUser:", "user"), ("\nAssistant:", "assistant")],
];

/// Marks of beginnings, ends and padding that are nobody's words.
const NOBODYS: [&str; 12] = [
    "<|endoftext|>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|finetune_right_pad_id|>",
    "<s>",
    "</s>",
    "<pad>",
    "<bos>",
    "<eos>",
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<|end|>",
];

/// The turns of a text that a chat template has made, system first; `None` where it shows none, or none of a user.
fn turns(text: &str) -> Option<Vec<(String, String)>> {
    let text = bare(text);
    // Most prompts have none of the marks, and are looked through for what those begin with alone.
    let angle = memchr::memchr(b'<', text.as_bytes()).is_some();
    let other = || {
        angle || memchr::memchr2(b'[', b'#', text.as_bytes()).is_some() || memchr::memmem::find(text.as_bytes(), b"Assistant:").is_some()
    };
    let opened =
        OPENED.iter().find(|(open, _, _)| angle && text.contains(open)).map(|(open, role, close)| by_opening(text, open, role, close));
    let marked = || other().then(|| MARKED.iter().find_map(|marks| by_marks(text, marks))).flatten();
    let mut turns = opened.or_else(marked).or_else(|| stripped(text))?;
    for (_, content) in &mut turns {
        *content = bare(content).to_owned();
    }
    turns.retain(|(_, content)| !content.is_empty());
    // What the template opens for the answer, with the thought that it may open too.
    if turns.last().is_some_and(|(role, content)| role == "assistant" && matches!(content.as_str(), "<think>" | "<think>\n\n</think>")) {
        turns.pop();
    }
    turns.iter().any(|(role, _)| role == "user").then_some(turns)
}

/// A text without the marks and the whitespace around it.
fn bare(text: &str) -> &str {
    let mut text = text.trim();
    if !text.starts_with('<') && !text.ends_with('>') {
        return text;
    }
    loop {
        let less = NOBODYS.iter().find_map(|m| text.strip_prefix(m).or_else(|| text.strip_suffix(m)));
        match less {
            Some(less) => text = less.trim(),
            None => return text,
        }
    }
}

fn role(name: &str) -> String {
    match name.trim() {
        "model" => "assistant".into(),
        other => other.to_owned(),
    }
}

fn by_opening(text: &str, open: &str, ends: &[&str], closes: &[&str]) -> Vec<(String, String)> {
    let turn = |piece: &str| {
        let (at, end) = ends.iter().filter_map(|end| Some((piece.find(end)?, *end))).min()?;
        let content = &piece[at + end.len()..];
        let close = closes.iter().filter_map(|close| content.find(close)).min().unwrap_or(content.len());
        // `assistant<|channel|>final`: the channel is no part of the role.
        let name = piece[..at].split("<|").next().unwrap_or_default();
        Some((role(name), content[..close].trim().to_owned()))
    };
    text.split(open).skip(1).filter_map(turn).collect()
}

fn by_marks(text: &str, marks: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    let words = marks[0].0.starts_with(['#', '\n']);
    if !text.contains(marks[marks.len() - 1].0.trim_start()) {
        return None;
    }
    // A template of words begins with a user or with what the system is told, and is left open for the answer.
    let framed = if words { format!("\n\n{text}") } else { text.to_owned() };
    let mut found: Vec<(usize, &str, &str)> =
        marks.iter().flat_map(|(mark, role)| framed.match_indices(mark).map(move |(at, _)| (at, *mark, *role))).collect();
    found.sort_unstable();
    let asked = found.iter().any(|f| f.2 == "user");
    let open = || found.last().is_some_and(|f| f.2 == "assistant");
    if !asked || words && !open() {
        return None;
    }
    let mut turns = Vec::with_capacity(found.len() + 1);
    let before = bare(&framed[..found.first()?.0]);
    if !before.is_empty() {
        turns.push(("system".to_owned(), before.to_owned()));
    }
    for (i, (at, mark, role)) in found.iter().enumerate() {
        let end = found.get(i + 1).map_or(framed.len(), |next| next.0);
        let content = framed[at + mark.len()..end].trim();
        let told = content.strip_prefix("<<SYS>>").and_then(|rest| rest.split_once("<</SYS>>"));
        if let Some((system, user)) = told.filter(|_| *role == "user") {
            turns.push(("system".to_owned(), system.trim().to_owned()));
            turns.push(("user".to_owned(), user.trim().to_owned()));
        } else if !role.is_empty() {
            turns.push(((*role).to_owned(), content.to_owned()));
        }
    }
    Some(turns)
}

/// What is left of a template whose special tokens were left out on writing, as verl's rollouts are: roles on lines of their own, the last one open.
fn stripped(text: &str) -> Option<Vec<(String, String)>> {
    let end = ["<think>", "<think>\n\n</think>"].iter().find_map(|t| text.strip_suffix(t)).unwrap_or(text).trim_end();
    let body = end.strip_suffix("assistant").or_else(|| end.strip_suffix("model"))?;
    if !["system\n", "user\n"].iter().any(|r| body.starts_with(r)) {
        return None;
    }
    let mut turns: Vec<(String, String)> = Vec::new();
    for line in body.split_inclusive('\n') {
        let name = line.trim_end();
        match turns.last_mut() {
            _ if ["system", "user", "assistant", "model", "tool"].contains(&name) && line.ends_with('\n') => {
                turns.push((role(name), String::new()))
            }
            Some((_, content)) => content.push_str(line),
            None => return None,
        }
    }
    // Llama 3 puts no line end before the next role.
    if let [(_, system)] = turns.as_mut_slice()
        && let Some(at) = system.find("user\n\n").filter(|_| body.starts_with("system"))
    {
        let user = system[at + "user\n\n".len()..].to_owned();
        system.truncate(at);
        turns.push(("user".to_owned(), user));
    }
    Some(turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_taken_apart() {
        let texts = [
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n",
            "<|endoftext|><|endoftext|><|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n<think>\n",
            "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>What is 2 + 2?<|im_end|><|im_start|>assistant<|im_sep|>",
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWhat is 2 + 2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWhat is 2 + 2? [/INST]",
            "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]What is 2 + 2?[/INST]",
            "<bos><start_of_turn>system\nBe brief.<end_of_turn>\n<start_of_turn>user\nWhat is 2 + 2?<end_of_turn>\n<start_of_turn>model\n",
            "<｜begin▁of▁sentence｜>Be brief.<｜User｜>What is 2 + 2?<｜Assistant｜><think>\n",
            "<|system|>\nBe brief.<|end|>\n<|user|>\nWhat is 2 + 2?<|end|>\n<|assistant|>\n",
            "<|start|>system<|message|>Be brief.<|end|><|start|>user<|message|>What is 2 + 2?<|end|><|start|>assistant",
            "system\nBe brief.\nuser\nWhat is 2 + 2?\nassistant\n",
            "system\n\nBe brief.user\n\nWhat is 2 + 2?assistant\n\n",
            "system\nBe brief.\nuser\nWhat is 2 + 2?\nassistant\n<think>\n",
            "Be brief.\n\n### Instruction:\nWhat is 2 + 2?\n\n### Response:\n",
            "Be brief.\nUser: What is 2 + 2?\nAssistant: <think>",
        ];
        for text in texts {
            let posed = posed(&text.into(), "input").unwrap();
            assert_eq!((posed.problem.as_str(), posed.system.as_deref()), ("What is 2 + 2?", Some("Be brief.")), "{text}");
        }
    }

    #[test]
    fn turns_before_the_last_are_kept_and_plain_text_stays() {
        let text = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\n2 + 2?<|im_end|>\n<|im_start|>assistant\n";
        assert_eq!(posed(&text.into(), "p").unwrap().problem, "user: Hi\n\nassistant: Hello\n\nuser: 2 + 2?");
        for plain in
            ["What does\nuser\nmean?", "Is `### Response:` a mark?", "system\nhas no turn", "Who says User: hi?", "[INST is open", "user\n"]
        {
            assert_eq!(posed(&plain.into(), "p").unwrap().problem, plain.trim(), "{plain}");
        }
        let list = json!([{"from": "system", "value": "s"}, {"from": "human", "value": "q"}]);
        assert_eq!(posed(&list, "p").unwrap(), Posed { problem: "q".into(), system: Some("s".into()) });
        assert_eq!(posed(&json!(["q"]), "p").unwrap().problem, "q");
        assert_eq!(posed(&json!({"a": 1}), "prompt").unwrap_err().field, "prompt");
    }
}

//! One message: who says it, what it holds, and its reasoning, once, wherever a producer writes that.

use super::parts::{Piece, add_text, add_thought, answered, calls, content, first_text, is_call, is_result, joined, output, part, plain};
use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_text};
use crate::trace::{Segmentation, StepKind, segment};
use serde_json::Value;

/// Who says a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::format) enum Role {
    /// Instructions.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
    /// A tool that gives something back.
    Tool,
    /// Somebody else, by the name that the record gives.
    Other(String),
}

impl Role {
    /// The role that a producer calls by this name.
    pub fn of(name: &str) -> Self {
        match name.trim().to_ascii_lowercase().as_str() {
            "system" | "developer" => Self::System,
            "user" | "human" | "prompter" => Self::User,
            "assistant" | "gpt" | "model" | "ai" | "bot" | "chatgpt" | "bing" | "bard" | "agent" | "chatbot" | "function_call"
            | "tool_call" => Self::Assistant,
            "tool" | "function" | "observation" | "ipython" | "environment" | "tool_response" | "tool_result" | "function_response" => {
                Self::Tool
            }
            _ => Self::Other(name.trim().to_owned()),
        }
    }

    /// What stands before its words where several speak.
    pub fn name(&self) -> &str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other(name) => name,
        }
    }
}

/// One message.
#[derive(Clone, Debug)]
pub(in crate::format) struct Turn<'a> {
    pub role: Role,
    pub pieces: Vec<Piece>,
    /// The record it was read from.
    pub fields: Fields<'a>,
}

/// Names of the field that says who speaks.
const ROLES: [&str; 4] = ["role", "from", "source", "author"];
/// Names of the field that holds what is said.
const CONTENTS: [&str; 5] = ["content", "value", "text", "message", "parts"];

/// How messages in the user's name begin that hold what a tool gave back.
const OBSERVED: [&str; 8] = [
    "<tool_response>",
    "<observation>",
    "<returncode>",
    "<function_results>",
    "<interpreter>",
    "Observation:",
    "OBSERVATION:",
    "EXECUTION RESULT of",
];

impl<'a> Turn<'a> {
    /// Reads a message of a chat, or an item of OpenAI's Responses API.
    pub fn read(message: &Fields<'a>) -> Result<Self, FieldError> {
        Self::read_as(message, None)
    }

    /// As [`read`](Self::read); `unsaid` speaks where the message does not say who does.
    pub fn read_as(message: &Fields<'a>, unsaid: Option<&str>) -> Result<Self, FieldError> {
        let bare = message.get("role").is_none() && message.get("content").is_none();
        // As LangChain writes them.
        let inner = ["data", "kwargs"].into_iter().find(|k| bare && message.get(k).is_some_and(Value::is_object));
        let said_outside = message.get("type").and_then(Value::as_str);
        let unsaid = unsaid.or(said_outside.filter(|_| inner.is_some()));
        let message = &match inner {
            Some(key) => message.object(key)?,
            None => message.clone(),
        };
        let kind = message.get("type").and_then(Value::as_str).unwrap_or_default();
        if message.get("role").is_none() && (kind == "reasoning" || is_call(kind) || is_result(kind)) {
            let mut pieces = Vec::new();
            part(message, &mut pieces)?;
            let role = if is_result(kind) { Role::Tool } else { Role::Assistant };
            return Ok(Self { role, pieces, fields: message.clone() });
        }
        let (role, said) = role(message, kind, unsaid)?;
        let mut pieces = Vec::new();
        if let Some((key, value)) = CONTENTS.iter().find_map(|k| message.get(k).map(|v| (*k, v))) {
            let path = message.name(key);
            match (&role, said.as_str()) {
                (Role::Tool, _) => {
                    let mut text = output(value, &path)?;
                    if message.get("is_error") == Some(&Value::Bool(true)) {
                        text = format!("[error] {text}");
                    }
                    pieces.push(Piece::Result(answered(&text)));
                }
                (_, "function_call" | "tool_call") => calls(value, &path, &mut pieces)?,
                _ => content(value, &path, &mut pieces)?,
            }
        }
        if let Some(text) = first_text(message, &["refusal"])? {
            add_text(&text, &mut pieces);
        }
        if let Some(said) = message.get("audio").and_then(|a| a.get("transcript")) {
            add_text(&plain(said, &message.name("audio.transcript"))?, &mut pieces);
        }
        let mut turn = Self { role, pieces, fields: message.clone() };
        if turn.role == Role::Tool && turn.pieces.is_empty() {
            let error = message.get("error").map(|e| e.get("message").unwrap_or(e));
            let text = error.map(|e| output(e, &message.name("error"))).transpose()?.unwrap_or_default();
            turn.pieces.push(Piece::Result(answered(&text)));
        }
        // Results of tools that stand in the name of the user are no words of the user's.
        if turn.role == Role::User {
            if let [Piece::Text(text)] = turn.pieces.as_mut_slice()
                && OBSERVED.iter().any(|mark| text.trim_start().starts_with(mark))
            {
                turn.pieces = vec![Piece::Result(std::mem::take(text))];
            }
            if turn.pieces.iter().any(|p| matches!(p, Piece::Result(_))) {
                turn.role = Role::Tool;
            }
        }
        if turn.role == Role::Assistant {
            turn.harmony();
            turn.think_once();
            turn.think(thoughts(message)?);
        }
        for key in ["tool_calls", "function_call", "toolCalls"] {
            if let Some(value) = message.get(key) {
                calls(value, &message.name(key), &mut turn.pieces)?;
            }
        }
        turn.pieces.dedup_by(|b, a| a == b && matches!(a, Piece::Call(_)));
        Ok(turn)
    }

    /// Whether an object says something, as messages do.
    pub fn is_message(fields: &Fields<'_>) -> bool {
        let other = ["tool_calls", "function_call", "refusal", "audio"];
        let inner = ["data", "kwargs"].iter().any(|k| fields.get(k).is_some_and(Value::is_object));
        inner || ROLES.iter().chain(&CONTENTS).chain(&THOUGHTS).chain(&other).any(|k| fields.map.contains_key(*k))
    }

    /// A message of the assistant that says this, with the tokens that `fields` lists.
    pub fn saying(fields: &Fields<'a>, text: &str) -> Self {
        let mut turn = Self { role: Role::Assistant, pieces: Vec::new(), fields: fields.clone() };
        add_text(text, &mut turn.pieces);
        turn.harmony();
        turn
    }

    /// Puts reasoning before what is said, unless that has it too.
    pub fn think_before(&mut self, thought: &str) {
        self.think(vec![thought.to_owned()]);
    }

    /// Everything it says, as one text.
    pub fn words(&self) -> String {
        joined(&self.pieces)
    }

    /// Applies a channel of the harmony format: one that the message names, or those that are left of a text whose marks a decoder took out
    /// (`analysis…assistantfinal…`).
    fn harmony(&mut self) {
        let channel = self.fields.get("channel").and_then(Value::as_str).unwrap_or_default();
        if matches!(channel, "analysis" | "commentary") {
            for piece in &mut self.pieces {
                if let Piece::Text(text) = piece {
                    *piece = Piece::Thought(std::mem::take(text));
                }
            }
        }
        const BARE: (&str, &str) = ("analysis", "assistantfinal");
        if let Some(Piece::Text(text)) = self.pieces.first()
            && let Some(rest) = text.strip_prefix(BARE.0)
            && let Some((thought, answer)) = rest.split_once(BARE.1)
        {
            let mut both = Vec::new();
            add_thought(thought, &mut both);
            add_text(answer, &mut both);
            self.pieces.splice(0..1, both);
        }
    }

    /// Takes out parts of reasoning that the text around them repeats.
    fn think_once(&mut self) {
        if !self.pieces.iter().any(|p| matches!(p, Piece::Text(_))) {
            return;
        }
        for at in (0..self.pieces.len()).rev() {
            if let Piece::Thought(_) = self.pieces[at]
                && let Piece::Thought(thought) = self.pieces.remove(at)
                && !self.has(&thought)
            {
                self.pieces.insert(at, Piece::Thought(thought));
            }
        }
    }

    /// Puts reasoning that stands in fields of its own before what is said, unless that has it too.
    fn think(&mut self, thoughts: Vec<String>) {
        let mut first = Vec::new();
        for thought in thoughts {
            if !self.has(&thought) {
                add_thought(&thought, &mut first);
            }
        }
        self.pieces.splice(0..0, first);
    }

    /// Whether the content has this reasoning itself; where it opens the text without marks, it is cut from what follows.
    fn has(&mut self, thought: &str) -> bool {
        let wanted = squashed(thought);
        let own: String = self.pieces.iter().filter_map(|p| if let Piece::Thought(t) = p { Some(squashed(t)) } else { None }).collect();
        if own.contains(&wanted) {
            return true;
        }
        let Some(at) = self.pieces.iter().position(|p| matches!(p, Piece::Text(_))) else { return false };
        let Piece::Text(text) = &self.pieces[at] else { return false };
        let steps = segment(text, &Segmentation::Line);
        let reasoned: String = steps.iter().filter(|s| s.kind == StepKind::Reasoning).map(|s| bare(s.span.of(text))).collect();
        if reasoned == wanted {
            return true;
        }
        let mut met = 0;
        let end = steps.iter().find_map(|s| {
            met += bare(s.span.of(text)).len();
            (met >= wanted.len()).then_some(s.span.end)
        });
        let Some(end) = end.filter(|_| met == wanted.len() && reasoned.starts_with(&wanted)) else { return false };
        let rest = text[end..].to_owned();
        let before = text[..end].to_owned();
        self.pieces.splice(at..=at, [Piece::Thought(before), Piece::Text(rest)]);
        true
    }
}

/// A text without whitespace, and without marks of thoughts.
fn squashed(text: &str) -> String {
    segment(text, &Segmentation::Line).iter().map(|s| bare(s.span.of(text))).collect()
}

fn bare(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// The role, and the word for it.
fn role(message: &Fields<'_>, kind: &str, unsaid: Option<&str>) -> Result<(Role, String), FieldError> {
    let found = ROLES.iter().find_map(|k| message.get(k).map(|v| (*k, v)));
    let name = match found {
        Some((_, Value::Object(author))) => author.get("role").and_then(Value::as_str).unwrap_or_default(),
        Some((key, value)) => as_text(value, &message.name(key))?,
        None if Role::of(kind) != Role::Other(kind.to_owned()) => kind,
        None if unsaid.is_some() => unsaid.unwrap_or_default(),
        None => return Err(FieldError::new(message.name(ROLES[0]), "is missing", "add it, for example \"user\" or \"assistant\"")),
    };
    Ok((Role::of(name), name.to_owned()))
}

/// Fields that hold reasoning, those first that say it in the most detail.
const THOUGHTS: [&str; 9] =
    ["reasoning_details", "thinking_blocks", "reasoning_content", "reasoning", "thinking", "reasoning_text", "thought", "thoughts", "cot"];

/// The reasoning of a message's own fields; what several of them say is kept once.
fn thoughts(message: &Fields<'_>) -> Result<Vec<String>, FieldError> {
    let more = message.get("additional_kwargs").is_some_and(Value::is_object).then(|| message.object("additional_kwargs")).transpose()?;
    let mut found: Vec<(String, String)> = Vec::new();
    let mut sealed = Vec::new();
    for place in [Some(message), more.as_ref()].into_iter().flatten() {
        for key in THOUGHTS {
            let Some(value) = place.get(key).filter(|v| !v.is_boolean()) else { continue };
            let mut pieces = Vec::new();
            content(value, &place.name(key), &mut pieces)?;
            let (signs, words): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|p| matches!(p, Piece::Sign(_)));
            sealed.extend(signs);
            let text = joined(&words);
            let short = squashed(&text);
            if short.is_empty() || found.iter().any(|(_, own)| own.contains(&short)) {
                continue;
            }
            found.retain(|(_, own)| !short.contains(own.as_str()));
            found.push((text, short));
        }
    }
    if found.is_empty() {
        return Ok(sealed.first().map(|sign| joined(std::slice::from_ref(sign))).into_iter().collect());
    }
    Ok(found.into_iter().map(|(text, _)| text).collect())
}

//! Answers that were logged as they came: server-sent events (`data: {…}`), pieces of chats a line each, Ollama's lines.
//!
//! Consecutive lines are one record while an answer in it has not ended; the answers are its candidates, told apart by id and index.

mod joined;

use crate::format::error::FieldError;
use crate::format::fields::json;
use crate::format::split::{Layout, Splitter};
use joined::Joined;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Bytes before `data:` that a logger may have put there, at most.
const LONGEST_PREFIX: usize = 200;

/// What a line of a log is.
enum Line<'a> {
    /// A piece of an answer.
    Piece(&'a [u8]),
    /// The mark of an end.
    Done,
    /// A comment, the name of an event, a header.
    Other,
    /// Nothing of the kind.
    Foreign,
}

impl<'a> Line<'a> {
    fn of(line: &'a [u8]) -> Self {
        let line = line.trim_ascii();
        if line.starts_with(b"{") || line.starts_with(b"[") && line != b"[DONE]" {
            return Self::Piece(line);
        }
        let data = if line.starts_with(b"data:") {
            Some(5)
        } else {
            let head = &line[..line.len().min(LONGEST_PREFIX)];
            const PREFIXED: [&[u8]; 3] = [b"data: {", b"data:{", b"data: [DONE]"];
            PREFIXED.iter().find_map(|data| memchr::memmem::find(head, data)).map(|at| at + 5)
        };
        match data.map(|at| line[at..].trim_ascii()) {
            Some(b"[DONE]") => Self::Done,
            Some(b"") => Self::Other,
            Some(rest) => Self::Piece(rest),
            None if line == b"[DONE]" => Self::Done,
            None if line.is_empty() || line.starts_with(b":") || line.starts_with(b"HTTP/") => Self::Other,
            None => {
                let name = line.split(|b| *b == b':').next().unwrap_or_default();
                let is_header = name.len() < line.len() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
                if is_header { Self::Other } else { Self::Foreign }
            }
        }
    }
}

/// The value of a line of a file whose format is looked for: its JSON, or an object with the `data` of a server-sent event.
pub(in crate::format) fn value(line: &[u8]) -> Option<Value> {
    if let Ok(value) = json(line) {
        return Some(value);
    }
    let Line::Piece(data) = Line::of(line) else { return None };
    let value: Value = serde_json::from_slice(data).ok()?;
    Some(Value::Object(Map::from_iter([("data".to_owned(), value)])))
}

/// Whether a record is a piece of an answer.
pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    match record.get("data") {
        Some(Value::Object(data)) if !record.contains_key("role") => joined::is_piece(data) || joined::is_answer(data),
        _ => joined::is_piece(record),
    }
}

/// Whether a record is an answer of Ollama's, or a piece of one.
pub(in crate::format) fn fits_ollama(record: &Map<String, Value>) -> bool {
    let said = record.get("message").is_some_and(Value::is_object) || record.get("response").is_some_and(Value::is_string);
    said && record.get("done").is_some_and(Value::is_boolean)
}

/// What decides which record a line belongs to: `None` for a line that is part of whichever is being read.
pub(in crate::format) fn mark(line: &[u8]) -> Result<Option<String>, FieldError> {
    match Line::of(line) {
        Line::Other => Ok(None),
        Line::Done => Ok(Some(DONE.to_owned())),
        Line::Foreign => Err(FieldError::new("", "is no event of a stream", "remove it, or give lines that begin with `data: `")),
        Line::Piece(data) => {
            let value: Value = json(data)?;
            let map = value.as_object().ok_or_else(|| FieldError::new("data", "is no object", "remove the line"))?;
            let map = unwrapped(map);
            let end = if joined::ends(map) { "." } else { "…" };
            Ok(Some(format!("{end}{}", joined::id(map))))
        }
    }
}

const DONE: &str = "[DONE]";

/// A logger may have put an event into an object of its own.
fn unwrapped(map: &Map<String, Value>) -> &Map<String, Value> {
    match map.get("data") {
        Some(Value::Object(data)) if joined::is_piece(data) || joined::is_answer(data) => data,
        _ => map,
    }
}

/// Which record of a log each of its lines belongs to.
#[derive(Debug, Default)]
pub(in crate::format) struct Places {
    record: u64,
    /// Answers of the record, and whether each has ended.
    ids: HashMap<String, bool>,
    /// Those that have not ended.
    open: usize,
    /// Marks of an end so far.
    done: usize,
}

impl Places {
    /// The record of the next line, by its [`mark`]; `None` where it belongs to none.
    pub fn place(&mut self, mark: Option<&str>) -> Option<String> {
        let Some(mark) = mark else { return self.current() };
        if mark == DONE {
            self.done += 1;
            return self.current();
        }
        let (ends, id) = match mark.strip_prefix('.') {
            Some(id) => (true, id),
            None => (false, mark.trim_start_matches('…')),
        };
        let is_over = self.done >= self.ids.len().max(1);
        let goes_on = self.open > 0 || (!id.is_empty() && self.ids.contains_key(id));
        if self.ids.is_empty() || is_over || !goes_on {
            self.record += 1;
            self.done = 0;
            self.ids.clear();
            self.open = 0;
        }
        let ended = self.ids.entry(id.to_owned()).or_insert_with(|| {
            self.open += 1;
            false
        });
        if ends && !*ended {
            *ended = true;
            self.open -= 1;
        }
        self.current()
    }

    fn current(&self) -> Option<String> {
        (!self.ids.is_empty()).then(|| self.record.to_string())
    }
}

/// One answer of a log, put together.
#[derive(Debug)]
pub(in crate::format) struct Whole {
    /// What the server would have sent at once.
    pub answer: Value,
    /// Its end is in the log.
    pub ended: bool,
    /// What the server said where it failed.
    pub error: Option<String>,
}

/// Puts the lines of one record together: its answers in the order in which they began.
pub(in crate::format) fn whole(bytes: &[u8]) -> Vec<Whole> {
    let mut joined: Vec<Joined> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut done = 0;
    let mut take = |line: &[u8]| match Line::of(line) {
        Line::Done => done += 1,
        Line::Piece(data) => {
            // A line that is no JSON was reported where it was found.
            let Ok(Value::Object(map)) = json::<Value>(data) else { return };
            let map = match map.get("data") {
                Some(Value::Object(_)) => unwrapped(&map).clone(),
                _ => map,
            };
            let id = joined::id(&map);
            let at = if id.is_empty() && !joined.is_empty() { joined.len() - 1 } else { *index.entry(id).or_insert(joined.len()) };
            if at == joined.len() {
                joined.push(Joined::default());
            }
            joined[at].take(map);
        }
        Line::Other | Line::Foreign => {}
    };
    if bytes.trim_ascii_start().starts_with(b"{") {
        // Values one after another, over any number of lines.
        let mut splitter = Splitter::new(Layout::Values);
        splitter.feed(bytes, &mut |piece| take(piece.bytes));
        splitter.finish(&mut |piece| take(piece.bytes));
    } else {
        bytes.split(|b| *b == b'\n').for_each(&mut take);
    }
    let over = done >= joined.len().max(1);
    joined.into_iter().map(|j| Whole { ended: j.ended || over, error: j.error.clone(), answer: j.value() }).collect()
}

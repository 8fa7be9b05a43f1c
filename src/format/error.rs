//! What can be wrong with a trace file.

use std::io;
use std::sync::Arc;

/// Something wrong with a trace file or one record of it. The message names file, record, field and remedy.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FormatError {
    /// The file cannot be opened, read or written.
    #[error("{path}: {source}")]
    Io {
        /// As the user named it.
        path: String,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The file as a whole is not usable.
    #[error("{path}: {problem}; {remedy}")]
    File {
        /// As the user named it.
        path: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The file ends or breaks off early; the records before that are kept.
    #[error("{path}: breaks off after {records} records: {problem}; the records before it are kept")]
    BreaksOff {
        /// As the user named it.
        path: String,
        /// Good records read before.
        records: usize,
        /// What happened.
        problem: String,
    },
    /// One record is skipped.
    #[error("{path}, {unit} {line}{}: {problem}; {remedy}", field_phrase(field))]
    Record {
        /// As the user named it.
        path: String,
        /// `line`, or `record` of a JSON array.
        unit: &'static str,
        /// 1-based.
        line: usize,
        /// Path of the field, for example `label.steps[2].completions`; empty where the record as a whole is wrong.
        field: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// A record is kept, with U+FFFD where its bytes are no UTF-8.
    #[error("{path}, {unit} {line}: bytes that are no UTF-8 are shown as \u{FFFD}; convert the file to UTF-8")]
    NotUtf8 {
        /// As the user named it.
        path: String,
        /// `line` or `record`.
        unit: &'static str,
        /// 1-based.
        line: usize,
    },
    /// A record is kept; numbers of it that are none are missing, or halves of characters are U+FFFD.
    #[error("{path}, {unit} {line}: {}", mended_phrase(*numbers, *characters))]
    Mended {
        /// As the user named it.
        path: String,
        /// `line` or `record`.
        unit: &'static str,
        /// 1-based.
        line: usize,
        /// Numbers that are NaN, infinite or too large.
        numbers: usize,
        /// Lone halves of pairs of UTF-16 escapes.
        characters: usize,
    },
}

fn mended_phrase(numbers: usize, characters: usize) -> String {
    let several = |n: usize, one: &str, more: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {more}") };
    let numbers = (numbers > 0).then(|| {
        format!("{} read as missing", several(numbers, "number that is NaN or infinite is", "numbers that are NaN or infinite are"))
    });
    let characters = (characters > 0)
        .then(|| format!("{} shown as \u{FFFD}", several(characters, "half of a character is", "halves of characters are")));
    let said: Vec<String> = numbers.into_iter().chain(characters).collect();
    format!("{}; the rest of it is kept", said.join(", "))
}

fn field_phrase(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(", field `{field}`") }
}

impl FormatError {
    /// Whether a record was lost by it.
    pub fn skips(&self) -> bool {
        !matches!(self, Self::NotUtf8 { .. } | Self::Mended { .. })
    }

    pub(super) fn io(path: &str, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source: Arc::new(source) }
    }

    pub(super) fn file(path: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), problem: problem.into(), remedy: remedy.into() }
    }
}

/// What is wrong with a record, before it is known which one it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FieldError {
    pub field: String,
    pub problem: String,
    pub remedy: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into(), remedy: remedy.into() }
    }

    pub fn at(self, path: &str, unit: &'static str, line: usize) -> FormatError {
        FormatError::Record { path: path.to_owned(), unit, line, field: self.field, problem: self.problem, remedy: self.remedy }
    }

    /// From a parser's message.
    pub fn json(error: &serde_json::Error) -> Self {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let problem = match error.classify() {
            serde_json::error::Category::Eof => format!("is cut short: {message} at column {}", error.column()),
            _ => format!("is no JSON object: {message} at column {}", error.column()),
        };
        Self::new("", problem, "mend or remove it")
    }
}

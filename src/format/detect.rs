//! Which format a file is in, from what it holds.

use super::error::{FieldError, FormatError};
use super::{gsm8k, native, openai, prm800k, problems, processbench, stepwise};
use crate::trace::Trace;
use serde_json::Value;

/// An importable format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Our own JSON lines; see [`to_lines`](super::to_lines).
    Native,
    /// ProcessBench, a JSON array or JSON lines.
    ProcessBench,
    /// PRM800K JSON lines.
    Prm800k,
    /// TRL stepwise supervision.
    Stepwise,
    /// Math-Shepherd: marked text.
    MathShepherd,
    /// GSM8K questions with an expert's solution.
    Gsm8k,
    /// GSM8K `example_model_solutions`.
    Gsm8kSolutions,
    /// OpenAI-style chat records.
    OpenAiChat,
    /// Records with a problem and nothing else that is known.
    Problems,
    /// Plain text, a problem a line.
    Text,
}

impl Format {
    /// Its name in `Source::format` and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::ProcessBench => "processbench",
            Self::Prm800k => "prm800k",
            Self::Stepwise => "stepwise",
            Self::MathShepherd => "math-shepherd",
            Self::Gsm8k => "gsm8k",
            Self::Gsm8kSolutions => "gsm8k-solutions",
            Self::OpenAiChat => "openai-chat",
            Self::Problems => "problems",
            Self::Text => "text",
        }
    }

    /// The format of one record, `None` where none fits.
    pub(super) fn of_record(value: &Value) -> Option<Self> {
        let map = value.as_object()?;
        let tests: [(Self, Fits); 9] = [
            (Self::Native, native::fits),
            (Self::ProcessBench, processbench::fits),
            (Self::Prm800k, prm800k::fits),
            (Self::Stepwise, stepwise::fits_trl),
            (Self::MathShepherd, stepwise::fits_shepherd),
            (Self::Gsm8kSolutions, gsm8k::fits_solutions),
            (Self::Gsm8k, gsm8k::fits_expert),
            (Self::OpenAiChat, openai::fits),
            (Self::Problems, problems::fits),
        ];
        tests.iter().find(|(_, fits)| fits(map)).map(|(format, _)| *format)
    }

    /// Reads one record (for `Native`, one line: a trace of one candidate).
    pub(super) fn parse(self, value: &Value) -> Result<Trace, FieldError> {
        match self {
            Self::Native => native::parse(value).map(|(trace, candidate)| Trace { candidates: vec![candidate], ..trace }),
            Self::ProcessBench => processbench::parse(value),
            Self::Prm800k => prm800k::parse(value),
            Self::Stepwise => stepwise::parse_trl(value),
            Self::MathShepherd => stepwise::parse_shepherd(value),
            Self::Gsm8k => gsm8k::parse_expert(value),
            Self::Gsm8kSolutions => gsm8k::parse_solutions(value),
            Self::OpenAiChat => openai::parse(value),
            Self::Problems | Self::Text => problems::parse(value),
        }
    }
}

/// Whether a record has a format's fields.
type Fits = fn(&serde_json::Map<String, Value>) -> bool;

const KNOWN: &str =
    "known are native, ProcessBench, PRM800K, stepwise (TRL), Math-Shepherd, GSM8K, OpenAI chat records, and problem lists (--problems)";

/// What a file that no format fits looks like, as an error.
pub(super) fn unknown(path: &str, value: &Value) -> FormatError {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&str> = map.keys().map(String::as_str).collect();
            let more = if keys.len() > 12 { ", …" } else { "" };
            keys.truncate(12);
            FormatError::file(path, format!("its records fit no format; they have the fields {}{more}", keys.join(", ")), KNOWN)
        }
        Value::Array(_) => FormatError::file(path, "its records are arrays, not objects", KNOWN),
        _ => FormatError::file(path, "its records are bare values, not objects", KNOWN),
    }
}

/// The error for a file that starts with these bytes and is neither JSON nor text; `None` where it may be text.
pub(super) fn foreign(path: &str, head: &[u8]) -> Option<FormatError> {
    const MAGIC: [(&[u8], &str, &str); 12] = [
        (b"PAR1", "a Parquet file", "convert it to JSON lines"),
        (b"PK\x03\x04", "a zip archive", "unpack it, and name the files in it"),
        (b"GGUF", "a GGUF model", "pass it as --policy or --reward"),
        (b"\x28\xb5\x2f\xfd", "Zstandard data", "unpack it, or compress it with gzip"),
        (b"BZh", "bzip2 data", "unpack it, or compress it with gzip"),
        (b"\xfd7zXZ\x00", "xz data", "unpack it, or compress it with gzip"),
        (b"SQLite format 3\x00", "an SQLite database", "export it as JSON lines"),
        (b"ARROW1", "an Arrow file", "convert it to JSON lines"),
        (b"\x7fELF", "a program", "name a trace file"),
        (b"\x89PNG", "a picture", "name a trace file"),
        (b"\xff\xfe", "UTF-16 text", "convert it to UTF-8"),
        (b"\xfe\xff", "UTF-16 text", "convert it to UTF-8"),
    ];
    for (magic, what, remedy) in MAGIC {
        if head.starts_with(magic) {
            return Some(FormatError::file(path, format!("is {what}"), remedy));
        }
    }
    let odd = head.iter().take(4096).filter(|b| **b == 0 || (**b < 0x20 && !matches!(**b, b'\t' | b'\n' | b'\r' | 0x1b | 0x0c))).count();
    if odd > 0 && !head.trim_ascii_start().starts_with(b"{") && !head.trim_ascii_start().starts_with(b"[") {
        let shown: Vec<String> = head.iter().take(8).map(|b| format!("{b:02x}")).collect();
        return Some(FormatError::file(path, format!("is no text; it starts with the bytes {}", shown.join(" ")), KNOWN));
    }
    None
}

/// The error for text that is no JSON where traces are wanted.
pub(super) fn plain_text(path: &str, line: &str) -> FormatError {
    let start: String = line.trim().lines().next().unwrap_or_default().chars().take(40).filter(|c| !c.is_control()).collect();
    FormatError::file(
        path,
        format!("is text, not JSON; it starts with \"{start}\""),
        "give JSON lines; a list of problems goes to --problems",
    )
}

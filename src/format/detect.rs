//! Which format a file is in, from what it holds.

use super::error::{FieldError, FormatError};
use super::fields::json;
use super::native::{self, run_samples};
use super::sources::{
    best_of_n, gsm8k, gsm8k_pool, humaneval, inspect, mmlu_pro, openai, prm800k, prmbench, problems, processbench, stepwise,
};
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
    /// Pools of answers to GSM8K questions.
    Gsm8kPool,
    /// What models answered to MMLU-Pro's questions.
    MmluPro,
    /// MMLU-Pro's questions alone; problems, or a part of the traces of [`join`](super::join()).
    MmluProQuestions,
    /// Samples with verdicts and a reward model's scores, as Qwen2.5-Math's evaluation writes them.
    BestOfN,
    /// PRMBench: a right solution and a faulty one.
    PrmBench,
    /// Samples for HumanEval's functions.
    HumanEvalSamples,
    /// Which of such samples passed; a part of the traces of [`join`](super::join()).
    HumanEvalVerdicts,
    /// Samples of Inspect's logs.
    Inspect,
    /// OpenAI-style chat records.
    OpenAiChat,
    /// The newest rollouts of a training run of an earlier version.
    RunSamples,
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
            Self::Gsm8kPool => "gsm8k-pool",
            Self::MmluPro => "mmlu-pro",
            Self::MmluProQuestions => "mmlu-pro-questions",
            Self::BestOfN => "best-of-n",
            Self::PrmBench => "prmbench",
            Self::HumanEvalSamples => "humaneval-samples",
            Self::HumanEvalVerdicts => "humaneval-verdicts",
            Self::Inspect => "inspect",
            Self::OpenAiChat => "openai-chat",
            Self::RunSamples => "run-samples",
            Self::Problems => "problems",
            Self::Text => "text",
        }
    }

    /// Whether a reader that wants this much can use files of the format.
    pub(super) fn serves(self, wanted: Wanted) -> bool {
        match self {
            Self::Problems | Self::Text => wanted == Wanted::Problems,
            Self::MmluProQuestions => wanted != Wanted::Traces,
            Self::HumanEvalVerdicts => wanted == Wanted::Parts,
            _ => true,
        }
    }

    /// The id of record `number`, from 1, where it names none itself.
    pub(super) fn id_at(self, number: u32) -> String {
        match self {
            Self::HumanEvalSamples => humaneval::id_at(number),
            _ => format!("{}-{}", self.name(), number.saturating_sub(1)),
        }
    }

    /// The field that is a record's problem as it stands, where there is one such.
    pub(super) fn problem_field(self) -> Option<&'static str> {
        match self {
            Self::ProcessBench => Some("problem"),
            Self::Gsm8k | Self::Gsm8kSolutions | Self::Gsm8kPool | Self::BestOfN => Some("question"),
            _ => None,
        }
    }

    /// Whether only the file's name tells who wrote the candidates.
    pub(super) fn is_named_by_its_file(self) -> bool {
        matches!(self, Self::MmluPro | Self::HumanEvalSamples)
    }

    /// The format of one record, `None` where none fits.
    pub(super) fn of_record(value: &Value) -> Option<Self> {
        let map = value.as_object()?;
        let tests: [(Self, Fits); 18] = [
            (Self::Native, native::fits),
            (Self::ProcessBench, processbench::fits),
            (Self::Prm800k, prm800k::fits),
            (Self::Stepwise, stepwise::fits_trl),
            (Self::MathShepherd, stepwise::fits_shepherd),
            (Self::Gsm8kSolutions, gsm8k::fits_solutions),
            (Self::Gsm8k, gsm8k::fits_expert),
            (Self::Gsm8kPool, gsm8k_pool::fits),
            (Self::MmluPro, mmlu_pro::fits_outputs),
            (Self::MmluProQuestions, mmlu_pro::fits_questions),
            (Self::BestOfN, best_of_n::fits),
            (Self::PrmBench, prmbench::fits),
            (Self::HumanEvalSamples, humaneval::fits_samples),
            (Self::HumanEvalVerdicts, humaneval::fits_verdicts),
            (Self::Inspect, inspect::fits),
            (Self::OpenAiChat, openai::fits),
            (Self::RunSamples, run_samples::fits),
            (Self::Problems, problems::fits),
        ];
        tests.iter().find(|(_, fits)| fits(map)).map(|(format, _)| *format)
    }

    /// Reads one record (for `Native`, one line: a trace of one candidate). The outer error: it is no JSON.
    pub(super) fn read(self, bytes: &[u8]) -> Result<Result<Trace, FieldError>, FieldError> {
        let parse: fn(&Value) -> Result<Trace, FieldError> = match self {
            Self::Native => return native::Line::read(bytes).map(|line| native::parse(&line)),
            Self::Inspect => return inspect::read(bytes),
            Self::ProcessBench => processbench::parse,
            Self::Prm800k => prm800k::parse,
            Self::Stepwise => stepwise::parse_trl,
            Self::MathShepherd => stepwise::parse_shepherd,
            Self::Gsm8k => gsm8k::parse_expert,
            Self::Gsm8kSolutions => gsm8k::parse_solutions,
            Self::Gsm8kPool => gsm8k_pool::parse,
            Self::MmluPro => mmlu_pro::parse_outputs,
            Self::MmluProQuestions => mmlu_pro::parse_questions,
            Self::BestOfN => best_of_n::parse,
            Self::PrmBench => prmbench::parse,
            Self::HumanEvalSamples => humaneval::parse_samples,
            Self::HumanEvalVerdicts => humaneval::parse_verdicts,
            Self::OpenAiChat => openai::parse,
            Self::RunSamples => run_samples::parse,
            Self::Problems | Self::Text => problems::parse,
        };
        json(bytes).map(|value| parse(&value))
    }
}

/// What a reader can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Candidates with texts.
    Traces,
    /// Problems, whatever comes with them.
    Problems,
    /// Candidates, and what belongs to those of other files.
    Parts,
}

/// Whether a record has a format's fields.
type Fits = fn(&serde_json::Map<String, Value>) -> bool;

const KNOWN: &str = "known are native, ProcessBench, PRM800K, PRMBench, stepwise (TRL), Math-Shepherd, GSM8K and pools of answers to it, MMLU-Pro, best-of-N samples of \
     Qwen2.5-Math, HumanEval samples, OpenAI chat records, and problem lists (--problems)";

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

/// Of so many bytes of a text, one may be a control that no text needs.
const ODD: usize = 20;

/// The error for a file that starts with these bytes and is neither JSON nor text; `None` where it may be text.
pub(super) fn foreign(path: &str, head: &[u8]) -> Option<FormatError> {
    const MAGIC: [(&[u8], &str, &str); 12] = [
        (b"GGUF", "a GGUF model", "pass it as --policy or --reward"),
        (b"BZh", "bzip2 data", "unpack it, or compress it with gzip"),
        (b"\xfd7zXZ\x00", "xz data", "unpack it, or compress it with gzip"),
        (b"SQLite format 3\x00", "an SQLite database", "export it as JSON lines"),
        (b"ARROW1", "an Arrow file", "convert it to JSON lines"),
        (b"\x7fELF", "a program", "name a trace file"),
        (b"\x89PNG", "a picture", "name a trace file"),
        (b"\xff\xfe\x00\x00", "UTF-32 text", "convert it to UTF-8"),
        (b"\x00\x00\xfe\xff", "UTF-32 text", "convert it to UTF-8"),
        (b"\x93NUMPY", "a NumPy array", "export it as JSON lines"),
        (b"\x80\x02", "a Python pickle", "export it as JSON lines"),
        (b"7z\xbc\xaf", "a 7z archive", "unpack it, or pack it as zip"),
    ];
    for (magic, what, remedy) in MAGIC {
        if head.starts_with(magic) {
            return Some(FormatError::file(path, format!("is {what}"), remedy));
        }
    }
    let begins = &head[..head.len().min(4096)];
    let odd = begins.iter().filter(|b| **b < 0x20 && !matches!(**b, b'\t' | b'\n' | b'\r' | 0x1b | 0x0c)).count();
    // A stray control is somebody's text still.
    let is_text = !begins.contains(&0) && odd * ODD <= begins.len();
    if !is_text && !head.trim_ascii_start().starts_with(b"{") && !head.trim_ascii_start().starts_with(b"[") {
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

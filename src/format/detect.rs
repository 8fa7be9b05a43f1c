//! Which format a file is in, from what it holds.

use super::chat::atif;
use super::chat::record::{self as chat, Kind};
use super::error::{FieldError, FormatError};
use super::fields::json;
use super::flat::{self, FieldMap, Shape};
use super::native::{self, run_samples};
use super::nested::{episodes, pairs, thoughts, tree, turns};
use super::sources::{best_of_n, gsm8k, gsm8k_pool, humaneval, inspect, mmlu_pro, prm800k, prmbench, problems, processbench, stepwise};
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
    /// OpenAI-style completions.
    OpenAiCompletions,
    /// OpenAI's Responses API.
    OpenAiResponses,
    /// Results of a batch of requests: OpenAI's, Anthropic's, Gemini's, Mistral's.
    BatchOutput,
    /// A request with its answer, as logs have them.
    Exchange,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's answers.
    Gemini,
    /// vLLM's outputs.
    Vllm,
    /// Conversations with `from` and `value`.
    ShareGpt,
    /// Trajectories of agents, as Harbor writes them.
    Atif,
    /// Ollama's answers, also a piece a line.
    Ollama,
    /// Answers logged piece by piece, as server-sent events or a piece a line.
    ChatStream,
    /// Requests without answers.
    ChatProblems,
    /// The newest rollouts of a training run of an earlier version.
    RunSamples,
    /// A flat record: a problem, what was answered, numbers, under the names of a producer or of a user (`--fields`).
    Flat(&'static Shape),
    /// Preference pairs: a chosen and a rejected answer.
    Pairs,
    /// Thoughts beside attempts, as s1K has them.
    Thoughts,
    /// Trees of partial solutions with shares of right continuations.
    SolutionTree,
    /// Labels of steps as a conversation.
    LabelledTurns,
    /// Graphs of messages of verifiers v1 and prime-rl.
    Episodes,
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
            Self::OpenAiCompletions => "openai-completions",
            Self::OpenAiResponses => "openai-responses",
            Self::BatchOutput => "batch-output",
            Self::Exchange => "request-response",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Vllm => "vllm",
            Self::ShareGpt => "sharegpt",
            Self::Atif => "atif",
            Self::Ollama => "ollama",
            Self::ChatStream => "chat-stream",
            Self::ChatProblems => "chat-problems",
            Self::RunSamples => "run-samples",
            Self::Flat(shape) => shape.name,
            Self::Pairs => "preference-pairs",
            Self::Thoughts => "s1k",
            Self::SolutionTree => "math-aps",
            Self::LabelledTurns => "labelled-turns",
            Self::Episodes => "verifiers-v1",
            Self::Problems => "problems",
            Self::Text => "text",
        }
    }

    /// Whether a reader that wants this much can use files of the format.
    pub(super) fn serves(self, wanted: Wanted) -> bool {
        match self {
            _ if matches!(wanted, Wanted::Mapped(_)) => true,
            Self::Problems | Self::Text | Self::ChatProblems => wanted == Wanted::Problems,
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

    /// The fields of a record that tell its problem; none where it must be read whole for that. The first is the problem's text where it is no flat record,
    /// the others hold names of its own.
    pub(super) fn problem_fields(self) -> Vec<&'static str> {
        match self {
            Self::ProcessBench => [&["problem"], &IDS[..]].concat(),
            Self::Gsm8k | Self::Gsm8kSolutions | Self::Gsm8kPool | Self::BestOfN => [&["question"], &IDS[..]].concat(),
            Self::Flat(shape) => flat::head_fields(shape),
            _ => Vec::new(),
        }
    }

    /// Whether a record's own name is that of a request, and says nothing of the problem.
    pub(super) fn names_requests(self) -> bool {
        matches!(
            self,
            Self::OpenAiChat
                | Self::OpenAiCompletions
                | Self::OpenAiResponses
                | Self::BatchOutput
                | Self::Exchange
                | Self::Anthropic
                | Self::Gemini
                | Self::Vllm
                | Self::ShareGpt
                | Self::Atif
                | Self::Ollama
                | Self::ChatStream
        )
    }

    /// Whether a record may be several lines, which [`Places`](super::chat::stream::Places) puts together.
    pub(super) fn is_stream(self) -> bool {
        matches!(self, Self::Ollama | Self::ChatStream)
    }

    /// Whether only the file's name tells who wrote the candidates.
    pub(super) fn is_named_by_its_file(self) -> bool {
        matches!(self, Self::MmluPro | Self::HumanEvalSamples)
    }

    /// The format of one record, `None` where none fits.
    pub(super) fn of_record(value: &Value) -> Option<Self> {
        let map = value.as_object()?;
        let tests: [(Self, Fits); 23] = [
            (Self::Native, native::fits),
            (Self::ProcessBench, processbench::fits),
            (Self::SolutionTree, tree::fits),
            (Self::LabelledTurns, turns::fits),
            (Self::Episodes, episodes::fits),
            (Self::Thoughts, thoughts::fits),
            (Self::Pairs, pairs::fits),
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
            (Self::Atif, atif::fits),
            (Self::RunSamples, run_samples::fits),
            (Self::Problems, problems::fits),
        ];
        let known = |chosen: fn(Self) -> bool| tests.iter().find(|(format, fits)| chosen(*format) && fits(map)).map(|(format, _)| *format);
        // A producer's own fields tell more than that there are messages, and any text more than that there is a problem.
        let flat = |of: fn(&Shape) -> bool| flat::of_record(map).filter(|shape| of(shape)).map(Self::Flat);
        let chat = || chat::kind(map).map(Self::of_chat);
        known(|f| !matches!(f, Self::RunSamples | Self::Problems))
            .or_else(|| flat(|shape| !shape.is_common()))
            .or_else(|| chat().filter(|f| *f != Self::ChatProblems))
            .or_else(|| known(|f| f == Self::RunSamples))
            .or_else(|| flat(|_| true))
            .or_else(|| known(|f| f == Self::Problems))
            .or_else(chat)
    }

    fn of_chat(kind: Kind) -> Self {
        match kind {
            Kind::Chat => Self::OpenAiChat,
            Kind::Completions => Self::OpenAiCompletions,
            Kind::Responses => Self::OpenAiResponses,
            Kind::Batch => Self::BatchOutput,
            Kind::Exchange => Self::Exchange,
            Kind::Anthropic => Self::Anthropic,
            Kind::Gemini => Self::Gemini,
            Kind::Vllm => Self::Vllm,
            Kind::ShareGpt => Self::ShareGpt,
            Kind::Problem => Self::ChatProblems,
            Kind::Ollama => Self::Ollama,
            Kind::Stream => Self::ChatStream,
        }
    }

    /// Reads one record (for `Native`, one line: a trace of one candidate). The outer error: it is no JSON.
    pub(super) fn read(self, bytes: &[u8]) -> Result<Result<Trace, FieldError>, FieldError> {
        let parse: fn(&Value) -> Result<Trace, FieldError> = match self {
            Self::Native => return native::Line::read(bytes).map(|line| native::parse(&line)),
            Self::Inspect => return inspect::read(bytes),
            Self::Ollama | Self::ChatStream => return Ok(chat::parse_stream(bytes)),
            Self::Flat(shape) => return json(bytes).map(|value| flat::parse(shape, &value)),
            Self::Pairs => pairs::parse,
            Self::Thoughts => thoughts::parse,
            Self::SolutionTree => tree::parse,
            Self::LabelledTurns => turns::parse,
            Self::Episodes => episodes::parse,
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
            Self::OpenAiChat
            | Self::OpenAiCompletions
            | Self::OpenAiResponses
            | Self::BatchOutput
            | Self::Exchange
            | Self::Anthropic
            | Self::Gemini
            | Self::Vllm
            | Self::ShareGpt => chat::parse,
            Self::Atif => atif::parse,
            Self::ChatProblems => chat::parse_problem,
            Self::RunSamples => run_samples::parse,
            Self::Problems | Self::Text => problems::parse,
        };
        json(bytes).map(|value| parse(&value))
    }
}

/// Fields that may hold a record's own name; see [`Fields::id`](super::fields::Fields::id).
const IDS: [&str; 4] = ["id", "idx", "unique_id", "custom_id"];

/// What a reader can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Candidates with texts.
    Traces,
    /// Problems, whatever comes with them.
    Problems,
    /// Candidates, and what belongs to those of other files.
    Parts,
    /// What a user says, whatever the records look like.
    Mapped(FieldMap),
}

/// Whether a record has a format's fields.
type Fits = fn(&serde_json::Map<String, Value>) -> bool;

const KNOWN: &str = "docs/formats.md lists what is known; `--fields problem=…,text=…` says where the parts of other records are";

/// What a file that no format fits looks like, as an error.
pub(super) fn unknown(path: &str, value: &Value) -> FormatError {
    match value {
        Value::Object(map) => {
            let problem = format!("its records fit no format; they have the fields {}", flat::fields_of(map));
            FormatError::file(path, problem, would_open(path, map).unwrap_or_else(|| KNOWN.into()))
        }
        Value::Array(_) => FormatError::file(path, "its records are arrays, not objects", KNOWN),
        _ => FormatError::file(path, "its records are bare values, not objects", KNOWN),
    }
}

/// The command that would open such records.
fn would_open(path: &str, map: &serde_json::Map<String, Value>) -> Option<String> {
    let fields = flat::guess(map)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    let file = if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) };
    Some(format!("to read them: reasonscope inspect {file} --fields '{fields}'"))
}

/// Bytes of a text that may be reasoning.
const LONG: usize = 200;

/// The error for a file whose records are a part of traces and no traces.
pub(super) fn only_part(path: &str, format: Format, value: &Value) -> FormatError {
    if format == Format::HumanEvalVerdicts {
        let remedy = "put them together: reasonscope data join SAMPLES VERDICTS -o TRACES";
        return FormatError::file(path, "holds verdicts without the texts that they are about", remedy);
    }
    let remedy = "pass it as --problems with a --policy, or name a file with candidates";
    let map =
        value.as_object().filter(|map| map.len() > 1 && map.values().filter_map(Value::as_str).filter(|s| s.len() >= LONG).count() > 0);
    match map.and_then(|map| would_open(path, map)) {
        Some(open) => {
            FormatError::file(path, "holds problems without reasoning", format!("{remedy}; if one of its texts is reasoning, {open}"))
        }
        None => FormatError::file(path, "holds problems without reasoning", remedy),
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

//! Chats of every producer: what was asked, what was thought, said, called and given back, each in its place; nothing dropped without a word.

mod messages;
mod producers;
mod streams;

use reasonscope::format::{Format, Options, TraceList};
use reasonscope::trace::{Candidate, FinishReason, StepKind, Trace, Values};
use serde_json::{Value, json};

const QUESTION: &str = "A shelf holds 14 jars, 9 come, 5 break. How many are left?";
const THOUGHT: &str = "14 + 9 = 23.\n\n23 - 5 = 18.";
const ANSWER: &str = "There are 18.";

struct Opened {
    traces: Vec<Trace>,
    errors: Vec<String>,
    format: Format,
}

fn open_text(text: &str, options: Options) -> Opened {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.jsonl");
    std::fs::write(&path, text).unwrap();
    let list = TraceList::open(&[path.to_str().unwrap()], options).unwrap_or_else(|e| panic!("{e}: {text}"));
    let traces = list.iter().filter_map(Result::ok).collect();
    let format = format_of(&list);
    Opened { traces, errors: list.errors().iter().map(ToString::to_string).collect(), format }
}

/// The format of the first file.
fn format_of(list: &TraceList) -> Format {
    let mut first = None;
    for (_, format) in list.files() {
        first = first.or(Some(format));
    }
    first.unwrap()
}

fn lines(records: &[Value]) -> Opened {
    open_text(&records.iter().map(|r| format!("{r}\n")).collect::<String>(), Options::default())
}

/// The one trace of a record, which must be read without a fault.
fn one(record: Value) -> (Trace, Format) {
    let Opened { mut traces, errors, format } = lines(std::slice::from_ref(&record));
    assert!(errors.is_empty() && traces.len() == 1, "{errors:?} {} {record}", traces.len());
    (traces.remove(0), format)
}

fn steps(c: &Candidate) -> Vec<(&str, StepKind)> {
    c.steps.iter().map(|s| (s.span.of(&c.text), s.kind)).collect()
}

use StepKind::{Answer, Reasoning};

fn user() -> Value {
    json!({"role": "user", "content": QUESTION})
}

/// The steps of [`THOUGHT`] and [`ANSWER`].
fn expected() -> Vec<(&'static str, StepKind)> {
    vec![("14 + 9 = 23.", Reasoning), ("23 - 5 = 18.", Reasoning), (ANSWER, Answer)]
}

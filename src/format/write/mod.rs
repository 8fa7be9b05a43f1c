//! Traces in the formats of others, as tables, and as reports for people.
//!
//! A [`Survey`] goes over all traces first: it finds what the format cannot say, which candidates it cannot hold at all, and the columns of a table. Then a
//! [`Writer`] writes them one after another. Every record of a format that this program reads is read again before it is written, so that what is said to be
//! lost is what a reader misses.

mod chat;
mod labelled;
mod loss;
mod pieces;
mod prm800k;
mod refusal;
mod report;
mod survey;
mod table;
mod target;
mod writer;

pub use loss::{Losses, Lost};
pub use survey::{Survey, TooMany};
pub use target::{Target, is_array, is_packed};
pub use writer::Writer;

use crate::trace::{Aggregation, Granularity, Reading, Trace};
use refusal::Refusal;
use serde_json::Value;

/// What a row of a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// A candidate.
    #[default]
    Candidate,
    /// A step of a candidate.
    Step,
}

/// How traces are written.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Records stand in one JSON array, not on a line each.
    pub array: bool,
    /// What a row of a table is.
    pub rows: Rows,
    /// How a reward model's tokens become a step's value.
    pub granularity: Granularity,
    /// How steps' values become the candidate's.
    pub aggregation: Aggregation,
    /// The signals that a report shows first; the first one with values of steps colours and marks.
    pub signals: Vec<Reading>,
    /// A verdict is given also on a trace that lies outside of what the reward model has learned.
    pub trust: bool,
    /// The title of a report.
    pub title: String,
}

/// A record, and the candidates of its trace that it holds, in the order in which it is read again.
struct Record {
    candidates: Vec<usize>,
    value: Value,
    /// What a reader makes of it.
    again: Trace,
}

impl Record {
    fn new(candidates: Vec<usize>, value: Value) -> Self {
        Self { candidates, value, again: Trace::default() }
    }
}

/// The records of a trace, and the candidates that the format cannot hold.
#[derive(Default)]
struct Made {
    records: Vec<Record>,
    refused: Vec<(usize, Refusal)>,
}

/// The records of a trace in a format that has some; empty for any other.
fn records(target: Target, trace: &Trace) -> Made {
    let each = |of: &dyn Fn(&Trace, &crate::trace::Candidate) -> Result<Value, Refusal>| {
        let mut made = Made::default();
        for (i, c) in trace.candidates.iter().enumerate() {
            match of(trace, c) {
                Ok(value) => made.records.push(Record::new(vec![i], value)),
                Err(refusal) => made.refused.push((i, refusal)),
            }
        }
        made
    };
    let mut made = match target {
        Target::ProcessBench => each(&labelled::processbench),
        Target::Stepwise => each(&labelled::stepwise),
        Target::MathShepherd => each(&labelled::math_shepherd),
        Target::Prm800k => prm800k::records(trace),
        Target::Chat => each(&|trace, c| Ok(chat::record(trace, c))),
        Target::Native | Target::Csv | Target::Parquet | Target::Markdown | Target::Html => Made::default(),
    };
    let Some(format) = target.format() else { return made };
    for mut record in std::mem::take(&mut made.records) {
        let read = format.read(record.value.to_string().as_bytes()).and_then(|read| read);
        let refusal = match read {
            Ok(again) if again.candidates.len() == record.candidates.len() => {
                record.again = again;
                let c = record.candidates.first().and_then(|&i| trace.candidates.get(i));
                let said = target != Target::MathShepherd || c.is_some_and(|c| labelled::says(&record.again, trace, c));
                (!said).then_some(Refusal::Marks)
            }
            _ => Some(Refusal::NotRead),
        };
        match refusal {
            None => made.records.push(record),
            Some(refusal) => made.refused.extend(record.candidates.iter().map(|&i| (i, refusal.clone()))),
        }
    }
    made
}

//! Trace files in and out.
//!
//! [`TraceList::open`] reads files of every importable [`Format`]; [`to_lines`] and [`write_file`] write the native one.

mod detect;
mod error;
mod fields;
mod gsm8k;
mod input;
mod list;
mod native;
mod openai;
mod prm800k;
mod problems;
mod processbench;
mod split;
mod stepwise;

pub use detect::Format;
pub use error::FormatError;
pub use list::{Options, TraceList};
pub use native::{SCHEMA_VERSION, Scoring, to_lines, write_file};

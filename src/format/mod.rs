//! Trace files in and out.
//!
//! [`TraceList::open`] reads files of every importable [`Format`]; [`to_lines`] and [`write_file`] write the native one. [`join()`] puts together what
//! several files say of the same problems.

mod best_of_n;
mod detect;
mod error;
mod fields;
mod gsm8k;
mod gsm8k_pool;
mod humaneval;
mod index;
mod input;
mod join;
mod key;
mod list;
mod mmlu_pro;
mod native;
mod openai;
mod prm800k;
mod prmbench;
mod problems;
mod processbench;
mod run_samples;
mod shared;
mod signals;
mod split;
mod stepwise;

pub use detect::Format;
pub use error::FormatError;
pub use join::{Joined, join, note};
pub use key::ProblemKey;
pub use list::{Options, TraceList};
pub use native::{SCHEMA_VERSION, Scoring, to_lines, write_file};
pub use run_samples::{TRAINING, TRAINING_TRACE};

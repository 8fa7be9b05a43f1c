//! Trace files in and out.
//!
//! [`TraceList::open`] reads files of every importable [`Format`]; [`to_lines`] and [`write_file`] write the native one, [`mod@write`] others. [`join()`] puts together what
//! several files say of the same problems.

mod chat;
mod container;
mod detect;
mod error;
mod fields;
mod flat;
mod head;
mod index;
mod input;
mod join;
mod key;
mod list;
mod mend;
mod native;
mod nested;
mod own;
mod queue;
mod shared;
mod sources;
mod split;
pub mod write;

#[cfg(feature = "parquet")]
pub use container::to_json_lines;
pub use detect::Format;
pub use error::FormatError;
pub use fields::join_steps;
pub use flat::{FieldMap, tells_again};
pub use join::{Joined, join, join_mapped, note};
pub use key::ProblemKey;
pub use list::{Options, TraceList};
pub use native::run_samples::{TRAINING, TRAINING_TRACE};
pub use native::{SCHEMA_VERSION, Scoring, to_lines, write_file};

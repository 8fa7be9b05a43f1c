//! Flat records: a problem, what was answered, numbers that judge it, a line or an object each, under whatever names their producer has for them.
//!
//! There is one reader ([`parse`]); what it knows of a producer is a row of [`SHAPES`](shapes). Numbers become signals under their own name (those that
//! count or measure without judging, such as tokens, seconds or the training step, as signals that neither high nor low is good of), and what
//! nobody knows is kept with the candidate. `--fields` is a row that a user writes ([`FieldMap`]).

mod explain;
mod mapping;
mod path;
mod prompt;
mod read;
mod rest;
mod shapes;
mod steps;
mod value;
mod written;

pub(super) use explain::{fields_of, guess};
pub use mapping::FieldMap;
pub(super) use mapping::check;
pub(super) use prompt::{message, posed};
pub(super) use read::{head, head_fields, parse};
pub(super) use rest::Read;
pub(super) use shapes::{Shape, of_record};
pub(super) use value::{gold, label, verdict};
pub(super) use written::{with_thoughts, written};

//! One protocol for the reward models that people publish.
//!
//! Process and outcome reward models differ in little: how problem and steps are laid out for the model, at which position it is read, what is read there, and
//! how that becomes a score. A [`Protocol`] says these four things, in a TOML file; the families known are such files themselves, in the folder `families`
//! beside this one. [`recognise`] finds the protocol of a model by its files, a [`Layout`] lays text out by it, and a [`ProtocolReward`] is the model at work.

mod check;
mod describe;
mod explain;
mod families;
mod first_error;
mod head;
mod layout;
mod recognise;
mod scorer;
mod writer;

pub use describe::{At, HeadKind, Input, Label, Lines, Output, Protocol, Read, Recognise, Says, Server, Shape, Squash, Write};
pub(super) use explain::EXAMPLE;
pub use explain::{Explained, explain, explain_judge};
pub use families::{families, judge};
pub use first_error::first_error;
pub(super) use head::RowScores;
pub use layout::{Layout, Mark, Piece};
pub use recognise::{PROTOCOL_FILE, Taken, as_judge, by_name, recognise};
pub use scorer::ProtocolReward;
pub use writer::WriterReward;

//! From files to judged candidates: the one way that every command goes.
//!
//! [`Collection::open`] reads files of every format in the background. What they say of one problem, on several lines or in several files, becomes one
//! problem with several candidates; what two files say of one candidate, two reward models' scores for example, stands side by side on it. [`draw`] and
//! [`Shard`] pick problems, [`Walk`] goes over them.

mod groups;
mod open;
mod pick;
mod sides;
mod walk;

pub use open::{Collection, Options, Size, stem};
pub use pick::{Shard, draw};
pub use walk::{Bad, Next, Walk};

/// Who hears how reading goes on.
pub trait Listener {
    /// Something that does not stop the work but that people must know.
    fn warn(&mut self, message: &str);
}

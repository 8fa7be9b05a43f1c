//! From files to judged candidates: the one way that every command goes.
//!
//! [`Collection::open`] reads files of every format in the background. What they say of one problem, on several lines or in several files, becomes one
//! problem with several candidates; what two files say of one candidate, two reward models' scores for example, stands side by side on it. Texts are cut into
//! steps, and final answers read and graded, where the files leave that open. [`draw`] and
//! [`Shard`] pick problems, [`Walk`] goes over them, and a [`Judge`] has models read them on the way.

mod drive;
mod groups;
mod judge;
mod open;
mod pick;
pub mod query;
mod sides;
mod walk;

pub use drive::{Headless, Summary, drive, ready};
pub use judge::{Judge, ReadError, ReadOptions, ReadSummary, whole};
pub use open::{Collection, Options, Size, stem};
pub use pick::{Shard, draw, shuffled};
pub use walk::{Bad, Next, Walk};

/// Who hears how reading goes on.
pub trait Listener {
    /// Something that does not stop the work but that people must know.
    fn warn(&mut self, message: &str);
    /// Something for people, once.
    fn say(&mut self, message: &str);
    /// What goes on before there is anything to count.
    fn status(&mut self, message: &str);
    /// `done` of `total` are through; the total is not known while files are still read. `note` stands behind the numbers.
    fn progress(&mut self, done: u64, total: Option<u64>, note: &str);
}

//! What is read, in which order, and what comes to it later.

mod follow;
mod growth;
mod work;

pub(super) use follow::follow;
pub(super) use work::Queue;

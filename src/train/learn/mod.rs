//! How the stages of a run learn: the batches of an update, the update, and its metrics.

pub mod discriminator;
pub mod evaluate;
pub mod labels;
pub mod pairs;
pub mod policy;
pub mod sft;

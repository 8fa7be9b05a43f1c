//! What is trained, and its files: decoders, checkpoints, finished models.

pub mod backbone;
pub mod checkpoint;
pub mod gate;
pub mod package;
pub mod training_problems;

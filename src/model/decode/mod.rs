//! The forward pass of a decoder, its key-value cache, and drawing the next token.

mod cache;
mod checkpointing;
mod decoder;
mod mlp;
mod sample;

pub use cache::KvCache;
pub use decoder::{Decoder, Packed};
pub use sample::{Drawn, Sampler, check_sampling, measure, measure_all};

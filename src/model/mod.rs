//! Decoders on candle: configuration, weights, tokenizer, key–value cache, sampling.

mod config;
mod error;
mod weights;

pub use config::{Config, RopeScaling};
pub use error::ModelError;
pub use weights::{LinearWeight, WeightSource};

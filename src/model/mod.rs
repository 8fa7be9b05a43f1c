//! Decoders on candle: configuration, weights, tokenizer, key–value cache, sampling.

mod cache;
mod config;
mod decoder;
mod error;
mod gemm;
mod kernels;
pub mod ops;
mod rotary;
mod var;
mod weights;

pub use cache::KvCache;
pub use config::{Config, RopeScaling};
pub use decoder::{Decoder, Packed};
pub use error::ModelError;
pub use kernels::{Heads, Rotary};
pub use var::VarStore;
pub use weights::{LinearWeight, WeightSource};

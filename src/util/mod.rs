//! What every room may use: files that appear whole, hashes, seeds.

pub mod atomic;
pub mod hash;
pub mod seed;

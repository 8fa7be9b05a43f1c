//! What every room may use: files that appear whole, hashes, seeds, counts of work.

pub mod atomic;
pub mod hash;
pub mod seed;
pub mod work;

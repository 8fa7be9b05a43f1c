//! What every room may use: files that appear whole, calls that may panic, hashes, seeds, counts of work.

pub mod atomic;
pub mod foreign;
pub mod hash;
pub mod seed;
pub mod work;

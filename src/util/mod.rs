//! What every room may use: files that appear whole, calls that may panic, hashes, JSON for terminals, gzip within bounds, memory within bounds, secrets, seeds, counts of work.

pub mod atomic;
pub mod foreign;
pub mod hash;
pub mod json;
pub mod memory;
pub mod packed;
pub mod secret;
pub mod seed;
pub mod work;

//! What every room may use: files that appear whole, calls that may panic, hashes, HTML, JSON for terminals, gzip within bounds, memory within bounds, secrets, seeds, tables, counts of work.

pub mod atomic;
pub mod foreign;
pub mod hash;
pub mod html;
pub mod json;
pub mod memory;
pub mod packed;
pub mod secret;
pub mod seed;
pub mod table;
pub mod work;

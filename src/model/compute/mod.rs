//! What a decoder computes: products with plain and quantised weights, attention, rotations, on the host and on tensors.

#[cfg_attr(not(target_arch = "x86_64"), path = "no_codes.rs")]
mod codes;
pub(super) mod attention;
mod frozen;
mod gemm;
pub(super) mod kernels;
mod linear;
pub mod ops;
pub(super) mod rotary;
pub(super) mod storage;
pub(super) mod threads;

pub use codes::{Codes, Kind};
pub use attention::Heads;
pub use kernels::Rotary;
pub use linear::Lora;

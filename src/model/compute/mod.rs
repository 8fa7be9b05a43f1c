//! What a decoder computes: products with plain and quantised weights, attention, rotations, on the host and on tensors.

pub(super) mod attention;
#[cfg_attr(not(target_arch = "x86_64"), path = "no_codes.rs")]
mod codes;
mod frozen;
mod gemm;
pub(super) mod kernels;
mod linear;
pub mod ops;
pub(super) mod rotary;
pub(super) mod storage;
pub(super) mod threads;

pub use attention::Heads;
pub use codes::{Codes, Kind};
pub use kernels::Rotary;
pub use linear::Lora;

//! Behaviour of the whole crate, in one binary.

mod eval;
mod formats;
mod gguf;
mod gradients;
mod parity;
mod rooms;
mod runtime;
mod stories;
mod tokenizer;

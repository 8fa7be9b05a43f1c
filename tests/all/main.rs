//! Behaviour of the whole crate, in one binary.

mod cli;
mod eval;
mod formats;
mod gguf;
mod gradients;
mod parity;
mod pty;
mod rooms;
mod runtime;
mod stories;
mod tokenizer;
mod train;

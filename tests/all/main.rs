//! Behaviour of the whole crate, in one binary.

mod eval;
mod formats;
mod gradients;
mod rooms;
mod runtime;
mod stories;

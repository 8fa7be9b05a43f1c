//! Behaviour of the whole crate, in one binary.

mod rooms;

//! Behaviour of the whole crate, in one binary.

mod cli;
mod endpoint;
mod eval;
mod fake_server;
mod fleet;
mod formats;
mod gguf;
mod gradients;
mod mpi;
mod parity;
mod pty;
mod rooms;
mod runtime;
mod stories;
mod themes;
mod tokenizer;
mod train;
mod tui_fixture;
mod tui_keys;
mod tui_picture;
mod tui_random;
mod tui_snapshots;

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
mod themes;
mod tokenizer;
mod train;
mod tui_fixture;
mod tui_keys;
mod tui_picture;
mod tui_random;
mod tui_snapshots;
mod watch;
mod watch_screen;

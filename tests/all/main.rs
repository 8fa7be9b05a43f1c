//! Behaviour of the whole crate, in one binary.

mod cli;
mod eval;
mod formats;
mod gguf;
mod gradients;
mod lora;
mod objectives;
mod parity;
mod pty;
mod rooms;
mod runtime;
mod stories;
mod tasks;
mod themes;
mod tokenizer;
mod train;
mod train_reference;
mod tui_fixture;
mod tui_keys;
mod tui_picture;
mod tui_random;
mod tui_snapshots;
mod watch;

//! Behaviour of the whole crate, in one binary.

mod answers;
mod candidate_sets;
mod chats;
mod cli;
mod code;
mod collection;
mod containers;
mod convert;
mod doors;
mod endpoint;
mod equations;
mod eval;
mod eval_cli;
mod export;
mod fake_server;
mod flat;
mod fleet;
mod forged;
mod formats;
mod gate_cli;
mod gguf;
mod grades;
mod gradients;
mod hostile;
mod hub;
mod judge;
mod log;
mod lora;
#[cfg(feature = "more-models")]
mod more;
mod mpi;
mod objectives;
mod pairs;
mod parity;
mod producers;
mod prompt;
mod protocol;
mod protocol_cli;
mod pty;
mod recorded;
mod rooms;
mod run_folder;
mod runtime;
mod sandbox;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod serve_cli;
#[cfg(feature = "serve")]
mod serve_fixture;
#[cfg(feature = "serve")]
mod serve_hostile;
mod served;
mod several;
mod stories;
mod tasks;
mod themes;
#[cfg(feature = "https")]
mod tls;
mod tokenizer;
mod train;
mod train_reference;
mod transfer;
mod tui_fixture;
mod tui_gate;
mod tui_keys;
mod tui_long;
mod tui_picture;
mod tui_random;
mod tui_signals;
mod tui_snapshots;
mod watch;
mod watch_screen;

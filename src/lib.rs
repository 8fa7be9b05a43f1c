//! An instrument for looking into machine reasoning.
//!
//! The rooms, and what each may use (kept true by `tests/all/rooms.rs`):
//!
//! ```text
//! cli -> {serve, tui, train, run, eval, collection, format, runtime, sandbox, task, diagnose, hub, answer, trace}
//! serve -> {runtime, format, trace}
//! tui -> {runtime, run, collection, format, diagnose, check, answer, trace}   collection -> {runtime, format, task, check, answer, trace}
//! runtime -> {generate, reward, model, trace}   run -> {format, trace}
//! train -> {run, eval, model, reward, generate, sandbox, task, answer, trace}
//! eval -> {model, reward, generate, sandbox, task, check, answer, trace}
//! generate -> {model, http, trace}   reward -> {model, http, answer, trace}   model -> {hub, trace}   hub -> http
//! format -> {answer, check, trace}   task -> {answer, trace}   check -> trace    trace -> serde    (diagnose uses none)
//! ```
//!
//! Every room may use `util`, which uses none.
#![deny(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod answer;
pub mod check;
pub mod cli;
pub mod collection;
pub mod diagnose;
pub mod eval;
pub mod format;
pub mod generate;
mod http;
pub mod hub;
pub mod model;
pub mod reward;
pub mod run;
pub mod runtime;
pub mod sandbox;
#[cfg(feature = "serve")]
pub mod serve;
pub mod task;
pub mod trace;
pub mod train;
pub mod tui;
pub mod util;

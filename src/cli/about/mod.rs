//! The commands that tell of the program itself: its keys, themes, configuration, recipes, manual, and what it finds on this machine.

pub(super) mod completions;
pub(super) mod config;
pub(super) mod doctor;
mod finding;
pub(super) mod keys;
pub(super) mod man;
pub(super) mod recipe;
mod taken;
pub(super) mod themes;

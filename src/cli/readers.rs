//! Readers of files that only commands use, for the fuzz targets: those reach nothing private, and a copy of a reader would not be the reader.

use super::{about, command, eval};
use anyhow::Result;
use std::ffi::OsString;
use std::path::Path;

/// Reads a recipe of `eval` as the command does, and runs nothing of it.
///
/// # Errors
/// Those of the command: the file, and the section or the key that does not fit.
pub fn check_evaluation_recipe(path: &Path) -> Result<()> {
    eval::check_recipe(path)
}

/// Reads the text of a configuration file as `inspect` does; the words that it adds to the command line.
///
/// # Errors
/// The key or the value that does not fit.
pub fn check_config(text: &str) -> Result<Vec<OsString>, String> {
    about::config::added(text, "inspect", &[], &command())
}

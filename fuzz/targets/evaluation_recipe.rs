//! Recipes of evaluation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::cli::check_evaluation_recipe;
use reasonscope_fuzz::file;

fuzz_target!(|data: &[u8]| {
    let _ = check_evaluation_recipe(&file("evaluation.toml", data)).map_err(|e| format!("{e:#}"));
});

//! `recipe`: a recipe with every key.

use crate::cli::console;
use crate::cli::exit::Exit;
use crate::train::Recipe;
use anyhow::Result;
use clap::Args;

/// Arguments of `recipe`.
#[derive(Args, Debug)]
pub struct ShowRecipe {}

impl ShowRecipe {
    pub(in crate::cli) fn run(self) -> Result<Exit> {
        console::print(&Recipe::commented()?)?;
        Ok(Exit::Ok)
    }
}

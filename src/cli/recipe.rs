//! `recipe`: a recipe with every key.

use super::exit::Exit;
use crate::train::Recipe;
use anyhow::Result;
use clap::Args;

/// Arguments of `recipe`.
#[derive(Args, Debug)]
pub struct ShowRecipe {}

impl ShowRecipe {
    pub(super) fn run(self) -> Result<Exit> {
        super::print(&Recipe::commented()?)?;
        Ok(Exit::Ok)
    }
}

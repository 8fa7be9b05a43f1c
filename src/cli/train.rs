//! `train RECIPE`, also `--train RECIPE`.

use super::args::OutputArgs;
use super::exit::Exit;
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `train`.
#[derive(Args, Debug)]
pub struct Train {
    /// What to train and how: a TOML file such as samples/recipes/embedded.toml
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
}

impl Train {
    pub(super) fn new(recipe: PathBuf) -> Self {
        Self { recipe }
    }

    pub(super) fn run(self, _messages: &OutputArgs) -> Result<Exit> {
        if !self.recipe.is_file() {
            bail!("{}: no such recipe; samples/recipes has some", self.recipe.display());
        }
        bail!("training is not part of this build")
    }
}

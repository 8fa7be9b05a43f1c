//! `themes`: the themes.

use super::args::OutputArgs;
use super::exit::Exit;
use anyhow::{Result, bail};
use clap::Args;

/// Arguments of `themes`.
#[derive(Args, Debug)]
pub struct Themes {}

impl Themes {
    pub(super) fn run(self, _messages: &OutputArgs) -> Result<Exit> {
        bail!("the themes are not part of this build")
    }
}

//! `keys`: the keys.

use super::args::OutputArgs;
use super::exit::Exit;
use anyhow::{Result, bail};
use clap::Args;

/// Arguments of `keys`.
#[derive(Args, Debug)]
pub struct Keys {}

impl Keys {
    pub(super) fn run(self, _messages: &OutputArgs) -> Result<Exit> {
        bail!("the keys are not part of this build")
    }
}

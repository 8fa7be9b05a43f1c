//! `score`: recorded traces in, the same traces with rewards and deviations out.

use super::args::{DeviceArgs, OutputArgs, RewardArgs, model};
use super::exit::Exit;
use super::output::Output;
use crate::runtime::ModelRef;
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `score`.
#[derive(Args, Debug)]
pub struct Score {
    /// Traces to score, in any format that `inspect` opens; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Reward model: a directory, a .gguf file or `embedded`
    #[arg(long, value_name = "MODEL", default_value = "embedded", value_parser = model, help_heading = "Models")]
    reward: ModelRef,
    #[command(flatten)]
    device: DeviceArgs,
    /// Where the scored traces go, as native JSONL; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep what the output file already has and score the rest
    #[arg(long, requires = "output")]
    resume: bool,
    #[command(flatten)]
    rewards: RewardArgs,
}

impl Score {
    pub(super) fn run(self, _messages: &OutputArgs) -> Result<Exit> {
        let _output = Output::open(self.output.as_deref())?;
        bail!("scoring is not part of this build")
    }
}

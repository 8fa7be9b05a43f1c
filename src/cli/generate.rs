//! `generate`: problems in, sampled candidates out.

use super::args::{DeviceArgs, OutputArgs, RewardArgs, SamplingArgs, model};
use super::exit::Exit;
use super::output::Output;
use crate::runtime::ModelRef;
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `generate`.
#[derive(Args, Debug)]
pub struct Generate {
    /// Model that writes candidates: a directory, a .gguf file or `embedded`
    #[arg(long, value_name = "MODEL", default_value = "embedded", value_parser = model, help_heading = "Models")]
    policy: ModelRef,
    /// Model that scores the candidates while they are written: a directory, a .gguf file, `embedded` or `none`
    #[arg(long, value_name = "MODEL", default_value = "none", value_parser = model, help_heading = "Models")]
    reward: ModelRef,
    #[command(flatten)]
    device: DeviceArgs,
    /// Problems: any format that `inspect` opens, or a text file with a problem a line; `-` is standard input
    #[arg(long, value_name = "FILE", required_unless_present = "problem")]
    problems: Vec<PathBuf>,
    /// A problem on the command line
    #[arg(long, value_name = "TEXT")]
    problem: Vec<String>,
    /// Where the candidates go, as native JSONL; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep what the output file already has and generate the rest
    #[arg(long, requires = "output")]
    resume: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    rewards: RewardArgs,
}

impl Generate {
    pub(super) fn run(self, _messages: &OutputArgs) -> Result<Exit> {
        let _output = Output::open(self.output.as_deref())?;
        bail!("generating is not part of this build")
    }
}

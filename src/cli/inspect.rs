//! `inspect`: the terminal face, live or on recorded traces.

use super::args::{DeviceArgs, RewardArgs, SamplingArgs, ScreenArgs, model};
use super::exit::Exit;
use crate::runtime::ModelRef;
use anyhow::{Result, bail};
use clap::Args;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Arguments of `inspect`.
#[derive(Args, Debug)]
pub struct Inspect {
    /// Traces to open (native JSONL, ProcessBench, GSM8K, OpenAI chat; plain or .gz; `-` for standard input); none: live
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    live: LiveArgs,
}

/// What the live inspector takes; also the arguments of the program without a subcommand.
#[derive(Args, Debug)]
pub struct LiveArgs {
    /// Model that writes candidates: a directory, a .gguf file or `embedded`
    #[arg(long, value_name = "MODEL", default_value = "embedded", value_parser = model, help_heading = "Models")]
    pub policy: ModelRef,
    /// Model that scores them: a directory, a .gguf file, `embedded` or `none`
    #[arg(long, value_name = "MODEL", default_value = "embedded", value_parser = model, help_heading = "Models")]
    pub reward: ModelRef,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Problems to choose from: any format that `inspect` opens, or a text file with a problem a line
    #[arg(long, value_name = "FILE")]
    pub problems: Option<PathBuf>,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub rewards: RewardArgs,
    #[command(flatten)]
    pub screen: ScreenArgs,
}

impl Inspect {
    pub(super) fn live(live: LiveArgs) -> Self {
        Self { files: Vec::new(), live }
    }

    pub(super) fn run(self) -> Result<Exit> {
        if !std::io::stdout().is_terminal() {
            bail!("the inspector needs a terminal and standard output is none; use `reasonscope score` or `reasonscope generate` instead");
        }
        bail!("the inspector is not part of this build")
    }
}

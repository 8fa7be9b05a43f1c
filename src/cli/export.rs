//! `export`: a reward model that was trained here, written for transformers.

use super::args::{OutputArgs, model};
use super::exit::Exit;
use super::progress::Reporter;
use crate::runtime::ModelRef;
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `export`.
#[derive(Args, Debug)]
pub struct Export {
    /// Reward model: a directory with reward.json that `train` wrote, a hub id in the local cache or `embedded`
    #[arg(value_name = "REWARD", value_parser = model)]
    reward: ModelRef,
    /// Directory to write; it is made
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Who is to read it
    #[arg(long, value_enum, default_value_t = To::Transformers)]
    to: To,
}

/// Who can read an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// Hugging Face transformers, and this program by the `reward.toml` beside the weights.
    Transformers,
}

impl Export {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let To::Transformers = self.to;
        let mut reporter = Reporter::new(messages, "models");
        let exported = self.reward.export(&self.output)?;
        let how = if exported.own_code { "with trust_remote_code=True, for its class is the file of Python there" } else { "as it is" };
        let dir = self.output.display();
        reporter.say(&format!("{dir}: {} for AutoModelForTokenClassification, {how}; --reward {dir} reads it here", exported.class));
        reporter.record(
            serde_json::json!({ "event": "exported", "output": self.output, "class": exported.class, "own_code": exported.own_code }),
        );
        Ok(Exit::Ok)
    }
}

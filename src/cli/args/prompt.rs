//! How a policy is asked: a system message, variables of its chat template, the date that it is told.

use crate::runtime::{ChatOptions, ModelRef, Moment, PolicyOptions};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs::File;
use std::io::Read;

/// Bytes of a file with a system message.
const LARGEST: u64 = 1 << 20;

/// How a policy is asked.
#[derive(Args, Clone, Debug, Default)]
pub struct PromptArgs {
    /// System message before the problem: the text itself, or @FILE for the text of a file; an empty one takes the place of the chat
    /// template's own
    #[arg(long, value_name = "TEXT|@FILE", help_heading = "Prompt")]
    system: Option<String>,
    /// Set a variable of the chat template, for example enable_thinking=false; may be given several times. A VALUE that is JSON is that, any other is text
    #[arg(long = "template-arg", value_name = "NAME=VALUE", value_parser = ChatOptions::arg, help_heading = "Prompt")]
    template_args: Vec<(String, serde_json::Value)>,
    /// What a chat template is told of today: a day, a day and a time (2026-01-31T09:30), or `today` [default: 2024-07-26, so that a
    /// prompt is the same every day]
    #[arg(long, value_name = "DAY", help_heading = "Prompt")]
    date: Option<Moment>,
}

impl PromptArgs {
    /// The policy, asked so.
    pub fn of(&self, policy: &ModelRef) -> Result<ModelRef> {
        Ok(policy.clone().asked(PolicyOptions { chat: self.options()?, ..PolicyOptions::default() }))
    }

    /// What stands around a problem. Fails where the file of a system message cannot be read.
    pub fn options(&self) -> Result<ChatOptions> {
        let system = match self.system.as_deref().map(|s| s.strip_prefix('@').ok_or(s)) {
            None => None,
            Some(Err(text)) => Some(text.to_owned()),
            Some(Ok(path)) => Some(read(path).with_context(|| format!("--system @{path}"))?),
        };
        Ok(ChatOptions { system, args: self.template_args.iter().cloned().collect(), date: self.date })
    }
}

/// The text of a file, without white space at its end.
fn read(path: &str) -> Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST + 1).read_to_string(&mut text).context("a system message is text in UTF-8")?;
    if text.len() as u64 > LARGEST {
        bail!("it has more than {LARGEST} bytes; a system message is shorter");
    }
    Ok(text.trim_end().to_owned())
}

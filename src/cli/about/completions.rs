//! `completions SHELL`.

use crate::cli::console;
use crate::cli::exit::Exit;
use anyhow::Result;
use clap::Args;

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(in crate::cli) fn run(self) -> Result<Exit> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut crate::cli::command(), "reasonscope", &mut text);
        console::print(&String::from_utf8_lossy(&text))?;
        Ok(Exit::Ok)
    }
}

//! `keys`: what every key does.

use crate::cli::args::OutputArgs;
use crate::cli::console;
use crate::cli::exit::Exit;
use crate::tui;
use anyhow::Result;
use clap::Args;
use std::fmt::Write;

/// Arguments of `keys`.
#[derive(Args, Debug)]
pub struct Keys {}

impl Keys {
    pub(in crate::cli) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        if messages.json {
            let list: Vec<serde_json::Value> = tui::BINDINGS
                .iter()
                .map(|b| serde_json::json!({ "context": b.context.title(), "keys": b.on.split(' ').collect::<Vec<_>>(), "does": b.desc }))
                .collect();
            console::print_record(&list.into())?;
        } else {
            let width = tui::BINDINGS.iter().map(|b| b.on.chars().count()).max().unwrap_or(0);
            let mut text = String::new();
            let mut context = None;
            for b in tui::BINDINGS {
                if context != Some(b.context) {
                    let gap = if context.is_some() { "\n" } else { "" };
                    writeln!(text, "{gap}{}", b.context.title())?;
                    context = Some(b.context);
                }
                writeln!(text, "  {:width$}  {}", b.on, b.desc)?;
            }
            console::print(&text)?;
        }
        Ok(Exit::Ok)
    }
}

//! `themes`: the themes that there are.

use crate::cli::args::OutputArgs;
use crate::cli::console::{self, line};
use crate::cli::exit::Exit;
use crate::tui;
use anyhow::Result;
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;

/// Arguments of `themes`.
#[derive(Args, Debug)]
pub struct Themes {}

/// Directories with the user's own themes.
pub fn directories() -> Vec<PathBuf> {
    tui::user_theme_dir(crate::cli::env).into_iter().collect()
}

impl Themes {
    pub(in crate::cli) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let themes = tui::themes(&directories());
        if messages.json {
            let list: Vec<serde_json::Value> = themes
                .iter()
                .map(|t| {
                    serde_json::json!({
                        "name": t.name, "description": t.description, "path": t.path, "default": t.name == tui::DEFAULT_THEME,
                    })
                })
                .collect();
            console::print_record(&list.into())?;
        } else {
            let width = themes.iter().map(|t| t.name.chars().count()).max().unwrap_or(0);
            let mut text = String::new();
            for t in &themes {
                let default = if t.name == tui::DEFAULT_THEME { " (default)" } else { "" };
                let place = t.path.as_ref().map(|p| format!("  [{}]", p.display())).unwrap_or_default();
                writeln!(text, "{:width$}  {}", line(&t.name), line(&format!("{}{default}{place}", t.description)))?;
            }
            if let [directory, ..] = directories().as_slice() {
                writeln!(text, "\nYour own themes go into {}", line(&directory.display().to_string()))?;
            }
            console::print(&text)?;
        }
        Ok(Exit::Ok)
    }
}

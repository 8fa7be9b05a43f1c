//! `man`: the manual page, one section a subcommand.

use crate::cli::console;
use crate::cli::exit::Exit;
use anyhow::Result;
use clap::Args;
use std::io::Write;

/// Arguments of `man`.
#[derive(Args, Debug)]
pub struct Man {}

impl Man {
    pub(in crate::cli) fn run(self) -> Result<Exit> {
        console::print(&String::from_utf8_lossy(&page()?))?;
        Ok(Exit::Ok)
    }
}

/// The page in roff.
fn page() -> Result<Vec<u8>> {
    let mut command = crate::cli::command();
    command.build();
    let mut page = Vec::new();
    let main = clap_mangen::Man::new(command.clone());
    main.render_title(&mut page)?;
    main.render_name_section(&mut page)?;
    main.render_synopsis_section(&mut page)?;
    main.render_description_section(&mut page)?;
    main.render_options_section(&mut page)?;
    main.render_subcommands_section(&mut page)?;
    for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
        writeln!(page, ".SH \"REASONSCOPE {}\"", sub.get_name().to_uppercase())?;
        let sub = clap_mangen::Man::new(sub.clone().display_name(format!("reasonscope {}", sub.get_name())));
        let mut section = Vec::new();
        sub.render_synopsis_section(&mut section)?;
        sub.render_description_section(&mut section)?;
        sub.render_options_section(&mut section)?;
        page.extend_from_slice(String::from_utf8_lossy(&section).replace("\n.SH ", "\n.SS ").replacen(".SH ", ".SS ", 1).as_bytes());
    }
    // Sections that clap does not know.
    writeln!(page, ".SH \"EXIT STATUS\"")?;
    for line in crate::cli::exit::HELP.lines().skip(1) {
        let (code, meaning) = line.trim().split_once(' ').unwrap_or((line, ""));
        writeln!(page, ".TP\n\\fB{code}\\fR\n{}", meaning.trim())?;
    }
    writeln!(page, ".SH ENVIRONMENT")?;
    for (name, meaning) in super::doctor::ENVIRONMENT {
        writeln!(page, ".TP\n\\fB{name}\\fR\n{meaning}")?;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_has_every_subcommand_and_exit_code() {
        let page = String::from_utf8(super::page().unwrap()).unwrap();
        for name in ["INSPECT", "SCORE", "GENERATE", "TRAIN", "WATCH", "THEMES", "KEYS", "COMPLETIONS", "MAN", "DOCTOR"] {
            assert!(page.contains(&format!(".SH \"REASONSCOPE {name}\"")), "{name}");
        }
        for code in ["0", "1", "2", "3", "130"] {
            assert!(page.contains(&format!("\\fB{code}\\fR")), "{code}");
        }
    }
}

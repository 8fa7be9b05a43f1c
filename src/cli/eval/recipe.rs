//! `eval RECIPE`: several reports by one file.

use super::finish::{Made, ReportArgs};
use super::{Single, What};
use crate::cli::args::OutputArgs;
use crate::cli::exit::{Exit, Usage};
use crate::cli::interrupt::Interrupt;
use crate::cli::progress::Reporter;
use anyhow::{Context, Result};
use clap::Parser;
use serde::Deserialize;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use toml::Value;

/// An evaluation: the subcommands of `eval`, one a section, their options as keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalRecipe {
    /// Folder of the reports, a folder a section in it.
    output: PathBuf,
    /// Options that every section has which does not say otherwise and whose subcommand knows them.
    #[serde(default)]
    defaults: toml::Table,
    /// The sections.
    #[serde(rename = "section")]
    sections: Vec<Section>,
}

#[derive(Debug, Deserialize)]
struct Section {
    /// Name, also of its folder.
    name: String,
    /// The subcommand.
    run: String,
    #[serde(flatten)]
    options: toml::Table,
}

impl EvalRecipe {
    /// Reads a recipe; errors name file, line and key.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let recipe: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let mut names = HashSet::new();
        for section in &recipe.sections {
            let plain = !section.name.is_empty() && section.name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
            if !plain || !names.insert(&section.name) {
                let what = "section names are folders: letters, digits, - and _, each once";
                return Err(Usage(format!("{}: section {:?}: {what}", path.display(), section.name)).into());
            }
        }
        if recipe.sections.is_empty() {
            return Err(Usage(format!("{}: has no [[section]]", path.display())).into());
        }
        Ok(recipe)
    }

    /// Reads a recipe and checks every section of it, and runs nothing.
    pub fn check(path: &Path) -> Result<()> {
        Self::read(path)?.parse(path).map(drop)
    }

    /// The subcommands, all checked before the first runs.
    fn parse(&self, path: &Path) -> Result<Vec<(String, What)>> {
        let parse = |section: &Section| {
            let own = arguments(&section.run, &section.options);
            let wrong = |e: clap::Error| Usage(format!("{}: section {:?}: {}", path.display(), section.name, first_line(&e)));
            let what = Single::try_parse_from(own.clone()).map_err(wrong)?.what;
            // A default that this subcommand does not know is left out.
            let mut all = section.options.clone();
            for (key, value) in &self.defaults {
                if section.options.contains_key(key) {
                    continue;
                }
                let mut with = all.clone();
                with.insert(key.clone(), value.clone());
                if Single::try_parse_from(arguments(&section.run, &with)).is_ok() {
                    all = with;
                }
            }
            let what = Single::try_parse_from(arguments(&section.run, &all)).map_or(what, |s| s.what);
            Ok((section.name.clone(), what))
        };
        self.sections.iter().map(parse).collect()
    }

    /// Makes every report, writes each with its folder and all together, then looks at the gates of each.
    pub fn run(
        &self,
        path: &Path,
        how: &ReportArgs,
        reporter: &mut Reporter,
        interrupt: &Interrupt,
        messages: &OutputArgs,
    ) -> Result<Exit> {
        let sections = self.parse(path)?;
        let output = how.open()?;
        let mut all = Made::default();
        all.report.title = format!("Evaluation by {}", path.display());
        let mut gates = Vec::new();
        for (name, what) in sections {
            reporter.say(&format!("section {name}"));
            let made = what.make(reporter, interrupt)?;
            how.write(&made, &self.output.join(&name))?;
            let mut part = made.report;
            gates.push((what, part.clone()));
            for table in &mut part.tables {
                table.title = format!("{name}: {}", table.title);
            }
            for chart in &mut part.charts {
                chart.title = format!("{name}: {}", chart.title);
                chart.name = format!("{name}-{}", chart.name);
            }
            all.report.tables.extend(part.tables);
            all.report.charts.extend(part.charts);
            all.report.notes.push(format!("{name}: {}", part.title));
            all.report.notes.extend(part.notes.into_iter().map(|n| format!("{name}: {n}")));
            all.report.figures.extend(part.figures.into_iter().map(|(k, v)| (format!("{name}.{k}"), v)));
        }
        how.write(&all, &self.output.join("all"))?;
        let exit = how.finish(&all, output, messages.json)?;
        for (what, report) in &gates {
            what.report().gates(report)?;
        }
        Ok(exit)
    }
}

/// The command line that a section stands for: `files` are positional, `true` is a flag, a list repeats its option.
fn arguments(run: &str, options: &toml::Table) -> Vec<String> {
    let mut out = vec!["eval".to_owned(), run.to_owned()];
    let mut positional = Vec::new();
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    for (key, value) in options {
        let values: Vec<String> = match value {
            Value::Array(list) => list.iter().map(text).collect(),
            one => vec![text(one)],
        };
        if key == "files" {
            positional.extend(values);
            continue;
        }
        let name = if key.len() == 1 { format!("-{key}") } else { format!("--{}", key.replace('_', "-")) };
        match value {
            Value::Boolean(true) => out.push(name),
            Value::Boolean(false) => {}
            _ => out.extend(values.into_iter().map(|v| if key.len() == 1 { format!("{name}{v}") } else { format!("{name}={v}") })),
        }
    }
    out.push("--".into());
    out.extend(positional);
    out
}

/// What clap says, without its usage lines.
fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said: Vec<&str> = text.lines().take_while(|l| !l.starts_with("Usage")).map(str::trim).filter(|l| !l.is_empty()).collect();
    said.join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(), String> {
        let recipe: EvalRecipe = toml::from_str(text).map_err(|e| e.to_string())?;
        recipe.parse(Path::new("r.toml")).map(|_| ()).map_err(|e| e.to_string())
    }

    #[test]
    fn keys_are_options_and_lists_repeat_them() {
        let options: toml::Table = toml::from_str("files = ['a', 'b']\nmin = ['x=1', 'y=-2']\nbaselines-only = true\nn = 4").unwrap();
        let mut line = arguments("rerank", &options);
        let at = line.iter().position(|a| a == "--").unwrap();
        assert_eq!(line.split_off(at), ["--", "a", "b"]);
        line.sort();
        assert_eq!(line, ["--baselines-only", "--min=x=1", "--min=y=-2", "-n4", "eval", "rerank"]);
    }

    #[test]
    fn unknown_keys_and_subcommands_are_named() {
        assert_eq!(parsed("output = 'o'\n[[section]]\nname = 'a'\nrun = 'rerank'\nfiles = ['x']"), Ok(()));
        let wrong = parsed("output = 'o'\n[[section]]\nname = 'a'\nrun = 'rerank'\nfiles = ['x']\nrewrd = 'y'").unwrap_err();
        assert!(wrong.contains("r.toml") && wrong.contains("\"a\"") && wrong.contains("rewrd") && wrong.contains("--reward"), "{wrong}");
        let wrong = parsed("output = 'o'\n[[section]]\nname = 'a'\nrun = 'rerunk'\nfiles = ['x']").unwrap_err();
        assert!(wrong.contains("rerunk"), "{wrong}");
        assert!(parsed("output = 'o'\ndefalts = 1\n[[section]]\nname = 'a'\nrun = 'rerank'").unwrap_err().contains("defalts"));
    }

    #[test]
    fn the_samples_are_recipes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/evaluations");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(files.len() >= 2);
        for file in files {
            let recipe = EvalRecipe::read(&file).unwrap();
            assert_eq!(recipe.parse(&file).unwrap().len(), recipe.sections.len());
        }
    }

    #[test]
    fn defaults_go_where_they_are_known() {
        let text = "output = 'o'\ndefaults = { n = 4, width = 2 }\n[[section]]\nname = 'a'\nrun = 'rerank'\nfiles = ['x']";
        assert_eq!(parsed(text), Ok(()), "rerank knows no width");
    }
}

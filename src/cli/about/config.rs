//! `config`: a file with the user's own defaults for the screens.
//!
//! Its keys are the long options of `inspect` and `watch`, and what it says stands where the command line says nothing. Commands that make figures or files never read it:
//! what they do is on their command line and in their recipes alone.

use crate::cli::console;
use crate::cli::exit::{Exit, Usage};
use anyhow::{Context, Result};
use clap::{Arg, ArgAction, Args, Command};
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

/// Subcommands that read the file; the program without a subcommand is `inspect`.
const COMMANDS: [&str; 2] = ["inspect", "watch"];
/// Options that belong to one call and have no place in a file.
const PER_CALL: [&str; 8] = ["help", "version", "json", "log", "problems", "train", "eval", "allow-code-execution"];

/// Arguments of `config`.
#[derive(Args, Debug)]
pub struct Config {
    /// Print where the file is looked for, and nothing else
    #[arg(long)]
    path: bool,
}

impl Config {
    pub(in crate::cli) fn run(self) -> Result<Exit> {
        let path = path(crate::cli::env);
        let text = match (self.path, &path) {
            (true, Some(path)) => format!("{}\n", path.display()),
            (true, None) => {
                return Err(Usage("there is no home directory to keep a configuration in; set REASONSCOPE_CONFIG".into()).into());
            }
            (false, _) => commented(&crate::cli::command()),
        };
        console::print(&text)?;
        Ok(Exit::Ok)
    }
}

/// Where the file is looked for: `REASONSCOPE_CONFIG`, else `reasonscope/config.toml` in `XDG_CONFIG_HOME` or `~/.config`.
fn path(env: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = || Some(set("HOME")?.join(".config"));
    set("REASONSCOPE_CONFIG").or_else(|| Some(set("XDG_CONFIG_HOME").or_else(home)?.join("reasonscope/config.toml")))
}

/// The options that the file may set, each once, with their names.
fn options(command: &Command) -> Vec<(&str, &Arg)> {
    let mut out: Vec<(&str, &Arg)> = Vec::new();
    for sub in COMMANDS.iter().filter_map(|name| command.find_subcommand(name)) {
        for arg in sub.get_arguments() {
            let Some(name) = arg.get_long().filter(|name| !PER_CALL.contains(name)) else { continue };
            if !out.iter().any(|o| o.0 == name) {
                out.push((name, arg));
            }
        }
    }
    out
}

/// A file with every key, its default and what it means; all of it is commented out.
fn commented(command: &Command) -> String {
    let mut out = String::from(
        "# Defaults for `reasonscope`, `reasonscope inspect` and `reasonscope watch`. Options on the command line stand before them.\n",
    );
    for (name, arg) in options(command) {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let default: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
        let takes = arg.get_action().takes_values();
        let value = match default.first() {
            _ if !takes => "false".into(),
            Some(value) if value.parse::<f64>().is_ok() => value.clone(),
            Some(value) => format!("{value:?}"),
            None => format!("{:?}", arg.get_value_names().and_then(|v| v.first()).map_or("VALUE", |v| v.as_str())),
        };
        let none = if takes && default.is_empty() { " (no default)" } else { "" };
        // Writing to a string does not fail.
        let _ = write!(out, "\n# {help}{none}\n# {name} = {value}\n");
    }
    out
}

/// The command line with what the file adds, put before what the user wrote; as it is where there is no file or the command reads none.
///
/// # Errors
/// The file cannot be read, is no TOML, or has a key or a value that does not fit; it is named with its remedy.
pub(in crate::cli) fn with_config(args: Vec<OsString>, command: &Command) -> Result<Vec<OsString>> {
    let named = crate::cli::env("REASONSCOPE_CONFIG").is_some_and(|v| !v.is_empty());
    let Some(path) = path(crate::cli::env).filter(|p| named || p.is_file()) else { return Ok(args) };
    let first = args.get(1).and_then(|a| a.to_str()).unwrap_or_default();
    let (name, words) = if COMMANDS.contains(&first) { (first, 2) } else { ("inspect", 1) };
    let other = !first.starts_with('-') && !first.is_empty() && words == 1;
    if other || ["--help", "-h", "--version", "-V"].contains(&first) {
        return Ok(args);
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let added = added(&text, name, &args[words.min(args.len())..], command).map_err(|e| Usage(format!("{}: {e}", path.display())))?;
    let mut out = args;
    let at = words.min(out.len());
    out.splice(at..at, added);
    Ok(out)
}

/// The options that a file gives to a command whose user wrote `given`.
pub(in crate::cli) fn added(text: &str, name: &str, given: &[OsString], command: &Command) -> Result<Vec<OsString>, String> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| e.to_string().trim().to_owned())?;
    let known = options(command);
    let own: Vec<&str> = command.find_subcommand(name).into_iter().flat_map(Command::get_arguments).filter_map(Arg::get_long).collect();
    let mut out = Vec::new();
    for (key, value) in &table {
        let plain = key.replace('_', "-");
        let Some((long, arg)) = known.iter().find(|k| k.0 == plain) else {
            let near = known.iter().map(|k| k.0).max_by(|a, b| strsim::jaro(a, &plain).total_cmp(&strsim::jaro(b, &plain)));
            return Err(format!(
                "there is no key {key:?}; the nearest is {:?} (`reasonscope config` lists them)",
                near.unwrap_or_default()
            ));
        };
        if !own.contains(long) || is_given(arg, long, given) {
            continue;
        }
        let values = match value {
            toml::Value::Array(all) => all.iter().collect(),
            one => vec![one],
        };
        for value in values {
            out.extend(option(long, arg, value)?);
        }
    }
    // A value that does not fit is the file's fault, and said to be; what the command needs besides is the user's to give.
    let line = ["reasonscope", name].map(OsString::from).into_iter().chain(out.iter().cloned());
    if let Err(error) = command.clone().try_get_matches_from(line)
        && error.use_stderr()
        && error.kind() != clap::error::ErrorKind::MissingRequiredArgument
    {
        return Err(error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned());
    }
    Ok(out)
}

/// Whether the user wrote the option.
fn is_given(arg: &Arg, long: &str, given: &[OsString]) -> bool {
    given.iter().filter_map(|g| g.to_str()).take_while(|g| *g != "--").any(|g| {
        let named = g.strip_prefix("--").is_some_and(|g| g.split('=').next() == Some(long));
        named || arg.get_short().is_some_and(|s| !g.starts_with("--") && g.strip_prefix('-').is_some_and(|g| g.starts_with(s)))
    })
}

/// A key and a value as words of a command line.
fn option(long: &str, arg: &Arg, value: &toml::Value) -> Result<Option<OsString>, String> {
    let flag = matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Count);
    match value {
        toml::Value::Boolean(set) if flag => Ok(set.then(|| format!("--{long}").into())),
        toml::Value::String(text) if !flag => Ok(Some(format!("--{long}={text}").into())),
        toml::Value::Integer(number) if !flag => Ok(Some(format!("--{long}={number}").into())),
        toml::Value::Float(number) if !flag => Ok(Some(format!("--{long}={number}").into())),
        _ => Err(format!("{long}: give {}", if flag { "true or false" } else { "a text or a number" })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, name: &str, given: &[&str]) -> Result<Vec<String>, String> {
        let given: Vec<OsString> = given.iter().map(OsString::from).collect();
        let out = added(text, name, &given, &crate::cli::command())?;
        Ok(out.into_iter().map(|w| w.into_string().unwrap()).collect())
    }

    #[test]
    fn the_printed_file_is_accepted_and_has_every_key() {
        let command = crate::cli::command();
        let text = commented(&command);
        for (name, arg) in options(&command) {
            assert!(text.contains(&format!("\n# {name} = ")), "{name}");
            if !arg.get_default_values().is_empty() || !arg.get_action().takes_values() {
                let line = text.lines().find_map(|l| l.strip_prefix("# ").filter(|l| l.starts_with(&format!("{name} = ")))).unwrap();
                let name = if command.find_subcommand("inspect").unwrap().get_arguments().any(|a| a.get_long() == Some(name)) {
                    "inspect"
                } else {
                    "watch"
                };
                words(line, name, &[]).unwrap_or_else(|e| panic!("{line}: {e}"));
            }
        }
        assert_eq!(words(&text, "inspect", &[]), Ok(Vec::new()), "all of it is commented out");
    }

    #[test]
    fn the_command_line_stands_before_the_file() {
        let file = "ascii = true\ntemperature = 0.5\naggregation = \"min\"\n";
        assert_eq!(words(file, "inspect", &[]).unwrap(), ["--aggregation=min", "--ascii", "--temperature=0.5"]);
        assert_eq!(words(file, "inspect", &["--temperature=1", "--aggregation", "sum"]).unwrap(), ["--ascii"]);
        assert_eq!(words("n = 3", "inspect", &["-n4"]), words("", "inspect", &[]), "a short option is one too");
        assert_eq!(words(file, "watch", &[]).unwrap(), ["--ascii"], "a run has no temperature");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |file: &str| words(file, "inspect", &[]).unwrap_err();
        assert!(error("temperatur = 1").contains("the nearest is \"temperature\""), "{}", error("temperatur = 1"));
        assert!(error("ascii = 1").contains("ascii: give true or false"));
        assert!(error("temperature = \"hot\"").contains("--temperature"), "{}", error("temperature = \"hot\""));
        assert!(error("= 1").contains("line 1"), "{}", error("= 1"));
    }

    #[test]
    fn the_place_follows_the_environment() {
        let at = |vars: &[(&str, &str)]| path(|n| vars.iter().find(|v| v.0 == n).map(|v| v.1.to_owned())).map(|p| p.display().to_string());
        assert_eq!(at(&[("HOME", "/h")]).as_deref(), Some("/h/.config/reasonscope/config.toml"));
        assert_eq!(at(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]).as_deref(), Some("/x/reasonscope/config.toml"));
        assert_eq!(at(&[("HOME", "/h"), ("REASONSCOPE_CONFIG", "/c.toml")]).as_deref(), Some("/c.toml"));
        assert_eq!(at(&[]), None);
    }
}

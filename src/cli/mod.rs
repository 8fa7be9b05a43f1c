//! Arguments, and one file a subcommand.

mod about;
pub mod args;
mod console;
mod convert;
mod data;
mod demonstrations;
mod eval;
pub mod exit;
mod export;
mod generate;
mod inspect;
mod interrupt;
pub mod log;
mod output;
mod outside;
mod progress;
mod readers;
mod score;
#[cfg(feature = "serve")]
mod serve;
mod train;
mod watch;

#[doc(hidden)]
pub use readers::{check_config, check_evaluation_recipe};

use crate::sandbox;
use anyhow::Result;
use args::OutputArgs;
use clap::{CommandFactory, Parser, Subcommand};
use exit::Exit;
use std::ffi::{OsStr, OsString};

/// The whole command line.
#[derive(Parser, Debug)]
#[command(
    name = "reasonscope",
    version,
    about = "Look into machine reasoning: stream chain-of-thought, colour each step by a learned reward, mark the first deviation, compare candidates",
    after_help = exit::HELP,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Train by a recipe; the same as `reasonscope train RECIPE`
    #[arg(long, value_name = "RECIPE", exclusive = true)]
    train: Option<std::path::PathBuf>,
    /// Make the reports of an evaluation; the same as `reasonscope eval RECIPE`
    #[arg(long, value_name = "RECIPE", exclusive = true)]
    eval: Option<std::path::PathBuf>,
    #[command(flatten)]
    live: inspect::LiveArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Open the inspector on recorded traces, or live on a model (this is what happens without a subcommand)
    Inspect(inspect::Inspect),
    /// Score recorded traces with a reward model
    Score(score::Score),
    /// Convert traces into other formats: data sets, tables, reports
    Convert(convert::Convert),
    /// Serve reward models over HTTP, for trainers and other programs
    #[cfg(feature = "serve")]
    Serve(serve::Serve),
    /// Sample candidates for problems
    Generate(generate::Generate),
    /// Write a reward model that was trained here so that Hugging Face transformers loads it
    Export(export::Export),
    /// Train by a recipe
    Train(train::Train),
    /// Print a recipe with every key, what it means and its default
    Recipe(about::recipe::ShowRecipe),
    /// Watch a training run: curves, newest rollouts coloured by reward, alarms
    Watch(watch::Watch),
    /// Evaluate: rerank, localise, pass@k, calibration, transfer, search, beside the baselines; live or on recorded candidates
    Eval(Box<eval::Eval>),
    /// Public data: list, fetch, join, and check graders against it
    Data(data::Data),
    /// List the themes
    Themes(about::themes::Themes),
    /// List the keys
    Keys(about::keys::Keys),
    /// Print completions for a shell
    Completions(about::completions::Completions),
    /// Print the manual page
    Man(about::man::Man),
    /// Print a configuration file for the screens with every key and its default, commented out
    Config(about::config::Config),
    /// Say what is found on this machine, and what to do about what is not
    Doctor(about::doctor::Doctor),
}

/// Reads the command line, does what it says, reports errors on standard error, and returns the exit.
pub fn main() -> Exit {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|a| a == sandbox::COMMAND) {
        // Started by this program, for one program of a model: no time to lose on the rest of the command line.
        return if sandbox::enter(args.next().as_deref().and_then(OsStr::to_str)) { Exit::Ok } else { Exit::Failed };
    }
    console::tell_panics();
    let args = match about::config::with_config(flags_last(with_subcommand(std::env::args_os())), &command()) {
        Ok(args) => args,
        Err(error) => {
            tell(&error, false);
            return exit::of(&error).unwrap_or(Exit::Failed);
        }
    };
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            console::usage(&error);
            return if error.exit_code() == 0 { Exit::Ok } else { Exit::Usage };
        }
    };
    let json = cli.output.json;
    let screen = matches!(cli.command, None | Some(Command::Inspect(_) | Command::Watch(_)));
    match log::start(&cli.output, screen).and_then(|()| run(cli)) {
        Ok(exit) => exit,
        Err(error) => match exit::of(&error) {
            None => Exit::Ok,
            Some(exit) => {
                tell(&error, json);
                exit
            }
        },
    }
}

/// `--train RECIPE …` as `train RECIPE …`, and `--eval` alike, so that the subcommand's options follow.
fn with_subcommand(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.collect();
    let Some(first) = args.get(1).and_then(|a| a.to_str()).map(str::to_owned) else { return args };
    for name in ["train", "eval"] {
        let Some(rest) = first.strip_prefix("--").and_then(|f| f.strip_prefix(name)) else { continue };
        if rest.is_empty() && args.len() > 2 {
            args[1] = name.into();
        } else if let Some(recipe) = rest.strip_prefix('=') {
            args.splice(1..2, [name.into(), recipe.into()]);
        }
    }
    args
}

/// `--json eval rerank FILE` and `eval --json rerank FILE` as `eval rerank FILE --json`: with `args_conflicts_with_subcommands`, clap takes the options that all
/// commands have for the default command's own.
fn flags_last(args: Vec<OsString>) -> Vec<OsString> {
    let (mut words, mut flags) = (Vec::new(), Vec::new());
    let mut rest = args.into_iter();
    while let Some(arg) = rest.next() {
        let text = arg.to_str().unwrap_or_default();
        let counted = text.strip_prefix('-').is_some_and(|v| !v.is_empty() && v.bytes().all(|b| b == b'v'));
        if counted || ["--json", "-q", "--quiet", "--verbose"].contains(&text) || text.starts_with("--log=") {
            flags.push(arg);
        } else if text == "--log" {
            flags.push(arg);
            flags.extend(rest.next());
        } else if text.starts_with('-') {
            words.append(&mut flags);
            words.push(arg);
            words.extend(rest);
            return words;
        } else {
            words.push(arg);
        }
    }
    words.append(&mut flags);
    words
}

/// Says an error on standard error.
fn tell(error: &anyhow::Error, json: bool) {
    let message = exit::message(error);
    tracing::error!(target: log::MESSAGES, "{message}");
    match json {
        true => console::tell_record(&serde_json::json!({ "event": "error", "message": message })),
        false => console::tell(&format!("reasonscope: {message}")),
    }
}

fn run(cli: Cli) -> Result<Exit> {
    let output = cli.output;
    match cli.command {
        None => inspect::Inspect::live(cli.live).run(),
        Some(Command::Inspect(command)) => command.run(),
        Some(Command::Score(command)) => command.run(&output),
        Some(Command::Convert(command)) => command.run(&output),
        #[cfg(feature = "serve")]
        Some(Command::Serve(command)) => command.run(&output),
        Some(Command::Generate(command)) => command.run(&output),
        Some(Command::Export(command)) => command.run(&output),
        Some(Command::Train(command)) => command.run(&output),
        Some(Command::Recipe(command)) => command.run(),
        Some(Command::Watch(command)) => command.run(&output),
        Some(Command::Eval(command)) => command.run(&output),
        Some(Command::Data(command)) => command.run(&output),
        Some(Command::Themes(command)) => command.run(&output),
        Some(Command::Keys(command)) => command.run(&output),
        Some(Command::Completions(command)) => command.run(),
        Some(Command::Man(command)) => command.run(),
        Some(Command::Config(command)) => command.run(),
        Some(Command::Doctor(command)) => command.run(&output),
    }
}

/// The command line as clap knows it, for completions and the manual page.
fn command() -> clap::Command {
    Cli::command()
}

/// A variable of the environment.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_arguments_open_the_live_inspector() {
        let cli = Cli::try_parse_from(["reasonscope"]).unwrap();
        assert!(cli.command.is_none() && cli.train.is_none());
        let cli = Cli::try_parse_from(["reasonscope", "-n", "4", "--temperature", "0.5"]).unwrap();
        assert_eq!(cli.live.sampling.n, 4);
    }

    #[test]
    fn what_all_commands_have_may_stand_before_them() {
        let moved = |line: &str| flags_last(line.split(' ').map(OsString::from).collect()).join(OsStr::new(" ")).into_string().unwrap();
        assert_eq!(moved("reasonscope --json eval -q rerank a b -n 2 --json"), "reasonscope eval rerank a b --json -q -n 2 --json");
        assert_eq!(moved("reasonscope score -o --json x"), "reasonscope score -o --json x");
        assert_eq!(moved("reasonscope score --json -- -q"), "reasonscope score --json -- -q");
        assert_eq!(moved("reasonscope --json -n 4"), "reasonscope --json -n 4");
        assert_eq!(moved("reasonscope -vv --log a eval --log=b rerank c"), "reasonscope eval rerank c -vv --log a --log=b");
        assert_eq!(moved("reasonscope -version"), "reasonscope -version");
        let parsed = |line: &str| Cli::try_parse_from(flags_last(line.split(' ').map(OsString::from).collect())).unwrap();
        for line in ["reasonscope --json eval --quiet rerank a.jsonl", "reasonscope -q doctor"] {
            let cli = parsed(line);
            assert!(cli.output.quiet && cli.command.is_some(), "{line}");
        }
        for line in ["reasonscope -v --log a doctor -v", "reasonscope doctor -vv --log a", "reasonscope -vv --log a"] {
            let cli = parsed(line);
            assert!(cli.output.verbose == 2 && cli.output.log.is_some(), "{line}");
        }
    }

    #[test]
    fn a_wrong_word_is_a_usage_error() {
        assert!(Cli::try_parse_from(["reasonscope", "inspct"]).is_err());
        assert!(Cli::try_parse_from(["reasonscope", "--train", "a.toml", "-n", "4"]).is_err());
        assert!(Cli::try_parse_from(["reasonscope", "score"]).is_err());
    }
}

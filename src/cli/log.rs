//! The log: what the program does, in a file of the user's choice or on standard error.

use super::args::OutputArgs;
use super::console;
use super::exit::Usage;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, Registry};

/// Variable that says what the log holds.
pub const VARIABLE: &str = "REASONSCOPE_LOG";
/// Of what people are told anyway: on standard error it would stand twice.
pub const MESSAGES: &str = "reasonscope::messages";

/// Begins the log that `args` asks for; without one, nothing is written and nothing is spent. `screen`: the command draws on the terminal, so the log
/// goes to a file alone.
pub fn start(args: &OutputArgs, screen: bool) -> Result<()> {
    if args.log.is_none() && args.verbose == 0 {
        return Ok(());
    }
    if screen && args.log.is_none() {
        return Err(Usage("-v would write over the screen; name a file for the log with --log FILE".into()).into());
    }
    let named = super::env(VARIABLE).filter(|f| !f.is_empty()).map(|f| filter(&f)).transpose()?;
    let level = |verbose| match verbose {
        0 | 1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let wanted = |verbose| named.clone().unwrap_or_else(|| Targets::new().with_target(env!("CARGO_PKG_NAME"), level(verbose)));
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
    let layer = || tracing_subscriber::fmt::layer().with_ansi(false).with_thread_names(true).log_internal_errors(false);
    if let Some(path) = &args.log {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("--log {}: cannot be written; name another file", path.display()))?;
        // A file is for whoever looks for a fault, so it says more.
        let file = Arc::new(file);
        layers.push(layer().with_writer(move || Safe(file.clone())).with_filter(wanted(args.verbose.max(2))).boxed());
    }
    if args.verbose > 0 && !screen {
        let told = filter_fn(|about: &Metadata<'_>| about.target() != MESSAGES);
        layers.push(layer().with_writer(|| Safe(io::stderr())).with_filter(wanted(args.verbose).and(told)).boxed());
    }
    tracing_subscriber::registry().with(layers).try_init().context("the log cannot begin")?;
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tracing::error!("{info}");
        before(info);
    }));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        os = std::env::consts::OS,
        arch = std::env::consts::ARCH,
        cores = std::thread::available_parallelism().map_or(0, usize::from),
        "begins"
    );
    Ok(())
}

/// Reads `LEVEL` or `ROOM=LEVEL,…`, where a room is a part of this program such as `hub` or `train`. Nobody else's events are let through: what the
/// libraries below say of requests is not checked for secrets.
fn filter(text: &str) -> Result<Targets> {
    let mut out = Targets::new();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (room, level) = part.split_once('=').unwrap_or(("", part));
        let level: LevelFilter = level.trim().parse().map_err(|_| {
            Usage(format!("{VARIABLE}: {part:?} is no filter; write a level (error, warn, info, debug, trace, off) or ROOM=LEVEL, such as info,hub=debug"))
        })?;
        let own = env!("CARGO_PKG_NAME");
        let room = room.trim().trim_start_matches(own).trim_start_matches("::");
        out = out.with_target(if room.is_empty() { own.to_owned() } else { format!("{own}::{room}") }, level);
    }
    Ok(out)
}

/// Makes text from elsewhere safe for a terminal, on standard error and in a file that is shown on one later: one line an event.
struct Safe<W>(W);

impl<W: Write> Write for Safe<W> {
    /// One whole event.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        writeln!(self.0, "{}", console::line(&String::from_utf8_lossy(event)))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        let lets = |text: &str, room: &str, level: tracing::Level| filter(text).unwrap().would_enable(room, &level);
        use tracing::Level;
        assert!(lets("debug", "reasonscope::hub::client", Level::DEBUG) && !lets("debug", "reasonscope::hub", Level::TRACE));
        assert!(lets("warn, hub=trace", "reasonscope::hub", Level::TRACE) && !lets("warn,hub=trace", "reasonscope::train", Level::INFO));
        assert!(lets("reasonscope::hub=info", "reasonscope::hub", Level::INFO) && !lets("hub=info", "reasonscope::train", Level::ERROR));
        assert!(!lets("trace", "hyper_util::client", Level::ERROR));
        let wrong = filter("hub=loud").unwrap_err().to_string();
        assert!(wrong.contains("hub=loud") && wrong.contains(VARIABLE), "{wrong}");
    }
}

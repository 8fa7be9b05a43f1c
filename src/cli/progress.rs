//! Progress on standard error: a bar on a terminal, plain lines elsewhere, JSON lines with `--json`.

use super::args::OutputArgs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time between two plain lines.
const PACE: Duration = Duration::from_secs(10);

/// Tells people, or a program that reads standard error, how the work goes on.
pub struct Reporter {
    json: bool,
    quiet: bool,
    bar: Option<ProgressBar>,
    what: String,
    said: Instant,
}

impl Reporter {
    /// A reporter for work on `what`, for example `candidates`.
    pub fn new(args: &OutputArgs, what: &str) -> Self {
        let bar = (!args.json && !args.quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(ProgressStyle::default_spinner());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { json: args.json, quiet: args.quiet, bar, what: what.into(), said: Instant::now() }
    }

    /// `done` of `total` are through; the total is not known while files are still read. `note` stands behind the numbers.
    pub fn progress(&mut self, done: u64, total: Option<u64>, note: &str) {
        if let Some(bar) = &self.bar {
            if let Some(total) = total.filter(|&t| bar.length() != Some(t)) {
                bar.set_length(total);
                if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {wide_msg} {eta:>6}") {
                    bar.set_style(style);
                }
            }
            bar.set_position(done);
            let count = if total.is_none() { format!("{done} ") } else { String::new() };
            bar.set_message(format!("{count}{} {note}", self.what));
        } else if !self.quiet && self.said.elapsed() >= PACE {
            self.said = Instant::now();
            let of = total.map(|t| format!(" of {t}")).unwrap_or_default();
            if self.json {
                self.record(serde_json::json!({ "event": "progress", "done": done, "total": total, "note": note }));
            } else {
                self.text(&format!("{done}{of} {} {note}", self.what));
            }
        }
    }

    /// What goes on before there is anything to count.
    pub fn status(&mut self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_string());
        }
    }

    /// Something that did not stop the work but that people must know; shown even with `--quiet`.
    pub fn warn(&mut self, message: &str) {
        if self.json {
            self.record(serde_json::json!({ "event": "warning", "message": message }));
        } else {
            self.text(&format!("warning: {message}"));
        }
    }

    /// A closing line for people.
    pub fn say(&mut self, message: &str) {
        if !self.json && !self.quiet {
            self.text(message);
        }
    }

    /// A closing record for programs; shown with `--json` only.
    pub fn record(&mut self, record: serde_json::Value) {
        if self.json {
            self.text(&record.to_string());
        }
    }

    fn text(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| to_stderr(line)),
            None => to_stderr(line),
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Nothing can be said about a standard error that cannot be written.
fn to_stderr(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

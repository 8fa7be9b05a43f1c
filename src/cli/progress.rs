//! Progress on standard error: a bar on a terminal, plain lines elsewhere, JSON lines with `--json`.

use super::args::OutputArgs;
use super::console;
use super::log::MESSAGES;
use crate::collection::Listener;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two plain lines.
const PACE: Duration = Duration::from_secs(10);
/// Cells of a bar.
const BAR: usize = 16;

/// What a line of progress says of training, in this order, and how it is put where there is little room.
const TOLD: &[(&str, &str)] = &[
    ("loss", "loss"),
    ("reward", "reward"),
    ("pass@1", "pass@1"),
    ("pass@10", "pass@10"),
    ("mean_token_accuracy", "accuracy"),
    ("disc_loss", "disc"),
    ("disc_acc_expert", "expert"),
    ("disc_acc_gen", "gen"),
    ("entropy", "entropy"),
    ("kl", "kl"),
    ("completions/mean_length", "length"),
    ("policy_loss", "policy"),
    ("completions/clipped_ratio", "clipped"),
    ("grad_norm", "grad"),
    ("tokens_per_second", "tok/s"),
];

/// The metrics that people want to follow: short names, as many as fit into `room` cells, or all with their own names.
pub fn metrics_note(values: &Map<String, Value>, room: Option<usize>) -> String {
    let mut note = String::new();
    for (name, short) in TOLD {
        let Some(value) = values.get(*name).and_then(Value::as_f64) else { continue };
        let name = if room.is_some() { short } else { name };
        let part = if value.abs() >= 1000.0 { format!("{name} {value:.0}") } else { format!("{name} {value:.3}") };
        let gap = if note.is_empty() { "" } else { "  " };
        if room.is_some_and(|room| note.len() + gap.len() + part.len() > room) {
            break;
        }
        note = note + gap + &part;
    }
    note
}

/// Tells people, or a program that reads standard error, how the work goes on.
pub struct Reporter {
    json: bool,
    quiet: bool,
    bar: Option<ProgressBar>,
    what: String,
    said: Instant,
    stage: String,
    /// When the stage began to count, and at what.
    began: Option<(Instant, u64)>,
}

impl Reporter {
    /// A reporter for work on `what`, for example `candidates`.
    pub fn new(args: &OutputArgs, what: &str) -> Self {
        // The log on standard error and a bar would write over each other.
        let bar = (!args.json && !args.quiet && args.verbose == 0 && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(ProgressStyle::default_spinner());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { json: args.json, quiet: args.quiet, bar, what: what.into(), said: Instant::now(), stage: String::new(), began: None }
    }

    /// What follows is counted anew, under this name.
    pub fn stage(&mut self, name: &str) {
        if self.stage != name {
            self.stage = name.into();
            self.began = None;
        }
    }

    /// Cells of a bar's line that are left for a note; `None` where lines may have any length.
    pub fn room(&self, total: usize) -> Option<usize> {
        let width = self.bar.is_some().then(crossterm::terminal::size)?.map_or(80, |size| usize::from(size.0));
        Some(width.saturating_sub(BAR + 2 * total.to_string().len() + 10))
    }

    /// `done` of `total` are through; the total is not known while files are still read. `note` stands behind the numbers.
    pub fn progress(&mut self, done: u64, total: Option<u64>, note: &str) {
        let fresh = self.began.is_none();
        let (start, first) = *self.began.get_or_insert_with(|| (Instant::now(), done));
        if let Some(bar) = &self.bar {
            if fresh {
                // What an earlier call did says nothing about how fast this one is.
                bar.set_position(done);
                bar.reset_eta();
            }
            if let Some(total) = total.filter(|&t| bar.length() != Some(t)) {
                bar.set_length(total);
                if let Ok(style) = ProgressStyle::with_template("{bar:16} {pos}/{len} {wide_msg} {eta:>6}") {
                    bar.set_style(style);
                }
            }
            bar.set_position(done);
            let count = if total.is_none() { format!("{done} ") } else { String::new() };
            bar.set_message(console::line(&format!("{count}{} {note}", self.what)));
        } else if !self.quiet && self.said.elapsed() >= PACE {
            self.said = Instant::now();
            let of = total.map(|t| format!(" of {t}")).unwrap_or_default();
            let left =
                total.filter(|t| done > first && *t > done).map(|t| start.elapsed().mul_f64((t - done) as f64 / (done - first) as f64));
            if self.json {
                let left = left.map(|l| l.as_secs());
                self.record(serde_json::json!({ "event": "progress", "done": done, "total": total, "note": note, "seconds_left": left }));
            } else {
                let left = left.map(|l| format!("  {:#} left", HumanDuration(l))).unwrap_or_default();
                self.text(&format!("{done}{of} {} {note}{left}", self.what));
            }
        }
    }

    /// What goes on before there is anything to count.
    pub fn status(&mut self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(console::line(message));
        }
    }

    /// Something that did not stop the work but that people must know; shown even with `--quiet`.
    pub fn warn(&mut self, message: &str) {
        tracing::warn!(target: MESSAGES, "{message}");
        if self.json {
            self.record(serde_json::json!({ "event": "warning", "message": message }));
        } else {
            self.text(&format!("warning: {message}"));
        }
    }

    /// How many bad records were passed over, where there are some.
    pub fn skipped(&mut self, records: usize) {
        match records {
            0 => {}
            1 => self.warn("1 bad record was skipped"),
            n => self.warn(&format!("{n} bad records were skipped")),
        }
    }

    /// A closing line for people.
    pub fn say(&mut self, message: &str) {
        tracing::info!(target: MESSAGES, "{message}");
        if !self.json && !self.quiet {
            self.text(message);
        }
    }

    /// A closing record for programs; shown with `--json` only.
    pub fn record(&mut self, record: serde_json::Value) {
        if self.json {
            self.say_with(|| console::tell_record(&record));
        }
    }

    fn text(&self, line: &str) {
        self.say_with(|| console::tell(line));
    }

    fn say_with(&self, tell: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(tell),
            None => tell(),
        }
    }
}

impl Listener for Reporter {
    fn warn(&mut self, message: &str) {
        Reporter::warn(self, message);
    }
    fn say(&mut self, message: &str) {
        Reporter::say(self, message);
    }
    fn status(&mut self, message: &str) {
        Reporter::status(self, message);
    }
    fn progress(&mut self, done: u64, total: Option<u64>, note: &str) {
        Reporter::progress(self, done, total, note);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_say_what_fits() {
        let values = serde_json::json!({ "tokens_per_second": 12345.6, "reward": -0.25, "pass@1": 0.5, "grad_norm": null, "labels": 7 });
        let Value::Object(values) = values else { panic!() };
        assert_eq!(metrics_note(&values, None), "reward -0.250  pass@1 0.500  tokens_per_second 12346");
        assert_eq!(metrics_note(&values, Some(80)), "reward -0.250  pass@1 0.500  tok/s 12346");
        assert_eq!(metrics_note(&values, Some(28)), "reward -0.250  pass@1 0.500");
        assert_eq!(metrics_note(&values, Some(27)), "reward -0.250  pass@1 0.500");
        assert_eq!(metrics_note(&values, Some(26)), "reward -0.250");
        assert_eq!(metrics_note(&values, Some(0)), "");
    }
}

//! `watch RUN`: a training run in the terminal, or in a few lines where there is none.

use super::args::{OutputArgs, ScreenArgs};
use super::console::{self, line};
use super::exit::{self, Exit};
use crate::run::{RunChanges, RunReader, RunState};
use crate::tui;
use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Arguments of `watch`.
#[derive(Args, Debug)]
pub struct Watch {
    /// The folder of a running or a finished run: the recipe's `output`. Without a terminal, or with --json, its state is printed
    #[arg(value_name = "RUN")]
    run: PathBuf,
    #[command(flatten)]
    screen: ScreenArgs,
}

impl Watch {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let mut run = RunReader::open(&self.run)?;
        let changes = run.poll()?;
        let name = self.run.canonicalize().ok().and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()));
        let name = name.unwrap_or_else(|| self.run.display().to_string());
        if messages.json || !std::io::stdout().is_terminal() {
            let mut history = tui::History::default();
            changes.lines.iter().for_each(|line| history.take(line));
            match messages.json {
                true => console::print_record(&record(&name, &history, &changes))?,
                false => console::print(&summary(&name, &history, &changes)?)?,
            }
            return Ok(Exit::Ok);
        }
        let options = tui::WatchOptions {
            name,
            theme: self.screen.theme.unwrap_or_else(|| tui::DEFAULT_THEME.to_string()),
            theme_dirs: super::about::themes::directories(),
            depth: self.screen.color.depth(),
            ascii: self.screen.ascii || !tui::Glyphs::locale_is_utf8(super::env),
        };
        Ok(match tui::watch(&options, run, changes)? {
            tui::ExitReason::Quit => Exit::Ok,
            tui::ExitReason::Signal(signal) => {
                exit::ended_by(signal);
                Exit::Interrupted
            }
        })
    }
}

/// Where a run stands, for programs.
fn record(name: &str, history: &tui::History, changes: &RunChanges) -> Value {
    let stages: Vec<Value> = history
        .stages()
        .iter()
        .map(|s| {
            let metrics: serde_json::Map<String, Value> = s.series.iter().map(|m| (m.name.clone(), json!(m.last()))).collect();
            json!({ "stage": s.name, "step": s.step, "steps": s.steps, "time": s.time, "seconds_left": s.seconds_left(), "metrics": metrics })
        })
        .collect();
    let alarms: Vec<Value> = history
        .alarms()
        .iter()
        .map(|a| json!({ "alarm": a.name, "stage": a.stage, "step": a.step, "since": a.since, "cleared": a.cleared, "message": a.message }))
        .collect();
    json!({ "run": name, "state": changes.state, "stages": stages, "alarms": alarms, "unreadable": changes.notes })
}

/// Where a run stands: its stages with their newest metrics, its alarms, what could not be read.
fn summary(name: &str, history: &tui::History, changes: &RunChanges) -> Result<String> {
    let name = line(name);
    let mut text = changes.state.map_or_else(|| format!("{name}\n"), |s| format!("{name}: {}\n", s.name()));
    for s in history.stages() {
        let left =
            s.seconds_left().filter(|_| changes.state == Some(RunState::Running)).map(|t| format!(", {:.0} s left", t)).unwrap_or_default();
        writeln!(text, "{} {} of {}{left}", line(&s.name), s.step, s.steps)?;
        let width = s.series.iter().map(|m| m.name.len()).max().unwrap_or(0);
        for m in &s.series {
            writeln!(text, "  {:width$}  {}", line(&m.name), m.last())?;
        }
    }
    for a in history.alarms() {
        let state = a.cleared.map_or("stands".into(), |step| format!("cleared at {step}"));
        writeln!(text, "{}", line(&format!("alarm {} at {} step {} ({state}): {}", a.name, a.stage, a.step, a.message)))?;
    }
    for note in &changes.notes {
        writeln!(text, "unreadable: {}", line(note))?;
    }
    Ok(text)
}

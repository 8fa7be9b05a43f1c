//! What `doctor` finds, and how it is shown.

use crate::cli::console::line;
use std::fmt::Write as _;

/// One thing looked at.
pub(super) struct Finding {
    area: &'static str,
    name: String,
    pub state: State,
    found: String,
    pub remedy: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Fine,
    /// Not there, and not needed for the main job.
    Absent,
    /// Something the user asked for does not work.
    Broken,
}

impl Finding {
    pub(super) fn new(area: &'static str, name: impl Into<String>, state: State, found: impl Into<String>) -> Self {
        Self { area, name: name.into(), state, found: found.into(), remedy: None }
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl Finding {
    pub(super) fn remedy_if_absent(self, remedy: &str) -> Self {
        if self.state == State::Fine { self } else { self.remedy(remedy) }
    }
}

pub(super) fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut area = "";
    let width = findings.iter().map(|f| f.name.chars().count()).max().unwrap_or(0).min(24);
    for f in findings {
        if f.area != area {
            area = f.area;
            let _ = writeln!(text, "{area}");
        }
        let mark = match f.state {
            State::Fine => "ok",
            State::Absent => "--",
            State::Broken => "!!",
        };
        let _ = writeln!(text, "  {mark}  {:width$}  {}", line(&f.name), line(&f.found));
        if let Some(remedy) = &f.remedy {
            let _ = writeln!(text, "      {:width$}  {}", "", line(remedy));
        }
    }
    text
}

pub(super) fn as_json(findings: &[Finding]) -> serde_json::Value {
    findings
        .iter()
        .map(|f| {
            let state = match f.state {
                State::Fine => "ok",
                State::Absent => "absent",
                State::Broken => "broken",
            };
            serde_json::json!({ "area": f.area, "name": f.name, "state": state, "found": f.found, "remedy": f.remedy })
        })
        .collect()
}

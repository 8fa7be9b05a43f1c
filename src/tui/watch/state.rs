//! The state of the screen that watches a run, and the only place where it changes.

use super::history::{History, Series, StageHistory};
use crate::run::{RunChanges, RunSample, RunState};
use crate::tui::action::{Command, Effect};
use crate::tui::keymap::Context;
use crate::tui::theme::DEFAULT_THEME;
use ratatui::layout::Rect;
use std::collections::BTreeSet;

/// Notes kept.
const NOTES: usize = 3;

/// A part of the screen that keys can go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Curves,
    Rollouts,
    Alarms,
}

/// What lies over the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Overlay {
    Help {
        scroll: usize,
    },
    /// The choice of curves; the one under the cursor.
    Choice {
        at: usize,
    },
}

/// Where everything is; made by the view before it draws.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub title: Rect,
    pub stages: Rect,
    pub curves: Rect,
    pub rollouts: Rect,
    pub alarms: Rect,
    pub status: Rect,
    /// Curves side by side, and rows of them on screen.
    pub grid: (usize, usize),
}

#[derive(Clone, Debug, Default)]
pub(super) struct WatchState {
    /// The run's name.
    pub name: String,
    pub history: History,
    pub samples: Vec<RunSample>,
    /// Whether the run is at work, where that can be said.
    pub run_state: Option<RunState>,
    /// What could not be read.
    pub notes: Vec<String>,
    pub focus: Pane,
    /// The pane with the keys has the screen to itself.
    pub alone: bool,
    /// The stage whose curves are shown; `None`: the one that reported last.
    pub stage: Option<String>,
    /// Curves that are not drawn.
    pub hidden: BTreeSet<String>,
    pub rough: bool,
    /// First row of curves, first line of the rollouts and of the alarms.
    pub top: [usize; 3],
    /// Rows or lines that there are, and that fit.
    pub extent: [(usize, usize); 3],
    /// The problem whose rollouts are shown.
    pub sample: usize,
    pub overlay: Option<Overlay>,
    /// Said until the next key.
    pub hint: Option<String>,
    pub pending: String,
    /// Seconds since 1970.
    pub now: f64,
    pub themes: Vec<String>,
    pub theme: String,
    pub layout: Layout,
}

impl WatchState {
    /// Where the keys go.
    pub fn context(&self) -> Context {
        match self.overlay {
            None => Context::Watch,
            Some(Overlay::Help { .. }) => Context::Page,
            Some(Overlay::Choice { .. }) => Context::Curves,
        }
    }

    /// What has changed in the run's folder.
    pub fn take(&mut self, changes: RunChanges) {
        if changes.anew {
            self.history = History::default();
        }
        changes.lines.iter().for_each(|line| self.history.take(line));
        if let Some(samples) = changes.samples {
            self.samples = samples;
            self.sample = self.sample.min(self.samples.len().saturating_sub(1));
        }
        self.run_state = changes.state.or(self.run_state);
        self.notes.extend(changes.notes);
        let surplus = self.notes.len().saturating_sub(NOTES);
        self.notes.drain(..surplus);
    }

    /// The stage whose curves are shown.
    pub fn shown(&self) -> Option<(usize, &StageHistory)> {
        let stages = self.history.stages();
        let named = self.stage.as_ref().and_then(|name| stages.iter().position(|s| s.name == *name));
        let at = named.or_else(|| self.history.newest())?;
        stages.get(at).map(|s| (at, s))
    }

    /// The curves that are drawn.
    pub fn curves(&self) -> Vec<&Series> {
        let all = self.shown().map_or(&[][..], |s| s.1.series.as_slice());
        all.iter().filter(|s| !self.hidden.contains(&s.name)).collect()
    }

    /// Carries out a command.
    pub fn run(&mut self, command: Command, count: Option<usize>) -> Vec<Effect> {
        self.hint = None;
        self.pending.clear();
        let times = count.unwrap_or(1);
        match command {
            Command::QuitNow => return vec![Effect::Quit],
            Command::Suspend => return vec![Effect::Suspend],
            Command::Redraw => return vec![Effect::Redraw],
            Command::CycleTheme => return self.next_theme(),
            _ => {}
        }
        match self.overlay.take() {
            Some(Overlay::Help { scroll }) => self.overlay = help(scroll, command, times),
            Some(Overlay::Choice { at }) => self.choose(at, command, count),
            None => return self.pane(command, count),
        }
        Vec::new()
    }

    fn pane(&mut self, command: Command, count: Option<usize>) -> Vec<Effect> {
        let times = count.unwrap_or(1);
        let page = self.extent[self.focus as usize].1.max(1);
        match command {
            Command::Quit => return vec![Effect::Quit],
            Command::Help => self.overlay = Some(Overlay::Help { scroll: 0 }),
            Command::ChooseCurves => self.overlay = Some(Overlay::Choice { at: 0 }),
            Command::ToggleSmooth => self.rough = !self.rough,
            Command::Enter => self.alone = !self.alone,
            Command::Back => self.alone = false,
            Command::NextPane => {
                self.focus = match self.focus {
                    Pane::Curves => Pane::Rollouts,
                    Pane::Rollouts => Pane::Alarms,
                    Pane::Alarms => Pane::Curves,
                }
            }
            Command::Down => self.scroll(times as i64),
            Command::Up => self.scroll(-(times as i64)),
            Command::HalfDown => self.scroll((page as i64 / 2).max(1)),
            Command::HalfUp => self.scroll(-(page as i64 / 2).max(1)),
            Command::First => self.top[self.focus as usize] = count.unwrap_or(1) - 1,
            Command::Last => self.top[self.focus as usize] = count.map_or(usize::MAX, |n| n - 1),
            Command::Right => self.turn(times as i64),
            Command::Left => self.turn(-(times as i64)),
            Command::NextTrace => self.problem(times as i64),
            Command::PreviousTrace => self.problem(-(times as i64)),
            _ => {}
        }
        Vec::new()
    }

    /// Scrolls the pane with the keys; the view keeps it within what there is.
    fn scroll(&mut self, by: i64) {
        let top = &mut self.top[self.focus as usize];
        *top = top.saturating_add_signed(by as isize);
    }

    /// The wheel turned over a cell.
    pub fn wheel(&mut self, x: u16, y: u16, by: i64) {
        let l = &self.layout;
        let panes = [(l.curves, Pane::Curves), (l.rollouts, Pane::Rollouts), (l.alarms, Pane::Alarms)];
        if let Some(Overlay::Help { scroll }) = &mut self.overlay {
            *scroll = scroll.saturating_add_signed(by as isize);
        } else if let Some((_, pane)) = panes.into_iter().find(|p| p.0.contains((x, y).into())) {
            self.focus = pane;
            self.scroll(if pane == Pane::Curves { by.signum() } else { by });
        }
    }

    fn turn(&mut self, by: i64) {
        let Some((at, _)) = self.shown() else { return };
        let stages = self.history.stages();
        let to = at.saturating_add_signed(by as isize).min(stages.len() - 1);
        // The last place follows the run from stage to stage.
        self.stage = (Some(to) != self.history.newest()).then(|| stages[to].name.clone());
        self.top[Pane::Curves as usize] = 0;
    }

    fn problem(&mut self, by: i64) {
        self.sample = self.sample.saturating_add_signed(by as isize).min(self.samples.len().saturating_sub(1));
        self.top[Pane::Rollouts as usize] = 0;
    }

    fn choose(&mut self, mut at: usize, command: Command, count: Option<usize>) {
        let times = count.unwrap_or(1);
        let names: Vec<String> = self.shown().map(|s| s.1.series.iter().map(|s| s.name.clone()).collect()).unwrap_or_default();
        let last = names.len().saturating_sub(1);
        match command {
            Command::Down => at = at.saturating_add(times),
            Command::Up => at = at.saturating_sub(times),
            Command::First => at = count.unwrap_or(1) - 1,
            Command::Last => at = count.map_or(last, |n| n - 1),
            Command::ToggleCurve => {
                if let Some(name) = names.get(at)
                    && !self.hidden.remove(name)
                {
                    self.hidden.insert(name.clone());
                }
            }
            Command::Enter => {
                let alone = names.iter().filter(|n| !self.hidden.contains(*n)).count() == 1;
                match names.get(at) {
                    Some(name) if !alone || self.hidden.contains(name) => {
                        self.hidden = names.iter().filter(|n| *n != name).cloned().collect();
                    }
                    _ => self.hidden.clear(),
                }
            }
            Command::Back | Command::Quit | Command::ChooseCurves => return,
            _ => {}
        }
        self.top[Pane::Curves as usize] = 0;
        self.overlay = Some(Overlay::Choice { at: at.min(last) });
    }

    fn next_theme(&mut self) -> Vec<Effect> {
        let at = self.themes.iter().position(|t| *t == self.theme).map_or(0, |i| (i + 1) % self.themes.len().max(1));
        self.theme = self.themes.get(at).cloned().unwrap_or_else(|| DEFAULT_THEME.to_string());
        self.hint = Some(format!("theme: {}", self.theme));
        vec![Effect::Theme(self.theme.clone())]
    }
}

fn help(scroll: usize, command: Command, times: usize) -> Option<Overlay> {
    let scroll = match command {
        Command::Down => scroll.saturating_add(times),
        Command::Up => scroll.saturating_sub(times),
        Command::HalfDown => scroll.saturating_add(10),
        Command::HalfUp => scroll.saturating_sub(10),
        Command::First => 0,
        Command::Last => usize::MAX / 2,
        Command::Back | Command::Quit | Command::Help => return None,
        _ => scroll,
    };
    Some(Overlay::Help { scroll })
}

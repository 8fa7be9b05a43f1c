//! The inspector without a terminal: keys in, frames and effects out.

mod session;

pub use session::run;

use crate::tui::action::{Action, Effect};
use crate::tui::keymap::{Key, Keymap};
use crate::tui::source::Report;
use crate::tui::state::State;
use crate::tui::theme::{ASCII, Theme, ThemeError, ThemeInfo, UNICODE, themes};
use crate::tui::{Grade, Options, Settings, update, view};
use crossterm::event::{Event, MouseButton, MouseEventKind};
use ratatui::Frame;
use std::path::PathBuf;

/// State, keys and theme in one: what the event loop drives, and what tests and benchmarks drive without a terminal.
pub struct Inspector {
    state: State,
    keymap: Keymap,
    theme: Theme,
    dirs: Vec<PathBuf>,
    dirty: bool,
    /// What the last drawing asks for.
    wants: Vec<Effect>,
}

impl Inspector {
    /// The state of a fresh start. `models`: whether models' threads are there.
    pub fn new(options: &Options) -> Result<Self, ThemeError> {
        let glyphs = if options.ascii { ASCII } else { UNICODE };
        let theme = Theme::load(&options.theme, &options.theme_dirs, options.depth, glyphs)?;
        let names = themes(&options.theme_dirs).into_iter().map(|t: ThemeInfo| t.name).collect();
        let mut state = State::new(options.settings.clone(), options.models.is_some(), options.grade.clone(), names);
        state.theme.clone_from(&theme.name);
        state.open_first = options.open_first;
        state.segmentation = options.segmentation.clone();
        state.labels.clone_from(&options.labels);
        options.notes.iter().for_each(|n| state.note(n.clone()));
        Ok(Self { state, keymap: Keymap::new(), theme, dirs: options.theme_dirs.clone(), dirty: true, wants: Vec::new() })
    }

    /// Takes something that the terminal says.
    pub fn terminal(&mut self, event: Event) -> Vec<Effect> {
        let action = match event {
            Event::Key(event) => Key::from_event(event).and_then(|key| self.keymap.press(key, self.state.context())),
            Event::Paste(text) => Some(Action::Paste(text)),
            Event::Resize(w, h) => Some(Action::Resize(w, h)),
            Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => Some(Action::Click(mouse.column, mouse.row)),
                MouseEventKind::ScrollDown => Some(Action::Wheel(mouse.column, mouse.row, 3)),
                MouseEventKind::ScrollUp => Some(Action::Wheel(mouse.column, mouse.row, -3)),
                _ => None,
            },
            Event::FocusGained | Event::FocusLost => None,
        };
        action.map(|a| self.act(a)).unwrap_or_default()
    }

    /// Takes anything that happens.
    pub fn act(&mut self, action: Action) -> Vec<Effect> {
        // Time alone changes the screen only where something moves.
        self.dirty |= !matches!(action, Action::Tick(_)) || self.state.moves();
        let mut effects = update::update(&mut self.state, action);
        let mut errors = Vec::new();
        effects.retain(|e| {
            let Effect::Theme(name) = e else { return true };
            match Theme::load(name, &self.dirs, self.theme.depth, self.theme.glyphs) {
                Ok(theme) => self.theme = theme,
                Err(e) => errors.push(e.to_string()),
            }
            false
        });
        for error in errors {
            effects.extend(update::update(&mut self.state, Action::Report(Report::Failed(error))));
        }
        effects
    }

    /// Whether the screen no longer shows the state.
    pub fn dirty(&self) -> bool {
        self.dirty
    }

    /// Whether something moves on the screen by itself, so that it wants a tick now and then.
    pub fn moves(&self) -> bool {
        self.state.moves()
    }

    /// Draws the state, fitted to the frame; see [`Inspector::wants`].
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let wants = update::update(&mut self.state, Action::Fit(frame.area()));
        self.wants.extend(wants);
        view::draw(&self.state, &self.theme, frame);
        self.dirty = false;
    }

    /// What the last drawing asks for: rows and traces that are on screen and not read yet.
    pub fn wants(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.wants)
    }

    /// How rewards are read and candidates are sampled, now.
    pub fn settings(&self) -> &Settings {
        &self.state.settings
    }

    /// How the grader was set, for a second inspector over the same task.
    pub fn grade(&self) -> Option<Grade> {
        self.state.grade.clone()
    }
}

//! The screen that watches a training run.

mod history;
mod panes;
mod plot;
mod session;
mod state;
mod view;

pub use history::{History, SeenAlarm, Series, StageHistory};
pub use session::watch;

use super::action::{Action, Effect};
use super::keymap::{Key, Keymap};
use super::theme::{ASCII, ColorDepth, Theme, ThemeError, UNICODE, themes};
use crate::run::RunChanges;
use crossterm::event::{Event, MouseEventKind};
use ratatui::Frame;
use state::WatchState;
use std::path::PathBuf;

/// What is watched and how it looks.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// The run's name.
    pub name: String,
    /// Name of a theme, or a file that ends in `.toml`.
    pub theme: String,
    /// Directories with the user's themes.
    pub theme_dirs: Vec<PathBuf>,
    /// Colours of the terminal.
    pub depth: ColorDepth,
    /// Draw with ASCII only.
    pub ascii: bool,
}

/// State, keys and theme of the screen, without a terminal: keys and changes in, frames and effects out.
pub struct WatchScreen {
    state: WatchState,
    keymap: Keymap,
    theme: Theme,
    dirs: Vec<PathBuf>,
    dirty: bool,
}

impl WatchScreen {
    /// A screen that knows nothing of the run yet.
    pub fn new(options: &WatchOptions) -> Result<Self, ThemeError> {
        let glyphs = if options.ascii { ASCII } else { UNICODE };
        let theme = Theme::load(&options.theme, &options.theme_dirs, options.depth, glyphs)?;
        let themes = themes(&options.theme_dirs).into_iter().map(|t| t.name).collect();
        let state = WatchState { name: options.name.clone(), themes, theme: theme.name.clone(), ..WatchState::default() };
        Ok(Self { state, keymap: Keymap::new(), theme, dirs: options.theme_dirs.clone(), dirty: true })
    }

    /// Takes what has changed in the run's folder.
    pub fn take(&mut self, changes: RunChanges) {
        self.state.take(changes);
        self.dirty = true;
    }

    /// Time went on; in seconds since 1970. Only whole seconds show.
    pub fn tick(&mut self, now: f64) {
        self.dirty |= now.floor() != self.state.now.floor();
        self.state.now = now;
    }

    /// Takes something that the terminal says.
    pub fn terminal(&mut self, event: Event) -> Vec<Effect> {
        self.dirty = true;
        let action = match event {
            Event::Key(event) => Key::from_event(event).and_then(|key| self.keymap.press(key, self.state.context())),
            Event::Mouse(mouse) => {
                match mouse.kind {
                    MouseEventKind::ScrollDown => self.state.wheel(mouse.column, mouse.row, 3),
                    MouseEventKind::ScrollUp => self.state.wheel(mouse.column, mouse.row, -3),
                    _ => {}
                }
                None
            }
            _ => None,
        };
        let mut effects = match action {
            Some(Action::Run(command, count)) => self.state.run(command, count),
            Some(Action::Pending(keys)) => {
                self.state.pending = keys;
                Vec::new()
            }
            _ => Vec::new(),
        };
        effects.retain(|effect| {
            let Effect::Theme(name) = effect else { return true };
            match Theme::load(name, &self.dirs, self.theme.depth, self.theme.glyphs) {
                Ok(theme) => self.theme = theme,
                Err(e) => self.state.hint = Some(e.to_string()),
            }
            false
        });
        effects
    }

    /// Whether the screen no longer shows the state.
    pub fn dirty(&self) -> bool {
        self.dirty
    }

    /// Draws the state.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        view::prepare(&mut self.state, frame.area());
        view::draw(&self.state, &self.theme, frame);
        self.dirty = false;
    }
}

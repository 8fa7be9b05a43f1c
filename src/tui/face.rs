//! The face without a terminal: keys in, frames and effects out.

use super::action::{Action, Effect};
use super::keymap::{Key, Keymap};
use super::state::State;
use super::theme::{ASCII, Theme, ThemeError, ThemeInfo, UNICODE, themes};
use super::{Grade, Options, Settings, update, view};
use crossterm::event::{Event, MouseButton, MouseEventKind};
use ratatui::Frame;
use std::path::PathBuf;

/// State, keys and theme in one: what the event loop drives, and what tests and benchmarks drive without a terminal.
pub struct Face {
    state: State,
    keymap: Keymap,
    theme: Theme,
    dirs: Vec<PathBuf>,
    dirty: bool,
}

impl Face {
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
        Ok(Self { state, keymap: Keymap::new(), theme, dirs: options.theme_dirs.clone(), dirty: true })
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
        effects.retain(|e| match e {
            Effect::Theme(name) => {
                match Theme::load(name, &self.dirs, self.theme.depth, self.theme.glyphs) {
                    Ok(theme) => self.theme = theme,
                    Err(e) => self.state.error(e.to_string()),
                }
                false
            }
            _ => true,
        });
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

    /// Draws the state. What the drawing asks for (rows of the list that came into view) is among the effects of the next action.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        view::prepare(&mut self.state, area);
        view::draw(&self.state, &self.theme, frame);
        self.dirty = false;
    }

    /// Effects that came up while drawing: rows and traces that are on screen and not read yet.
    pub fn wants(&mut self) -> Vec<Effect> {
        update::wants(&mut self.state)
    }

    /// How rewards are read and candidates are sampled, now.
    pub fn settings(&self) -> &Settings {
        &self.state.settings
    }

    /// How the grader was set, for a second face over the same task.
    pub fn grade(&self) -> Option<Grade> {
        self.state.grade.clone()
    }
}

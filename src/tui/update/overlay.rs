//! Help, messages, settings, search, filter and the problem editor.

use super::files::open;
use super::filter;
use super::{motion, settings_changed};
use crate::tui::action::{Command, Effect};
use crate::tui::settings::Field;
use crate::tui::source::Item;
use crate::tui::state::{Editor, Focus, Overlay, Search, State};

/// Runs a command on the overlay; says whether it was meant for it.
pub(super) fn run(state: &mut State, command: Command, count: Option<usize>, effects: &mut Vec<Effect>) -> bool {
    let Some(mut overlay) = state.overlay.take() else { return false };
    let times = count.unwrap_or(1);
    let mut keep = true;
    match &mut overlay {
        Overlay::Help { scroll } | Overlay::Messages { scroll } => match command {
            Command::Down => *scroll = scroll.saturating_add(times),
            Command::Up => *scroll = scroll.saturating_sub(times),
            Command::HalfDown | Command::PageDown => *scroll = scroll.saturating_add(10),
            Command::HalfUp | Command::PageUp => *scroll = scroll.saturating_sub(10),
            Command::First => *scroll = 0,
            Command::Last => *scroll = usize::MAX / 2,
            Command::Back | Command::Quit | Command::Help | Command::Messages => keep = false,
            _ => {}
        },
        Overlay::Settings { at, typed: Some(text) } => match command {
            Command::Submit => {
                let field = Field::ALL[*at % Field::ALL.len()];
                match state.settings.set(field, text) {
                    Ok(()) => {
                        settings_changed(state);
                        overlay = Overlay::Settings { at: *at, typed: None };
                    }
                    Err(e) => state.hint(e),
                }
            }
            Command::Back => overlay = Overlay::Settings { at: *at, typed: None },
            Command::Backspace | Command::Delete => {
                text.pop();
            }
            Command::DeleteWord | Command::DeleteLine => text.clear(),
            _ => {}
        },
        Overlay::Settings { at, typed } => match command {
            Command::Down => *at = (*at + times) % Field::ALL.len(),
            Command::Up => *at = (*at + Field::ALL.len() - times % Field::ALL.len()) % Field::ALL.len(),
            Command::Right | Command::Left => {
                let by = if command == Command::Right { times as i64 } else { -(times as i64) };
                turn(state, Field::ALL[*at % Field::ALL.len()], by);
            }
            Command::Enter => {
                let field = Field::ALL[*at % Field::ALL.len()];
                if field.is_number() {
                    *typed = Some(String::new());
                } else {
                    turn(state, field, 1);
                }
            }
            Command::Back | Command::Quit | Command::Settings => keep = false,
            Command::Regenerate | Command::Repeat | Command::CycleTheme | Command::Cancel | Command::Help => return false,
            _ => {}
        },
        Overlay::Search(editor) => match command {
            Command::Submit => {
                keep = false;
                state.search = Search { text: editor.text().trim().to_string(), waiting: false };
                if !state.search.text.is_empty() {
                    motion::find(state, true, 1, effects);
                }
            }
            Command::Back => keep = false,
            _ => editor.run(command),
        },
        Overlay::Filter(line) => keep = filter::run(state, line, command, effects),
        Overlay::Problem => match command {
            Command::Submit => keep = !submit_problem(state, effects),
            Command::Back => keep = false,
            _ => state.draft.run(command),
        },
    }
    if keep {
        state.overlay = Some(overlay);
    }
    true
}

fn turn(state: &mut State, field: Field, by: i64) {
    super::change(state, field, by);
    if let Some(why) = state.doc().and_then(|d| d.unmarked(&state.settings)).filter(|_| !field.is_sampling()) {
        state.hint(format!("granularity sparse: {why}"));
    }
}

/// Characters a problem may have at most; longer pastes are cut.
const LONGEST: usize = 100_000;

pub(super) fn insert(state: &mut State, text: &str, effects: &mut Vec<Effect>) {
    match &mut state.overlay {
        Some(Overlay::Search(editor)) => editor.insert(text),
        Some(Overlay::Filter(_)) => filter::insert(state, text, effects),
        Some(Overlay::Settings { typed: Some(typed), .. }) => typed.push_str(text),
        Some(Overlay::Problem) => state.draft.insert(text),
        _ => {}
    }
}

pub(super) fn paste(state: &mut State, text: &str, effects: &mut Vec<Effect>) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if state.overlay == Some(Overlay::Problem) {
        let cut: String = text.chars().take(LONGEST).collect();
        if cut.len() < text.len() {
            state.hint(format!("the paste was cut after {LONGEST} characters"));
        }
        insert(state, &cut, effects);
    } else {
        insert(state, text.split('\n').next().unwrap_or(""), effects);
    }
}

pub(super) fn edit_problem(state: &mut State) {
    if !state.has_models {
        return state.hint("no policy is loaded: give one with --policy to generate candidates");
    }
    if state.draft.text().is_empty() {
        let problem = state.doc().map(|d| d.trace().problem.clone()).unwrap_or_default();
        state.draft.set(problem);
    }
    state.overlay = Some(Overlay::Problem);
}

fn submit_problem(state: &mut State, effects: &mut Vec<Effect>) -> bool {
    let text = state.draft.text().trim().to_string();
    if text.is_empty() {
        state.hint("the problem is empty");
        return false;
    }
    state.list.own.push(text);
    state.draft = Editor::default();
    state.focus = Focus::Main;
    let item = Item::Own(state.list.own.len() - 1);
    open(state, item, effects);
    true
}

pub(super) fn choose_setting(state: &mut State, row: usize) {
    if let Some(Overlay::Settings { at, typed }) = &mut state.overlay {
        *at = row;
        *typed = None;
    }
}

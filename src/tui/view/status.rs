//! The bar at the bottom: what is said, what is typed, what the keys do, how the models are.

use super::paint::Painter;
use crate::runtime::Slot;
use crate::tui::keymap::{BINDINGS, Context};
use crate::tui::state::{Editor, FilterLine, Level, Overlay, State};
use crate::tui::text::width;
use crate::tui::theme::Role;
use crate::tui::{Command, Field};
use ratatui::layout::Rect;
use std::ops::Range;

pub(super) fn draw(state: &State, p: &mut Painter<'_>) {
    let area = state.layout.status;
    if area.is_empty() {
        return;
    }
    p.tint(area, p.style(Role::Status));
    let mut right = area.right().saturating_sub(1);
    if !state.pending.is_empty() {
        right = p.right(right, area.y, area.width / 3, &state.pending, p.style(Role::StatusKey)).saturating_sub(2);
    }
    let prompt = match &state.overlay {
        Some(Overlay::Search(editor)) => Some(("/", editor, None)),
        Some(Overlay::Filter(line)) => {
            let (text, role) = beside_filter(state, line);
            right = p.right(right, area.y, area.width / 2, &text, p.style(role)).saturating_sub(1);
            Some(("filter ", &line.editor, line.wrong.as_ref().map(|w| w.at.clone())))
        }
        _ => None,
    };
    if let Some((label, editor, wrong)) = prompt {
        return draw_prompt(p, Rect { width: (right + 1).saturating_sub(area.x), ..area }, label, editor, wrong);
    }
    right = models(state, p, area, right);
    let left = Rect { x: area.x + 1, width: right.saturating_sub(area.x + 2), ..area };
    match &state.shown {
        Some(message) => {
            let role = if message.level == Level::Error { Role::Error } else { Role::StatusKey };
            let mark = if message.level == Level::Error { p.glyphs().warning } else { "" };
            let x = p.glyph(left.x, left.y, left.width, mark, p.style(role));
            let x = if mark.is_empty() { x } else { x + 1 };
            let text = message.text.split_whitespace().collect::<Vec<_>>().join(" ");
            p.cut(x, left.y, left.right().saturating_sub(x), &text, p.style(role));
        }
        None => hints(state, p, left),
    }
}

/// What stands beside a query: what is wrong with it, how its last word may go on, or how many problems pass.
fn beside_filter(state: &State, line: &FilterLine) -> (String, Role) {
    if line.editor.text().is_empty() {
        return ("wrong, dev<=2, len>200, reward<-1, policy~NAME, words; tab completes".into(), Role::Faint);
    }
    match (&line.wrong, line.completions.first()) {
        (_, Some(first)) => (format!("tab: {}  {}", first.text, first.meaning), Role::Faint),
        (Some(wrong), None) => (wrong.problem.clone(), Role::Error),
        (None, None) => {
            if let Some(name) = &line.unknown {
                return (format!("no signal {name} here"), Role::Error);
            }
            let more = if state.list.filtering || !state.list.complete { "…" } else { "" };
            let all = state.list.len;
            let text = state.list.matches.as_ref().map_or_else(|| format!("{all}{more}"), |m| format!("{} of {all}{more}", m.len()));
            (text, Role::Status)
        }
    }
}

/// One line being written, scrolled so that the cursor is visible; the bytes that are wrong are marked.
fn draw_prompt(p: &mut Painter<'_>, area: Rect, label: &str, editor: &Editor, wrong: Option<Range<usize>>) {
    let x = p.text(area.x + 1, area.y, area.width, label, p.style(Role::StatusKey));
    let room = area.right().saturating_sub(x).saturating_sub(1);
    let (before, after) = editor.text().split_at(editor.cursor());
    let mut start = 0;
    while width(&before[start..]) >= usize::from(room.max(1)) && start < before.len() {
        start += before[start..].chars().next().map_or(1, char::len_utf8);
    }
    let style = p.style(Role::Status).patch(p.style(Role::Strong));
    let at = p.text(x, area.y, room, &before[start..], style);
    let left = area.right().saturating_sub(at);
    let end = p.text(at, area.y, left, after, style);
    if let Some(wrong) = wrong {
        let text = editor.text();
        let column = |byte: usize| x + width(text.get(start..byte.max(start)).unwrap_or("")) as u16;
        let (from, to) = (column(wrong.start).min(area.right()), column(wrong.end).min(area.right()));
        p.tint(Rect { x: from, y: area.y, width: to.saturating_sub(from), height: 1 }, p.style(Role::Error));
    }
    let here = if after.is_empty() { end } else { at };
    if after.is_empty() {
        p.text(here, area.y, 1, " ", p.style(Role::Cursor));
    } else {
        p.tint(Rect { x: here, y: area.y, width: 1, height: 1 }, p.style(Role::Cursor));
    }
}

/// What the commonest keys do here.
fn hints(state: &State, p: &mut Painter<'_>, area: Rect) {
    const LIST: &[(Command, &str)] = &[
        (Command::Enter, "open"),
        (Command::Down, "down"),
        (Command::Filter, "filter"),
        (Command::Search, "search"),
        (Command::EditProblem, "own problem"),
    ];
    const TRACE: &[(Command, &str)] = &[
        (Command::Down, "step"),
        (Command::Right, "candidate"),
        (Command::NextDeviation, "deviation"),
        (Command::ToggleCompare, "one or all"),
        (Command::CycleHeat, "heat"),
        (Command::NextToken, "token"),
        (Command::Settings, "settings"),
        (Command::Regenerate, "regenerate"),
        (Command::NextPane, "problems"),
    ];
    let context = state.context();
    let wanted: &[(Command, &str)] = match context {
        Context::List => LIST,
        Context::Trace => TRACE,
        Context::Editor => &[
            (Command::Submit, "generate"),
            (Command::DeleteLine, "delete line"),
            (Command::Back, "give up"),
            (Command::Newline, "new line"),
        ],
        Context::Settings => &[(Command::Down, "next"), (Command::Right, "more"), (Command::Enter, "type"), (Command::Back, "close")],
        _ => &[(Command::Back, "close")],
    };
    let wanted: Vec<_> = wanted.iter().filter(|h| h.0 != Command::Regenerate || state.has_models).copied().collect();
    let always: &[(Command, &str)] = if matches!(context, Context::List | Context::Trace) { &ALWAYS } else { &[] };
    hint_line(p, area, context, &wanted, always);
}

/// Hints that stand last everywhere.
pub(in crate::tui) const ALWAYS: [(Command, &str); 2] = [(Command::Help, "help"), (Command::Quit, "quit")];

/// As many hints as fit, `always` among them.
pub(in crate::tui) fn hint_line(p: &mut Painter<'_>, area: Rect, context: Context, wanted: &[(Command, &str)], always: &[(Command, &str)]) {
    let size = |(command, name): &(Command, &str)| width(key_of(*command, context)) + 1 + width(name) + 2;
    let kept: usize = always.iter().map(size).sum();
    let mut x = area.x;
    let mut put = |p: &mut Painter<'_>, hint: &(Command, &str), spare: usize| {
        let room = usize::from(area.right().saturating_sub(x));
        if room + 2 < size(hint) + spare {
            return;
        }
        x = p.text(x, area.y, area.right().saturating_sub(x), key_of(hint.0, context), p.style(Role::StatusKey)) + 1;
        x = p.text(x, area.y, area.right().saturating_sub(x), hint.1, p.style(Role::Status)) + 2;
    };
    wanted.iter().for_each(|h| put(p, h, kept));
    always.iter().for_each(|h| put(p, h, 0));
}

/// The first key of a command.
fn key_of(command: Command, context: Context) -> &'static str {
    let here = BINDINGS.iter().find(|b| b.context == context && b.run == command);
    let found = here.or_else(|| BINDINGS.iter().find(|b| b.run == command));
    let key = found.and_then(|b| b.on.split(' ').next()).unwrap_or("");
    match key {
        "<ret>" => "enter",
        "<esc>" => "esc",
        "<tab>" => "tab",
        "<space>" => "space",
        "<A-ret>" => "alt-enter",
        "<C-u>" => "ctrl-u",
        key => key,
    }
}

/// Models, speed and settings, from the right; returns where they begin.
fn models(state: &State, p: &mut Painter<'_>, area: Rect, mut right: u16) -> u16 {
    let g = p.glyphs();
    let budget = area.width * 2 / 5;
    let limit = right.saturating_sub(budget);
    let mut put = |p: &mut Painter<'_>, text: &str, role: Role| {
        let wide = width(text) as u16;
        if right.saturating_sub(wide) > limit && wide > 0 {
            right = p.right(right, area.y, wide, text, p.style(role)).saturating_sub(2);
        }
    };
    let rewards = state.models.rewards.iter().rev().map(|r| (r.signal.as_str(), &r.slot));
    for (what, slot) in rewards.chain([("policy", &state.models.policy)]) {
        match slot {
            Slot::Absent => {}
            Slot::Loading { progress, .. } => {
                let frame = (state.now / 120) as usize % g.spinner.len();
                put(p, &format!("{} {what} {:.0} %", g.spinner[frame], progress * 100.0), Role::Accent);
            }
            // The names of further ones are in those of their signals.
            Slot::Ready { .. } if area.width >= 140 && what.contains(':') => put(p, what, Role::Ok),
            Slot::Ready { name, .. } if area.width >= 140 => put(p, &format!("{what} {}", short(name)), Role::Ok),
            Slot::Ready { .. } => {}
            Slot::Failed { .. } => put(p, &format!("{} {what} failed (m)", g.warning), Role::Error),
        }
    }
    if let Some(run) = &state.run {
        let seconds = state.now.saturating_sub(run.started) as f32 / 1000.0;
        let rate = run.rate.or_else(|| (!run.done && seconds > 0.2).then(|| run.tokens as f32 / seconds));
        if let Some(rate) = rate {
            put(p, &format!("{rate:.0} tok/s"), if run.done { Role::Status } else { Role::Accent });
        }
    }
    if state.search.waiting {
        put(p, "searching", Role::Accent);
    }
    let s = &state.settings;
    if area.width >= 110 {
        put(p, &format!("{} {} {}", s.granularity.name(), s.aggregation.name(), state.shown_setting(Field::Rule)), Role::Status);
    }
    right
}

fn short(name: &str) -> &str {
    name.rsplit('/').find(|p| !p.is_empty()).unwrap_or(name)
}

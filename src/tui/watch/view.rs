//! What the state looks like.

use super::panes::{self, alarm_lines, below, duration, grid, rollout_lines};
use super::plot::number;
use super::state::{Layout, Overlay, Pane, WatchState};
use crate::run::RunState;
use crate::tui::action::Command;
use crate::tui::keymap::Context;
use crate::tui::theme::{Role, Theme};
use crate::tui::view::overlay::help_page;
use crate::tui::view::page::{panel, scrollbar};
use crate::tui::view::paint::Painter;
use crate::tui::view::status::{ALWAYS, hint_line};
use ratatui::Frame;
use ratatui::layout::Rect;

/// From this size on stages and alarms stand beside the curves.
const WIDE: (u16, u16) = (110, 18);
/// Below this size only the pane with the keys is shown.
const SMALL: (u16, u16) = (50, 14);
/// Stages above the curves at most, where they do not stand beside them.
const STAGES: usize = 4;

/// Fits the state to the screen.
pub(super) fn prepare(state: &mut WatchState, area: Rect) {
    let mut l = Layout::default();
    let mut body = area;
    if area.height >= 2 {
        [body, l.status] = split_bottom(body, 1);
    }
    if area.height >= 4 {
        [l.title, body] = split_top(body, 1);
    }
    let stages = state.history.stages().len();
    let alarms = state.history.alarms().len();
    if state.alone || body.width < SMALL.0 || body.height < SMALL.1 {
        if !state.alone && body.height >= 8 {
            [l.stages, body] = split_top(body, stages.min(2) as u16);
        }
        match state.focus {
            Pane::Curves => l.curves = body,
            Pane::Rollouts => l.rollouts = body,
            Pane::Alarms => l.alarms = body,
        }
    } else {
        if body.width >= WIDE.0 && body.height >= WIDE.1 {
            let width = (body.width * 3 / 10).clamp(40, 56);
            let left = Rect { width: width - 1, ..body };
            body = Rect { x: body.x + width, width: body.width - width, ..body };
            [l.stages, l.alarms] = split_top(left, (stages as u16 + 2).min(left.height / 2));
        } else {
            [l.stages, body] = split_top(body, stages.min(STAGES) as u16);
            let focused = state.focus == Pane::Alarms;
            if alarms > 0 || focused {
                [body, l.alarms] = split_bottom(body, if focused { body.height / 2 } else { 3 });
            }
        }
        let share = if !state.samples.is_empty() || state.focus == Pane::Rollouts { (body.height * 2 / 5).min(24) } else { 0 };
        [l.curves, l.rollouts] = split_bottom(body, share);
    }
    let (shown, rows) = grid(below(l.curves), state.curves().len());
    l.grid = shown;
    let page = |area: Rect| usize::from(below(area).height);
    state.extent = [
        (rows, shown.1),
        (rollout_lines(state, l.rollouts.width).len(), page(l.rollouts)),
        (alarm_lines(state, l.alarms.width).len(), page(l.alarms)),
    ];
    for (top, (all, page)) in state.top.iter_mut().zip(state.extent) {
        *top = (*top).min(all.saturating_sub(page));
    }
    state.layout = l;
}

fn split_top(area: Rect, height: u16) -> [Rect; 2] {
    let height = height.min(area.height);
    [Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area }]
}

fn split_bottom(area: Rect, height: u16) -> [Rect; 2] {
    split_top(area, area.height - height.min(area.height))
}

/// Draws the state.
pub(super) fn draw(state: &WatchState, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut p = Painter::new(frame.buffer_mut(), theme);
    p.fill(area, Role::Background);
    let l = &state.layout;
    title(state, &mut p);
    // Beside the curves the stages have a heading; above them the title does for one.
    let beside = l.stages.width < area.width && !l.stages.is_empty();
    let stages = if beside { panes::heading(&mut p, l.stages, "stages", false) } else { l.stages };
    panes::stages(state, &mut p, stages);
    for (pane, draw) in
        [(l.curves, panes::curves as fn(&WatchState, &mut Painter<'_>)), (l.rollouts, panes::rollouts), (l.alarms, panes::alarms)]
    {
        if !pane.is_empty() {
            draw(state, &mut p);
        }
    }
    status(state, &mut p);
    overlay(state, &mut p, Rect { height: area.height.saturating_sub(1), ..area });
}

fn title(state: &WatchState, p: &mut Painter<'_>) {
    let area = state.layout.title;
    if area.is_empty() {
        return;
    }
    let g = p.glyphs();
    let mut parts = Vec::new();
    let newest = state.history.newest().and_then(|i| state.history.stages().get(i));
    match newest {
        None => parts.push("nothing written yet".to_owned()),
        Some(stage) => {
            parts.push(format!("{} {}/{}", stage.name, stage.step, stage.steps));
            let over = state.run_state.filter(|s| *s != RunState::Running);
            parts.extend(over.map(|s| s.name().to_owned()));
            parts.extend(stage.seconds_left().filter(|_| over.is_none()).map(|s| format!("{} left", duration(s))));
            parts.extend(stage.time.map(|t| format!("written {} ago", duration(state.now - t))));
        }
    }
    let alarms = state.history.alarms().iter().filter(|a| a.cleared.is_none()).count();
    let mut right = area.right().saturating_sub(1);
    if alarms > 0 {
        let text = format!("{} {alarms} {}", g.warning, if alarms == 1 { "alarm" } else { "alarms" });
        right = p.right(right, area.y, area.width / 2, &text, p.style(Role::Warning)).saturating_sub(1);
    }
    let x = p.cut(area.x + 1, area.y, right.saturating_sub(area.x + 1), &state.name, p.style(Role::Strong)) + 1;
    let dot = format!(" {} ", g.dot);
    p.cut(x, area.y, right.saturating_sub(x), &format!("{}{}", &dot[1..], parts.join(&dot)), p.style(Role::Text));
}

fn status(state: &WatchState, p: &mut Painter<'_>) {
    const HINTS: &[(Command, &str)] = &[
        (Command::Down, "scroll"),
        (Command::NextPane, "pane"),
        (Command::Enter, "alone"),
        (Command::Left, "stage"),
        (Command::ChooseCurves, "curves"),
        (Command::ToggleSmooth, "smooth"),
        (Command::NextTrace, "problem"),
    ];
    const CHOICE: &[(Command, &str)] =
        &[(Command::Down, "next"), (Command::ToggleCurve, "on or off"), (Command::Enter, "alone or all"), (Command::Back, "close")];
    let area = state.layout.status;
    if area.is_empty() {
        return;
    }
    p.tint(area, p.style(Role::Status));
    let right = p.right(area.right().saturating_sub(1), area.y, area.width / 3, &state.pending, p.style(Role::StatusKey));
    let left = Rect { x: area.x + 1, width: right.saturating_sub(area.x + 2), ..area };
    let said = state.hint.as_deref().map(|h| (h, Role::StatusKey)).or_else(|| state.notes.last().map(|n| (n.as_str(), Role::Error)));
    match (said, &state.overlay) {
        (Some((text, role)), None) => {
            p.cut(left.x, left.y, left.width, text, p.style(role));
        }
        (_, None) => hint_line(p, left, Context::Watch, HINTS, &ALWAYS),
        (_, Some(Overlay::Choice { .. })) => hint_line(p, left, Context::Curves, CHOICE, &[]),
        (_, Some(Overlay::Help { .. })) => hint_line(p, left, Context::Page, &[(Command::Back, "close")], &[]),
    }
}

fn overlay(state: &WatchState, p: &mut Painter<'_>, area: Rect) {
    let g = p.glyphs();
    match &state.overlay {
        None => {}
        Some(Overlay::Help { scroll }) => {
            let about = [
                "The number beside a curve's name is its newest value, those at its left are its range.".to_owned(),
                format!("{}  an alarm that reads this metric was set off here", g.warning),
                format!("{} {}  reward of a step or a rollout, above or below nought", g.above, g.below),
            ];
            help_page(p, area, *scroll, |context| context.is_watch() || context == Context::Page, &about);
        }
        Some(Overlay::Choice { at }) => {
            let series = state.shown().map_or(&[][..], |s| s.1.series.as_slice());
            let inside = panel(p, area, 48.min(area.width), (series.len() as u16 + 2).min(area.height), "Curves", "");
            let rows = usize::from(inside.height);
            let top = at.saturating_sub(rows.saturating_sub(1));
            for (y, (i, series)) in series.iter().enumerate().skip(top).take(rows).enumerate() {
                let row = Rect { y: inside.y + y as u16, height: 1, ..inside };
                let drawn = !state.hidden.contains(&series.name);
                let style = p.style(if i == *at {
                    Role::Selection
                } else if drawn {
                    Role::Text
                } else {
                    Role::Faint
                });
                p.tint(row, style);
                p.glyph(row.x + 1, row.y, 1, if drawn { g.right } else { g.unknown }, style);
                let from = p.right(row.right().saturating_sub(2), row.y, 7, &number(series.last()), style);
                p.cut(row.x + 3, row.y, from.saturating_sub(row.x + 4), &series.name, style);
            }
            scrollbar(p, Rect { x: inside.right().saturating_sub(1), width: 1, ..inside }, top, series.len());
        }
    }
}

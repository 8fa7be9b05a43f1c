//! All candidates: the board, and their texts side by side or stacked.

use super::board::{draw_board, draw_votes, spark};
use super::format;
use super::paint::Painter;
use super::trace::Look;
use super::words::{one_line, ordinal, reward_style, verdict};
use crate::tui::state::{Column, Doc, State};
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// From this width on the votes stand beside the board.
pub(in crate::tui) const VOTES_BESIDE: u16 = 104;
const VOTES: u16 = 34;

pub(super) fn draw(state: &State, p: &mut Painter<'_>) {
    let Some(doc) = state.doc() else { return };
    if doc.candidates().is_empty() {
        return super::trace::empty(state, p);
    }
    let board = state.layout.board;
    if !board.is_empty() {
        let beside = board.width >= VOTES_BESIDE;
        let table = if beside { Rect { width: board.width - VOTES - 2, ..board } } else { board };
        draw_board(state, doc, p, table);
        if beside {
            draw_votes(doc, p, Rect { x: table.right() + 1, width: VOTES, ..board }, state);
        }
        p.rule(Rect { y: board.bottom() - 1, height: 1, ..board }, Role::Border);
        let (rows, all) = (usize::from(state.layout.board_rows), doc.candidates().len());
        if rows < all {
            p.text(board.x + 1, board.bottom() - 1, board.width - 1, &format!(" {rows} of {all} "), p.style(Role::Faint));
        }
    }
    let stacked = board.is_empty();
    for (i, column) in state.layout.columns.iter().enumerate() {
        draw_column(state, doc, p, column, stacked);
        let next = state.layout.columns.get(i + 1);
        if next.is_some_and(|n| n.area.y == column.area.y) {
            for y in column.area.top()..column.area.bottom() {
                p.glyph(column.area.right(), y, 1, p.glyphs().wall, p.style(Role::Border));
            }
        }
    }
}

fn draw_column(state: &State, doc: &Doc, p: &mut Painter<'_>, column: &Column, stacked: bool) {
    let (Some(candidate), Some(derived)) = (doc.candidates().get(column.candidate), doc.derived.get(column.candidate)) else { return };
    let selected = column.candidate == doc.cursor.candidate;
    title(state, doc, p, column, selected, stacked);
    let look = Look { state, doc, candidate, derived, sheet: &derived.narrow, selected };
    look.draw(p, text_area(column.area), column.top);
}

fn title(state: &State, doc: &Doc, p: &mut Painter<'_>, column: &Column, selected: bool, stacked: bool) {
    let g = p.glyphs();
    let index = column.candidate;
    let (Some(candidate), Some(derived)) = (doc.candidates().get(index), doc.derived.get(index)) else { return };
    let area = column.area;
    let y = area.y;
    let room = |x: u16| area.right().saturating_sub(x);
    if selected {
        p.tint(Rect { height: 1.min(area.height), ..area }, p.style(Role::Selection));
    }
    let ground = p.style(Role::Selection);
    let over = |style: ratatui::style::Style| if selected { ground.patch(style) } else { style };
    let cursor = if selected { g.cursor } else { " " };
    let (dim, strong) = (over(p.style(Role::Dim)), over(p.style(Role::Strong)));
    let number = doc.readings.rank.and_then(|i| derived.taken.get(i)?.whole);
    let value = over(reward_style(p, doc.rank_scale, number));
    p.glyph(area.x, y, 1.min(area.width), cursor, strong);
    let mut x = p.text(area.x + 1, y, room(area.x + 1), &format!("#{}", index + 1), strong);
    if let Some(reward) = number {
        let place = Some(doc.rank_scale.place(reward));
        x = p.glyph(x + 1, y, room(x + 1).min(1), format::side(place, g), value);
        let shown = format::amount(reward, doc.unit_of(doc.readings.rank), g);
        x = p.text(x, y, room(x), shown.trim(), value);
    }
    if derived.rank > 0 && room(x) > 14 {
        x = p.text(x + 1, y, room(x + 1), &ordinal(derived.rank), dim);
    }
    // Who wrote it, before the answer that stands on the right.
    if let Some(policy) = candidate.policy.as_deref().filter(|_| room(x) > 34) {
        x = p.middle(x + 1, y, room(x) - 24, &one_line(policy, 64, g), dim);
    }
    let right = match (&candidate.answer, &candidate.finish) {
        (Some(answer), _) => {
            let (mark, role) = verdict(candidate, g);
            let mark_style = over(p.style(role));
            let limit = room(x).saturating_sub(4);
            if limit < 2 {
                return;
            }
            let answer = one_line(answer, usize::from(limit.min(16)), g);
            let at = if mark.is_empty() { area.right() } else { p.right(area.right(), y, 1, mark, mark_style) - 1 };
            p.right(at, y, limit, &answer, strong)
        }
        (None, None) if doc.growing(index) => {
            let frame = (state.now / 120) as usize % g.spinner.len();
            p.right(area.right(), y, 1.min(room(x)), g.spinner[frame], dim)
        }
        (None, _) => p.right(area.right(), y, room(x).saturating_sub(1), format::finish(candidate), dim),
    };
    if stacked && right > x + 12 {
        spark(doc, p, x + 1, y, right.saturating_sub(x + 3).min(24), index);
    }
}

/// A column without its title and its right margin.
pub(in crate::tui) fn text_area(column: Rect) -> Rect {
    Rect { y: column.y + 1.min(column.height), height: column.height.saturating_sub(1), width: column.width.saturating_sub(1), ..column }
}

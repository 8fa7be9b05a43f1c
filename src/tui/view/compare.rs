//! All candidates: the board of ranks, the votes, and their texts side by side or stacked.

use super::format;
use super::paint::Painter;
use super::trace::{Look, one_line, reward_style, verdict};
use crate::tui::state::{Column, Doc, State, gold_step};
use crate::tui::text::width;
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// From this width on the votes stand beside the board.
pub(super) const VOTES_BESIDE: u16 = 104;
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

/// Candidates on the board: best first, scrolled so that the selected one is on it.
pub(super) fn board_rows(doc: &Doc, rows: usize) -> impl Iterator<Item = usize> + '_ {
    let at = doc.order.iter().position(|c| *c == doc.cursor.candidate).unwrap_or(0);
    let top = at.saturating_sub(rows.saturating_sub(1)).min(doc.order.len().saturating_sub(rows));
    doc.order.iter().skip(top).take(rows).copied()
}

fn draw_board(state: &State, doc: &Doc, p: &mut Painter<'_>, area: Rect) {
    let rows = usize::from(state.layout.board_rows);
    let cells = Cells::of(doc, area.width);
    let head = p.style(Role::Faint);
    let name = state.settings.aggregation.name();
    p.text(area.x + 1, area.y, 4, "rank", head);
    p.text(area.x + 6, area.y, 3, "#", head);
    p.right(area.x + 18, area.y, 8, name, head);
    p.text(area.x + cells.steps, area.y, 12, "steps", head);
    p.text(area.x + cells.answer, area.y, 8, "answer", head);
    p.text(area.x + cells.deviation, area.y, 8, "pred", head);
    if cells.gold > 0 {
        p.text(area.x + cells.gold, area.y, 6, "gold", head);
    }
    if cells.tokens > 0 {
        // The reward model's tokens are others than the policy's: they are not counted in one column.
        let name = if policy_counts(doc) { "tokens" } else { "rm tok" };
        p.right(area.x + cells.tokens + 7, area.y, 7, name, head);
        p.text(area.x + cells.tokens + 9, area.y, 9, "end", head);
    }
    for (y, candidate) in board_rows(doc, rows).enumerate() {
        board_row(state, doc, p, Rect { y: area.y + 1 + y as u16, height: 1, ..area }, candidate, &cells);
    }
    if area.height > state.layout.board_rows + 2 {
        vote_line(doc, p, Rect { y: area.bottom() - 2, height: 1, ..area });
    }
}

/// Whether the policy's tokens are known, so that the board counts them.
fn policy_counts(doc: &Doc) -> bool {
    doc.candidates().iter().any(|c| !c.tokens.is_empty())
}

/// Where the board's columns begin.
struct Cells {
    steps: u16,
    spark: u16,
    answer: u16,
    deviation: u16,
    gold: u16,
    tokens: u16,
}

impl Cells {
    fn of(doc: &Doc, total: u16) -> Self {
        let longest = doc.candidates().iter().filter_map(|c| c.answer.as_deref()).map(width).max().unwrap_or(0) as u16;
        let answer = longest.clamp(6, if total >= 90 { 24 } else { 10 }) + 3;
        let labelled = doc.candidates().iter().any(|c| c.gold.is_some());
        let tokens = if total >= 76 { 19 } else { 0 };
        let fixed = 20 + 3 + answer + 7 + if labelled { 7 } else { 0 } + tokens;
        let spark = (doc.steps() as u16).clamp(6, total.saturating_sub(fixed).clamp(6, 40));
        let steps = 20;
        let answer_at = steps + 3 + spark + 1;
        let deviation = answer_at + answer;
        let gold = if labelled { deviation + 7 } else { 0 };
        let after = deviation + 7 + if labelled { 7 } else { 0 };
        Self { steps, spark, answer: answer_at, deviation, gold, tokens: if tokens > 0 { after } else { 0 } }
    }
}

fn board_row(state: &State, doc: &Doc, p: &mut Painter<'_>, area: Rect, index: usize, cells: &Cells) {
    let g = p.glyphs();
    let (Some(candidate), Some(seen)) = (doc.candidates().get(index), doc.seen.get(index)) else { return };
    let selected = index == doc.cursor.candidate;
    if selected {
        p.tint(area, p.style(Role::Step));
        p.glyph(area.x, area.y, 1, g.cursor, p.style(Role::Accent));
    }
    let strong = p.style(if selected { Role::Strong } else { Role::Text });
    let rank = if seen.rank > 0 { seen.rank.to_string() } else { g.unknown.to_string() };
    p.right(area.x + 4, area.y, 3, &rank, strong);
    p.text(area.x + 6, area.y, 4, &format!("#{}", index + 1), p.style(Role::Dim));
    let style = reward_style(p, doc.scale, seen.reward);
    let place = seen.reward.map(|r| doc.scale.place(r));
    p.glyph(area.x + 11, area.y, 1, format::side(place, g), style);
    p.right(area.x + 18, area.y, 6, &seen.reward.map_or_else(|| g.unknown.into(), |r| format::signed(r, 2, g)), style);
    p.right(area.x + cells.steps + 2, area.y, 2, &candidate.steps.len().to_string(), p.style(Role::Dim));
    spark(doc, p, area.x + cells.steps + 3, area.y, cells.spark, index);
    match &candidate.answer {
        Some(answer) => {
            let (mark, role) = verdict(candidate, g);
            let room = cells.deviation.saturating_sub(cells.answer).saturating_sub(3);
            let after = p.cut(area.x + cells.answer, area.y, room, &one_line(answer, 64), strong);
            p.text(after + 1, area.y, 1, mark, p.style(role));
        }
        None if doc.growing(index) => {
            let frames = g.spinner;
            let frame = (state.now / 120) as usize % frames.len();
            p.glyph(area.x + cells.answer, area.y, 1, frames[frame], p.style(Role::Accent));
        }
        None => {
            p.text(area.x + cells.answer, area.y, 1, g.unknown, p.style(Role::Faint));
        }
    }
    match &seen.deviation {
        Some(d) => p.text(area.x + cells.deviation, area.y, 6, &format!("{}{}", g.deviation, d.step + 1), p.style(Role::Wrong)),
        None => p.text(area.x + cells.deviation, area.y, 6, g.unknown, p.style(Role::Faint)),
    };
    if cells.gold > 0 {
        let role = if gold_step(candidate).is_some() { Role::Gold } else { Role::Faint };
        p.text(area.x + cells.gold, area.y, 6, &format::gold(candidate.gold, g), p.style(role));
    }
    if cells.tokens > 0 {
        let count = if policy_counts(doc) { candidate.tokens.len() } else { candidate.rewards().len() };
        if count > 0 {
            p.right(area.x + cells.tokens + 7, area.y, 7, &format::thousands(count), p.style(Role::Dim));
        }
        let role = if matches!(format::finish(candidate), "length" | "cancelled" | "failed") { Role::Warning } else { Role::Faint };
        p.cut(
            area.x + cells.tokens + 9,
            area.y,
            area.right().saturating_sub(area.x + cells.tokens + 9),
            format::finish(candidate),
            p.style(role),
        );
    }
}

/// Step rewards as levels, a cell a step; the deviating one is marked.
fn spark(doc: &Doc, p: &mut Painter<'_>, x: u16, y: u16, room: u16, index: usize) {
    let g = p.glyphs();
    let Some(seen) = doc.seen.get(index) else { return };
    let many = seen.rewards.len() > usize::from(room);
    let shown = if many { usize::from(room).saturating_sub(1) } else { seen.rewards.len() };
    for (i, reward) in seen.rewards.iter().take(shown).enumerate() {
        let style = reward_style(p, doc.scale, *reward);
        let glyph = match reward {
            Some(r) => {
                let level = (doc.scale.place(*r) + 1.0) / 2.0 * (g.levels.len() - 1) as f32;
                g.levels[(level.round() as usize).min(g.levels.len() - 1)]
            }
            None => g.unknown,
        };
        p.glyph(x + i as u16, y, 1, glyph, style);
    }
    if many {
        p.glyph(x + shown as u16, y, 1, g.ellipsis, p.style(Role::Faint));
    }
}

fn draw_votes(doc: &Doc, p: &mut Painter<'_>, area: Rect, state: &State) {
    let g = p.glyphs();
    let head = p.style(Role::Faint);
    p.text(area.x, area.y, 12, "votes", head);
    p.right(area.right().saturating_sub(9), area.y, 6, "count", head);
    p.right(area.right(), area.y, 8, "weighted", head);
    let total: f64 = doc.votes.weighted.iter().map(|v| v.weight).sum();
    let rows = area.height.saturating_sub(2);
    let all = doc.candidates().len().max(1) as f32;
    for (y, vote) in doc.votes.plain.iter().take(usize::from(rows)).enumerate() {
        let y = area.y + 1 + y as u16;
        let first = y == area.y + 1;
        let weight = doc.votes.weighted.iter().find(|v| v.answer == vote.answer).map(|v| v.weight / total.max(f64::MIN_POSITIVE));
        let best = doc.votes.weighted.first().is_some_and(|v| v.answer == vote.answer);
        let right = vote.candidates.iter().find_map(|c| doc.candidates()[*c].correct);
        let mark = match right {
            Some(true) => (g.right, Role::Right),
            Some(false) => (g.wrong, Role::Wrong),
            None => (" ", Role::Faint),
        };
        p.glyph(area.x, y, 1, mark.0, p.style(mark.1));
        p.cut(area.x + 2, y, 10, &vote.answer, p.style(if first { Role::Strong } else { Role::Text }));
        super::page::meter(p, area.x + 13, y, 8, vote.candidates.len() as f32 / all, if first { Role::Accent } else { Role::Dim });
        p.right(
            area.right().saturating_sub(9),
            y,
            4,
            &format!("{}{}", g.times, vote.candidates.len()),
            p.style(if first { Role::Strong } else { Role::Dim }),
        );
        if let Some(w) = weight {
            p.right(area.right(), y, 6, &format!("{:.0} %", w * 100.0), p.style(if best { Role::Strong } else { Role::Dim }));
        }
    }
    if doc.votes.plain.is_empty() {
        let text = if state.running() { "no answers yet" } else { "no answers" };
        p.cut(area.x, area.y + 1, area.width, text, p.style(Role::Faint));
    }
}

/// The votes on one line.
fn vote_line(doc: &Doc, p: &mut Painter<'_>, area: Rect) {
    let g = p.glyphs();
    let mut x = area.x + 1;
    let mut part = |p: &mut Painter<'_>, name: &str, value: String| {
        let room = |x: u16| area.right().saturating_sub(x);
        if usize::from(room(x)) < width(name) + width(&value) + 3 {
            return;
        }
        x = p.text(x, area.y, room(x), name, p.style(Role::Faint));
        x = p.text(x + 1, area.y, room(x + 1), &value, p.style(Role::Strong)) + 2;
    };
    if let Some(vote) = doc.votes.plain.first() {
        part(p, "majority", format!("{} {}{}", one_line(&vote.answer, 12), g.times, vote.candidates.len()));
    }
    let total: f64 = doc.votes.weighted.iter().map(|v| v.weight).sum();
    if let Some(vote) = doc.votes.weighted.first() {
        part(p, "weighted", format!("{} {:.0} %", one_line(&vote.answer, 12), 100.0 * vote.weight / total.max(f64::MIN_POSITIVE)));
    }
    let best = doc.order.first().filter(|c| doc.seen[**c].rank == 1);
    if let Some(answer) = best.and_then(|c| doc.candidates()[*c].answer.as_deref()) {
        part(p, "best", one_line(answer, 12));
    }
    if let Some(gold) = &doc.trace().gold_answer {
        part(p, "reference", one_line(gold, 12));
    }
}

fn draw_column(state: &State, doc: &Doc, p: &mut Painter<'_>, column: &Column, stacked: bool) {
    let (Some(candidate), Some(seen)) = (doc.candidates().get(column.candidate), doc.seen.get(column.candidate)) else { return };
    let selected = column.candidate == doc.cursor.candidate;
    title(state, doc, p, column, selected, stacked);
    let look = Look { state, doc, candidate, seen, sheet: &seen.narrow, selected };
    look.draw(p, super::layout::text_area(column.area), column.top);
}

fn title(state: &State, doc: &Doc, p: &mut Painter<'_>, column: &Column, selected: bool, stacked: bool) {
    let g = p.glyphs();
    let index = column.candidate;
    let (Some(candidate), Some(seen)) = (doc.candidates().get(index), doc.seen.get(index)) else { return };
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
    let value = over(reward_style(p, doc.scale, seen.reward));
    p.glyph(area.x, y, 1.min(area.width), cursor, strong);
    let mut x = p.text(area.x + 1, y, room(area.x + 1), &format!("#{}", index + 1), strong);
    if let Some(reward) = seen.reward {
        let place = Some(doc.scale.place(reward));
        x = p.glyph(x + 1, y, room(x + 1).min(1), format::side(place, g), value);
        x = p.text(x, y, room(x), format::signed(reward, 2, g).trim(), value);
    }
    if seen.rank > 0 && room(x) > 14 {
        x = p.text(x + 1, y, room(x + 1), &ordinal(seen.rank), dim);
    }
    let right = match (&candidate.answer, &candidate.finish) {
        (Some(answer), _) => {
            let (mark, role) = verdict(candidate, g);
            let mark_style = over(p.style(role));
            let limit = room(x).saturating_sub(4);
            if limit < 2 {
                return;
            }
            let answer = one_line(answer, usize::from(limit.min(16)));
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

fn ordinal(n: usize) -> String {
    let end = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

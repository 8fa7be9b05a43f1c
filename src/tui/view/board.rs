//! The board of the compare view: a row a candidate, and the votes beside it.

use super::format;
use super::paint::Painter;
use super::words::{one_line, reward_style, verdict};
use crate::trace::Candidate;
use crate::tui::state::{Doc, State, gold_step};
use crate::tui::text::{fit, width};
use crate::tui::theme::{Glyphs, Role};
use ratatui::layout::Rect;

/// Candidates on the board: best first, scrolled so that the selected one is on it.
pub(in crate::tui) fn board_rows(doc: &Doc, rows: usize) -> impl Iterator<Item = usize> + '_ {
    let at = doc.order.iter().position(|c| *c == doc.cursor.candidate).unwrap_or(0);
    let top = at.saturating_sub(rows.saturating_sub(1)).min(doc.order.len().saturating_sub(rows));
    doc.order.iter().skip(top).take(rows).copied()
}

pub(super) fn draw_board(state: &State, doc: &Doc, p: &mut Painter<'_>, area: Rect) {
    let rows = usize::from(state.layout.board_rows);
    let cells = Cells::of(doc, area.width);
    let head = p.style(Role::Faint);
    p.text(area.x + 1, area.y, 4, "rank", head);
    p.text(area.x + 6 + cells.more, area.y, 3, "#", head);
    let name = doc.ranked_by().map_or_else(String::new, ToString::to_string);
    let room = cells.value - 10 - 2 * cells.more;
    p.right(area.x + cells.value, area.y, room, &cut(&name, room, p.glyphs()), head);
    for (x, reading) in cells.columns(doc) {
        p.right(area.x + x, area.y, COLUMN - 1, &cut(&doc.readings.all[reading].to_string(), COLUMN - 1, p.glyphs()), head);
    }
    p.text(area.x + cells.steps, area.y, 12, "steps", head);
    p.text(area.x + cells.answer, area.y, 8, "answer", head);
    p.text(area.x + cells.deviation, area.y, 8, "pred", head);
    if let Some(beside) = doc.readings.beside.as_ref().filter(|_| cells.beside > 0) {
        p.cut(area.x + cells.beside, area.y, BESIDE - 1, &beside.1.reading.signal, head);
    }
    if cells.policy > 0 {
        p.text(area.x + cells.policy, area.y, POLICY - 1, "by", head);
    }
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

/// The name of a column in at most `room` cells.
fn cut(name: &str, room: u16, g: &Glyphs) -> String {
    let room = usize::from(room);
    if width(name) <= room {
        return name.to_owned();
    }
    format!("{}{}", fit(name, room.saturating_sub(width(g.ellipsis))).0, g.ellipsis)
}

/// Whether the policy's tokens are known, so that the board counts them.
fn policy_counts(doc: &Doc) -> bool {
    doc.candidates().iter().any(|c| !c.tokens.is_empty())
}

/// Whether more than one policy is named.
fn several_policies(doc: &Doc) -> bool {
    let mut named = doc.candidates().iter().filter_map(|c| c.policy.as_deref());
    named.next().is_some_and(|first| named.any(|other| other != first))
}

/// Where the board's columns begin; those of numbers, where they end.
struct Cells {
    value: u16,
    steps: u16,
    spark: u16,
    answer: u16,
    deviation: u16,
    beside: u16,
    gold: u16,
    tokens: u16,
    policy: u16,
    /// Cells that the places and numbers of candidates have beside three digits.
    more: u16,
    /// Cells of the number of steps.
    count: u16,
    /// Columns of further signals.
    further: usize,
}

/// Cells of a column of a further signal.
const COLUMN: u16 = 9;
/// Cells of what the second detector marks.
const BESIDE: u16 = 8;
/// Cells of the tokens and of how the text ended.
const TOKENS: u16 = 19;
/// Cells of who wrote the text.
const POLICY: u16 = 17;
/// Cells of the steps' levels, at least.
const SPARK: u16 = 6;

impl Cells {
    fn of(doc: &Doc, total: u16) -> Self {
        let longest = doc.candidates().iter().filter_map(|c| c.answer.as_deref()).map(width).max().unwrap_or(0) as u16;
        let answer = longest.clamp(6, if total >= 90 { 24 } else { 10 }) + 3;
        let labelled = doc.candidates().iter().any(|c| c.gold.is_some());
        let name = doc.ranked_by().map_or(0, |r| width(&r.to_string())) as u16;
        let digits = |n: usize| n.max(1).ilog10() as u16 + 1;
        let (more, count) = (digits(doc.candidates().len()).saturating_sub(3), digits(doc.steps()).max(2));
        let value = 11 + 2 * more + name.clamp(7, if total >= 76 { 14 } else { 10 });
        let gold = if labelled { 7 } else { 0 };
        let mut left = total.saturating_sub(value + 2 + count + 1 + answer + 7 + gold);
        let mut room = |cells: u16| {
            let fits = left >= SPARK + cells;
            left -= if fits { cells } else { 0 };
            fits
        };
        let beside = doc.readings.beside.is_some() && room(BESIDE);
        let told = |c: &Candidate| !c.tokens.is_empty() || !c.rewards().is_empty() || c.finish.is_some();
        let tokens = total >= 76 && doc.candidates().iter().any(told) && room(TOKENS);
        let policy = several_policies(doc) && room(POLICY);
        let spark = u16::try_from(doc.steps()).unwrap_or(u16::MAX).clamp(SPARK, left.clamp(SPARK, 40));
        let further = doc.readings.columns.len().min(usize::from(left.saturating_sub(spark) / COLUMN));
        let steps = value + COLUMN * further as u16 + 2;
        let answer_at = steps + count + 1 + spark + 1;
        let deviation = answer_at + answer;
        let after = deviation + 7;
        let after_beside = after + if beside { BESIDE } else { 0 };
        Self {
            value,
            steps,
            spark,
            answer: answer_at,
            deviation,
            beside: if beside { after } else { 0 },
            gold: if labelled { after_beside } else { 0 },
            tokens: if tokens { after_beside + gold } else { 0 },
            policy: if policy { after_beside + gold + if tokens { TOKENS } else { 0 } } else { 0 },
            more,
            count,
            further,
        }
    }

    /// Where the columns of further signals end, and their readings.
    fn columns<'a>(&self, doc: &'a Doc) -> impl Iterator<Item = (u16, usize)> + use<'a> {
        let value = self.value;
        doc.readings.columns.iter().take(self.further).enumerate().map(move |(i, reading)| (value + COLUMN * (i as u16 + 1), *reading))
    }
}

fn board_row(state: &State, doc: &Doc, p: &mut Painter<'_>, area: Rect, index: usize, cells: &Cells) {
    let g = p.glyphs();
    let (Some(candidate), Some(derived)) = (doc.candidates().get(index), doc.derived.get(index)) else { return };
    let selected = index == doc.cursor.candidate;
    if selected {
        p.tint(area, p.style(Role::Step));
        p.glyph(area.x, area.y, 1, g.cursor, p.style(Role::Accent));
    }
    let strong = p.style(if selected { Role::Strong } else { Role::Text });
    let rank = if derived.rank > 0 { derived.rank.to_string() } else { g.unknown.to_string() };
    p.right(area.x + 4 + cells.more, area.y, 3 + cells.more, &rank, strong);
    p.middle(area.x + 6 + cells.more, area.y, 4 + cells.more, &format!("#{}", index + 1), p.style(Role::Dim));
    let value = doc.readings.rank.and_then(|i| derived.taken.get(i)?.whole);
    let style = reward_style(p, doc.rank_scale, value);
    p.glyph(area.x + cells.value - 7, area.y, 1, format::side(value.map(|v| doc.rank_scale.place(v)), g), style);
    let unit = doc.unit_of(doc.readings.rank);
    p.right(area.x + cells.value, area.y, 7, &value.map_or_else(|| g.unknown.into(), |v| format::amount(v, unit, g)), style);
    for (x, reading) in cells.columns(doc) {
        let value = derived.taken.get(reading).and_then(|t| t.whole);
        let shown = value.map_or_else(|| g.unknown.into(), |v| format::amount(v, doc.unit_of(Some(reading)), g));
        p.right(area.x + x, area.y, COLUMN - 1, &shown, p.style(Role::Dim));
    }
    p.right(area.x + cells.steps + cells.count, area.y, cells.count, &candidate.steps.len().to_string(), p.style(Role::Dim));
    spark(doc, p, area.x + cells.steps + cells.count + 1, area.y, cells.spark, index);
    if let Some(policy) = candidate.policy.as_deref().filter(|_| cells.policy > 0) {
        p.middle(area.x + cells.policy, area.y, POLICY - 1, &one_line(policy, 64, g), p.style(Role::Dim));
    }
    match &candidate.answer {
        Some(answer) => {
            let (mark, role) = verdict(candidate, g);
            let room = cells.deviation.saturating_sub(cells.answer).saturating_sub(3);
            let after = p.middle(area.x + cells.answer, area.y, room, &one_line(answer, 64, g), strong);
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
    match &derived.deviation {
        Some(d) => p.middle(area.x + cells.deviation, area.y, 6, &format!("{}{}", g.deviation, d.step + 1), p.style(Role::Wrong)),
        None => p.text(area.x + cells.deviation, area.y, 6, g.unknown, p.style(Role::Faint)),
    };
    if cells.beside > 0 {
        let steps = doc.readings.beside.as_ref().and_then(|b| derived.taken.get(b.0)).map_or(&[][..], |t| &t.steps);
        let knows = steps.iter().any(Option::is_some);
        let (text, role) = match (derived.apart(), &derived.beside) {
            (Some(step), _) => (format!("{}{}", g.beside, step + 1), Role::Wrong),
            (None, Some(d)) => (format!("{}{}", g.deviation, d.step + 1), Role::Dim),
            (None, None) if derived.deviation.is_some() && knows => (g.beside.to_owned(), Role::Wrong),
            (None, None) => (g.unknown.to_owned(), Role::Faint),
        };
        p.middle(area.x + cells.beside, area.y, BESIDE - 1, &text, p.style(role));
    }
    if cells.gold > 0 {
        let role = if gold_step(candidate).is_some() { Role::Gold } else { Role::Faint };
        p.middle(area.x + cells.gold, area.y, 6, &format::gold(candidate.gold, g), p.style(role));
    }
    if cells.tokens > 0 {
        let count = if policy_counts(doc) { candidate.tokens.len() } else { candidate.rewards().len() };
        if count > 0 {
            p.right(area.x + cells.tokens + 7, area.y, 8, &format::thousands(count), p.style(Role::Dim));
        }
        let role = if matches!(format::finish(candidate), "length" | "cancelled" | "failed") { Role::Warning } else { Role::Faint };
        let end = if cells.policy > 0 { area.x + cells.policy } else { area.right() };
        p.cut(area.x + cells.tokens + 9, area.y, end.saturating_sub(area.x + cells.tokens + 9), format::finish(candidate), p.style(role));
    }
}

/// Step rewards as levels, a cell a step; the deviating one is marked.
pub(super) fn spark(doc: &Doc, p: &mut Painter<'_>, x: u16, y: u16, room: u16, index: usize) {
    let g = p.glyphs();
    let Some(derived) = doc.derived.get(index) else { return };
    let many = derived.colours().len() > usize::from(room);
    let shown = if many { usize::from(room).saturating_sub(1) } else { derived.colours().len() };
    for (i, reward) in derived.colours().iter().take(shown).enumerate() {
        let style = reward_style(p, doc.scale, *reward);
        let glyph = match reward {
            Some(r) if !doc.scale.place(*r).is_nan() => {
                let level = (doc.scale.place(*r) + 1.0) / 2.0 * (g.levels.len() - 1) as f32;
                g.levels[(level.round() as usize).min(g.levels.len() - 1)]
            }
            _ => g.unknown,
        };
        p.glyph(x + i as u16, y, 1, glyph, style);
    }
    if many {
        p.glyph(x + shown as u16, y, 1, g.ellipsis, p.style(Role::Faint));
    }
}

pub(super) fn draw_votes(doc: &Doc, p: &mut Painter<'_>, area: Rect, state: &State) {
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
        p.middle(area.x + 2, y, 10, &one_line(&vote.answer, 64, g), p.style(if first { Role::Strong } else { Role::Text }));
        super::page::meter(p, area.x + 13, y, 8, vote.candidates.len() as f32 / all, if first { Role::Accent } else { Role::Dim });
        p.right(
            area.right().saturating_sub(9),
            y,
            6,
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
        part(p, "majority", format!("{} {}{}", one_line(&vote.answer, 12, g), g.times, vote.candidates.len()));
    }
    let total: f64 = doc.votes.weighted.iter().map(|v| v.weight).sum();
    if let Some(vote) = doc.votes.weighted.first() {
        part(p, "weighted", format!("{} {:.0} %", one_line(&vote.answer, 12, g), 100.0 * vote.weight / total.max(f64::MIN_POSITIVE)));
    }
    let best = doc.order.first().filter(|c| doc.derived[**c].rank == 1);
    if let Some(answer) = best.and_then(|c| doc.candidates()[*c].answer.as_deref()) {
        part(p, "best", one_line(answer, 12, g));
    }
    if let Some(gold) = &doc.trace().gold_answer {
        part(p, "reference", one_line(gold, 12, g));
    }
}

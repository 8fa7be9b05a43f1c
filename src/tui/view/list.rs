//! The list of problems.

use super::format;
use super::paint::Painter;
use crate::trace::GoldDeviation;
use crate::tui::source::{Item, Row};
use crate::tui::state::{Focus, Mark, State};
use crate::tui::text::width;
use crate::tui::theme::{Glyphs, Role};
use ratatui::layout::Rect;
use ratatui::style::Modifier;

pub(super) fn draw(state: &State, p: &mut Painter<'_>) {
    let Some(area) = state.layout.list else { return };
    let focused = state.focus == Focus::List && state.overlay.is_none();
    let g = p.glyphs();
    if let Some(main) = state.layout.main {
        let (role, wall) = if focused { (Role::BorderFocus, g.wall) } else { (Role::Border, g.wall) };
        for y in area.top()..area.bottom() {
            p.glyph(main.x.saturating_sub(1), y, 1, wall, p.style(role));
        }
    }
    let columns = Columns::of(state, p, area);
    title(state, p, area, columns, focused);
    for y in 1..area.height {
        let at = state.list.top + usize::from(y) - 1;
        let Some(item) = state.list.item(at) else { break };
        row(state, p, Rect { y: area.y + y, height: 1, ..area }, (at, item), columns);
    }
    if state.list.count() == 0 && area.height > 2 {
        let text = match () {
            () if state.list.filtering || !state.list.complete => "reading",
            () if state.filter.is_some() => "nothing passes the filter",
            () => "no problems: press e to write one",
        };
        p.cut(area.x + 1, area.y + 2, area.width.saturating_sub(2), text, p.style(Role::Faint));
    }
}

/// The columns beside the problem that have something in them, in cells; 0 of one that is not there.
#[derive(Clone, Copy, Default)]
struct Columns {
    several: u16,
    gold: u16,
    predicted: u16,
    policy: u16,
}

impl Columns {
    /// As far as the rows on screen are known, wide enough for what they show.
    fn of(state: &State, p: &Painter<'_>, area: Rect) -> Self {
        if area.width < 24 {
            return Self::default();
        }
        let g = p.glyphs();
        let shown = || (state.list.top..state.list.top + usize::from(area.height)).filter_map(|p| state.list.item(p));
        let row = |item: Item| match item {
            Item::Recorded(i) => state.list.row(i),
            Item::Own(_) => None,
        };
        let rows = || shown().filter_map(row);
        let cells = |least: u16, there: bool, widths: &mut dyn Iterator<Item = usize>| match there {
            true => widths.fold(least, |w, n| w.max(u16::try_from(n).unwrap_or(MOST))).min(MOST),
            false => 0,
        };
        let mut marks = shown().filter_map(|i| state.list.marks.get(&i)?.step).map(|s| width(&format!("{}{}", g.deviation, s + 1)));
        let mut policies = rows().filter_map(|r| r.policy.as_deref());
        let first = policies.next();
        let differ = first.is_some_and(|first| policies.any(|other| other != first) || first.contains(", "));
        Self {
            several: cells(5, rows().any(|r| r.candidates > 1 || r.correct.is_some()), &mut rows().map(|r| width(&several(r, g).0))),
            gold: cells(4, rows().any(|r| r.gold.is_some()), &mut rows().map(|r| width(&format::gold(r.gold, g)))),
            predicted: cells(4, rows().any(|r| r.candidates > 0) && !state.list.marks.is_empty(), &mut marks),
            policy: if differ && area.width >= 48 { (area.width / 4).min(24) } else { 0 },
        }
    }
}

/// Cells that a column of numbers may have.
const MOST: u16 = 12;

/// How many candidates are right, of how many, or how many there are.
fn several(row: &Row, g: &Glyphs) -> (String, Role) {
    match (row.correct, row.candidates) {
        (Some((1, 1)), _) => (g.right.to_string(), Role::Right),
        (Some((0, 1)), _) => (g.wrong.to_string(), Role::Wrong),
        (Some((right, of)), _) => (format!("{right}/{of}"), Role::Dim),
        (None, n) if n > 1 => (format!("{}{n}", g.times), Role::Dim),
        _ => (String::new(), Role::Dim),
    }
}

fn title(state: &State, p: &mut Painter<'_>, area: Rect, columns: Columns, focused: bool) {
    let role = if focused { Role::Accent } else { Role::Title };
    let count = state.list.count();
    let x = p.cut(area.x + 1, area.y, area.width.saturating_sub(1), "Problems", p.style(role));
    let of = if count == 0 { String::new() } else { format!(" {}/{}", format::thousands(state.list.at + 1), format::thousands(count)) };
    let more = if state.list.complete && !state.list.filtering { "" } else { "+" };
    let room = area.right().saturating_sub(x);
    let place = format!("{of}{more}");
    let x = if width(&place) <= usize::from(room) { p.text(x, area.y, room, &place, p.style(Role::Dim)) } else { x };
    let mut right = area.right().saturating_sub(1);
    let style = p.style(Role::Faint);
    for (cells, name) in [(columns.predicted, "pred"), (columns.gold, "gold"), (columns.several, "ok"), (columns.policy, "by")] {
        if cells > 0 && right > x + cells {
            p.right(right, area.y, cells, name, style);
            right -= cells + 1;
        }
    }
}

fn row(state: &State, p: &mut Painter<'_>, area: Rect, (at, item): (usize, Item), columns: Columns) {
    let g = p.glyphs();
    let selected = at == state.list.at;
    let open = state.open == Some(item);
    let mut text = p.style(if open { Role::Strong } else { Role::Text });
    if selected {
        p.tint(area, p.style(Role::Selection));
        text = p.style(Role::Selection);
    }
    let cursor = if open { g.cursor } else { " " };
    p.glyph(area.x, area.y, 1, cursor, if selected { text } else { p.style(Role::Accent) });
    let mut right = area.right().saturating_sub(1);
    let keep = |style: ratatui::style::Style| if selected { text.patch(style).bg(text.bg.unwrap_or_default()) } else { style };
    let row = match item {
        Item::Recorded(i) => state.list.row(i),
        Item::Own(_) => None,
    };
    let gold = row.and_then(|r| r.gold);
    if columns.predicted > 0 {
        if let Some(&Mark { step: marked, judged, outside }) = state.list.marks.get(&item) {
            let shown = match marked {
                Some(s) => format!("{}{}", g.deviation, s + 1),
                None if outside && !judged => "out".into(),
                None => g.unknown.to_string(),
            };
            let agrees = match (gold, marked) {
                _ if !judged => None,
                (Some(GoldDeviation::Step(a)), Some(b)) => Some(a == b),
                (Some(GoldDeviation::None), b) => Some(b.is_none()),
                (Some(GoldDeviation::Step(_)), None) => Some(false),
                (None, _) => None,
            };
            let role = match agrees {
                Some(true) => Role::Right,
                Some(false) => Role::Wrong,
                None if marked.is_some() => Role::Wrong,
                None => Role::Faint,
            };
            p.right(right, area.y, columns.predicted, &shown, keep(p.style(role)));
        }
        right = right.saturating_sub(columns.predicted + 1);
    }
    if columns.gold > 0 {
        let role = if matches!(gold, Some(GoldDeviation::Step(_))) { Role::Gold } else { Role::Faint };
        p.right(right, area.y, columns.gold, &format::gold(gold, g), keep(p.style(role)));
        right = right.saturating_sub(columns.gold + 1);
    }
    if columns.several > 0 {
        let (shown, role) = row.map_or((String::new(), Role::Dim), |r| several(r, g));
        p.right(right, area.y, columns.several, &shown, keep(p.style(role)));
        right = right.saturating_sub(columns.several + 1);
    }
    if columns.policy > 0 {
        let policy = row.and_then(|r| r.policy.as_deref()).unwrap_or_default();
        p.right(right, area.y, columns.policy, policy, keep(p.style(Role::Dim)));
        right = right.saturating_sub(columns.policy + 1);
    }
    let mut left = area.x + 1;
    // What the reward model has not learned on.
    if state.list.marks.get(&item).is_some_and(|m| m.outside) {
        left = p.glyph(left, area.y, 1, "~", keep(p.style(Role::Warning)));
    }
    let room = right.saturating_sub(left);
    match (item, row) {
        (Item::Own(i), _) => {
            let problem = state.list.own.get(i).map_or("", String::as_str).split_whitespace().collect::<Vec<_>>().join(" ");
            p.cut(left, area.y, room, &problem, text.add_modifier(Modifier::ITALIC));
        }
        (_, Some(r)) if r.failed => {
            let x = p.glyph(left, area.y, room, g.warning, keep(p.style(Role::Error)));
            p.cut(x + 1, area.y, room.saturating_sub(2), &r.problem, keep(p.style(Role::Error)));
        }
        (_, Some(r)) => {
            let x = if room >= 40 && !r.id.is_empty() {
                let id = width(&r.id).min(14) as u16;
                p.middle(left, area.y, id, &r.id, keep(p.style(Role::Faint)));
                left + id + 1
            } else {
                left
            };
            let problem = if r.problem.is_empty() { "(no problem text)" } else { &r.problem };
            p.cut(x, area.y, right.saturating_sub(x), problem, text);
        }
        (Item::Recorded(i), None) => {
            p.cut(left, area.y, room, &format!("{}", i + 1), keep(p.style(Role::Faint)));
        }
    }
}

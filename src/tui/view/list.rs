//! The list of problems.

use super::format;
use super::paint::Painter;
use crate::trace::GoldDeviation;
use crate::tui::source::Item;
use crate::tui::state::{Focus, Mark, State};
use crate::tui::text::width;
use crate::tui::theme::Role;
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
    let columns = Columns::of(state, area);
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

/// The columns beside the problem that have something in them.
#[derive(Clone, Copy)]
struct Columns {
    several: bool,
    gold: bool,
    predicted: bool,
}

impl Columns {
    /// As far as the rows on screen are known.
    fn of(state: &State, area: Rect) -> Self {
        if area.width < 24 {
            return Self { several: false, gold: false, predicted: false };
        }
        let shown = || (state.list.top..state.list.top + usize::from(area.height)).filter_map(|p| state.list.item(p));
        let rows = || {
            shown().filter_map(|i| match i {
                Item::Recorded(i) => state.list.row(i),
                Item::Own(_) => None,
            })
        };
        Self {
            several: rows().any(|r| r.candidates > 1 || r.correct.is_some()),
            gold: rows().any(|r| r.gold.is_some()),
            predicted: rows().any(|r| r.candidates > 0) && !state.list.marks.is_empty(),
        }
    }
}

const GOLD: u16 = 4;
const MARK: u16 = 4;
const SEVERAL: u16 = 5;

fn title(state: &State, p: &mut Painter<'_>, area: Rect, columns: Columns, focused: bool) {
    let role = if focused { Role::Accent } else { Role::Title };
    let count = state.list.count();
    let x = p.cut(area.x + 1, area.y, area.width.saturating_sub(1), "Problems", p.style(role));
    let of = if count == 0 { String::new() } else { format!(" {}/{}", format::thousands(state.list.at + 1), format::thousands(count)) };
    let more = if state.list.complete && !state.list.filtering { "" } else { "+" };
    let x = p.cut(x, area.y, area.right().saturating_sub(x), &format!("{of}{more}"), p.style(Role::Dim));
    let mut right = area.right().saturating_sub(1);
    let style = p.style(Role::Faint);
    if columns.predicted && right > x + MARK {
        p.right(right, area.y, MARK, "pred", style);
        right -= MARK + 1;
    }
    if columns.gold && right > x + GOLD {
        p.right(right, area.y, GOLD, "gold", style);
        right -= GOLD + 1;
    }
    if columns.several && right > x + SEVERAL {
        p.right(right, area.y, SEVERAL, "ok", style);
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
    if columns.predicted {
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
            p.right(right, area.y, MARK, &shown, keep(p.style(role)));
        }
        right = right.saturating_sub(MARK + 1);
    }
    if columns.gold {
        let role = if matches!(gold, Some(GoldDeviation::Step(_))) { Role::Gold } else { Role::Faint };
        p.right(right, area.y, GOLD, &format::gold(gold, g), keep(p.style(role)));
        right = right.saturating_sub(GOLD + 1);
    }
    if columns.several {
        let (shown, role) = match row.map(|r| (r.correct, r.candidates)) {
            Some((Some((1, 1)), _)) => (g.right.to_string(), Role::Right),
            Some((Some((0, 1)), _)) => (g.wrong.to_string(), Role::Wrong),
            Some((Some((right, of)), _)) => (format!("{right}/{of}"), Role::Dim),
            Some((None, n)) if n > 1 => (format!("{}{n}", g.times), Role::Dim),
            _ => (String::new(), Role::Dim),
        };
        p.right(right, area.y, SEVERAL, &shown, keep(p.style(role)));
        right = right.saturating_sub(SEVERAL + 1);
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
                p.cut(left, area.y, id, &r.id, keep(p.style(Role::Faint)));
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

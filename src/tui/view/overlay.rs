//! Help, messages, settings and the problem editor.

use super::page::{panel, scrollbar};
use super::paint::Painter;
use crate::check::lint::Severity;
use crate::runtime::Slot;
use crate::tui::Field;
use crate::tui::keymap::{BINDINGS, Context};
use crate::tui::state::{Level, Overlay, State};
use crate::tui::text::{width, wrap_plain};
use crate::tui::theme::Role;
use ratatui::layout::Rect;

pub(super) fn draw(state: &State, p: &mut Painter<'_>) {
    let area = Rect { height: p.area().height.saturating_sub(1), ..p.area() };
    match &state.overlay {
        Some(Overlay::Help { scroll }) => help(p, area, *scroll),
        Some(Overlay::Messages { scroll }) => messages(state, p, area, *scroll),
        Some(Overlay::Settings { at, typed }) => settings(state, p, area, *at, typed.as_deref()),
        Some(Overlay::Problem) => problem(state, p, area),
        Some(Overlay::Search(_) | Overlay::Filter(_)) | None => {}
    }
}

/// A line of a page of text.
struct Entry {
    left: String,
    right: String,
    role: Role,
}

fn help(p: &mut Painter<'_>, area: Rect, scroll: usize) {
    let g = p.glyphs();
    let about = [
        format!("{} {}  better or worse than the pivot: the threshold, the middle of the unit, or the median", g.above, g.below),
        format!("{}  predicted first deviation      {}  labelled one      steps count from 1", g.deviation, g.gold),
        format!("{}  first deviation by a second signal, where it marks another step", g.beside),
        "A number before a key repeats it; 5gg goes to step or problem 5.".to_string(),
        "The wheel scrolls what is under it; a click selects, a second one opens.".to_string(),
    ];
    help_page(p, area, scroll, |context| !context.is_watch(), &about);
}

/// The help on the keys of some contexts, with a word on what is seen.
pub(in crate::tui) fn help_page(p: &mut Painter<'_>, area: Rect, scroll: usize, wanted: impl Fn(Context) -> bool, about: &[String]) {
    let mut entries = Vec::new();
    let mut context: Option<Context> = None;
    for b in BINDINGS.iter().filter(|b| wanted(b.context)) {
        if context != Some(b.context) {
            if context.is_some() {
                entries.push(Entry { left: String::new(), right: String::new(), role: Role::Text });
            }
            entries.push(Entry { left: b.context.title().into(), right: String::new(), role: Role::Title });
            context = Some(b.context);
        }
        entries.push(Entry { left: readable(b.on), right: b.desc.into(), role: Role::Accent });
    }
    let line = |left: &str, role| Entry { left: left.into(), right: String::new(), role };
    entries.extend([line("", Role::Text), line("What is seen", Role::Title)]);
    entries.extend(about.iter().map(|text| line(text, Role::Text)));
    let keys = entries.iter().filter(|e| !e.right.is_empty()).map(|e| width(&e.left)).max().unwrap_or(0) as u16;
    let inside = panel(p, area, 92.min(area.width), area.height, "Help", "j k scroll, esc close");
    pages(p, inside, &entries, keys, scroll);
}

/// Keys as the table has them, with spelled-out names.
fn readable(on: &str) -> String {
    on.replace("<C-", "<ctrl-").replace("<A-", "<alt-").replace("<S-", "<shift-").replace("ret>", "enter>")
}

fn pages(p: &mut Painter<'_>, inside: Rect, entries: &[Entry], keys: u16, scroll: usize) {
    let page = usize::from(inside.height);
    let top = scroll.min(entries.len().saturating_sub(page));
    for (y, entry) in entries.iter().skip(top).take(page).enumerate() {
        let y = inside.y + y as u16;
        let room = inside.width.saturating_sub(1);
        if entry.right.is_empty() {
            p.cut(inside.x, y, room, &entry.left, p.style(entry.role));
        } else {
            p.cut(inside.x + 1, y, keys.min(room), &entry.left, p.style(entry.role));
            let x = inside.x + keys + 3;
            p.cut(x, y, (inside.x + room).saturating_sub(x), &entry.right, p.style(Role::Text));
        }
    }
    scrollbar(p, Rect { x: inside.right().saturating_sub(1), width: 1, ..inside }, top, entries.len());
}

fn messages(state: &State, p: &mut Painter<'_>, area: Rect, scroll: usize) {
    let inside = panel(p, area, 100.min(area.width), area.height, "Lints and messages", "j k scroll, esc close");
    let room = inside.width.saturating_sub(4);
    let mut lines: Vec<(String, Role)> = Vec::new();
    let mut add = |mark: &str, text: &str, role: Role| {
        for (i, row) in wrap_plain(text, room).iter().enumerate() {
            let mark = if i == 0 { mark } else { "" };
            lines.push((format!("{mark:2}{}", row.of(text)), role));
        }
    };
    for lint in state.doc().map_or(&[][..], |d| &d.lints) {
        let role = match lint.severity {
            Severity::Error => Role::Error,
            Severity::Warning => Role::Warning,
            Severity::Note => Role::Dim,
        };
        let who = lint.candidate.map_or(String::from("all candidates"), |c| format!("candidate {}", c + 1));
        add(p.glyphs().warning, &format!("{who}: {} ({})", lint.message, lint.code.name()), role);
    }
    for (what, slot) in state.models.slots() {
        match slot {
            Slot::Absent => {}
            Slot::Loading { name, progress } => add("", &format!("{what} {name}: loading, {:.0} %", progress * 100.0), Role::Dim),
            Slot::Ready { name, about } => add("", &format!("{what} {name}: {about}"), Role::Ok),
            Slot::Failed { name, error } => add(p.glyphs().warning, &format!("{what} {name}: {error}"), Role::Error),
        }
    }
    let c = &state.models.calibration;
    let beside = c.beside.iter().map(|(signal, c)| (format!("calibration of {signal}"), c));
    for (what, c) in std::iter::once(("calibration".to_owned(), c)).chain(beside).filter(|(_, c)| !c.method.is_empty()) {
        add("", &format!("{what}: {} ({} samples)", c.method, c.samples), Role::Dim);
    }
    for m in state.messages.iter().rev() {
        let times = if m.times > 1 { format!(" ({} times)", m.times) } else { String::new() };
        let (mark, role) = if m.level == Level::Error { (p.glyphs().warning, Role::Error) } else { (p.glyphs().dot, Role::Text) };
        add(mark, &format!("{}{times}", m.text), role);
    }
    if lines.is_empty() {
        lines.push(("nothing to tell".into(), Role::Dim));
    }
    let page = usize::from(inside.height);
    let top = scroll.min(lines.len().saturating_sub(page));
    for (y, (text, role)) in lines.iter().skip(top).take(page).enumerate() {
        p.cut(inside.x, inside.y + y as u16, inside.width.saturating_sub(1), text, p.style(*role));
    }
    scrollbar(p, Rect { x: inside.right().saturating_sub(1), width: 1, ..inside }, top, lines.len());
}

/// The panel of the settings, the row of each setting that fits, and whether there is room for headings.
pub(in crate::tui) fn settings_rows(area: Rect, at: usize) -> (Rect, Vec<(usize, u16)>, bool) {
    let frame = super::page::centred(area, 60, Field::ALL.len() as u16 + 5);
    let inside = super::page::inside(frame);
    // Room for the two headings and the blank between them.
    let headed = inside.height >= Field::ALL.len() as u16 + 3;
    let top = if headed { 0 } else { at.saturating_sub(usize::from(inside.height.saturating_sub(1))) };
    let place = |i: usize, field: Field| {
        let shift = if !headed {
            0
        } else if field.is_sampling() {
            1
        } else {
            3
        };
        (i, inside.y + (i - top) as u16 + shift)
    };
    let rows = Field::ALL.into_iter().enumerate().skip(top).map(|(i, f)| place(i, f)).filter(|r| r.1 < inside.bottom()).collect();
    (frame, rows, headed)
}

fn settings(state: &State, p: &mut Painter<'_>, area: Rect, at: usize, typed: Option<&str>) {
    let (frame, rows, headed) = settings_rows(area, at);
    let inside = panel(p, frame, frame.width, frame.height, "Settings", "h l change, enter type, r run, esc close");
    for (i, y) in rows {
        let field = Field::ALL[i];
        let first_read = Field::ALL.iter().position(|f| !f.is_sampling()) == Some(i);
        if headed && (i == 0 || first_read) && y > inside.y {
            p.cut(
                inside.x,
                y - 1,
                inside.width,
                if i == 0 { "Sampling: from the next run on" } else { "Reading: at once" },
                p.style(Role::Faint),
            );
        }
        let (name, about) = field.label();
        let selected = i == at;
        let row = Rect { y, height: 1, ..inside };
        if selected {
            p.tint(row, p.style(Role::Selection));
        }
        let look = |p: &Painter<'_>, role| if selected { p.style(Role::Selection) } else { p.style(role) };
        p.cut(row.x + 1, y, 14.min(row.width), name, look(p, Role::Text));
        let value = match typed.filter(|_| selected) {
            Some(t) => format!("{t}{}", p.glyphs().caret),
            None => state.shown_setting(field),
        };
        let value = if value.is_empty() { p.glyphs().unknown.to_string() } else { value };
        let after = p.cut(row.x + 15, y, row.width.saturating_sub(15), &value, look(p, Role::Strong));
        let x = after.max(row.x + 28) + 1;
        p.cut(x, y, row.right().saturating_sub(x), about, look(p, Role::Faint));
    }
}

fn problem(state: &State, p: &mut Painter<'_>, area: Rect) {
    let w = 84.min(area.width);
    let text = state.draft.text();
    let rows = wrap_plain_kept(text, w.saturating_sub(5));
    let h = (rows.len() as u16 + 2).max(8).min(area.height);
    let inside = panel(p, area, w, h, "Your own problem", "enter generate, alt-enter new line, ctrl-u delete line, esc close");
    let cursor = state.draft.cursor();
    let at = rows.iter().rposition(|r| r.start <= cursor).unwrap_or(0);
    let page = usize::from(inside.height.max(1));
    let top = (at + 1).saturating_sub(page);
    for (y, row) in rows.iter().enumerate().skip(top).take(page) {
        let line = inside.y + (y - top) as u16;
        p.text(inside.x, line, inside.width, row.of(text), p.style(Role::Text));
        if y == at {
            let before = width(crate::trace::Span::new(row.start, cursor.clamp(row.start, row.end)).of(text)) as u16;
            let here = Rect { x: (inside.x + before).min(inside.right().saturating_sub(1)), y: line, width: 1, height: 1 };
            p.tint(here, p.style(Role::Cursor));
        }
    }
    if text.is_empty() && inside.width > 2 {
        p.cut(inside.x + 1, inside.y, inside.width - 1, "write or paste a problem", p.style(Role::Faint));
    }
}

/// Rows of a text as it is written: blanks at its end are kept.
fn wrap_plain_kept(text: &str, width: u16) -> Vec<crate::trace::Span> {
    let mut rows = wrap_plain(text, width);
    let shown = text.trim_end().len();
    let mut at = shown;
    if let Some(last) = rows.last_mut() {
        last.end = shown + text[shown..].find('\n').unwrap_or(text.len() - shown);
        at = last.end;
    }
    while let Some(next) = text[at..].find('\n').map(|i| at + i + 1) {
        let end = text[next..].find('\n').map_or(text.len(), |i| next + i);
        rows.push(crate::trace::Span::new(next, end));
        at = end;
    }
    rows
}

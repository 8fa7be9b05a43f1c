//! A problem's title, and one candidate's text with the gutter of its steps.

use super::format;
use super::paint::Painter;
use super::words::{one_line, outside, rank_name, unjudged, verdict};
use crate::check::lint::Severity;
use crate::trace::{Candidate, Span, StepKind};
use crate::tui::source::find_in;
use crate::tui::state::{Derived, Doc, Focus, Line, Sheet, State, View, gold_step};
use crate::tui::text::wrap_plain;
use crate::tui::theme::Role;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// How much of a step stands before its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Number, side, reward, bar.
    Full,
    /// Number, side, reward.
    Middle,
    /// Side and number, the reward on the row below.
    Small,
}

/// What stands before the text of each step, wide enough for the longest number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) struct Gutter {
    shape: Shape,
    /// Cells of a number.
    digits: u16,
}

/// Cells of a bar on either side of its axis.
const BAR: u16 = 4;

impl Gutter {
    /// The gutter of a page of this width for a candidate with so many steps.
    pub fn of(width: u16, steps: usize) -> Self {
        let (shape, least) = match width {
            66.. => (Shape::Full, 3),
            44.. => (Shape::Middle, 3),
            _ => (Shape::Small, 4),
        };
        Self { shape, digits: (steps.max(1).ilog10() as u16 + 1).max(least) }
    }

    pub fn width(self) -> u16 {
        match self.shape {
            Shape::Full => self.digits + 10 + 2 * BAR + 2,
            Shape::Middle => self.digits + 10,
            // The cursor, a sign with the number, a blank.
            Shape::Small => self.digits + 3,
        }
    }
}

/// The readings of reward models that were named beside the one that ranks.
fn beside(doc: &Doc) -> impl Iterator<Item = usize> + '_ {
    doc.readings.columns.iter().copied().filter(|i| doc.signal_of(*i).is_some_and(|s| s.beside))
}

/// Title and problem.
pub(super) fn head(state: &State, p: &mut Painter<'_>) {
    let area = state.layout.problem;
    if area.is_empty() {
        return;
    }
    let focused = state.focus == Focus::Main && state.overlay.is_none();
    let Some(doc) = state.doc() else {
        let text = if state.open.is_some() { "reading" } else { "nothing is open: choose a problem and press enter" };
        p.cut(area.x + 1, area.y, area.width.saturating_sub(2), text, p.style(Role::Dim));
        return;
    };
    let g = p.glyphs();
    let dot = format!(" {} ", g.dot);
    let room = |x: u16| area.right().saturating_sub(x).saturating_sub(1);
    let trace = doc.trace();
    let role = if focused { Role::Accent } else { Role::Title };
    let id = if trace.id.is_empty() { "problem" } else { &trace.id };
    let mut x = p.middle(area.x + 1, area.y, room(area.x).min(40), id, p.style(role));
    let n = doc.candidates().len();
    // What else there is to say is short.
    let fits = |x: u16, kept: usize| move |f: &&String| usize::from(room(x)) > f.chars().count() + 3 + kept;
    if let Some(forms) = outside(doc, g) {
        // The verdict that was insisted on stands beside it.
        let form = if doc.trust { [72, 48, 24] } else { [72, 24, 0] }.iter().find_map(|kept| forms.iter().find(fits(x, *kept)));
        if let Some(form) = form {
            x = p.text(x, area.y, room(x), &dot, p.style(Role::Faint));
            x = p.text(x, area.y, room(x), form, p.style(Role::Warning));
        }
    }
    let mut part = |p: &mut Painter<'_>, text: &str, style: Style| {
        if usize::from(room(x)) > text.chars().count() + 3 {
            x = p.text(x, area.y, room(x), &dot, p.style(Role::Faint));
            x = p.text(x, area.y, room(x), text, style);
        }
    };
    if n > 1 && state.view == View::Trace {
        part(p, &format!("candidate {} of {n}", doc.cursor.candidate + 1), p.style(Role::Strong));
    } else if n > 1 {
        part(p, &format!("{n} candidates"), p.style(Role::Dim));
        let by = rank_name(state, doc).map_or_else(|| "nothing ranks them".into(), |name| format!("ranked by {name}"));
        part(p, &by, p.style(Role::Dim));
        beside(doc).for_each(|i| part(p, &format!("beside it {}", doc.readings.all[i]), p.style(Role::Dim)));
    }
    if let (View::Trace, Some(candidate), Some(derived)) = (state.view, doc.candidate(), doc.derived_now()) {
        if let Some((name, value)) = doc.readings.rank.and_then(|i| Some((rank_name(state, doc)?, derived.taken.get(i)?.whole?))) {
            let style = p.theme.reward(doc.rank_scale.place(value));
            part(p, &format!("{name} {}", format::amount(value, doc.unit_of(doc.readings.rank), g).trim()), style);
            if n > 1 {
                part(p, &format!("rank {}", derived.rank), p.style(Role::Strong));
            }
        }
        for i in beside(doc) {
            let Some(value) = derived.taken.get(i).and_then(|t| t.whole) else { continue };
            part(p, &format!("{} {}", doc.readings.all[i], format::amount(value, doc.unit_of(Some(i)), g).trim()), p.style(Role::Dim));
        }
        if let Some(answer) = &candidate.answer {
            let (mark, role) = verdict(candidate, g);
            part(p, format!("answer {} {mark}", one_line(answer, 24, g)).trim_end(), p.style(role));
        }
        if let Some(policy) = &candidate.policy {
            part(p, &one_line(policy, 40, g), p.style(Role::Dim));
        }
    }
    if let Some(gold) = &trace.gold_answer {
        part(p, &format!("reference {}", one_line(gold, 24, g)), p.style(Role::Dim));
    }
    let serious = doc.lints.iter().filter(|l| l.severity > Severity::Note).count();
    if serious > 0 {
        let word = if serious == 1 { "warning" } else { "warnings" };
        part(p, &format!("{} {serious} {word} (m)", g.warning), p.style(Role::Warning));
    }
    if let Some(forms) = unjudged(state, doc)
        && let Some(form) = forms.iter().find(fits(x, 0))
    {
        x = p.text(x, area.y, room(x), &dot, p.style(Role::Faint));
        p.text(x, area.y, room(x), form, p.style(Role::Dim));
    }
    let rule = state.layout.problem_rule;
    let text_rows = area.height.saturating_sub(1 + u16::from(rule));
    let rows = wrap_plain(&trace.problem, area.width.saturating_sub(2));
    for (y, row) in rows.iter().take(usize::from(text_rows)).enumerate() {
        let last = y + 1 == usize::from(text_rows) && rows.len() > usize::from(text_rows);
        let line = row.of(&trace.problem);
        let after = p.text(area.x + 1, area.y + 1 + y as u16, area.width.saturating_sub(2), line, p.style(Role::Dim));
        if last {
            p.glyph(after.min(area.right().saturating_sub(2)), area.y + 1 + y as u16, 2, g.ellipsis, p.style(Role::Faint));
        }
    }
    if rule {
        p.rule(Rect { y: area.bottom() - 1, height: 1, ..area }, Role::Border);
    }
}

pub(super) fn draw(state: &State, p: &mut Painter<'_>) {
    let body = state.layout.body;
    let Some(doc) = state.doc() else { return };
    let (Some(candidate), Some(derived)) = (doc.candidate(), doc.derived_now()) else {
        return empty(state, p);
    };
    let sheet = &derived.wide;
    let page = Rect { width: body.width.saturating_sub(1), ..body };
    let look = Look { state, doc, candidate, derived, sheet, selected: true };
    look.draw(p, page, doc.top);
    super::page::scrollbar(p, Rect { x: page.right(), width: 1, ..body }, doc.top, sheet.lines.len());
}

/// What there is to say while there is no candidate.
pub(super) fn empty(state: &State, p: &mut Painter<'_>) {
    use crate::runtime::Slot;
    let body = state.layout.body;
    let text = match &state.models.policy {
        _ if !state.has_models => "this problem has no candidates, and no policy is loaded".to_string(),
        Slot::Loading { name, progress } => format!("loading {name}: {:.0} %", progress * 100.0),
        Slot::Failed { name, error } => format!("{name} could not be loaded: {error}"),
        Slot::Ready { .. } => "press r to generate".to_string(),
        Slot::Absent => "this problem has no candidates; give a --policy to generate some".to_string(),
    };
    for (y, row) in wrap_plain(&text, body.width.saturating_sub(4)).iter().enumerate().take(usize::from(body.height)) {
        p.text(body.x + 2, body.y + y as u16, body.width.saturating_sub(4), row.of(&text), p.style(Role::Dim));
    }
}

/// One candidate's text on a page.
pub(super) struct Look<'a> {
    pub state: &'a State,
    pub doc: &'a Doc,
    pub candidate: &'a Candidate,
    pub derived: &'a Derived,
    pub sheet: &'a Sheet,
    /// It is the selected candidate.
    pub selected: bool,
}

impl Look<'_> {
    pub fn draw(&self, p: &mut Painter<'_>, page: Rect, top: usize) {
        let gutter = Gutter::of(page.width, self.candidate.steps.len());
        let text_x = page.x + gutter.width().min(page.width);
        let visible = self.sheet.lines.iter().skip(top).take(usize::from(page.height));
        let spans = visible.clone().filter_map(|l| match l {
            Line::Row(i) => self.sheet.wrap.rows().get(*i).map(|r| r.span),
            _ => None,
        });
        let range = spans.fold(None, |a: Option<Span>, s| Some(a.map_or(s, |a| Span::new(a.start.min(s.start), a.end.max(s.end)))));
        let overlays = range.map(|r| self.overlays(p, r)).unwrap_or_default();
        for (y, line) in visible.enumerate() {
            let y = page.y + y as u16;
            match *line {
                Line::Mark(step) => self.mark(p, Rect { y, height: 1, ..page }, step),
                Line::Answer(_) => self.answer(p, Rect { y, height: 1, ..page }, gutter),
                Line::Row(i) => {
                    let Some(row) = self.sheet.wrap.rows().get(i) else { continue };
                    let current = row.step == Some(self.doc.cursor.step);
                    if current {
                        p.tint(Rect { x: page.x, y, width: page.width, height: 1 }, p.style(Role::Step));
                    }
                    if let Some(step) = row.step {
                        let nth = self.sheet.wrap.rows()[..i].iter().rev().take_while(|r| r.step == Some(step)).count();
                        self.gutter(p, Rect { y, height: 1, ..page }, gutter, step, nth);
                    }
                    if current && self.selected {
                        p.glyph(page.x, y, 1, p.glyphs().wall_focus, p.style(Role::Accent));
                    }
                    let kind = row.step.and_then(|s| self.candidate.steps.get(s)).map(|s| s.kind);
                    let role = match kind {
                        None => Role::Faint,
                        _ if row.code => Role::Code,
                        Some(StepKind::Answer) => Role::Answer,
                        Some(StepKind::Reasoning) => Role::Text,
                    };
                    if row.code {
                        p.tint(Rect { x: text_x, y, width: page.right().saturating_sub(text_x), height: 1 }, p.style(Role::Code));
                    }
                    let after =
                        p.spans(text_x, y, page.right().saturating_sub(text_x), &self.candidate.text, row.span, p.style(role), &overlays);
                    let last = i + 1 == self.sheet.wrap.rows().len();
                    if last && self.candidate.finish.is_none() && self.state.running() && self.doc.origin == crate::tui::state::Origin::Live
                    {
                        p.glyph(after, y, page.right().saturating_sub(after), p.glyphs().caret, p.style(Role::Accent));
                    }
                }
            }
        }
    }

    /// Colours of tokens and matches inside a range of the text, in the order they are laid on.
    fn overlays(&self, p: &Painter<'_>, range: Span) -> Vec<(Span, Style)> {
        let mut out = Vec::new();
        let inside = |s: Span| s.start < range.end && range.start < s.end;
        for highlight in self.derived.code.iter().filter(|h| inside(h.0)) {
            out.push((highlight.0, p.style(highlight.1)));
        }
        let tokens = self.derived.heat.tokens.iter().filter(|t| inside(t.0) && !t.1.is_nan());
        out.extend(tokens.map(|(span, place)| (*span, p.theme.heat(*place))));
        if !self.state.search.text.is_empty() {
            let needle = &self.state.search.text;
            let from = floor(&self.candidate.text, range.start.saturating_sub(needle.len()));
            let to = floor(&self.candidate.text, (range.end + needle.len()).min(self.candidate.text.len()));
            let found = find_in(&self.candidate.text[from..to], needle);
            out.extend(found.map(|r| (Span::new(from + r.start, from + r.end), p.style(Role::Search))));
        }
        if self.selected
            && let Some(span) = self.doc.cursor.token.and_then(|t| Doc::units(self.candidate).get(t).copied())
        {
            out.push((span, p.style(Role::Cursor)));
        }
        out
    }

    fn gutter(&self, p: &mut Painter<'_>, area: Rect, gutter: Gutter, step: usize, nth: usize) {
        let g = p.glyphs();
        let reward = self.derived.colour_of(step);
        let place = reward.map(|r| self.doc.scale.place(r));
        let style = p.theme.reward(place.unwrap_or(f32::NAN));
        let current = step == self.doc.cursor.step;
        let number = p.style(if current { Role::Strong } else { Role::Faint });
        let side = format::side(place, g);
        let unit = self.doc.unit_of(self.doc.readings.colour);
        let shown = reward.map_or_else(|| String::from(g.unknown), |r| format::amount(r, unit, g));
        let Gutter { shape, digits } = gutter;
        let (start, edge) = (area.x + 1, area.right());
        match shape {
            Shape::Small => match nth {
                0 => {
                    p.glyph(start, area.y, 1.min(area.width), side, style);
                    p.right((start + 1 + digits).min(edge), area.y, digits, &(step + 1).to_string(), number);
                }
                1 => {
                    let short = reward.map_or_else(String::new, |r| format::signed(r, 1, g));
                    p.right((start + 1 + digits).min(edge), area.y, digits + 1, &short, style);
                }
                _ => {}
            },
            Shape::Middle | Shape::Full if nth == 0 => {
                p.right(start + digits, area.y, digits, &(step + 1).to_string(), number);
                p.glyph(start + digits + 1, area.y, 1, side, style);
                p.right(start + digits + 8, area.y, 6, &shown, style);
                if shape == Shape::Full {
                    bar(p, start + digits + 9, area.y, place, style);
                }
            }
            _ => {}
        }
    }

    fn mark(&self, p: &mut Painter<'_>, area: Rect, step: usize) {
        let g = p.glyphs();
        let predicted = self.derived.deviation.as_ref().filter(|d| d.step == step);
        let second = self.derived.beside.as_ref().filter(|d| d.step == step && self.derived.apart() == Some(step));
        let labelled = gold_step(self.candidate) == Some(step);
        let long = area.width >= 44;
        let mut x = area.x + if long { 1 } else { 0 };
        let room = |x: u16| area.right().saturating_sub(x);
        if predicted.is_some() {
            let chip = if long { format!(" {} first deviation ", g.deviation) } else { format!(" {} deviates ", g.deviation) };
            x = p.text(x, area.y, room(x), &chip, p.style(Role::Deviation));
        }
        if let Some(second) = second {
            let name = &second.by.reading;
            let text = if long { format!(" {} first deviation by {name} ", g.beside) } else { format!(" {} {name} ", g.beside) };
            x = p.cut(x, area.y, room(x), &text, p.style(Role::Wrong));
        }
        if labelled {
            let text = match (predicted.is_some(), long) {
                (true, true) => format!(" {} labelled here too", g.gold),
                (false, true) => format!(" {} labelled first error", g.gold),
                (true, false) => format!(" {} too", g.gold),
                (false, false) => format!(" {} labelled", g.gold),
            };
            x = p.cut(x, area.y, room(x), &text, p.style(Role::Gold));
        }
        if let Some(d) = predicted.or(second).filter(|_| long) {
            // The chip ends in a blank of its own, the label does not.
            let gap = u16::from(labelled);
            let x = p.text(x + gap, area.y, room(x + gap), &format!("{} ", g.dot), p.style(Role::Faint));
            p.cut(x, area.y, room(x), &super::detail::why(self.doc, d, g, room(x)), p.style(Role::Dim));
        }
    }

    fn answer(&self, p: &mut Painter<'_>, area: Rect, gutter: Gutter) {
        let x = area.x + gutter.width().min(area.width);
        let room = area.right().saturating_sub(x);
        let after = p.cut(x, area.y, room, "answer ", p.style(Role::Faint));
        p.rule(Rect { x: after, width: area.right().saturating_sub(after), ..area }, Role::Border);
    }
}

/// A bar to the right of its axis above the pivot, to the left below it; in half cells.
fn bar(p: &mut Painter<'_>, x: u16, y: u16, place: Option<f32>, style: Style) {
    let g = p.glyphs();
    p.glyph(x + BAR, y, 1, g.axis, p.style(Role::Border));
    let Some(t) = place.filter(|t| t.is_finite()) else { return };
    let halves = ((t.abs() * f32::from(2 * BAR)).round() as u16).max(1);
    let (full, half) = (halves / 2, halves % 2);
    if t >= 0.0 {
        (0..full).for_each(|i| {
            p.glyph(x + BAR + 1 + i, y, 1, g.bar, style);
        });
        if half == 1 {
            p.glyph(x + BAR + 1 + full, y, 1, g.bar_left, style);
        }
    } else {
        (0..full).for_each(|i| {
            p.glyph(x + BAR - 1 - i, y, 1, g.bar_below, style);
        });
        if half == 1 {
            p.glyph(x + BAR - 1 - full, y, 1, g.bar_right, style);
        }
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

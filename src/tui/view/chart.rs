//! What colours the steps, over the steps: bars for one candidate, lines for several.

use super::format::signed;
use super::paint::Painter;
use super::words::reward_style;
use crate::tui::state::{Doc, State, View, gold_step};
use crate::tui::text::width;
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Cells of the labels on the left.
const LABELS: u16 = 8;

pub(super) fn draw(state: &State, p: &mut Painter<'_>) {
    let area = state.layout.chart;
    if area.height < 4 || area.width < LABELS + 8 {
        return;
    }
    p.rule(area, Role::Border);
    let Some(doc) = state.doc() else { return };
    let signal = doc.coloured_by().map_or_else(|| "reward".to_owned(), ToString::to_string);
    let whom = if state.view == View::Trace || doc.candidates().len() < 2 { "" } else { ", all candidates" };
    p.cut(area.x + 2, area.y, area.width.saturating_sub(26), &format!(" {signal} over steps{whom} "), p.style(Role::Faint));
    let plot = Rect { x: area.x + LABELS, y: area.y + 1, width: area.width - LABELS - 1, height: area.height - 2 };
    let Some(range) = Range::of(doc, state.view, plot.height) else {
        p.cut(plot.x, plot.y, plot.width, "no signal of steps", p.style(Role::Faint));
        return;
    };
    labels(doc, p, area, plot, &range);
    if state.view == View::Trace || doc.candidates().len() < 2 {
        bars(doc, p, plot, &range);
    } else {
        lines(doc, p, plot, &range);
    }
}

/// What the plot spans from bottom to top; the pivot lies between two rows.
struct Range {
    low: f32,
    high: f32,
    pivot: f32,
    /// Rows above the pivot.
    above: u16,
    height: u16,
}

impl Range {
    fn of(doc: &Doc, view: View, height: u16) -> Option<Self> {
        let one = view == View::Trace || doc.candidates().len() < 2;
        let derived = doc.derived.iter().enumerate().filter(|(i, _)| !one || *i == doc.cursor.candidate);
        let values: Vec<f32> = derived.flat_map(|(_, d)| d.colours().iter().flatten().copied()).filter(|v| v.is_finite()).collect();
        if values.is_empty() {
            return None;
        }
        let pivot = doc.scale.pivot;
        let low = values.iter().copied().fold(pivot, f32::min);
        let high = values.iter().copied().fold(pivot, f32::max);
        let span = (high - low).max(f32::MIN_POSITIVE);
        let share = ((high - pivot) / span * f32::from(height)).round() as u16;
        // A side that has values has at least a row.
        let above = share.clamp(u16::from(high > pivot), height - u16::from(low < pivot && height > 1));
        Some(Self { low, high, pivot, above, height })
    }

    /// Rows between the value and the pivot.
    fn rows(&self, value: f32) -> f32 {
        let (far, rows) = if value >= self.pivot { (self.high, self.above) } else { (self.low, self.height - self.above) };
        ((value - self.pivot) / (far - self.pivot)).abs().clamp(0.0, 1.0) * f32::from(rows)
    }

    /// The row a value lies in, from the top.
    fn row(&self, value: f32) -> u16 {
        let rows = self.rows(value).ceil() as u16;
        if value >= self.pivot { self.above - rows.min(self.above) } else { (self.above + rows.max(1) - 1).min(self.height - 1) }
    }
}

fn labels(doc: &Doc, p: &mut Painter<'_>, area: Rect, plot: Rect, range: &Range) {
    let g = p.glyphs();
    let style = p.style(Role::Faint);
    let pivot = range.above.min(plot.height - 1);
    if range.above > 0 && range.high > range.pivot {
        p.right(plot.x - 1, plot.y, LABELS - 1, &signed(range.high, 2, g), style);
    }
    if range.above + 1 < plot.height && range.low < range.pivot {
        p.right(plot.x - 1, plot.bottom() - 1, LABELS - 1, &signed(range.low, 2, g), style);
    }
    p.right(plot.x - 1, plot.y + pivot, LABELS - 1, &signed(doc.scale.pivot, 2, g), p.style(Role::Threshold));
    for x in plot.left()..plot.right() {
        p.glyph(x, plot.y + pivot, 1, g.threshold, p.style(Role::Threshold));
    }
    let name = doc.scale.name;
    let label = format!(" {} {name} ", g.threshold);
    let label = if width(&label) > 12 { label.trim_end() } else { &label };
    p.right(plot.right(), area.y, 12, label, p.style(Role::Faint));
}

/// Of so many steps one may have its number below the plot.
const EVERY: [u16; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/// Cells a step, and the number of steps shown.
fn pitch(steps: usize, width: u16) -> (u16, usize) {
    let each = (width / u16::try_from(steps.max(1)).unwrap_or(u16::MAX)).clamp(1, 7);
    (each, steps.min(usize::from(width / each)))
}

/// The numbers of steps below a plot: as many as have room for all their digits, the current one's before others.
fn ticks(p: &mut Painter<'_>, plot: Rect, each: u16, first: usize, shown: usize, current: usize) {
    let digits = width(&(first + shown).to_string()) as u16;
    let least = if each >= 3 { 1 } else { 5 };
    let every = EVERY.into_iter().find(|e| *e >= least && u32::from(*e) * u32::from(each) > u32::from(digits)).unwrap_or(u16::MAX);
    let cells = |i: usize| {
        let (x, label) = (plot.x + i as u16 * each, (first + i + 1).to_string());
        (x, x + label.len() as u16, label)
    };
    let own = current.checked_sub(first).filter(|i| *i < shown && (every == 1 || each >= 2)).map(cells);
    for i in 0..shown {
        let step = first + i;
        let (start, end, label) = cells(i);
        let covered = own.as_ref().is_some_and(|(from, to, _)| start <= *to && *from <= end);
        let listed = (step + 1).is_multiple_of(usize::from(every)) || step == 0;
        if listed && !covered && step != current && end <= plot.right() {
            p.text(start, plot.bottom(), end - start, &label, p.style(Role::Faint));
        }
    }
    if let Some((start, end, label)) = own {
        let start = start.min(plot.right().saturating_sub(end - start));
        p.text(start, plot.bottom(), label.len() as u16, &label, p.style(Role::Accent));
    }
}

fn bars(doc: &Doc, p: &mut Painter<'_>, plot: Rect, range: &Range) {
    let (Some(candidate), Some(derived)) = (doc.candidate(), doc.derived_now()) else { return };
    let g = p.glyphs();
    let (each, shown) = pitch(derived.colours().len(), plot.width);
    let first = doc.cursor.step.saturating_sub(shown.saturating_sub(1)).min(derived.colours().len().saturating_sub(shown));
    let wide = if each > 2 { each - 1 } else { each };
    for (i, reward) in derived.colours().iter().skip(first).take(shown).enumerate() {
        let step = first + i;
        let x = plot.x + i as u16 * each;
        let Some(r) = reward.filter(|r| !r.is_nan()) else {
            p.glyph(x, plot.y + range.above.min(plot.height - 1), 1, g.unknown, p.style(Role::Faint));
            continue;
        };
        let style = reward_style(p, doc.scale, Some(r));
        let rows = range.rows(r);
        for k in 0..rows.ceil() as u16 {
            let part = (rows - f32::from(k)).min(1.0);
            let (y, glyph) = if r >= range.pivot {
                let level = ((part * g.levels.len() as f32).round() as usize).clamp(1, g.levels.len());
                (range.above.checked_sub(k + 1), g.levels[level - 1])
            } else {
                (Some(range.above + k).filter(|y| *y < plot.height), if part > 0.5 { g.chart_below } else { g.upper_half })
            };
            let Some(y) = y else { continue };
            (0..wide).for_each(|c| {
                p.glyph(x + c, plot.y + y, 1, glyph, style);
            });
        }
        if derived.deviation.as_ref().is_some_and(|d| d.step == step) {
            p.glyph(x, plot.y, 1, g.deviation, p.style(Role::Deviation));
        }
        let mut shift = u16::from(derived.deviation.as_ref().is_some_and(|d| d.step == step));
        if derived.apart() == Some(step) {
            p.glyph(x + shift, plot.y, 1, g.beside, p.style(Role::Wrong));
            shift += 1;
        }
        if gold_step(candidate) == Some(step) {
            p.glyph(x + shift, plot.y, 1, g.gold, p.style(Role::Gold));
        }
    }
    ticks(p, plot, each, first, shown, doc.cursor.step);
}

fn lines(doc: &Doc, p: &mut Painter<'_>, plot: Rect, range: &Range) {
    let g = p.glyphs();
    let (each, shown) = pitch(doc.steps(), plot.width);
    let first = doc.cursor.step.saturating_sub(shown.saturating_sub(1)).min(doc.steps().saturating_sub(shown));
    let selected = doc.cursor.candidate;
    let order = (0..doc.derived.len()).filter(|i| *i != selected).chain([selected]);
    for i in order {
        let Some(derived) = doc.derived.get(i) else { continue };
        let (role, near) = if i == selected { (Role::Accent, true) } else { (Role::Faint, false) };
        let places: Vec<Option<(u16, u16)>> = derived
            .colours()
            .iter()
            .skip(first)
            .take(shown)
            .enumerate()
            .map(|(k, r)| r.map(|r| (plot.x + k as u16 * each, plot.y + range.row(r))))
            .collect();
        if near {
            // The selected candidate's points are joined; the others would only cover each other.
            for pair in places.windows(2) {
                let [Some(a), Some(b)] = pair else { continue };
                for x in a.0 + 1..b.0 {
                    let t = f32::from(x - a.0) / f32::from(b.0 - a.0);
                    let y = f32::from(a.1) + (f32::from(b.1) - f32::from(a.1)) * t;
                    p.glyph(x, y.round() as u16, 1, g.dot, p.style(role));
                }
            }
        }
        for (k, place) in places.iter().enumerate() {
            let Some((x, y)) = *place else { continue };
            let reward = derived.colour_of(first + k);
            let deviates = derived.deviation.as_ref().is_some_and(|d| d.step == first + k);
            let style = if near { reward_style(p, doc.scale, reward) } else { p.style(Role::Faint) };
            let glyph = if deviates {
                g.deviation
            } else if near {
                g.bar
            } else {
                g.point
            };
            let style = if deviates { p.style(Role::Wrong) } else { style };
            p.glyph(x, y, 1, glyph, style);
        }
    }
    ticks(p, plot, each, first, shown, doc.cursor.step);
}

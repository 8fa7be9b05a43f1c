//! Rewards over the steps: bars for one candidate, lines for several.

use super::format::signed;
use super::paint::Painter;
use super::trace::reward_style;
use crate::tui::state::{Doc, State, View, gold_step};
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
    let name = if state.view == View::Trace || doc.candidates().len() < 2 {
        " reward over steps "
    } else {
        " rewards over steps, all candidates "
    };
    p.cut(area.x + 2, area.y, area.width.saturating_sub(4), name, p.style(Role::Faint));
    let plot = Rect { x: area.x + LABELS, y: area.y + 1, width: area.width - LABELS - 1, height: area.height - 2 };
    let Some(range) = Range::of(doc, state.view) else {
        p.cut(plot.x, plot.y, plot.width, "no rewards yet", p.style(Role::Faint));
        return;
    };
    labels(doc, p, area, plot, &range);
    if state.view == View::Trace || doc.candidates().len() < 2 {
        bars(doc, p, plot, &range);
    } else {
        lines(doc, p, plot, &range);
    }
}

/// What the plot spans from bottom to top; the pivot is always inside.
struct Range {
    low: f32,
    high: f32,
}

impl Range {
    fn of(doc: &Doc, view: View) -> Option<Self> {
        let one = view == View::Trace || doc.candidates().len() < 2;
        let seen = doc.seen.iter().enumerate().filter(|(i, _)| !one || *i == doc.cursor.candidate);
        let values: Vec<f32> = seen.flat_map(|(_, s)| s.rewards.iter().flatten().copied()).collect();
        if values.is_empty() {
            return None;
        }
        let pivot = doc.scale.pivot;
        let low = values.iter().copied().fold(pivot, f32::min);
        let high = values.iter().copied().fold(pivot, f32::max);
        let pad = ((high - low) * 0.05).max(0.05);
        Some(Self { low: low - pad, high: high + pad })
    }

    /// Rows from the top, as a fraction of `height`.
    fn down(&self, value: f32, height: u16) -> f32 {
        (self.high - value) / (self.high - self.low) * f32::from(height)
    }
}

fn labels(doc: &Doc, p: &mut Painter<'_>, area: Rect, plot: Rect, range: &Range) {
    let g = p.glyphs();
    let style = p.style(Role::Faint);
    let pivot_row = (range.down(doc.scale.pivot, plot.height) as u16).min(plot.height - 1);
    for (row, value) in [(0, range.high), (plot.height - 1, range.low)] {
        if row != pivot_row {
            p.right(plot.x - 1, plot.y + row, LABELS - 1, &signed(value, 1, g), style);
        }
    }
    p.right(plot.x - 1, plot.y + pivot_row, LABELS - 1, &signed(doc.scale.pivot, 2, g), p.style(Role::Threshold));
    for x in plot.left()..plot.right() {
        p.glyph(x, plot.y + pivot_row, 1, g.threshold, p.style(Role::Threshold));
    }
    let name = if doc.scale.calibrated { "threshold" } else { "pivot" };
    p.right(plot.right(), area.y, 12, &format!(" {name} "), p.style(Role::Faint));
}

/// Cells a step, and the number of steps shown.
fn pitch(steps: usize, width: u16) -> (u16, usize) {
    let each = (width / (steps.max(1) as u16).max(1)).clamp(1, 8);
    (each, steps.min(usize::from(width / each)))
}

fn ticks(p: &mut Painter<'_>, plot: Rect, each: u16, first: usize, shown: usize, current: usize) {
    let every = if each >= 3 { 1 } else { 5 };
    for i in 0..shown {
        let step = first + i;
        if step == current || (step + 1).is_multiple_of(every) || step == 0 {
            let role = if step == current { Role::Accent } else { Role::Faint };
            let label = (step + 1).to_string();
            let room = (plot.right()).saturating_sub(plot.x + i as u16 * each);
            if every == 1 || step != current || each >= 2 {
                p.text(plot.x + i as u16 * each, plot.bottom(), room.min(each.max(label.len() as u16)), &label, p.style(role));
            }
        }
    }
}

fn bars(doc: &Doc, p: &mut Painter<'_>, plot: Rect, range: &Range) {
    let (Some(candidate), Some(seen)) = (doc.candidate(), doc.seen_now()) else { return };
    let g = p.glyphs();
    let (each, shown) = pitch(seen.rewards.len(), plot.width);
    let first = doc.cursor.step.saturating_sub(shown.saturating_sub(1)).min(seen.rewards.len().saturating_sub(shown));
    let zero = range.down(doc.scale.pivot, plot.height);
    let wide = if each > 2 { each - 1 } else { each };
    for (i, reward) in seen.rewards.iter().skip(first).take(shown).enumerate() {
        let step = first + i;
        let x = plot.x + i as u16 * each;
        let Some(r) = *reward else {
            p.glyph(x, plot.y + (zero as u16).min(plot.height - 1), wide, g.unknown, p.style(Role::Faint));
            continue;
        };
        let style = reward_style(p, doc.scale, Some(r));
        let value = range.down(r, plot.height);
        for row in 0..plot.height {
            let (top, bottom) = (f32::from(row), f32::from(row + 1));
            // Part of this cell between the value and the pivot.
            let glyph = if r >= doc.scale.pivot {
                let part = (bottom.min(zero) - top.max(value)).clamp(0.0, 1.0);
                let level = (part * g.levels.len() as f32).round() as usize;
                level.checked_sub(1).map(|l| g.levels[l.min(g.levels.len() - 1)])
            } else {
                let part = (bottom.min(value) - top.max(zero)).clamp(0.0, 1.0);
                if part > 0.75 {
                    Some(g.chart_below)
                } else if part > 0.25 {
                    Some(g.upper_half)
                } else {
                    None
                }
            };
            if let Some(glyph) = glyph {
                (0..wide).for_each(|k| {
                    p.glyph(x + k, plot.y + row, 1, glyph, style);
                });
            }
        }
        if seen.deviation.is_some_and(|d| d.step == step) {
            p.glyph(x, plot.y, 1, g.deviation, p.style(Role::Deviation));
        }
        if gold_step(candidate) == Some(step) {
            let shift = u16::from(seen.deviation.is_some_and(|d| d.step == step));
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
    let order = (0..doc.seen.len()).filter(|i| *i != selected).chain([selected]);
    for i in order {
        let Some(seen) = doc.seen.get(i) else { continue };
        let (role, near) = if i == selected { (Role::Accent, true) } else { (Role::Faint, false) };
        let places: Vec<Option<(u16, u16)>> = seen
            .rewards
            .iter()
            .skip(first)
            .take(shown)
            .enumerate()
            .map(|(k, r)| r.map(|r| (plot.x + k as u16 * each, plot.y + (range.down(r, plot.height) as u16).min(plot.height - 1))))
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
            let reward = seen.rewards.get(first + k).copied().flatten();
            let deviates = seen.deviation.is_some_and(|d| d.step == first + k);
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

//! The panes: stages, curves, rollouts, alarms.

use super::plot::{self, number};
use super::state::{Pane, WatchState};
use crate::diagnose::AlarmKind;
use crate::run::RunSample;
use crate::trace::{FinishReason, sanitize};
use crate::tui::text::wrap_plain;
use crate::tui::theme::Role;
use crate::tui::view::format::{side, signed};
use crate::tui::view::page::{meter, scrollbar};
use crate::tui::view::paint::Painter;
use ratatui::layout::Rect;

/// The narrowest curve, and a height at which it reads well, with its name.
const CURVE: (u16, u16) = (38, 6);
/// The lowest curve; rather than one good row, two such are shown.
const LOW: u16 = 4;
/// Cells of the reward before a step.
const GUTTER: u16 = 10;

/// A pane's rule with its title; returns what is below it.
pub(super) fn heading(p: &mut Painter<'_>, area: Rect, title: &str, focused: bool) -> Rect {
    p.rule(area, if focused { Role::BorderFocus } else { Role::Border });
    let role = if focused { Role::Title } else { Role::Faint };
    p.cut(area.x + 1, area.y, area.width.saturating_sub(2), &format!(" {title} "), p.style(role));
    below(area)
}

/// An area without its first row.
pub(super) fn below(area: Rect) -> Rect {
    let first = 1.min(area.height);
    Rect { y: area.y + first, height: area.height - first, ..area }
}

/// Seconds as people say them, in at most six cells.
pub(super) fn duration(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m", s.div_ceil(60)),
        3600..360_000 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d", s / 86400),
    }
}

pub(super) fn stages(state: &WatchState, p: &mut Painter<'_>, area: Rect) {
    let g = p.glyphs();
    let all = state.history.stages();
    let shown = state.shown().map(|s| s.0);
    let rows = usize::from(area.height);
    // The newest stages are the ones that matter, unless an older one is looked at.
    let top = all.len().saturating_sub(rows).min(shown.unwrap_or(usize::MAX));
    let names = all.iter().map(|s| s.name.chars().count()).max().unwrap_or(0).clamp(6, 16) as u16;
    for (y, (i, stage)) in all.iter().enumerate().skip(top).take(rows).enumerate() {
        let y = area.y + y as u16;
        let selected = shown == Some(i);
        if selected {
            p.glyph(area.x, y, 1, g.cursor, p.style(Role::Accent));
        }
        p.cut(
            area.x + 2,
            y,
            names.min(area.width.saturating_sub(2)),
            &stage.name,
            p.style(if selected { Role::Strong } else { Role::Text }),
        );
        let mut right = area.right();
        if area.width >= 40 {
            let (text, role) = match stage.seconds_left() {
                _ if stage.is_done() => (g.right.to_owned(), Role::Ok),
                Some(left) => (duration(left), Role::Text),
                None => (g.unknown.to_owned(), Role::Faint),
            };
            p.right(right, y, 6, &text, p.style(role));
            right = right.saturating_sub(7);
        }
        let count = format!("{}/{}", stage.step, stage.steps);
        let from = p.right(right, y, right.saturating_sub(area.x + names + 3), &count, p.style(Role::Dim));
        let bar = area.x + names + 3;
        let part = stage.step as f32 / stage.steps.max(1) as f32;
        meter(p, bar, y, from.saturating_sub(bar + 1), part, if stage.is_done() { Role::Ok } else { Role::Accent });
    }
}

/// Curves side by side, rows of them, and rows that fit.
pub(super) fn grid(area: Rect, curves: usize) -> ((usize, usize), usize) {
    let across = usize::from(area.width / CURVE.0).clamp(1, 4).min(curves.max(1));
    let rows = curves.div_ceil(across);
    let fit = (area.height / CURVE.1).max((area.height / LOW).min(2));
    ((across, usize::from(fit).clamp(1, rows.max(1))), rows)
}

pub(super) fn curves(state: &WatchState, p: &mut Painter<'_>) {
    let area = state.layout.curves;
    let Some((_, stage)) = state.shown() else {
        let inside = heading(p, area, "curves", state.focus == Pane::Curves);
        p.cut(inside.x + 1, inside.y, inside.width.saturating_sub(1), "no metrics yet", p.style(Role::Faint));
        return;
    };
    let curves = state.curves();
    let (across, rows) = state.layout.grid;
    let first = state.top[Pane::Curves as usize] * across;
    let last = (first + across * rows).min(curves.len());
    let part = if last - first < curves.len() { format!(", {} to {last} of {}", first + 1, curves.len()) } else { String::new() };
    let look = if state.rough { "" } else { ", smoothed" };
    let inside = heading(p, area, &format!("{} over {} steps{look}{part}", stage.name, stage.step), state.focus == Pane::Curves);
    if curves.is_empty() {
        let why = if stage.series.is_empty() { "no metrics yet" } else { "all curves are hidden; m chooses" };
        p.cut(inside.x + 1, inside.y, inside.width.saturating_sub(1), why, p.style(Role::Faint));
        return;
    }
    let (width, height) = (inside.width / across as u16, inside.height / rows as u16);
    for (i, series) in curves[first..last].iter().enumerate() {
        let place = Rect {
            x: inside.x + (i % across) as u16 * width,
            y: inside.y + (i / across) as u16 * height,
            width: width.saturating_sub(1),
            height: if height >= CURVE.1 { height - 1 } else { height },
        };
        let value = number(series.last());
        let from = p.right(place.right(), place.y, 7, &value, p.style(Role::Strong));
        p.cut(place.x + 1, place.y, from.saturating_sub(place.x + 2), &series.name, p.style(Role::Text));
        let concerns = |name: &str| name.parse::<AlarmKind>().is_ok_and(|k| k.reads().contains(&series.name.as_str()));
        let marks: Vec<usize> =
            state.history.alarms().iter().filter(|a| a.stage == stage.name && concerns(&a.name)).map(|a| a.step).collect();
        plot::draw(p, below(place), &series.points, (1, stage.step), state.rough, &marks);
    }
}

/// A line of the rollouts.
pub(super) enum Line {
    Problem(String),
    /// The head of a candidate.
    Head(usize),
    /// Text of a step; its reward where it begins.
    Step(Option<Option<f32>>, Option<f32>, String),
    Blank,
}

/// The rollouts that are shown, a line a row.
pub(super) fn rollout_lines(state: &WatchState, width: u16) -> Vec<Line> {
    let Some(sample) = state.samples.get(state.sample) else { return Vec::new() };
    let pieces = |text: &str, width: u16| -> Vec<String> {
        // Texts of a policy without what a terminal would obey.
        let text = sanitize(text);
        wrap_plain(&text, width).iter().map(|s| s.of(&text).to_owned()).collect()
    };
    let trace = &sample.trace;
    let mut lines: Vec<Line> = pieces(&trace.problem, width.saturating_sub(2)).into_iter().map(Line::Problem).collect();
    if let Some(gold) = &trace.gold_answer {
        lines.push(Line::Problem(format!("reference {}", sanitize(gold))));
    }
    for (i, candidate) in trace.candidates.iter().enumerate() {
        lines.extend([Line::Blank, Line::Head(i)]);
        let whole = [(candidate.text.as_str(), None)];
        let steps = candidate.steps.iter().map(|s| s.span.of(&candidate.text)).zip(RunSample::step_rewards(candidate));
        let steps: Vec<(&str, Option<f32>)> = if candidate.steps.is_empty() { whole.into() } else { steps.collect() };
        for (text, reward) in steps {
            let rows = pieces(text, width.saturating_sub(GUTTER + 1));
            lines.extend(rows.into_iter().enumerate().map(|(k, row)| Line::Step((k == 0).then_some(reward), reward, row)));
        }
    }
    lines
}

pub(super) fn rollouts(state: &WatchState, p: &mut Painter<'_>) {
    let area = state.layout.rollouts;
    let Some(sample) = state.samples.get(state.sample) else {
        let inside = heading(p, area, "rollouts", state.focus == Pane::Rollouts);
        p.cut(inside.x + 1, inside.y, inside.width.saturating_sub(1), "none written yet", p.style(Role::Faint));
        return;
    };
    let title = format!("rollouts of {} step {}, problem {} of {}", sample.stage, sample.step, state.sample + 1, state.samples.len());
    let inside = heading(p, area, &title, state.focus == Pane::Rollouts);
    let lines = rollout_lines(state, inside.width);
    let candidates = &sample.trace.candidates;
    let rewards = || candidates.iter().flat_map(|c| RunSample::step_rewards(c).into_iter().chain([RunSample::reward(c)])).flatten();
    let range = rewards().filter(|r| r.is_finite()).fold(f32::MIN_POSITIVE, |m, r| m.max(r.abs()));
    let place = |reward: Option<f32>| reward.map(|r| r / range);
    let top = state.top[Pane::Rollouts as usize];
    let g = p.glyphs();
    for (y, line) in lines.iter().skip(top).take(usize::from(inside.height)).enumerate() {
        let y = inside.y + y as u16;
        let (x, room) = (inside.x + 1, inside.width.saturating_sub(2));
        let reward = |p: &mut Painter<'_>, x: u16, reward: Option<f32>| {
            let style = p.theme.reward(place(reward).unwrap_or(f32::NAN));
            let x = p.glyph(x, y, 1, side(place(reward), g), style);
            p.text(x + 1, y, 7, &reward.map(|r| signed(r, 2, g)).unwrap_or_default(), style);
        };
        match line {
            Line::Blank => {}
            Line::Problem(text) => {
                p.cut(x, y, room, text, p.style(Role::Dim));
            }
            Line::Head(i) => {
                let Some(c) = candidates.get(*i) else { continue };
                reward(p, x, RunSample::reward(c));
                let mut at = p.text(x + GUTTER, y, room, &format!("{} of {}", i + 1, candidates.len()), p.style(Role::Strong)) + 2;
                if let Some(right) = c.correct {
                    let (glyph, word, role) = if right { (g.right, "right", Role::Right) } else { (g.wrong, "wrong", Role::Wrong) };
                    at = p.text(at, y, area.right().saturating_sub(at), &format!("{glyph} {word}"), p.style(role)) + 2;
                }
                if c.finish == Some(FinishReason::Length) {
                    p.cut(at, y, area.right().saturating_sub(at), "cut by the token limit", p.style(Role::Warning));
                }
            }
            Line::Step(starts, whole, text) => {
                if let Some(r) = starts {
                    reward(p, x, *r);
                }
                let heat = p.theme.heat(place(*whole).unwrap_or(f32::NAN));
                p.text(x + GUTTER, y, room.saturating_sub(GUTTER), text, p.style(Role::Text).patch(heat));
            }
        }
    }
    scrollbar(p, Rect { x: inside.right().saturating_sub(1), width: 1, ..inside }, top, lines.len());
}

/// The alarms as lines: whether one begins, its role, the text.
pub(super) fn alarm_lines(state: &WatchState, width: u16) -> Vec<(bool, Role, String)> {
    let mut lines = Vec::new();
    for alarm in state.history.alarms() {
        let cleared = alarm.cleared.map(|step| format!(", cleared at {step}")).unwrap_or_default();
        let role = if alarm.cleared.is_some() { Role::Faint } else { Role::Warning };
        lines.push((true, role, format!("{} at {} step {}{cleared}", alarm.name, alarm.stage, alarm.step)));
        if alarm.cleared.is_none() {
            let spans = wrap_plain(&alarm.message, width.saturating_sub(4));
            lines.extend(spans.iter().map(|s| (false, Role::Dim, s.of(&alarm.message).to_owned())));
        }
    }
    lines
}

pub(super) fn alarms(state: &WatchState, p: &mut Painter<'_>) {
    let area = state.layout.alarms;
    let inside = heading(p, area, "alarms", state.focus == Pane::Alarms);
    let lines = alarm_lines(state, inside.width);
    if lines.is_empty() {
        p.cut(inside.x + 1, inside.y, inside.width.saturating_sub(1), "none", p.style(Role::Faint));
    }
    let top = state.top[Pane::Alarms as usize];
    for (y, (first, role, text)) in lines.iter().skip(top).take(usize::from(inside.height)).enumerate() {
        let y = inside.y + y as u16;
        if *first {
            p.glyph(inside.x + 1, y, 1, p.glyphs().warning, p.style(*role));
        }
        p.cut(inside.x + 3, y, inside.width.saturating_sub(4), text, p.style(*role));
    }
    scrollbar(p, Rect { x: inside.right().saturating_sub(1), width: 1, ..inside }, top, lines.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        assert_eq!([0.4, 59.0, 61.0, 3599.0, 3700.0, 1e6].map(duration), ["0s", "59s", "2m", "60m", "1h01m", "11d"]);
    }

    #[test]
    fn curves_fill_the_pane() {
        let area = |width, height| Rect { x: 0, y: 0, width, height };
        assert_eq!(grid(area(80, 12), 9), ((2, 2), 5));
        assert_eq!(grid(area(80, 8), 9), ((2, 2), 5));
        assert_eq!(grid(area(80, 23), 9), ((2, 3), 5));
        assert_eq!(grid(area(20, 3), 9), ((1, 1), 9));
        assert_eq!(grid(area(200, 60), 3), ((3, 1), 1));
        assert_eq!(grid(area(80, 12), 0), ((1, 1), 0));
    }
}

//! Exact numbers of what is selected.

use super::format::{exact, finish, signed, thousands};
use super::paint::Painter;
use super::trace::{one_line, reward_style};
use crate::check::lint::Severity;
use crate::runtime::Slot;
use crate::trace::{Deviation, FinishReason, Rule, StepKind};
use crate::tui::detector_name;
use crate::tui::state::{Doc, State};
use crate::tui::text::width;
use crate::tui::theme::{Glyphs, Role};
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Why a step was marked, in at most `room` cells where that can be said: the value and its bound stay longest.
pub(super) fn why(state: &State, d: &Deviation, g: &Glyphs, room: u16) -> String {
    let (value, threshold) = (signed(d.value, 2, g), signed(d.threshold, 2, g));
    let (value, threshold) = (value.trim(), threshold.trim());
    let name = &d.by.reading;
    let forms = match d.by.rule {
        Rule::Threshold => {
            let calibration = &state.models.calibration;
            let note = if calibration.threshold(name) == Some(d.threshold) {
                let on = calibration.task.as_ref().map(|t| format!(" on {}", one_line(t, 24))).unwrap_or_default();
                calibration.false_alarm_rate.map(|r| format!(" (false alarms {:.0} %{on})", r * 100.0)).unwrap_or_default()
            } else {
                " (not calibrated)".into()
            };
            let (side, sign) = if d.value < d.threshold { ("below", "<") } else { ("above", ">") };
            let (long, short) = (format!("{name} {value} is {side} {threshold}"), format!("{name} {value} {sign} {threshold}"));
            vec![format!("{long}{note}"), format!("{short}{note}"), long, short, format!("{value} {sign} {threshold}")]
        }
        Rule::LargestDrop => vec![format!("the largest drop: {value} below the step before"), format!("largest drop: {value}")],
    };
    let fitting = forms.iter().position(|f| width(f) <= usize::from(room)).unwrap_or(forms.len() - 1);
    forms.into_iter().nth(fitting).unwrap_or_default()
}

/// A line of parts, as many as fit.
struct Parts<'p, 'a> {
    p: &'p mut Painter<'a>,
    area: Rect,
    x: u16,
}

impl Parts<'_, '_> {
    fn put(&mut self, name: &str, value: &str, style: Style) {
        let room = self.area.right().saturating_sub(self.x);
        let gap = u16::from(!name.is_empty() && !value.is_empty());
        if usize::from(room) < width(name) + width(value) + usize::from(gap) {
            return;
        }
        let faint = self.p.style(Role::Faint);
        self.x = self.p.text(self.x, self.area.y, room, name, faint) + gap;
        let room = self.area.right().saturating_sub(self.x);
        self.x = self.p.text(self.x, self.area.y, room, value, style) + 2;
    }
}

pub(super) fn draw(state: &State, p: &mut Painter<'_>) {
    let area = state.layout.detail;
    if area.is_empty() {
        return;
    }
    let top = if area.height >= 3 {
        p.rule(area, Role::Border);
        1
    } else {
        0
    };
    let Some(doc) = state.doc() else { return };
    let line = |y: u16| Rect { x: area.x + 1, y: area.y + y, width: area.width.saturating_sub(2), height: 1 };
    let token = doc.cursor.token.is_some();
    if area.height.saturating_sub(top) < 2 {
        return if token { draw_token(doc, p, line(top)) } else { draw_step(state, doc, p, line(top)) };
    }
    draw_step(state, doc, p, line(top));
    if token { draw_token(doc, p, line(top + 1)) } else { draw_candidate(state, doc, p, line(top + 1)) }
}

fn draw_step(state: &State, doc: &Doc, p: &mut Painter<'_>, area: Rect) {
    let (Some(candidate), Some(seen)) = (doc.candidate(), doc.seen_now()) else { return };
    let g = p.glyphs();
    let (dim, strong) = (p.style(Role::Dim), p.style(Role::Strong));
    let at = doc.cursor.step;
    let Some(step) = candidate.steps.get(at) else {
        p.cut(area.x, area.y, area.width, if candidate.text.is_empty() { "no text yet" } else { "no steps" }, dim);
        return;
    };
    let reward = seen.rewards.get(at).copied().flatten();
    let before = at.checked_sub(1).and_then(|i| seen.rewards.get(i).copied().flatten());
    let scale = doc.scale;
    let mut parts = Parts { p, area, x: area.x };
    parts.put("step", &format!("{}/{}", at + 1, candidate.steps.len()), strong);
    match reward {
        Some(r) => {
            let style = reward_style(parts.p, scale, reward);
            let side = super::format::side(Some(scale.place(r)), g);
            parts.put("reward", &format!("{side} {}", exact(r, g)), style);
            if let Some(b) = before {
                parts.put(g.delta, &signed(r - b, 2, g), dim);
            }
            let name = if scale.calibrated { "threshold" } else { "pivot" };
            parts.put(name, signed(scale.pivot, 2, g).trim(), dim);
        }
        None => {
            let loads = matches!(state.models.reward, Slot::Loading { .. });
            let busy = state.open.is_some_and(|open| {
                state.scoring.values().any(|i| *i == open) || state.run.as_ref().is_some_and(|r| r.item == open && !r.done)
            });
            parts.put("reward", if loads || busy { "not scored yet" } else { "none" }, dim);
        }
    }
    if let Some(d) = seen.deviation.as_ref().filter(|d| d.step == at) {
        let style = parts.p.style(Role::Wrong);
        parts.put("", &format!("{} first deviation by {}", g.deviation, detector_name(&d.by)), style);
    }
    if crate::tui::state::gold_step(candidate) == Some(at) {
        let style = parts.p.style(Role::Gold);
        parts.put("", &format!("{} labelled", g.gold), style);
    }
    if let Some(label) = step.label {
        let style = parts.p.style(if label > 0.0 {
            Role::Right
        } else if label < 0.0 {
            Role::Wrong
        } else {
            Role::Gold
        });
        let said = match label {
            1.0 => "right".to_owned(),
            -1.0 => "wrong".to_owned(),
            0.0 if candidate.steps.iter().all(|s| s.label.is_none_or(|l| l >= 0.0)) => "wrong".to_owned(),
            other => other.to_string(),
        };
        parts.put("label", &said, style);
    }
    if let Some(v) = seen.logprobs.get(at).copied().flatten() {
        parts.put("log-prob min", signed(v, 2, g).trim(), dim);
    }
    if let Some(v) = seen.entropies.get(at).copied().flatten() {
        parts.put("entropy max", signed(v, 2, g).trim().trim_start_matches('+'), dim);
    }
    if step.kind == StepKind::Answer {
        parts.put("", "answer", dim);
    }
}

fn draw_token(doc: &Doc, p: &mut Painter<'_>, area: Rect) {
    let (Some(candidate), Some(seen), Some(at)) = (doc.candidate(), doc.seen_now(), doc.cursor.token) else { return };
    let g = p.glyphs();
    let (dim, strong) = (p.style(Role::Dim), p.style(Role::Strong));
    let units = Doc::units(candidate);
    let Some(&span) = units.get(at) else { return };
    let mut parts = Parts { p, area, x: area.x };
    let whose = if candidate.tokens.is_empty() { "reward model's token" } else { "token" };
    parts.put(whose, &format!("{}/{}", at + 1, units.len()), strong);
    parts.put("", &format!("{:?}", one_line_kept(span.of(&candidate.text))), strong);
    let token = candidate.tokens.get(at);
    if let Some(id) = token.and_then(|t| t.id) {
        parts.put("id", &id.to_string(), dim);
    }
    let rewards = candidate.rewards();
    let scored = rewards.iter().position(|r| r.span.start < span.end.max(span.start + 1) && span.start < r.span.end.max(r.span.start + 1));
    if let Some(i) = scored {
        let style = parts.p.theme.reward(doc.scale.place(rewards[i].value));
        parts.put("logit", &exact(rewards[i].value, g), style);
        let shared = seen.tokens.get(i).copied().filter(|v| *v != rewards[i].value);
        if let Some(v) = shared {
            parts.put("reward", &exact(v, g), dim);
        }
    }
    if let Some(l) = token.and_then(|t| t.logprob) {
        parts.put("log-prob", &exact(l, g), dim);
        parts.put("p", &format!("{:.4}", l.exp()), dim);
    }
    if let Some(e) = token.and_then(|t| t.entropy) {
        parts.put("entropy", &format!("{e:.4}"), dim);
    }
    parts.put("bytes", &format!("{}..{}", span.start, span.end), dim);
}

/// Text of a token; long ones are cut.
fn one_line_kept(text: &str) -> String {
    text.chars().take(24).collect()
}

fn draw_candidate(state: &State, doc: &Doc, p: &mut Painter<'_>, area: Rect) {
    let (Some(candidate), Some(seen)) = (doc.candidate(), doc.seen_now()) else { return };
    let g = p.glyphs();
    let (dim, strong) = (p.style(Role::Dim), p.style(Role::Strong));
    let n = doc.candidates().len();
    let style = reward_style(p, doc.scale, seen.reward);
    let mut parts = Parts { p, area, x: area.x };
    parts.put("candidate", &format!("{}/{n}", doc.cursor.candidate + 1), strong);
    if let Some(r) = seen.reward {
        parts.put(state.settings.aggregation.name(), exact(r, g).as_str(), style);
    }
    for signal in &candidate.signals {
        if let Some(value) = signal.whole() {
            parts.put(&one_line(&signal.name, 20), &exact(value, g), dim);
        }
    }
    if let Some(answer) = &candidate.answer {
        let (mark, role) = super::trace::verdict(candidate, g);
        let style = parts.p.style(role);
        parts.put("answer", format!("{} {mark}", one_line(answer, 20)).trim_end(), style);
    }
    if !candidate.tokens.is_empty() {
        parts.put("tokens", &thousands(candidate.tokens.len()), dim);
    } else if !candidate.rewards().is_empty() {
        parts.put("reward model's tokens", &thousands(candidate.rewards().len()), dim);
    }
    match &candidate.finish {
        Some(FinishReason::Failed(error)) => {
            let style = parts.p.style(Role::Error);
            parts.put("failed", &one_line(error, 80), style);
        }
        Some(_) => parts.put("end", finish(candidate), dim),
        None if doc.growing(doc.cursor.candidate) => parts.put("", "writing", dim),
        None => {}
    }
    if let Some(lint) = doc.lints.iter().find(|l| l.candidate == Some(doc.cursor.candidate)) {
        let style = parts.p.style(if lint.severity > Severity::Note { Role::Warning } else { Role::Dim });
        parts.put("", &format!("{} {}", g.warning, lint.code.name()), style);
    }
    if let Some(name) = candidate.reward_model() {
        parts.put("rewards by", name, dim);
    }
    if let Some(source) = &doc.trace().source {
        parts.put("from", &format!("{}:{}", source.path, source.line), dim);
    }
}

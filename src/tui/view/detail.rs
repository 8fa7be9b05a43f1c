//! Exact numbers of what is selected.

use super::format::{amount, exact, finish, signed, thousands};
use super::paint::Painter;
use super::words::{one_line, ordinal, rank_name, reward_style, verdict};
use crate::check::EQUATIONS;
use crate::check::lint::Severity;
use crate::runtime::Slot;
use crate::trace::{Deviation, FinishReason, Orientation, REWARD, Rule, Signal, SignalSource, StepKind};
use crate::tui::detector_name;
use crate::tui::state::{Derived, Doc, State};
use crate::tui::text::{middle, width};
use crate::tui::theme::{Glyphs, Role};
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Why a step was marked, in at most `room` cells where that can be said: the value and its bound stay longest.
pub(super) fn why(doc: &Doc, d: &Deviation, g: &Glyphs, room: u16) -> String {
    let name = &d.by.reading;
    let at = doc.readings.all.iter().position(|r| r == name);
    let unit = doc.unit_of(at);
    let (value, threshold) = (amount(d.value, unit, g), amount(d.threshold, unit, g));
    let (value, threshold) = (value.trim(), threshold.trim());
    let forms = match d.by.rule {
        Rule::Threshold if name.signal == EQUATIONS => {
            vec!["an equation in it does not hold as it is written".into(), "a false equation".into()]
        }
        Rule::Threshold => {
            let bound = at.and_then(|i| doc.bounds.get(i)?.as_ref());
            let fitted = bound.and_then(|b| b.fitted.as_ref());
            let note = match bound.and_then(|b| b.stated.as_ref()) {
                Some(t) => {
                    let on = t.task.as_ref().map(|t| format!(" on {}", one_line(t, 24, g))).unwrap_or_default();
                    t.false_alarm_rate.map(|r| format!(" (false alarms {:.0} %{on})", r * 100.0)).unwrap_or_default()
                }
                None => fitted.map_or_else(|| " (not calibrated)".into(), |f| format!(" ({})", f.words()[0])),
            };
            let (side, sign) = if d.value < d.threshold { ("below", "<") } else { ("above", ">") };
            let (long, short) = (format!("{name} {value} is {side} {threshold}"), format!("{name} {value} {sign} {threshold}"));
            vec![format!("{long}{note}"), format!("{short}{note}"), long, short, format!("{value} {sign} {threshold}")]
        }
        Rule::LargestDrop => vec![
            format!("the largest drop of {name}: {value} worse than the step before"),
            format!("largest drop of {name}: {value}"),
            format!("largest drop: {value}"),
        ],
    };
    let fitting = forms.iter().position(|f| width(f) <= usize::from(room)).unwrap_or(forms.len() - 1);
    forms.into_iter().nth(fitting).unwrap_or_default()
}

/// Cells that the name of a file must have to be shown.
const FROM: usize = 12;
/// Cells for the number of signals that do not fit.
const MORE: u16 = 4;

/// A line of parts, as many as fit.
struct Parts<'p, 'a> {
    p: &'p mut Painter<'a>,
    area: Rect,
    x: u16,
}

impl Parts<'_, '_> {
    /// Puts what a signal says; whether it fits.
    fn said(&mut self, said: &Said) -> bool {
        let style = if said.beyond { self.p.theme.reward(-1.0) } else { self.p.style(Role::Dim) };
        let before = self.x;
        let name = one_line(&said.name, 32, self.p.glyphs());
        self.put(&name, &said.value, style);
        self.x > before
    }

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
    let rows = area.height.saturating_sub(top);
    if rows < 2 {
        return if token { draw_token(doc, p, line(top)) } else { draw_step(state, doc, p, line(top), true) };
    }
    let last = top + rows - 1;
    draw_step(state, doc, p, line(top), rows < 3);
    draw_signals(doc, p, (top + 1..last).map(line));
    if token { draw_token(doc, p, line(last)) } else { draw_candidate(state, doc, p, line(last)) }
}

/// The selected step; `all`: with what the other signals say of it.
fn draw_step(state: &State, doc: &Doc, p: &mut Painter<'_>, area: Rect, all: bool) {
    let (Some(candidate), Some(derived)) = (doc.candidate(), doc.derived_now()) else { return };
    let g = p.glyphs();
    let (dim, strong) = (p.style(Role::Dim), p.style(Role::Strong));
    let at = doc.cursor.step;
    let Some(step) = candidate.steps.get(at) else {
        p.cut(area.x, area.y, area.width, if candidate.text.is_empty() { "no text yet" } else { "no steps" }, dim);
        return;
    };
    let reward = derived.colour_of(at);
    let before = at.checked_sub(1).and_then(|i| derived.colour_of(i));
    let (name, unit) = (doc.coloured_by().map_or_else(|| "reward".into(), ToString::to_string), doc.unit_of(doc.readings.colour));
    let scale = doc.scale;
    let mut parts = Parts { p, area, x: area.x };
    parts.put("step", &format!("{}/{}", at + 1, candidate.steps.len()), strong);
    match reward {
        Some(r) => {
            let style = reward_style(parts.p, scale, reward);
            let side = super::format::side(Some(scale.place(r)), g);
            parts.put(&name, &format!("{side} {}", exact(r, g)), style);
            if let Some(b) = before {
                parts.put(g.delta, &signed(r - b, 2, g), dim);
            }
            match doc.coloured_by().and_then(|r| doc.why_withheld(&r.signal)) {
                Some(why) => parts.put("", &why, dim),
                None => parts.put(scale.name, amount(scale.pivot, unit, g).trim(), dim),
            }
            let bound = doc.readings.colour.and_then(|i| doc.bounds.get(i)?.as_ref());
            if let Some(fitted) = bound.and_then(|b| b.fitted.as_ref()) {
                parts.put("", &fitted.words()[1], dim);
            }
        }
        None => {
            let loads = state.models.rewards.iter().any(|r| matches!(r.slot, Slot::Loading { .. }));
            let busy = state.open.is_some_and(|open| state.in_work(open) || state.run.as_ref().is_some_and(|r| r.item == open && !r.done));
            let none = if doc.readings.colour.is_none() && doc.known.iter().all(|s| !s.is_reward()) {
                match state.reward_ready() {
                    true => "none: the text is longer than the reward model's context, or it says nothing of steps",
                    false => "none: name a model with --reward or --policy",
                }
            } else {
                "none"
            };
            parts.put(&name, if loads || busy { "not scored yet" } else { none }, dim);
        }
    }
    if let Some(d) = derived.deviation.as_ref().filter(|d| d.step == at) {
        let style = parts.p.style(Role::Wrong);
        parts.put("", &format!("{} first deviation by {}", g.deviation, detector_name(&d.by)), style);
    }
    if crate::tui::state::gold_step(candidate) == Some(at) {
        let style = parts.p.style(Role::Gold);
        parts.put("", &format!("{} labelled", g.gold), style);
    }
    if let (Some(label), Some(Some(rating))) = (step.label, candidate.ratings().get(at)) {
        let (role, said) = match rating {
            1 => (Role::Right, "right"),
            -1 => (Role::Wrong, "wrong"),
            _ => (Role::Gold, "neither"),
        };
        let style = parts.p.style(role);
        let plain = [1.0, 0.0, -1.0].contains(&label);
        parts.put("label", &if plain { said.to_owned() } else { format!("{label} ({said})") }, style);
    }
    if step.kind == StepKind::Answer {
        parts.put("", "answer", dim);
    }
    if all {
        told(doc, derived, at, g).iter().take_while(|said| parts.said(said)).count();
    }
}

/// What the other signals say of the selected step, on as many lines as there are.
fn draw_signals(doc: &Doc, p: &mut Painter<'_>, lines: impl Iterator<Item = Rect>) {
    let Some(derived) = doc.derived_now() else { return };
    let said = told(doc, derived, doc.cursor.step, p.glyphs());
    let mut left = said.as_slice();
    let mut lines = lines.peekable();
    while let Some(mut area) = lines.next() {
        let right = area.right();
        if lines.peek().is_none() && left.iter().map(Said::width).sum::<usize>() > usize::from(area.width) {
            area.width = area.width.saturating_sub(MORE);
        }
        let mut parts = Parts { p: &mut *p, area, x: area.x };
        let put = left.iter().take_while(|said| parts.said(said)).count();
        left = &left[put..];
        if area.right() < right && !left.is_empty() {
            let (x, more) = (parts.x, format!("+{}", left.len()));
            p.cut(x, area.y, right.saturating_sub(x), &more, p.style(Role::Faint));
        }
    }
}

/// A signal's word on a step or a candidate.
struct Said {
    name: String,
    value: String,
    /// It lies beyond the signal's threshold.
    beyond: bool,
}

impl Said {
    /// Cells that it takes, with the gap behind it.
    fn width(&self) -> usize {
        width(&self.name).min(32) + 1 + width(&self.value) + 2
    }
}

/// What each signal but the one that colours says of a step: the value in its own unit, its threshold where one is known, and the candidate's place by it
/// among several.
fn told(doc: &Doc, derived: &Derived, step: usize, g: &Glyphs) -> Vec<Said> {
    // A label is said in words.
    let told = |s: &Signal| s.has_steps() && s.source != SignalSource::Person;
    let steps = doc.readings.told.iter().filter(|i| doc.signal_of(**i).is_some_and(told));
    steps.filter_map(|&i| said(doc, i, derived.taken.get(i)?.steps.get(step).copied().flatten()?, g)).collect()
}

fn said(doc: &Doc, reading: usize, value: f32, g: &Glyphs) -> Option<Said> {
    let info = doc.signal_of(reading)?;
    let mut text = amount(value, info.unit, g).trim().to_owned();
    let stated = doc.bounds.get(reading).and_then(Option::as_ref).filter(|b| b.stated.is_some() && !doc.withheld(&info.name));
    if let Some(bound) = stated {
        let sign = if value < bound.value { "<" } else { ">" };
        text.push_str(&format!(" {sign} {}", amount(bound.value, info.unit, g).trim()));
    }
    if doc.candidates().len() > 1
        && info.orientation != Orientation::Neither
        && !doc.withheld(&info.name)
        && let Some(place) = doc.place_under(reading, doc.cursor.candidate)
    {
        text.push_str(&format!(" ({})", ordinal(place)));
    }
    let beyond = stated.is_some_and(|b| info.orientation.turn(value) < info.orientation.turn(b.value));
    Some(Said { name: doc.readings.all.get(reading)?.to_string(), value: text, beyond })
}

fn draw_token(doc: &Doc, p: &mut Painter<'_>, area: Rect) {
    let (Some(candidate), Some(derived), Some(at)) = (doc.candidate(), doc.derived_now(), doc.cursor.token) else { return };
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
        parts.put("logit", &exact(rewards[i].value, g), strong);
        let shared = derived.shared.get(i).copied().filter(|v| *v != rewards[i].value);
        if let Some(v) = shared {
            parts.put("reward", &exact(v, g), dim);
        }
    }
    for signal in candidate.signals.iter().filter(|s| s.name != REWARD) {
        if let Some(token) = signal.tokens().iter().find(|t| t.span.start < span.end.max(span.start + 1) && span.start < t.span.end) {
            parts.put(&one_line(&signal.name, 20, g), &exact(token.value, g), dim);
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
    let (Some(candidate), Some(derived)) = (doc.candidate(), doc.derived_now()) else { return };
    let g = p.glyphs();
    let (dim, strong) = (p.style(Role::Dim), p.style(Role::Strong));
    let n = doc.candidates().len();
    let mut parts = Parts { p, area, x: area.x };
    parts.put("candidate", &format!("{}/{n}", doc.cursor.candidate + 1), strong);
    if let Some((value, name)) = doc.readings.rank.and_then(|i| derived.taken.get(i)?.whole).zip(rank_name(state, doc)) {
        let style = reward_style(parts.p, doc.rank_scale, Some(value));
        let place = if n > 1 { format!(" ({})", ordinal(derived.rank)) } else { String::new() };
        parts.put(&name, &format!("{}{place}", exact(value, g)), style);
    }
    for &i in doc.readings.told.iter().filter(|i| Some(**i) != doc.readings.rank) {
        let whole = doc.signal_of(i).filter(|i| !i.has_steps()).and_then(|_| derived.taken.get(i)?.whole);
        if let Some(said) = whole.and_then(|value| said(doc, i, value, g)) {
            parts.said(&said);
        }
    }
    if let Some(answer) = &candidate.answer {
        let (mark, role) = verdict(candidate, g);
        let style = parts.p.style(role);
        parts.put("answer", format!("{} {mark}", one_line(answer, 20, g)).trim_end(), style);
    }
    if !candidate.tokens.is_empty() {
        parts.put("tokens", &thousands(candidate.tokens.len()), dim);
    } else if !candidate.rewards().is_empty() {
        parts.put("reward model's tokens", &thousands(candidate.rewards().len()), dim);
    }
    match &candidate.finish {
        Some(FinishReason::Failed(error)) => {
            let style = parts.p.style(Role::Error);
            parts.put("failed", &one_line(error, 80, g), style);
        }
        Some(_) => parts.put("end", finish(candidate), dim),
        None if doc.growing(doc.cursor.candidate) => parts.put("", "writing", dim),
        None => {}
    }
    if let Some(lint) = doc.lints.iter().find(|l| l.candidate == Some(doc.cursor.candidate)) {
        let style = parts.p.style(if lint.severity > Severity::Note { Role::Warning } else { Role::Dim });
        parts.put("", &format!("{} {}", g.warning, lint.code.name()), style);
    }
    let by = candidate.reward_models();
    if !by.is_empty() {
        parts.put("rewards by", &by.join(", "), dim);
    }
    if let Some(source) = &doc.trace().source {
        let from = format!("{}:{}", source.path, source.line);
        let room = usize::from(parts.area.right().saturating_sub(parts.x)).saturating_sub(5);
        if room >= FROM.min(width(&from)) {
            parts.put("from", &middle(&from, room, g.ellipsis), dim);
        }
    }
}

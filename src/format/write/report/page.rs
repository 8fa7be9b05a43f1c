//! What a report says of a problem, whatever it looks like.

use crate::check::{self, EQUATIONS};
use crate::format::write::Options;
use crate::trace::{
    Calibration, Candidate, Detector, FinishReason, GoldDeviation, Reading, Scale, Signal, SignalSource, Trace, Unit, default_signal,
    judging_reading, outside, sanitize,
};
use std::borrow::Cow;

/// Before the first step that deviates.
pub(super) const DEVIATION: &str = "✗";
/// Before the labelled first wrong step.
pub(super) const GOLD: &str = "◆";

/// A problem.
pub(super) struct Page<'a> {
    pub trace: &'a Trace,
    /// What colours the steps and marks.
    pub colour: Option<Reading>,
    /// How values are coloured.
    pub scale: Scale,
    unit: Unit,
    pub candidates: Vec<Shown<'a>>,
}

/// A candidate.
pub(super) struct Shown<'a> {
    pub candidate: &'a Candidate,
    /// One a step under the reading that colours.
    pub values: Vec<Option<f32>>,
    /// The first step that deviates.
    pub deviation: Option<usize>,
    pub said: Vec<Said>,
}

/// What a signal says of a candidate.
pub(super) struct Said {
    pub name: String,
    pub source: String,
    pub value: String,
    pub threshold: String,
    /// The first step beyond the threshold, from 1.
    pub first: String,
}

/// A part of a candidate's text.
pub(super) enum Part<'a> {
    /// Outside of the steps.
    Outside(&'a str),
    /// A step, from 0.
    Step(usize, &'a str),
}

impl<'a> Page<'a> {
    pub fn of(trace: &'a Trace, options: &Options) -> Self {
        let withheld = |name: &str| !options.trust && outside(&trace.candidates, name).is_some();
        let known = || trace.candidates.iter().flat_map(|c| &c.signals).filter(|s| s.has_values());
        let reading = |signal: &Signal| signal.threshold.as_ref().map_or_else(|| Reading::of(signal.name.as_str()), |t| t.reading.clone());
        let asked = || {
            options.signals.iter().find(|r| {
                let of = |c: &Candidate| check::find(c, &r.signal).is_some_and(|s| s.has_steps() && s.has_values());
                trace.candidates.iter().any(of)
            })
        };
        let reward = || known().filter(|s| s.is_reward() && s.has_steps()).min_by_key(|s| (withheld(&s.name), s.place())).map(reading);
        let surprisal = || {
            let judging = judging_reading();
            trace.candidates.iter().any(|c| c.named(&judging.signal).is_some()).then_some(judging)
        };
        let colour = asked().cloned().or_else(reward).or_else(surprisal);
        let found = |c: &'a Candidate| colour.as_ref().and_then(|r| check::find(c, &r.signal));
        let values: Vec<Vec<Option<f32>>> = trace
            .candidates
            .iter()
            .map(|c| match (found(c), &colour) {
                (Some(signal), Some(reading)) => c.step_values(&signal, reading, options.granularity),
                _ => vec![None; c.steps.len()],
            })
            .collect();
        let header = trace.candidates.iter().find_map(found).map(|s| s.header());
        let all = || values.iter().flatten().copied().flatten().collect::<Vec<f32>>();
        let stated = trace.candidates.iter().filter_map(found).find_map(|s| {
            let reading = colour.as_ref()?;
            s.threshold_of(reading, &Calibration::default()).map(|t| (t.value, "threshold"))
        });
        let bound = stated.or_else(|| header.as_ref()?.neutral(all).map(|v| (v, "pivot")));
        let orientation = header.as_ref().map(|h| h.orientation).unwrap_or_default();
        let is_withheld = colour.as_ref().is_some_and(|r| withheld(&r.signal));
        let scale = Scale { withheld: is_withheld, ..Scale::about(bound, orientation, all()) };
        let mark = |c: &'a Candidate, values: &[Option<f32>]| {
            let own = || {
                let (reading, bound) = (colour.clone()?, bound?);
                let alike = found(c).is_some_and(|s| s.is_alike(options.granularity));
                Detector::below(reading).mark(orientation, values, Some(bound.0)).filter(|_| !is_withheld && !alike).map(|d| d.step)
            };
            own().or_else(|| c.deviation.as_ref().filter(|d| !withheld(&d.by.reading.signal)).map(|d| d.step))
        };
        let candidates = trace.candidates.iter().zip(values);
        let candidates =
            candidates.map(|(c, values)| Shown { candidate: c, deviation: mark(c, &values), said: said(c, options), values }).collect();
        Self { trace, colour, scale, unit: header.map(|h| h.unit).unwrap_or_default(), candidates }
    }

    /// The problem's name.
    pub fn name(&self) -> &str {
        if self.trace.id.is_empty() { "problem" } else { &self.trace.id }
    }

    /// A step's value and its sign on the scale; empty where there is none.
    pub fn value(&self, value: Option<f32>) -> (String, &'static str) {
        let Some(value) = value else { return (String::new(), "·") };
        let side = match self.scale.place(value) {
            p if p < 0.0 => "▼",
            p if p >= 0.0 => "▲",
            _ => "·",
        };
        (amount(value, self.unit), side)
    }

    /// What colours, for people.
    pub fn legend(&self) -> Option<String> {
        let reading = self.colour.as_ref()?;
        let Scale { name, pivot, withheld, .. } = self.scale;
        let pivot = amount(pivot, self.unit);
        Some(match withheld {
            true => format!("values: {reading}, whose model has not learned on such text, so that nothing is marked"),
            false => format!("values: {reading}; {name} {pivot}"),
        })
    }
}

impl<'a> Shown<'a> {
    /// Number, policy, answer, verdict and end in one line's parts.
    pub fn title(&self, at: usize, of: usize, trace: &Trace) -> Vec<String> {
        let c = self.candidate;
        let mut out = vec![if of == 1 { "Candidate".to_owned() } else { format!("Candidate {} of {of}", at + 1) }];
        out.extend(c.policy.clone());
        if let Some(name) = default_signal(&trace.candidates) {
            let value = self.said.iter().find(|s| s.name == name).map(|s| s.value.as_str()).filter(|v| !v.is_empty());
            out.extend(value.map(|v| format!("{name} {v}")));
        }
        let verdict = match c.correct {
            Some(true) => " ✓ right",
            Some(false) => " ✗ wrong",
            None => "",
        };
        match &c.answer {
            Some(answer) => out.push(format!("answer {answer}{verdict}")),
            None if !verdict.is_empty() => out.push(verdict.trim().to_owned()),
            None => {}
        }
        match &c.finish {
            Some(FinishReason::Length) => out.push("cut off by length".into()),
            Some(FinishReason::Cancelled) => out.push("cancelled".into()),
            Some(FinishReason::Failed(why)) => out.push(format!("failed: {why}")),
            Some(FinishReason::Stop) | None => {}
        }
        if c.gold == Some(GoldDeviation::None) {
            out.push("every step is labelled right".into());
        }
        out
    }

    /// The text in order.
    pub fn parts(&self) -> Vec<Part<'a>> {
        let (text, mut at, mut out) = (&self.candidate.text, 0, Vec::new());
        for (i, step) in self.candidate.steps.iter().enumerate() {
            out.extend(text.get(at..step.span.start).filter(|gap| !gap.trim().is_empty()).map(Part::Outside));
            out.push(Part::Step(i, step.span.of(text)));
            at = step.span.end;
        }
        out.extend(text.get(at..).filter(|gap| !gap.trim().is_empty()).map(Part::Outside));
        out
    }

    /// What is marked at a step.
    pub fn marks(&self, step: usize) -> Vec<String> {
        let deviates = (self.deviation == Some(step)).then(|| format!("{DEVIATION} first deviation"));
        let gold = (self.candidate.gold == Some(GoldDeviation::Step(step))).then(|| format!("{GOLD} labelled first wrong step"));
        deviates.into_iter().chain(gold).collect()
    }
}

/// What the signals say of a candidate: those that are stored, the policy's, and whether equations hold.
fn said(c: &Candidate, options: &Options) -> Vec<Said> {
    let signals = check::all_signals(c).into_iter().filter(|s| s.has_values() && (s.source != SignalSource::Check || s.name == EQUATIONS));
    let one = |s: Cow<'_, Signal>| {
        let asked = options.signals.iter().find(|r| r.signal == s.name).cloned();
        let reading = asked.or_else(|| s.threshold.as_ref().map(|t| t.reading.clone())).unwrap_or_else(|| Reading::of(s.name.as_str()));
        let steps = c.step_values(&s, &reading, options.granularity);
        let threshold = s.threshold_of(&reading, &Calibration::default());
        let first = threshold.as_ref().and_then(|t| Detector::below(reading.clone()).mark(s.orientation, &steps, Some(t.value)));
        Said {
            source: match &s.source {
                SignalSource::Model(name) => name.clone(),
                SignalSource::Policy => "policy".into(),
                SignalSource::File => "file".into(),
                SignalSource::Check => "check".into(),
                SignalSource::Person => "person".into(),
            },
            value: s.candidate_value(options.aggregation, &steps).map(|v| amount(v, s.unit)).unwrap_or_default(),
            threshold: threshold.map(|t| amount(t.value, s.unit)).unwrap_or_default(),
            first: first.map(|d| (d.step + 1).to_string()).unwrap_or_default(),
            name: s.name.clone(),
        }
    };
    signals.map(one).collect()
}

/// A value in its own unit.
fn amount(value: f32, unit: Unit) -> String {
    match unit {
        Unit::Count if value.fract() == 0.0 && value.abs() < 1e6 => format!("{value:.0}"),
        _ if !value.is_finite() => format!("{value}"),
        _ if value.abs() >= 1e5 => format!("{value:+.2e}"),
        Unit::Probability => format!("{value:.2}"),
        _ => format!("{value:+.2}"),
    }
}

/// Text of others, without what acts on a terminal.
pub(super) fn safe(text: &str) -> Cow<'_, str> {
    sanitize(text)
}

//! Which signal ranks, colours, marks: choosing among those of the opened problem.

use crate::trace::{Detector, Level, Reading};
use crate::tui::settings::{Beside, Field, turn};
use crate::tui::state::State;

/// Takes the next value of a setting whose values are signals of the opened problem, or the one before.
pub(super) fn choose(state: &mut State, field: Field, by: i64) {
    let Some(doc) = state.doc() else { return };
    let named = |wanted: fn(Level) -> bool| {
        let all = doc.known.iter().filter(move |s| wanted(s.level())).map(|s| Reading::of(s.name.as_str()));
        std::iter::once(None).chain(all.map(Some)).collect::<Vec<_>>()
    };
    let settings = &state.settings;
    let next = |all: Vec<Option<Reading>>, now: &Option<Reading>| {
        let name = |r: &Option<Reading>| r.as_ref().map(|r| r.signal.clone());
        let at = all.iter().position(|r| name(r) == name(now)).unwrap_or(0);
        all[turn(at, by, all.len())].clone()
    };
    match field {
        Field::RankBy => state.settings.rank_by = next(named(|_| true), &settings.rank_by),
        Field::ColourBy => state.settings.colour_by = next(named(|l| l != Level::Candidate), &settings.colour_by),
        Field::Rule => {
            let detectors = doc.detectors(settings, &state.models.calibration);
            let all: Vec<Option<Detector>> = std::iter::once(None).chain(detectors.into_iter().map(Some)).collect();
            let at = all.iter().position(|d| *d == settings.detect_by).unwrap_or(0);
            state.settings.detect_by.clone_from(&all[turn(at, by, all.len())]);
        }
        Field::Beside => {
            let detectors = doc.detectors(settings, &state.models.calibration);
            let all: Vec<Beside> = [Beside::Default, Beside::Off].into_iter().chain(detectors.into_iter().map(Beside::By)).collect();
            let at = all.iter().position(|b| *b == settings.beside).unwrap_or(0);
            state.settings.beside.clone_from(&all[turn(at, by, all.len())]);
        }
        _ => {}
    }
}

/// The next signal that tokens are coloured by; after the last one none.
pub(super) fn next_heat(state: &mut State) {
    let Some(doc) = state.doc() else { return };
    let names: Vec<&String> = doc.known.iter().filter(|s| s.level() == Level::Token).map(|s| &s.name).collect();
    let at = state.heat.as_ref().and_then(|h| names.iter().position(|n| *n == h));
    let next = match (at, &state.heat) {
        (Some(at), _) => names.get(at + 1),
        // Another problem's signal: off first.
        (None, Some(_)) if !names.is_empty() => None,
        (None, _) => names.first(),
    };
    let next = next.map(|n| (*n).clone());
    let said = match &next {
        Some(name) => format!("token colours: {name}"),
        None if names.is_empty() => "no signal has a value a token here".into(),
        None => "token colours: off".into(),
    };
    state.heat = next;
    state.hint(said);
}

//! The line in which the list is narrowed by a query.

use crate::collection::query::{KEYWORDS, Lens, Query, complete};
use crate::trace::Reading;
use crate::tui::action::{Command, Effect};
use crate::tui::source::{Ask, Filter};
use crate::tui::state::{Doc, Editor, FilterLine, Overlay, State};

/// Opens the line with the query at work.
pub(super) fn open(state: &mut State) {
    let mut editor = Editor::default();
    if let Some(filter) = &state.filter {
        editor.set(filter.query.text().to_owned());
    }
    let mut line = FilterLine { editor, before: state.filter.clone(), wrong: None, unknown: None, completions: Vec::new() };
    look(state, &mut line);
    state.overlay = Some(Overlay::Filter(Box::new(line)));
}

/// Runs a command on the line; whether it stays open.
pub(super) fn run(state: &mut State, line: &mut FilterLine, command: Command, effects: &mut Vec<Effect>) -> bool {
    match command {
        Command::Submit => return line.wrong.is_some(),
        Command::Back => {
            if state.filter != line.before {
                narrow(state, line.before.take().map(|f| f.query), effects);
            }
            return false;
        }
        Command::Complete => {
            if let Some(first) = line.completions.first().cloned() {
                let (word, _) = complete(line.editor.text(), line.editor.cursor(), []);
                let (before, after) = (&line.editor.text()[..word.start], &line.editor.text()[word.end..]);
                let at = before.len() + first.text.len();
                let text = format!("{before}{}{after}", first.text);
                line.editor.set_at(text, at);
            }
        }
        _ => line.editor.run(command),
    }
    changed(state, line, effects);
    true
}

/// Writes into the line.
pub(super) fn insert(state: &mut State, text: &str, effects: &mut Vec<Effect>) {
    let Some(Overlay::Filter(mut line)) = state.overlay.take() else { return };
    line.editor.insert(text);
    changed(state, &mut line, effects);
    state.overlay = Some(Overlay::Filter(line));
}

/// The list follows what is written, as far as that is a query.
fn changed(state: &mut State, line: &mut FilterLine, effects: &mut Vec<Effect>) {
    look(state, line);
    let Ok(query) = Query::parse(line.editor.text()) else { return };
    let same = state.filter.as_ref().map_or("", |f| f.query.text()) == query.text();
    if !same {
        narrow(state, Some(query), effects);
    }
}

/// Finds what is wrong with the line and how it may go on.
fn look(state: &State, line: &mut FilterLine) {
    let (text, at) = (line.editor.text(), line.editor.cursor());
    let known: Vec<&str> = state.doc().into_iter().flat_map(|d| &d.known).map(|s| s.name.as_str()).collect();
    let parsed = Query::parse(text);
    let is_known = |name: &str| known.contains(&name) || name.parse::<Reading>().is_ok_and(|r| known.contains(&r.signal.as_str()));
    line.unknown = parsed
        .as_ref()
        .ok()
        .filter(|_| !known.is_empty())
        .and_then(|q| q.signals().into_iter().find(|name| !is_known(name)).map(str::to_owned));
    line.wrong = parsed.err();
    let (word, completions) = complete(text, at, known.iter().copied());
    let whole = KEYWORDS.iter().any(|k| k.0 == &text[word.clone()]);
    line.completions = if word.is_empty() || whole { Vec::new() } else { completions };
}

/// Narrows the list to a query, or lists all.
fn narrow(state: &mut State, query: Option<Query>, effects: &mut Vec<Effect>) {
    let selected = state.list.item(state.list.at);
    state.filters += 1;
    state.filter = query.filter(|q| !q.is_empty()).map(|query| Filter { number: state.filters, query, lens: lens(state) });
    state.list.matches = state.filter.is_some().then(Vec::new);
    state.list.filtering = state.filter.is_some();
    if let Some(at) = selected.and_then(|i| state.list.position(i)) {
        state.list.go(at);
    }
    effects.push(Effect::Ask(Ask::Filter(state.filter.clone().map(Box::new))));
}

/// How candidates are looked at on the screen: as the open problem's are.
fn lens(state: &State) -> Lens {
    let settings = &state.settings;
    let mut calibration = state.models.calibration.clone();
    let readings = state.doc().map(|d| &d.readings);
    let detector = match state.doc().and_then(Doc::detector) {
        Some((detector, threshold)) => {
            // Also one that was fitted, or is the middle of the signal's unit.
            if let Some(threshold) = threshold {
                calibration.thresholds.entry(detector.reading.clone()).or_insert(threshold);
            }
            detector.clone()
        }
        None => settings.detect_by.clone().unwrap_or_else(|| calibration.detector()),
    };
    let ranking = readings.and_then(|r| r.all.get(r.rank?).cloned());
    Lens {
        granularity: settings.granularity,
        aggregation: settings.aggregation,
        detector,
        calibration,
        rank_by: ranking.or_else(|| settings.rank_by.clone()),
        trust: settings.trust,
    }
}

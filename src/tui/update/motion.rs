//! Moving through lists, steps and tokens, and searching.

use crate::tui::action::{Command, Effect};
use crate::tui::source::{Ask, Item, Words, find_in};
use crate::tui::state::{Doc, Focus, State, View, gold_step};

pub(super) fn in_list(state: &mut State, command: Command, count: Option<usize>) {
    let list = &mut state.list;
    let times = count.unwrap_or(1);
    let page = list.page.max(2);
    let to = match command {
        Command::Down => list.at.saturating_add(times),
        Command::Up => list.at.saturating_sub(times),
        Command::HalfDown => list.at.saturating_add(page / 2 * times),
        Command::HalfUp => list.at.saturating_sub(page / 2 * times),
        Command::PageDown => list.at.saturating_add(page * times),
        Command::PageUp => list.at.saturating_sub(page * times),
        Command::First => count.unwrap_or(1).saturating_sub(1),
        Command::Last => count.map_or(usize::MAX, |c| c.saturating_sub(1)),
        _ => return,
    };
    list.go(to);
}

pub(super) fn in_trace(state: &mut State, command: Command, count: Option<usize>) {
    let page = i32::from(state.layout.body.height.max(2));
    let times = count.unwrap_or(1);
    let lines = |n: i32| n.saturating_mul(times.min(10_000) as i32);
    match command {
        Command::HalfDown => return scroll(state, lines(page / 2)),
        Command::HalfUp => return scroll(state, lines(-page / 2)),
        Command::PageDown => return scroll(state, lines(page - 1)),
        Command::PageUp => return scroll(state, lines(1 - page)),
        _ => {}
    }
    let shown = shown_order(state);
    let unmarked = state.doc().and_then(|d| d.unmarked(&state.settings)).map(|w| format!("granularity sparse: {w}"));
    let Some(doc) = state.doc_mut() else { return };
    let last = doc.candidate().map_or(0, |c| c.steps.len()).saturating_sub(1);
    let longest = doc.steps().saturating_sub(1).max(last);
    match command {
        Command::Down => step_to(doc, doc.cursor.step.saturating_add(times).min(longest)),
        Command::Up => step_to(doc, doc.cursor.step.min(longest).saturating_sub(times)),
        Command::First => step_to(doc, times.saturating_sub(1).min(longest)),
        Command::Last => {
            step_to(doc, count.map_or(last, |c| c.saturating_sub(1)).min(longest));
            doc.follow = count.is_none();
        }
        Command::Right => beside(doc, &shown, times as i64),
        Command::Left => beside(doc, &shown, -(times as i64)),
        Command::NextToken => token(doc, times as i64),
        Command::PreviousToken => token(doc, -(times as i64)),
        Command::NextDeviation | Command::PreviousDeviation | Command::NextGold | Command::PreviousGold => {
            let gold = matches!(command, Command::NextGold | Command::PreviousGold);
            let forward = matches!(command, Command::NextDeviation | Command::NextGold);
            let places: Vec<(usize, usize)> = shown
                .iter()
                .enumerate()
                .filter_map(|(place, &i)| {
                    let step = if gold {
                        doc.candidates().get(i).and_then(gold_step)
                    } else {
                        doc.derived.get(i)?.deviation.as_ref().map(|d| d.step)
                    };
                    Some((place, step?))
                })
                .collect();
            let here = (shown.iter().position(|i| *i == doc.cursor.candidate).unwrap_or(0), doc.cursor.step);
            let found = if forward {
                places.iter().find(|p| **p > here).or(places.first())
            } else {
                places.iter().rev().find(|p| **p < here).or(places.last())
            };
            match found {
                Some(&(place, step)) => {
                    doc.cursor.candidate = shown[place];
                    step_to(doc, step);
                }
                None if gold => state.hint("no candidate has a labelled deviation"),
                None => state.hint(unmarked.unwrap_or_else(|| "no deviation is marked".into())),
            }
        }
        _ => {}
    }
}

/// Candidates in the order on screen.
fn shown_order(state: &State) -> Vec<usize> {
    let Some(doc) = state.doc() else { return Vec::new() };
    if state.by_rank && !doc.order.is_empty() { doc.order.clone() } else { (0..doc.candidates().len()).collect() }
}

fn step_to(doc: &mut Doc, step: usize) {
    doc.cursor.step = step;
    doc.cursor.token = None;
    (doc.follow, doc.reveal, doc.skip) = (false, true, 0);
}

fn beside(doc: &mut Doc, shown: &[usize], by: i64) {
    let at = shown.iter().position(|i| *i == doc.cursor.candidate).unwrap_or(0) as i64;
    let to = at.saturating_add(by).clamp(0, shown.len().saturating_sub(1) as i64) as usize;
    if let Some(&candidate) = shown.get(to) {
        doc.cursor.candidate = candidate;
        doc.cursor.token = None;
        doc.reveal = true;
    }
}

fn token(doc: &mut Doc, by: i64) {
    let Some(candidate) = doc.candidate() else { return };
    let spans = Doc::units(candidate);
    if spans.is_empty() {
        return;
    }
    let to = match doc.cursor.token {
        Some(at) => (at as i64).saturating_add(by).clamp(0, spans.len() as i64 - 1) as usize,
        None => {
            let start = candidate.steps.get(doc.cursor.step).map_or(0, |s| s.span.start);
            spans.iter().position(|s| s.end > start).unwrap_or(spans.len() - 1)
        }
    };
    let step = Doc::step_of(candidate, spans[to]);
    doc.cursor.token = Some(to);
    doc.cursor.step = step;
    (doc.follow, doc.reveal) = (false, true);
}

/// Moves the text by rows; the cursor follows.
pub(super) fn scroll(state: &mut State, by: i32) {
    let view = state.view;
    let height = usize::from(state.layout.body.height);
    let Some(doc) = state.doc_mut() else { return };
    let current = doc.cursor.candidate;
    let Some(derived) = doc.derived.get(current) else { return };
    let add = |at: usize, high: usize| (at as i64 + i64::from(by)).clamp(0, high as i64) as usize;
    match view {
        View::Trace => {
            let rows = derived.wide.lines.len();
            let top = add(doc.top, rows.saturating_sub(height));
            let moved = top != doc.top;
            let (first, last) = (derived.wide.step_at(top), derived.wide.step_at((top + height).min(rows).saturating_sub(1)));
            let to = if moved {
                doc.cursor.step.clamp(first, last.max(first))
            } else if by < 0 {
                first
            } else {
                last
            };
            doc.top = top;
            doc.cursor.step = to;
        }
        View::Compare => {
            let rows = derived.narrow.lines.len();
            let here = derived.narrow.lines_of(doc.cursor.step).start + doc.skip;
            let to = add(here, rows.saturating_sub(1));
            let step = derived.narrow.step_at(to);
            doc.skip = to.saturating_sub(derived.narrow.lines_of(step).start);
            doc.cursor.step = step;
        }
    }
    doc.cursor.token = None;
    (doc.follow, doc.reveal) = (false, false);
}

/// Goes to the next or previous match of the search, in the list or in the text.
pub(super) fn find(state: &mut State, onwards: bool, times: usize, effects: &mut Vec<Effect>) {
    if state.search.text.is_empty() {
        return state.hint("nothing was searched for yet: press /");
    }
    if state.focus == Focus::List {
        return find_in_list(state, onwards, effects);
    }
    let text = state.search.text.clone();
    let shown = shown_order(state);
    let Some(doc) = state.doc_mut() else { return };
    let mut places = Vec::new();
    for (place, &i) in shown.iter().enumerate() {
        let Some(candidate) = doc.candidates().get(i) else { continue };
        places.extend(find_in(&candidate.text, &text).map(|r| (place, Doc::step_of(candidate, crate::trace::Span::new(r.start, r.end)))));
    }
    places.dedup();
    for _ in 0..times.min(places.len().max(1)) {
        let here = (shown.iter().position(|i| *i == doc.cursor.candidate).unwrap_or(0), doc.cursor.step);
        let found = if onwards {
            places.iter().find(|p| **p > here).or(places.first())
        } else {
            places.iter().rev().find(|p| **p < here).or(places.last())
        };
        match found {
            Some(&(place, step)) => {
                doc.cursor.candidate = shown[place];
                step_to(doc, step);
            }
            None => return state.hint(format!("{text:?} is in no candidate of this problem")),
        }
    }
}

fn find_in_list(state: &mut State, onwards: bool, effects: &mut Vec<Effect>) {
    let forward = onwards;
    let at = match state.list.item(state.list.at) {
        Some(Item::Recorded(i)) => i,
        _ => 0,
    };
    let len = state.list.len.max(1);
    let from = if forward { (at + 1) % len } else { (at + len - 1) % len };
    state.search.waiting = true;
    effects.push(Effect::Ask(Ask::Find { words: Words::of(&state.search.text), from, forward }));
}

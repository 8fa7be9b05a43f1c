//! Opening entries, and what the file thread says of them.

use super::models;
use crate::check;
use crate::runtime::Slot;
use crate::trace::{ENTROPY, LOGPROB, SURPRISAL, Trace, default_signal};
use crate::tui::action::Effect;
use crate::tui::source::{Ask, Item, Report};
use crate::tui::state::{Doc, Focus, Origin, State, View};

/// Problems kept open; the least recently used one is forgotten first.
const DOCS_KEPT: usize = 200;

pub(super) fn open_beside(state: &mut State, by: i64, effects: &mut Vec<Effect>) {
    let at = state.open.and_then(|i| state.list.position(i)).unwrap_or(state.list.at);
    let to = (at as i64).saturating_add(by).clamp(0, state.list.count().saturating_sub(1) as i64) as usize;
    if let Some(item) = state.list.item(to) {
        state.list.go(to);
        open(state, item, effects);
    }
}

/// Opens an entry: from memory, from the file, or by generating.
pub(super) fn open(state: &mut State, item: Item, effects: &mut Vec<Effect>) {
    state.used.retain(|i| *i != item);
    state.used.push(item);
    state.open = Some(item);
    state.list.go(state.list.position(item).unwrap_or(state.list.at));
    match item {
        _ if state.docs.contains_key(&item) => opened(state, item, effects),
        Item::Recorded(i) => effects.push(Effect::Ask(Ask::Trace(i))),
        Item::Own(i) => {
            let problem = state.list.own.get(i).cloned().unwrap_or_default();
            let trace = Trace { id: format!("own-{}", i + 1), problem, ..Trace::default() };
            state.docs.insert(item, Doc::new(Origin::Live, trace, &state.segmentation, state.kind()));
            opened(state, item, effects);
        }
    }
}

/// The open entry is in memory now.
fn opened(state: &mut State, item: Item, effects: &mut Vec<Effect>) {
    if state.open != Some(item) {
        return;
    }
    if let Some(doc) = state.docs.get_mut(&item) {
        doc.reveal = true;
        let empty = doc.candidates().is_empty();
        match doc.candidates().len() {
            0 => state.view = View::Compare,
            1 => state.view = View::Trace,
            _ if state.layout.main.is_none() => state.view = View::Compare,
            _ => {}
        }
        if empty {
            models::generate(state, item, effects);
        } else {
            models::score(state, item, true, effects);
            models::read(state, item, true, effects);
            tell_of_rewards(state, item);
        }
    }
    while state.docs.len() > DOCS_KEPT {
        let Some(at) = state.used.iter().position(|i| Some(*i) != state.open) else { break };
        let old = state.used.remove(at);
        state.docs.remove(&old);
    }
}

/// Says which of the signals that were asked for by name is not there, and, once, what a reward model would add and how to name one where nothing ranks what
/// is opened.
fn tell_of_rewards(state: &mut State, item: Item) {
    if let Some(name) = unknown_signal(state, item) {
        return state.hint(format!("no signal {name} in this problem; S goes through those that there are"));
    }
    let unread = state.docs.get(&item).is_some_and(|d| default_signal(d.candidates()).is_none());
    if unread && state.models.rewards.is_empty() && !state.has_models && !state.told_of_rewards {
        state.told_of_rewards = true;
        state.hint("no reward model: --reward MODEL scores steps, --policy MODEL their surprisal");
    }
}

fn unknown_signal(state: &State, item: Item) -> Option<String> {
    let (settings, doc) = (&state.settings, state.docs.get(&item)?);
    let asked = settings.rank_by.iter().chain(settings.detect_by.as_ref().map(|d| &d.reading)).chain(&settings.shown);
    // What a model is still to say has the name of its signal.
    let read = |name: &str| [LOGPROB, ENTROPY, SURPRISAL].contains(&name) && state.models.policy != Slot::Absent;
    let coming = |name: &str| read(name) || state.models.rewards.iter().any(|r| r.signal == name);
    let there = |name: &str| doc.candidates().iter().any(|c| check::find(c, name).is_some());
    asked.map(|r| &r.signal).find(|name| !coming(name) && !there(name)).cloned()
}

pub(super) fn take(state: &mut State, report: Report, effects: &mut Vec<Effect>) {
    match report {
        Report::Known { len, complete } => {
            let first = state.list.len == 0 && len > 0;
            state.list.len = len;
            state.list.complete = complete;
            if first && state.open.is_none() {
                if state.open_first {
                    state.focus = Focus::Main;
                }
                if let Some(item) = state.list.item(0) {
                    open(state, item, effects);
                }
            }
        }
        Report::Rows(rows) => {
            state.asked.retain(|a| !rows.iter().any(|r| Item::Recorded(r.0) == *a));
            for (i, row) in &rows {
                state.keep_texts(Item::Recorded(*i), row.texts.clone());
            }
            state.list.add_rows(rows);
            models::refit(state);
        }
        Report::Trace(i, Ok(trace)) => {
            let item = Item::Recorded(i);
            let origin = if trace.candidates.is_empty() { Origin::Live } else { Origin::Recorded };
            if !state.used.contains(&item) {
                state.used.insert(0, item);
            }
            let mut doc = Doc::new(origin, Trace::clone(&trace), &state.segmentation, state.kind());
            state.labels.iter().for_each(|l| doc.label(l));
            state.docs.insert(item, doc);
            opened(state, item, effects);
            models::loaded(state, item, effects);
        }
        Report::Grown(i, trace) => {
            let (item, kind) = (Item::Recorded(i), state.kind());
            // What the user sampled meanwhile stays.
            let kept = |d: &&mut Doc| d.origin == Origin::Recorded && d.candidates().len() < trace.candidates.len();
            if let Some(doc) = state.docs.get_mut(&item).filter(kept) {
                let cursor = doc.cursor;
                *doc = Doc::new(Origin::Recorded, Trace::clone(&trace), &state.segmentation, kind);
                doc.cursor = cursor;
                state.labels.iter().for_each(|l| doc.label(l));
                opened(state, item, effects);
                models::loaded(state, item, effects);
            }
        }
        Report::Trace(i, Err(error)) => {
            if state.ahead == Some(Item::Recorded(i)) {
                state.ahead = None;
            }
            if state.open == Some(Item::Recorded(i)) {
                state.open = None;
            }
            state.error(error);
        }
        Report::Found(found) => {
            state.search.waiting = false;
            match found.and_then(|i| state.list.position(Item::Recorded(i))) {
                Some(at) => state.list.go(at),
                None => state.hint(format!("{:?} is in no problem listed", state.search.text)),
            }
        }
        Report::Matches { filter, indices, complete, .. } => {
            if state.filter.as_ref().is_some_and(|f| f.number == filter) {
                state.list.matches.get_or_insert_default().extend(indices);
                state.list.filtering = !complete;
            }
        }
        Report::Note(text) => state.note(text),
        Report::Failed(text) => state.error(text),
    }
}

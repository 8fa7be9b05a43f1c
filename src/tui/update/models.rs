//! What is asked of the models, and what they answer.

use crate::runtime::{Request, Slot, Update};
use crate::trace::{AtWork, Candidate, Signal, SignalSource, TraceEvent};
use crate::tui::action::Effect;
use crate::tui::source::{Ask, Item};
use crate::tui::state::{Doc, Origin, Run, State, View};

/// Traces scored behind what is on screen, at most, around the cursor.
const AHEAD: usize = 64;

pub(super) fn take(state: &mut State, update: Update, effects: &mut Vec<Effect>) {
    match update {
        Update::Models(status) => {
            let failed = |s: &Slot| match s {
                Slot::Failed { name, error } => Some(format!("{name}: {error}")),
                _ => None,
            };
            let before: Vec<String> = state.models.slots().filter_map(|(_, s)| failed(s)).collect();
            let recalibrated = state.models.calibration != status.calibration;
            state.models = status;
            if recalibrated {
                super::settings_changed(state);
            }
            let now: Vec<String> = state.models.slots().filter_map(|(_, s)| failed(s)).collect();
            now.into_iter().filter(|error| !before.contains(error)).for_each(|error| state.error(error));
            if let Some(item) = state.waiting.filter(|_| state.policy_ready()) {
                generate(state, item, effects);
            }
            if let Some(item) = state.open.filter(|_| state.reward_ready()) {
                score(state, item, true, effects);
            }
        }
        Update::Event { id, event } => {
            let Some(item) = item_of(state, id) else { return };
            if let (Some(run), TraceEvent::Tokens { tokens, .. }) = (state.run.as_mut().filter(|r| r.id == id), &event) {
                run.tokens += tokens.len().max(1);
            }
            let grade = state.grade.clone();
            if let Some(doc) = state.docs.get_mut(&item) {
                doc.apply(&event, grade.as_ref());
            }
        }
        Update::Done { id, tokens_per_second } => {
            if let Some(run) = state.run.as_mut().filter(|r| r.id == id) {
                run.rate = tokens_per_second;
                run.done = true;
            }
            finish_scoring(state, id);
        }
        Update::Warning { message, .. } | Update::Lost { error: message, .. } => state.note(message),
        Update::Failed { id, error } => {
            if let Some(run) = state.run.as_mut().filter(|r| r.id == id) {
                run.done = true;
            }
            finish_scoring(state, id);
            state.error(error);
        }
    }
}

fn item_of(state: &State, id: u64) -> Option<Item> {
    state.run.as_ref().filter(|r| r.id == id).map(|r| r.item).or_else(|| state.scoring.get(&id).copied())
}

fn finish_scoring(state: &mut State, id: u64) {
    let Some(item) = state.scoring.remove(&id) else { return };
    if state.ahead == Some(item) {
        state.ahead = None;
    }
    let (settings, calibration) = (state.settings.clone(), state.models.calibration.clone());
    if let Some(doc) = state.docs.get_mut(&item) {
        doc.refresh(&settings, &calibration, false);
    }
    super::mark(state, item);
}

/// The models' threads ended.
pub(super) fn gone(state: &mut State) {
    if let Some(run) = &mut state.run {
        run.done = true;
    }
    state.scoring.clear();
    state.ahead = None;
    if state.has_models {
        state.has_models = false;
        state.error("the models' thread ended; what is on screen stays, start again to generate or score");
    }
}

/// Samples candidates for an entry, now or once the policy is loaded.
pub(super) fn generate(state: &mut State, item: Item, effects: &mut Vec<Effect>) {
    if !state.policy_ready() {
        state.waiting = Some(item);
        match (&state.models.policy, state.has_models) {
            (Slot::Failed { error, .. }, _) => state.error(error.clone()),
            // Before the first word from the models' threads nothing is known of them.
            (Slot::Absent, true) if state.models.rewards.is_empty() => {}
            (Slot::Absent, _) | (_, false) => state.hint("no policy is loaded: give one with --policy to generate candidates"),
            _ => {}
        }
        return;
    }
    cancel(state, effects);
    let id = state.id();
    let (n, sampling, now, kind) = (state.settings.n, state.settings.sampling.clone(), state.now, state.kind());
    let Some(doc) = state.docs.get_mut(&item) else { return };
    if doc.trace().problem.trim().is_empty() {
        state.error("the problem is empty: press e and write one");
        return;
    }
    let mut trace = doc.trace().clone();
    trace.candidates = vec![Candidate::default(); n];
    let problem = trace.problem.clone();
    let cursor = doc.cursor.candidate;
    *doc = Doc::new(Origin::Live, trace, &state.segmentation, kind);
    doc.cursor.candidate = cursor.min(n - 1);
    doc.asked = true;
    state.waiting = None;
    state.run = Some(Run { id, item, started: now, tokens: 0, rate: None, done: false });
    if n > 1 {
        state.view = View::Compare;
    }
    let segmentation = state.segmentation.clone();
    effects.push(Effect::Send(Request::Generate { id, problem, n, sampling, segmentation }));
}

/// Samples again for the open entry.
pub(super) fn regenerate(state: &mut State, next_seed: bool, effects: &mut Vec<Effect>) {
    let Some(item) = state.open else { return };
    if next_seed && state.run.as_ref().is_some_and(|r| r.item == item) {
        state.settings.sampling.seed = state.settings.sampling.seed.wrapping_add(1);
    }
    generate(state, item, effects);
}

/// Stops generating.
pub(super) fn cancel(state: &mut State, effects: &mut Vec<Effect>) {
    if let Some(run) = state.run.as_mut().filter(|r| !r.done) {
        run.done = true;
        effects.push(Effect::Send(Request::Cancel { id: run.id }));
    }
}

/// Asks for the reward models' word on an entry that one of them has not read.
pub(super) fn score(state: &mut State, item: Item, urgent: bool, effects: &mut Vec<Effect>) {
    if !state.reward_ready() {
        return;
    }
    let models = state.models.at_work();
    let id = state.id();
    let Some(doc) = state.docs.get_mut(&item) else { return };
    // Rewards without a name may be the model's own.
    let is_by = |s: &Signal, model: &str| matches!(&s.source, SignalSource::Model(name) if name.is_empty() || name == model);
    let has = |c: &Candidate, a: &AtWork| c.signal(&a.signal).is_some_and(|s| s.has_values() && is_by(s, &a.model));
    let own = |c: &Candidate| models.iter().all(|a| has(c, a));
    if doc.asked || doc.candidates().is_empty() || doc.candidates().iter().all(|c| own(c) || c.text.trim().is_empty()) {
        return;
    }
    doc.asked = true;
    doc.begin_rewards(&models);
    let (problem, candidates) = (doc.trace().problem.clone(), doc.candidates().to_vec());
    state.scoring.insert(id, item);
    effects.push(Effect::Send(Request::Score { id, problem, candidates, urgent }));
}

/// Keeps one trace near the cursor on its way to the reward model while nothing else is.
pub(super) fn score_ahead(state: &mut State, effects: &mut Vec<Effect>) {
    if !state.reward_ready() || state.running() || state.ahead.is_some() || !state.scoring.is_empty() {
        return;
    }
    let at = state.list.at;
    let near = (0..AHEAD).flat_map(|d| [at.checked_add(d), at.checked_sub(d + 1)]).flatten();
    let next = near.filter_map(|p| state.list.item(p)).find(|i| match (i, state.docs.get(i)) {
        (Item::Own(_), _) => false,
        (_, Some(doc)) => !doc.asked && !doc.candidates().is_empty(),
        (Item::Recorded(r), None) => state.list.row(*r).is_some_and(|r| r.candidates > 0 && !r.failed) && !state.list.marks.contains_key(i),
    });
    let Some(item) = next else { return };
    state.ahead = Some(item);
    match item {
        Item::Recorded(i) if !state.docs.contains_key(&item) => effects.push(Effect::Ask(Ask::Trace(i))),
        _ => loaded(state, item, effects),
    }
}

/// A trace that was fetched to be scored is here.
pub(super) fn loaded(state: &mut State, item: Item, effects: &mut Vec<Effect>) {
    if state.ahead != Some(item) {
        return;
    }
    score(state, item, false, effects);
    if !state.scoring.values().any(|i| *i == item) {
        // It came with rewards, or is on its way already.
        state.ahead = None;
        let (settings, calibration) = (state.settings.clone(), state.models.calibration.clone());
        if let Some(doc) = state.docs.get_mut(&item) {
            doc.asked = true;
            doc.refresh(&settings, &calibration, false);
        }
        super::mark(state, item);
    }
}

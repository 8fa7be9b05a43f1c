//! What is asked of the models, and what they answer.

use crate::runtime::{ModelsStatus, Request, Slot, Update};
use crate::trace::{AtWork, Candidate, FitText, Signal, SignalSource, TraceEvent};
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
            let mute = |m: &ModelsStatus| matches!(m.policy, Slot::Ready { .. }) && !m.policy_reads;
            let is_news = mute(&status) && !mute(&state.models);
            let recalibrated = state.models.calibration != status.calibration;
            state.models = status;
            if recalibrated {
                super::settings_changed(state);
            }
            let now: Vec<String> = state.models.slots().filter_map(|(_, s)| failed(s)).collect();
            now.into_iter().filter(|error| !before.contains(error)).for_each(|error| state.error(error));
            if is_news && state.doc().is_some_and(|d| d.origin == Origin::Recorded) {
                state
                    .note("a server does not say what it thinks of recorded text; name a directory or a .gguf file with --policy for that");
            }
            if let Some(item) = state.waiting.filter(|_| state.policy_ready()) {
                generate(state, item, effects);
            }
            if let Some(item) = state.open {
                score(state, item, true, effects);
                read(state, item, true, effects);
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
            let mut written = None;
            if let Some(run) = state.run.as_mut().filter(|r| r.id == id) {
                run.rate = tokens_per_second;
                run.done = true;
                written = Some(run.item);
            }
            if let Some(item) = written {
                fit(state, item);
            }
            through(state, id);
        }
        Update::Warning { message, .. } | Update::Lost { error: message, .. } => state.note(message),
        Update::Failed { id, error } => {
            if let Some(run) = state.run.as_mut().filter(|r| r.id == id) {
                run.done = true;
            }
            through(state, id);
            state.error(error);
        }
    }
}

fn item_of(state: &State, id: u64) -> Option<Item> {
    let read = || state.scoring.get(&id).or_else(|| state.reading.get(&id)).copied();
    state.run.as_ref().filter(|r| r.id == id).map(|r| r.item).or_else(read)
}

/// A model is through with what an entry holds.
fn through(state: &mut State, id: u64) {
    let Some(item) = state.scoring.remove(&id).or_else(|| state.reading.remove(&id)) else { return };
    if state.in_work(item) {
        return;
    }
    if state.ahead == Some(item) {
        state.ahead = None;
    }
    fit(state, item);
    let (settings, calibration) = (state.settings.clone(), state.models.calibration.clone());
    if let Some(doc) = state.docs.get_mut(&item) {
        doc.refresh(&settings, &calibration, false);
    }
    super::mark(state, item);
}

/// Takes what a policy says of an entry's texts for the threshold that is fitted on them.
fn fit(state: &mut State, item: Item) {
    let texts = state.docs.get(&item).map(|d| d.candidates().iter().filter_map(FitText::of).collect()).unwrap_or_default();
    state.keep_texts(item, texts);
    refit(state);
}

/// Fits that threshold anew where it is time.
pub(super) fn refit(state: &mut State) {
    if state.refit() {
        super::settings_changed(state);
    }
}

/// The models' threads ended.
pub(super) fn gone(state: &mut State) {
    if let Some(run) = &mut state.run {
        run.done = true;
    }
    state.scoring.clear();
    state.reading.clear();
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
    put_off(state, Some(item), effects);
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
    (doc.asked, doc.read) = (true, true);
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

/// Asks for the policy's word on recorded text of which the file does not say how likely it is; what the file says stays.
pub(super) fn read(state: &mut State, item: Item, urgent: bool, effects: &mut Vec<Effect>) {
    if !state.policy_reads() {
        return;
    }
    let Some(doc) = state.docs.get_mut(&item) else { return };
    let unread = |c: &Candidate| !c.text.trim().is_empty() && c.tokens.iter().all(|t| t.logprob.is_none());
    if doc.read || doc.origin == Origin::Live || doc.trace().problem.trim().is_empty() || !doc.candidates().iter().any(unread) {
        return;
    }
    doc.read = true;
    let asked = |c: &Candidate| if unread(c) { c.clone() } else { Candidate::default() };
    let (problem, candidates) = (doc.trace().problem.clone(), doc.candidates().iter().map(asked).collect());
    if urgent {
        put_off(state, None, effects);
    }
    let id = state.id();
    state.reading.insert(id, item);
    effects.push(Effect::Send(Request::Read { id, problem, candidates, urgent }));
}

/// Stops the policy's reading for something that cannot wait; what it has not read to its end is asked for again later. `written`: an entry that is written
/// anew, and not read again.
fn put_off(state: &mut State, written: Option<Item>, effects: &mut Vec<Effect>) {
    for (id, item) in std::mem::take(&mut state.reading) {
        effects.push(Effect::Send(Request::Cancel { id }));
        if let Some(doc) = state.docs.get_mut(&item).filter(|_| written != Some(item)) {
            doc.unread();
        }
        if state.ahead == Some(item) && !state.in_work(item) {
            state.ahead = None;
        }
    }
}

/// Keeps one trace near the cursor on its way to the models while nothing else is.
pub(super) fn score_ahead(state: &mut State, effects: &mut Vec<Effect>) {
    let (scores, reads) = (state.reward_ready(), state.policy_reads());
    let idle = state.scoring.is_empty() && state.reading.is_empty();
    if !(scores || reads) || state.running() || state.ahead.is_some() || !idle {
        return;
    }
    let at = state.list.at;
    let near = (0..AHEAD).flat_map(|d| [at.checked_add(d), at.checked_sub(d + 1)]).flatten();
    let next = near.filter_map(|p| state.list.item(p)).find(|i| match (i, state.docs.get(i)) {
        (Item::Own(_), _) => false,
        (_, Some(doc)) => ((scores && !doc.asked) || (reads && !doc.read)) && !doc.candidates().is_empty(),
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
    read(state, item, false, effects);
    if !state.in_work(item) {
        // It came with what the models would say, or is on its way already.
        state.ahead = None;
        let (settings, calibration) = (state.settings.clone(), state.models.calibration.clone());
        if let Some(doc) = state.docs.get_mut(&item) {
            (doc.asked, doc.read) = (true, true);
            doc.refresh(&settings, &calibration, false);
        }
        super::mark(state, item);
    }
}

//! The policy's thread: samples, and hands on what it sampled.

use super::board::{Begun, End};
use super::load::Loader;
use super::outbox::candidate_of;
use super::shared::{Generate, PolicyWork, ReadText, Shared, Which, guarded, load};
use super::{Slot, Update};
use crate::generate::Policy;
use crate::trace::{FinishReason, Sampling, Token, TraceEvent};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Loads the policy and serves requests until the engine is gone.
pub(super) fn run(shared: &Arc<Shared>, loader: Option<Loader<dyn Policy>>) {
    let mut policy = load(shared, loader, Which::Policy, |policy, status| status.policy_reads = policy.reads());
    while let Some(work) = shared.next_for_policy() {
        let missing = |slot: &Slot| match slot {
            Slot::Failed { name, error } => format!("the policy {name} did not load: {error}"),
            _ => "no policy was given; name one with --policy".to_string(),
        };
        match (&mut policy, work) {
            (Ok(policy), PolicyWork::Generate(generate)) => serve(shared, policy.as_mut(), &generate),
            (Ok(policy), PolicyWork::Read(text)) => read(shared, policy.as_mut(), &text),
            (Err(slot), PolicyWork::Generate(generate)) => {
                shared.finish_all(&generate, FinishReason::Failed(missing(slot)));
                shared.end(generate.id, Err(missing(slot)));
            }
            (Err(slot), PolicyWork::Read(text)) => shared.end(text.id, Err(missing(slot))),
        }
    }
}

/// Reads recorded candidates; what was read until it was cancelled stays.
fn read(shared: &Shared, policy: &mut dyn Policy, text: &ReadText) {
    let ReadText { id, problem, candidates, cancelled, .. } = text;
    let mut sink = |event: TraceEvent| {
        let stop = cancelled.load(Ordering::Relaxed) || shared.closed.load(Ordering::Relaxed);
        if !stop && shared.outbox.event(*id, event, cancelled) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let result = guarded(|| policy.follow(problem, candidates, &mut sink)).and_then(|r| r.map_err(|e| e.to_string()));
    shared.end(*id, result.map(|()| None));
}

fn serve(shared: &Shared, policy: &mut dyn Policy, generate: &Generate) {
    let Generate { id, problem, n, sampling, segmentation, cancelled } = generate;
    let stop = || cancelled.load(Ordering::Relaxed) || shared.closed.load(Ordering::Relaxed);
    if let Err(error) = check(problem, *n, sampling) {
        shared.finish_all(generate, FinishReason::Failed(error.clone()));
        return shared.end(*id, Err(error));
    }
    let begun = || Begun {
        id: *id,
        problem: problem.clone(),
        n: *n,
        fingerprint: policy.tokenizer_fingerprint().to_string(),
        segmentation: segmentation.clone(),
        cancelled: cancelled.clone(),
    };
    if let Some(refused) = shared.boards.iter().position(|board| !board.begin(begun(), stop)) {
        shared.finish_all(generate, FinishReason::Cancelled);
        shared.boards[..refused].iter().for_each(|board| board.end(*id, End::Generated(None)));
        return (refused..shared.boards.len()).for_each(|model| shared.end_part(*id, model, Ok(None)));
    }
    let append = |candidate: usize, text: &str, tokens: &[Token], finish: Option<&FinishReason>| {
        shared.boards.iter().for_each(|board| board.append(*id, candidate, text, tokens, finish));
    };
    let mut open = vec![true; *n];
    let mut tokens_written = 0usize;
    let started = Instant::now();
    let mut sink = |event: TraceEvent| {
        let candidate = candidate_of(&event);
        if stop() || !open.get(candidate).copied().unwrap_or(false) {
            return if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        }
        match &event {
            TraceEvent::Started { .. } => shared.boards.iter().for_each(|board| board.restart(*id, candidate)),
            TraceEvent::Tokens { text, tokens, .. } => {
                tokens_written += tokens.len();
                append(candidate, text, tokens, None);
            }
            TraceEvent::Finished { reason, .. } => {
                open[candidate] = false;
                if let FinishReason::Failed(why) = reason {
                    let message = format!("candidate {} failed: {why}", candidate + 1);
                    shared.outbox.say(Update::Warning { id: *id, message });
                }
                append(candidate, "", &[], Some(reason));
            }
            TraceEvent::Read { .. } | TraceEvent::Rewards { .. } | TraceEvent::Judged { .. } | TraceEvent::Learned { .. } => {}
        }
        if shared.outbox.event(*id, event, cancelled) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let result = guarded(|| policy.sample(problem, *n, sampling, &mut sink)).and_then(|r| r.map_err(|e| e.to_string()));
    for message in policy.take_notes() {
        shared.outbox.say(Update::Warning { id: *id, message });
    }
    let seconds = started.elapsed().as_secs_f32();
    let reason = match &result {
        Err(error) => FinishReason::Failed(error.clone()),
        Ok(()) if stop() => FinishReason::Cancelled,
        Ok(()) => FinishReason::Stop,
    };
    for candidate in (0..*n).filter(|&c| open[c]) {
        append(candidate, "", &[], Some(&reason));
        shared.outbox.event(*id, TraceEvent::Finished { candidate, reason: reason.clone() }, cancelled);
    }
    let rate = (tokens_written > 0 && seconds > 0.0).then(|| tokens_written as f32 / seconds);
    for board in &shared.boards {
        board.end(*id, result.as_ref().map_or_else(|error| End::Failed(error.clone()), |()| End::Generated(rate)));
    }
}

/// Refuses what no policy can do.
fn check(problem: &str, n: usize, sampling: &Sampling) -> Result<(), String> {
    let wrong = |what: &str| Err(what.to_string());
    match sampling {
        _ if problem.trim().is_empty() => wrong("the problem is empty; type one"),
        _ if n == 0 => wrong("n is 0; ask for at least one candidate"),
        s if !(s.temperature >= 0.0 && s.temperature.is_finite()) => wrong("the temperature must be a finite number, 0 or above"),
        s if !(s.top_p > 0.0 && s.top_p <= 1.0) => wrong("top-p must be above 0, at most 1"),
        s if !(0.0..1.0).contains(&s.min_p) => wrong("min-p must be 0 or above, below 1"),
        s if s.max_tokens == 0 => wrong("max-tokens is 0; ask for at least one"),
        _ => Ok(()),
    }
}

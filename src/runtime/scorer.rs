//! A reward model's thread: decides what to read next, reads it as one batch, and hands on the rewards.

use super::board::{Board, End, Inbox};
use super::job::{Job, Source};
use super::load::Loader;
use super::shared::{Failure, Part, Shared, Which, guarded, load};
use super::{RequestId, Slot, Update};
use crate::reward::{Piece, RewardModel, Said, Scored};
use crate::trace::{Calibration, Domain, Span, TokenValue, TraceEvent, Values};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Shortest time between two looks at a candidate that grows.
const LOOK: Duration = Duration::from_millis(40);
/// Longest rest after reading.
const REST: Duration = Duration::from_secs(1);

/// Loads the reward model of this number and serves its board until the engine is gone. `signal`: what it gives.
pub(super) fn run(shared: &Arc<Shared>, number: usize, signal: Arc<str>, loader: Option<Loader<dyn RewardModel>>) {
    let model = load(shared, loader, Which::Reward(number), |model, status| {
        let known = &mut status.calibration;
        if number == 0 {
            *known = Calibration { beside: std::mem::take(&mut known.beside), ..model.calibration().clone() };
            status.says = Some(model.says());
        } else {
            known.beside.insert(signal.to_string(), model.calibration().of_signal(&signal));
        }
    });
    let Some(board) = shared.boards.get(number) else { return };
    Scorer { shared, board, number, signal, model, jobs: Vec::new(), context: None, rested: Instant::now(), arrivals: 0 }.run();
}

struct Scorer<'a> {
    shared: &'a Shared,
    board: &'a Board,
    number: usize,
    signal: Arc<str>,
    model: Result<Box<dyn RewardModel>, Slot>,
    jobs: Vec<Job>,
    /// The request and those of its candidates that the model's caches hold, in the model's order.
    context: Option<(RequestId, Vec<usize>)>,
    /// When candidates that grow may be read again.
    rested: Instant,
    arrivals: u64,
}

/// What to do next.
enum Next {
    Read(usize),
    Sleep(Option<Duration>),
}

impl Scorer<'_> {
    fn run(mut self) {
        while !self.shared.closed.load(Ordering::Relaxed) {
            let mut inbox = self.board.lock();
            self.absorb(&mut inbox);
            let next = self.next();
            if !self.jobs.iter().any(|j| self.ended(j).is_some()) {
                match next {
                    Next::Sleep(at_most) => {
                        if !self.shared.closed.load(Ordering::Relaxed) {
                            drop(self.board.sleep(inbox, at_most));
                        }
                        continue;
                    }
                    Next::Read(job) => {
                        drop(inbox);
                        self.read(job);
                    }
                }
            } else {
                drop(inbox);
            }
            self.end_jobs();
        }
    }

    /// Takes what the board holds.
    fn absorb(&mut self, inbox: &mut Inbox) {
        for recorded in inbox.recorded.drain(..) {
            self.arrivals += 1;
            self.jobs.push(Job::recorded(recorded, self.arrivals));
        }
        for begun in inbox.begun.drain(..) {
            self.arrivals += 1;
            let shares = self.model.as_ref().is_ok_and(|m| m.shares_tokenizer(&begun.fingerprint));
            let steps = self.model.as_ref().is_ok_and(|m| m.judges_steps());
            let when_whole = self.shared.when_whole.load(Ordering::Relaxed);
            self.jobs.push(Job::begun(begun, shares, steps, when_whole, self.arrivals));
        }
        for arrived in &mut inbox.arrived {
            if let Some(job) = self.jobs.iter_mut().find(|j| j.id == arrived.id) {
                job.take_arrived(arrived, self.model.is_ok());
                if job.take_stale() && self.context.as_ref().is_some_and(|c| c.0 == job.id) {
                    self.context = None;
                }
            }
        }
    }

    /// What is on screen first, the latest of it before the rest; then what grows; then the rest in order.
    fn next(&self) -> Next {
        if self.model.is_err() {
            return Next::Sleep(None);
        }
        let unread = || self.jobs.iter().enumerate().filter(|(_, j)| j.has_unread());
        let urgent = unread().filter(|(_, j)| matches!(j.source, Source::Recorded { urgent: true }));
        if let Some((job, _)) = urgent.max_by_key(|(_, j)| j.arrival) {
            return Next::Read(job);
        }
        // A candidate that grows keeps the model's caches, so nothing in the background may take them meanwhile.
        if let Some(job) = self.jobs.iter().position(Job::is_live) {
            if self.jobs[job].is_growing() {
                let rest = self.rested.saturating_duration_since(Instant::now());
                return match (self.jobs[job].may_read_now() && self.jobs[job].has_unread(), rest.is_zero()) {
                    (true, true) => Next::Read(job),
                    (true, false) => Next::Sleep(Some(rest)),
                    (false, _) => Next::Sleep(Some(LOOK)),
                };
            }
            return if self.jobs[job].has_unread() { Next::Read(job) } else { Next::Sleep(None) };
        }
        unread().min_by_key(|(_, j)| j.arrival).map_or(Next::Sleep(None), |(job, _)| Next::Read(job))
    }

    /// How a job ended, `None` while it goes on.
    fn ended(&self, job: &Job) -> Option<Part> {
        let rate = match &job.source {
            Source::Live { end: None, .. } => return None,
            Source::Live { end: Some(End::Failed(error)), .. } => return Some(Err(error.clone().into())),
            Source::Live { end: Some(End::Generated(rate)), .. } => *rate,
            Source::Recorded { .. } => None,
        };
        if job.cancelled.load(Ordering::Relaxed) {
            return Some(Ok(rate));
        }
        match &self.model {
            Err(_) if job.is_live() => Some(Ok(rate)),
            Err(Slot::Failed { name, error }) => {
                Some(Err(Failure { error: format!("the reward model {name} did not load: {error}"), told: true }))
            }
            Err(_) => Some(Err("no reward model was given; name one with --reward".to_owned().into())),
            Ok(_) if job.has_unread() => None,
            Ok(_) => Some(job.failure().map_or(Ok(rate), |error| Err(said_by(self.shared, &self.signal, error).into()))),
        }
    }

    fn end_jobs(&mut self) {
        let mut at = 0;
        while at < self.jobs.len() {
            let Some(result) = self.ended(&self.jobs[at]) else {
                at += 1;
                continue;
            };
            let job = self.jobs.remove(at);
            if self.context.as_ref().is_some_and(|c| c.0 == job.id) {
                self.context = None;
            }
            if job.is_live() {
                self.board.through(job.id);
            }
            self.shared.end_part(job.id, self.number, result);
        }
    }

    /// Reads one batch of a job.
    fn read(&mut self, at: usize) {
        let Ok(model) = &mut self.model else { return };
        let job = &mut self.jobs[at];
        let began = Instant::now();
        let group = match self.context.take() {
            Some((id, group)) if id == job.id && job.wants(&group) => group,
            _ => {
                let group = job.next_group();
                match guarded(|| model.begin(&job.problem, group.len())) {
                    Ok(Ok(())) => group,
                    Ok(Err(error)) => return warn(self.shared, &self.signal, job.fail_all(&error.to_string(), false)),
                    Err(panic) => return warn(self.shared, &self.signal, job.fail_all(&panic, true)),
                }
            }
        };
        let cuts = job.cuts(&group);
        let pieces: Vec<Piece> = cuts.iter().map(|cut| job.piece(cut)).collect();
        match guarded(|| model.append(&pieces)) {
            Ok(Ok(scored)) => {
                job.mark_read(&cuts);
                let learned: Vec<(usize, Option<Domain>)> = scored.iter().map(|s| (s.candidate, model.domain(s.candidate))).collect();
                publish(self.shared, &self.signal, job, &group, scored);
                tell_learned(self.shared, &self.signal, job, &group, learned);
                self.context = Some((job.id, group));
            }
            Ok(Err(error)) => warn(self.shared, &self.signal, job.fail_group(&group, &error.to_string())),
            Err(panic) => warn(self.shared, &self.signal, job.fail_all(&panic, true)),
        }
        let took = began.elapsed();
        // Of three parts of the time the reward models together take one.
        let rests = 3 * self.shared.boards.len() as u32 - 1;
        self.rested = Instant::now() + (took * rests).clamp(LOOK, REST);
    }
}

/// An error, with the signal that it was to become where there are several.
fn said_by(shared: &Shared, signal: &str, error: String) -> String {
    if shared.boards.len() > 1 { format!("{signal}: {error}") } else { error }
}

fn publish(shared: &Shared, signal: &Arc<str>, job: &Job, group: &[usize], scored: Vec<Scored>) {
    for Scored { candidate, said } in scored {
        let Some(&candidate) = group.get(candidate) else { continue };
        let length = job.text_len(candidate);
        for candidate in job.all_of(candidate) {
            let inside = |tokens: &mut Vec<TokenValue>| {
                tokens.iter_mut().for_each(|t| t.span = Span::new(t.span.start.min(length), t.span.end.min(length)));
            };
            let event = match said.clone() {
                Said::Tokens { from, mut rewards } => {
                    inside(&mut rewards);
                    TraceEvent::Rewards { candidate, signal: signal.clone(), from, rewards }
                }
                Said::Judged { unit, mut values } => {
                    if let Values::Tokens(tokens) = &mut values {
                        inside(tokens);
                    }
                    TraceEvent::Judged { candidate, signal: signal.clone(), unit, values }
                }
            };
            shared.outbox.event(job.id, event, &job.cancelled);
        }
    }
}

/// Tells whether the model has learned on such text as it has read.
fn tell_learned(shared: &Shared, signal: &Arc<str>, job: &Job, group: &[usize], learned: Vec<(usize, Option<Domain>)>) {
    for (candidate, domain) in learned {
        let (Some(domain), Some(&candidate)) = (domain, group.get(candidate)) else { continue };
        for candidate in job.all_of(candidate) {
            let event = TraceEvent::Learned { candidate, signal: signal.clone(), domain: domain.clone() };
            shared.outbox.event(job.id, event, &job.cancelled);
        }
    }
}

fn warn(shared: &Shared, signal: &str, warning: Option<(RequestId, String)>) {
    if let Some((id, message)) = warning {
        let message = said_by(shared, signal, message);
        shared.outbox.say(Update::Warning { id, message });
    }
}

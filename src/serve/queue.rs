//! What waits for a reward model. One task owns the model's engine and hands it a few problems at a time, so that what is given up in the queue costs nothing;
//! requests take turns, a problem each, so that a small one does not wait for a large one to end.

use super::metrics::Metrics;
use crate::runtime::{Engine, Models, ModelsStatus, Request, RequestId, Update};
use crate::trace::{Candidate, Trace, TraceEvent};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Problems that are with the engine at a time, so that the model never waits for the next one.
const WINDOW: usize = 2;

/// A reward model and the requests that wait for it.
pub(super) struct Queue {
    /// Its name.
    pub reward: String,
    places: Arc<Semaphore>,
    length: usize,
    messages: UnboundedSender<Message>,
    status: watch::Receiver<ModelsStatus>,
    tickets: AtomicU64,
}

/// What became of a problem of a request.
pub(super) enum Told {
    /// Something new of one of its candidates.
    Event { problem: usize, event: TraceEvent },
    /// One of its candidates, or all, cannot be read.
    Warning { problem: usize, message: String },
    /// It is read, or cannot be.
    Ended { problem: usize, result: Result<(), String> },
}

enum Message {
    Enter(Ticket),
    Leave(u64),
}

/// A request, and those of its problems that are not with the model yet.
struct Ticket {
    id: u64,
    problems: VecDeque<(usize, String, Vec<Candidate>)>,
    to: UnboundedSender<Told>,
    _place: OwnedSemaphorePermit,
}

/// A problem that is with the model.
struct Reading {
    id: RequestId,
    ticket: u64,
    problem: usize,
    to: UnboundedSender<Told>,
}

/// A request that waits or is read. Dropping it gives it up.
pub(super) struct Job {
    ticket: u64,
    told: UnboundedReceiver<Told>,
    messages: UnboundedSender<Message>,
}

impl Job {
    /// What is new; `None` once all its problems have ended.
    pub async fn next(&mut self) -> Option<Told> {
        self.told.recv().await
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Leave(self.ticket));
    }
}

impl Queue {
    /// Starts the model's thread and the task that feeds it, on the runtime that is current. `length` requests may wait.
    pub fn start(reward: String, models: Models, length: usize, metrics: Arc<Metrics>) -> io::Result<Self> {
        let engine = Engine::start(models)?;
        let (messages, inbox) = unbounded_channel();
        let (told, status) = watch::channel(engine.status());
        tokio::spawn(Feeder { engine, inbox, told, metrics, waiting: VecDeque::new(), reading: Vec::new(), last: 0 }.run());
        let length = length.min(Semaphore::MAX_PERMITS);
        Ok(Self { reward, places: Arc::new(Semaphore::new(length)), length, messages, status, tickets: AtomicU64::new(0) })
    }

    /// What is known of the model.
    pub fn status(&self) -> watch::Receiver<ModelsStatus> {
        self.status.clone()
    }

    /// Requests that wait.
    pub fn depth(&self) -> usize {
        self.length - self.places.available_permits()
    }

    /// Puts a request behind those that wait; `None` where as many wait as may.
    pub fn enter<'a>(&self, traces: impl Iterator<Item = &'a Trace>) -> Option<Job> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let id = self.tickets.fetch_add(1, Ordering::Relaxed);
        let (to, told) = unbounded_channel();
        let problems = traces.enumerate().map(|(i, t)| (i, t.problem.clone(), t.candidates.clone())).collect();
        self.messages.send(Message::Enter(Ticket { id, problems, to, _place: place })).ok()?;
        Some(Job { ticket: id, told, messages: self.messages.clone() })
    }
}

/// The task that owns the engine.
struct Feeder {
    engine: Engine,
    inbox: UnboundedReceiver<Message>,
    told: watch::Sender<ModelsStatus>,
    metrics: Arc<Metrics>,
    waiting: VecDeque<Ticket>,
    reading: Vec<Reading>,
    last: RequestId,
}

impl Feeder {
    async fn run(mut self) {
        loop {
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(Message::Enter(ticket)) => self.waiting.push_back(ticket),
                    Some(Message::Leave(ticket)) => self.leave(ticket),
                    None => return,
                },
                updates = self.engine.next() => updates.into_iter().for_each(|u| self.tell(u)),
            }
            self.feed();
        }
    }

    /// Forgets a request: what waits of it is never read, and what is read of it stops at its next piece.
    fn leave(&mut self, ticket: u64) {
        let before = self.waiting.len();
        self.waiting.retain(|t| t.id != ticket);
        let mut given_up = self.waiting.len() < before;
        for reading in self.reading.iter().filter(|r| r.ticket == ticket) {
            given_up = true;
            // An engine takes back what it took.
            let _ = self.engine.send(Request::Cancel { id: reading.id });
        }
        self.metrics.cancelled.fetch_add(u64::from(given_up), Ordering::Relaxed);
    }

    fn tell(&mut self, update: Update) {
        // Whoever gave up does not listen, and to send to them is no error.
        match update {
            Update::Models(status) => drop(self.told.send(status)),
            Update::Event { id, event } => {
                if let TraceEvent::Rewards { rewards, .. } = &event {
                    self.metrics.tokens.fetch_add(rewards.len() as u64, Ordering::Relaxed);
                }
                if let Some(r) = self.reading.iter().find(|r| r.id == id) {
                    let _ = r.to.send(Told::Event { problem: r.problem, event });
                }
            }
            // With one reward model, to lose it is to fail.
            Update::Warning { id, message } | Update::Lost { id, error: message } => {
                if let Some(r) = self.reading.iter().find(|r| r.id == id) {
                    let _ = r.to.send(Told::Warning { problem: r.problem, message });
                }
            }
            Update::Done { id, .. } => self.end(id, Ok(())),
            Update::Failed { id, error } => self.end(id, Err(error)),
        }
    }

    fn end(&mut self, id: RequestId, result: Result<(), String>) {
        let Some(at) = self.reading.iter().position(|r| r.id == id) else { return };
        let reading = self.reading.remove(at);
        self.metrics.problems.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
        let _ = reading.to.send(Told::Ended { problem: reading.problem, result });
    }

    /// Hands the engine what it has room for.
    fn feed(&mut self) {
        while self.reading.len() < WINDOW
            && let Some(mut ticket) = self.waiting.pop_front()
        {
            let Some((problem, text, candidates)) = ticket.problems.pop_front() else { continue };
            self.last += 1;
            let bytes: usize = candidates.iter().map(|c| c.text.len()).sum();
            let reading = Reading { id: self.last, ticket: ticket.id, problem, to: ticket.to.clone() };
            match self.engine.send(Request::Score { id: self.last, problem: text, candidates, urgent: false }) {
                Ok(()) => {
                    self.metrics.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                    self.reading.push(reading);
                }
                Err(error) => drop(reading.to.send(Told::Ended { problem, result: Err(error.to_string()) })),
            }
            if !ticket.problems.is_empty() {
                self.waiting.push_back(ticket);
            }
        }
    }
}

//! The models' threads as faces see them.

use super::board::{Board, Recorded};
use super::load::Models;
use super::outbox::Outbox;
use super::{ModelsStatus, Request, RequestId, Slot, Update, policy, scorer};
use crate::trace::{Candidate, FinishReason, TraceEvent};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Requests that may wait at a time.
const WAITING: usize = 256;

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// As many requests wait as may wait; try again when one is done.
    #[error("{WAITING} requests wait already; try again when one is done")]
    Full,
    /// The request's id is already in use.
    #[error("request {0} is not done yet; choose another id")]
    Duplicate(RequestId),
}

/// A policy and a reward model, each on a thread of its own, loaded in the background.
///
/// Requests go in by [`Engine::send`], which never blocks; updates come out by [`Engine::next`], [`Engine::wait`] or [`Engine::take`].
/// What is generated is scored while it grows: the reward model reads what all candidates got since it last looked as one batch, and takes at most
/// a third of the time while the policy writes, so that it lags on a busy machine instead of slowing the policy. Dropping the engine stops the models
/// at their next token.
pub struct Engine {
    shared: Arc<Shared>,
}

/// What the threads share.
#[derive(Default)]
pub(super) struct Shared {
    pub outbox: Outbox,
    pub board: Board,
    pub closed: AtomicBool,
    status: Mutex<ModelsStatus>,
    generates: Mutex<VecDeque<Generate>>,
    generate: Condvar,
    /// The requests without a `Done` or `Failed` yet, with their cancel flags.
    open: Mutex<HashMap<RequestId, Arc<AtomicBool>>>,
}

/// A request to the policy.
pub(super) struct Generate {
    pub id: RequestId,
    pub problem: String,
    pub n: usize,
    pub sampling: crate::trace::Sampling,
    pub cancelled: Arc<AtomicBool>,
}

impl Engine {
    /// Starts the threads; the models load on them.
    pub fn start(models: Models) -> std::io::Result<Self> {
        super::panics::keep_quiet();
        let shared = Arc::new(Shared::default());
        let loading = |name: Option<&String>| name.map_or(Slot::Absent, |n| Slot::Loading { name: n.clone(), progress: 0.0 });
        shared.update_status(|s| {
            s.policy = loading(models.policy.as_ref().map(|l| &l.name));
            s.reward = loading(models.reward.as_ref().map(|l| &l.name));
        });
        let engine = Self { shared: shared.clone() };
        let (for_policy, for_scorer) = (shared.clone(), shared);
        std::thread::Builder::new().name(super::panics::POLICY.into()).spawn(move || policy::run(&for_policy, models.policy))?;
        std::thread::Builder::new().name(super::panics::REWARD.into()).spawn(move || scorer::run(&for_scorer, models.reward))?;
        Ok(engine)
    }

    /// Hands a request to the models; never blocks. Its updates end with one `Done` or `Failed`.
    pub fn send(&self, request: Request) -> Result<(), SendError> {
        let shared = &self.shared;
        match request {
            Request::Generate { id, problem, n, sampling } => {
                let cancelled = shared.admit(id)?;
                shared.generates().push_back(Generate { id, problem, n, sampling, cancelled });
                shared.generate.notify_all();
            }
            Request::Score { id, problem, candidates, urgent } => {
                let cancelled = shared.admit(id)?;
                let text = |c: Candidate| (c.text, c.finish.is_some_and(|f| f.is_cut()));
                let texts = candidates.into_iter().map(text).collect();
                shared.board.recorded(Recorded { id, problem, texts, urgent, cancelled });
            }
            Request::Cancel { id } => {
                let Some(cancelled) = shared.open().get(&id).cloned() else { return Ok(()) };
                cancelled.store(true, Ordering::Relaxed);
                let waiting = {
                    let mut generates = shared.generates();
                    let at = generates.iter().position(|g| g.id == id);
                    at.and_then(|i| generates.remove(i))
                };
                if let Some(generate) = waiting {
                    shared.finish_all(&generate, FinishReason::Cancelled);
                    shared.end(id, Ok(None));
                }
                shared.board.wake();
            }
        }
        Ok(())
    }

    /// What is known of the models now.
    pub fn status(&self) -> ModelsStatus {
        self.shared.status().clone()
    }

    /// The updates that wait, without blocking; waiting events of a candidate are merged.
    pub fn take(&self) -> Vec<Update> {
        self.shared.outbox.take()
    }

    /// The updates that wait, as soon as there are some; empty after `timeout`.
    pub fn wait(&self, timeout: Duration) -> Vec<Update> {
        self.shared.outbox.wait(timeout)
    }

    /// The updates that wait, as soon as there are some. Cancel-safe: nothing is lost when the future is dropped.
    pub async fn next(&self) -> Vec<Update> {
        self.shared.outbox.next().await
    }
}

impl Engine {
    /// The engine behind two bounded channels, for a face with an event loop. It ends when both are dropped.
    ///
    /// A request that is refused ([`SendError`]) comes back as `Failed`.
    pub fn channels(self) -> std::io::Result<(mpsc::Sender<Request>, mpsc::Receiver<Update>)> {
        let engine = Arc::new(self);
        let (send, mut requests) = mpsc::channel(WAITING);
        let (updates, receive) = mpsc::channel(WAITING);
        let sender = engine.clone();
        std::thread::Builder::new().name("requests".into()).spawn(move || {
            while let Some(request) = requests.blocking_recv() {
                let (Request::Generate { id, .. } | Request::Score { id, .. } | Request::Cancel { id }) = request;
                if let Err(error) = sender.send(request) {
                    sender.shared.outbox.say(Update::Failed { id, error: error.to_string() });
                }
            }
            sender.stop();
        })?;
        std::thread::Builder::new().name("updates".into()).spawn(move || {
            while !engine.is_stopped() {
                for update in engine.wait(Duration::from_secs(3600)) {
                    if updates.blocking_send(update).is_err() {
                        return engine.stop();
                    }
                }
            }
        })?;
        Ok((send, receive))
    }

    fn is_stopped(&self) -> bool {
        self.shared.closed.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        for cancelled in self.shared.open().values() {
            cancelled.store(true, Ordering::Relaxed);
        }
        self.shared.outbox.close();
        // Taking the lock first makes sure that the policy's thread is not between its look at the flag and its sleep.
        drop(self.shared.generates());
        self.shared.generate.notify_all();
        self.shared.board.wake();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn generates(&self) -> MutexGuard<'_, VecDeque<Generate>> {
        self.generates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<RequestId, Arc<AtomicBool>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn status(&self) -> MutexGuard<'_, ModelsStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of the models and tells the face.
    pub fn update_status(&self, change: impl FnOnce(&mut ModelsStatus)) {
        let mut status = self.status();
        change(&mut status);
        self.outbox.models(status.clone());
    }

    fn admit(&self, id: RequestId) -> Result<Arc<AtomicBool>, SendError> {
        let mut open = self.open();
        if open.len() >= WAITING {
            return Err(SendError::Full);
        }
        if open.contains_key(&id) {
            return Err(SendError::Duplicate(id));
        }
        Ok(open.entry(id).or_default().clone())
    }

    /// Ends a request: tokens a second, or the error.
    pub fn end(&self, id: RequestId, result: Result<Option<f32>, String>) {
        self.open().remove(&id);
        self.outbox.say(match result {
            Ok(tokens_per_second) => Update::Done { id, tokens_per_second },
            Err(error) => Update::Failed { id, error },
        });
    }

    /// Ends all candidates of a request that did not begin.
    pub fn finish_all(&self, generate: &Generate, reason: FinishReason) {
        for candidate in 0..generate.n {
            self.outbox.event(generate.id, TraceEvent::Finished { candidate, reason: reason.clone() }, &generate.cancelled);
        }
    }

    /// The next request to the policy, or `None` when the engine is gone.
    pub fn next_generate(&self) -> Option<Generate> {
        let mut generates = self.generates();
        loop {
            if self.closed.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(generate) = generates.pop_front() {
                return Some(generate);
            }
            generates = self.generate.wait(generates).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Runs `f`; a panic becomes an error that says where it was.
pub(super) fn guarded<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let message = payload.downcast_ref::<&str>().map(|s| s.to_string()).or_else(|| payload.downcast_ref::<String>().cloned());
        super::panics::describe(message.as_deref().unwrap_or("no message"))
    })
}

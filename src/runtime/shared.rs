//! What the engine and the models' threads share: the waiting requests, the state of the models, and how a model is loaded on its thread.

use super::board::Board;
use super::load::Loader;
use super::outbox::Outbox;
use super::{ModelsStatus, RequestId, Slot, Update};
use crate::model::Progress;
use crate::trace::{FinishReason, TraceEvent};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Requests that may wait at a time.
pub(super) const WAITING: usize = 256;

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

/// What the threads share.
#[derive(Default)]
pub(super) struct Shared {
    pub outbox: Outbox,
    pub board: Board,
    pub closed: AtomicBool,
    /// Generated candidates are read when all of a request are written.
    pub when_whole: AtomicBool,
    status: Mutex<ModelsStatus>,
    generates: Mutex<VecDeque<Generate>>,
    pub generate: Condvar,
    /// The requests without a `Done` or `Failed` yet, with their cancel flags.
    open: Mutex<HashMap<RequestId, Arc<AtomicBool>>>,
}

/// A request to the policy.
pub(super) struct Generate {
    pub id: RequestId,
    pub problem: String,
    pub n: usize,
    pub sampling: crate::trace::Sampling,
    pub segmentation: crate::trace::Segmentation,
    pub cancelled: Arc<AtomicBool>,
}

impl Shared {
    pub fn generates(&self) -> MutexGuard<'_, VecDeque<Generate>> {
        self.generates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn open(&self) -> MutexGuard<'_, HashMap<RequestId, Arc<AtomicBool>>> {
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

    pub fn admit(&self, id: RequestId) -> Result<Arc<AtomicBool>, SendError> {
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
        match &result {
            Ok(tokens_per_second) => tracing::debug!(?id, ?tokens_per_second, "has answered a request"),
            Err(error) => tracing::warn!(?id, error, "could not answer a request"),
        }
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

/// Loads a model and keeps its slot up to date; a failure or a panic becomes `Slot::Failed`, which is given back. What
/// `ready` adds is seen together with `Slot::Ready`.
pub(super) fn load<M: ?Sized>(
    shared: &Arc<Shared>,
    loader: Option<Loader<M>>,
    slot: fn(&mut ModelsStatus) -> &mut Slot,
    ready: fn(&M, &mut ModelsStatus),
) -> Result<Box<M>, Slot> {
    let Some(Loader { name, load }) = loader else { return Err(Slot::Absent) };
    let (told, loading) = (shared.clone(), name.clone());
    let progress: Progress = Arc::new(move |progress| {
        let progress = progress.clamp(0.0, 1.0);
        told.update_status(|s| *slot(s) = Slot::Loading { name: loading.clone(), progress });
    });
    let began = Instant::now();
    match guarded(|| load(Some(progress))).and_then(|r| r) {
        Ok(loaded) => {
            tracing::info!(model = name, about = loaded.about, seconds = began.elapsed().as_secs_f32(), "has loaded a model");
            shared.update_status(|s| {
                ready(&loaded.model, s);
                *slot(s) = Slot::Ready { name: name.clone(), about: loaded.about };
            });
            Ok(loaded.model)
        }
        Err(error) => {
            tracing::error!(model = name, error, "could not load a model");
            let failed = Slot::Failed { name: name.clone(), error };
            shared.update_status(|s| *slot(s) = failed.clone());
            Err(failed)
        }
    }
}

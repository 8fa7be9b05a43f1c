//! What the engine and the models' threads share: the waiting requests, the state of the models, and how a model is loaded on its thread.

use super::board::Board;
use super::load::Loader;
use super::outbox::Outbox;
use super::{ModelsStatus, RequestId, Slot, Update};
use crate::model::Progress;
use crate::trace::{FinishReason, TraceEvent};
use std::collections::{BTreeMap, HashMap, VecDeque};
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
    /// One a reward model, and one where there is none.
    pub boards: Vec<Board>,
    pub closed: AtomicBool,
    /// Generated candidates are read when all of a request are written.
    pub when_whole: AtomicBool,
    status: Mutex<ModelsStatus>,
    for_policy: Mutex<ForPolicy>,
    pub generate: Condvar,
    /// The requests without a `Done` or `Failed` yet, with their cancel flags.
    open: Mutex<HashMap<RequestId, Arc<AtomicBool>>>,
    /// How requests ended for those reward models that are through with them, while others are not.
    parts: Mutex<HashMap<RequestId, BTreeMap<usize, Part>>>,
}

/// How a request ended for one reward model: tokens a second, or why nothing was read.
pub(super) type Part = Result<Option<f32>, Failure>;

/// Why a reward model said nothing of a request.
pub(super) struct Failure {
    pub error: String,
    /// The model's state says it already.
    pub told: bool,
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self { error, told: false }
    }
}

/// One of the models.
#[derive(Clone, Copy)]
pub(super) enum Which {
    Policy,
    Reward(usize),
}

/// What waits for the policy.
#[derive(Default)]
pub(super) struct ForPolicy {
    pub generates: VecDeque<Generate>,
    pub reads: Vec<ReadText>,
}

/// What the policy does next.
pub(super) enum PolicyWork {
    Generate(Generate),
    Read(ReadText),
}

/// Recorded candidates that the policy is to read.
pub(super) struct ReadText {
    pub id: RequestId,
    pub problem: String,
    pub candidates: Vec<crate::trace::Candidate>,
    pub urgent: bool,
    pub cancelled: Arc<AtomicBool>,
}

/// A request to the policy to write.
pub(super) struct Generate {
    pub id: RequestId,
    pub problem: String,
    pub n: usize,
    pub sampling: crate::trace::Sampling,
    pub segmentation: crate::trace::Segmentation,
    pub cancelled: Arc<AtomicBool>,
}

impl Shared {
    /// For so many reward models.
    pub fn new(rewards: usize) -> Self {
        Self { boards: (0..rewards.max(1)).map(|_| Board::default()).collect(), ..Self::default() }
    }

    pub fn for_policy(&self) -> MutexGuard<'_, ForPolicy> {
        self.for_policy.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Wakes every reward model's thread.
    pub fn wake(&self) {
        self.boards.iter().for_each(Board::wake);
    }

    /// Ends a request for one reward model. It has ended when it did so for all of them; what one of several could not read is told, and the others' word stays.
    pub fn end_part(&self, id: RequestId, model: usize, part: Part) {
        let parts = {
            let mut all = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            let parts = all.entry(id).or_default();
            parts.insert(model, part);
            if parts.len() < self.boards.len() {
                return;
            }
            all.remove(&id).unwrap_or_default()
        };
        let (mut done, mut failed): (Option<Option<f32>>, Vec<Failure>) = (None, Vec::new());
        for (_, part) in parts {
            match part {
                Ok(rate) => done = Some(done.flatten().or(rate)),
                Err(failure) => failed.push(failure),
            }
        }
        let Some(rate) = done else {
            let mut errors: Vec<String> = failed.into_iter().map(|f| f.error).collect();
            errors.dedup();
            return self.end(id, Err(errors.join("; ")));
        };
        for Failure { error, .. } in failed.into_iter().filter(|f| !f.told) {
            tracing::warn!(?id, error, "has the word of some reward models only");
            self.outbox.say(Update::Lost { id, error });
        }
        self.end(id, Ok(rate));
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

    /// What the policy does next, or `None` when the engine is gone: what is on screen is read first, the latest of it before the rest; then it writes; then the
    /// other texts are read in order.
    pub fn next_for_policy(&self) -> Option<PolicyWork> {
        let mut work = self.for_policy();
        loop {
            if self.closed.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(urgent) = work.reads.iter().rposition(|r| r.urgent) {
                return Some(PolicyWork::Read(work.reads.remove(urgent)));
            }
            if let Some(generate) = work.generates.pop_front() {
                return Some(PolicyWork::Generate(generate));
            }
            if !work.reads.is_empty() {
                return Some(PolicyWork::Read(work.reads.remove(0)));
            }
            work = self.generate.wait(work).unwrap_or_else(PoisonError::into_inner);
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
    which: Which,
    ready: impl FnOnce(&M, &mut ModelsStatus),
) -> Result<Box<M>, Slot> {
    let set = move |status: &mut ModelsStatus, slot: Slot| match which {
        Which::Policy => status.policy = slot,
        Which::Reward(i) => status.rewards.iter_mut().skip(i).take(1).for_each(|r| r.slot = slot.clone()),
    };
    let Some(Loader { name, load }) = loader else { return Err(Slot::Absent) };
    let (told, loading) = (shared.clone(), name.clone());
    let progress: Progress = Arc::new(move |progress| {
        let progress = progress.clamp(0.0, 1.0);
        told.update_status(|s| set(s, Slot::Loading { name: loading.clone(), progress }));
    });
    let began = Instant::now();
    match guarded(|| load(Some(progress))).and_then(|r| r) {
        Ok(loaded) => {
            tracing::info!(model = name, about = loaded.about, seconds = began.elapsed().as_secs_f32(), "has loaded a model");
            shared.update_status(|s| {
                ready(&loaded.model, s);
                set(s, Slot::Ready { name: name.clone(), about: loaded.about });
            });
            Ok(loaded.model)
        }
        Err(error) => {
            tracing::error!(model = name, error, "could not load a model");
            let failed = Slot::Failed { name: name.clone(), error };
            shared.update_status(|s| set(s, failed.clone()));
            Err(failed)
        }
    }
}

//! The models' threads as faces see them.

use super::board::{Recorded, Text};
use super::load::Models;
use super::shared::{Generate, ReadText, SendError, Shared, WAITING};
use super::{ModelsStatus, Request, RewardSlot, Slot, Update, policy, scorer};
use crate::trace::{AtWork, Candidate, FinishReason, REWARD};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

/// A policy and reward models, each on a thread of its own, loaded in the background.
///
/// Requests go in by [`Engine::send`], which never blocks; updates come out by [`Engine::next`], [`Engine::wait`] or [`Engine::take`].
/// What is generated is scored while it grows: a reward model reads what all candidates got since it last looked as one batch, and all of them together take at
/// most a third of the time while the policy writes, so that they lag on a busy machine instead of slowing the policy. A request is through when every reward
/// model is through with it. Dropping the engine stops the models at their next token.
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// Starts the threads; the models load on them.
    pub fn start(models: Models) -> std::io::Result<Self> {
        super::panics::keep_quiet();
        let Models { policy, rewards } = models;
        let shared = Arc::new(Shared::new(rewards.len()));
        let loading = |name: String| Slot::Loading { name, progress: 0.0 };
        let at_work = AtWork::all(rewards.iter().map(|l| l.name.as_str()));
        shared.update_status(|s| {
            s.policy = policy.as_ref().map_or(Slot::Absent, |l| loading(l.name.clone()));
            s.rewards = at_work.iter().map(|a| RewardSlot { signal: a.signal.clone(), slot: loading(a.model.clone()) }).collect();
        });
        let engine = Self { shared: shared.clone() };
        let for_policy = shared.clone();
        std::thread::Builder::new().name(super::panics::POLICY.into()).spawn(move || policy::run(&for_policy, policy))?;
        let mut rewards = rewards.into_iter();
        for model in 0..shared.boards.len() {
            let (for_scorer, loader) = (shared.clone(), rewards.next());
            let signal = at_work.get(model).map_or(REWARD, |a| &a.signal).into();
            let run = move || scorer::run(&for_scorer, model, signal, loader);
            std::thread::Builder::new().name(super::panics::REWARD.into()).spawn(run)?;
        }
        Ok(engine)
    }

    /// From here on, generated candidates are scored once all of a request are written, meanwhile the policy writes the next request's. What is read while
    /// it grows is read in pieces that depend on the time, and the last bits of its rewards with them; read whole, equal candidates have equal rewards.
    pub fn score_when_whole(self) -> Self {
        self.shared.when_whole.store(true, Ordering::Relaxed);
        self
    }

    /// Hands a request to the models; never blocks. Its updates end with one `Done` or `Failed`.
    pub fn send(&self, request: Request) -> Result<(), SendError> {
        let shared = &self.shared;
        match request {
            Request::Generate { id, problem, n, sampling, segmentation } => {
                tracing::debug!(?id, n, characters = problem.len(), "is asked for candidates");
                let cancelled = shared.admit(id)?;
                shared.for_policy().generates.push_back(Generate { id, problem, n, sampling, segmentation, cancelled });
                shared.generate.notify_all();
            }
            Request::Score { id, problem, candidates, urgent } => {
                tracing::debug!(?id, candidates = candidates.len(), urgent, "is asked for rewards");
                let cancelled = shared.admit(id)?;
                let text = |c: Candidate| Text {
                    steps: c.steps.iter().map(|s| s.span).collect(),
                    text: c.text,
                    cut: c.finish.is_some_and(|f| f.is_cut()),
                };
                let texts: Vec<Text> = candidates.into_iter().map(text).collect();
                for board in &shared.boards {
                    let (problem, texts, cancelled) = (problem.clone(), texts.clone(), cancelled.clone());
                    board.recorded(Recorded { id, problem, texts, urgent, cancelled });
                }
            }
            Request::Read { id, problem, candidates, urgent } => {
                tracing::debug!(?id, candidates = candidates.len(), urgent, "is asked to read");
                let cancelled = shared.admit(id)?;
                shared.for_policy().reads.push(ReadText { id, problem, candidates, urgent, cancelled });
                shared.generate.notify_all();
            }
            Request::Cancel { id } => {
                let Some(cancelled) = shared.open().get(&id).cloned() else { return Ok(()) };
                cancelled.store(true, Ordering::Relaxed);
                let (waiting, unread) = {
                    let mut work = shared.for_policy();
                    let at = work.generates.iter().position(|g| g.id == id);
                    let reads = work.reads.len();
                    work.reads.retain(|r| r.id != id);
                    (at.and_then(|i| work.generates.remove(i)), work.reads.len() < reads)
                };
                if unread {
                    shared.end(id, Ok(None));
                }
                if let Some(generate) = waiting {
                    shared.finish_all(&generate, FinishReason::Cancelled);
                    shared.end(id, Ok(None));
                }
                shared.wake();
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
                let (Request::Generate { id, .. } | Request::Score { id, .. } | Request::Read { id, .. } | Request::Cancel { id }) =
                    request;
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
        drop(self.shared.for_policy());
        self.shared.generate.notify_all();
        self.shared.wake();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

//! Where the policy's thread and the faces leave text for the reward model's thread.

use super::RequestId;
use crate::trace::{FinishReason, Segmentation, Span, Token};
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Generated requests that may wait for their scores before the policy stops to begin new ones.
pub(super) const UNSCORED: usize = 2;

/// The board. Its lock is held for copying only, never while a model works.
#[derive(Default)]
pub(super) struct Board {
    inbox: Mutex<Inbox>,
    changed: Condvar,
    room: Condvar,
}

/// What is new since the reward model's thread last looked.
#[derive(Default)]
pub(super) struct Inbox {
    pub recorded: VecDeque<Recorded>,
    pub begun: VecDeque<Begun>,
    pub arrived: Vec<Arrived>,
    /// Generated requests that are not through.
    pub live: usize,
}

/// Recorded candidates to score.
pub(super) struct Recorded {
    pub id: RequestId,
    pub problem: String,
    pub texts: Vec<Text>,
    pub urgent: bool,
    pub cancelled: Arc<AtomicBool>,
}

/// A recorded candidate's text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Text {
    pub text: String,
    /// Its steps.
    pub steps: Vec<Span>,
    /// It was cut before its end.
    pub cut: bool,
}

/// A request that the policy began.
pub(super) struct Begun {
    pub id: RequestId,
    pub problem: String,
    pub n: usize,
    pub fingerprint: String,
    pub segmentation: Segmentation,
    pub cancelled: Arc<AtomicBool>,
}

/// What the policy did to a request since the reward model's thread last looked.
pub(super) struct Arrived {
    pub id: RequestId,
    pub candidates: Vec<Delta>,
    pub end: Option<End>,
}

/// What a candidate got.
#[derive(Default)]
pub(super) struct Delta {
    pub text: String,
    pub tokens: Vec<Token>,
    pub finished: bool,
    pub cut: bool,
    /// What came before all this is void.
    pub restarted: bool,
}

/// How generation ended.
pub(super) enum End {
    /// All candidates are written, at so many tokens a second.
    Generated(Option<f32>),
    /// The policy failed.
    Failed(String),
}

impl Board {
    pub fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn recorded(&self, recorded: Recorded) {
        self.lock().recorded.push_back(recorded);
        self.wake();
    }

    /// Waits until the reward model is not too far behind, then registers a request that the policy begins. False: `stop` said so.
    pub fn begin(&self, begun: Begun, stop: impl Fn() -> bool) -> bool {
        let mut inbox = self.lock();
        while inbox.live >= UNSCORED {
            if stop() {
                return false;
            }
            inbox = self.room.wait(inbox).unwrap_or_else(PoisonError::into_inner);
        }
        inbox.live += 1;
        let candidates = (0..begun.n).map(|_| Delta::default()).collect();
        inbox.arrived.push(Arrived { id: begun.id, candidates, end: None });
        inbox.begun.push_back(begun);
        drop(inbox);
        self.wake();
        true
    }

    /// Leaves what a candidate got. The reward model's thread is not woken: it looks by itself, at its own pace.
    pub fn append(&self, id: RequestId, candidate: usize, text: &str, tokens: &[Token], finish: Option<&FinishReason>) {
        let mut inbox = self.lock();
        if let Some(delta) = inbox.arrived.iter_mut().find(|n| n.id == id).and_then(|n| n.candidates.get_mut(candidate)) {
            delta.text.push_str(text);
            delta.tokens.extend_from_slice(tokens);
            delta.finished |= finish.is_some();
            delta.cut |= finish.is_some_and(FinishReason::is_cut);
        }
    }

    /// Leaves that a candidate is empty, whatever it got before.
    pub fn restart(&self, id: RequestId, candidate: usize) {
        let mut inbox = self.lock();
        if let Some(delta) = inbox.arrived.iter_mut().find(|n| n.id == id).and_then(|n| n.candidates.get_mut(candidate)) {
            *delta = Delta { restarted: true, ..Delta::default() };
        }
    }

    /// Leaves that generation ended.
    pub fn end(&self, id: RequestId, end: End) {
        if let Some(arrived) = self.lock().arrived.iter_mut().find(|n| n.id == id) {
            arrived.end = Some(end);
        }
        self.wake();
    }

    /// A generated request is through.
    pub fn through(&self, id: RequestId) {
        let mut inbox = self.lock();
        inbox.arrived.retain(|n| n.id != id);
        inbox.live = inbox.live.saturating_sub(1);
        drop(inbox);
        self.room.notify_all();
    }

    /// Wakes both threads, so that they see a flag that was set.
    pub fn wake(&self) {
        // Taking the lock first makes sure that no thread is between its look at the flag and its sleep.
        drop(self.lock());
        self.changed.notify_all();
        self.room.notify_all();
    }

    /// Sleeps until something changes, or for `at_most`.
    pub fn sleep<'a>(&self, inbox: MutexGuard<'a, Inbox>, at_most: Option<std::time::Duration>) -> MutexGuard<'a, Inbox> {
        match at_most {
            None => self.changed.wait(inbox).unwrap_or_else(PoisonError::into_inner),
            Some(time) => self.changed.wait_timeout(inbox, time).unwrap_or_else(PoisonError::into_inner).0,
        }
    }
}

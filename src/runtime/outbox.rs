//! Updates on their way to the face: merged while they wait, bounded, and never out of order for a candidate.

use super::{ModelsStatus, RequestId, Update};
use crate::trace::{Domain, FinishReason, Token, TokenValue, TraceEvent, Unit, Values};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Bytes of waiting text, tokens and rewards from which producers wait for the face.
pub(super) const CAPACITY: usize = 1 << 20;

/// How often a waiting producer looks whether its request was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// The queue between the models' threads and the face.
///
/// What waits is at most one entry a candidate, whatever the number of tokens: a face that draws thirty times a second sees at most four
/// events of a candidate each time, with one reward model, and a face that stands still stops the models instead of growing the queue.
#[derive(Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    drained: Condvar,
    filled: Condvar,
    notify: Notify,
}

#[derive(Default)]
struct Queue {
    models: Option<ModelsStatus>,
    entries: Vec<Entry>,
    bytes: usize,
    closed: bool,
}

enum Entry {
    Candidate(Pending),
    Said(Update),
}

/// What waits of a list that is sent piece by piece, and the place of the first of it.
type Waiting<T> = Option<(usize, Vec<T>)>;

/// What waits of one candidate.
struct Pending {
    id: RequestId,
    candidate: usize,
    started: bool,
    text: String,
    tokens: Vec<Token>,
    read: Waiting<Token>,
    /// Of each signal.
    rewards: Vec<(Arc<str>, Waiting<TokenValue>)>,
    judged: Vec<(Arc<str>, Unit, Values)>,
    learned: Vec<(Arc<str>, Domain)>,
    finished: Option<FinishReason>,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event; waits while the face is behind. False: nobody listens any more, or the request was cancelled while it waited.
    pub fn event(&self, id: RequestId, event: TraceEvent, cancelled: &AtomicBool) -> bool {
        let mut queue = self.lock();
        let size = size(&event);
        while size > 0 && queue.bytes >= CAPACITY && !queue.closed && !cancelled.load(Ordering::Relaxed) {
            queue = self.drained.wait_timeout(queue, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        if queue.closed || (size > 0 && queue.bytes >= CAPACITY) {
            return false;
        }
        queue.bytes += size;
        queue.merge(id, event);
        self.wake();
        true
    }

    /// Adds a `Done`, `Failed` or `Warning`; never waits.
    pub fn say(&self, update: Update) {
        let mut queue = self.lock();
        if !queue.closed {
            queue.entries.push(Entry::Said(update));
            self.wake();
        }
    }

    /// Replaces what is known of the models; only the latest state waits.
    pub fn models(&self, status: ModelsStatus) {
        self.lock().models = Some(status);
        self.wake();
    }

    /// Refuses everything from now on and frees waiting producers.
    pub fn close(&self) {
        self.lock().closed = true;
        self.drained.notify_all();
        self.wake();
    }

    fn wake(&self) {
        self.filled.notify_all();
        self.notify.notify_one();
    }

    /// Takes what waits.
    pub fn take(&self) -> Vec<Update> {
        let mut queue = self.lock();
        let updates = queue.take();
        drop(queue);
        self.drained.notify_all();
        updates
    }

    /// Takes what waits, as soon as something does; empty after `timeout`.
    pub fn wait(&self, timeout: Duration) -> Vec<Update> {
        let until = Instant::now() + timeout;
        let mut queue = self.lock();
        while queue.is_empty() && !queue.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = self.filled.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let updates = queue.take();
        drop(queue);
        self.drained.notify_all();
        updates
    }

    /// Takes what waits, as soon as something does.
    pub async fn next(&self) -> Vec<Update> {
        loop {
            let updates = self.take();
            if !updates.is_empty() {
                return updates;
            }
            self.notify.notified().await;
        }
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.models.is_none() && self.entries.is_empty()
    }

    fn take(&mut self) -> Vec<Update> {
        self.bytes = 0;
        let mut updates: Vec<Update> = self.models.take().map(Update::Models).into_iter().collect();
        for entry in self.entries.drain(..) {
            match entry {
                Entry::Said(update) => updates.push(update),
                Entry::Candidate(pending) => updates.extend(pending.events()),
            }
        }
        updates
    }

    fn merge(&mut self, id: RequestId, event: TraceEvent) {
        let candidate = candidate_of(&event);
        let waiting = self.entries.iter_mut().rev().find_map(|e| match e {
            Entry::Candidate(p) if p.id == id && p.candidate == candidate => Some(p),
            _ => None,
        });
        let event = match waiting {
            Some(pending) => match pending.merge(event) {
                None => return,
                Some(event) => event,
            },
            None => event,
        };
        let mut pending = Pending {
            id,
            candidate,
            started: false,
            text: String::new(),
            tokens: Vec::new(),
            read: None,
            rewards: Vec::new(),
            judged: Vec::new(),
            learned: Vec::new(),
            finished: None,
        };
        pending.merge(event);
        self.entries.push(Entry::Candidate(pending));
    }
}

impl Pending {
    /// Takes the event in, or gives it back where it must stay behind what waits.
    fn merge(&mut self, event: TraceEvent) -> Option<TraceEvent> {
        match event {
            // What waits is void.
            TraceEvent::Started { .. } => {
                self.text.clear();
                self.tokens.clear();
                (self.rewards, self.judged, self.learned) = Default::default();
                (self.started, self.read, self.finished) = (true, None, None);
            }
            TraceEvent::Tokens { text, mut tokens, .. } if self.finished.is_none() => {
                self.text.push_str(&text);
                self.tokens.append(&mut tokens);
            }
            TraceEvent::Read { candidate, from, tokens } => {
                let (from, tokens) = join(&mut self.read, from, tokens)?;
                return Some(TraceEvent::Read { candidate, from, tokens });
            }
            TraceEvent::Rewards { candidate, signal, from, rewards } => {
                let at = self.rewards.iter().position(|r| r.0 == signal).unwrap_or_else(|| {
                    self.rewards.push((signal.clone(), None));
                    self.rewards.len() - 1
                });
                let (from, rewards) = join(&mut self.rewards[at].1, from, rewards)?;
                return Some(TraceEvent::Rewards { candidate, signal, from, rewards });
            }
            TraceEvent::Judged { signal, unit, values, .. } => match self.judged.iter_mut().find(|j| j.0 == signal) {
                None => self.judged.push((signal, unit, values)),
                Some(waiting) => *waiting = (signal, unit, values),
            },
            TraceEvent::Learned { signal, domain, .. } => match self.learned.iter_mut().find(|l| l.0 == signal) {
                None => self.learned.push((signal, domain)),
                Some(waiting) => *waiting = (signal, domain),
            },
            TraceEvent::Finished { reason, .. } if self.finished.is_none() => self.finished = Some(reason),
            event => return Some(event),
        }
        None
    }

    fn events(self) -> impl Iterator<Item = Update> {
        let Self { id, candidate, started, text, tokens, read, rewards, judged, learned, finished } = self;
        let event = move |event| Update::Event { id, event };
        let started = started.then_some(TraceEvent::Started { candidate });
        let text = (!text.is_empty() || !tokens.is_empty()).then_some(TraceEvent::Tokens { candidate, text, tokens });
        let read = read.map(|(from, tokens)| TraceEvent::Read { candidate, from, tokens });
        let rewards = rewards.into_iter().filter_map(move |(signal, waiting)| {
            let (from, rewards) = waiting?;
            Some(TraceEvent::Rewards { candidate, signal, from, rewards })
        });
        let judged = judged.into_iter().map(move |(signal, unit, values)| TraceEvent::Judged { candidate, signal, unit, values });
        let learned = learned.into_iter().map(move |(signal, domain)| TraceEvent::Learned { candidate, signal, domain });
        let finished = finished.map(|reason| TraceEvent::Finished { candidate, reason });
        started.into_iter().chain(text).chain(read).chain(rewards).chain(judged).chain(learned).chain(finished).map(event)
    }
}

/// Puts new values behind those that wait, from a position on; they come back where there would be a gap.
fn join<T>(waiting: &mut Option<(usize, Vec<T>)>, from: usize, mut new: Vec<T>) -> Option<(usize, Vec<T>)> {
    match waiting {
        None => *waiting = Some((from, new)),
        Some((first, waiting)) if from >= *first && from - *first <= waiting.len() => {
            waiting.truncate(from - *first);
            waiting.append(&mut new);
        }
        // Everything from `from` on is replaced, so what waits behind it is void.
        Some(waiting) if from < waiting.0 => *waiting = (from, new),
        Some(_) => return Some((from, new)),
    }
    None
}

/// The candidate an event is about.
pub(super) fn candidate_of(event: &TraceEvent) -> usize {
    match event {
        TraceEvent::Started { candidate }
        | TraceEvent::Tokens { candidate, .. }
        | TraceEvent::Read { candidate, .. }
        | TraceEvent::Rewards { candidate, .. }
        | TraceEvent::Judged { candidate, .. }
        | TraceEvent::Learned { candidate, .. }
        | TraceEvent::Finished { candidate, .. } => *candidate,
    }
}

/// Bytes an event adds to the queue.
fn size(event: &TraceEvent) -> usize {
    match event {
        TraceEvent::Tokens { text, tokens, .. } => text.len() + std::mem::size_of_val(tokens.as_slice()),
        TraceEvent::Read { tokens, .. } => std::mem::size_of_val(tokens.as_slice()),
        TraceEvent::Rewards { rewards, .. } => std::mem::size_of_val(rewards.as_slice()),
        TraceEvent::Judged { values: Values::Steps(steps), .. } => std::mem::size_of_val(steps.as_slice()),
        TraceEvent::Judged { values: Values::Tokens(tokens), .. } => std::mem::size_of_val(tokens.as_slice()),
        TraceEvent::Judged { values: Values::Candidate(_), .. } => size_of::<f32>(),
        TraceEvent::Learned { .. } => size_of::<Domain>(),
        TraceEvent::Started { .. } | TraceEvent::Finished { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{REWARD, Span};

    fn text(candidate: usize, text: &str) -> TraceEvent {
        TraceEvent::Tokens { candidate, text: text.into(), tokens: Vec::new() }
    }

    fn rewards_of(signal: &str, candidate: usize, from: usize, logits: &[f32]) -> TraceEvent {
        let rewards = logits.iter().map(|&value| TokenValue { span: Span::default(), value }).collect();
        TraceEvent::Rewards { candidate, signal: signal.into(), from, rewards }
    }

    fn rewards(candidate: usize, from: usize, logits: &[f32]) -> TraceEvent {
        rewards_of(REWARD, candidate, from, logits)
    }

    fn events(outbox: &Outbox) -> Vec<TraceEvent> {
        outbox.take().into_iter().filter_map(|u| if let Update::Event { event, .. } = u { Some(event) } else { None }).collect()
    }

    #[test]
    fn waiting_events_of_a_candidate_become_one_of_a_kind() {
        let (outbox, no) = (Outbox::default(), AtomicBool::new(false));
        for event in [
            TraceEvent::Started { candidate: 0 },
            TraceEvent::Started { candidate: 1 },
            text(0, "a"),
            rewards(0, 0, &[1.0]),
            text(1, "x"),
            text(0, "b"),
            rewards(0, 1, &[2.0, 3.0]),
            rewards(0, 2, &[4.0]),
            TraceEvent::Finished { candidate: 0, reason: FinishReason::Stop },
            rewards(0, 3, &[5.0]),
        ] {
            assert!(outbox.event(7, event, &no));
        }
        assert_eq!(
            events(&outbox),
            [
                TraceEvent::Started { candidate: 0 },
                text(0, "ab"),
                rewards(0, 0, &[1.0, 2.0, 4.0, 5.0]),
                TraceEvent::Finished { candidate: 0, reason: FinishReason::Stop },
                TraceEvent::Started { candidate: 1 },
                text(1, "x"),
            ]
        );
        assert!(events(&outbox).is_empty());
    }

    #[test]
    fn what_a_policy_reads_is_merged_by_its_place() {
        let (outbox, no) = (Outbox::default(), AtomicBool::new(false));
        let read = |from, values: &[f32]| {
            let tokens = values.iter().map(|v| Token { logprob: Some(*v), ..Token::default() }).collect();
            TraceEvent::Read { candidate: 0, from, tokens }
        };
        for event in [read(0, &[1.0, 2.0]), rewards(0, 0, &[9.0]), read(2, &[3.0]), read(1, &[4.0])] {
            outbox.event(1, event, &no);
        }
        assert_eq!(events(&outbox), [read(0, &[1.0, 4.0]), rewards(0, 0, &[9.0])]);
        let learned = |task: &str| TraceEvent::Learned {
            candidate: 0,
            signal: "reward".into(),
            domain: Domain { task: task.into(), ..Domain::default() },
        };
        for event in [learned("a"), rewards(0, 0, &[9.0]), learned("b")] {
            outbox.event(1, event, &no);
        }
        assert_eq!(events(&outbox), [rewards(0, 0, &[9.0]), learned("b")], "the rewards come first: they make the signal");
    }

    #[test]
    fn rewards_read_anew_replace_those_that_wait() {
        let (outbox, no) = (Outbox::default(), AtomicBool::new(false));
        outbox.event(1, rewards(0, 4, &[1.0]), &no);
        outbox.event(1, rewards(0, 0, &[2.0]), &no);
        outbox.event(1, rewards(0, 3, &[3.0]), &no);
        assert_eq!(events(&outbox), [rewards(0, 0, &[2.0]), rewards(0, 3, &[3.0])]);
    }

    #[test]
    fn the_words_of_several_models_wait_side_by_side() {
        let (outbox, no) = (Outbox::default(), AtomicBool::new(false));
        let judged = |signal: &str, value| TraceEvent::Judged {
            candidate: 0,
            signal: signal.into(),
            unit: Unit::Probability,
            values: Values::Candidate(value),
        };
        for event in [
            rewards(0, 0, &[1.0]),
            rewards_of("reward:b", 0, 0, &[5.0]),
            judged("reward:c", 0.25),
            rewards(0, 1, &[2.0]),
            rewards_of("reward:b", 0, 1, &[6.0]),
            judged("reward:d", 0.5),
            judged("reward:c", 0.75),
        ] {
            outbox.event(1, event, &no);
        }
        assert_eq!(
            events(&outbox),
            [rewards(0, 0, &[1.0, 2.0]), rewards_of("reward:b", 0, 0, &[5.0, 6.0]), judged("reward:c", 0.75), judged("reward:d", 0.5)]
        );
    }

    #[test]
    fn of_what_judges_steps_the_last_word_waits() {
        let (outbox, no) = (Outbox::default(), AtomicBool::new(false));
        let judged = |steps: &[f32]| {
            let values = Values::Steps(steps.iter().map(|s| Some(*s)).collect());
            TraceEvent::Judged { candidate: 0, signal: REWARD.into(), unit: Unit::Probability, values }
        };
        for event in [text(0, "a"), judged(&[0.5]), text(0, "b"), judged(&[0.5, 0.25])] {
            outbox.event(1, event, &no);
        }
        assert_eq!(events(&outbox), [text(0, "ab"), judged(&[0.5, 0.25])]);
        for event in [judged(&[0.5]), TraceEvent::Started { candidate: 0 }] {
            outbox.event(1, event, &no);
        }
        assert_eq!(events(&outbox), [TraceEvent::Started { candidate: 0 }]);
    }

    #[test]
    fn what_waits_of_a_candidate_that_starts_again_is_void() {
        let (outbox, no) = (Outbox::default(), AtomicBool::new(false));
        let started = || TraceEvent::Started { candidate: 0 };
        for event in [started(), text(0, "a"), rewards(0, 0, &[1.0]), started(), text(0, "b")] {
            outbox.event(1, event, &no);
        }
        assert_eq!(events(&outbox), [started(), text(0, "b")]);
        outbox.event(1, text(0, "c"), &no);
        assert_eq!(events(&outbox), [text(0, "c")]);
    }

    #[test]
    fn a_slow_face_stops_the_producer_and_cancelling_frees_it() {
        let outbox = std::sync::Arc::new(Outbox::default());
        let cancelled = std::sync::Arc::new(AtomicBool::new(false));
        let producer = {
            let (outbox, cancelled) = (outbox.clone(), cancelled.clone());
            std::thread::spawn(move || (0..).take_while(|_| outbox.event(1, text(0, &"x".repeat(1 << 14)), &cancelled)).count())
        };
        let mut waiting = 0;
        while waiting < CAPACITY {
            std::thread::yield_now();
            waiting = outbox.lock().bytes;
        }
        assert!(waiting < CAPACITY + (1 << 14) + 1, "{waiting}");
        cancelled.store(true, Ordering::Relaxed);
        assert_eq!(producer.join().unwrap(), CAPACITY >> 14);
    }

    #[test]
    fn only_the_latest_state_of_the_models_waits() {
        let outbox = Outbox::default();
        for samples in 0..100 {
            let mut status = ModelsStatus::default();
            status.calibration.samples = samples;
            outbox.models(status);
        }
        let updates = outbox.wait(Duration::ZERO);
        assert!(matches!(updates.as_slice(), [Update::Models(m)] if m.calibration.samples == 99));
    }
}

//! The models' threads with small fake models: order, merging, cancelling, urgency, failure, backpressure.

use reasonscope::generate::{GenerateError, Policy};
use reasonscope::reward::{Piece, RewardError, RewardModel, Said, Scored};
use reasonscope::runtime::{Engine, Loaded, Loader, Models, ModelsStatus, Request, SendError, Slot, Update};
use reasonscope::trace::{
    Calibration, Candidate, FinishReason, Sampling, Segmentation, Span, Token, TokenValue, Trace, TraceEvent, TraceStore,
};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Writes `words` words to every candidate, one each in turn.
#[derive(Default)]
pub struct Writer {
    pub words: usize,
    pub word_bytes: usize,
    pub written: Arc<AtomicUsize>,
    pub panics_on: Option<&'static str>,
    /// Dropped with the writer.
    pub alive: Option<Sender<()>>,
}

impl Policy for Writer {
    fn name(&self) -> &str {
        "writer"
    }
    fn tokenizer_fingerprint(&self) -> &str {
        "words"
    }
    fn sample(
        &mut self,
        problem: &str,
        n: usize,
        _: &Sampling,
        sink: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        if self.panics_on == Some(problem) {
            panic!("the writer dislikes this");
        }
        if problem == "too long" {
            return Err(GenerateError::Input("the problem does not fit".into()));
        }
        let mut ends = vec![0; n];
        for candidate in 0..n {
            if sink(TraceEvent::Started { candidate }).is_break() {
                return Ok(());
            }
        }
        for word in 0..self.words {
            for (candidate, end) in ends.iter_mut().enumerate() {
                let text = format!("{:1$} ", word * 7 + candidate, self.word_bytes);
                let span = Span::new(*end, *end + text.len());
                *end = span.end;
                let token = Token { id: Some(word as u32), span, logprob: Some(-1.0), entropy: None };
                self.written.fetch_add(1, Ordering::Relaxed);
                if sink(TraceEvent::Tokens { candidate, text, tokens: vec![token] }).is_break() {
                    return Ok(());
                }
            }
        }
        for candidate in 0..n {
            if sink(TraceEvent::Finished { candidate, reason: FinishReason::Length }).is_break() {
                return Ok(());
            }
        }
        let _ = &self.alive;
        Ok(())
    }
    fn reads(&self) -> bool {
        self.words > 0
    }
    /// A token of each byte, one at a time.
    fn follow(
        &mut self,
        problem: &str,
        candidates: &[Candidate],
        sink: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        if problem == "too long" {
            return Err(GenerateError::Input("the problem does not fit".into()));
        }
        for (candidate, c) in candidates.iter().enumerate() {
            for from in 0..c.text.len() {
                let token = Token { span: Span::new(from, from + 1), logprob: Some(-(from as f32)), ..Token::default() };
                self.written.fetch_add(1, Ordering::Relaxed);
                if sink(TraceEvent::Read { candidate, from, tokens: vec![token] }).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A policy that only writes, as a server's.
struct Mute;

impl Policy for Mute {
    fn name(&self) -> &str {
        "mute"
    }
    fn tokenizer_fingerprint(&self) -> &str {
        ""
    }
    fn sample(&mut self, _: &str, _: usize, _: &Sampling, _: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>) -> Result<(), GenerateError> {
        Ok(())
    }
}

fn read(id: u64, problem: &str, texts: &[&str], urgent: bool) -> Request {
    let candidates = texts.iter().map(|t| Candidate { text: t.to_string(), ..Candidate::default() }).collect();
    Request::Read { id, problem: problem.into(), candidates, urgent }
}

#[test]
fn a_policy_reads_what_is_on_screen_before_the_rest() {
    let engine = engine(Some(Writer { words: usize::MAX, ..Writer::default() }), None);
    // While it writes, three more ask it.
    engine.send(generate(1, "endless", 1)).unwrap();
    while apply(&engine.wait(Duration::from_secs(60)), 1).iter().all(|c| c.text.is_empty()) {}
    engine.send(read(2, "behind", &["ab", "", "c"], false)).unwrap();
    engine.send(read(3, "seen before", &["d"], true)).unwrap();
    engine.send(read(4, "seen now", &["e"], true)).unwrap();
    engine.send(read(5, "too long", &["f"], false)).unwrap();
    engine.send(read(6, "put off", &["g"], false)).unwrap();
    engine.send(Request::Cancel { id: 6 }).unwrap();
    engine.send(Request::Cancel { id: 1 }).unwrap();
    let updates = until_ended(&engine, &[1, 2, 3, 4, 5, 6]);
    assert!(engine.status().policy_reads);
    let order: Vec<u64> = updates.iter().filter_map(|u| if let Update::Done { id, .. } = u { Some(*id) } else { None }).collect();
    assert_eq!(order.iter().copied().filter(|id| [2, 3, 4].contains(id)).collect::<Vec<_>>(), [4, 3, 2], "{order:?}");
    let tokens: Vec<usize> = apply(&updates, 2).iter().map(|c| c.tokens.len()).collect();
    assert_eq!(tokens, [2, 0, 1]);
    assert_eq!(apply(&updates, 2)[0].tokens[1].logprob, Some(-1.0));
    assert_eq!(errors(&updates, 5), ["the problem does not fit"]);
    assert!(apply(&updates, 6).is_empty(), "what was cancelled before its turn was not read");
}

#[test]
fn reading_stops_at_the_next_token_when_it_is_cancelled() {
    let written = Arc::new(AtomicUsize::new(0));
    let engine = engine(Some(Writer { words: 1, written: written.clone(), ..Writer::default() }), None);
    let long = "x".repeat(1 << 22);
    engine.send(read(1, "long", &[&long], false)).unwrap();
    while written.load(Ordering::Relaxed) < 100 {
        engine.wait(Duration::from_millis(5));
    }
    engine.send(Request::Cancel { id: 1 }).unwrap();
    until_ended(&engine, &[1]);
    assert!(written.load(Ordering::Relaxed) < long.len(), "it read to the end");
}

#[test]
fn a_policy_that_cannot_read_says_so_with_a_remedy() {
    let policy = ready("mute", Box::new(Mute) as Box<dyn Policy>);
    let engine = Engine::start(Models { policy, rewards: Vec::new() }).unwrap();
    engine.send(read(1, "p", &["a"], true)).unwrap();
    let updates = until_ended(&engine, &[1]);
    assert!(!engine.status().policy_reads);
    assert!(errors(&updates, 1)[0].contains("mute") && errors(&updates, 1)[0].contains(".gguf"), "{updates:?}");
    let none = engine_without_models();
    none.send(read(1, "p", &["a"], true)).unwrap();
    assert!(errors(&until_ended(&none, &[1]), 1)[0].contains("--policy"));
}

fn engine_without_models() -> Engine {
    engine(None, None)
}

/// What a reader was asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    Begin(String, usize),
    /// New bytes and tokens of each candidate that was appended to.
    Append(Vec<(usize, usize, usize)>),
}

/// Gives every byte a reward that depends on all before it, so that a byte read twice, skipped or out of order shows.
#[derive(Default)]
pub struct Reader {
    pub calls: Arc<Mutex<Vec<Call>>>,
    pub state: Vec<(usize, f32)>,
    pub problem: String,
    pub calibration: Calibration,
    pub shares: bool,
    /// Told before an append; then waits for leave.
    pub gate: Option<(Sender<()>, Receiver<()>)>,
    /// Another model for other numbers.
    pub bias: f32,
    /// A text that it cannot read.
    pub dislikes: Option<&'static str>,
}

impl RewardModel for Reader {
    fn name(&self) -> &str {
        "reader"
    }
    fn calibration(&self) -> &Calibration {
        &self.calibration
    }
    fn shares_tokenizer(&self, fingerprint: &str) -> bool {
        self.shares && fingerprint == "words"
    }
    fn begin(&mut self, problem: &str, candidates: usize) -> Result<(), RewardError> {
        self.calls.lock().unwrap().push(Call::Begin(problem.into(), candidates));
        self.problem = problem.into();
        self.state = vec![(0, problem.len() as f32 + self.bias); candidates];
        if problem == "unreadable" { Err(RewardError::Input("the problem cannot be read".into())) } else { Ok(()) }
    }
    fn append(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Scored>, RewardError> {
        self.calls.lock().unwrap().push(Call::Append(pieces.iter().map(|p| (p.candidate, p.new.len(), p.tokens.len())).collect()));
        if let Some((arrived, leave)) = &self.gate {
            let _ = arrived.send(());
            let _ = leave.recv();
        }
        let mut scored = Vec::new();
        for piece in pieces {
            assert_eq!(piece.new.end, piece.text.len());
            if piece.text.contains("PANIC") {
                panic!("the reader dislikes this");
            }
            if piece.text.contains("NO") || self.dislikes.is_some_and(|d| piece.text.contains(d)) {
                return Err(RewardError::Input("a candidate does not fit".into()));
            }
            let (read, sum) = &mut self.state[piece.candidate];
            assert_eq!(piece.new.start, *read, "every byte once, in order");
            let from = *read;
            let mut rewards = Vec::new();
            for i in piece.new.clone() {
                *sum = (*sum * 31.0 + f32::from(piece.text.as_bytes()[i])) % 1009.0;
                rewards.push(TokenValue { span: Span::new(i, i + 1), value: *sum });
            }
            *read = piece.new.end;
            scored.push(Scored { candidate: piece.candidate, said: Said::Tokens { from, rewards } });
        }
        Ok(scored)
    }
}

fn ready<M: ?Sized + 'static>(name: &str, model: Box<M>) -> Option<Loader<M>>
where
    Box<M>: Send,
{
    Some(Loader::new(name, move |progress| {
        if let Some(progress) = progress {
            progress(0.5);
        }
        Ok(Loaded { model, about: "fake".into() })
    }))
}

fn engine(policy: Option<Writer>, reward: Option<Reader>) -> Engine {
    engine_of(policy, reward.into_iter().map(|r| ("reader", r)))
}

/// An engine with a policy and reward models, each with its name.
pub fn engine_of(policy: Option<Writer>, rewards: impl IntoIterator<Item = (&'static str, Reader)>) -> Engine {
    let policy = policy.and_then(|p| ready("writer", Box::new(p) as Box<dyn Policy>));
    let rewards = rewards.into_iter().filter_map(|(name, r)| ready(name, Box::new(r) as Box<dyn RewardModel>)).collect();
    Engine::start(Models { policy, rewards }).unwrap()
}

pub fn generate(id: u64, problem: &str, n: usize) -> Request {
    Request::Generate { id, problem: problem.into(), n, sampling: Sampling::default(), segmentation: Segmentation::Line }
}

pub fn score(id: u64, problem: &str, texts: &[&str], urgent: bool) -> Request {
    let candidates = texts.iter().map(|t| Candidate { text: t.to_string(), ..Candidate::default() }).collect();
    Request::Score { id, problem: problem.into(), candidates, urgent }
}

/// Updates until all these requests ended.
pub fn until_ended(engine: &Engine, ids: &[u64]) -> Vec<Update> {
    let mut all = Vec::new();
    let mut left = ids.to_vec();
    while !left.is_empty() {
        let updates = engine.wait(Duration::from_secs(60));
        assert!(!updates.is_empty(), "nothing came for a minute; so far: {all:?}");
        for update in &updates {
            if let Update::Done { id, .. } | Update::Failed { id, .. } = update {
                left.retain(|l| l != id);
            }
        }
        all.extend(updates);
    }
    all
}

pub fn errors(updates: &[Update], wanted: u64) -> Vec<&str> {
    updates
        .iter()
        .filter_map(|u| if let Update::Failed { id, error } = u { (*id == wanted).then_some(error.as_str()) } else { None })
        .collect()
}

/// The candidates that the events of a request make.
pub fn apply(updates: &[Update], wanted: u64) -> Vec<Candidate> {
    let mut store = TraceStore::new(Trace::default(), Segmentation::Line);
    for update in updates {
        match update {
            Update::Event { id, event } if *id == wanted => {
                store.apply(event);
            }
            _ => {}
        }
    }
    store.into_trace().candidates
}

#[test]
fn candidates_arrive_whole_scored_and_ended_once() {
    for shares in [true, false] {
        let engine = engine(Some(Writer { words: 300, ..Writer::default() }), Some(Reader { shares, ..Reader::default() }));
        engine.send(generate(1, "p", 3)).unwrap();
        engine.send(generate(2, "q", 2)).unwrap();
        let updates = until_ended(&engine, &[1, 2]);
        for (id, n) in [(1, 3), (2, 2)] {
            let candidates = apply(&updates, id);
            assert_eq!(candidates.len(), n);
            for (i, c) in candidates.iter().enumerate() {
                let expected: String = (0..300).map(|w| format!("{} ", w * 7 + i)).collect();
                assert_eq!(c.text, expected);
                assert_eq!(c.tokens.len(), 300);
                assert_eq!(c.rewards().len(), c.text.len());
                assert_eq!(c.finish, Some(FinishReason::Length));
            }
            let of_request = |u: &&Update| match u {
                Update::Event { id: i, .. }
                | Update::Done { id: i, .. }
                | Update::Failed { id: i, .. }
                | Update::Warning { id: i, .. }
                | Update::Lost { id: i, .. } => *i == id,
                Update::Models(_) => false,
            };
            let of_request: Vec<&Update> = updates.iter().filter(of_request).collect();
            assert!(matches!(of_request.last(), Some(Update::Done { tokens_per_second: Some(_), .. })));
            assert_eq!(of_request.iter().filter(|u| !matches!(u, Update::Event { .. })).count(), 1);
        }
    }
}

#[test]
fn streamed_rewards_equal_those_of_the_whole_text() {
    let engine = engine(Some(Writer { words: 900, ..Writer::default() }), Some(Reader::default()));
    engine.send(generate(1, "p", 2)).unwrap();
    let streamed = apply(&until_ended(&engine, &[1]), 1);
    let texts: Vec<&str> = streamed.iter().map(|c| c.text.as_str()).collect();
    engine.send(score(2, "p", &texts, false)).unwrap();
    let whole = apply(&until_ended(&engine, &[2]), 2);
    for (s, w) in streamed.iter().zip(&whole) {
        assert_eq!(s.rewards(), w.rewards());
        assert_eq!(s.rewards().len(), s.text.len());
    }
}

#[test]
fn what_came_while_the_reward_model_was_busy_is_read_as_one_batch() {
    let (arrived, arrivals) = channel();
    let (leave, leaves) = channel();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let reader = Reader { shares: true, calls: calls.clone(), gate: Some((arrived, leaves)), ..Reader::default() };
    let written = Arc::new(AtomicUsize::new(0));
    let engine = engine(Some(Writer { words: 200, written: written.clone(), ..Writer::default() }), Some(reader));
    engine.send(generate(1, "p", 4)).unwrap();
    arrivals.recv().unwrap();
    while written.load(Ordering::Relaxed) < 800 {
        engine.wait(Duration::from_millis(5));
    }
    drop(leave);
    until_ended(&engine, &[1]);
    let calls = calls.lock().unwrap();
    let appends: Vec<_> = calls.iter().filter_map(|c| if let Call::Append(a) = c { Some(a) } else { None }).collect();
    assert!(appends.len() <= 3, "{appends:?}");
    assert!(appends.iter().any(|a| a.len() == 4), "all candidates in one batch: {appends:?}");
    assert_eq!(appends.iter().flat_map(|a| a.iter()).map(|p| p.2).sum::<usize>(), 800);
}

#[test]
fn what_is_on_screen_is_scored_first_and_the_latest_of_it_before_the_rest() {
    let (arrived, arrivals) = channel();
    let (leave, leaves) = channel();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let reader = Reader { calls: calls.clone(), gate: Some((arrived, leaves)), ..Reader::default() };
    let engine = engine(None, Some(reader));
    let long = "x".repeat(3000);
    engine.send(score(1, "behind", &[&long, "a"], false)).unwrap();
    arrivals.recv().unwrap();
    engine.send(score(2, "later", &["b"], false)).unwrap();
    engine.send(score(3, "seen before", &["c"], true)).unwrap();
    engine.send(score(4, "seen now", &["d"], true)).unwrap();
    drop(leave);
    let updates = until_ended(&engine, &[1, 2, 3, 4]);
    let order: Vec<String> =
        calls.lock().unwrap().iter().filter_map(|c| if let Call::Begin(p, _) = c { Some(p.clone()) } else { None }).collect();
    assert_eq!(order, ["behind", "seen now", "seen before", "behind", "later"]);
    assert_eq!(apply(&updates, 1)[0].rewards().len(), 3000);
}

#[test]
fn cancelling_stops_at_the_next_token() {
    let (alive, gone) = channel();
    let writer = Writer { words: usize::MAX, alive: Some(alive), ..Writer::default() };
    let engine = engine(Some(writer), Some(Reader::default()));
    engine.send(generate(1, "endless", 3)).unwrap();
    engine.send(generate(2, "waits", 2)).unwrap();
    while apply(&engine.wait(Duration::from_secs(60)), 1).iter().all(|c| c.text.is_empty()) {}
    engine.send(Request::Cancel { id: 2 }).unwrap();
    let updates = until_ended(&engine, &[2]);
    assert!(apply(&updates, 2).iter().all(|c| c.finish == Some(FinishReason::Cancelled) && c.text.is_empty()));
    engine.send(Request::Cancel { id: 1 }).unwrap();
    let updates = until_ended(&engine, &[1]);
    let candidates = apply(&updates, 1);
    assert_eq!(candidates.len(), 3);
    assert!(candidates.iter().all(|c| c.finish == Some(FinishReason::Cancelled)));
    engine.send(Request::Cancel { id: 77 }).unwrap();
    engine.send(generate(3, "endless", 1)).unwrap();
    engine.wait(Duration::from_secs(60));
    drop(engine);
    assert!(gone.recv_timeout(Duration::from_secs(60)).is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn a_face_that_stands_still_stops_the_policy_and_loses_nothing() {
    let written = Arc::new(AtomicUsize::new(0));
    let writer = Writer { words: 2000, word_bytes: 1 << 14, written: written.clone(), ..Writer::default() };
    let engine = engine(Some(writer), None);
    engine.send(generate(1, "p", 1)).unwrap();
    while written.load(Ordering::Relaxed) < 64 {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(100));
    assert!(written.load(Ordering::Relaxed) < 70, "{} × 16 KiB were written and nobody read them", written.load(Ordering::Relaxed));
    let updates = until_ended(&engine, &[1]);
    assert_eq!(apply(&updates, 1)[0].text.len(), 2000 * ((1 << 14) + 1));
}

#[test]
fn models_that_do_not_load_are_said_and_requests_to_them_fail() {
    let policy = Loader::new("broken", |_| Err("model.safetensors: truncated; download it again".into()));
    let reward = Loader::new("bug", |_| panic!("index out of range"));
    let engine = Engine::start(Models { policy: Some(policy), rewards: vec![reward] }).unwrap();
    engine.send(generate(1, "p", 2)).unwrap();
    engine.send(score(2, "p", &["a"], true)).unwrap();
    let updates = until_ended(&engine, &[1, 2]);
    assert_eq!(errors(&updates, 1), ["the policy broken did not load: model.safetensors: truncated; download it again"]);
    assert!(errors(&updates, 2)[0].contains("index out of range"), "{updates:?}");
    assert!(apply(&updates, 1).iter().all(|c| matches!(c.finish, Some(FinishReason::Failed(_)))));
    let ModelsStatus { policy, rewards, .. } = engine.status();
    assert!(matches!(policy, Slot::Failed { .. }) && matches!(rewards[0].slot, Slot::Failed { .. }));
}

#[test]
fn without_a_reward_model_candidates_are_written_all_the_same() {
    let failing = || Loader::new("broken", |_| Err("no".into()));
    for rewards in [vec![], vec![failing()], vec![failing(), failing()]] {
        let policy = ready("writer", Box::new(Writer { words: 5, ..Writer::default() }) as Box<dyn Policy>);
        let engine = Engine::start(Models { policy, rewards }).unwrap();
        for id in 1..5 {
            engine.send(generate(id, "p", 2)).unwrap();
        }
        let updates = until_ended(&engine, &[1, 2, 3, 4]);
        for id in 1..5 {
            assert!(errors(&updates, id).is_empty());
            assert!(apply(&updates, id).iter().all(|c| c.tokens.len() == 5 && c.rewards().is_empty()));
        }
    }
}

#[test]
fn a_panic_fails_its_request_and_the_next_one_works() {
    let writer = Writer { words: 5, panics_on: Some("bad"), ..Writer::default() };
    let engine = engine(Some(writer), Some(Reader::default()));
    engine.send(generate(1, "bad", 2)).unwrap();
    engine.send(generate(2, "good", 2)).unwrap();
    engine.send(score(3, "p", &["fine", "PANIC"], false)).unwrap();
    engine.send(score(4, "p", &["fine"], false)).unwrap();
    let updates = until_ended(&engine, &[1, 2, 3, 4]);
    assert!(errors(&updates, 1)[0].contains("the writer dislikes this") && errors(&updates, 1)[0].contains("runtime.rs"));
    assert!(errors(&updates, 2).is_empty());
    assert!(errors(&updates, 3)[0].contains("the reader dislikes this"));
    assert!(errors(&updates, 4).is_empty());
    assert_eq!(apply(&updates, 2)[1].tokens.len(), 5);
}

#[test]
fn candidates_that_say_the_same_are_read_once() {
    let reader = Reader::default();
    let calls = Arc::clone(&reader.calls);
    let engine = engine(None, Some(reader));
    engine.send(score(1, "p", &["one", "two", "one", "one", "NO", "NO"], false)).unwrap();
    let updates = until_ended(&engine, &[1]);
    let candidates = apply(&updates, 1);
    let rewards: Vec<&[TokenValue]> = candidates.iter().map(|c| c.rewards()).collect();
    assert_eq!(rewards.iter().map(|r| r.len()).collect::<Vec<_>>()[..4], [3; 4]);
    assert!(rewards[0] == rewards[2] && rewards[0] == rewards[3] && rewards[0] != rewards[1]);
    assert!(rewards[4..].iter().all(|r| r.is_empty()) && errors(&updates, 1).is_empty());
    assert!(matches!(calls.lock().unwrap()[0], Call::Begin(_, 3)));
}

#[test]
fn a_candidate_that_cannot_be_scored_costs_only_itself() {
    let engine = engine(None, Some(Reader::default()));
    engine.send(score(1, "p", &["one", "NO", "three"], false)).unwrap();
    engine.send(score(2, "unreadable", &["one", "two"], false)).unwrap();
    engine.send(score(3, "p", &[], false)).unwrap();
    let updates = until_ended(&engine, &[1, 2, 3]);
    let candidates = apply(&updates, 1);
    assert_eq!([candidates[0].rewards().len(), candidates[1].rewards().len(), candidates[2].rewards().len()], [3, 0, 5]);
    let warnings: Vec<&str> =
        updates.iter().filter_map(|u| if let Update::Warning { id: 1, message } = u { Some(message.as_str()) } else { None }).collect();
    assert_eq!(warnings, ["candidate 2 is not scored: a candidate does not fit"]);
    assert!(errors(&updates, 1).is_empty() && errors(&updates, 3).is_empty());
    assert_eq!(errors(&updates, 2), ["the problem cannot be read"]);
}

#[test]
fn wrong_requests_are_refused_with_a_remedy() {
    let engine = engine(Some(Writer { words: 1, ..Writer::default() }), None);
    engine.send(generate(1, "  \n", 2)).unwrap();
    engine.send(generate(2, "p", 0)).unwrap();
    let sampling = Sampling { temperature: f32::NAN, ..Sampling::default() };
    engine.send(Request::Generate { id: 3, problem: "p".into(), n: 1, sampling, segmentation: Segmentation::Line }).unwrap();
    engine.send(score(4, "p", &["a"], true)).unwrap();
    engine.send(generate(5, "too long", 1)).unwrap();
    let updates = until_ended(&engine, &[1, 2, 3, 4, 5]);
    for (id, part) in [(1, "empty"), (2, "at least one"), (3, "temperature"), (4, "--reward"), (5, "does not fit")] {
        assert!(errors(&updates, id)[0].contains(part), "{id}: {:?}", errors(&updates, id));
    }
}

#[test]
fn thresholds_are_there_as_soon_as_the_reward_model_is_ready() {
    for _ in 0..50 {
        let reader = Reader { calibration: Calibration::at(Calibration::default().reading, -1.0), ..Reader::default() };
        let engine = engine(None, Some(reader));
        loop {
            let status = engine.status();
            if matches!(status.rewards[0].slot, Slot::Ready { .. }) {
                assert_eq!(status.calibration.reward(), Some(-1.0));
                break;
            }
        }
    }
}

#[test]
fn an_id_in_use_is_refused() {
    let engine = engine(Some(Writer { words: usize::MAX, ..Writer::default() }), None);
    engine.send(generate(1, "p", 1)).unwrap();
    assert_eq!(engine.send(generate(1, "p", 1)), Err(SendError::Duplicate(1)));
    for id in 2..257 {
        engine.send(generate(id, "p", 1)).unwrap();
    }
    assert_eq!(engine.send(generate(300, "p", 1)), Err(SendError::Full));
}

#[test]
fn the_engine_works_behind_channels_and_ends_with_them() {
    let (alive, gone) = channel();
    let engine = engine(Some(Writer { words: 50, alive: Some(alive), ..Writer::default() }), Some(Reader::default()));
    let (requests, mut updates) = engine.channels().unwrap();
    requests.blocking_send(generate(1, "p", 2)).unwrap();
    let mut all = Vec::new();
    while !matches!(all.last(), Some(Update::Done { id: 1, .. })) {
        all.push(updates.blocking_recv().unwrap());
    }
    assert!(apply(&all, 1).iter().all(|c| c.tokens.len() == 50 && c.rewards().len() == c.text.len()));
    drop((requests, updates));
    assert!(gone.recv_timeout(Duration::from_secs(60)).is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Disconnected));
}

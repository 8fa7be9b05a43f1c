//! A trace that grows by events.

use super::{Candidate, Segmentation, Segmenter, Span, TokenValue, Trace, TraceEvent};
use std::ops::Range;

/// A trace, and for each of its candidates what is needed to go on: applying an event costs what the event brings, not what is there.
#[derive(Clone, Debug)]
pub struct TraceStore {
    trace: Trace,
    live: Vec<Live>,
    segmentation: Segmentation,
}

#[derive(Clone, Debug)]
struct Live {
    /// `None`: the steps are given and stay.
    segmenter: Option<Segmenter>,
    closed: usize,
}

/// What an event changed in one candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Its index.
    pub candidate: usize,
    /// Steps that closed by it.
    pub closed: Range<usize>,
    /// Rewards that are new or replaced.
    pub rewards: Range<usize>,
    /// Whether text was added.
    pub text: bool,
}

impl TraceStore {
    /// Starts from `trace`. Candidates that have text and steps keep those steps; what is appended to others is cut by `segmentation`.
    pub fn new(trace: Trace, segmentation: Segmentation) -> Self {
        let mut store = Self { trace, live: Vec::new(), segmentation };
        for i in 0..store.trace.candidates.len() {
            let candidate = &store.trace.candidates[i];
            if candidate.steps.is_empty() {
                store.live.push(Live { segmenter: Some(Segmenter::new(store.segmentation.clone())), closed: 0 });
                store.cut(i);
                if store.trace.candidates[i].finish.is_some() {
                    store.end(i);
                }
            } else {
                store.live.push(Live { segmenter: None, closed: candidate.steps.len() });
            }
        }
        store
    }

    /// The trace as it stands. The last step of a growing candidate may be open: see [`closed`](Self::closed).
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Gives the trace away.
    pub fn into_trace(self) -> Trace {
        self.trace
    }

    /// Notes what a grader says of a candidate.
    pub fn set_answer(&mut self, candidate: usize, answer: Option<String>, correct: Option<bool>) {
        if let Some(target) = self.trace.candidates.get_mut(candidate) {
            (target.answer, target.correct) = (answer, correct);
        }
    }

    /// Changes what is said of finished candidates: labels, answers. Texts and spans must stay.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Trace)) {
        change(&mut self.trace);
    }

    /// Number of leading steps of a candidate that will not change any more.
    pub fn closed(&self, candidate: usize) -> usize {
        self.live.get(candidate).map_or(0, |l| l.closed)
    }

    /// Applies one event. An event about a candidate that does not exist yet makes it, and those before it, exist.
    ///
    /// Rewards that start beyond those known leave a gap of NaN logits, so that positions stay right.
    pub fn apply(&mut self, event: &TraceEvent) -> Applied {
        let (TraceEvent::Started { candidate }
        | TraceEvent::Tokens { candidate, .. }
        | TraceEvent::Read { candidate, .. }
        | TraceEvent::Rewards { candidate, .. }
        | TraceEvent::Judged { candidate, .. }
        | TraceEvent::Learned { candidate, .. }
        | TraceEvent::Finished { candidate, .. }) = *event;
        while self.live.len() <= candidate {
            self.trace.candidates.push(Candidate::default());
            self.live.push(Live { segmenter: Some(Segmenter::new(self.segmentation.clone())), closed: 0 });
        }
        let before = self.live[candidate].closed;
        let mut applied = Applied { candidate, ..Applied::default() };
        match event {
            TraceEvent::Started { .. } => {
                let target = &mut self.trace.candidates[candidate];
                if target.text.is_empty() && target.tokens.is_empty() {
                    return applied;
                }
                *target = Candidate::default();
                self.live[candidate] = Live { segmenter: Some(Segmenter::new(self.segmentation.clone())), closed: 0 };
                applied.text = true;
                return applied;
            }
            TraceEvent::Tokens { text, tokens, .. } => {
                let target = &mut self.trace.candidates[candidate];
                target.text.push_str(text);
                target.tokens.extend_from_slice(tokens);
                applied.text = !text.is_empty();
                self.cut(candidate);
            }
            TraceEvent::Read { from, tokens, .. } => {
                let known = &mut self.trace.candidates[candidate].tokens;
                known.truncate(*from);
                known.extend_from_slice(tokens);
            }
            TraceEvent::Rewards { signal, from, rewards, .. } => {
                applied.rewards = self.trace.candidates[candidate].edit_rewards(signal, |known| {
                    known.truncate(*from);
                    let first = known.len();
                    let end = known.last().map_or(0, |r| r.span.end);
                    known.resize(*from, TokenValue { span: Span::new(end, end), value: f32::NAN });
                    known.extend_from_slice(rewards);
                    first..known.len()
                });
            }
            TraceEvent::Judged { signal, unit, values, .. } => self.trace.candidates[candidate].judge(signal, *unit, values.clone()),
            TraceEvent::Learned { signal, domain, .. } => {
                let signals = &mut self.trace.candidates[candidate].signals;
                if let Some(reward) = signals.iter_mut().find(|s| s.name == **signal) {
                    reward.domain = Some(domain.clone());
                }
            }
            TraceEvent::Finished { reason, .. } => {
                self.trace.candidates[candidate].finish = Some(reason.clone());
                self.end(candidate);
            }
        }
        applied.closed = before..self.live[candidate].closed;
        applied
    }

    fn cut(&mut self, index: usize) {
        let (candidate, live) = (&mut self.trace.candidates[index], &mut self.live[index]);
        let Some(segmenter) = &mut live.segmenter else { return };
        candidate.steps.truncate(live.closed);
        candidate.steps.extend(segmenter.push(&candidate.text));
        live.closed = candidate.steps.len();
        candidate.steps.extend(segmenter.open());
    }

    fn end(&mut self, index: usize) {
        let (candidate, live) = (&mut self.trace.candidates[index], &mut self.live[index]);
        let Some(segmenter) = &mut live.segmenter else { return };
        candidate.steps.truncate(live.closed);
        candidate.steps.extend(segmenter.finish(&candidate.text));
        live.closed = candidate.steps.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{FinishReason, Granularity, Level, REWARD, Signal, Statistic, Token, Unit, Values, segment};

    fn text(candidate: usize, text: &str) -> TraceEvent {
        TraceEvent::Tokens { candidate, text: text.into(), tokens: Vec::new() }
    }

    fn rewards(from: usize, logits: &[f32]) -> TraceEvent {
        let rewards = logits.iter().enumerate().map(|(i, &value)| TokenValue { span: Span::new(from + i, from + i + 1), value });
        TraceEvent::Rewards { candidate: 0, signal: REWARD.into(), from, rewards: rewards.collect() }
    }

    #[test]
    fn text_grows_into_the_steps_of_the_whole() {
        let whole = "<think>\nOne é.\n\nTwo. </think>\nThe answer: <answer>3</answer>";
        let mut store = TraceStore::new(Trace::default(), Segmentation::BlankLine);
        let mut closed = Vec::new();
        for c in whole.chars() {
            let applied = store.apply(&text(1, &c.to_string()));
            assert!(applied.text && applied.candidate == 1);
            closed.extend(store.trace().candidates[1].steps[applied.closed].to_vec());
        }
        assert_eq!(closed.len(), 4);
        assert_eq!(store.closed(1), 4);
        let applied = store.apply(&TraceEvent::Finished { candidate: 1, reason: FinishReason::Stop });
        closed.extend(store.trace().candidates[1].steps[applied.closed].to_vec());
        assert_eq!(closed, segment(whole, &Segmentation::BlankLine));
        assert_eq!(store.trace().candidates[1].steps, closed);
        assert_eq!(store.trace().candidates.len(), 2);
        assert_eq!(store.trace().candidates[1].finish, Some(FinishReason::Stop));
    }

    #[test]
    fn a_candidate_that_starts_again_is_empty() {
        let mut store = TraceStore::new(Trace::default(), Segmentation::Line);
        store.apply(&text(0, "a\nbc"));
        store.apply(&rewards(0, &[1.0]));
        assert_eq!(store.apply(&TraceEvent::Started { candidate: 0 }), Applied { text: true, ..Applied::default() });
        assert!(store.trace().candidates[0] == Candidate::default() && store.closed(0) == 0);
        store.apply(&text(0, "a\nd"));
        store.apply(&TraceEvent::Finished { candidate: 0, reason: FinishReason::Stop });
        assert_eq!((store.trace().candidates[0].text.as_str(), store.closed(0)), ("a\nd", 2));
    }

    #[test]
    fn what_a_policy_reads_replaces_the_tokens_from_its_position() {
        let given = Candidate { text: "ab".into(), finish: Some(FinishReason::Stop), ..Candidate::default() };
        let mut store = TraceStore::new(Trace { candidates: vec![given], ..Trace::default() }, Segmentation::Line);
        let token = |i: usize, logprob| Token { span: Span::new(i, i + 1), logprob: Some(logprob), ..Token::default() };
        let read = |from, tokens: &[Token]| TraceEvent::Read { candidate: 0, from, tokens: tokens.to_vec() };
        store.apply(&read(0, &[token(0, -1.0)]));
        store.apply(&read(1, &[token(1, -2.0)]));
        assert_eq!(store.trace().candidates[0].tokens, [token(0, -1.0), token(1, -2.0)]);
        let applied = store.apply(&read(0, &[token(0, -3.0)]));
        assert!(!applied.text && applied.rewards.is_empty() && applied.closed.is_empty(), "text and rewards are as they were: {applied:?}");
        assert_eq!(store.trace().candidates[0].tokens, [token(0, -3.0)]);
    }

    #[test]
    fn what_a_model_has_learned_stays_with_its_signal() {
        let mut store = TraceStore::new(Trace::default(), Segmentation::Line);
        let domain = crate::trace::Domain { task: "stories".into(), ..Default::default() };
        let learned = TraceEvent::Learned { candidate: 0, signal: REWARD.into(), domain: domain.clone() };
        store.apply(&learned);
        assert!(store.trace().candidates[0].signals.is_empty(), "without rewards there is nothing to believe");
        store.apply(&rewards(0, &[1.0]));
        store.apply(&learned);
        assert_eq!(store.trace().candidates[0].signal(REWARD).and_then(|s| s.domain.as_ref()), Some(&domain));
    }

    #[test]
    fn the_open_step_is_last_and_not_counted() {
        let mut store = TraceStore::new(Trace::default(), Segmentation::Line);
        store.apply(&TraceEvent::Started { candidate: 0 });
        store.apply(&text(0, "a\nbc"));
        assert_eq!((store.closed(0), store.trace().candidates[0].steps.len()), (1, 2));
        store.apply(&text(0, "d\n"));
        assert_eq!((store.closed(0), store.trace().candidates[0].steps.len()), (2, 2));
        assert_eq!(store.trace().candidates[0].steps[1].span, Span::new(2, 5));
    }

    #[test]
    fn rewards_replace_from_their_position() {
        let mut store = TraceStore::new(Trace::default(), Segmentation::Line);
        assert_eq!(store.apply(&rewards(0, &[1.0, 2.0, 3.0])).rewards, 0..3);
        assert_eq!(store.apply(&rewards(1, &[5.0])).rewards, 1..2);
        assert_eq!(store.apply(&rewards(3, &[7.0])).rewards, 2..4);
        let logits: Vec<f32> = store.trace().candidates[0].rewards().iter().map(|r| r.value).collect();
        assert_eq!(logits[..2], [1.0, 5.0]);
        assert!(logits[2].is_nan() && logits[3] == 7.0);
    }

    #[test]
    fn each_model_speaks_of_its_own_signal() {
        let mut store = TraceStore::new(Trace::default(), Segmentation::Line);
        store.apply(&text(0, "a\n"));
        let value = |value| vec![TokenValue { span: Span::new(0, 1), value }];
        store.apply(&rewards(0, &[1.0]));
        assert_eq!(
            store.apply(&TraceEvent::Rewards { candidate: 0, signal: "reward:b".into(), from: 0, rewards: value(2.0) }).rewards,
            0..1
        );
        let judged = Values::Candidate(0.5);
        store.apply(&TraceEvent::Judged { candidate: 0, signal: "reward:c".into(), unit: Unit::Probability, values: judged });
        let candidate = &store.trace().candidates[0];
        assert_eq!((candidate.rewards()[0].value, candidate.signal("reward:b").unwrap().tokens()), (1.0, &value(2.0)[..]));
        assert_eq!(candidate.signal("reward:c").and_then(Signal::whole), Some(0.5));
        assert!(!candidate.signals[0].beside && candidate.signals[1].beside && candidate.signals[2].beside);
    }

    #[test]
    fn what_judges_steps_takes_the_place_of_what_it_said_before() {
        let mut store = TraceStore::new(Trace::default(), Segmentation::Line);
        let judged = |values| TraceEvent::Judged { candidate: 0, signal: REWARD.into(), unit: Unit::Probability, values };
        store.apply(&text(0, "a\nb\n"));
        store.apply(&judged(Values::Steps(vec![Some(0.5)])));
        store.apply(&judged(Values::Steps(vec![Some(0.5), Some(0.25)])));
        let candidate = &store.trace().candidates[0];
        assert_eq!(candidate.step_rewards(Statistic::Min, Granularity::Dense), [Some(0.5), Some(0.25)]);
        assert_eq!(candidate.signal(REWARD).map(|s| (s.unit, s.level())), Some((Unit::Probability, Level::Step)));
        store.apply(&judged(Values::Candidate(0.75)));
        assert_eq!(store.trace().candidates[0].signal(REWARD).and_then(Signal::whole), Some(0.75));
        // Token rewards are logits again.
        store.apply(&rewards(0, &[1.0]));
        assert_eq!(store.trace().candidates[0].signal(REWARD).map(|s| s.unit), Some(Unit::Logit));
    }

    #[test]
    fn tokens_are_kept_and_given_steps_stay() {
        let given = Candidate { text: "a b".into(), steps: segment("a b", &"sep: ".parse().unwrap()), ..Candidate::default() };
        let bare = Candidate { text: "x\ny".into(), finish: Some(FinishReason::Stop), ..Candidate::default() };
        let trace = Trace { candidates: vec![given.clone(), bare], ..Trace::default() };
        let mut store = TraceStore::new(trace, Segmentation::Line);
        assert_eq!((store.closed(0), store.closed(1)), (2, 2));
        store.apply(&TraceEvent::Finished { candidate: 0, reason: FinishReason::Stop });
        assert_eq!(store.trace().candidates[0].steps, given.steps);
        let token = Token { span: Span::new(0, 1), ..Token::default() };
        store.apply(&TraceEvent::Tokens { candidate: 2, text: "z".into(), tokens: vec![token] });
        assert_eq!(store.into_trace().candidates[2].tokens, [token]);
    }
}

//! The domain: a problem, the candidates sampled for it, their steps and tokens, rewards and deviations.
//!
//! Pure data and pure functions over it; serde is the only dependency.

mod choices;
mod compare;
mod deviation;
mod display;
mod event;
mod fit;
mod reward;
mod segment;
mod segment_rules;
mod signal;
mod store;

pub use choices::with_options;
pub use compare::{candidate_scores, rank, ranks};
pub(crate) use compare::{settle_units, units_agree};
pub use deviation::{Calibration, Detector, Deviation, Rule, drop_from_before};
pub use display::{SafeText, sanitize};
pub use event::{FinishReason, Sampling, TraceEvent, Unset};
pub use fit::{FEWEST_TEXTS, FitText, Fitted, FittedBy, MARKED_SHARE, judging_reading};
pub use reward::{Aggregation, DISCOUNT, Granularity, aggregate, segments, step_of_each, supervised_positions, token_rewards};
pub use segment::{Segmentation, Segmenter, segment};
pub use signal::{
    AtWork, Domain, ENTROPY, Folds, LABEL, LOGPROB, Level, Measure, Orientation, REWARD, Reading, SURPRISAL, Scale, Signal, SignalSource,
    Statistic, Threshold, TokenClass, TokenValue, Unit, Values, all_outside, outside, policy_signals,
};
pub use store::{Applied, TraceStore};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashSet;

/// A half-open byte range `start..end` into a candidate's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "[usize; 2]", into = "[usize; 2]")]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }
    /// Whether no byte is inside.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The text inside, empty where the range does not fit `text`.
    pub fn of<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or("")
    }
}

impl From<[usize; 2]> for Span {
    fn from([start, end]: [usize; 2]) -> Self {
        Self { start, end }
    }
}

impl From<Span> for [usize; 2] {
    fn from(s: Span) -> Self {
        [s.start, s.end]
    }
}

/// A problem with the candidates that answer it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Identity inside its source, for example `gsm8k-0`.
    pub id: String,
    /// The problem as the policy read it, without chat template.
    pub problem: String,
    /// Reference answer, where the source has one.
    #[serde(default)]
    pub gold_answer: Option<String>,
    /// The sampled or recorded candidates.
    pub candidates: Vec<Candidate>,
    /// Where it was read from.
    #[serde(default)]
    pub source: Option<Source>,
}

/// Where a trace was read from, for messages and for writing back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Name of the format, for example `processbench`.
    pub format: String,
    /// The file as the user named it, `-` for standard input.
    pub path: String,
    /// 1-based line, or 1-based record of a JSON array.
    pub line: usize,
}

/// One chain of thought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The whole text. Every span of this candidate points into it.
    pub text: String,
    /// Steps in order, not overlapping; whitespace between them may belong to none.
    pub steps: Vec<Step>,
    /// The policy's tokens, empty where the source has none.
    #[serde(default)]
    pub tokens: Vec<Token>,
    /// What judges it: reward models and numbers that came with the source, each under a name of its own. See [`Candidate::all_signals`].
    #[serde(default)]
    pub signals: Vec<Signal>,
    /// The final answer as extracted by the importer or the task's grader.
    #[serde(default)]
    pub answer: Option<String>,
    /// Whether the final answer agrees with the reference, where known.
    #[serde(default)]
    pub correct: Option<bool>,
    /// What humans or a checker say about the first wrong step; `None`: not labelled.
    #[serde(default)]
    pub gold: Option<GoldDeviation>,
    /// Who wrote the text, for example a model's name.
    #[serde(default)]
    pub policy: Option<String>,
    /// Why generation ended; `None` while it grows and for recorded text that does not say.
    #[serde(default)]
    pub finish: Option<FinishReason>,
    /// A first deviation that came with the source, for where no calibration is at hand.
    #[serde(default)]
    pub deviation: Option<Deviation>,
    /// Fields of the source record that this program does not know, as a JSON object; written back with the candidate.
    #[serde(default)]
    pub extra: Option<String>,
}

impl Candidate {
    /// Whether whatever wrote the text failed at it, so that nothing can be said of what it would have been.
    pub fn has_failed(&self) -> bool {
        matches!(self.finish, Some(FinishReason::Failed(_)))
    }

    /// Whether the text was cut off before its writer ended it, as far as is known: an answer that is missing then says nothing.
    pub fn is_cut(&self) -> bool {
        self.finish.as_ref().is_some_and(FinishReason::is_cut)
    }

    /// The stored signal of this name.
    pub fn signal(&self, name: &str) -> Option<&Signal> {
        self.signals.iter().find(|s| s.name == name)
    }

    /// Stores a signal, in place of the one of its name.
    pub fn put_signal(&mut self, signal: Signal) {
        match self.signals.iter_mut().find(|s| s.name == signal.name) {
            Some(old) => *old = signal,
            None => self.signals.push(signal),
        }
    }

    /// The stored signals, and those that the policy's tokens and the labels of steps give. A stored signal stands before a derived one of its name.
    pub fn all_signals(&self) -> Vec<Cow<'_, Signal>> {
        let derived = self.derived_signals().filter(|d| self.signal(&d.name).is_none());
        self.signals.iter().map(Cow::Borrowed).chain(derived.map(Cow::Owned)).collect()
    }

    /// The signals that the policy's tokens and the labels of steps give; made anew each time.
    pub(crate) fn derived_signals(&self) -> impl Iterator<Item = Signal> {
        policy_signals(self).into_iter().chain(Signal::labels(&self.steps))
    }

    /// The signal of this name among [`all_signals`](Self::all_signals).
    pub fn named(&self, name: &str) -> Option<Cow<'_, Signal>> {
        let derived = || self.derived_signals().find(|s| s.name == name).map(Cow::Owned);
        self.signal(name).map(Cow::Borrowed).or_else(derived)
    }

    /// The labels that came with the steps as ratings: 1 right, 0 neither, −1 wrong; `None` where a step has none. On a scale without negative labels 0 is
    /// wrong; beside them it is PRM800K's neutral one.
    pub fn ratings(&self) -> Vec<Option<i8>> {
        let signed = self.steps.iter().any(|s| s.label.is_some_and(|l| l < 0.0));
        let rating = |l: f32| if signed { i8::from(l > 0.0) - i8::from(l < 0.0) } else { 2 * i8::from(l > 0.5) - 1 };
        self.steps.iter().map(|s| s.label.map(rating)).collect()
    }

    /// One value a step of a signal under a reading, in the signal's own unit; see [`Signal::step_values`].
    pub fn step_values(&self, signal: &Signal, reading: &Reading, granularity: Granularity) -> Vec<Option<f32>> {
        signal.step_values(reading.tokens, reading.statistic.unwrap_or(signal.statistic), granularity, &self.text, &self.steps)
    }

    /// The token logits of the reward model at work, the signal [`REWARD`]; empty where none has read it.
    pub fn rewards(&self) -> &[TokenValue] {
        self.signal(REWARD).map_or(&[], Signal::tokens)
    }

    /// Changes the token logits of a reward model at work, by the name of its signal; the signal is made where there is none.
    pub fn edit_rewards<R>(&mut self, signal: &str, edit: impl FnOnce(&mut Vec<TokenValue>) -> R) -> R {
        let signal = self.signal_at_work(signal);
        let mut tokens = match &mut signal.values {
            Values::Tokens(tokens) => std::mem::take(tokens),
            Values::Steps(_) | Values::Candidate(_) => {
                signal.unit = Unit::Logit;
                Vec::new()
            }
        };
        let out = edit(&mut tokens);
        signal.values = Values::Tokens(tokens);
        out
    }

    /// Takes what a reward model at work that judges steps, or the whole, says of the candidate, by the name of its signal, which is made where there is none.
    pub fn judge(&mut self, signal: &str, unit: Unit, values: Values) {
        let signal = self.signal_at_work(signal);
        (signal.unit, signal.values) = (unit, values);
    }

    /// The signal of a reward model at work; an empty one of an unnamed model where there is none.
    fn signal_at_work(&mut self, name: &str) -> &mut Signal {
        let at = self.signals.iter().position(|s| s.name == name).unwrap_or_else(|| {
            self.signals.push(Signal::by(&AtWork { signal: name.to_owned(), model: String::new() }));
            self.signals.len() - 1
        });
        &mut self.signals[at]
    }

    /// One reward a step of the reward model at work, under a statistic and a granularity; see [`Signal::step_values`].
    pub fn step_rewards(&self, statistic: Statistic, granularity: Granularity) -> Vec<Option<f32>> {
        match self.signal(REWARD) {
            Some(signal) => signal.step_values(TokenClass::All, statistic, granularity, &self.text, &self.steps),
            None => vec![None; self.steps.len()],
        }
    }

    /// The name of the reward model at work, where it is known.
    pub fn reward_model(&self) -> Option<&str> {
        match &self.signal(REWARD)?.source {
            SignalSource::Model(name) if !name.is_empty() => Some(name),
            _ => None,
        }
    }

    /// The names of the reward models at work, the first one's first, as far as they are known.
    pub fn reward_models(&self) -> Vec<&str> {
        let beside = self.signals.iter().filter(|s| s.beside).filter_map(|s| match &s.source {
            SignalSource::Model(name) if !name.is_empty() => Some(name.as_str()),
            _ => None,
        });
        self.reward_model().into_iter().chain(beside).collect()
    }

    /// Makes way for reward models: what they said of the candidate before is computed anew, and what another one said under a name that is needed now stays
    /// as `reward:MODEL`, what the file says under it as `file:reward`.
    pub fn begin_rewards(&mut self, models: &[AtWork]) {
        let needed = |name: &str| models.iter().any(|m| m.signal == name);
        let by = |s: &Signal| match &s.source {
            SignalSource::Model(model) if s.name == REWARD || s.name.starts_with("reward:") => Some(model.clone()),
            _ => None,
        };
        let own = |s: &Signal| by(s).is_some_and(|model| models.iter().any(|m| m.model == model));
        let moved = |s: &Signal| {
            // What the file says itself under such a name.
            if !matches!(s.source, SignalSource::Model(_)) && needed(&s.name) {
                return Some(format!("file:{}", s.name));
            }
            let model = by(s).filter(|model| !model.is_empty() && needed(&s.name) && !own(s))?;
            Some(format!("{REWARD}:{model}")).filter(|name| !needed(name))
        };
        let taken: Vec<String> = self.signals.iter().filter_map(moved).collect();
        self.signals.retain(|s| moved(s).is_some() || needed(&s.name) || !(own(s) || taken.contains(&s.name)));
        for signal in &mut self.signals {
            signal.beside = false;
            if let Some(name) = moved(signal) {
                signal.rename(name);
            }
        }
        let mut seen = HashSet::new();
        self.signals.retain(|s| seen.insert(s.name.clone()));
        models.iter().for_each(|model| self.put_signal(Signal::by(model)));
    }

    /// Takes the reward model's logits, one a token of the policy.
    pub fn set_rewards(&mut self, logits: impl IntoIterator<Item = f32>) {
        let tokens = self.tokens.iter().zip(logits).map(|(t, value)| TokenValue { span: t.span, value }).collect();
        self.edit_rewards(REWARD, |rewards| *rewards = tokens);
    }

    /// The candidate with these token logits of a reward model without a name.
    pub fn with_rewards(mut self, tokens: Vec<TokenValue>) -> Self {
        self.edit_rewards(REWARD, |rewards| *rewards = tokens);
        self
    }
}

/// The name of the signal that ranks candidates where nobody said another: a number that came with the file, else another reward model's that the file
/// holds, else the reward model's at work. `None`: nothing ranks them.
pub fn default_signal(candidates: &[Candidate]) -> Option<&str> {
    let all = candidates.iter().flat_map(|c| &c.signals).filter(|s| s.is_reward() && s.has_values());
    all.min_by_key(|s| s.place()).map(|s| s.name.as_str())
}

/// The labelled first deviation of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoldDeviation {
    /// Every step is right.
    None,
    /// 0-based index of the first wrong step.
    Step(usize),
}

/// The part of the output a step belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Reasoning: inside `<think>`, a reasoning field, or plain text.
    #[default]
    Reasoning,
    /// After `</think>`, inside `<answer>`, or a final content field beside a reasoning field.
    Answer,
}

/// One reasoning step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its bytes, without surrounding whitespace.
    pub span: Span,
    /// Reasoning or final answer.
    #[serde(default)]
    pub kind: StepKind,
    /// A label that came with the source: 1 right, 0 wrong, PRM800K's −1/0/+1 kept as they are.
    #[serde(default)]
    pub label: Option<f32>,
}

/// One token of the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Vocabulary id, where known.
    pub id: Option<u32>,
    /// Its bytes. A token that ends inside a UTF-8 character owns no byte until the character is whole.
    pub span: Span,
    /// Natural-log probability under the policy at temperature 1, ≤ 0.
    pub logprob: Option<f32>,
    /// Entropy of the policy's next-token distribution at this position, in nats, at temperature 1.
    pub entropy: Option<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(name: &str, model: &str, value: f32) -> Signal {
        let threshold = Threshold { reading: Reading::of(name), value, false_alarm_rate: None, task: None };
        Signal { name: name.into(), threshold: Some(threshold), ..Signal::reward(model, vec![TokenValue { span: Span::new(0, 1), value }]) }
    }

    /// Name, model, whether it stands beside the first, and the value where there is one.
    fn all(c: &Candidate) -> Vec<(&str, &str, bool, Option<f32>)> {
        fn said(s: &Signal) -> (&str, &str, bool, Option<f32>) {
            let model = if let SignalSource::Model(m) = &s.source { m.as_str() } else { "" };
            (&s.name, model, s.beside, s.tokens().first().map(|t| t.value))
        }
        c.signals.iter().map(said).collect()
    }

    #[test]
    fn models_at_work_take_their_names_and_leave_others_what_they_said() {
        let mut c = Candidate { signals: vec![spoken("reward", "old", 1.0), Signal::given("score", 2.0)], ..Candidate::default() };
        c.begin_rewards(&AtWork::all(["x/a", "x/b"]));
        assert_eq!(
            all(&c),
            [
                ("reward:old", "old", false, Some(1.0)),
                ("score", "", false, None),
                ("reward", "x/a", false, None),
                ("reward:b", "x/b", true, None)
            ]
        );
        assert_eq!(c.signals[0].threshold.as_ref().unwrap().reading, Reading::of("reward:old"), "its threshold goes with it");
        // The same again, the other way round: each computes its own anew.
        for (name, value) in [("reward", 3.0), ("reward:b", 4.0)] {
            c.edit_rewards(name, |tokens| tokens.push(TokenValue { span: Span::new(0, 1), value }));
        }
        assert_eq!(c.reward_models(), ["x/a", "x/b"]);
        c.begin_rewards(&AtWork::all(["x/b", "x/a"]));
        assert_eq!(all(&c)[2..], [("reward", "x/b", false, None), ("reward:a", "x/a", true, None)]);
        // One alone: what the other said is its own no more, and stands where a file has another model's.
        c.edit_rewards("reward:a", |tokens| tokens.push(TokenValue { span: Span::new(0, 1), value: 5.0 }));
        c.begin_rewards(&AtWork::all(["x/c"]));
        assert_eq!(all(&c).last(), Some(&("reward", "x/c", false, None)));
        assert!(all(&c).contains(&("reward:a", "x/a", false, Some(5.0))) && all(&c).contains(&("reward:x/b", "x/b", false, None)));
    }

    #[test]
    fn a_files_own_reward_makes_way_and_stays() {
        let mut c = Candidate { signals: vec![Signal::given("reward", 0.8)], ..Candidate::default() };
        for _ in 0..2 {
            c.begin_rewards(&AtWork::all(["m"]));
            assert_eq!(
                c.signals.iter().map(|s| (s.name.as_str(), s.whole())).collect::<Vec<_>>(),
                [("file:reward", Some(0.8)), ("reward", None)]
            );
        }
    }

    #[test]
    fn a_name_that_two_models_have_is_the_one_at_works() {
        let mut c = Candidate { signals: vec![spoken("reward:b", "y/b", 1.0), spoken("reward:y/b", "y/b", 9.0)], ..Candidate::default() };
        c.begin_rewards(&AtWork::all(["a", "x/b"]));
        assert_eq!(all(&c), [("reward:y/b", "y/b", false, Some(1.0)), ("reward", "a", false, None), ("reward:b", "x/b", true, None)]);
        // A model named twice.
        c.begin_rewards(&AtWork::all(["a", "a"]));
        assert_eq!(all(&c)[1..], [("reward", "a", false, None), ("reward:b", "x/b", false, None), ("reward:a#2", "a", true, None)]);
    }

    #[test]
    fn of_several_at_work_the_first_ranks() {
        let mut c = Candidate::default();
        c.begin_rewards(&AtWork::all(["a", "b"]));
        for name in ["reward:b", "reward"] {
            c.edit_rewards(name, |tokens| tokens.push(TokenValue { span: Span::new(0, 1), value: 1.0 }));
            assert_eq!(default_signal(std::slice::from_ref(&c)), Some(name), "the second alone where the first says nothing");
        }
        c.signals.push(spoken("reward:old", "old", 1.0));
        assert_eq!(default_signal(std::slice::from_ref(&c)), Some("reward:old"), "another model's in the file stands before");
    }

    #[test]
    fn a_label_of_0_is_wrong_where_none_is_negative() {
        let of = |labels: &[Option<f32>]| {
            let steps = labels.iter().map(|&label| Step { label, ..Step::default() }).collect();
            Candidate { steps, ..Candidate::default() }.ratings()
        };
        assert_eq!(of(&[Some(1.0), Some(0.0), None, Some(0.75)]), [Some(1), Some(-1), None, Some(1)]);
        assert_eq!(of(&[Some(1.0), Some(0.0), Some(-1.0)]), [Some(1), Some(0), Some(-1)]);
        assert_eq!(of(&[None]), [None]);
    }
}

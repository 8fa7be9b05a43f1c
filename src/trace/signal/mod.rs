//! Signals: everything that judges a candidate, in one shape.
//!
//! A reward model's logits, a number that came with the file, the policy's log-probability, an equation check, the length of a step, a person's label:
//! each is a [`Signal`] with a name, a source, an orientation and values a token, a step or the candidate. Whatever can be done with one (rank, colour,
//! mark a deviation, pick one of N, calibrate, write to a file) is written once for all of them, by way of a [`Reading`].

mod domain;
mod names;
mod policy;
mod reading;
mod scale;

pub use domain::{Domain, Measure, all_outside, outside};
pub use names::AtWork;
pub use policy::{ENTROPY, LOGPROB, SURPRISAL, policy_signals};
pub use reading::{Folds, Reading, Statistic, TokenClass};
pub use scale::Scale;

use super::{Aggregation, Calibration, Granularity, Span, Step, aggregate};
use serde::{Deserialize, Serialize};

/// Name of the signal that a reward model gives, unless another one of the candidate has the name already.
pub const REWARD: &str = "reward";

/// Name of the signal of the labels that people or a checker put on single steps.
pub const LABEL: &str = "label";

/// Who says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalSource {
    /// A reward model that read the candidate, by its name.
    Model(String),
    /// A language model's own distribution over its tokens.
    Policy,
    /// A number that came with the file.
    File,
    /// A rule that needs no model.
    Check,
    /// A person's label.
    Person,
}

/// Which values are good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// High values are good, low ones deviate.
    #[default]
    High,
    /// Low values are good, high ones deviate.
    Low,
    /// Neither: it describes and does not judge.
    Neither,
}

impl Orientation {
    /// The value turned so that high is good; [`Orientation::Neither`] is left as it is.
    pub fn turn(self, value: f32) -> f32 {
        if self == Self::Low { -value } else { value }
    }
}

/// What a signal's numbers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Log-odds; 0 is neutral.
    Logit,
    /// A probability, 0 to 1; ½ is neutral.
    Probability,
    /// Natural logarithms.
    Nats,
    /// A number of things.
    Count,
    /// Not known.
    #[default]
    Unknown,
}

impl Unit {
    /// Steps' values as one number: [`aggregate`], but for the product of chances, which are chances already; `None` where no step has one.
    pub fn aggregate(self, aggregation: Aggregation, steps: &[Option<f32>]) -> Option<f32> {
        match (self, aggregation) {
            (Self::Probability, Aggregation::Product) => {
                let known = || steps.iter().flatten();
                known().next().map(|_| known().map(|p| p.ln()).sum())
            }
            _ => aggregate(aggregation, steps),
        }
    }

    /// A candidate's score, turned so that high is good, as the weight of its vote, in 0..=1: e^score of a product (a log-probability), the score itself of a chance
    /// (a negative one is a turned chance of being wrong), σ(score) of anything else. `aggregation`: how its steps became the score; `None` for a signal of the whole.
    pub fn vote_weight(self, aggregation: Option<Aggregation>, score: f32) -> f32 {
        match (self, aggregation) {
            (_, Some(Aggregation::Product)) => score.min(0.0).exp(),
            (Self::Probability, _) if score < 0.0 => (1.0 + score).clamp(0.0, 1.0),
            (Self::Probability, _) => score.clamp(0.0, 1.0),
            _ => 1.0 / (1.0 + (-score).exp()),
        }
    }
}

/// The value of one token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenValue {
    /// The token's bytes in the candidate's text.
    pub span: Span,
    /// The value; NaN where it is not known.
    pub value: f32,
}

/// The values of a signal, with holes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// One a token, in the tokens of the model that gave them, spans ascending.
    Tokens(Vec<TokenValue>),
    /// One a step; `None` where it is not known.
    Steps(Vec<Option<f32>>),
    /// One for the whole candidate.
    Candidate(f32),
}

/// What a signal has a value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Each token.
    Token,
    /// Each step.
    Step,
    /// The candidate as a whole.
    Candidate,
}

/// What one source says of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Its name, unique within the candidate: `reward`, `logprob`, `check:equations`, the name of a file's field.
    pub name: String,
    /// Who says it.
    pub source: SignalSource,
    /// Which values are good.
    #[serde(default)]
    pub orientation: Orientation,
    /// What the numbers are.
    #[serde(default)]
    pub unit: Unit,
    /// The values.
    pub values: Values,
    /// The statistic that turns its tokens into a step where none is asked for.
    #[serde(default)]
    pub statistic: Statistic,
    /// Where it was calibrated, its threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// A reward model gave it that was named beside the one of [`REWARD`], so that it stands behind that one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
    /// Whether the model that gave it has learned on such text, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
}

/// A calibrated threshold: a step beyond it deviates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The reading it holds for.
    pub reading: Reading,
    /// The value, in the signal's own unit.
    pub value: f32,
    /// The chance that a right trace of the task is marked, as stated by the calibration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarm_rate: Option<f32>,
    /// The task that the rate holds for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

impl Signal {
    /// A signal whose high values are good, of unknown unit, without threshold.
    pub fn new(name: impl Into<String>, source: SignalSource, values: Values) -> Self {
        Self {
            name: name.into(),
            source,
            orientation: Orientation::High,
            unit: Unit::Unknown,
            values,
            statistic: Statistic::default(),
            threshold: None,
            beside: false,
            domain: None,
        }
    }

    /// A reward model's logits, by the name [`REWARD`].
    pub fn reward(model: impl Into<String>, tokens: Vec<TokenValue>) -> Self {
        Self { unit: Unit::Logit, ..Self::new(REWARD, SignalSource::Model(model.into()), Values::Tokens(tokens)) }
    }

    /// The signal of a reward model at work, empty.
    pub fn by(work: &AtWork) -> Self {
        Self { name: work.signal.clone(), beside: work.signal != REWARD, ..Self::reward(work.model.as_str(), Vec::new()) }
    }

    /// Gives it another name; its threshold goes with it.
    pub fn rename(&mut self, name: String) {
        if let Some(threshold) = &mut self.threshold {
            threshold.reading.signal.clone_from(&name);
        }
        self.name = name;
    }

    /// A number a step that came with the file under the name of its field. The unit is a guess: a probability where all lie in 0 to 1.
    pub fn given_steps(name: impl Into<String>, values: Vec<Option<f32>>) -> Self {
        let unit = if values.iter().flatten().all(|v| (0.0..=1.0).contains(v)) { Unit::Probability } else { Unit::Unknown };
        Self { unit, ..Self::new(name, SignalSource::File, Values::Steps(values)) }
    }

    /// The labels of steps under the name [`LABEL`]; `None` where no step has one.
    pub fn labels(steps: &[Step]) -> Option<Self> {
        let values = steps.iter().map(|s| s.label).collect();
        Some(Self { source: SignalSource::Person, ..Self::given_steps(LABEL, values) }).filter(Self::has_values)
    }

    /// A number for the whole candidate that came with the file under the name of its field.
    pub fn given(name: impl Into<String>, value: f32) -> Self {
        Self::new(name, SignalSource::File, Values::Candidate(value))
    }

    /// Its token values; empty where it has none.
    pub fn tokens(&self) -> &[TokenValue] {
        if let Values::Tokens(tokens) = &self.values { tokens } else { &[] }
    }

    /// What it has a value for.
    pub fn level(&self) -> Level {
        match self.values {
            Values::Tokens(_) => Level::Token,
            Values::Steps(_) => Level::Step,
            Values::Candidate(_) => Level::Candidate,
        }
    }

    /// Whether it says something of single steps.
    pub fn has_steps(&self) -> bool {
        self.level() != Level::Candidate
    }

    /// Everything of it but its values and its domain, which are of one text.
    pub fn header(&self) -> Self {
        let values = match self.level() {
            Level::Token => Values::Tokens(Vec::new()),
            Level::Step => Values::Steps(Vec::new()),
            Level::Candidate => Values::Candidate(f32::NAN),
        };
        Self {
            name: self.name.clone(),
            source: self.source.clone(),
            orientation: self.orientation,
            unit: self.unit,
            values,
            statistic: self.statistic,
            threshold: self.threshold.clone(),
            beside: self.beside,
            domain: None,
        }
    }

    /// Its place among the signals of a problem where nobody asks for one: 0 a judgement of the file, 1 of a reward model that is not at work, 2 of the one that
    /// is, 3 of one beside it, 4 what is no judgement of either.
    pub fn place(&self) -> u8 {
        match self.source {
            _ if !self.is_reward() => 4,
            SignalSource::File => 0,
            _ if self.beside => 3,
            _ if self.name != REWARD => 1,
            _ => 2,
        }
    }

    /// Whether every step has the same value under a granularity, so that none can be marked: a reward model's one reward for the whole.
    pub fn is_alike(&self, granularity: Granularity) -> bool {
        granularity == Granularity::Sparse && self.level() == Level::Token && matches!(self.source, SignalSource::Model(_))
    }

    /// The reading with all said that makes a difference, and nothing else: a statistic and a class of tokens where there are tokens.
    pub fn full_reading(&self, reading: &Reading) -> Reading {
        match self.level() {
            Level::Token => Reading { statistic: Some(reading.statistic.unwrap_or(self.statistic)), ..reading.clone() },
            Level::Step | Level::Candidate => Reading::of(self.name.as_str()),
        }
    }

    /// The threshold of a reading: the calibration's, or else the one that came with the signal, for this very reading.
    pub fn threshold_of(&self, reading: &Reading, calibration: &Calibration) -> Option<Threshold> {
        let full = self.full_reading(reading);
        let bare = Reading::of(self.name.as_str());
        let unsaid = || calibration.stated(&bare).filter(|_| full == self.full_reading(&bare));
        let own = || self.threshold.as_ref().filter(|t| self.full_reading(&t.reading) == full).cloned();
        calibration.stated(&full).or_else(unsaid).or_else(own)
    }

    /// Where good and bad part as far as the unit says it, where nothing is calibrated. `values`: what it says, by which numbers of an unknown unit that have
    /// both signs are taken for log-odds.
    pub fn neutral(&self, values: impl FnOnce() -> Vec<f32>) -> Option<f32> {
        match (self.unit, self.orientation) {
            (Unit::Logit, _) => Some(0.0),
            (Unit::Probability, _) => Some(0.5),
            // How much likelier one model finds it than another.
            (Unit::Nats, Orientation::High) if matches!(self.source, SignalSource::Model(_)) => Some(0.0),
            // Counted downwards: so many faults.
            (Unit::Count, Orientation::High) => Some(0.0),
            (Unit::Unknown, _) => {
                let values = values();
                (values.iter().any(|v| *v < 0.0) && values.iter().any(|v| *v > 0.0)).then_some(0.0)
            }
            _ => None,
        }
    }

    /// The value of the whole candidate, where it is a signal of that level.
    pub fn whole(&self) -> Option<f32> {
        if let Values::Candidate(value) = self.values { Some(value) } else { None }
    }

    /// Whether a reward model or the file gave it, so that it may rank candidates without being asked for.
    pub fn is_reward(&self) -> bool {
        matches!(self.source, SignalSource::Model(_) | SignalSource::File) && self.orientation != Orientation::Neither
    }

    /// Whether there is one value at least.
    pub fn has_values(&self) -> bool {
        match &self.values {
            Values::Tokens(tokens) => tokens.iter().any(|t| !t.value.is_nan()),
            Values::Steps(steps) => steps.iter().any(Option::is_some),
            Values::Candidate(value) => !value.is_nan(),
        }
    }

    /// One value a step under a reading, in the signal's own unit; `None` where it is not known.
    ///
    /// Token values count for the step that [`super::step_of_each`] says, under `granularity` where a reward model gave them; a value that is not
    /// finite makes its step unknown, and so does a step whose text the tokens have not reached. Step values are what they are, whatever the
    /// statistic. A signal of the whole candidate has no steps.
    pub fn step_values(
        &self,
        tokens: TokenClass,
        statistic: Statistic,
        granularity: Granularity,
        text: &str,
        steps: &[Step],
    ) -> Vec<Option<f32>> {
        match &self.values {
            Values::Candidate(_) => vec![None; steps.len()],
            Values::Steps(values) => {
                let finite = |i: usize| values.get(i).copied().flatten().filter(|v| v.is_finite());
                (0..steps.len()).map(finite).collect()
            }
            Values::Tokens(values) => {
                let granularity = if matches!(self.source, SignalSource::Model(_)) { granularity } else { Granularity::Dense };
                reading::fold(values, tokens, statistic, granularity, text, steps)
            }
        }
    }

    /// Its tokens of a class under every statistic at once, as [`Signal::step_values`] reads them; `None` where it has no tokens, or where a reward model's
    /// granularity gives a token another value under another statistic.
    pub fn folds(&self, tokens: TokenClass, granularity: Granularity, text: &str, steps: &[Step]) -> Option<Folds> {
        let Values::Tokens(values) = &self.values else { return None };
        let plain = granularity == Granularity::Dense || !matches!(self.source, SignalSource::Model(_));
        plain.then(|| Folds::new(values, values.iter().map(|v| v.value), tokens, text, steps))
    }

    /// One number for the candidate, in the signal's own unit: its steps' values put together, or the value of the whole. `None` where there is none, or where
    /// it is not a number.
    ///
    /// Steps are put together as they judge, high being good: the `min` of a signal whose low values are good is its highest, worst step.
    pub fn candidate_value(&self, aggregation: Aggregation, step_values: &[Option<f32>]) -> Option<f32> {
        match self.values {
            Values::Candidate(value) => Some(value),
            _ => {
                let turned: Vec<Option<f32>> = step_values.iter().map(|v| v.map(|v| self.orientation.turn(v))).collect();
                self.unit.aggregate(aggregation, &turned).map(|v| self.orientation.turn(v))
            }
        }
        .filter(|v| !v.is_nan())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::segment;

    fn tokens(values: &[(usize, usize, f32)]) -> Vec<TokenValue> {
        values.iter().map(|v| TokenValue { span: Span::new(v.0, v.1), value: v.2 }).collect()
    }

    #[test]
    fn a_step_is_read_under_each_statistic_by_hand() {
        let text = "a 12\nb";
        let steps = segment(text, &"line".parse().unwrap());
        let signal =
            Signal::new("x", SignalSource::Policy, Values::Tokens(tokens(&[(0, 1, -1.0), (1, 3, -4.0), (3, 4, -3.0), (4, 6, -0.5)])));
        let read = |class, statistic| signal.step_values(class, statistic, Granularity::Dense, text, &steps);
        assert_eq!(read(TokenClass::All, Statistic::Sum), [Some(-8.0), Some(-0.5)]);
        assert_eq!(read(TokenClass::All, Statistic::Mean), [Some(-8.0 / 3.0), Some(-0.5)]);
        assert_eq!(read(TokenClass::All, Statistic::Min), [Some(-4.0), Some(-0.5)]);
        assert_eq!(read(TokenClass::All, Statistic::Max), [Some(-1.0), Some(-0.5)]);
        assert_eq!(read(TokenClass::All, Statistic::Last), [Some(-3.0), Some(-0.5)]);
        // " 1" and "2" are digits; the second step has none: nothing to add up, and no least one.
        assert_eq!(read(TokenClass::Digits, Statistic::Sum), [Some(-7.0), Some(0.0)]);
        assert_eq!(read(TokenClass::Digits, Statistic::Min), [Some(-4.0), None]);
    }

    #[test]
    fn an_interval_adds_up_to_its_supervised_logits() {
        let text = "abcd";
        let steps = [Step { span: Span::new(0, 3), ..Step::default() }, Step { span: Span::new(3, 4), ..Step::default() }];
        let values = tokens(&[(0, 1, 9.0), (1, 2, 2.0), (2, 3, 9.0), (3, 4, 6.0)]);
        let model = Signal::reward("m", values.clone());
        let sum = |g| model.step_values(TokenClass::All, Statistic::Sum, g, text, &steps);
        // Every second token is supervised: 2 is spread over two tokens, 6 over the next two, one of which is in the first step.
        assert_eq!(sum(Granularity::Interval(2)), [Some(2.0 + 3.0), Some(3.0)]);
        assert_eq!(sum(Granularity::Dense), [Some(20.0), Some(6.0)]);
        // Granularity is a reward model's: other signals have a value a token.
        let policy = Signal::new("p", SignalSource::Policy, Values::Tokens(values));
        assert_eq!(policy.step_values(TokenClass::All, Statistic::Min, Granularity::Sparse, text, &steps), [Some(2.0), Some(6.0)]);
    }

    #[test]
    fn chances_multiply_as_they_are() {
        let steps = [Some(0.5), None, Some(0.25)];
        let near = |a: Option<f32>, b: f32| assert!((a.unwrap() - b).abs() < 1e-6, "{a:?} {b}");
        near(Unit::Probability.aggregate(Aggregation::Product, &steps), 0.125_f32.ln());
        // σ(½) · σ(¼) = 0.622459 · 0.562177
        near(Unit::Logit.aggregate(Aggregation::Product, &steps), (0.622_459_f32 * 0.562_177).ln());
        near(Unit::Probability.aggregate(Aggregation::Mean, &steps), 0.375);
        assert_eq!(Unit::Probability.aggregate(Aggregation::Product, &[None]), None);
        near(Some(Unit::Probability.vote_weight(Some(Aggregation::Product), 0.125_f32.ln())), 0.125);
        assert_eq!((Unit::Probability.vote_weight(Some(Aggregation::Mean), 0.9), Unit::Logit.vote_weight(None, 0.0)), (0.9, 0.5));
    }

    #[test]
    fn holes_stay_holes() {
        let text = "ab\ncd";
        let steps = segment(text, &"line".parse().unwrap());
        let signal = Signal::new("x", SignalSource::Policy, Values::Tokens(tokens(&[(0, 1, 1.0), (1, 2, f32::NAN), (2, 4, 3.0)])));
        for statistic in Statistic::ALL {
            let read = signal.step_values(TokenClass::All, statistic, Granularity::Dense, text, &steps);
            assert_eq!(read, [None, Some(3.0)], "{}", statistic.name());
        }
        // The separator alone says nothing of the step it precedes.
        let early = Signal::new("x", SignalSource::Policy, Values::Tokens(tokens(&[(0, 2, 1.0), (2, 3, 5.0)])));
        assert_eq!(early.step_values(TokenClass::All, Statistic::Sum, Granularity::Dense, text, &steps), [Some(1.0), None]);
        let given = Signal::given_steps("g", vec![Some(0.25), Some(f32::INFINITY)]);
        assert_eq!(given.step_values(TokenClass::All, Statistic::Sum, Granularity::Dense, text, &steps), [Some(0.25), None]);
        assert_eq!(Signal::given("w", 2.0).step_values(TokenClass::All, Statistic::Sum, Granularity::Dense, text, &steps), [None, None]);
        assert_eq!(Signal::given("w", 2.0).candidate_value(Aggregation::Min, &[None, None]), Some(2.0));
        assert_eq!(Signal::given("w", f32::NAN).candidate_value(Aggregation::Min, &[]), None);
    }
}

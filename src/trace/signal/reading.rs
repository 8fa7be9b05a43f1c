//! How a signal's tokens become one value a step.

use crate::trace::reward::steps_of;
use crate::trace::{Granularity, Step, segments, step_of_each, token_rewards};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

use super::TokenValue;

/// How the values of a step's tokens become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// They add up: what log-probabilities and log-odds do. On real text the best detector of wrong steps that needs no training.
    Sum,
    /// Their arithmetic mean.
    Mean,
    /// The least of them: right where steps are short and alike.
    #[default]
    Min,
    /// The greatest of them.
    Max,
    /// The last token's.
    Last,
}

impl Statistic {
    /// Every statistic.
    pub const ALL: [Statistic; 5] = [Statistic::Sum, Statistic::Mean, Statistic::Min, Statistic::Max, Statistic::Last];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Last => "last",
        }
    }
}

/// Which tokens of a step count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenClass {
    /// All of them.
    #[default]
    All,
    /// Those with a digit in them.
    Digits,
}

impl TokenClass {
    /// Whether a token of this text counts.
    pub fn holds(self, token: &str) -> bool {
        self == Self::All || token.bytes().any(|b| b.is_ascii_digit())
    }
}

/// Which signal is read, and how its tokens become a step: `reward`, `reward.sum`, `logprob.digits.sum`, `check:equations`.
///
/// Without a statistic, the signal's own is taken. Written and read as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Reading {
    /// Name of the signal.
    pub signal: String,
    /// Which tokens count.
    pub tokens: TokenClass,
    /// How they become a step.
    pub statistic: Option<Statistic>,
}

impl Reading {
    /// All tokens under a statistic.
    pub fn new(signal: impl Into<String>, statistic: Statistic) -> Self {
        Self { signal: signal.into(), tokens: TokenClass::All, statistic: Some(statistic) }
    }

    /// All tokens under the signal's own statistic.
    pub fn of(signal: impl Into<String>) -> Self {
        Self { signal: signal.into(), tokens: TokenClass::All, statistic: None }
    }

    /// The tokens with a digit, under a statistic.
    pub fn digits(signal: impl Into<String>, statistic: Statistic) -> Self {
        Self { tokens: TokenClass::Digits, ..Self::new(signal, statistic) }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.signal)?;
        if self.tokens == TokenClass::Digits {
            f.write_str(".digits")?;
        }
        self.statistic.map_or(Ok(()), |s| write!(f, ".{}", s.name()))
    }
}

impl FromStr for Reading {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut name, mut statistic, mut tokens) = (text.trim(), None, TokenClass::All);
        if let Some((head, tail)) = name.rsplit_once('.')
            && let Some(found) = Statistic::ALL.into_iter().find(|s| s.name() == tail)
        {
            (name, statistic) = (head, Some(found));
        }
        if let Some(head) = name.strip_suffix(".digits") {
            (name, tokens) = (head, TokenClass::Digits);
        }
        if name.is_empty() {
            return Err("expected NAME, NAME.STATISTIC or NAME.digits.STATISTIC with sum, mean, min, max or last".into());
        }
        Ok(Self { signal: name.into(), tokens, statistic })
    }
}

impl From<Reading> for String {
    fn from(reading: Reading) -> Self {
        reading.to_string()
    }
}

impl TryFrom<String> for Reading {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What the tokens of a class come to in each step and in the whole text, under every statistic.
pub struct Folds {
    /// `None` of a step that the tokens have not reached.
    steps: Vec<Option<Folded>>,
    whole: Folded,
}

impl Folds {
    /// Folds one number a token.
    pub(super) fn new(
        values: &[TokenValue],
        numbers: impl IntoIterator<Item = f32>,
        class: TokenClass,
        text: &str,
        steps: &[Step],
    ) -> Self {
        let mut folded = vec![Folded::default(); steps.len().max(1)];
        let mut read = 0;
        for ((step, value), token) in steps_of(values.iter().map(|v| v.span), steps).zip(numbers).zip(values) {
            folded[step].add(value, class == TokenClass::All || class.holds(token.span.of(text)));
            read = read.max(token.span.end);
        }
        let whole = folded.iter().copied().reduce(Folded::and).unwrap_or_default();
        let steps = folded.into_iter().zip(steps).map(|(folded, step)| (read > step.span.start).then_some(folded)).collect();
        Self { steps, whole }
    }

    /// One value a step.
    pub fn steps(&self, statistic: Statistic) -> impl Iterator<Item = Option<f32>> {
        self.steps.iter().map(move |folded| folded.as_ref()?.finish(statistic))
    }

    /// The value of the whole text, every token of it.
    pub fn whole(&self, statistic: Statistic) -> Option<f32> {
        self.whole.finish(statistic)
    }
}

/// One value a step; see [`super::Signal::step_values`].
pub(super) fn fold(
    values: &[TokenValue],
    class: TokenClass,
    statistic: Statistic,
    granularity: Granularity,
    text: &str,
    steps: &[Step],
) -> Vec<Option<f32>> {
    let plain = values.iter().map(|v| v.value);
    let folds = if granularity == Granularity::Dense {
        Folds::new(values, plain, class, text, steps)
    } else {
        let owner = step_of_each(values.iter().map(|v| v.span), steps);
        Folds::new(values, spread(granularity, &plain.collect::<Vec<f32>>(), &owner, statistic), class, text, steps)
    };
    folds.steps(statistic).collect()
}

/// What each token has under a granularity: the logit of the supervised token that ends its segment; of a sum, each token an equal share of it, so
/// that a candidate's sum is the sum of its supervised logits.
fn spread(granularity: Granularity, logits: &[f32], owner: &[usize], statistic: Statistic) -> Vec<f32> {
    let ends: Vec<usize> = (0..owner.len()).filter(|&i| owner.get(i + 1) != Some(&owner[i])).collect();
    let mut out = token_rewards(granularity, logits, &ends);
    if statistic == Statistic::Sum {
        for segment in segments(granularity, logits.len(), &ends) {
            let share = segment.len() as f32;
            out[segment].iter_mut().for_each(|v| *v /= share);
        }
    }
    out
}

/// Tokens that were read.
#[derive(Clone, Copy, Debug, Default)]
struct Folded {
    tokens: usize,
    /// Of those that count.
    counted: usize,
    sum: f64,
    min: f32,
    max: f32,
    last: f32,
    unknown: bool,
}

impl Folded {
    fn add(&mut self, value: f32, counts: bool) {
        self.tokens += 1;
        if counts && value.is_finite() {
            let one = Self { tokens: 0, counted: 1, sum: f64::from(value), min: value, max: value, last: value, unknown: false };
            *self = self.and(one);
        } else if counts {
            self.unknown = true;
        }
    }

    /// Those and then others.
    fn and(self, next: Self) -> Self {
        let (tokens, unknown) = (self.tokens + next.tokens, self.unknown | next.unknown);
        match (self.counted, next.counted) {
            (_, 0) => Self { tokens, unknown, ..self },
            (0, _) => Self { tokens, unknown, ..next },
            _ => Self {
                tokens,
                unknown,
                counted: self.counted + next.counted,
                sum: self.sum + next.sum,
                min: self.min.min(next.min),
                max: self.max.max(next.max),
                last: next.last,
            },
        }
    }

    fn finish(&self, statistic: Statistic) -> Option<f32> {
        if self.unknown || self.tokens == 0 {
            return None;
        }
        match (statistic, self.counted) {
            (Statistic::Sum, _) => Some(self.sum as f32),
            (_, 0) => None,
            (Statistic::Mean, n) => Some((self.sum / n as f64) as f32),
            (Statistic::Min, _) => Some(self.min),
            (Statistic::Max, _) => Some(self.max),
            (Statistic::Last, _) => Some(self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_written_and_read() {
        for text in ["reward", "reward.sum", "logprob.digits.sum", "check:equations", "reward:Qwen2.5-Math.min", "x.digits"] {
            assert_eq!(text.parse::<Reading>().unwrap().to_string(), text);
        }
        let reading: Reading = "reward:Qwen2.5".parse().unwrap();
        assert_eq!((reading.signal.as_str(), reading.statistic), ("reward:Qwen2.5", None), "a dot in a name is no statistic");
        assert!(["", ".sum", ".digits.sum", " "].iter().all(|t| t.parse::<Reading>().is_err()));
        let json = serde_json::to_string(&Reading::digits("logprob", Statistic::Sum)).unwrap();
        assert_eq!(json, "\"logprob.digits.sum\"");
        assert_eq!(serde_json::from_str::<Reading>(&json).unwrap(), Reading::digits("logprob", Statistic::Sum));
    }
}

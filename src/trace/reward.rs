//! From token logits to token, step and trace rewards: one definition of the granularities for training, scoring and display.

use super::{Span, Step};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Which completion tokens carry supervision, and so whose logit is a token's reward (arXiv 2510.01857).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// The last token of the completion.
    Sparse,
    /// The last token of every step.
    Step,
    /// Every k-th completion token, counted from the first one, and the last.
    Interval(usize),
    /// Every completion token.
    #[default]
    Dense,
}

impl Granularity {
    /// Its name, without the length of an interval.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sparse => "sparse",
            Self::Step => "step",
            Self::Interval(_) => "interval",
            Self::Dense => "dense",
        }
    }
}

/// Tokens in an interval where none is said (arXiv 2510.01857).
const DEFAULT_INTERVAL: usize = 15;

impl FromStr for Granularity {
    type Err = String;

    /// Reads `sparse`, `step`, `interval`, `interval:K` or `dense`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None => match text {
                "sparse" => Ok(Self::Sparse),
                "step" => Ok(Self::Step),
                "interval" => Ok(Self::Interval(DEFAULT_INTERVAL)),
                "dense" => Ok(Self::Dense),
                _ => Err("one of sparse, step, interval, interval:K, dense".into()),
            },
            Some(("interval", k)) => match k.parse() {
                Ok(0) | Err(_) => Err("K must be a whole number above 0".into()),
                Ok(k) => Ok(Self::Interval(k)),
            },
            Some(_) => Err("only interval takes a number, for example interval:15".into()),
        }
    }
}

/// How step rewards become one number for a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Arithmetic mean of the step rewards.
    #[default]
    Mean,
    /// The worst step.
    Min,
    /// The last step.
    Last,
    /// Product of σ(step reward), returned as its logarithm.
    Product,
    /// Sum of the step rewards.
    Sum,
    /// Mean weighted by [`DISCOUNT`]^(steps before the last): later steps count more.
    Discounted,
}

impl Aggregation {
    /// Every aggregation.
    pub const ALL: [Aggregation; 6] =
        [Aggregation::Mean, Aggregation::Min, Aggregation::Last, Aggregation::Product, Aggregation::Sum, Aggregation::Discounted];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Last => "last",
            Self::Product => "product",
            Self::Sum => "sum",
            Self::Discounted => "discounted",
        }
    }
}

/// Weight of a step's reward against the next one's under [`Aggregation::Discounted`].
pub const DISCOUNT: f32 = 0.9;

/// Whether each of `n` completion tokens is supervised. `step_ends`: index of each step's last token, ascending.
///
/// The phase is the completion's first token: `Interval(k)` supervises tokens k−1, 2k−1, … and the last one. `Interval(0)` reads as `Interval(1)`.
pub fn supervised_positions(granularity: Granularity, n: usize, step_ends: &[usize]) -> Vec<bool> {
    let mut mask = vec![false; n];
    match granularity {
        Granularity::Dense => mask.fill(true),
        Granularity::Sparse => {}
        Granularity::Step => {
            for &end in step_ends.iter().filter(|&&e| e < n) {
                mask[end] = true;
            }
        }
        Granularity::Interval(k) => {
            let k = k.max(1);
            for i in (k - 1..n).step_by(k) {
                mask[i] = true;
            }
        }
    }
    if let Some(last) = mask.last_mut() {
        *last = true;
    }
    mask
}

/// The segments that the supervised tokens end: each is the tokens after the supervised token before it up to and with its own.
pub fn segments(granularity: Granularity, n: usize, step_ends: &[usize]) -> Vec<std::ops::Range<usize>> {
    let mut start = 0;
    let ends = supervised_positions(granularity, n, step_ends).into_iter().enumerate().filter_map(|(i, is)| is.then_some(i + 1));
    ends.map(|end| std::mem::replace(&mut start, end)..end).collect()
}

/// The reward of every token: the logit of the supervised token that ends its segment, back-filled over the segment.
pub fn token_rewards(granularity: Granularity, logits: &[f32], step_ends: &[usize]) -> Vec<f32> {
    let mask = supervised_positions(granularity, logits.len(), step_ends);
    let mut out = logits.to_vec();
    let mut current = f32::NAN;
    for i in (0..out.len()).rev() {
        if mask[i] {
            current = logits[i];
        }
        out[i] = current;
    }
    out
}

/// The step that each token belongs to, for ascending token spans; `steps` must not be empty.
///
/// A token belongs to the step that holds its last byte, or else to the next step to come (separators count for the step they precede),
/// and what follows the last step belongs to the last step.
pub fn step_of_each(tokens: impl IntoIterator<Item = Span>, steps: &[Step]) -> Vec<usize> {
    steps_of(tokens, steps).collect()
}

/// The same one after another.
pub(super) fn steps_of(tokens: impl IntoIterator<Item = Span>, steps: &[Step]) -> impl Iterator<Item = usize> {
    let mut step = 0;
    tokens.into_iter().map(move |token| {
        let last = token.end.saturating_sub(1).max(token.start);
        while step + 1 < steps.len() && last >= steps[step].span.end {
            step += 1;
        }
        step
    })
}

/// One reward for the candidate from its steps' rewards; `None` where no step has one. Steps without a reward are passed over.
pub fn aggregate(aggregation: Aggregation, steps: &[Option<f32>]) -> Option<f32> {
    let known = || steps.iter().flatten().copied();
    let last = known().next_back()?;
    let sum = || known().sum::<f32>();
    Some(match aggregation {
        Aggregation::Mean => sum() / known().count() as f32,
        Aggregation::Min => known().fold(f32::INFINITY, f32::min),
        Aggregation::Last => last,
        Aggregation::Product => known().map(|x| -softplus(-x)).sum(),
        Aggregation::Sum => sum(),
        Aggregation::Discounted => {
            let (total, weights) = known().fold((0.0, 0.0), |(t, w), x| (DISCOUNT * t + x, DISCOUNT * w + 1.0));
            total / weights
        }
    })
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Segmentation, Signal, Statistic, TokenClass, TokenValue, segment};

    fn step_rewards(granularity: Granularity, cuts: &[(usize, usize, f32)], steps: &[Step]) -> Vec<Option<f32>> {
        let tokens = cuts.iter().map(|c| TokenValue { span: Span::new(c.0, c.1), value: c.2 }).collect();
        Signal::reward("m", tokens).step_values(TokenClass::All, Statistic::Min, granularity, "ab\ncd", steps)
    }

    #[test]
    fn granularities_are_read() {
        let granularity = |text: &str| text.parse::<Granularity>();
        assert_eq!(granularity("interval"), Ok(Granularity::Interval(15)));
        assert_eq!(granularity("interval:4"), Ok(Granularity::Interval(4)));
        assert!(granularity("interval:0").unwrap_err().contains("above 0"));
        assert!(granularity("dense:3").is_err());
        assert!(granularity("Dense").is_err());
    }

    #[test]
    fn discounted_weighs_later_steps_more() {
        // (0.81 · 1 + 0.9 · 2 + 4) / (0.81 + 0.9 + 1), the unknown step passed over.
        let found = aggregate(Aggregation::Discounted, &[Some(1.0), Some(2.0), None, Some(4.0)]).unwrap();
        assert!((found - 6.61 / 2.71).abs() < 1e-6, "{found}");
        assert_eq!(aggregate(Aggregation::Discounted, &[Some(-2.5)]), Some(-2.5));
        assert_eq!(aggregate(Aggregation::Discounted, &[None]), None);
    }

    #[test]
    fn segments_cover_the_text_and_end_at_supervised_tokens() {
        assert_eq!(segments(Granularity::Interval(3), 8, &[]), [0..3, 3..6, 6..8]);
        assert_eq!(segments(Granularity::Step, 8, &[4]), [0..5, 5..8]);
        assert_eq!(segments(Granularity::Sparse, 8, &[4]).first(), Some(&(0..8)));
        assert_eq!(segments(Granularity::Sparse, 8, &[4]).len(), 1);
        assert_eq!(segments(Granularity::Dense, 2, &[]), [0..1, 1..2]);
        assert!(segments(Granularity::Sparse, 0, &[]).is_empty());
    }

    #[test]
    fn a_step_has_no_reward_before_its_text_is_read() {
        let steps = segment("ab\ncd", &Segmentation::Line);
        let (first, second) = ((0, 2, -3.0), (3, 5, -1.0));
        for granularity in [Granularity::Dense, Granularity::Step, Granularity::Interval(2), Granularity::Sparse] {
            let of = |cuts: &[(usize, usize, f32)]| step_rewards(granularity, cuts, &steps)[1];
            assert_eq!(of(&[first]), None);
            assert_eq!(of(&[first, (2, 3, 0.0)]), None, "the separator before the step is not of it");
            assert_eq!(of(&[first, (2, 3, 0.0), (3, 3, 0.0)]), None, "a token that owns no byte has read none");
            assert_eq!(of(&[(0, 3, 0.0)]), None, "a token that ends where the step starts");
            assert_eq!(of(&[first, (2, 3, 0.0), second]), Some(-1.0));
        }
    }

    #[test]
    fn a_read_step_counts_its_separator_and_the_end_of_the_text() {
        let steps = segment("ab\ncd", &Segmentation::Line);
        let all = [(0, 2, -3.0), (2, 3, -2.0), (3, 5, -1.0), (5, 5, -9.0)];
        assert_eq!(step_rewards(Granularity::Dense, &all, &steps), [Some(-3.0), Some(-9.0)]);
        // The next step's first token holds all of this one: its reward is the separator's, as in training.
        let across = [(0, 1, 1.0), (1, 5, 2.0)];
        assert_eq!(step_rewards(Granularity::Dense, &across, &steps), [Some(1.0), Some(2.0)]);
    }
}

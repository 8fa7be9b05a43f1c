//! What a policy itself says of the tokens: log-probability, entropy, surprisal.

use super::{Orientation, Signal, SignalSource, Statistic, TokenClass, TokenValue, Unit, Values};
use crate::trace::{Candidate, Token};

/// Name of the log-probability of each token, in nats.
pub const LOGPROB: &str = "logprob";
/// Name of the entropy of the distribution that each token was drawn from, in nats.
pub const ENTROPY: &str = "entropy";
/// Name of the log-probability weighted towards digits: summed over a step it is the digits' sum plus a tenth of the sum.
pub const SURPRISAL: &str = "surprisal";

/// Weight of every token in the surprisal, beside 1 for a digit.
const BESIDE_DIGITS: f32 = 0.1;

/// The signals that a candidate's policy tokens give; those of which no token has a value are left out.
pub fn policy_signals(candidate: &Candidate) -> Vec<Signal> {
    let column = |name: &str, orientation, statistic, value: &dyn Fn(&Token) -> Option<f32>| {
        let values = candidate.tokens.iter().map(|t| TokenValue { span: t.span, value: value(t).unwrap_or(f32::NAN) }).collect();
        let signal = Signal::new(name, SignalSource::Policy, Values::Tokens(values));
        Some(Signal { orientation, unit: Unit::Nats, statistic, ..signal }).filter(Signal::has_values)
    };
    let weight = |t: &Token| BESIDE_DIGITS + if TokenClass::Digits.holds(t.span.of(&candidate.text)) { 1.0 } else { 0.0 };
    [
        column(LOGPROB, Orientation::High, Statistic::Sum, &|t| t.logprob),
        column(ENTROPY, Orientation::Low, Statistic::Sum, &|t| t.entropy),
        column(SURPRISAL, Orientation::High, Statistic::Sum, &|t| Some(t.logprob? * weight(t))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Granularity, Span, segment};

    #[test]
    fn surprisal_is_the_digits_sum_and_a_tenth_of_the_sum() {
        let text = "a 12";
        let token = |start, end, logprob| Token { id: None, span: Span::new(start, end), logprob: Some(logprob), entropy: None };
        let candidate = Candidate {
            text: text.into(),
            steps: segment(text, &"line".parse().unwrap()),
            tokens: vec![token(0, 1, -1.0), token(1, 3, -4.0), token(3, 4, -3.0)],
            ..Candidate::default()
        };
        let signals = policy_signals(&candidate);
        assert_eq!(signals.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), [LOGPROB, SURPRISAL], "no token has an entropy");
        let steps = signals[1].step_values(TokenClass::All, Statistic::Sum, Granularity::Dense, text, &candidate.steps);
        assert!((steps[0].unwrap() - (-7.0 - 0.8)).abs() < 1e-6, "{steps:?}");
        assert!(policy_signals(&Candidate::default()).is_empty());
    }
}

//! How long a step is and where it stands: what a detector must beat, since it knows nothing of the content.

use super::Check;
use crate::trace::{Candidate, Orientation, Signal, SignalSource, Step, Unit, Values, step_of_each};

/// Name of the signal: the policy's tokens in the step.
pub const TOKENS: &str = "check:tokens";
/// Name of the signal: the characters of the step.
pub const CHARACTERS: &str = "check:characters";
/// Name of the signal: the digits of the step.
pub const DIGITS: &str = "check:digits";
/// Name of the signal: the step's place among the steps, from 1.
pub const POSITION: &str = "check:position";

/// How long each step is and where it stands.
pub(super) const CHECK: Check = Check { names: &[TOKENS, CHARACTERS, DIGITS, POSITION], signals };

/// Counts in a step, low ones good: long steps and late ones deviate more often. The tokens only where the candidate has the policy's.
fn signals(candidate: &Candidate) -> Vec<Signal> {
    if candidate.steps.is_empty() {
        return Vec::new();
    }
    let count = |name: &str, values: Vec<usize>| Signal {
        orientation: Orientation::Low,
        unit: Unit::Count,
        ..Signal::new(name, SignalSource::Check, Values::Steps(values.into_iter().map(|v| Some(v as f32)).collect()))
    };
    let each = |of: &dyn Fn(&str) -> usize| candidate.steps.iter().map(|s: &Step| of(s.span.of(&candidate.text))).collect();
    let mut signals = vec![
        count(CHARACTERS, each(&|text| text.chars().count())),
        count(DIGITS, each(&|text| text.bytes().filter(u8::is_ascii_digit).count())),
        count(POSITION, (1..=candidate.steps.len()).collect()),
    ];
    if !candidate.tokens.is_empty() {
        let mut tokens = vec![0; candidate.steps.len()];
        for step in step_of_each(candidate.tokens.iter().map(|t| t.span), &candidate.steps) {
            tokens[step] += 1;
        }
        signals.insert(0, count(TOKENS, tokens));
    }
    signals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Span, Token, segment};

    #[test]
    fn steps_are_counted() {
        let text = "é 12\nb 3";
        let mut candidate = Candidate { text: text.into(), steps: segment(text, &"line".parse().unwrap()), ..Candidate::default() };
        let values = |c: &Candidate| signals(c).into_iter().map(|s| (s.name, s.values)).collect::<Vec<_>>();
        let steps = |a: f32, b: f32| Values::Steps(vec![Some(a), Some(b)]);
        let plain = vec![(CHARACTERS.into(), steps(4.0, 3.0)), (DIGITS.into(), steps(2.0, 1.0)), (POSITION.into(), steps(1.0, 2.0))];
        assert_eq!(values(&candidate), plain);
        candidate.tokens = [(0, 2), (2, 5), (5, 7), (7, 9)].map(|(a, b)| Token { span: Span::new(a, b), ..Token::default() }).into();
        assert_eq!(values(&candidate)[0], (TOKENS.into(), steps(2.0, 2.0)), "a token belongs to the step of its last byte");
        assert!(signals(&candidate).iter().all(|s| s.orientation == Orientation::Low));
    }
}

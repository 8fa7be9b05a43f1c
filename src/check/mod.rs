//! Judgements of a candidate by rule, which need no model: signals, and lints.
//!
//! To add a signal, write a file with a [`Check`] and put it into [`ALL`]; whatever ranks, colours, marks, writes and reports
//! signals does so with it too.

pub mod equations;
mod length;
pub mod lint;

pub use equations::{EQUATIONS, Equation};
pub use length::{CHARACTERS, DIGITS, POSITION, TOKENS};

use crate::trace::{Candidate, Signal};
use std::borrow::Cow;

/// A check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The names of its signals.
    pub names: &'static [&'static str],
    /// The signals that it has for a candidate, none where it can say nothing.
    pub signals: fn(&Candidate) -> Vec<Signal>,
}

/// Every check.
pub const ALL: [Check; 2] = [equations::CHECK, length::CHECK];

/// The signals of every check for a candidate, by its text, steps and tokens as they are now.
pub fn signals(candidate: &Candidate) -> Vec<Signal> {
    ALL.iter().flat_map(|check| (check.signals)(candidate)).collect()
}

/// Every signal of a candidate: the stored ones, those that the policy's tokens give, and the checks'. A stored signal stands before a derived one of its
/// name. What ranks, colours, marks, evaluates or writes signals loops over these.
pub fn all_signals(candidate: &Candidate) -> Vec<Cow<'_, Signal>> {
    let mut all = candidate.all_signals();
    let derived: Vec<Signal> = signals(candidate).into_iter().filter(|s| candidate.signal(&s.name).is_none()).collect();
    all.extend(derived.into_iter().map(Cow::Owned));
    all
}

/// Whether a check has a signal of this name.
pub fn makes(name: &str) -> bool {
    ALL.iter().any(|check| check.names.contains(&name))
}

/// The signal of this name among all; a check runs only where no other signal has its name.
pub fn find<'a>(candidate: &'a Candidate, name: &str) -> Option<Cow<'a, Signal>> {
    let made = |check: &Check| (check.signals)(candidate).into_iter().find(|s| s.name == name).map(Cow::Owned);
    candidate.named(name).or_else(|| ALL.iter().find(|check| check.names.contains(&name)).and_then(made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{SignalSource, Values, segment};
    use std::collections::HashSet;

    #[test]
    fn every_check_speaks_of_steps_under_a_name_of_its_own() {
        let text = "First, 3 * 4 = 12.\nThen 12 + 1 = 14.\nSo it is.";
        let candidate = Candidate { text: text.into(), steps: segment(text, &"line".parse().unwrap()), ..Candidate::default() };
        let signals = signals(&candidate);
        let names: HashSet<&str> = signals.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names.len(), signals.len());
        assert!([EQUATIONS, CHARACTERS, DIGITS, POSITION].iter().all(|n| names.contains(n)), "{names:?}");
        for signal in &signals {
            assert!(makes(&signal.name), "{} is in no list of names", signal.name);
            assert_eq!(signal.source, SignalSource::Check, "{}", signal.name);
            assert!(matches!(&signal.values, Values::Steps(v) if v.len() == 3), "{}", signal.name);
        }
        assert_eq!(signals[0].values, Values::Steps(vec![Some(0.0), Some(-1.0), None]));
    }

    #[test]
    fn a_stored_signal_stands_before_a_check_of_its_name() {
        let text = "1 + 1 = 3";
        let mut candidate = Candidate { text: text.into(), steps: segment(text, &"line".parse().unwrap()), ..Candidate::default() };
        candidate.put_signal(Signal::given_steps(EQUATIONS, vec![Some(0.5)]));
        let all = all_signals(&candidate);
        assert_eq!(all.iter().filter(|s| s.name == EQUATIONS).count(), 1);
        assert_eq!(all[0].values, Values::Steps(vec![Some(0.5)]));
        assert!(all.iter().any(|s| s.name == CHARACTERS));
        assert_eq!(find(&candidate, EQUATIONS).map(|s| s.values.clone()), Some(Values::Steps(vec![Some(0.5)])));
        assert!(find(&candidate, DIGITS).is_some() && find(&candidate, "none").is_none());
    }

    #[test]
    fn nothing_is_said_of_no_text() {
        assert_eq!(signals(&Candidate::default()), []);
    }
}

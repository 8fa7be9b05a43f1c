//! Whether a model has learned on such text as it judges.

use crate::trace::{Candidate, Signal};
use serde::{Deserialize, Serialize};

/// One number about a text, and the least of it that is ordinary for the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The text's; `None` where it is too short to tell.
    #[serde(default)]
    pub value: Option<f32>,
    /// A text below it is outside.
    pub limit: f32,
}

impl Measure {
    fn is_outside(self) -> bool {
        self.value.is_some_and(|v| v < self.limit)
    }
}

/// What a reward model finds of a candidate beside what it finds of text of its own task: by it a verdict is given or withheld.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Domain {
    /// The task that the model has learned.
    pub task: String,
    /// Mean log-probability of the problem's tokens under the model's own decoder, in nats.
    pub problem: Measure,
    /// The same of the candidate's tokens.
    pub text: Measure,
    /// Share of the tokens of both that the task's own texts have.
    pub vocabulary: Measure,
    /// The chance that a trace of the model's own task lies outside.
    #[serde(default)]
    pub false_alarm_rate: f32,
}

impl Domain {
    /// Whether one of the numbers is not ordinary.
    pub fn is_outside(&self) -> bool {
        [self.problem, self.text, self.vocabulary].into_iter().any(Measure::is_outside)
    }

    /// The number that is not ordinary, for people; `None` where all are.
    pub fn why(&self) -> Option<String> {
        let nats = |what: &str, m: Measure| {
            m.value.filter(|_| m.is_outside()).map(|v| format!("{what} {:.1} nats a token, its own {:.1} at most", -v, -m.limit))
        };
        let known = || {
            let m = self.vocabulary;
            m.value
                .filter(|_| m.is_outside())
                .map(|v| format!("{:.0} % of the tokens known, of its own {:.0} % at least", v * 100.0, m.limit * 100.0))
        };
        nats("problem", self.problem).or_else(|| nats("text", self.text)).or_else(known)
    }
}

/// Whether a trace lies outside of what the model of a signal has learned: more than half of the candidates do of which that is known. One of them that does, as
/// an example of why; `None` where it lies inside, or nothing is known.
pub fn outside<'a>(candidates: &'a [Candidate], signal: &str) -> Option<&'a Domain> {
    let known = || candidates.iter().filter_map(|c| c.signal(signal)?.domain.as_ref());
    let out = known().filter(|d| d.is_outside()).count();
    known().find(|d| d.is_outside()).filter(|_| 2 * out > known().count())
}

/// The signals of a trace whose models have learned on other text, each once, with [`outside`]'s example.
pub fn all_outside(candidates: &[Candidate]) -> Vec<(String, Domain)> {
    let mut out: Vec<(String, Domain)> = Vec::new();
    for signal in candidates.iter().flat_map(|c| &c.signals).filter(|s: &&Signal| s.domain.is_some()) {
        if !out.iter().any(|(name, _)| *name == signal.name)
            && let Some(domain) = outside(candidates, &signal.name)
        {
            out.push((signal.name.clone(), domain.clone()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::REWARD;

    fn measure(value: f32, limit: f32) -> Measure {
        Measure { value: Some(value), limit }
    }

    fn domain(problem: f32) -> Domain {
        let (text, vocabulary) = (Measure { value: None, limit: -1.0 }, measure(0.95, 0.9));
        Domain { task: "stories".into(), problem: measure(problem, -1.25), text, vocabulary, false_alarm_rate: 0.01 }
    }

    #[test]
    fn one_number_beyond_its_limit_is_enough_and_none_says_nothing() {
        assert!(!domain(-1.25).is_outside() && domain(-1.25).why().is_none());
        assert_eq!(domain(-6.0).why().as_deref(), Some("problem 6.0 nats a token, its own 1.2 at most"));
        let strange = Domain { vocabulary: measure(0.5, 0.9), ..domain(-1.0) };
        assert!(strange.is_outside());
        assert_eq!(strange.why().as_deref(), Some("50 % of the tokens known, of its own 90 % at least"));
        let read: Domain = serde_json::from_str(&serde_json::to_string(&domain(-6.0)).unwrap()).unwrap();
        assert_eq!(read, domain(-6.0));
    }

    #[test]
    fn a_trace_lies_where_most_of_its_candidates_do() {
        let candidate = |problem: Option<f32>| {
            let signal = Signal { domain: problem.map(domain), ..Signal::reward("m", Vec::new()) };
            Candidate { signals: vec![signal], ..Candidate::default() }
        };
        let of = |problems: &[Option<f32>]| {
            let candidates: Vec<Candidate> = problems.iter().map(|p| candidate(*p)).collect();
            (outside(&candidates, REWARD).is_some(), all_outside(&candidates).len())
        };
        assert_eq!(of(&[Some(-6.0), Some(-1.0)]), (false, 0), "half is not most");
        assert_eq!(of(&[Some(-6.0), Some(-1.0), Some(-7.0), None]), (true, 1));
        assert_eq!(of(&[None, None]), (false, 0));
    }
}

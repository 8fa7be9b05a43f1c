//! Which signals a candidate has, and which readings of each make sense: the one place that decides it for all of evaluation.

use crate::check;
use crate::trace::{Candidate, Orientation, SURPRISAL, Signal, SignalSource, Statistic, TokenClass, Unit, Values};
use std::borrow::Cow;

/// Name of the log-probability of the candidate's tokens under the reward model's own decoder, without its head.
pub const LIKELIHOOD: &str = "likelihood";
/// How the tokens of a signal become a step: which tokens count, and the statistic. One of neither for a signal of steps or of the whole candidate, whose
/// values are what they are.
///
/// A reward adds up, is averaged, or is as low as its lowest or as its last token; a log-probability, the same of the digits alone, which is where
/// arithmetic goes wrong; an entropy adds up, is averaged or is as high as its highest; what is weighted by digits already adds up alone.
pub fn readings_of(signal: &Signal) -> &'static [(TokenClass, Option<Statistic>)] {
    use Statistic::{Last, Max, Mean, Min, Sum};
    use TokenClass::{All, Digits};
    const REWARDS: &[(TokenClass, Option<Statistic>)] = &[(All, Some(Sum)), (All, Some(Mean)), (All, Some(Min)), (All, Some(Last))];
    const LOGPROBS: &[(TokenClass, Option<Statistic>)] =
        &[(All, Some(Sum)), (All, Some(Mean)), (All, Some(Min)), (Digits, Some(Sum)), (Digits, Some(Min))];
    const HIGH_IS_BAD: &[(TokenClass, Option<Statistic>)] = &[(All, Some(Sum)), (All, Some(Mean)), (All, Some(Max))];
    const WEIGHTED: &[(TokenClass, Option<Statistic>)] = &[(All, Some(Sum))];
    const AS_IT_IS: &[(TokenClass, Option<Statistic>)] = &[(All, None)];
    match (&signal.values, signal.orientation) {
        (Values::Steps(_) | Values::Candidate(_), _) => AS_IT_IS,
        _ if signal.name == SURPRISAL => WEIGHTED,
        (_, Orientation::Low) => HIGH_IS_BAD,
        _ if signal.source == SignalSource::Policy && signal.unit == Unit::Nats => LOGPROBS,
        _ => REWARDS,
    }
}

/// The statistic that stands for a signal where nobody chose one: its own where it is among its readings.
pub fn main_statistic(signal: &Signal) -> Option<Statistic> {
    let readings = readings_of(signal);
    let own = readings.iter().find(|r| r.0 == TokenClass::All && r.1 == Some(signal.statistic));
    own.or(readings.first()).and_then(|r| r.1)
}

/// Everything that judges a candidate and has a value, but for people's labels, which are what the others are held against.
pub fn signals(candidate: &Candidate) -> Vec<Cow<'_, Signal>> {
    let mut all = check::all_signals(candidate);
    all.retain(|s| s.has_values() && s.source != SignalSource::Person);
    all
}

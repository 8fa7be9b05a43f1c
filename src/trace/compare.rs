//! Candidates of a problem side by side: their scores and ranks.

use super::{Aggregation, Candidate, Granularity, Reading, Signal, SignalSource, Unit};
use std::collections::HashMap;

/// One score a candidate by a reading of one of its signals, high is good: its steps' values aggregated, or the value of the whole. `None` where a candidate
/// has no such signal or the signal no value.
pub fn candidate_scores(
    candidates: &[Candidate],
    reading: &Reading,
    granularity: Granularity,
    aggregation: Aggregation,
) -> Vec<Option<f32>> {
    let score = |c: &Candidate| {
        let signal = c.named(&reading.signal)?;
        let steps = c.step_values(&signal, reading, granularity);
        Some(signal.orientation.turn(signal.candidate_value(aggregation, &steps)?))
    };
    candidates.iter().map(score).collect()
}

/// Candidate indices, best first. Equal scores keep their order; candidates without a score (or with NaN) come last.
pub fn rank(scores: &[Option<f32>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let key = |i: usize| scores[i].filter(|s| !s.is_nan());
    order.sort_by(|&a, &b| match (key(a), key(b)) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    order
}

/// Each candidate's place, 1 for the best; equal scores share a place; `None` where there is no score.
pub fn ranks(scores: &[Option<f32>]) -> Vec<Option<usize>> {
    let mut known: Vec<f32> = scores.iter().flatten().copied().filter(|s| !s.is_nan()).collect();
    known.sort_by(f32::total_cmp);
    let place = |s: f32| 1 + known.len() - known.partition_point(|o| *o <= s);
    scores.iter().map(|s| s.filter(|s| !s.is_nan()).map(place)).collect()
}

/// Whether the candidates agree on what each number of the file is. A value a step is taken for a probability where all of a candidate's lie in 0 to 1, so
/// the candidates of a problem may differ.
pub(crate) fn units_agree(candidates: &[Candidate]) -> bool {
    let units = units_of_all(candidates);
    candidates.iter().flat_map(of_file).all(|s| units.get(&s.name) == Some(&s.unit))
}

/// Makes a number of the file one thing in all candidates: what it is in none is not known for sure, so it is [`Unit::Unknown`] in all.
pub(crate) fn settle_units(candidates: &mut [Candidate]) {
    if units_agree(candidates) {
        return;
    }
    let units = units_of_all(candidates);
    for signal in candidates.iter_mut().flat_map(|c| &mut c.signals).filter(|s| s.source == SignalSource::File) {
        signal.unit = units.get(&signal.name).copied().unwrap_or_default();
    }
}

fn of_file(candidate: &Candidate) -> impl Iterator<Item = &Signal> {
    candidate.signals.iter().filter(|s| s.source == SignalSource::File)
}

/// What each number of the file is in all candidates that have it.
fn units_of_all(candidates: &[Candidate]) -> HashMap<String, Unit> {
    let mut units: HashMap<String, Unit> = HashMap::new();
    for signal in candidates.iter().flat_map(of_file) {
        match units.get_mut(&signal.name) {
            Some(unit) if *unit != signal.unit => *unit = Unit::Unknown,
            Some(_) => {}
            None => {
                units.insert(signal.name.clone(), signal.unit);
            }
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{LABEL, Orientation, Segmentation, Span, TokenValue, default_signal, segment};

    fn candidate(text: &str, answer: Option<&str>) -> Candidate {
        Candidate { text: text.into(), steps: segment(text, &Segmentation::Line), answer: answer.map(Into::into), ..Candidate::default() }
    }

    #[test]
    fn ranks_follow_scores_and_leave_the_unknown_last() {
        let scores = [Some(1.0), None, Some(3.0), Some(f32::NAN), Some(1.0), Some(f32::NEG_INFINITY)];
        assert_eq!(rank(&scores), [2, 0, 4, 5, 1, 3]);
        assert_eq!(ranks(&scores), [Some(2), None, Some(1), None, Some(2), Some(4)]);
    }

    #[test]
    fn scores_are_of_the_signal_that_is_asked_for() {
        let value = |start, end, value| TokenValue { span: Span::new(start, end), value };
        let mut a = candidate("x\ny", None).with_rewards(vec![value(0, 1, 1.0), value(2, 3, -3.0)]);
        a.put_signal(Signal::given("score", 9.0));
        let mut b = candidate("x\ny", None);
        b.put_signal(Signal::given("score", 0.5));
        let mut c = candidate("x\ny", None);
        c.put_signal(Signal { orientation: Orientation::Low, ..Signal::given_steps("given", vec![Some(0.25), None]) });
        let all = [a, b, c, candidate("x", None)];
        let scores = |signal: &str, granularity, aggregation| candidate_scores(&all, &signal.parse().unwrap(), granularity, aggregation);
        assert_eq!(scores("reward.min", Granularity::Dense, Aggregation::Mean), [Some(-1.0), None, None, None]);
        assert_eq!(scores("reward.min", Granularity::Dense, Aggregation::Min)[0], Some(-3.0));
        assert_eq!(scores("reward.min", Granularity::Sparse, Aggregation::Mean)[0], Some(-3.0));
        assert_eq!(scores("score", Granularity::Dense, Aggregation::Mean), [Some(9.0), Some(0.5), None, None]);
        assert_eq!(scores("given", Granularity::Dense, Aggregation::Mean), [None, None, Some(-0.25), None], "high is good");
        let doubts = Signal { orientation: Orientation::Low, ..Signal::given_steps("doubt", vec![Some(1.0), Some(5.0)]) };
        let mut d = candidate("x\ny", None);
        d.put_signal(doubts);
        let worst = candidate_scores(&[d], &"doubt".parse().unwrap(), Granularity::Dense, Aggregation::Min);
        assert_eq!(worst, [Some(-5.0)], "the least good step is the one of most doubt");
        let mut labelled = candidate("x\ny", None);
        (labelled.steps[0].label, labelled.steps[1].label) = (Some(1.0), Some(0.0));
        let by = labelled.named(LABEL).unwrap();
        assert_eq!((by.source.clone(), by.unit), (SignalSource::Person, Unit::Probability));
        assert_eq!(candidate_scores(&[labelled], &LABEL.parse().unwrap(), Granularity::Dense, Aggregation::Mean), [Some(0.5)]);
        assert_eq!(default_signal(&all), Some("score"), "what the file says stands first");
        assert_eq!((default_signal(&all[3..]), default_signal(&[])), (None, None));
    }

    #[test]
    fn a_number_of_the_file_is_one_thing_in_all_candidates() {
        let of = |name: &str, value: f32| Signal::given_steps(name, vec![Some(value)]);
        let with = |signals: Vec<Signal>| Candidate { signals, ..candidate("x", None) };
        let mut both = [with(vec![of("a", 0.5), of("b", 0.5)]), with(vec![of("a", 1.5), of("b", 1.0)])];
        let units = |c: &Candidate| c.signals.iter().map(|s| s.unit).collect::<Vec<_>>();
        assert_eq!((units(&both[0]), units_agree(&both)), (vec![Unit::Probability, Unit::Probability], false));
        settle_units(&mut both);
        assert!(both.iter().all(|c| units(c) == [Unit::Unknown, Unit::Probability]) && units_agree(&both), "1.5 is no probability");
    }
}

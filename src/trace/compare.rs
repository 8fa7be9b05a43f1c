//! Candidates of a problem side by side: ranks, and where they part.

use super::{Aggregation, Candidate, Granularity, Reading};

/// One score a candidate by a reading of one of its signals, high is good: its steps' values aggregated, or the value of the whole. `None` where a candidate
/// has no such signal or the signal no value.
pub fn candidate_scores(
    candidates: &[Candidate],
    reading: &Reading,
    granularity: Granularity,
    aggregation: Aggregation,
) -> Vec<Option<f32>> {
    let score = |c: &Candidate| {
        let all = c.all_signals();
        let signal = all.iter().find(|s| s.name == reading.signal)?;
        let steps = c.step_values(signal, reading, granularity);
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
    scores.iter().map(|s| s.filter(|s| !s.is_nan()).map(|s| 1 + scores.iter().flatten().filter(|o| **o > s).count())).collect()
}

/// Where two candidates part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Number of leading steps they share; the next step is the first that differs (or one of the two has none).
    pub step: usize,
    /// Byte in the first candidate's text at which that step's texts part.
    pub left: usize,
    /// The same in the second candidate's text.
    pub right: usize,
}

/// Where two candidates part, `None` where all their steps agree. Steps are compared by their words; differences in whitespace do not count.
pub fn divergence(left: &Candidate, right: &Candidate) -> Option<Divergence> {
    let step = shared(left, right);
    if step == left.steps.len() && step == right.steps.len() {
        return None;
    }
    let ((left_start, a), (right_start, b)) = (step_at(left, step), step_at(right, step));
    let common: usize = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
    Some(Divergence { step, left: left_start + common, right: right_start + common })
}

/// Start and text of a step; the end of the text where there is none.
fn step_at(candidate: &Candidate, step: usize) -> (usize, &str) {
    let text = &candidate.text;
    candidate.steps.get(step).map_or((text.len(), ""), |s| (s.span.start, s.span.of(text)))
}

/// Number of leading steps that all the candidates share; all of its steps for a single one, 0 for none.
pub fn common_steps(candidates: &[Candidate]) -> usize {
    let Some((first, rest)) = candidates.split_first() else { return 0 };
    rest.iter().map(|c| shared(first, c)).min().unwrap_or(first.steps.len())
}

fn shared(a: &Candidate, b: &Candidate) -> usize {
    a.steps
        .iter()
        .zip(&b.steps)
        .take_while(|(x, y)| x.kind == y.kind && x.span.of(&a.text).split_whitespace().eq(y.span.of(&b.text).split_whitespace()))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Orientation, Segmentation, Signal, Span, Step, TokenValue, default_signal, segment};

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
        assert_eq!(default_signal(&all), Some("score"), "what the file says stands first");
        assert_eq!((default_signal(&all[3..]), default_signal(&[])), (None, None));
    }

    #[test]
    fn candidates_part_at_a_step_and_a_byte() {
        let a = candidate("one  two\nthrée = 3\nend", None);
        let b = candidate("one two\nthréé = 4", None);
        assert_eq!(divergence(&a, &b), Some(Divergence { step: 1, left: 9 + 5, right: 8 + 5 }));
        assert_eq!(divergence(&a, &a), None);
        let shorter = candidate("one two", None);
        assert_eq!(divergence(&a, &shorter), Some(Divergence { step: 1, left: 9, right: 7 }));
        assert_eq!(common_steps(&[a.clone(), b, a.clone()]), 1);
        assert_eq!((common_steps(&[]), common_steps(std::slice::from_ref(&a))), (0, 3));
        let mut other = a.clone();
        other.steps[0] = Step { kind: crate::trace::StepKind::Answer, ..other.steps[0] };
        assert_eq!(common_steps(&[a, other]), 0);
    }
}

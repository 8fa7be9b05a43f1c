//! Lints that hold candidates of one problem against each other.

use super::{Code, Lint, Severity};
use crate::trace::{Aggregation, Candidate, Granularity, Reading, candidate_scores, default_signal};
use std::collections::HashMap;

/// Findings about a group of candidates, those about one of them with its index.
pub fn lint_group(candidates: &[Candidate]) -> Vec<Lint> {
    let mut out = Vec::new();
    if candidates.len() < 2 {
        return out;
    }
    answers(candidates, &mut out);
    lengths(candidates, &mut out);
    let whole = |severity, code, message| Lint { severity, code, message, candidate: None };

    let reading = default_signal(candidates).map(Reading::of);
    let of = |r: &Reading| candidate_scores(candidates, r, Granularity::Dense, Aggregation::Mean);
    let scores: Vec<f32> = reading.iter().flat_map(of).flatten().collect();
    if scores.len() >= 2 && scores.windows(2).all(|w| w[0] == w[1]) {
        let message =
            format!("all {} candidates with a reward have the same, {}; it ranks nothing and trains nothing", scores.len(), scores[0]);
        out.push(whole(Severity::Warning, Code::FlatGroup, message));
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for c in candidates.iter().filter(|c| !c.text.is_empty()) {
        *seen.entry(c.text.trim()).or_default() += 1;
    }
    let copies: usize = seen.values().filter(|&&n| n > 1).sum();
    if copies > 0 {
        let message = format!("{copies} of {} candidates repeat another's text; votes count them separately", candidates.len());
        out.push(whole(Severity::Note, Code::Duplicates, message));
    }
    out
}

fn answers(candidates: &[Candidate], out: &mut Vec<Lint>) {
    let has = |c: &Candidate| c.answer.as_deref().is_some_and(|a| !a.trim().is_empty());
    if !candidates.iter().any(has) {
        return;
    }
    // a candidate that still grows may yet answer, but one whose neighbours are recorded never will
    let grows = candidates.iter().any(|c| c.finish.is_some());
    for (i, c) in candidates.iter().enumerate().filter(|(_, c)| !has(c) && (c.finish.is_some() || !grows)) {
        let what = if c.answer.is_some() { "its answer is empty" } else { "no answer was found in it" };
        out.push(Lint {
            severity: Severity::Warning,
            code: Code::MissingAnswer,
            message: format!("{what}; it does not vote"),
            candidate: Some(i),
        });
    }
}

/// Marks lengths more than five median absolute deviations (at least half the median) from the median, in groups of five or more that have ended.
fn lengths(candidates: &[Candidate], out: &mut Vec<Lint>) {
    let done = candidates.iter().all(|c| c.finish.is_some()) || candidates.iter().all(|c| c.finish.is_none());
    if candidates.len() < 5 || !done {
        return;
    }
    let length: Vec<f64> = candidates.iter().map(|c| c.text.chars().count() as f64).collect();
    let middle = median(length.clone());
    let spread = median(length.iter().map(|l| (l - middle).abs()).collect());
    for (i, l) in length.iter().enumerate() {
        if (l - middle).abs() > (5.0 * spread).max(0.5 * middle).max(20.0) {
            let message = format!("{l} characters, the group's median is {middle}");
            out.push(Lint { severity: Severity::Note, code: Code::LengthOutlier, message, candidate: Some(i) });
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match (values.get(n / 2), values.get(n.saturating_sub(1) / 2)) {
        (Some(a), Some(b)) => (a + b) / 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::lint::lint;
    use crate::trace::{FinishReason, Span, Step, TokenValue, Trace};

    fn candidate(text: &str, answer: Option<&str>, value: f32) -> Candidate {
        let span = Span::new(0, text.len());
        Candidate {
            text: text.into(),
            steps: vec![Step { span, ..Step::default() }],
            answer: answer.map(Into::into),
            ..Candidate::default()
        }
        .with_rewards(vec![TokenValue { span, value }])
    }

    fn codes(candidates: &[Candidate]) -> Vec<(Code, Option<usize>)> {
        lint_group(candidates).into_iter().map(|l| (l.code, l.candidate)).collect()
    }

    #[test]
    fn a_group_with_spread_has_no_findings() {
        assert_eq!(codes(&[candidate("a", Some("1"), 1.0), candidate("b", Some("2"), 2.0)]), []);
        assert_eq!(codes(&[candidate("a", None, 1.0)]), []);
    }

    #[test]
    fn flat_rewards_and_copies_are_found() {
        let group = [candidate("a", None, 1.0), candidate("a ", None, 1.0), candidate("b", None, 1.0)];
        assert_eq!(codes(&group), [(Code::FlatGroup, None), (Code::Duplicates, None)]);
    }

    #[test]
    fn answers_are_missed_only_where_others_have_one() {
        let mut group = [candidate("a", Some("1"), 1.0), candidate("b", None, 2.0), candidate("c", Some(" "), 3.0)];
        assert_eq!(codes(&group), [(Code::MissingAnswer, Some(1)), (Code::MissingAnswer, Some(2))]);
        group[0].finish = Some(FinishReason::Stop);
        group[2].finish = Some(FinishReason::Stop);
        assert_eq!(codes(&group), [(Code::MissingAnswer, Some(2))]);
    }

    #[test]
    fn a_length_far_from_the_others_is_marked() {
        let text = |n: usize| format!("{n}{}", "x".repeat(n));
        let mut group: Vec<Candidate> =
            [100, 110, 95, 105, 900].iter().enumerate().map(|(i, &n)| candidate(&text(n), None, i as f32)).collect();
        assert_eq!(codes(&group), [(Code::LengthOutlier, Some(4))]);
        group[0].finish = Some(FinishReason::Stop);
        assert_eq!(codes(&group), []);
    }

    #[test]
    fn the_gravest_come_first() {
        let mut bad = candidate("b", None, f32::NAN);
        bad.finish = Some(FinishReason::Length);
        let trace = Trace { candidates: vec![candidate("a", Some("1"), 1.0), bad], ..Trace::default() };
        let found: Vec<_> = lint(&trace).into_iter().map(|l| (l.severity, l.code, l.candidate)).collect();
        assert_eq!(found[0], (Severity::Error, Code::BadReward, Some(1)));
        assert!(found.windows(2).all(|w| w[0].0 >= w[1].0));
        assert!(found.contains(&(Severity::Warning, Code::MissingAnswer, Some(1))));
    }
}

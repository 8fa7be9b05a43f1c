//! Numbers a step, and the steps that they are of.

use crate::trace::{Candidate, Segmentation, Span, Step, StepKind, segment};

/// Makes the candidate's steps those that so many values are of, where one of the ways in which such values are made gives as many; false where none does.
///
/// Reward models are fed a text cut at blank lines or at lines, empty pieces with or without, whatever the text would be cut at here.
pub fn fit(candidate: &mut Candidate, count: usize) -> bool {
    if candidate.steps.len() == count {
        return true;
    }
    let labelled = candidate.steps.iter().any(|s| s.label.is_some()) || candidate.signals.iter().any(crate::trace::Signal::has_steps);
    if labelled || count == 0 || candidate.text.is_empty() {
        return false;
    }
    let text = &candidate.text;
    let ways = [Segmentation::BlankLine, Segmentation::Line, Segmentation::StepMarker, Segmentation::Sentence];
    let cut = ways.iter().map(|way| segment(text, way)).chain(["\n\n", "\n"].map(|mark| pieces(text, mark)));
    match cut.into_iter().find(|steps| steps.len() == count) {
        Some(steps) => {
            candidate.steps = steps;
            true
        }
        None => false,
    }
}

/// The pieces between marks, empty ones too; each keeps the kind of the text it is in.
fn pieces(text: &str, mark: &str) -> Vec<Step> {
    let known = segment(text, &Segmentation::Line);
    let mut at = 0;
    let mut out = Vec::new();
    for piece in text.split(mark) {
        let lead = piece.len() - piece.trim_start().len();
        let start = at + if piece.trim().is_empty() { 0 } else { lead };
        let span = Span::new(start, start + piece.trim().len());
        let after = known.partition_point(|s| s.span.end <= span.start);
        let kind = known.get(after).map_or(StepKind::Reasoning, |s| s.kind);
        out.push(Step { span, kind, label: None });
        at += piece.len() + mark.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_that_the_values_are_of() {
        let text = "a is 1.\nb is 2.\n\nc is 3.\n\n\n\nd is 4. e is 5.";
        let of = |count| {
            let mut c = Candidate { text: text.into(), steps: segment(text, &Segmentation::Auto), ..Candidate::default() };
            let fits = fit(&mut c, count);
            (fits, c.steps.iter().map(|s| s.span.of(text).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of(3).1, ["a is 1.\nb is 2.", "c is 3.", "d is 4. e is 5."]);
        assert_eq!(of(4).1, ["a is 1.", "b is 2.", "c is 3.", "d is 4. e is 5."], "some way or other");
        assert_eq!(of(8).1.len(), 8, "empty lines count too");
        assert!(!of(6).0 && !of(0).0);
    }
}

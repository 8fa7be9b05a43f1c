//! The texts and labels of a candidate's steps, for formats that list steps.

use crate::trace::{Candidate, GoldDeviation, Trace};

/// The texts of the steps. Joined by `separator` they are the candidate's text where that can be, outer whitespace included; else each is its step's text
/// alone, so that the spacing between steps and what stands outside of them is left out.
pub(super) fn pieces<'a>(c: &'a Candidate, separator: &str) -> Vec<&'a str> {
    if c.steps.is_empty() {
        return if c.text.trim().is_empty() { Vec::new() } else { vec![&c.text] };
    }
    cut(c, separator).unwrap_or_else(|| bare(c))
}

/// The text of every step without outer whitespace.
pub(super) fn bare(c: &Candidate) -> Vec<&str> {
    c.steps.iter().map(|s| s.span.of(&c.text).trim()).collect()
}

/// The text cut at the first separator behind each step; `None` where there is none, or where something stands outside of the steps.
fn cut<'a>(c: &'a Candidate, separator: &str) -> Option<Vec<&'a str>> {
    let mut out = Vec::with_capacity(c.steps.len());
    let mut start = 0;
    for i in 0..=c.steps.len() {
        let before = i.checked_sub(1).map_or(0, |i| c.steps[i].span.end);
        let after = c.steps.get(i).map_or(c.text.len(), |s| s.span.start);
        let gap = c.text.get(before..after)?;
        if !gap.trim().is_empty() {
            return None;
        }
        if i > 0 && i < c.steps.len() {
            // A step of nothing begins where its piece does.
            let at = if before < after && c.steps[i].span.is_empty() { gap.strip_suffix(separator)?.len() } else { gap.find(separator)? };
            let at = before + at;
            out.push(c.text.get(start..at)?);
            start = at + separator.len();
        }
    }
    out.push(c.text.get(start..)?);
    Some(out)
}

/// Whether something other than whitespace stands outside of the steps, as the tags of a thought do.
pub(super) fn has_outside(c: &Candidate) -> bool {
    let ends = std::iter::once(0).chain(c.steps.iter().map(|s| s.span.end));
    let starts = c.steps.iter().map(|s| s.span.start).chain([c.text.len()]);
    !c.steps.is_empty() && ends.zip(starts).any(|(end, start)| c.text.get(end..start).is_some_and(|gap| !gap.trim().is_empty()))
}

/// The labelled first wrong step, or what the labels of single steps say of it where all are known and none is a share.
pub(super) fn first_wrong(trace: &Trace, c: &Candidate) -> Option<GoldDeviation> {
    c.gold.or_else(|| {
        let whole = c.steps.iter().all(|s| s.label.is_some_and(|l| l == l.round()));
        let ratings: Vec<i8> = ratings(trace, c)?.into_iter().collect::<Option<_>>()?;
        let first = ratings.iter().position(|r| *r < 0);
        whole.then(|| first.map_or(GoldDeviation::None, GoldDeviation::Step))
    })
}

/// A rating a step: 1 right, 0 neither, −1 wrong; by the labels or, where no step has one, by the labelled first wrong step, before which steps are right and
/// after which nothing is known. `None` where there is neither.
pub(super) fn ratings(trace: &Trace, c: &Candidate) -> Option<Vec<Option<i8>>> {
    let labelled = c.steps.iter().any(|s| s.label.is_some());
    if !labelled && c.gold.is_none() {
        return None;
    }
    let signed = is_signed(trace, c);
    let own = |l: f32| if signed { i8::from(l > 0.0) - i8::from(l < 0.0) } else { 2 * i8::from(l > 0.5) - 1 };
    let by_gold = |i: usize| match c.gold? {
        GoldDeviation::Step(first) if i == first => Some(-1),
        GoldDeviation::Step(first) if i > first => None,
        _ => (!labelled).then_some(1),
    };
    Some(c.steps.iter().enumerate().map(|(i, s)| s.label.map(own).or_else(|| by_gold(i))).collect())
}

/// Whether labels of 0 are PRM800K's neutral ones: some label of the problem is negative, or the candidate's first wrong step says that 0 is no error.
fn is_signed(trace: &Trace, c: &Candidate) -> bool {
    let negative = || trace.candidates.iter().flat_map(|c| &c.steps).any(|s| s.label.is_some_and(|l| l < 0.0));
    let zero = || c.steps.iter().position(|s| s.label == Some(0.0));
    let contradicted = || match c.gold {
        Some(GoldDeviation::None) => zero().is_some(),
        Some(GoldDeviation::Step(first)) => zero().is_some_and(|z| z < first),
        None => false,
    };
    negative() || contradicted() || trace.source.as_ref().is_some_and(|s| s.format == "prm800k")
}

/// A label a step for formats that know right and wrong, or shares of right continuations: 0 to 1. What is not labelled is as the first wrong step says: the
/// steps before it are right, it and those behind it are wrong. `None` where a step has no label and the first wrong step is not known.
pub(super) fn shares(trace: &Trace, c: &Candidate) -> Option<Vec<f32>> {
    let signed = is_signed(trace, c);
    let label = |(i, l): (usize, Option<f32>)| match (l, c.gold) {
        (Some(l), _) if signed => Some(f32::from(u8::from(l >= 0.0))),
        (Some(l), _) => Some(l),
        (None, Some(GoldDeviation::None)) => Some(1.0),
        (None, Some(GoldDeviation::Step(first))) => Some(f32::from(u8::from(i < first))),
        (None, None) => None,
    };
    if c.steps.is_empty() {
        return None;
    }
    c.steps.iter().map(|s| s.label).enumerate().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::fields::join_steps;
    use crate::trace::{Segmentation, Step, segment};

    fn candidate(text: &str, labels: &[Option<f32>], gold: Option<GoldDeviation>) -> Candidate {
        let mut steps = segment(text, &Segmentation::Line);
        steps.iter_mut().zip(labels).for_each(|(s, l)| s.label = *l);
        Candidate { text: text.into(), steps, gold, ..Candidate::default() }
    }

    #[test]
    fn pieces_joined_are_the_text_where_that_can_be() {
        for parts in [&[" a ", "", "b\n"][..], &["a"], &["", ""], &["a\n\n", " ", "\tb"], &["é\u{2028}x", "日本"]] {
            let (text, steps) = join_steps(parts, "\n\n");
            let c = Candidate { text: text.clone(), steps: steps.clone(), ..Candidate::default() };
            let again = join_steps(&pieces(&c, "\n\n"), "\n\n");
            assert_eq!(again, (text, steps), "{parts:?}");
        }
        let lines = candidate(" a\nb ", &[], None);
        assert_eq!(pieces(&lines, "\n\n"), ["a", "b"], "the spacing is another one");
        let thought = candidate("<think>\nx\n\ny", &[], None);
        assert!(has_outside(&thought) && !has_outside(&lines));
        assert_eq!(pieces(&thought, "\n\n"), ["x", "y"]);
        assert_eq!(pieces(&Candidate { text: " ".into(), steps: vec![], ..Candidate::default() }, "\n"), Vec::<&str>::new());
    }

    #[test]
    fn labels_and_the_first_wrong_step_stand_for_each_other() {
        let of = |labels: &[Option<f32>], gold| {
            let c = candidate("a\nb\nc", labels, gold);
            let trace = Trace { candidates: vec![c.clone()], ..Trace::default() };
            (ratings(&trace, &c), shares(&trace, &c), first_wrong(&trace, &c))
        };
        let (right, at_1) = (Some(GoldDeviation::None), Some(GoldDeviation::Step(1)));
        assert_eq!(of(&[], None), (None, None, None));
        assert_eq!(of(&[], at_1), (Some(vec![Some(1), Some(-1), None]), Some(vec![1.0, 0.0, 0.0]), at_1));
        assert_eq!(of(&[], right), (Some(vec![Some(1); 3]), Some(vec![1.0; 3]), right));
        let binary = [Some(1.0), Some(0.0), Some(1.0)];
        assert_eq!(of(&binary, None), (Some(vec![Some(1), Some(-1), Some(1)]), Some(vec![1.0, 0.0, 1.0]), at_1));
        let neutral = [Some(1.0), Some(0.0), Some(-1.0)];
        assert_eq!(of(&neutral, None), (Some(vec![Some(1), Some(0), Some(-1)]), Some(vec![1.0, 1.0, 0.0]), Some(GoldDeviation::Step(2))));
        assert_eq!(of(&[Some(1.0), Some(0.0), Some(1.0)], right).0, Some(vec![Some(1), Some(0), Some(1)]), "all right: 0 is neutral");
        assert_eq!(
            of(&[Some(0.75), Some(0.5), Some(0.25)], None),
            (Some(vec![Some(1), Some(-1), Some(-1)]), Some(vec![0.75, 0.5, 0.25]), None)
        );
        assert_eq!(of(&[Some(1.0), Some(-1.0)], at_1).1, Some(vec![1.0, 0.0, 0.0]), "labelled up to the first error");
        assert_eq!(of(&[Some(1.0)], None).1, None);
        assert_eq!(Step::default().label, None);
    }
}

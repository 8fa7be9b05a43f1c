//! Corruptions by how much they change: for asking whether a reward follows the logic of a text or its surface.

use super::{TextCorruption, answer_start, choose, corrupt_text, label, numbers, splice};
use crate::trace::{Segmentation, segment};
use rand::Rng;
use rand::seq::SliceRandom;
use std::ops::Range;

/// How a text is spoiled, from edits of a character to the order of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GradedCorruption {
    /// A number is off by at most a tenth, or by 1 in its last place.
    NumberLittle,
    /// A number is 3 to 10 times as large.
    NumberLot,
    /// See [`TextCorruption::NumberSwap`].
    NumberSwap,
    /// See [`TextCorruption::Operator`].
    Operator,
    /// A "not" comes or goes.
    Negation,
    /// See [`TextCorruption::StepDuplicated`].
    StepDuplicated,
    /// See [`TextCorruption::StepDropped`].
    StepDropped,
    /// See [`TextCorruption::StepsReordered`].
    StepsReordered,
    /// See [`shuffle_steps`].
    StepsShuffled,
}

impl GradedCorruption {
    /// Every corruption.
    pub const ALL: [GradedCorruption; 9] = [
        GradedCorruption::NumberLittle,
        GradedCorruption::NumberLot,
        GradedCorruption::NumberSwap,
        GradedCorruption::Operator,
        GradedCorruption::Negation,
        GradedCorruption::StepDuplicated,
        GradedCorruption::StepDropped,
        GradedCorruption::StepsReordered,
        GradedCorruption::StepsShuffled,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            GradedCorruption::NumberLittle => "number off by a little",
            GradedCorruption::NumberLot => "number off by a lot",
            GradedCorruption::NumberSwap => "numbers swapped",
            GradedCorruption::Operator => "operator",
            GradedCorruption::Negation => "negation",
            GradedCorruption::StepDuplicated => "step repeated",
            GradedCorruption::StepDropped => "step dropped",
            GradedCorruption::StepsReordered => "two steps exchanged",
            GradedCorruption::StepsShuffled => "steps shuffled",
        }
    }
}

/// As [`corrupt_text`]: the spoiled text and the first byte that differs, or `None` where this corruption finds nothing to spoil. The final answer stays.
pub fn corrupt_graded(text: &str, kind: GradedCorruption, rng: &mut impl Rng) -> Option<(String, usize)> {
    let plain = match kind {
        GradedCorruption::NumberSwap => TextCorruption::NumberSwap,
        GradedCorruption::Operator => TextCorruption::Operator,
        GradedCorruption::StepDuplicated => TextCorruption::StepDuplicated,
        GradedCorruption::StepDropped => TextCorruption::StepDropped,
        GradedCorruption::StepsReordered => TextCorruption::StepsReordered,
        GradedCorruption::NumberLittle => return different(text, change(text, rng, little)),
        GradedCorruption::NumberLot => {
            return different(text, change(text, rng, |n, rng| n.max(1).saturating_mul(rng.random_range(3..=10))));
        }
        GradedCorruption::Negation => {
            return different(text, choose(negations(&text[..answer_start(text)]), rng, |(at, new)| splice(text, at, new)));
        }
        GradedCorruption::StepsShuffled => return different(text, shuffle_steps(text, rng)),
    };
    corrupt_text(text, plain, rng)
}

/// With the first byte at which the texts differ, where they do.
fn different(text: &str, spoiled: Option<String>) -> Option<(String, usize)> {
    let spoiled = spoiled.filter(|s| s != text)?;
    let same = text.chars().zip(spoiled.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    Some((spoiled, same))
}

/// The text with the contents of its steps in another, random order. Labels of steps, what parts them, and the final answer stay where they are, so that
/// the format is the same and only the content is out of order. `None` with fewer than two different steps.
pub fn shuffle_steps(text: &str, rng: &mut impl Rng) -> Option<String> {
    let body = &text[..answer_start(text)];
    let slots: Vec<Range<usize>> = segment(body, &Segmentation::Auto)
        .into_iter()
        .map(|s| {
            let (start, end) = (s.span.start, s.span.end);
            let content = body[start + label(&body[start..end])..end].trim_start();
            end - content.len()..end
        })
        .collect();
    let contents: Vec<&str> = slots.iter().map(|s| &body[s.clone()]).collect();
    let first = contents.first()?;
    if contents.iter().all(|c| c == first) {
        return None;
    }
    let mut order: Vec<usize> = (0..contents.len()).collect();
    while order.iter().zip(&contents).all(|(&from, content)| contents[from] == *content) {
        order.shuffle(rng);
    }
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (slot, from) in slots.iter().zip(order) {
        out.push_str(&text[at..slot.start]);
        out.push_str(contents[from]);
        at = slot.end;
    }
    out.push_str(&text[at..]);
    Some(out)
}

/// Off by at most a tenth, at least by 1.
fn little(n: u64, rng: &mut impl Rng) -> u64 {
    let by = rng.random_range(1..=(n / 10).max(1));
    if by <= n && rng.random_bool(0.5) { n - by } else { n + by }
}

/// Another value for one of the numbers before the final answer, in units of its last place, written in the same way.
fn change<R: Rng>(text: &str, rng: &mut R, other: impl Fn(u64, &mut R) -> u64) -> Option<String> {
    let mut sites = numbers(&text[..answer_start(text)]);
    sites.shuffle(rng);
    sites.into_iter().find_map(|at| {
        let (value, style) = read(&text[at.clone()])?;
        let new = write(other(value, rng), style);
        Some(splice(text, &at, &new))
    })
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Style {
    decimals: usize,
    commas: bool,
}

/// The digits of a number without its point, and its style; `None` for a list like `1,2`, for two points and for more digits than fit.
fn read(number: &str) -> Option<(u64, Style)> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let groups: Vec<&str> = whole.split(',').collect();
    let grouped = groups.len() == 1 || (groups[0].len() <= 3 && groups[1..].iter().all(|g| g.len() == 3));
    let digits: String = groups.concat() + part;
    if !grouped || part.contains([',', '.']) || digits.len() > 15 {
        return None;
    }
    let style = Style { decimals: part.len(), commas: groups.len() > 1 };
    Some((digits.parse().ok()?, style))
}

fn write(value: u64, style: Style) -> String {
    // 0.5 keeps its 0.
    let width = style.decimals + 1;
    let digits = format!("{value:0width$}");
    let (whole, part) = digits.split_at(digits.len() - style.decimals);
    let mut out = String::new();
    for (i, c) in whole.chars().enumerate() {
        if style.commas && i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    if style.decimals > 0 { format!("{out}.{part}") } else { out }
}

/// Words after which a "not" comes or goes.
const AUXILIARIES: [&str; 15] =
    ["is", "are", "was", "were", "can", "will", "should", "must", "does", "do", "did", "could", "would", "has", "have"];

/// Places at which a "not" comes or goes, with what stands there afterwards.
fn negations(body: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut out = Vec::new();
    let mut at = 0;
    for word in body.split_inclusive(|c: char| !c.is_alphanumeric() && c != '\'') {
        let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        let end = at + bare.len();
        if bare == "cannot" {
            out.push((end - 3..end, ""));
        } else if AUXILIARIES.contains(&bare) && body[end..].starts_with(' ') {
            let negated = body[end..].strip_prefix(" not").is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
            out.push(if negated { (end..end + 4, "") } else { (end..end, " not") });
        }
        at += word.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeSet;

    const EXPERT: &str =
        "Step 1: Ann has 30 + 4 = 34 eggs.\nStep 2: She is out of 1,200 of them.\nStep 3: That cannot be 0.50 each.\nThe answer is 15.";

    fn all(text: &str, kind: GradedCorruption) -> BTreeSet<String> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let found = (0..400).filter_map(|_| corrupt_graded(text, kind, &mut rng));
        found
            .map(|(spoiled, at)| {
                assert_eq!(text[..at], spoiled[..at]);
                assert_ne!(text[at..].chars().next(), spoiled[at..].chars().next());
                spoiled
            })
            .collect()
    }

    #[test]
    fn numbers_are_off_by_a_little_or_a_lot() {
        let little = all(EXPERT, GradedCorruption::NumberLittle);
        for (old, new) in [("30 +", "33 +"), ("30 +", "27 +"), ("+ 4", "+ 5"), ("+ 4", "+ 3"), ("0.50", "0.45")] {
            assert!(little.contains(&EXPERT.replace(old, new)), "{new}");
        }
        assert!(!little.iter().any(|t| t.contains("34 +") || t.contains("+ 6 ")), "more than a tenth");
        assert!(little.iter().any(|t| t.contains(" of 1,1")) && little.iter().any(|t| t.contains(" of 1,3")), "commas stay");
        let lot = all(EXPERT, GradedCorruption::NumberLot);
        for (old, new) in [("30 +", "90 +"), ("30 +", "300 +"), ("1,200", "12,000"), ("0.50", "1.50"), ("0.50", "5.00")] {
            assert!(lot.contains(&EXPERT.replace(old, new)), "{new}");
        }
        for t in little.iter().chain(&lot) {
            assert!(t.starts_with("Step 1: Ann") && t.contains("\nStep 3: ") && t.ends_with("The answer is 15."), "{t}");
        }
        assert!(all("It is f(1,2) now.\nSo.", GradedCorruption::NumberLot).is_empty(), "a list is no number");
        assert_eq!(write(5, Style { decimals: 2, commas: false }), "0.05");
    }

    #[test]
    fn a_not_comes_or_goes() {
        let found = all(EXPERT, GradedCorruption::Negation);
        let want = [("has 30", "has not 30"), ("She is out", "She is not out"), ("cannot", "can")];
        assert_eq!(found, want.iter().map(|(a, b)| EXPERT.replace(a, b)).collect());
        let text = "It is not odd, isn't it.\nSo this is done.";
        assert_eq!(
            all(text, GradedCorruption::Negation),
            [text.replace("is not odd", "is odd"), text.replace("is done", "is not done")].into()
        );
    }

    #[test]
    fn shuffled_steps_keep_the_format() {
        let found = all(EXPERT, GradedCorruption::StepsShuffled);
        assert_eq!(found.len(), 5, "3! orders but the right one");
        let words = |t: &str| t.split_whitespace().map(str::to_string).collect::<BTreeSet<_>>();
        for t in &found {
            let lines: Vec<&str> = t.lines().collect();
            assert!((0..3).all(|i| lines[i].starts_with(&format!("Step {}: ", i + 1))) && lines[3] == "The answer is 15.", "{t}");
            assert_eq!(words(t), words(EXPERT));
        }
        assert!(found.contains(
            "Step 1: She is out of 1,200 of them.\nStep 2: Ann has 30 + 4 = 34 eggs.\nStep 3: That cannot be 0.50 each.\nThe answer is 15."
        ));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(shuffle_steps("So.\nSo.\n#### 1", &mut rng), None);
        assert_eq!(shuffle_steps("", &mut rng), None);
    }

    #[test]
    fn the_others_are_those_of_training() {
        let plain = ["Step 1: ", "Step 2: ", "Step 3: "].iter().fold(EXPERT.to_string(), |t, label| t.replace(label, ""));
        for kind in GradedCorruption::ALL {
            let found = all(&plain, kind);
            assert!(!found.is_empty() && !found.contains(&plain), "{}", kind.name());
        }
        assert!(all(EXPERT, GradedCorruption::StepDropped).is_empty(), "a labelled step does not go");
    }

    #[test]
    fn any_text_is_survived() {
        let pieces = [
            "Step 2: ", "3. ", "é", "12", "1,", ".", " + ", "\n", "\n\n", "####", " ", "-", "is", " not ", "cannot", "can't", "0.0",
            "99,999",
        ];
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        for _ in 0..3000 {
            let n = rng.random_range(0..20);
            let text: String = (0..n).map(|_| pieces[rng.random_range(0..pieces.len())]).collect();
            for kind in GradedCorruption::ALL {
                if let Some((spoiled, at)) = corrupt_graded(&text, kind, &mut rng) {
                    assert!(spoiled != text && spoiled.get(..at) == text.get(..at), "{text:?}");
                }
            }
        }
    }
}

//! Corruption of an expert's text of any task: one edit at a known place, in the same format.

use crate::trace::{Segmentation, segment};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use std::ops::Range;

mod graded;

pub use graded::{GradedCorruption, corrupt_graded, shuffle_steps};

/// How a text is spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextCorruption {
    /// One digit of a number is another one; half of the time later mentions of the number follow, the final answer's too.
    Number,
    /// Two numbers of a step change places.
    NumberSwap,
    /// An operator, in symbols or words, is another one.
    Operator,
    /// A step is left out; one whose number is used later, where there is such a one.
    StepDropped,
    /// A step stands twice.
    StepDuplicated,
    /// Two neighbouring steps change places; where possible the second uses a number of the first.
    StepsReordered,
}

impl TextCorruption {
    /// Every corruption.
    pub const ALL: [TextCorruption; 6] = [
        TextCorruption::Number,
        TextCorruption::NumberSwap,
        TextCorruption::Operator,
        TextCorruption::StepDropped,
        TextCorruption::StepDuplicated,
        TextCorruption::StepsReordered,
    ];
}

/// Operators and what may stand in their place; words need a boundary on both sides.
const OPERATORS: [(&str, &[&str]); 17] = [
    ("+", &["-"]),
    ("-", &["+"]),
    ("*", &["+", "/"]),
    ("/", &["*"]),
    ("−", &["+"]),
    ("×", &["÷", "+"]),
    ("÷", &["×"]),
    ("\\times", &["\\div", "+"]),
    ("\\cdot", &["+"]),
    ("\\div", &["\\times"]),
    ("plus", &["minus"]),
    ("minus", &["plus"]),
    ("times", &["plus"]),
    ("multiplied by", &["divided by"]),
    ("divided by", &["multiplied by"]),
    ("added to", &["subtracted from"]),
    ("subtracted from", &["added to"]),
];

/// Spoils a text before the final answer that it marks, or returns `None` where this corruption finds nothing to spoil. Returns the text and the
/// first byte at which it differs from the expert's, a character boundary in both.
///
/// Edits that leave the arithmetic right are not made: where the edited step states equations (`3 + 4 = 7`), more of them are wrong afterwards.
/// Numbers that label something (`Step 2:`, `3.` before a line, `x_1`, `B19`) stay, and so does the answer, but for [`TextCorruption::Number`].
pub fn corrupt_text(text: &str, kind: TextCorruption, rng: &mut impl Rng) -> Option<(String, usize)> {
    let body = &text[..answer_start(text)];
    let steps: Vec<Range<usize>> = segment(body, &Segmentation::Auto).into_iter().map(|s| s.span.start..s.span.end).collect();
    let uses = |i: usize, later: Range<usize>| gives(body, &steps[i], &text[later]);
    let exchange = |(a, b): &(Range<usize>, Range<usize>)| {
        format!("{}{}{}{}{}", &text[..a.start], &text[b.clone()], &text[a.end..b.start], &text[a.clone()], &text[b.end..])
    };
    let units: Vec<(usize, Range<usize>)> = (0..steps.len()).filter_map(|i| Some((i, unit(body, &steps, i)?))).collect();
    let spoiled = match kind {
        TextCorruption::Number => change_number(text, &numbers(body), rng),
        TextCorruption::NumberSwap => in_some_step(&steps, rng, |step| swaps(body, step)).as_ref().map(exchange),
        TextCorruption::Operator => in_some_step(&steps, rng, |step| operators(body, step)).map(|(at, new)| splice(text, &at, new)),
        TextCorruption::StepDropped => {
            let used = units.iter().filter(|(i, _)| uses(*i, steps[*i].end..text.len())).cloned().collect();
            choose(preferred(used, units), rng, |(_, at)| splice(text, at, ""))
        }
        TextCorruption::StepDuplicated => choose(units, rng, |(_, at)| splice(text, &(at.end..at.end), &text[at.clone()])),
        TextCorruption::StepsReordered => {
            let indent = |i: usize| body[..steps[i].start].rsplit('\n').next().filter(|s| s.trim().is_empty());
            let movable = |i: &usize| indent(*i) == indent(i + 1) && [*i, i + 1].iter().all(|j| label(&body[steps[*j].clone()]) == 0);
            let pairs: Vec<usize> = (0..steps.len().saturating_sub(1)).filter(movable).collect();
            let used = pairs.iter().copied().filter(|&i| uses(i, steps[i + 1].clone())).collect();
            choose(preferred(used, pairs), rng, |&i| exchange(&(steps[i].clone(), steps[i + 1].clone())))
        }
    }?;
    let at = text.char_indices().zip(spoiled.chars()).find(|((_, a), b)| a != b).map_or(text.len().min(spoiled.len()), |((i, _), _)| i);
    (spoiled != text).then_some((spoiled, at))
}

fn choose<T>(sites: Vec<T>, rng: &mut impl Rng, edit: impl Fn(&T) -> String) -> Option<String> {
    sites.choose(rng).map(edit)
}

/// One of the sites of the first step, in random order, that has any.
fn in_some_step<T: Clone>(steps: &[Range<usize>], rng: &mut impl Rng, sites: impl Fn(&Range<usize>) -> Vec<T>) -> Option<T> {
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.shuffle(rng);
    order.into_iter().find_map(|i| sites(&steps[i]).choose(rng).cloned())
}

fn preferred<T>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
    if first.is_empty() { second } else { first }
}

fn splice(text: &str, at: &Range<usize>, new: &str) -> String {
    format!("{}{new}{}", &text[..at.start], &text[at.end..])
}

/// Where the line or sentence with the final answer begins; the end of the text where none is marked.
fn answer_start(text: &str) -> usize {
    let lower = text.to_ascii_lowercase();
    let marks = ["####", "\\boxed{", "<answer>", "answer is", "answer:"];
    let Some(mark) = marks.iter().find_map(|m| lower.rfind(m)) else { return text.len() };
    let line = text[..mark].rfind('\n').map_or(0, |i| i + 1);
    text[line..mark].rfind(". ").map_or(line, |i| line + i + 2)
}

/// Step `i` with the whitespace that parts it from the step before (the first: from the step after), so that leaving it out or writing it twice keeps
/// the layout; `None` for a step with a label, and where a tag stands between.
fn unit(body: &str, steps: &[Range<usize>], i: usize) -> Option<Range<usize>> {
    let (unit, gap) = match i.checked_sub(1) {
        Some(before) => (steps[before].end..steps[i].end, steps[before].end..steps[i].start),
        None => {
            let gap = steps[0].end..steps.get(1)?.start;
            let line = body[gap.clone()].rfind('\n').map_or(gap.end, |at| gap.start + at + 1);
            (steps[0].start..line, gap)
        }
    };
    (body[gap].trim().is_empty() && label(&body[steps[i].clone()]) == 0).then_some(unit)
}

/// Bytes of a label that a step opens with: `3.`, `2)`, `Step 4:`.
fn label(step: &str) -> usize {
    let rest = step.trim_start();
    let rest = rest.strip_prefix("Step ").or_else(|| rest.strip_prefix("step ")).unwrap_or(rest);
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let labelled = after.len() < rest.len() && (after.starts_with(". ") || after.starts_with([')', ':']));
    if labelled { step.len() - after.len() + 1 } else { 0 }
}

/// Places of the numbers in a text that label nothing; `1,234.5` is one.
fn numbers(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let (mut out, mut i) = (Vec::new(), 0);
    let mut line = true;
    while i < bytes.len() {
        if line {
            i += label(text[i..].lines().next().unwrap_or_default());
        }
        line = bytes.get(i) == Some(&b'\n');
        if !digit(i) {
            i += 1;
            continue;
        }
        let start = i;
        while digit(i) || (matches!(bytes.get(i), Some(b'.' | b',')) && digit(i + 1)) {
            i += 1;
        }
        let before = text[..start].chars().next_back();
        if !before.is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '#')) {
            out.push(start..i);
        }
    }
    out
}

/// Whether a step of the body holds a number that stands nowhere before it and again in `later`.
fn gives(body: &str, step: &Range<usize>, later: &str) -> bool {
    let inside = &body[step.clone()];
    let has = |text: &str, number: &str| numbers(text).into_iter().any(|n| &text[n] == number);
    numbers(inside).into_iter().map(|n| &inside[n]).any(|n| has(later, n) && !has(&body[..step.start], n))
}

fn change_number(text: &str, sites: &[Range<usize>], rng: &mut impl Rng) -> Option<String> {
    let at = sites.choose(rng)?.clone();
    let old = &text[at.clone()];
    let digits: Vec<usize> = old.bytes().enumerate().filter(|(_, b)| b.is_ascii_digit()).map(|(i, _)| i).collect();
    let place = *digits.choose(rng)?;
    let was = old.as_bytes()[place];
    // No leading zero where there was none.
    let leading = place == 0 && old.len() > 1;
    let others: Vec<u8> = (b'0'..=b'9').filter(|d| *d != was && !(leading && *d == b'0')).collect();
    let new = splice(old, &(place..place + 1), char::from(*others.choose(rng)?).encode_utf8(&mut [0; 4]));
    let mut out = splice(text, &at, &new);
    if rng.random_bool(0.5) {
        let later = numbers(&out).into_iter().filter(|n| n.start > at.start && &out[n.clone()] == old).collect::<Vec<_>>();
        for n in later.into_iter().rev() {
            out.replace_range(n, &new);
        }
    }
    Some(out)
}

/// Pairs of different numbers of a step whose exchange makes it wrong.
fn swaps(body: &str, step: &Range<usize>) -> Vec<(Range<usize>, Range<usize>)> {
    let inside = &body[step.clone()];
    let found = numbers(inside);
    let mut out = Vec::new();
    for (i, a) in found.iter().enumerate() {
        for b in found[i + 1..].iter().take(8).filter(|b| inside[a.clone()] != inside[(*b).clone()]) {
            let (x, between, y) = (&inside[a.clone()], &inside[a.end..b.start], &inside[b.clone()]);
            let after = format!("{}{y}{between}{x}{}", &inside[..a.start], &inside[b.end..]);
            if spoils(inside, &after).unwrap_or(!commutes(between)) {
                out.push((a.start + step.start..a.end + step.start, b.start + step.start..b.end + step.start));
            }
        }
    }
    out
}

/// Whether numbers with this between them may change places: sums, products, equalities, lists.
fn commutes(between: &str) -> bool {
    let only = |op: &[&str]| {
        let mut words =
            between.split(|c: char| c.is_whitespace() || c.is_ascii_digit() || matches!(c, '.' | '$')).filter(|w| !w.is_empty());
        words.all(|w| op.contains(&w))
    };
    only(&["+", "plus"]) || only(&["*", "×", "\\times", "\\cdot", "times"]) || only(&["=", ",", "and"])
}

/// Operators between numbers of a step, with another that makes the step wrong.
fn operators(body: &str, step: &Range<usize>) -> Vec<(Range<usize>, &'static str)> {
    let inside = &body[step.clone()];
    let number = |c: char| c.is_ascii_digit() || matches!(c, '(' | ')' | '$' | '}' | '{' | '\\' | '%');
    let apart = |c: Option<char>| c.is_some_and(char::is_whitespace);
    let mut out = Vec::new();
    for (old, others) in OPERATORS {
        let word = old.starts_with(|c: char| c.is_ascii_alphabetic());
        for (i, _) in inside.match_indices(old) {
            let end = i + old.len();
            let (before, after) = (&inside[..i], &inside[end..]);
            let whole = !word || (apart(before.chars().next_back()) && apart(after.chars().next()));
            let between = before.trim_end().ends_with(number) && after.trim_start().starts_with(number);
            for new in others.iter().filter(|_| whole && between) {
                if spoils(inside, &splice(inside, &(i..end), new)).unwrap_or(true) {
                    out.push((i + step.start..end + step.start, *new));
                }
            }
        }
    }
    out
}

/// Whether more equations are wrong after than before; `None` where neither text states one.
fn spoils(before: &str, after: &str) -> Option<bool> {
    let ((all, wrong), (_, wrong_after)) = (equations(before), equations(after));
    (all > 0).then_some(wrong_after > wrong)
}

/// How many equations `a op b = c` a text states, and how many of them are wrong.
fn equations(text: &str) -> (usize, usize) {
    let found = numbers(text);
    let (mut all, mut wrong) = (0, 0);
    for n in found.windows(3) {
        let value = |n: &Range<usize>| text[n.clone()].replace(',', "").parse::<f64>().ok();
        let blank = |c: char| c.is_whitespace() || matches!(c, '$' | '(' | ')');
        let (op, equals) = (text[n[0].end..n[1].start].trim_matches(blank), text[n[1].end..n[2].start].trim_matches(blank));
        let (Some(a), Some(b), Some(c), "=") = (value(&n[0]), value(&n[1]), value(&n[2]), equals) else { continue };
        let result = match op {
            "+" => a + b,
            "-" | "−" => a - b,
            "*" | "×" | "\\times" | "\\cdot" => a * b,
            "/" | "÷" | "\\div" => a / b,
            _ => continue,
        };
        all += 1;
        wrong += usize::from((result - c).abs() > 0.01 * c.abs().max(0.01));
    }
    (all, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeSet;

    /// What 300 draws make of a text, after the checks that hold for all of them.
    fn all(text: &str, kind: TextCorruption) -> BTreeSet<String> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut out = BTreeSet::new();
        for _ in 0..300 {
            let Some((spoiled, at)) = corrupt_text(text, kind, &mut rng) else { continue };
            assert!(text.is_char_boundary(at) && spoiled.is_char_boundary(at));
            assert_eq!(text[..at], spoiled[..at]);
            assert_ne!(text[at..].chars().next(), spoiled[at..].chars().next(), "{spoiled}");
            out.insert(spoiled);
        }
        out
    }

    const EXPERT: &str = "Ann has 3 + 4 = 7 eggs.\nShe sells 7 - 2 = 5 of them.\nAt $3 each that is 5 * 3 = 15 dollars.\n#### 15";

    #[test]
    fn numbers_change_in_place() {
        let found = all(EXPERT, TextCorruption::Number);
        assert!(found.contains(&EXPERT.replace("3 + 4 = 7", "3 + 4 = 8")), "alone");
        assert!(found.contains(&EXPERT.replace("= 7 eggs", "= 9 eggs").replace("sells 7", "sells 9")), "carried");
        assert!(found.contains(&EXPERT.replace("15", "25")), "carried into the answer");
        for text in &found {
            assert_eq!(text.len(), EXPERT.len());
            assert!(text.contains("#### ") && text.contains(" eggs.\nShe sells "));
        }
        let labels = "Step 1: x_1 is B19.\n2. So 1,200.50 it is.\nThe answer is 7.";
        let found = all(labels, TextCorruption::Number);
        assert!(
            found.len() > 20 && found.iter().all(|t| t.starts_with("Step 1: x_1 is B19.\n2. So ") && t.contains(',') && t.contains('.'))
        );
    }

    #[test]
    fn swaps_make_equations_wrong() {
        let found = all(EXPERT, TextCorruption::NumberSwap);
        assert!(found.contains(&EXPERT.replace("3 + 4 = 7", "3 + 7 = 4")));
        assert!(found.contains(&EXPERT.replace("7 - 2 = 5", "2 - 7 = 5")));
        assert!(!found.contains(&EXPERT.replace("3 + 4", "4 + 3")), "still right");
        assert!(!found.contains(&EXPERT.replace("7 - 2 = 5", "7 - 5 = 2")), "still right");
        let sum = "So S + 30 + 46 + 38 = S + 114 holds.\nIt ends.";
        let found = all(sum, TextCorruption::NumberSwap);
        assert!(found.contains(&sum.replace("30", "x").replace("114", "30").replace('x', "114")));
        assert!(!found.contains(&sum.replace("30 + 46 + 38", "38 + 46 + 30")), "still right");
    }

    #[test]
    fn operators_change_in_symbols_and_words() {
        let found = all(EXPERT, TextCorruption::Operator);
        let want = [("3 + 4", "3 - 4"), ("7 - 2", "7 + 2"), ("5 * 3", "5 + 3"), ("5 * 3", "5 / 3")];
        assert_eq!(found, want.iter().map(|(a, b)| EXPERT.replace(a, b)).collect());
        let words = "First 82 plus 41 gives 123, and a well-known 4-5 split.\nThen 123 divided by 3.";
        let found = all(words, TextCorruption::Operator);
        assert!(found.contains(&words.replace("plus", "minus")) && found.contains(&words.replace("divided by", "multiplied by")));
        assert!(found.iter().all(|t| t.contains("well-known")));
        assert!(all("It is 2 + 2 = 4 now.\nSo it is.", TextCorruption::Operator).iter().all(|t| !t.contains("2 * 2")));
    }

    #[test]
    fn steps_go_come_twice_and_change_places() {
        let lines: Vec<&str> = EXPERT.lines().collect();
        let joined = |order: &[usize]| order.iter().map(|&i| lines[i]).collect::<Vec<_>>().join("\n");
        // The first line's 7, the second's 5 and the third's 15 are used later.
        let want = |orders: &[&[usize]]| orders.iter().map(|o| joined(o)).collect::<BTreeSet<_>>();
        assert_eq!(all(EXPERT, TextCorruption::StepDropped), want(&[&[1, 2, 3], &[0, 2, 3], &[0, 1, 3]]));
        assert_eq!(all(EXPERT, TextCorruption::StepDuplicated), want(&[&[0, 0, 1, 2, 3], &[0, 1, 1, 2, 3], &[0, 1, 2, 2, 3]]));
        assert_eq!(all(EXPERT, TextCorruption::StepsReordered), want(&[&[1, 0, 2, 3], &[0, 2, 1, 3]]));
        let unused = "Ann has 3 eggs.\nTom has 8 pens.\nAnn sells 3 eggs.\n#### 0";
        assert!(
            all(unused, TextCorruption::StepDropped).iter().all(|t| !t.starts_with("Ann has")),
            "the step whose number comes again goes"
        );
    }

    #[test]
    fn tags_labels_and_indentation_stay() {
        let tagged = "<think>\nFirst 8 - 5 is 3.\n\nThen 3 * 4 is 12.\n\nSo it works.\n</think>\n<answer> (8 - 5) * 4 </answer>";
        let code = "def f(x):\n    y = x + 1\n    z = y * 2\n    return z";
        let listed = "1. Take 2 eggs.\n2. Take 3 more.\nThat is 5.\nThe answer is (B).";
        for kind in TextCorruption::ALL {
            for t in all(tagged, kind) {
                assert!(t.starts_with("<think>\n") && t.contains(".\n</think>\n<answer> (") && !t.contains("\n\n\n"), "{t}");
            }
            for t in all(code, kind) {
                assert!(t.lines().all(|l| l.starts_with("def") || l.starts_with("    ") && !l.starts_with("     ")), "{t}");
            }
            for t in all(listed, kind) {
                assert!(t.starts_with("1. ") && t.contains("\n2. ") && t.ends_with("The answer is (B)."), "{t}");
            }
        }
    }

    #[test]
    fn any_text_is_survived() {
        let pieces = [
            "Step 2: ",
            "3. ",
            "é",
            "12",
            "1,",
            ".",
            " + ",
            "\n",
            "\n\n",
            "####",
            " ",
            "-",
            "= ",
            "plus",
            "\\boxed{",
            "− 4",
            "answer is",
            "<think>",
            "```",
            "- ",
        ];
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        for _ in 0..4000 {
            let n = rng.random_range(0..20);
            let text: String = (0..n).map(|_| *pieces.choose(&mut rng).unwrap()).collect();
            for kind in TextCorruption::ALL {
                if let Some((spoiled, at)) = corrupt_text(&text, kind, &mut rng) {
                    assert!(spoiled != text && spoiled.get(..at) == text.get(..at), "{text:?}");
                }
            }
        }
    }
}

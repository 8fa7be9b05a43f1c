//! The checker: the first wrong line of any text.

use super::words::{Word, classify};
use super::{Op, Role, Story, StoryStep, Subject};
use std::collections::HashSet;

/// What the checker says of a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// 0-based index, over the non-empty lines, of the first wrong one; equals `lines` where only the answer line is missing.
    pub first_error: Option<usize>,
    /// Whether the last `####` line holds the answer, whatever the lines before it say.
    pub correct: bool,
    /// Number of non-empty lines.
    pub lines: usize,
}

/// Checks a completion line by line.
///
/// A line is right if it holds exactly one equation `a op b = c`, the arithmetic holds, and it computes a quantity of the story
/// from given numbers and from quantities that earlier lines computed (operands of sums and products in any order), while the
/// people, things and kind of quantity it names are that quantity's (`left` may be left out), and every other word belongs to the task. Any valid order
/// of lines is right, and so are repeated lines and quantities that do not help.
///
/// `#### n` is right if `n` is the answer and the asked quantity was computed before; an answer that comes earlier counts as a
/// skipped step at that line. A line after it is wrong. Without an answer line the first error is the missing line: index `lines`.
pub fn check(story: &Story, completion: &str) -> Verdict {
    let lines: Vec<&str> = completion.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let mut computed = HashSet::new();
    let mut answered = false;
    let mut first_error = None;
    for (i, line) in lines.iter().enumerate() {
        let right = if answered {
            false
        } else if let Some(rest) = line.strip_prefix("####") {
            answered = true;
            rest.trim().parse() == Ok(story.answer) && story.steps.len().checked_sub(1).is_some_and(|last| computed.contains(&last))
        } else {
            matching(story, &computed, line).map(|quantity| computed.insert(quantity)).is_some()
        };
        if !right {
            first_error = Some(i);
            break;
        }
    }
    if first_error.is_none() && !answered {
        first_error = Some(lines.len());
    }
    Verdict { first_error, correct: final_answer(completion) == Some(story.answer), lines: lines.len() }
}

/// The number of the last `####` line; `None` where there is no such line or something else stands in it.
pub fn final_answer(completion: &str) -> Option<i64> {
    completion.lines().rev().find_map(|l| l.trim().strip_prefix("####"))?.trim().parse().ok()
}

/// An equation `a op b = c` and the words around it.
struct Line<'a> {
    a: i64,
    op: Op,
    b: i64,
    result: i64,
    words: Vec<Word<'a>>,
}

/// The quantity that a line computes, preferring one not computed before.
fn matching(story: &Story, computed: &HashSet<usize>, line: &str) -> Option<usize> {
    let line = parse(line)?;
    if line.op.apply(line.a, line.b) != Some(line.result) || line.words.contains(&Word::Unknown) {
        return None;
    }
    let fits = |&(_, step): &(usize, &StoryStep)| {
        step.dependencies().all(|d| computed.contains(&d)) && same_equation(step, &line) && agrees(&step.subject, &line.words)
    };
    let all = || story.steps.iter().chain(&story.extra).enumerate().filter(fits).map(|(i, _)| i);
    all().find(|i| !computed.contains(i)).or_else(|| all().next())
}

fn same_equation(step: &StoryStep, line: &Line) -> bool {
    let [a, b] = step.operands.map(|o| o.value);
    let commutes = matches!(line.op, Op::Add | Op::Mul);
    step.op == line.op && ((a, b) == (line.a, line.b) || (commutes && (b, a) == (line.a, line.b)))
}

fn agrees(subject: &Subject, words: &[Word]) -> bool {
    let mut names: Vec<&str> = Vec::new();
    let mut nouns: Vec<&str> = Vec::new();
    let mut roles = Vec::new();
    for word in words {
        match *word {
            Word::Name(n) if !names.contains(&n) => names.push(n),
            Word::Noun(n) if !nouns.contains(&n) => nouns.push(n),
            Word::Role(r) if !roles.contains(&r) => roles.push(r),
            _ => {}
        }
    }
    let mut wanted: Vec<&str> = subject.names.iter().map(String::as_str).collect();
    if !subject.ordered {
        wanted.sort_unstable();
        names.sort_unstable();
    }
    let mut things: Vec<&str> = subject.nouns.iter().map(String::as_str).collect();
    things.sort_unstable();
    nouns.sort_unstable();
    let people = names == wanted || (subject.names_optional && names.is_empty());
    // What is left is also simply what there is; the other kinds are different quantities.
    let kind = roles.iter().copied().eq(subject.role) || (roles.is_empty() && subject.role == Some(Role::Left));
    people && nouns == things && kind
}

fn parse(line: &str) -> Option<Line<'_>> {
    let equals = line.find('=')?;
    let (left, right) = (&line[..equals], &line[equals + 1..]);
    let (left, b) = trailing_number(left.trim_end())?;
    let left = left.trim_end();
    let symbol = left.chars().next_back()?;
    let op = Op::ALL.into_iter().find(|o| o.symbol() == symbol)?;
    let (before, a) = trailing_number(left.strip_suffix(symbol)?.trim_end())?;
    let right = right.trim_start();
    let digits = right.bytes().take_while(u8::is_ascii_digit).count();
    let result = right[..digits].parse().ok()?;
    let after = &right[digits..];
    let mut words = Vec::new();
    for part in [before, after] {
        if part.contains(|c: char| !(c.is_ascii_alphabetic() || matches!(c, ' ' | ',' | '.' | ':'))) {
            return None;
        }
        words.extend(part.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| !w.is_empty()).map(classify));
    }
    Some(Line { a, op, b, result, words })
}

/// Splits a number off the end of a text; the text before it must not run into it.
fn trailing_number(text: &str) -> Option<(&str, i64)> {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (before, number) = text.split_at(text.len() - digits);
    if before.ends_with(|c: char| c.is_alphanumeric()) {
        return None;
    }
    Some((before, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::{Operand, Split};
    use super::*;

    fn step(line: (&str, &str), a: (i64, Option<usize>), op: Op, b: (i64, Option<usize>), names: &[&str], role: Option<Role>) -> StoryStep {
        let operands = [a, b].map(|(value, source)| Operand { value, source });
        let subject = Subject {
            names: names.iter().map(|n| (*n).into()).collect(),
            names_optional: line.0.contains("they"),
            ordered: role == Some(Role::More),
            nouns: vec!["apples".into()],
            role,
        };
        let result = op.apply(a.0, b.0).unwrap();
        StoryStep { before: line.0.into(), after: line.1.into(), op, operands, result, subject }
    }

    /// Mia has 3 boxes with 12 apples each. Tom has 9 more apples than Mia. Ann has 6 more than Tom. Together, Mia and Tom give 20 away.
    fn apples() -> Story {
        let steps = vec![
            step(("Mia has ", " apples."), (3, None), Op::Mul, (12, None), &["Mia"], None),
            step(("Tom has ", " apples."), (36, Some(0)), Op::Add, (9, None), &["Tom"], None),
            step(("Together they have ", " apples."), (36, Some(0)), Op::Add, (45, Some(1)), &["Mia", "Tom"], None),
            step(("They have ", " apples left."), (81, Some(2)), Op::Sub, (20, None), &[], Some(Role::Left)),
        ];
        let extra = vec![
            step(("Ann has ", " apples."), (45, Some(1)), Op::Add, (6, None), &["Ann"], None),
            step(("Tom has ", " more apples than Mia."), (45, Some(1)), Op::Sub, (36, Some(0)), &["Tom", "Mia"], Some(Role::More)),
        ];
        Story { id: String::new(), problem: String::new(), steps, extra, answer: 61, split: Split::Train }
    }

    const EXPERT: &str = "Mia has 3 * 12 = 36 apples.\nTom has 36 + 9 = 45 apples.\nTogether they have 36 + 45 = 81 apples.\nThey have 81 - 20 = 61 apples left.\n#### 61";

    fn error(text: &str) -> Option<usize> {
        check(&apples(), text).first_error
    }

    #[test]
    fn right_solutions() {
        assert_eq!(apples().solution(), EXPERT);
        assert_eq!(check(&apples(), EXPERT), Verdict { first_error: None, correct: true, lines: 5 });
        for (from, to) in [
            ("3 * 12", "12 * 3"),
            ("36 + 45", "45 + 36"),
            ("Together they have", "Together Mia and Tom have"),
            ("Together they have", "So Tom and Mia have"),
            ("3 * 12 = 36", "3*12=36"),
            (" left", ""),
            ("Tom has 36", "\n  Tom has 36"),
            ("Together", "Ann has 45 + 6 = 51 apples.\nTogether"),
            ("Together", "Tom has 45 - 36 = 9 more apples than Mia.\nTogether"),
            ("Together", "Tom has 36 + 9 = 45 apples.\nTogether"),
        ] {
            assert_eq!(error(&EXPERT.replacen(from, to, 1)), None, "{from} -> {to}");
        }
    }

    #[test]
    fn wrong_lines() {
        for (from, to, at) in [
            ("= 36", "= 37", 0),
            ("3 * 12 = 36", "3 + 12 = 15", 0),
            ("3 * 12 = 36", "4 * 12 = 48", 0),
            ("3 * 12 = 36", "36", 0),
            ("3 * 12 = 36", "3 * 12 = 36 = 36", 0),
            ("3 * 12 = 36", "3 * 12 = 036x", 0),
            ("Mia has", "Tom has", 0),
            ("Mia has", "Has", 0),
            ("Mia has", "Mia blorp", 0),
            ("36 apples", "36 apples left", 0),
            ("36 apples", "36 eggs", 0),
            ("36 apples", "36", 0),
            ("36 + 9", "45 - 36", 1),
            ("Mia has 3 * 12 = 36 apples.\n", "", 0),
            ("Tom has 36 + 9 = 45 apples.\n", "", 1),
            ("Together they have", "Together Mia and Ann have", 2),
            ("Together they have 36 + 45 = 81 apples.\n", "", 2),
            ("They have 81 - 20 = 61 apples left.\n", "", 3),
            ("81 - 20 = 61", "20 - 81 = 61", 3),
            ("#### 61", "#### 62", 4),
            ("#### 61", "#### 61.", 4),
            ("#### 61", "61", 4),
            ("#### 61", "#### 61\n#### 61", 5),
            ("\n#### 61", "", 4),
            ("Together", "Mia has 45 - 36 = 9 more apples than Tom.\nTogether", 2),
            ("Together", "Tom has 45 - 36 = 9 apples.\nTogether", 2),
            ("Together", "\u{feff}Together", 2),
        ] {
            let text = EXPERT.replacen(from, to, 1);
            assert_ne!(text, EXPERT);
            assert_eq!(error(&text), Some(at), "{from} -> {to}");
        }
    }

    #[test]
    fn outcome_is_apart_from_the_steps() {
        let v = check(&apples(), "nonsense\n#### 61");
        assert_eq!((v.first_error, v.correct), (Some(0), true));
        let v = check(&apples(), &EXPERT.replace("#### 61", ""));
        assert_eq!((v.first_error, v.correct, v.lines), (Some(4), false, 4));
        assert_eq!(check(&apples(), ""), Verdict { first_error: Some(0), correct: false, lines: 0 });
        assert!(!check(&apples(), "#### 61\n#### 6").correct);
    }
}

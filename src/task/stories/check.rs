//! The checker: the first wrong line of any text.

use super::words::{Word, classify};
use super::{Op, Story, StoryStep, Subject};
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
/// people, things and kind of quantity it names are that quantity's, and every other word belongs to the task. Any valid order
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
    let last = lines.iter().rev().find_map(|l| l.strip_prefix("####"));
    let correct = last.is_some_and(|rest| rest.trim().parse() == Ok(story.answer));
    Verdict { first_error, correct, lines: lines.len() }
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
    people && nouns == things && roles.iter().copied().eq(subject.role)
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

//! Corrupted expert solutions, wrong from a known line on.

use super::words::{Word, classify};
use super::{Op, Story, check};
use rand::Rng;
use rand::seq::IndexedRandom;
use std::collections::HashMap;

/// How an expert solution is spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Corruption {
    /// A wrong result: `12 + 5 = 18`.
    Number,
    /// Another operator, with arithmetic that holds: `12 * 5 = 60`.
    Operator,
    /// Another number of the story in place of an operand, with arithmetic that holds.
    Operand,
    /// Another person of the story in place of the one whose quantity the line computes.
    Person,
    /// A needed line left out.
    SkippedStep,
    /// A wrong `####` line after right steps.
    WrongAnswer,
}

impl Corruption {
    /// Every corruption.
    pub const ALL: [Corruption; 6] = [
        Corruption::Number,
        Corruption::Operator,
        Corruption::Operand,
        Corruption::Person,
        Corruption::SkippedStep,
        Corruption::WrongAnswer,
    ];
}

/// A spoiled expert solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupted {
    /// The text.
    pub text: String,
    /// 0-based line of the first error, as [`check`] finds it.
    pub step: usize,
    /// First byte at which the text differs from the expert's; inside line `step`.
    pub byte: usize,
}

/// Spoils a story's expert solution at a random line, or returns `None` where this corruption finds nothing to spoil.
///
/// With `carry` the wrong value is used in the lines that follow, the answer line included (for a skipped step: the value before
/// it); without, the following lines keep the right values. A wrong answer is the last line and a wrong person has the right value, so `carry`
/// changes nothing there.
/// A skipped line is always one that the next line needs, so that everything before the first difference is right.
pub fn corrupt(story: &Story, kind: Corruption, carry: bool, rng: &mut impl Rng) -> Option<Corrupted> {
    (0..24).find_map(|_| attempt(story, kind, carry, rng))
}

fn attempt(story: &Story, kind: Corruption, carry: bool, rng: &mut impl Rng) -> Option<Corrupted> {
    let count = story.steps.len();
    let at = rng.random_range(0..count);
    let step = &story.steps[at];
    let [a, b] = step.operands.map(|o| o.value);
    let mut lines: Vec<String> = story.steps.iter().map(|s| s.line()).collect();
    lines.push(format!("#### {}", story.answer));
    let wrong_line = match kind {
        Corruption::Number => {
            let wrong = near(step.result, rng);
            lines[at] = step.line_with(a, step.op, b, wrong);
            replay(story, at, wrong, carry, &mut lines)?;
            at
        }
        Corruption::Operator => {
            let others: Vec<(Op, i64)> =
                Op::ALL.into_iter().filter(|o| *o != step.op).filter_map(|o| Some((o, o.apply(a, b).filter(|r| *r > 0)?))).collect();
            let (op, wrong) = *others.choose(rng)?;
            lines[at] = step.line_with(a, op, b, wrong);
            replay(story, at, wrong, carry, &mut lines)?;
            at
        }
        Corruption::Operand => {
            let values: Vec<i64> = story_numbers(story).into_iter().filter(|v| *v != a && *v != b).collect();
            let other = *values.choose(rng)?;
            let (a, b) = if rng.random_bool(0.5) { (other, b) } else { (a, other) };
            let wrong = step.op.apply(a, b).filter(|r| *r > 0)?;
            lines[at] = step.line_with(a, step.op, b, wrong);
            replay(story, at, wrong, carry, &mut lines)?;
            at
        }
        Corruption::Person => {
            let line = &mut lines[at];
            let (named, other) = (*names(line).choose(rng)?, names(&story.problem));
            let other = *other.into_iter().filter(|n| !names(line).contains(n)).collect::<Vec<_>>().choose(rng)?;
            *line = line.replacen(named, other, 1);
            at
        }
        Corruption::SkippedStep => {
            if let Some(next) = story.steps.get(at + 1) {
                next.dependencies().find(|d| *d == at)?;
            }
            let before = step.operands.iter().find(|o| o.source.is_some()).unwrap_or(&step.operands[0]).value;
            replay(story, at, before, carry, &mut lines)?;
            lines.remove(at);
            at
        }
        Corruption::WrongAnswer => {
            let mut values = story_numbers(story);
            values.push(near(story.answer, rng));
            values.push(near(story.answer, rng));
            lines[count] = format!("#### {}", values.choose(rng)?);
            count
        }
    };
    let text = lines.join("\n");
    let expert = story.solution();
    let byte = text.bytes().zip(expert.bytes()).position(|(x, y)| x != y)?;
    let found = check(story, &text).first_error;
    (found == Some(wrong_line)).then_some(Corrupted { text, step: wrong_line, byte })
}

/// Rewrites the lines after `at` with its wrong value, where it is carried.
fn replay(story: &Story, at: usize, wrong: i64, carry: bool, lines: &mut [String]) -> Option<()> {
    if !carry {
        return Some(());
    }
    let mut values: HashMap<usize, i64> = story.steps.iter().map(|s| s.result).enumerate().collect();
    values.insert(at, wrong);
    for (i, step) in story.steps.iter().enumerate().skip(at + 1) {
        let [a, b] = step.operands.map(|o| o.source.and_then(|s| values.get(&s).copied()).unwrap_or(o.value));
        let result = step.op.apply(a, b).filter(|r| *r > 0)?;
        lines[i] = step.line_with(a, step.op, b, result);
        values.insert(i, result);
    }
    let answer = values.get(&story.steps.len().checked_sub(1)?)?;
    *lines.last_mut()? = format!("#### {answer}");
    Some(())
}

/// A number close to `value`, or with one digit changed; never `value` itself, never negative.
fn near(value: i64, rng: &mut impl Rng) -> i64 {
    let place = 10_i64.pow(rng.random_range(0..value.max(1).ilog10() + 1));
    let by = if rng.random_bool(0.5) { 1 } else { rng.random_range(1..=9) };
    if rng.random_bool(0.5) && value - by * place > 0 { value - by * place } else { value + by * place }
}

/// The people that a text names.
fn names(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|w| matches!(classify(w), Word::Name(_))).collect()
}

/// The numbers of the problem text and of the solution, each once.
fn story_numbers(story: &Story) -> Vec<i64> {
    let given = story.problem.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    let mut numbers: Vec<i64> = given.chain(story.steps.iter().map(|s| s.result)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

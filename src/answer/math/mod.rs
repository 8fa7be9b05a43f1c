//! Answers that are formulas: read as mathematics, compared by what they mean.
//!
//! A text becomes tokens ([`text`]), these an answer ([`shape`]) whose parts are formulas ([`formula`]). Two answers are compared by their shapes
//! ([`same`]), formulas without rounding in a finite field where that can tell, else at points of their domain. Everything is
//! bounded: the length of a text, how deep it is nested, and the steps of a comparison ([`fuel`]).

mod answer;
mod formula;
mod fuel;
mod names;
mod read;
mod region;
mod same;
mod shape;
mod slices;
mod text;
mod units;

use super::ratio::Ratio;
use answer::{Answer, Scalar};
use fuel::Fuel;
use same::Compare;
use shape::answer;
use text::lex::lex;
use text::token::{Dialect, Lexeme, Op, Token};

pub(super) use text::words::{begins as begins_with_number, is_number as is_number_word};

/// Whether two final answers in LaTeX or plain text mean the same.
///
/// Layout, units that only one of them has, percent and degree signs and names (`x =`, `f(x) =`, `AB =`) do not count. Numbers are compared exactly,
/// formulas by their values, equations up to a factor; tuples, matrices and ratios part by part in order; sets and lists in any order; unions of
/// intervals and inequalities as sets of real numbers.
pub fn same_math(a: &str, b: &str) -> bool {
    Formula::of(a).same(&Formula::of(b))
}

/// What a question says about how its answers are compared with the reference.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hints {
    /// It asks for a ratio.
    pub ratio: bool,
    /// It asks for a time in this half of the day.
    pub half: Option<bool>,
}

/// A formula made ready to be compared with many others.
#[derive(Clone, Debug)]
pub(super) struct Formula {
    /// How its tokens are spelled.
    plain: String,
    /// How it may be read, the likeliest first.
    readings: Vec<Answer>,
}

impl Formula {
    /// Reads an answer.
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        let Some(tokens) = lex(text, Dialect::default()) else {
            let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
            return Self { plain, readings: Vec::new() };
        };
        let plain = tokens.iter().map(Lexeme::spelling).collect::<Vec<_>>().join(" ");
        let plain = plain.trim_end_matches(" Dot").to_owned();
        let mut readings = vec![answer(&tokens)];
        let other = |dialect| lex(text, dialect).map(|tokens| answer(&tokens));
        if text.contains(',') && text.contains(|c: char| c.is_ascii_digit()) && plain.len() < text.len() {
            readings.extend(other(Dialect { commas_part: true, ..Dialect::default() }));
        }
        if text.contains("and") && tokens.iter().any(|l| matches!(l.token, Token::And)) {
            readings.extend(other(Dialect { and_adds: true, ..Dialect::default() }));
        }
        Self { plain, readings }
    }

    /// Equal for two that are written alike up to their layout, or are the same number; formulas of other keys may yet be the same.
    pub fn key(&self) -> String {
        match self.readings.first() {
            Some(Answer::Scalar(Scalar { expr, unit: None })) => match expr.exact() {
                Some(Ratio(a, 1)) => a.to_string(),
                Some(Ratio(a, b)) => format!("{a}/{b}"),
                None => self.plain.clone(),
            },
            _ => self.plain.clone(),
        }
    }

    /// Its value where it is a fraction of whole numbers, whatever its name and unit are.
    pub fn number(&self) -> Option<(i128, i128)> {
        let mut answer = self.readings.first()?;
        loop {
            match answer {
                Answer::Named(_, value, _) => answer = value,
                Answer::Either(all) => answer = all.first()?,
                Answer::Scalar(Scalar { unit: Some(units::Unit::Sum(..)), .. }) => return None,
                Answer::Scalar(Scalar { expr, .. }) => return expr.exact().map(|r| (r.0, r.1)),
                _ => return None,
            }
        }
    }

    /// Whether it is several things rather than one.
    pub fn has_parts(&self) -> bool {
        let mut answer = self.readings.first();
        while let Some(Answer::Named(_, value, _)) = answer {
            answer = Some(value);
        }
        match answer {
            Some(Answer::List(all, _)) => all.iter().all(|a| !matches!(a, Answer::Words(_) | Answer::Relation(_))),
            Some(Answer::Tuple(..) | Answer::Set(_) | Answer::Region(..) | Answer::Matrix(..) | Answer::Ratio(_) | Answer::Clock(..)) => {
                true
            }
            _ => false,
        }
    }

    /// Whether it is not understood as mathematics.
    pub fn is_words(&self) -> bool {
        matches!(self.readings.first(), None | Some(Answer::Words(_)))
    }

    /// Whether two mean the same.
    pub fn same(&self, other: &Self) -> bool {
        self.compare(other, &Compare { fuel: &Fuel::new(), loosely: false, ratio: false, half: None })
    }

    /// Whether it means what a reference answer means: besides, a percentage may be the number that it stands for, an angle in degrees one in radians,
    /// and a number with six digits or more behind the point what it is rounded from.
    pub fn is_reference(&self, reference: &Self, hints: Hints) -> bool {
        self.compare(reference, &Compare { fuel: &Fuel::new(), loosely: true, ratio: hints.ratio, half: hints.half })
    }

    fn compare(&self, other: &Self, how: &Compare<'_>) -> bool {
        if self.plain.is_empty() || other.plain.is_empty() {
            return false;
        }
        let first = |a: &Self, b: &Self| a.readings.first().is_some_and(|a| b.readings.iter().any(|b| how.same(a, b)));
        self.plain == other.plain || same_word(&self.plain, &other.plain) || first(self, other) || first(other, self)
    }
}

/// The one number in a text, in digits or words; `None` where there is none, or another one, or a formula.
pub(super) fn only_number(text: &str) -> Option<(i128, i128)> {
    let tokens = lex(text, Dialect::default())?;
    let mut found = None;
    for (i, l) in tokens.iter().enumerate() {
        match &l.token {
            Token::Number(number, _) => {
                let before = |n: usize| i.checked_sub(n).map(|at| &tokens[at].token);
                let minus = matches!(before(1), Some(Token::Op(Op::Minus)));
                if matches!(before(1), Some(Token::Word(word)) if word.eq_ignore_ascii_case("than")) {
                    return None;
                }
                // What is subtracted from something is part of a formula, what is behind a hyphen is not.
                if minus && tokens[i - 1].spaced && matches!(before(2), Some(Token::Letter(_) | Token::Close(_) | Token::GroupClose)) {
                    return None;
                }
                let minus = minus && (tokens[i - 1].spaced || i == 1 || !matches!(before(2), Some(Token::Word(_) | Token::Letter(_))));
                let Ratio(a, b) = number.exact?;
                if found.replace((if minus { -a } else { a }, b)).is_some() {
                    return None;
                }
            }
            Token::Frac | Token::Sqrt | Token::Pi | Token::Function(_) | Token::Binom => return None,
            _ => {}
        }
    }
    found
}

/// Whether both are the same word but for its case; single letters are variables.
fn same_word(a: &str, b: &str) -> bool {
    let letters = |s: &str| s.len() > 1 && s.chars().all(|c| c.is_ascii_alphabetic() || c == ' ') && s.split(' ').any(|w| w.len() > 1);
    letters(a) && a.eq_ignore_ascii_case(b)
}

#[cfg(test)]
mod tests;

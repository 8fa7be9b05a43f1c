//! Kinds of answers, and which one a reference answer shows.

use super::{DECISIONS, expression, number, options};

/// What kind of thing answers a question: it decides how a text is read and which answers are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A number or simple fraction, with or without a unit, in a sentence or behind the `=` of an equation (GSM8K).
    Number,
    /// The letter of an option, or the option's words (MMLU-Pro, MedReason).
    Choice,
    /// A formula in LaTeX, or a tuple, an interval, a set or a matrix of such (MATH).
    Formula,
    /// Yes, no or maybe (PubMedQA).
    Decision,
    /// Arithmetic over given numbers that reaches a target (Countdown).
    Expression,
    /// Words; numbers among them are compared as numbers.
    #[default]
    Text,
}

impl Kind {
    /// The kind of answer that a problem asks for, as far as its reference answer and its text show it.
    ///
    /// A capital letter is an option where the problem has a line `C. …`, or where it is one of A to J; yes, no and maybe are decisions;
    /// `[1, 2] = 3` asks for an expression; then numbers, what looks like a formula, and words. Without a reference answer, lines of options ask for
    /// one, and LaTeX in the problem for a formula.
    pub fn guess(problem: &str, reference: Option<&str>) -> Self {
        let Some(reference) = reference.map(str::trim).filter(|r| !r.is_empty()) else {
            return match () {
                () if problem.lines().filter_map(options::option).count() > 1 => Self::Choice,
                () if problem.contains(['\\', '$']) => Self::Formula,
                () => Self::Text,
            };
        };
        let letter = options::alone(reference);
        let known = |letter: char| letter <= 'J' || options::text_of(problem, letter).is_some();
        match () {
            () if letter.is_some_and(known) => Self::Choice,
            () if DECISIONS.iter().any(|d| d.eq_ignore_ascii_case(reference.trim_end_matches('.'))) => Self::Decision,
            () if reference.starts_with('[') && reference.contains("] =") && expression::key(reference).is_some() => Self::Expression,
            () if is_latex(reference) || is_arithmetic(reference) && reference.contains(|c: char| c.is_ascii_alphabetic()) => Self::Formula,
            () if number::is_number(reference) => Self::Number,
            () if is_arithmetic(reference) => Self::Formula,
            () => Self::Text,
        }
    }
}

/// Whether a text has LaTeX in it that is no mere dollar or percent sign.
fn is_latex(text: &str) -> bool {
    text.match_indices('\\').any(|(at, _)| !text[at + 1..].starts_with(['$', '%', ',', '!']))
}

/// Whether a text is made of digits, operators, brackets and single letters.
fn is_arithmetic(text: &str) -> bool {
    let signs = |c: char| c.is_ascii_alphanumeric() || c.is_whitespace() || "+-−*/^_=(){}[],.|<>!$".contains(c);
    let words = text.split(|c: char| !c.is_ascii_alphabetic()).any(|word| word.len() > 1);
    !text.is_empty() && !words && text.chars().all(signs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "Which?\nA. Small vessel\nB. Large vessel\nC. Colle's fascia";

    #[test]
    fn kinds_are_guessed_from_the_reference() {
        for (reference, kind) in [
            ("18", Kind::Number),
            ("$1,234.50", Kind::Number),
            ("-3", Kind::Number),
            ("18 dollars", Kind::Number),
            ("25/36", Kind::Number),
            ("\\$18.90", Kind::Number),
            ("50\\%", Kind::Number),
            ("C", Kind::Choice),
            ("(B)", Kind::Choice),
            ("Yes", Kind::Decision),
            ("maybe.", Kind::Decision),
            ("[41, 82, 24] = 99", Kind::Expression),
            ("\\frac1{\\sqrt2}", Kind::Formula),
            ("\\frac{1}{2}", Kind::Formula),
            ("2x", Kind::Formula),
            ("x^2+1", Kind::Formula),
            ("(3,4)", Kind::Formula),
            ("1,2", Kind::Formula),
            ("X", Kind::Formula),
            ("k", Kind::Formula),
            ("a blue car", Kind::Text),
            ("3 to 4", Kind::Text),
            ("no vessel", Kind::Text),
            ("5:30", Kind::Text),
        ] {
            assert_eq!(Kind::guess("How many?", Some(reference)), kind, "{reference}");
        }
        assert_eq!(Kind::guess("Which?\nX. a\nY. b", Some("X")), Kind::Choice);
        for reference in [None, Some(""), Some(" ")] {
            assert_eq!(Kind::guess(OPTIONS, reference), Kind::Choice);
            assert_eq!(Kind::guess("Find $x$.", reference), Kind::Formula);
            assert_eq!(Kind::guess("How many?", reference), Kind::Text);
        }
    }
}

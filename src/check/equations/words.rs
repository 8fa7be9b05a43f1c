//! What words between numbers mean to arithmetic: units, signs in words, and where a sentence goes on with something else.

use super::lex::{Kind, Shape, Sign, Token};
use super::part::Op;
use super::reader::{Done, Entry, Reader};
use super::units::Units;

/// Words behind which a sentence goes on with something else.
const JOINS: [&str; 31] = [
    "is",
    "are",
    "was",
    "were",
    "which",
    "because",
    "gives",
    "means",
    "equals",
    "equal",
    "so",
    "since",
    "and",
    "then",
    "thus",
    "therefore",
    "hence",
    "if",
    "when",
    "has",
    "have",
    "had",
    "gets",
    "makes",
    "costs",
    "but",
    "or",
    "that",
    "where",
    "while",
    "who",
];

/// "A … of 3 + 4" is not 3 + 4.
const SHARES: [&str; 37] = [
    "half",
    "third",
    "thirds",
    "quarter",
    "quarters",
    "fourth",
    "fourths",
    "fifth",
    "fifths",
    "sixth",
    "eighth",
    "tenth",
    "tenths",
    "percent",
    "percentage",
    "root",
    "square",
    "cube",
    "multiple",
    "times",
    "product",
    "fraction",
    "average",
    "mean",
    "remainder",
    "twice",
    "rest",
    "difference",
    "ratio",
    "quotient",
    "inverse",
    "reciprocal",
    "double",
    "triple",
    "factors",
    "logarithm",
    "value",
];

/// "… 3 + 4" is not 3 + 4.
const CHANGES: [&str; 27] = [
    "than", "twice", "half", "double", "triple", "thrice", "doubling", "tripling", "halving", "times", "minus", "plus", "squared",
    "modulo", "mod", "gcd", "lcm", "sin", "cos", "tan", "log", "ln", "sqrt", "base", "step", "f", "g",
];

/// "… 1-2" is a range.
const RANGES: [&str; 11] = ["days", "years", "weeks", "months", "pages", "questions", "chapters", "grades", "hours", "problems", "ages"];

/// Determiners between "of" and the number that a share is taken of.
const DETERMINERS: [&str; 11] = ["the", "his", "her", "their", "those", "these", "its", "my", "remaining", "original", "total"];

impl Reader<'_> {
    /// A word behind a number.
    pub(super) fn behind(&mut self, tokens: &[Token], i: usize) -> (usize, Done) {
        let token = &tokens[i];
        let word = self.text_of(token);
        let next = tokens.get(i + 1);
        let is = |words: &[&str]| next.is_some_and(|t| words.contains(&self.text_of(t)));
        let tight = self.tight(tokens, i);
        match word {
            "x" | "X" if starts(next) && !(tight && matches!(next, Some(Token { kind: Kind::Open(_), .. }))) => {
                self.binary(Op::Multiply, 2)
            }
            "times" if starts(next) => self.binary(Op::Multiply, 2),
            "plus" if starts(next) => self.binary(Op::Add, 1),
            "minus" if starts(next) => self.binary(Op::Subtract, 1),
            "divided" | "multiplied" if is(&["by"]) && starts(tokens.get(i + 2)) => {
                self.binary(if word == "divided" { Op::Divide } else { Op::Multiply }, 2);
                return (i + 2, Done::Goes);
            }
            "of" if self.words == 0 => return self.of(tokens, i),
            // "16 and (2/3)"
            "and" if next.is_some_and(|t| matches!(t.kind, Kind::Open(_) | Kind::Money)) || slash(tokens, i + 1) => {
                return (i + 1, Done::Fails);
            }
            _ if joins(word) => {
                self.lead = [self.lead[1], (token.start(), token.end())];
                return self.ends(i + 1);
            }
            // "= 5 more than 7" is no 5; "= 5 more than his brother" is
            "than" if self.words <= 3 && (starts(next) || is(&["twice", "half", "double", "triple"])) => return (i + 1, Done::Fails),
            "times" if self.words == 0 && is(&["as", "the", "what", "that", "his", "her", "their", "its", "x"]) => {
                return (i + 1, Done::Fails);
            }
            "pm" | "am" if self.words == 0 => return (i + 1, Done::Fails),
            "plus" | "minus" | "divided" | "multiplied" | "mod" => return (i + 1, Done::Fails),
            _ => return self.unit(tokens, i),
        }
        (i + 1, Done::Goes)
    }

    /// Whether a word stands right behind a number or a fraction of LaTeX.
    fn tight(&self, tokens: &[Token], i: usize) -> bool {
        tokens[i].glued && i > 0 && matches!(tokens[i - 1].kind, Kind::Number(_) | Kind::Close(Shape::Fraction))
    }

    /// "20% of 50" is a product; "90 of these" a number.
    fn of(&mut self, tokens: &[Token], i: usize) -> (usize, Done) {
        let share = matches!(self.ops.last(), Some(Op::Percent | Op::Divide))
            || matches!(self.stack.last(), Some(Entry::Op(Op::Divide | Op::Mixed, _)));
        let skip = tokens[i + 1..].iter().take(2).take_while(|t| DETERMINERS.contains(&self.text_of(t))).count();
        match (starts(tokens.get(i + 1 + skip)), share) {
            (true, true) => {
                self.binary(Op::Of, 2);
                (i + 1 + skip, Done::Goes)
            }
            (true, false) => (i + 1, Done::Fails),
            (false, _) => {
                self.part.share = share;
                self.lead = [self.lead[1], (tokens[i].start(), tokens[i].end())];
                self.ends(i + 1)
            }
        }
    }

    /// A unit, "million", or a letter that stands for a number.
    fn unit(&mut self, tokens: &[Token], i: usize) -> (usize, Done) {
        let token = &tokens[i];
        let word = self.text_of(token);
        let next = tokens.get(i + 1);
        let tight = self.tight(tokens, i);
        let money = tight && i >= 2 && tokens[i - 2].kind == Kind::Money;
        if let Some(scale) = scale(word, money) {
            if self.words == 0 {
                self.part.unsure |= tight; // $3k$ may be a variable
                self.ops.push(Op::Scale(scale));
                self.part.end = token.end();
                return (i + 1, Done::Goes);
            }
        } else {
            let one = word.chars().nth(1).is_none();
            let near = |t: Option<&Token>| t.is_some_and(|t| matches!(t.kind, Kind::Sign(_) | Kind::Open(_) | Kind::Opaque));
            let apart = self.words > 0 && !near(next) && !near(tokens.get(i - 1));
            let spoken = !tight && (matches!(word, "a" | "A" | "I") || apart || next.is_some_and(|t| self.text_of(t) == "of"));
            // "dividing by 4 we get X": a label
            if one && spoken && next.is_none() && self.words > 0 {
                return self.ends(i + 1);
            }
            let segment = word.len() == 2 && word.bytes().all(|b| b.is_ascii_uppercase()) && !matches!(word, "GB" | "MB" | "KB" | "TB");
            let exponent = self.stack.iter().rev().take(4).any(|e| matches!(e, Entry::Op(Op::Power, _)));
            if (one && !spoken) || segment || (tight && (exponent || !glued_unit(word))) {
                return (i + 1, Done::Fails);
            }
        }
        if let Some(units) = Units::named(word) {
            self.part.units.add(units);
        }
        if self.part.word.is_none() && self.words == 0 {
            self.part.word = Some((token.start(), token.end()));
        }
        self.words += 1;
        self.lead = [self.lead[1], (token.start(), token.end())];
        (i + 1, Done::Goes)
    }
}

/// What a word multiplies the number in front of it by; `k` only right behind an amount of money.
fn scale(word: &str, money: bool) -> Option<f64> {
    match word {
        "dozen" => Some(12.0),
        "hundred" => Some(100.0),
        "thousand" => Some(1e3),
        "k" | "K" if money => Some(1e3),
        "million" => Some(1e6),
        "billion" => Some(1e9),
        _ => None,
    }
}

/// Whether a token can begin arithmetic.
fn starts(token: Option<&Token>) -> bool {
    token.is_some_and(|t| matches!(t.kind, Kind::Number(_) | Kind::Money | Kind::Open(_) | Kind::Root(_)))
}

/// Whether a fraction of two numbers starts at a token: `1/2`.
pub(super) fn slash(tokens: &[Token], i: usize) -> bool {
    let at = |i: usize| tokens.get(i).map(|t| (t.kind, t.glued));
    matches!(at(i), Some((Kind::Number(_), _)))
        && at(i + 1) == Some((Kind::Sign(Sign::Divide), true))
        && matches!(at(i + 2), Some((Kind::Number(_), true)))
}

/// Whether a word in front of a bracket or root is likely the name of a function or of a factor: `f (3)`, `AB \sqrt{2}`.
pub(super) fn factor(word: &str) -> bool {
    let small = ["is", "of", "to", "or", "so", "in", "by", "as", "at", "on", "we", "it", "a", "A", "be", "If", "So", "In", "do", "he"];
    word.chars().nth(2).is_none() && !small.contains(&word)
}

/// Whether a sentence goes on with something else behind a word.
pub(super) fn joins(word: &str) -> bool {
    word.len() <= 9 && JOINS.contains(&word)
}

/// Whether letters right behind a number are a unit and not variables.
fn glued_unit(word: &str) -> bool {
    matches!(word, "mph" | "kmh" | "kph" | "hrs" | "mins" | "secs" | "lbs" | "pts" | "kWh")
        || word.chars().nth(3).is_some()
        || Units::named(word).is_some()
}

/// Whether words in front of arithmetic change what it means: "half of 3 + 4", "5 more than 3 + 4", "weeks 1-2".
pub(super) fn changes([before, last]: [&str; 2], ops: &[Op]) -> bool {
    if last.len() > 12 {
        return false;
    }
    let (before, last) = (before.get(..before.len().min(12)).unwrap_or(before).to_ascii_lowercase(), last.to_ascii_lowercase());
    match last.as_str() {
        "by" => before.starts_with("divid") || before.starts_with("multipl"),
        "of" => SHARES.contains(&before.as_str()),
        last if RANGES.contains(&last) => matches!(ops, [Op::Number(_), Op::Number(_), Op::Subtract]),
        last => CHANGES.contains(&last),
    }
}

//! Numbers in words: `eighteen`, `1 million`, `2 dozen`, `10 and a half`.

use super::super::super::ratio::Ratio;
use super::super::formula::tree::Number;
use super::token::{Dialect, Lexeme, Op, Token};

const UNITS: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const PARTS: [&str; 11] = ["half", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"];

fn small(word: &str) -> Option<i128> {
    let unit = UNITS.iter().position(|u| *u == word).map(|i| i as i128);
    unit.or_else(|| TENS.iter().position(|t| *t == word).map(|i| 20 + 10 * i as i128)).or((word == "fourty").then_some(40))
}

/// What a word multiplies the number before it by.
fn scale(word: &str) -> Option<i128> {
    Some(match word.strip_suffix('s').filter(|w| *w != "gros").unwrap_or(word) {
        "hundred" => 100,
        "thousand" => 1_000,
        "million" | "mln" => 1_000_000,
        "billion" | "bn" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        "dozen" => 12,
        "lakh" => 100_000,
        "crore" => 10_000_000,
        _ => return None,
    })
}

/// The denominator that a word such as `third` names; several of them end in s.
fn part(word: &str) -> Option<i128> {
    let one = match word {
        "halves" => "half",
        _ => word.strip_suffix('s').unwrap_or(word),
    };
    let known = PARTS.iter().position(|p| *p == one).map(|i| i as i128 + 2);
    known.or(match one {
        "quarter" => Some(4),
        "hundredth" => Some(100),
        "thousandth" => Some(1000),
        _ => None,
    })
}

/// Whether a word is a number or a part of one.
pub(in crate::answer) fn is_number(word: &str) -> bool {
    small(word).is_some() || scale(word).is_some() || part(word).is_some()
}

/// Whether a text begins with a number in words.
pub(in crate::answer) fn begins(text: &str) -> bool {
    let word = text.trim_start().split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    small(&word.to_lowercase()).is_some()
}

/// Puts one number in the place of the words, and of the numbers with words behind them, that say it.
pub(in crate::answer::math) fn merge(tokens: Vec<Lexeme>, dialect: Dialect) -> Vec<Lexeme> {
    let worded =
        |l: &Lexeme| matches!(&l.token, Token::Word(w) if is_number(&w.to_lowercase()) || matches!(w.as_str(), "negative" | "minus"));
    if !tokens.iter().any(|l| worded(l) || (dialect.and_adds && matches!(l.token, Token::And))) {
        return tokens;
    }
    let mut out: Vec<Lexeme> = Vec::with_capacity(tokens.len());
    let mut reader = Reader { all: &tokens, at: 0 };
    while let Some(lexeme) = tokens.get(reader.at) {
        let before = reader.at;
        if matches!(reader.word(0).as_deref(), Some("negative" | "minus")) {
            out.push(Lexeme { token: Token::Op(Op::Minus), ..lexeme.clone() });
            reader.at += 1;
        } else if let Some(number) = reader.quantity() {
            let raw = number.exact.map_or_else(String::new, |r| if r.1 == 1 { r.0.to_string() } else { format!("{}/{}", r.0, r.1) });
            out.push(Lexeme { token: Token::Number(number, raw), ..lexeme.clone() });
        } else {
            reader.at = before + 1;
            // `2 and 1/2`
            let mixed = dialect.and_adds
                && matches!(lexeme.token, Token::And)
                && matches!(out.last().map(|l| &l.token), Some(Token::Number(..)))
                && match tokens.get(before + 1).map(|l| &l.token) {
                    Some(Token::Frac) => true,
                    Some(Token::Number(..)) => matches!(tokens.get(before + 2).map(|l| &l.token), Some(Token::Op(Op::Over))),
                    _ => false,
                };
            if !mixed {
                out.push(lexeme.clone());
            }
        }
    }
    out
}

struct Reader<'a> {
    all: &'a [Lexeme],
    at: usize,
}

impl Reader<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.all.get(self.at + ahead).map(|l| &l.token)
    }

    fn word(&self, ahead: usize) -> Option<String> {
        match self.token(ahead)? {
            Token::Word(word) => Some(word.to_lowercase()),
            Token::Letter(letter) if letter == "a" => Some("a".into()),
            _ => None,
        }
    }

    fn is_article(&self, ahead: usize) -> bool {
        matches!(self.word(ahead).as_deref(), Some("a" | "an"))
    }

    /// A number with all the words that belong to it.
    fn quantity(&mut self) -> Option<Number> {
        let mut value = match self.token(0)? {
            Token::Number(number, _) => {
                let exact = number.exact?;
                self.at += 1;
                let mut scaled = self.scaled(exact)?;
                // `2 thirds`, but 3 quarters may be coins.
                if let Some(parts) = self.word(0).filter(|w| !w.starts_with("quarter") && !w.starts_with("hal")).and_then(|w| part(&w)) {
                    scaled = scaled.apply('/', Ratio(parts, 1))?;
                    self.at += 1;
                }
                let own = self.at;
                let value = self.and_part(scaled)?;
                // A number alone stays as it is written.
                return if value == exact && own == self.at && scaled == exact { None } else { Number::of(value) };
            }
            _ => self.start()?,
        };
        value = self.scaled(value)?;
        Number::of(self.and_part(value)?)
    }

    /// The number that words begin with.
    fn start(&mut self) -> Option<Ratio> {
        let first = self.word(0)?;
        if self.is_article(0) {
            let next = self.word(1)?;
            if let Some(parts) = part(&next) {
                self.at += 2;
                return Some(Ratio(1, parts));
            }
            scale(&next)?;
            self.at += 1;
            return Some(Ratio(1, 1));
        }
        if first == "half" {
            self.at += 1;
            if self.is_article(0) && self.word(1).is_some_and(|w| scale(&w).is_some()) {
                self.at += 1;
            }
            return Some(Ratio(1, 2));
        }
        let whole = self.cardinal()?;
        let hyphen = usize::from(matches!(self.token(0), Some(Token::Op(Op::Minus))));
        match self.word(hyphen).and_then(|w| part(&w)) {
            Some(parts) => {
                self.at += hyphen + 1;
                Ratio::new(whole, parts)
            }
            None => Some(Ratio(whole, 1)),
        }
    }

    /// `three hundred and five thousand two hundred`
    fn cardinal(&mut self) -> Option<i128> {
        let (mut total, mut current) = (0_i128, small(&self.word(0)?)?);
        self.at += 1;
        loop {
            let hyphen = usize::from(current % 10 == 0 && current > 0 && matches!(self.token(0), Some(Token::Op(Op::Minus))));
            let and = usize::from(
                (current % 100 == 0 || current == 0) && (total > 0 || current > 0) && matches!(self.token(0), Some(Token::And)),
            );
            let Some(word) = self.word(hyphen.max(and)) else { break };
            if let Some(n) = small(&word).filter(|n| current == 0 || current % 100 == 0 || (current % 10 == 0 && *n < 10 && and == 0)) {
                current += n;
            } else if word == "hundred" && current < 100 && hyphen + and == 0 {
                current *= 100;
            } else if let Some(scale) = scale(&word).filter(|s| *s >= 1000 && hyphen + and == 0) {
                total = total.checked_add(current.checked_mul(scale)?)?;
                current = 0;
            } else {
                break;
            }
            self.at += 1 + hyphen.max(and);
        }
        total.checked_add(current)
    }

    fn scaled(&mut self, mut value: Ratio) -> Option<Ratio> {
        while let Some(scale) = self.word(0).and_then(|w| scale(&w)) {
            value = value.apply('*', Ratio(scale, 1))?;
            self.at += 1;
        }
        Some(value)
    }

    /// `and a half`
    fn and_part(&mut self, value: Ratio) -> Option<Ratio> {
        if !matches!(self.token(0), Some(Token::And)) {
            return Some(value);
        }
        let before = self.at;
        self.at += 1;
        let parts = match self.word(0) {
            Some(word) if part(&word).is_some() && value.whole().is_some() => part(&word).map(|p| (1, p)).inspect(|_| self.at += 1),
            Some(_) if self.is_article(0) => self.word(1).and_then(|w| part(&w)).map(|p| (1, p)).inspect(|_| self.at += 2),
            Some(word) => small(&word).zip(self.word(1).and_then(|w| part(&w))).inspect(|_| self.at += 2),
            None => None,
        };
        match parts {
            Some((n, parts)) => value.apply('+', Ratio::new(n, parts)?),
            None => {
                self.at = before;
                Some(value)
            }
        }
    }
}

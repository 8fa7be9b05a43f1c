//! Units of measure, as far as answers compare them.

use super::text::measures::{Dimensions, MONEY, TIME, known, letter};
use super::text::token::{Lexeme, Op, Token};

/// What stands behind a number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unit {
    Percent,
    /// Degrees of an angle.
    Degree,
    /// A unit that is known, and how many basic ones it is.
    Known(Dimensions, f64),
    /// What a number is a remainder of, as it is spelled.
    Modulus(String),
    /// A known unit of several quantities that were added up: of what unit a bare number beside it would be is not said.
    Sum(Dimensions, f64),
    /// Words.
    Other(String),
}

impl Unit {
    /// Both as one unit; money stays money beside words.
    pub fn times(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Known(a, x), Self::Known(b, y)) if a != b => {
                let mut sum = *a;
                sum.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                Self::Known(sum, x * y)
            }
            _ => self.clone(),
        }
    }
}

/// The unit of money of a sign.
pub(super) fn money(sign: char) -> Unit {
    if sign == '$' { Unit::Known(MONEY, 1.0) } else { Unit::Other(sign.into()) }
}

/// The unit that these tokens, all of them, say; `None` where they are none. What explains a known unit (`meters of rope`) does not count.
pub(super) fn read(all: &[Lexeme]) -> Option<Unit> {
    let first = &all.first()?.token;
    let word = if let Token::Word(word) = first { word.to_lowercase() } else { String::new() };
    // `\pmod{7}` and `(mod 7)`
    let plain = |l: &&Lexeme| !matches!(l.token, Token::Open('(') | Token::Close(')') | Token::GroupOpen | Token::GroupClose);
    if matches!(all.iter().find(plain), Some(Lexeme { token: Token::Word(w), .. }) if w == "mod") {
        return Some(Unit::Modulus(all.iter().filter(plain).skip(1).map(Lexeme::spelling).collect()));
    }
    let special = match (first, word.as_str()) {
        (Token::Percent, _) | (_, "percent" | "percents" | "percentage" | "pct") => Some(Unit::Percent),
        (Token::Degree, _) | (_, "degree" | "degrees" | "deg") => Some(Unit::Degree),
        _ => None,
    };
    if special.is_some() {
        let words = |l: &Lexeme| matches!(l.token, Token::Word(_) | Token::Letter(_) | Token::Dot | Token::Open('(') | Token::Close(')'));
        return special.filter(|_| all[1..].iter().all(words));
    }
    let mut reader = Reader { all, at: 0, terms: Vec::new(), words: Vec::new(), below: None };
    reader.terms()?;
    if reader.terms.is_empty() {
        return Some(Unit::Other(reader.words.join(" ")));
    }
    let (mut dimensions, mut factor) = ([0; 5], 1.0);
    for (unit, size, power) in reader.terms {
        for (sum, d) in dimensions.iter_mut().zip(unit) {
            *sum += d * power;
        }
        factor *= f64::powi(size, i32::from(power));
    }
    Some(Unit::Known(dimensions, factor))
}

struct Reader<'a> {
    all: &'a [Lexeme],
    at: usize,
    /// Known units, their sizes and powers.
    terms: Vec<(Dimensions, f64, i8)>,
    words: Vec<String>,
    /// Where the upper part of a fraction ends.
    below: Option<usize>,
}

impl Reader<'_> {
    fn terms(&mut self) -> Option<()> {
        let (mut sign, mut power) = (1, 1);
        while let Some(lexeme) = self.all.get(self.at) {
            self.at += 1;
            match &lexeme.token {
                Token::Word(word) => {
                    let lower = word.to_lowercase();
                    match lower.as_str() {
                        "per" | "every" | "each" => sign = -1,
                        "square" | "sq" => power = 2,
                        "cubic" | "cu" => power = 3,
                        "squared" => self.raise(2),
                        "cubed" => self.raise(3),
                        "a" | "an" | "the" => {}
                        _ => {
                            self.one(&lower, word, sign * power);
                            (sign, power) = (1, 1);
                        }
                    }
                }
                // A letter is a unit in words, or as part of one.
                Token::Letter(word) if word != "a" && (lexeme.text || self.at > 1) => {
                    self.one(word, word, sign * power);
                    (sign, power) = (1, 1);
                }
                Token::Letter(word) if word == "a" => {}
                // What is below a fraction's line divides.
                Token::Frac => {
                    let above = self.all[self.at..].iter().position(|l| matches!(l.token, Token::GroupClose))?;
                    self.below = Some(self.at + above);
                }
                Token::GroupClose if self.below == Some(self.at - 1) => sign = -1,
                Token::Op(Op::Over) => sign = -1,
                Token::Op(Op::Times | Op::Minus) | Token::Dot | Token::Prime | Token::GroupOpen | Token::GroupClose => {}
                Token::Caret => {
                    let power = self.exponent()?;
                    self.raise(power);
                }
                Token::Currency('$') => self.one("dollar", "dollar", sign),
                Token::Currency(other) => self.words.push((*other).into()),
                // `(s)` and other remarks
                Token::Open('(') => {
                    let len = self.all[self.at..].iter().position(|l| matches!(l.token, Token::Close(')')))?;
                    self.at += len + 1;
                }
                _ => return None,
            }
        }
        (!self.terms.is_empty() || !self.words.is_empty()).then_some(())
    }

    /// A small whole power behind `^`.
    fn exponent(&mut self) -> Option<i8> {
        let mut sign = 1;
        while let Some(lexeme) = self.all.get(self.at) {
            self.at += 1;
            match &lexeme.token {
                Token::GroupOpen => {}
                Token::Op(Op::Minus) => sign = -1,
                Token::Number(n, _) => return (n.value.fract() == 0.0 && n.value <= 4.0).then_some(sign * n.value as i8),
                _ => return None,
            }
        }
        None
    }

    fn raise(&mut self, power: i8) {
        if let Some(last) = self.terms.last_mut() {
            last.2 = last.2.saturating_mul(power);
        }
    }

    /// Adds one word; a known unit counts where it is the first, or behind others.
    fn one(&mut self, lower: &str, word: &str, power: i8) {
        let unit =
            if word.chars().count() == 1 { letter(word) } else { known(lower).or(matches!(lower, "min" | "mins").then_some((TIME, 60.0))) };
        match unit {
            Some((dimensions, size)) if self.words.is_empty() && (self.terms.is_empty() || power != 1) => {
                self.terms.push((dimensions, size, power))
            }
            _ if !self.terms.is_empty() => {}
            _ => self.words.push(lower.strip_suffix('s').filter(|w| w.len() > 2).unwrap_or(lower).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::lex::lex;
    use super::super::text::token::Dialect;
    use super::*;

    fn unit(text: &str) -> Option<Unit> {
        read(&lex(&format!("1 {text}"), Dialect::default()).unwrap()[1..])
    }

    #[test]
    fn units_are_read_in_many_spellings() {
        for (a, b) in [
            ("\\text{ cm}^2", "square centimeters"),
            ("\\mathrm{km/h}", "kilometers per hour"),
            ("\\text{ m/s}", "meters per second"),
            ("miles", "\\text{ mi}"),
            ("ft^3", "cubic feet"),
            ("%", "percent"),
            ("^\\circ", "degrees"),
            ("meters of rope", "m"),
        ] {
            let strip = |text: &str| unit(text.trim_start_matches('^'));
            assert!(strip(a).is_some() && (strip(a) == strip(b) || b == "m"), "{a}: {:?}, {b}: {:?}", strip(a), strip(b));
        }
        assert_eq!(unit("cookies"), Some(Unit::Other("cookie".into())));
        assert_eq!((unit("+ 2"), unit("")), (None, None));
    }
}

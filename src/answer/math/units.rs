//! Units of measure, as far as answers compare them.

use super::text::lex::{Lexeme, Op, Token};

/// Length, mass, time, money, information: the powers in which they stand in a unit.
type Dimensions = [i8; 5];

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

const LENGTH: Dimensions = [1, 0, 0, 0, 0];
const MASS: Dimensions = [0, 1, 0, 0, 0];
const TIME: Dimensions = [0, 0, 1, 0, 0];
const MONEY: Dimensions = [0, 0, 0, 1, 0];
const DATA: Dimensions = [0, 0, 0, 0, 1];
const AREA: Dimensions = [2, 0, 0, 0, 0];
const VOLUME: Dimensions = [3, 0, 0, 0, 0];
const SPEED: Dimensions = [1, 0, -1, 0, 0];

/// The unit of a word in lower case.
fn known(word: &str) -> Option<(Dimensions, f64)> {
    let found = |word: &str| -> Option<(Dimensions, f64)> {
        Some(match word {
            "mm" | "millimeter" | "millimetre" => (LENGTH, 1e-3),
            "cm" | "centimeter" | "centimetre" => (LENGTH, 1e-2),
            "dm" | "decimeter" | "decimetre" => (LENGTH, 1e-1),
            "meter" | "metre" => (LENGTH, 1.0),
            "km" | "kilometer" | "kilometre" => (LENGTH, 1e3),
            "inch" | "inche" | "in" => (LENGTH, 0.0254),
            "foot" | "feet" | "ft" => (LENGTH, 0.3048),
            "yard" | "yd" => (LENGTH, 0.9144),
            "mile" | "mi" => (LENGTH, 1609.344),
            "mg" | "milligram" => (MASS, 1e-6),
            "gram" | "gm" => (MASS, 1e-3),
            "kg" | "kilogram" | "kilo" => (MASS, 1.0),
            "tonne" => (MASS, 1e3),
            "ounce" | "oz" => (MASS, 0.028_349_523_125),
            "pound" | "lb" => (MASS, 0.453_592_37),
            "millisecond" => (TIME, 1e-3),
            "second" | "sec" => (TIME, 1.0),
            "minute" => (TIME, 60.0),
            "hour" | "hr" => (TIME, 3600.0),
            "day" => (TIME, 86_400.0),
            "week" | "wk" => (TIME, 604_800.0),
            "dollar" | "usd" | "buck" => (MONEY, 1.0),
            "cent" | "¢" => (MONEY, 0.01),
            "acre" => (AREA, 4_046.856_422_4),
            "hectare" => (AREA, 1e4),
            "liter" | "litre" => (VOLUME, 1e-3),
            "ml" | "milliliter" | "millilitre" | "cc" => (VOLUME, 1e-6),
            "gallon" => (VOLUME, 3.785_411_784e-3),
            "quart" => (VOLUME, 9.463_529_46e-4),
            "pint" => (VOLUME, 4.731_764_73e-4),
            "mph" => (SPEED, 0.447_04),
            "kph" | "kmh" => (SPEED, 1.0 / 3.6),
            "byte" => (DATA, 8.0),
            "bit" => (DATA, 1.0),
            _ => return None,
        })
    };
    found(word).or_else(|| word.strip_suffix('s').and_then(found))
}

/// Units that are one letter, where it is surely no variable.
fn letter(letter: &str) -> Option<(Dimensions, f64)> {
    Some(match letter {
        "m" => (LENGTH, 1.0),
        "g" => (MASS, 1e-3),
        "s" => (TIME, 1.0),
        "h" => (TIME, 3600.0),
        "L" | "l" => (VOLUME, 1e-3),
        _ => return None,
    })
}

/// Whether one letter in words behind a number is a unit.
pub(super) fn is_letter(run: &str) -> bool {
    matches!(run, "m" | "g" | "s" | "h" | "L" | "l" | "N" | "J" | "W" | "V" | "A" | "K" | "F" | "C")
}

/// Whether a word in lower case is a unit, or stands in one.
pub(super) fn is_known(word: &str) -> bool {
    known(word).is_some()
        || matches!(
            word,
            "percent"
                | "pct"
                | "degree"
                | "degrees"
                | "deg"
                | "square"
                | "cubic"
                | "sq"
                | "cu"
                | "per"
                | "units"
                | "unit"
                | "min"
                | "mins"
                | "month"
                | "months"
                | "year"
                | "years"
                | "yr"
                | "yrs"
                | "radian"
                | "radians"
                | "rad"
                | "euro"
                | "euros"
                | "yen"
                | "rupees"
                | "people"
                | "times"
                | "ways"
        )
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
    use super::super::text::lex::{Dialect, lex};
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

//! Values of LaTeX formulas: arithmetic, fractions, roots, powers, a few functions, variables.

use crate::util::hash::fnv1a_salted;
use crate::util::seed::GOLDEN;

/// Formulas nested deeper than this are not read.
const DEPTH: usize = 64;
/// Commands that stand for a variable.
const SYMBOLS: [&str; 16] = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "theta",
    "lambda",
    "mu",
    "rho",
    "sigma",
    "tau",
    "phi",
    "omega",
    "infty",
    "emptyset",
    "varnothing",
];

/// The value of a formula where every variable has a value of its own, between ½ and 2, drawn by `point`: two formulas that agree at a few
/// points are the same. `None` where the text is no formula that is understood or has no finite real value there.
///
/// Understood: numbers, `+ - * / ^ !`, `\cdot \times \div`, `\frac`, `\sqrt[n]{}`, `\pi`, `\sin` and its kin, `\log`, `\ln`, parentheses, implicit
/// products, mixed numbers (`2\frac{1}{3}`), single letters and Greek ones with subscripts.
pub(super) fn evaluate(text: &str, point: u64) -> Option<f64> {
    let mut reader = Reader { rest: text, point, depth: 0 };
    let value = reader.sum()?;
    (reader.peek().is_none() && value.is_finite()).then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    point: u64,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    /// Whether this text comes next; it is then behind.
    fn eat(&mut self, wanted: &str) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(wanted);
        let whole = !wanted.starts_with('\\') || rest.is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_alphabetic()));
        let found = rest.filter(|_| whole);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?;
        loop {
            if self.eat("+") {
                value += self.product()?;
            } else if self.eat("-") {
                value -= self.product()?;
            } else {
                return Some(value);
            }
        }
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.signed()?;
        loop {
            if self.eat("\\cdot") || self.eat("\\times") || self.eat("*") {
                value *= self.signed()?;
            } else if self.eat("/") || self.eat("\\div") {
                value /= self.signed()?;
            } else if self.peek().is_some_and(|c| c.is_alphanumeric() || matches!(c, '(' | '{' | '\\')) {
                value *= self.power()?;
            } else {
                return Some(value);
            }
        }
    }

    fn signed(&mut self) -> Option<f64> {
        let mut sign = 1.0;
        loop {
            if self.eat("-") {
                sign = -sign;
            } else if !self.eat("+") {
                return Some(sign * self.power()?);
            }
        }
    }

    fn power(&mut self) -> Option<f64> {
        let mut value = self.base()?;
        if self.eat("^") {
            let sign = if self.eat("-") { -1.0 } else { 1.0 };
            // `2^10` is meant as it looks, though LaTeX would raise to the 1 only.
            let digits = self.peek().is_some_and(|c| c.is_ascii_digit());
            value = value.powf(sign * if digits { self.number()? } else { self.base()? });
        }
        if self.eat("!") {
            let whole = value.fract() == 0.0 && (0.0..=170.0).contains(&value);
            value = whole.then(|| (1..=value as u32).map(f64::from).product())?;
        }
        Some(value)
    }

    fn base(&mut self) -> Option<f64> {
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        let value = match self.peek()? {
            '(' => self.group("(", ")"),
            '{' => self.group("{", "}"),
            '\\' => self.command(),
            c if c.is_ascii_digit() || c == '.' => self.number(),
            c if c.is_ascii_alphabetic() => {
                let name = &self.rest[..1];
                self.rest = &self.rest[1..];
                self.variable(name)
            }
            _ => None,
        };
        self.depth -= 1;
        value
    }

    fn group(&mut self, open: &str, close: &str) -> Option<f64> {
        self.eat(open).then_some(())?;
        let value = self.sum()?;
        self.eat(close).then_some(value)
    }

    /// `{…}`, or a single digit, letter or command.
    fn argument(&mut self) -> Option<f64> {
        match self.peek()? {
            c if c.is_ascii_digit() => {
                self.rest = &self.rest[1..];
                c.to_digit(10).map(f64::from)
            }
            _ => self.base(),
        }
    }

    fn number(&mut self) -> Option<f64> {
        let end = self.rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        if self.peek() == Some('_') {
            // A numeral in another base is its own name.
            return self.variable(digits);
        }
        let value: f64 = digits.parse().ok()?;
        let mut ahead = Reader { rest: self.rest, ..*self };
        if ahead.eat("\\frac")
            && let (Some(a), Some(b)) = (ahead.digits(), ahead.digits())
        {
            self.rest = ahead.rest;
            return Some(value + a / b);
        }
        Some(value)
    }

    /// `{12}` or `1`.
    fn digits(&mut self) -> Option<f64> {
        let braced = self.eat("{");
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(if braced { end } else { end.min(1) });
        self.rest = rest;
        let value = digits.parse().ok()?;
        (!braced || self.eat("}")).then_some(value)
    }

    /// The value of the variable of this name and the subscript that comes next.
    fn variable(&mut self, name: &str) -> Option<f64> {
        let mut subscript = "";
        if self.eat("_") {
            let end = if self.peek()? == '{' { self.rest.find('}')? + 1 } else { self.rest.chars().next()?.len_utf8() };
            (subscript, self.rest) = self.rest.split_at(end);
        }
        let trimmed = subscript.trim_matches(['{', '}']);
        let hash = fnv1a_salted(self.point.wrapping_mul(GOLDEN), name.bytes().chain([b'_']).chain(trimmed.bytes()));
        Some(0.5 + 1.5 * (hash >> 11) as f64 / (1_u64 << 53) as f64)
    }

    fn command(&mut self) -> Option<f64> {
        let body = &self.rest[1..];
        let end = body.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(body.len());
        let (name, rest) = body.split_at(end);
        self.rest = rest;
        let function: fn(f64) -> f64 = match name {
            "frac" => return Some(self.argument()? / self.argument()?),
            "sqrt" => {
                let root = if self.peek() == Some('[') {
                    let (inside, rest) = self.rest[1..].split_once(']')?;
                    self.rest = rest;
                    inside.trim().parse().ok()?
                } else {
                    2.0
                };
                return Some(self.argument()?.powf(1.0 / root));
            }
            "pi" => return Some(std::f64::consts::PI),
            "sin" => f64::sin,
            "cos" => f64::cos,
            "tan" => f64::tan,
            "log" => {
                let base = if self.eat("_") { self.argument()? } else { 10.0 };
                return Some(self.power()?.ln() / base.ln());
            }
            "ln" => f64::ln,
            symbol if SYMBOLS.contains(&symbol) => return self.variable(symbol),
            _ => return None,
        };
        Some(function(self.power()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, value) in [
            ("1+2*3", 7.0),
            ("\\frac{1}{2}+\\frac12", 1.0),
            ("2\\frac{1}{2}", 2.5),
            ("2\\frac{\\sqrt{4}}{2}", 2.0),
            ("-3^2", -9.0),
            ("\\sqrt[3]{8}\\cdot 3!", 12.0),
            ("2(3+4)", 14.0),
            ("\\log_{2}{8}", 3.0),
            ("\\sin \\pi + 4^{1/2}", 2.0),
            ("10^{2}\\div 4", 25.0),
        ] {
            assert!(evaluate(text, 0).is_some_and(|v| (v - value).abs() < 1e-12), "{text}: {:?}", evaluate(text, 0));
        }
        for text in ["", "1+", "(1", "1)", "\\frac{1}", "\\text{a}", "1/0", "\\sqrt{-1}", "\\", "x_", "é", "1..2", "^2"] {
            assert_eq!(evaluate(text, 0), None, "{text}");
        }
        for deep in ["(", "\\sqrt", "-(", "2^", "\\sin"] {
            assert_eq!(evaluate(&deep.repeat(100_000), 0), None, "{deep}");
        }
    }

    #[test]
    fn variables_differ() {
        let at = |text| evaluate(text, 3).unwrap();
        assert!(at("x") != at("y") && at("x_1") != at("x_2") && at("x") != at("x_1") && at("101_2") != at("101_3"));
        assert!(at("x_{1}") == at("x_1") && evaluate("x", 1) != evaluate("x", 2));
        assert!((at("(x+1)^2") - at("x^2+2x+1")).abs() < 1e-12);
        assert!((0..100).all(|p| (0.5..2.0).contains(&evaluate("q", p).unwrap())));
    }
}

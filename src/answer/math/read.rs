//! Tokens read as a formula.

use super::super::ratio::Ratio;
use super::formula::tree::{Call, Expr, Number};
use super::text::symbols::inverse;
use super::text::token::{Lexeme, Op, Token};
use crate::util::hash::fnv1a;

/// Formulas nested deeper than this are not read.
const DEPTH: usize = 48;
/// Signs ± that a formula may have.
const SIGNS: usize = 4;

/// The formula that these tokens begin with, and how many tokens it takes; `None` where they begin with none that is understood.
///
/// Understood: numbers, mixed numbers and percentages, `+ - * / ^ !`, implicit products, fractions, roots, powers, binomials, absolute values, functions with
/// and without brackets, single letters and Greek ones with indices, names under an accent, `e`, `i`, π, numerals in another base (each its own name), ±.
pub(super) fn formula(all: &[Lexeme]) -> Option<(Expr, usize)> {
    let mut reader = Reader { all: all.to_vec(), split: 0, at: 0, depth: 0, bars: 0, signs: 0 };
    let value = reader.sum()?;
    Some((value, reader.at - reader.split))
}

/// All of these tokens as one formula.
pub(super) fn whole(all: &[Lexeme]) -> Option<Expr> {
    formula(all).filter(|(_, used)| *used == all.len()).map(|(value, _)| value)
}

/// The variable of a name.
pub(super) fn variable(name: &str) -> Expr {
    Expr::Variable(fnv1a(name.bytes()))
}

struct Reader {
    all: Vec<Lexeme>,
    /// How many tokens were made by splitting others.
    split: usize,
    at: usize,
    depth: usize,
    /// Bars that are open.
    bars: usize,
    signs: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.all.get(self.at).map(|l| &l.token)
    }

    fn ahead(&self, n: usize) -> Option<&Token> {
        self.all.get(self.at + n).map(|l| &l.token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += usize::from(token.is_some());
        token
    }

    fn eat_op(&mut self, wanted: Op) -> bool {
        let found = matches!(self.peek(), Some(Token::Op(op)) if *op == wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, is: impl Fn(&Token) -> bool) -> Option<()> {
        let found = self.peek().is_some_and(is);
        self.at += usize::from(found);
        found.then_some(())
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let found = if self.depth > DEPTH { None } else { read(self) };
        self.depth -= 1;
        found
    }

    fn sum(&mut self) -> Option<Expr> {
        let mut terms = Vec::new();
        loop {
            let op = match self.peek() {
                Some(Token::Op(op @ (Op::Plus | Op::Minus | Op::PlusMinus | Op::MinusPlus))) => Some(*op),
                _ => None,
            };
            if op.is_none() && !terms.is_empty() {
                break;
            }
            self.at += usize::from(op.is_some());
            let own = match op {
                Some(Op::PlusMinus) => Some((self.sign(true)?, false)),
                Some(Op::MinusPlus) => Some((self.sign(false)?, true)),
                _ => None,
            };
            let term = self.product()?;
            terms.push(match (op, own) {
                (_, Some((at, opposite))) => Expr::Signed(at, opposite, Box::new(term)),
                (Some(Op::Minus), _) => term.negative(),
                _ => term,
            });
        }
        Some(if terms.len() == 1 { terms.pop()? } else { Expr::Sum(terms) })
    }

    /// The number of a sign ±; one that is `fresh` is free of the others.
    fn sign(&mut self, fresh: bool) -> Option<usize> {
        self.signs += usize::from(fresh || self.signs == 0);
        (self.signs <= SIGNS).then(|| self.signs - 1)
    }

    /// Whether a factor comes next without a sign for it.
    fn at_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Bar) => self.bars == 0,
            Some(Token::Open(c)) => matches!(c, '(' | '[' | '⌊' | '⌈'),
            Some(Token::Number(..)) => !matches!(self.at.checked_sub(1).map(|i| &self.all[i].token), Some(Token::Number(..))),
            Some(token) => matches!(
                token,
                Token::Letter(_)
                    | Token::Function(_)
                    | Token::Pi
                    | Token::GroupOpen
                    | Token::Frac
                    | Token::Binom
                    | Token::Sqrt
                    | Token::Accent(_)
                    | Token::Mark(_)
            ),
            None => false,
        }
    }

    fn product(&mut self) -> Option<Expr> {
        let mut factors = vec![(self.unary()?, false)];
        loop {
            if self.eat_op(Op::Times) {
                factors.push((self.unary()?, false));
            } else if self.eat_op(Op::Over) {
                factors.push((self.unary()?, true));
            } else if self.at_factor() {
                factors.push((self.power()?, false));
            } else {
                break;
            }
        }
        Some(if factors.len() == 1 { factors.pop()?.0 } else { Expr::Product(factors) })
    }

    fn unary(&mut self) -> Option<Expr> {
        let mut negative = false;
        loop {
            if self.eat_op(Op::Minus) {
                negative = !negative;
            } else if !self.eat_op(Op::Plus) {
                break;
            }
        }
        let value = self.power()?;
        Some(if negative { value.negative() } else { value })
    }

    fn power(&mut self) -> Option<Expr> {
        let mut value = self.primary()?;
        loop {
            if matches!(self.peek(), Some(Token::Caret)) && self.at_degree() {
                value = Expr::call(Call::Degree, value);
                continue;
            }
            value = match self.peek() {
                Some(Token::Caret) => {
                    self.at += 1;
                    value.power(self.exponent()?)
                }
                Some(Token::Bang) => {
                    self.at += 1;
                    Expr::call(Call::Factorial, value)
                }
                Some(Token::Percent) => {
                    self.at += 1;
                    Expr::call(Call::Percent, value)
                }
                Some(Token::Degree) => {
                    self.at += 1;
                    Expr::call(Call::Degree, value)
                }
                _ => return Some(value),
            };
        }
    }

    /// Whether `^\circ` comes next; it is then behind.
    fn at_degree(&mut self) -> bool {
        let len = match (self.ahead(1), self.ahead(2), self.ahead(3)) {
            (Some(Token::Degree), ..) => 2,
            (Some(Token::GroupOpen), Some(Token::Degree), Some(Token::GroupClose)) => 4,
            _ => 0,
        };
        self.at += len;
        len > 0
    }

    fn exponent(&mut self) -> Option<Expr> {
        self.deeper(|r| {
            if r.eat_op(Op::Minus) {
                return Some(r.exponent()?.negative());
            }
            if r.eat_op(Op::Plus) {
                return r.exponent();
            }
            let base = r.primary()?;
            if matches!(r.peek(), Some(Token::Caret)) && !r.at_degree() {
                r.at += 1;
                return Some(base.power(r.exponent()?));
            }
            Some(base)
        })
    }

    fn primary(&mut self) -> Option<Expr> {
        self.deeper(|r| match r.next()? {
            Token::Number(number, raw) => {
                if matches!(r.peek(), Some(Token::Under)) {
                    return r.numeral(&raw);
                }
                let whole = number.decimals == Some(0);
                let value = Expr::Number(number);
                match if whole { r.fraction() } else { None } {
                    Some((fraction, used)) => {
                        r.at += used;
                        Some(Expr::Sum(vec![value, fraction]))
                    }
                    None => Some(value),
                }
            }
            Token::Letter(letter) => r.chosen(&letter).or_else(|| r.name(&letter)),
            Token::Pi => Some(Expr::Pi),
            Token::Infinity => Some(Expr::Infinity),
            Token::Open(open) => {
                // A numeral in brackets with its base behind them.
                if let (Some(Token::Number(_, raw)), Some(Token::Close(_)), Some(Token::Under)) = (r.ahead(0), r.ahead(1), r.ahead(2)) {
                    let raw = raw.clone();
                    r.at += 2;
                    return r.numeral(&raw);
                }
                r.bracket(open)
            }
            Token::GroupOpen => r.group(),
            Token::Bar => {
                r.bars += 1;
                let value = r.sum()?;
                r.bars -= 1;
                r.expect(|t| matches!(t, Token::Bar))?;
                Some(Expr::call(Call::Absolute, value))
            }
            Token::Frac => Some(r.argument()?.over(r.argument()?)),
            Token::Binom => Some(Expr::Call(Call::Binomial, vec![r.argument()?, r.argument()?])),
            Token::Sqrt => r.root(),
            Token::Function(call) => r.call(call),
            // A segment is as its ends.
            Token::Accent(accent) if accent == "overline" && r.is_segment() => r.primary(),
            Token::Accent(accent) => {
                let inner = r.spelled_argument()?;
                Some(variable(&format!("{accent} {inner}")))
            }
            Token::Mark(mark) => {
                let mut name = mark;
                while let Some(Token::Letter(letter)) = r.peek() {
                    name.push_str(letter);
                    r.at += 1;
                }
                Some(variable(&name))
            }
            _ => None,
        })
    }

    fn bracket(&mut self, open: char) -> Option<Expr> {
        let close = match open {
            '(' => ')',
            '[' => ']',
            '⌊' => '⌋',
            '⌈' => '⌉',
            _ => return None,
        };
        let bars = std::mem::take(&mut self.bars);
        let value = self.sum()?;
        self.bars = bars;
        self.expect(|t| matches!(t, Token::Close(c) if *c == close))?;
        Some(match open {
            '⌊' => Expr::call(Call::Floor, value),
            '⌈' => Expr::call(Call::Ceiling, value),
            _ => value,
        })
    }

    /// What stands in braces, the first of which is behind.
    fn group(&mut self) -> Option<Expr> {
        let bars = std::mem::take(&mut self.bars);
        let mut value = self.sum()?;
        if matches!(self.peek(), Some(Token::Choose)) {
            self.at += 1;
            value = Expr::Call(Call::Binomial, vec![value, self.sum()?]);
        }
        self.bars = bars;
        self.expect(|t| matches!(t, Token::GroupClose))?;
        Some(value)
    }

    /// `{…}`, or a single digit, letter or command.
    fn argument(&mut self) -> Option<Expr> {
        if let Some(Token::Number(_, raw)) = self.peek()
            && raw.len() > 1
            && raw.bytes().all(|b| b.is_ascii_digit())
        {
            // Of `\frac12` the 1 is the first argument.
            let lexeme = self.all[self.at].clone();
            let digit = |raw: &str| Number::decimal(raw, "").map(|n| Token::Number(n, raw.to_owned()));
            let (first, rest) = (digit(&raw[..1])?, digit(&raw[1..])?);
            self.all[self.at].token = first;
            self.all.insert(self.at + 1, Lexeme { token: rest, ..lexeme });
            self.split += 1;
        }
        match self.peek()? {
            Token::Number(number, _) => {
                let number = *number;
                self.at += 1;
                Some(Expr::Number(number))
            }
            _ => self.primary(),
        }
    }

    fn root(&mut self) -> Option<Expr> {
        let mut degree = Expr::whole(2);
        if matches!(self.peek(), Some(Token::Open('['))) {
            self.at += 1;
            degree = self.deeper(|r| r.bracket('['))?;
        }
        Some(Expr::Root(Box::new(degree), Box::new(self.primary()?)))
    }

    fn call(&mut self, call: Call) -> Option<Expr> {
        if matches!(call, Call::Gcd | Call::Lcm | Call::Max | Call::Min) {
            return self.many(call);
        }
        let (mut call, mut power, mut base) = (call, None, None);
        if call == Call::Log {
            base = Some(Expr::whole(10));
        }
        loop {
            if call == Call::Log && matches!(self.peek(), Some(Token::Under)) {
                self.at += 1;
                base = Some(self.argument_of_log()?);
            } else if matches!(self.peek(), Some(Token::Caret)) && power.is_none() && !self.at_degree() {
                self.at += 1;
                let exponent = self.exponent()?;
                let minus_one = exponent.exact() == Some(Ratio(-1, 1));
                match inverse(call).filter(|_| minus_one) {
                    Some(inverse) => call = inverse,
                    None => power = Some(exponent),
                }
            } else {
                break;
            }
        }
        let argument = match self.peek()? {
            Token::Open('(' | '[') | Token::GroupOpen | Token::Bar => self.primary()?,
            _ => self.bare()?,
        };
        let value = match base {
            Some(base) => Expr::Call(Call::Log, vec![base, argument]),
            None => Expr::call(call, argument),
        };
        Some(match power {
            Some(power) => value.power(power),
            None => value,
        })
    }

    /// The base of a logarithm: all of a number's digits.
    fn argument_of_log(&mut self) -> Option<Expr> {
        match self.peek()? {
            Token::Number(number, _) => {
                let number = *number;
                self.at += 1;
                Some(Expr::Number(number))
            }
            _ => self.primary(),
        }
    }

    /// A function's argument without brackets: the factors up to the next operator or function.
    fn bare(&mut self) -> Option<Expr> {
        self.deeper(|r| {
            let negative = r.eat_op(Op::Minus);
            let mut factors = vec![(r.power()?, false)];
            while r.at_factor() && !matches!(r.peek(), Some(Token::Function(_))) {
                // Of `\sin x(x+1)` the bracket is another factor.
                let named = matches!(r.at.checked_sub(1).map(|i| &r.all[i].token), Some(Token::Letter(_) | Token::Pi));
                if named && matches!(r.peek(), Some(Token::Open(_))) {
                    break;
                }
                factors.push((r.power()?, false));
            }
            let value = if factors.len() == 1 { factors.pop()?.0 } else { Expr::Product(factors) };
            Some(if negative { value.negative() } else { value })
        })
    }

    /// A function of several arguments in brackets.
    fn many(&mut self, call: Call) -> Option<Expr> {
        let grouped = matches!(self.peek(), Some(Token::GroupOpen));
        self.expect(|t| matches!(t, Token::Open('(' | '{') | Token::GroupOpen))?;
        let mut all = Vec::new();
        loop {
            all.push(self.deeper(Self::sum)?);
            match self.next()? {
                Token::Comma => {}
                Token::Close(')' | '}') if !grouped => break,
                Token::GroupClose if grouped => break,
                _ => return None,
            }
        }
        Some(Expr::Call(call, all))
    }

    /// `C(5, 2)`, the first letter of which is behind.
    fn chosen(&mut self, letter: &str) -> Option<Expr> {
        let part = |token: Option<&Token>| if let Some(Token::Number(n, _)) = token { Some(Expr::Number(*n)) } else { None };
        let (n, k) = (part(self.ahead(1))?, part(self.ahead(3))?);
        let marks = (self.ahead(0), self.ahead(2), self.ahead(4));
        let fits = letter == "C" && matches!(marks, (Some(Token::Open('(')), Some(Token::Comma), Some(Token::Close(')'))));
        self.at += if fits { 5 } else { 0 };
        fits.then(|| Expr::Call(Call::Binomial, vec![n, k]))
    }

    /// Whether two or more capital letters in braces come next.
    fn is_segment(&self) -> bool {
        let capital = |token: Option<&Token>| matches!(token, Some(Token::Letter(l)) if l.starts_with(|c: char| c.is_ascii_uppercase()));
        matches!(self.peek(), Some(Token::GroupOpen)) && capital(self.ahead(1)) && capital(self.ahead(2))
    }

    /// The variable that begins with a letter, with its index and primes.
    fn name(&mut self, letter: &str) -> Option<Expr> {
        let mut name = letter.to_owned();
        loop {
            match self.peek() {
                Some(Token::Under) => {
                    self.at += 1;
                    name.push('_');
                    name.push_str(&self.spelled_argument()?);
                }
                Some(Token::Prime) => {
                    self.at += 1;
                    name.push('\'');
                }
                _ => break,
            }
        }
        Some(match name.as_str() {
            "e" => Expr::Euler,
            "i" => Expr::Imaginary,
            name => variable(name),
        })
    }

    /// How the next group or token is written.
    fn spelled_argument(&mut self) -> Option<String> {
        if !matches!(self.peek()?, Token::GroupOpen) {
            self.at += 1;
            return Some(self.all[self.at - 1].spelling());
        }
        let (mut depth, mut out) = (0_usize, String::new());
        loop {
            match self.peek()? {
                Token::GroupOpen => depth += 1,
                Token::GroupClose => depth -= 1,
                _ => out.push_str(&self.all[self.at].spelling()),
            }
            self.at += 1;
            if depth == 0 {
                return Some(out);
            }
        }
    }

    /// A numeral in another base is its own name.
    fn numeral(&mut self, raw: &str) -> Option<Expr> {
        self.expect(|t| matches!(t, Token::Under))?;
        let base = match self.peek()? {
            Token::Number(n, _) => {
                let n = n.value;
                self.at += 1;
                n.to_string()
            }
            _ => {
                let from = self.at;
                let spelled = self.spelled_argument()?;
                let number =
                    self.all[from..self.at].iter().find_map(|l| if let Token::Number(n, _) = &l.token { Some(n.value) } else { None });
                number.map_or(spelled, |n| n.to_string())
            }
        };
        Some(variable(&format!("{raw}_{base}")))
    }

    /// The fraction of a mixed number that comes next, and how many tokens it takes.
    fn fraction(&mut self) -> Option<(Expr, usize)> {
        let whole = |token: Option<&Token>| match token {
            Some(Token::Number(n, _)) if n.decimals == Some(0) => Some(Expr::Number(*n)),
            _ => None,
        };
        if matches!(self.peek(), Some(Token::Frac)) {
            let mut ahead =
                Self { all: self.all[self.at..].iter().take(8).cloned().collect(), split: 0, at: 1, depth: 0, bars: 0, signs: 0 };
            let mut part = || {
                let grouped = ahead.expect(|t| matches!(t, Token::GroupOpen)).is_some();
                let value = if grouped { whole(ahead.next().as_ref()) } else { ahead.argument().filter(|e| matches!(e, Expr::Number(_))) };
                value.filter(|_| !grouped || ahead.expect(|t| matches!(t, Token::GroupClose)).is_some())
            };
            let (a, b) = (part()?, part()?);
            // The digits that were split to read it.
            let len = (self.all.len() - self.at).min(8);
            self.split += ahead.split;
            self.all.splice(self.at..self.at + len, ahead.all);
            return Some((a.over(b), ahead.at));
        }
        let spaced = self.all.get(self.at).is_some_and(|l| l.spaced);
        let slash = matches!(self.ahead(1), Some(Token::Op(Op::Over)));
        let (a, b) = (whole(self.peek())?, whole(self.ahead(2))?);
        // `2 3/4 x` and `2 3/4`
        (spaced && slash).then(|| (a.over(b), 3))
    }
}

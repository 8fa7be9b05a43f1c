//! What a formula is made of.

use super::super::super::ratio::Ratio;
use super::field::Residue;

/// A formula. Sums and products are flat, so that only brackets, powers and functions make it deep, which its reader bounds.
#[derive(Clone, Debug)]
pub(in crate::answer::math) enum Expr {
    Number(Number),
    Pi,
    Euler,
    Imaginary,
    Infinity,
    /// A variable, as the hash of its name.
    Variable(u64),
    Negative(Box<Expr>),
    Sum(Vec<Expr>),
    /// Factors, and whether each divides.
    Product(Vec<(Expr, bool)>),
    Power(Box<Expr>, Box<Expr>),
    /// Degree and radicand.
    Root(Box<Expr>, Box<Expr>),
    Call(Call, Vec<Expr>),
    /// The part behind a sign ±: the number of the sign among those of the formula, and whether it is ∓.
    Signed(usize, bool, Box<Expr>),
}

/// A function, or an operator that is written otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::answer::math) enum Call {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Arcsin,
    Arccos,
    Arctan,
    Arccot,
    Sinh,
    Cosh,
    Tanh,
    Exp,
    Ln,
    /// Base and argument.
    Log,
    Absolute,
    Floor,
    Ceiling,
    Factorial,
    /// `n` over `k`.
    Binomial,
    /// A hundredth.
    Percent,
    /// A degree of an angle, in radians.
    Degree,
    Gcd,
    Lcm,
    Max,
    Min,
}

/// A number as it is written.
#[derive(Clone, Copy, Debug)]
pub(in crate::answer::math) struct Number {
    /// The nearest value.
    pub value: f64,
    /// Its image in a finite field.
    pub residue: Residue,
    /// Itself, where it is not too large.
    pub exact: Option<Ratio>,
    /// Digits behind the point; `None` for one that is not written as a plain decimal.
    pub decimals: Option<u16>,
}

impl Number {
    pub fn of(ratio: Ratio) -> Option<Self> {
        let decimals = (ratio.1 == 1).then_some(0);
        Some(Self { value: ratio.value(), residue: Residue::ratio(ratio)?, exact: Some(ratio), decimals })
    }

    pub fn whole(n: i128) -> Self {
        Self { value: n as f64, residue: Residue::whole(n), exact: Some(Ratio(n, 1)), decimals: Some(0) }
    }

    /// The number of these digits, of which the last ones are behind the point.
    pub fn decimal(whole: &str, decimals: &str) -> Option<Self> {
        let value = format!("{whole}.{decimals}0").parse().ok()?;
        let digits = || whole.bytes().chain(decimals.bytes());
        let ten = Residue::whole(10);
        let mut residue = digits().fold(Residue::whole(0), |r, d| r.times(ten).plus(Residue::whole(i128::from(d - b'0'))));
        for _ in decimals.bytes() {
            residue = residue.over(ten)?;
        }
        let exact = || {
            let scale = 10_i128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
            Ratio::new(digits().try_fold(0_i128, |n, d| n.checked_mul(10)?.checked_add(i128::from(d - b'0')))?, scale)
        };
        Some(Self { value, residue, exact: exact(), decimals: Some(u16::try_from(decimals.len()).ok()?) })
    }

    /// A decimal of which the last digits repeat for ever.
    pub fn repeating(whole: &str, decimals: &str, again: &str) -> Option<Self> {
        let nines = 10_i128.checked_pow(u32::try_from(again.len()).ok()?)? - 1;
        let scale = 10_i128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
        let head = Self::decimal(whole, decimals)?.exact?;
        let tail = Ratio::new(again.parse().ok()?, nines.checked_mul(scale)?)?;
        Self::of(head.apply('+', tail)?)
    }
}

impl Expr {
    pub fn whole(n: i128) -> Self {
        Self::Number(Number::whole(n))
    }

    pub fn call(call: Call, argument: Self) -> Self {
        Self::Call(call, vec![argument])
    }

    pub fn power(self, exponent: Self) -> Self {
        Self::Power(Box::new(self), Box::new(exponent))
    }

    pub fn negative(self) -> Self {
        Self::Negative(Box::new(self))
    }

    pub fn over(self, other: Self) -> Self {
        Self::Product(vec![(self, false), (other, true)])
    }

    pub fn minus(self, other: Self) -> Self {
        Self::Sum(vec![self, other.negative()])
    }

    /// Its parts.
    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Number(_) | Self::Pi | Self::Euler | Self::Imaginary | Self::Infinity | Self::Variable(_) => Vec::new(),
            Self::Negative(x) | Self::Signed(_, _, x) => vec![x],
            Self::Sum(all) | Self::Call(_, all) => all.iter().collect(),
            Self::Product(all) => all.iter().map(|(x, _)| x).collect(),
            Self::Power(a, b) | Self::Root(a, b) => vec![a, b],
        }
    }

    /// Whether some part of it is so.
    pub fn any(&self, is: &impl Fn(&Self) -> bool) -> bool {
        is(self) || self.parts().into_iter().any(|part| part.any(is))
    }

    pub fn has_variables(&self) -> bool {
        self.any(&|e| matches!(e, Self::Variable(_)))
    }

    /// How many signs ± it has.
    pub fn signs(&self) -> usize {
        let own = if let Self::Signed(at, ..) = self { at + 1 } else { 0 };
        self.parts().into_iter().map(Self::signs).fold(own, usize::max)
    }

    /// The formula with each sign ± decided: the bits of `choice` say which are −.
    pub fn decided(&self, choice: usize) -> Self {
        let of = |x: &Self| Box::new(x.decided(choice));
        match self {
            Self::Signed(at, opposite, x) => {
                let x = x.decided(choice);
                if ((choice >> at) & 1 == 1) != *opposite { x.negative() } else { x }
            }
            Self::Negative(x) => Self::Negative(of(x)),
            Self::Sum(all) => Self::Sum(all.iter().map(|x| x.decided(choice)).collect()),
            Self::Call(call, all) => Self::Call(*call, all.iter().map(|x| x.decided(choice)).collect()),
            Self::Product(all) => Self::Product(all.iter().map(|(x, d)| (x.decided(choice), *d)).collect()),
            Self::Power(a, b) => Self::Power(of(a), of(b)),
            Self::Root(a, b) => Self::Root(of(a), of(b)),
            other => other.clone(),
        }
    }

    /// Its value where it is a fraction that is found without rounding.
    pub fn exact(&self) -> Option<Ratio> {
        match self {
            Self::Number(n) => n.exact,
            Self::Negative(x) => Ratio(0, 1).apply('-', x.exact()?),
            Self::Sum(all) => all.iter().try_fold(Ratio(0, 1), |sum, x| sum.apply('+', x.exact()?)),
            Self::Product(all) => all.iter().try_fold(Ratio(1, 1), |out, (x, d)| out.apply(if *d { '/' } else { '*' }, x.exact()?)),
            Self::Power(a, b) => {
                let (a, n) = (a.exact()?, b.exact()?.whole()?);
                if a == Ratio(0, 1) && n <= 0 { None } else { a.power(n) }
            }
            Self::Root(n, x) => {
                let (n, x) = (u32::try_from(n.exact()?.whole()?).ok()?, x.exact()?);
                Ratio::new(root(x.0, n)?, root(x.1, n)?)
            }
            Self::Call(Call::Absolute, all) => all.first()?.exact().map(|r| Ratio(r.0.abs(), r.1)),
            Self::Call(Call::Floor, all) => all.first()?.exact().map(|r| Ratio(r.0.div_euclid(r.1), 1)),
            Self::Call(Call::Ceiling, all) => all.first()?.exact().map(|r| Ratio(-(-r.0).div_euclid(r.1), 1)),
            Self::Call(Call::Percent, all) => all.first()?.exact()?.apply('/', Ratio(100, 1)),
            Self::Call(Call::Factorial, all) => {
                let n = all.first()?.exact()?.whole().filter(|n| (0..=33).contains(n))?;
                Some(Ratio((1..=n).product(), 1))
            }
            _ => None,
        }
    }
}

/// The whole root of a whole number, where it has one.
fn root(x: i128, n: u32) -> Option<i128> {
    let (size, odd) = (x.checked_abs()?, n % 2 == 1);
    if n == 0 || (x < 0 && !odd) {
        return None;
    }
    let near = (size as f64).powf(1.0 / f64::from(n)).round() as i128;
    let found = (near.saturating_sub(1).max(0)..=near.saturating_add(1)).find(|r| r.checked_pow(n) == Some(size))?;
    Some(if x < 0 { -found } else { found })
}

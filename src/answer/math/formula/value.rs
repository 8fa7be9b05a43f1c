//! Values of formulas where their variables have values of their own.

use super::super::fuel::Fuel;
use super::complex::Complex;
use super::tree::{Call, Expr};
use crate::util::seed::{GOLDEN, splitmix64};
use std::f64::consts::{FRAC_PI_2, PI};

/// A place where formulas are compared: every variable has a value there, drawn by the point's number and the variable's name.
///
/// The ranges take turns: positive numbers near 1, numbers of either sign, whole numbers, small ones, large ones. So a formula that has values only in a
/// part of the real line, or only at whole numbers, has some points there.
#[derive(Clone, Copy, Debug)]
pub(in crate::answer::math) struct Point(pub u64);

impl Point {
    fn value(self, name: u64) -> f64 {
        let bits = splitmix64(name ^ (self.0 + 1).wrapping_mul(GOLDEN));
        let unit = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        match self.0 % 6 {
            0 => 0.5 + 1.5 * unit,
            1 => 6.0 * unit - 3.0,
            2 => 20.0 * unit - 10.0,
            3 => 1.0 + (12.0 * unit).floor(),
            4 => 2.0 * unit - 1.0,
            _ => 200.0 * unit - 100.0,
        }
    }
}

/// A value, and the size of the largest term that went into it: what is far below that is rounding.
pub(in crate::answer::math) struct Value {
    pub value: Complex,
    pub largest: f64,
}

/// The value of a formula at a point; `None` where it has no finite one.
pub(in crate::answer::math) fn value(expr: &Expr, point: Point, fuel: &Fuel) -> Option<Value> {
    read(expr, point, fuel, false)
}

/// The same where nothing on the way may be other than real: the domain of real functions.
pub(in crate::answer::math) fn real_value(expr: &Expr, point: Point, fuel: &Fuel) -> Option<Value> {
    read(expr, point, fuel, true)
}

fn read(expr: &Expr, point: Point, fuel: &Fuel, real: bool) -> Option<Value> {
    let mut reader = Reader { point, fuel, real, largest: 0.0 };
    let value = reader.of(expr)?;
    Some(Value { value, largest: reader.largest })
}

struct Reader<'a> {
    point: Point,
    fuel: &'a Fuel,
    real: bool,
    largest: f64,
}

impl Reader<'_> {
    fn of(&mut self, expr: &Expr) -> Option<Complex> {
        self.fuel.take(1)?;
        let found = match expr {
            Expr::Number(n) => Complex::real(n.value),
            Expr::Pi => Complex::real(PI),
            Expr::Euler => Complex::real(std::f64::consts::E),
            Expr::Imaginary => Complex { re: 0.0, im: 1.0 },
            Expr::Infinity | Expr::Signed(..) => return None,
            Expr::Variable(name) => Complex::real(self.point.value(*name)),
            Expr::Negative(x) => -self.of(x)?,
            Expr::Sum(all) => {
                let mut sum = Complex::ZERO;
                for x in all {
                    let x = self.of(x)?;
                    self.largest = self.largest.max(x.size());
                    sum = sum + x;
                }
                sum
            }
            Expr::Product(all) => {
                let mut out = Complex::ONE;
                for (x, divides) in all {
                    let x = self.of(x)?;
                    out = if *divides { out.over(x)? } else { out * x };
                }
                out
            }
            Expr::Power(base, exponent) => self.power(base, exponent)?,
            Expr::Root(degree, x) => self.root(degree, x)?,
            Expr::Call(call, all) => self.call(*call, all)?,
        };
        (found.is_finite() && (found.is_real() || !self.real)).then_some(found)
    }

    fn power(&mut self, base: &Expr, exponent: &Expr) -> Option<Complex> {
        if matches!(base, Expr::Euler) {
            return Some(self.of(exponent)?.exp());
        }
        let (b, e) = (self.of(base)?, self.of(exponent)?);
        if e.is_real() && e.re.fract() == 0.0 && e.re.abs() < 1e9 {
            return if e.re == 0.0 && b == Complex::ZERO { None } else { b.power(e.re as i32) };
        }
        if b == Complex::ZERO {
            return (e.is_real() && e.re > 0.0).then_some(b);
        }
        if b.is_real() && e.is_real() {
            // A third of a power is the cube root, also of negative numbers.
            let odd = || exponent.exact().filter(|r| r.1 % 2 == 1);
            if b.re > 0.0 {
                return Some(Complex::real(b.re.powf(e.re)));
            } else if let Some(r) = odd() {
                let size = (-b.re).powf(e.re);
                return Some(Complex::real(if r.0 % 2 == 0 { size } else { -size }));
            }
        }
        Some((e * b.ln()?).exp())
    }

    fn root(&mut self, degree: &Expr, x: &Expr) -> Option<Complex> {
        let (n, x) = (self.of(degree)?, self.of(x)?);
        if n == Complex::real(2.0) {
            return Some(x.sqrt());
        }
        if !n.is_real() || n.re == 0.0 {
            return None;
        }
        if x.is_real() {
            if x.re >= 0.0 {
                return Some(Complex::real(if n.re == 3.0 { x.re.cbrt() } else { x.re.powf(n.re.recip()) }));
            } else if n.re.abs() % 2.0 == 1.0 {
                return Some(Complex::real(-(-x.re).powf(n.re.recip())));
            }
        }
        Some((x.ln()?.over(n)?).exp())
    }

    fn call(&mut self, call: Call, all: &[Expr]) -> Option<Complex> {
        if matches!(call, Call::Gcd | Call::Lcm | Call::Max | Call::Min) {
            return self.of_many(call, all);
        }
        let x = self.of(all.first()?)?;
        let of_real = |f: fn(f64) -> f64| x.is_real().then(|| Complex::real(f(x.re)));
        match call {
            Call::Sin => Some(x.sin()),
            Call::Cos => Some(x.cos()),
            Call::Tan => x.sin().over(x.cos()),
            Call::Cot => x.cos().over(x.sin()),
            Call::Sec => Complex::ONE.over(x.cos()),
            Call::Csc => Complex::ONE.over(x.sin()),
            Call::Arcsin => of_real(f64::asin),
            Call::Arccos => of_real(f64::acos),
            Call::Arctan => of_real(f64::atan),
            Call::Arccot => of_real(|x| FRAC_PI_2 - x.atan()),
            Call::Sinh => of_real(f64::sinh),
            Call::Cosh => of_real(f64::cosh),
            Call::Tanh => of_real(f64::tanh),
            Call::Exp => Some(x.exp()),
            Call::Ln => x.ln(),
            Call::Log => self.of(all.get(1)?)?.ln()?.over(x.ln()?),
            Call::Absolute => Some(Complex::real(x.size())),
            Call::Floor => of_real(f64::floor),
            Call::Ceiling => of_real(f64::ceil),
            Call::Percent => x.over(Complex::real(100.0)),
            Call::Degree => Some(x * Complex::real(PI / 180.0)),
            Call::Factorial => {
                let whole = x.is_real() && x.re.fract() == 0.0 && (0.0..=170.0).contains(&x.re);
                self.fuel.take(x.re.clamp(0.0, 170.0) as u32 / 4)?;
                whole.then(|| Complex::real((1..=x.re as u32).map(f64::from).product()))
            }
            Call::Binomial => {
                let k = self.of(all.get(1)?)?;
                let whole = x.is_real() && k.is_real() && k.re.fract() == 0.0 && (0.0..=1e3).contains(&k.re);
                self.fuel.take(k.re.clamp(0.0, 1e3) as u32 / 4)?;
                whole.then(|| Complex::real((0..k.re as u32).map(f64::from).map(|i| (x.re - i) / (i + 1.0)).product()))
            }
            Call::Gcd | Call::Lcm | Call::Max | Call::Min => None,
        }
    }

    fn of_many(&mut self, call: Call, all: &[Expr]) -> Option<Complex> {
        let mut values = Vec::with_capacity(all.len());
        for x in all {
            values.push(self.of(x).filter(|x| x.is_real())?.re);
        }
        let whole = || values.iter().all(|x| x.fract() == 0.0 && x.abs() < 9e15);
        let gcd = |mut a: f64, mut b: f64| {
            while b != 0.0 {
                (a, b) = (b, a % b);
            }
            a.abs()
        };
        let found = match call {
            Call::Max => values.iter().copied().reduce(f64::max)?,
            Call::Min => values.iter().copied().reduce(f64::min)?,
            Call::Gcd if whole() => values.iter().copied().reduce(gcd)?,
            Call::Lcm if whole() && !values.contains(&0.0) => values.iter().copied().reduce(|a, b| (a * b).abs() / gcd(a, b))?,
            _ => return None,
        };
        Some(Complex::real(found))
    }
}

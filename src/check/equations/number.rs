//! Numbers of an equation: exact fractions as long as they fit 128 bits, floating point beyond, and how far a rounded operand may be off.

/// A fraction in lowest terms with a positive denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fraction {
    pub(super) top: i128,
    pub(super) bottom: i128,
}

impl Fraction {
    pub(super) fn whole(n: i128) -> Self {
        Self { top: n, bottom: 1 }
    }

    fn new(top: i128, bottom: i128) -> Option<Self> {
        if bottom == 1 {
            return Some(Self::whole(top));
        }
        if bottom == 0 || top == i128::MIN || bottom == i128::MIN {
            return None;
        }
        let d = common_divisor(top.unsigned_abs(), bottom.unsigned_abs()) as i128;
        let sign = bottom.signum();
        Some(Self { top: top / d * sign, bottom: bottom / d * sign })
    }

    fn add(self, other: Self) -> Option<Self> {
        if self.bottom == other.bottom {
            return Self::new(self.top.checked_add(other.top)?, self.bottom);
        }
        let top = self.top.checked_mul(other.bottom)?.checked_add(other.top.checked_mul(self.bottom)?)?;
        Self::new(top, self.bottom.checked_mul(other.bottom)?)
    }

    fn mul(self, other: Self) -> Option<Self> {
        Self::new(self.top.checked_mul(other.top)?, self.bottom.checked_mul(other.bottom)?)
    }

    fn neg(self) -> Option<Self> {
        Some(Self { top: self.top.checked_neg()?, bottom: self.bottom })
    }

    fn inverse(self) -> Option<Self> {
        if self.top == 0 { None } else { Self::new(self.bottom, self.top) }
    }

    fn value(self) -> f64 {
        let top = i64::try_from(self.top).map_or(self.top as f64, |top| top as f64);
        if self.bottom == 1 { top } else { top / self.bottom as f64 }
    }
}

fn common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// What a part of an equation comes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    /// The value itself, while it can be held exactly.
    pub(super) exact: Option<Fraction>,
    /// The value as a floating-point number.
    pub(super) near: f64,
    /// How far it may be off because operands were themselves rounded, for example `2.67` for 8/3.
    pub(super) slack: f64,
    /// Whether it is a number with a percent sign and nothing else.
    pub(super) percent: bool,
}

impl Value {
    pub(super) fn exact(fraction: Fraction) -> Self {
        Self { exact: Some(fraction), near: fraction.value(), slack: 0.0, percent: false }
    }

    fn of(exact: Option<Fraction>, near: f64, slack: f64) -> Self {
        Self { exact, near, slack, percent: false }
    }

    /// Its value as a floating-point number, from the exact one where there is one.
    pub(super) fn rounded(self) -> f64 {
        self.exact.map_or(self.near, Fraction::value)
    }

    fn pair(self, other: Self) -> Option<(Fraction, Fraction)> {
        self.exact.zip(other.exact)
    }

    pub(super) fn neg(self) -> Self {
        Self::of(self.exact.and_then(Fraction::neg), -self.near, self.slack)
    }

    pub(super) fn add(self, other: Self) -> Self {
        Self::of(self.pair(other).and_then(|(a, b)| a.add(b)), self.near + other.near, self.slack + other.slack)
    }

    pub(super) fn mul(self, other: Self) -> Self {
        let slack = self.near.abs() * other.slack + other.near.abs() * self.slack + self.slack * other.slack;
        Self::of(self.pair(other).and_then(|(a, b)| a.mul(b)), self.near * other.near, slack)
    }

    /// `None` where the divisor is zero.
    pub(super) fn div(self, other: Self) -> Option<Self> {
        if other.near == 0.0 {
            return None;
        }
        let exact = self.pair(other).and_then(|(a, b)| a.mul(b.inverse()?));
        let near = self.near / other.near;
        let least = other.near.abs() - other.slack;
        let slack = if other.slack == 0.0 {
            self.slack / other.near.abs()
        } else if least > 0.0 {
            (self.slack + near.abs() * other.slack) / least
        } else {
            return None;
        };
        Some(Self::of(exact, near, slack))
    }

    /// `None` where the result is no real number.
    pub(super) fn pow(self, exponent: Self) -> Option<Self> {
        let near = self.near.powf(exponent.near);
        if !near.is_finite() {
            return None;
        }
        let slack = if self.slack == 0.0 || self.near == 0.0 { 0.0 } else { (near * exponent.near * self.slack / self.near).abs() };
        Some(Self::of(self.exact.zip(exponent.exact).and_then(|(base, e)| power(base, e)), near, slack))
    }

    /// The root of a degree; `None` for an even root of a negative number.
    pub(super) fn root(self, degree: u8) -> Option<Self> {
        if self.near < 0.0 && degree.is_multiple_of(2) {
            return None;
        }
        let near = match degree {
            2 => self.near.sqrt(),
            3 => self.near.cbrt(),
            _ => self.near.abs().powf(1.0 / f64::from(degree)) * self.near.signum(),
        };
        let exact =
            self.exact.filter(|_| degree == 2).and_then(|f| Some(Fraction { top: square_root(f.top)?, bottom: square_root(f.bottom)? }));
        let slack = if self.slack == 0.0 { 0.0 } else { self.slack / near.abs().max(self.slack.sqrt()) };
        Some(Self::of(exact, near, slack))
    }

    /// `None` for what is no whole number from 0 to 20.
    pub(super) fn factorial(self) -> Option<Self> {
        let n = self.exact.filter(|f| f.bottom == 1 && (0..=20).contains(&f.top))?;
        Some(Self::exact(Fraction::whole((1..=n.top).product())))
    }

    /// The value a hundredth of this one, marked as a percentage.
    pub(super) fn percent(self) -> Self {
        let hundredth = Self::exact(Fraction { top: 1, bottom: 100 });
        Self { percent: true, ..self.mul(hundredth) }
    }
}

fn power(base: Fraction, exponent: Fraction) -> Option<Fraction> {
    if exponent.bottom != 1 || exponent.top.unsigned_abs() > 128 {
        return None;
    }
    let base = if exponent.top < 0 { base.inverse()? } else { base };
    let (mut result, mut square, mut left) = (Fraction::whole(1), base, exponent.top.unsigned_abs());
    while left > 0 {
        if left & 1 == 1 {
            result = result.mul(square)?;
        }
        left >>= 1;
        if left > 0 {
            square = square.mul(square)?;
        }
    }
    Some(result)
}

fn square_root(n: i128) -> Option<i128> {
    if !(0..1 << 100).contains(&n) {
        return None;
    }
    let guess = (n as f64).sqrt() as i128;
    (guess.saturating_sub(1)..=guess + 1).find(|g| g * g == n)
}

/// A number as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Its digits without point and commas.
    pub(super) digits: i128,
    /// How many of them stand after the point.
    pub(super) decimals: u32,
    /// Whether an ellipsis follows: `1.636…`.
    pub(super) more: bool,
}

impl Written {
    /// Half of this is the most that rounding to the last written digit can be off.
    pub(super) fn unit(self) -> f64 {
        10f64.powi(-(self.decimals as i32))
    }

    /// The place of the last digit that is not a closing zero of a whole number: 100 for 1,200.
    pub(super) fn coarse_unit(self) -> f64 {
        let (mut n, mut unit) = (self.digits, self.unit());
        while self.decimals == 0 && n != 0 && n % 10 == 0 {
            n /= 10;
            unit *= 10.0;
        }
        unit
    }

    /// Its value; with slack where it has three decimals or more, or stands for π, and so was likely rounded.
    pub(super) fn value(self) -> Value {
        if self.decimals == 0 && !self.more {
            return Value::exact(Fraction::whole(self.digits));
        }
        let exact = 10i128.checked_pow(self.decimals).and_then(|scale| Fraction::new(self.digits, scale));
        let mut value = Value::of(exact, exact.map_or(self.digits as f64 * self.unit(), Fraction::value), 0.0);
        if self.more || self.decimals >= 3 {
            value.slack = self.unit();
        } else if self.digits == 314 && self.decimals == 2 {
            value.slack = 0.0016;
        }
        if self.decimals >= 9 {
            value.slack = value.slack.max(value.near.abs() * 1e-9); // what a computer's arithmetic leaves over
        }
        value
    }

    /// The third, sixth, seventh, ninth or twelfth that a number with two decimals is likely rounded from: 8/3 for 2.67 and for 2.66.
    pub(super) fn meant(self) -> Option<Fraction> {
        if self.decimals != 2 {
            return None;
        }
        [3, 6, 7, 9, 12].into_iter().find_map(|parts: i128| {
            let hundredths = self.digits.checked_mul(parts)?;
            // the nearest one, or the next above it
            let meant = |top: i128| Fraction::new(top, parts).filter(|f| f.bottom == parts);
            let off = |top: i128| (top * 100 - hundredths) as f64 / parts as f64;
            let near = (hundredths + 50) / 100;
            let top = [near, near + 1].into_iter().find(|top| off(*top).abs() <= 0.5 || (0.0..1.0).contains(&off(*top)))?;
            meant(top)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(digits: i128, decimals: u32) -> Written {
        Written { digits, decimals, more: false }
    }

    fn whole(n: i128) -> Value {
        Value::exact(Fraction::whole(n))
    }

    #[test]
    fn arithmetic_is_exact_while_it_fits() {
        let third = whole(1).div(whole(3)).unwrap();
        assert_eq!(third.add(third).add(third).exact, Some(Fraction::whole(1)));
        assert_eq!(written(12, 1).value().mul(whole(5)).exact, Some(Fraction::whole(6)));
        assert_eq!(whole(2).pow(whole(-3)).unwrap().exact, Some(Fraction { top: 1, bottom: 8 }));
        assert_eq!(written(225, 2).value().root(2).unwrap().exact, Some(Fraction { top: 3, bottom: 2 }));
        assert_eq!(whole(5).factorial().unwrap().exact, Some(Fraction::whole(120)));
        assert!(whole(1).div(whole(0)).is_none() && whole(-1).root(2).is_none() && whole(21).factorial().is_none());
    }

    #[test]
    fn what_does_not_fit_goes_on_as_floating_point() {
        let big = whole(i128::MAX);
        let sum = big.add(big);
        assert!(sum.exact.is_none() && sum.near > 3.4e38);
        assert!(whole(i128::MIN).neg().exact.is_none());
        assert!(whole(10).pow(whole(400)).is_none());
        let high = whole(3).pow(whole(120)).unwrap();
        assert!(high.exact.is_none() && (high.near / 3f64.powi(120) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn numbers_that_look_rounded_stand_for_what_they_were_rounded_from() {
        let of = |top, bottom| Some(Fraction { top, bottom });
        for (digits, meant) in
            [(267, of(8, 3)), (266, of(8, 3)), (17, of(1, 6)), (16, of(1, 6)), (3333, of(100, 3)), (25, None), (20, None), (50, None)]
        {
            assert_eq!(written(digits, 2).meant(), meant, "{digits}");
        }
        assert_eq!(written(35, 1).meant(), None);
        assert!(written(1636, 3).value().slack > 0.0 && written(314, 2).value().slack > 0.0 && written(267, 2).value().slack == 0.0);
        assert_eq!(written(1200, 0).coarse_unit(), 100.0);
        assert_eq!(written(120, 2).coarse_unit(), 0.01);
    }
}

//! Fractions of whole numbers, exactly.

/// A fraction in lowest terms with a positive denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio(pub i128, pub i128);

impl Ratio {
    /// `a / b`; `None` where b is 0 or the fraction is too large.
    pub fn new(a: i128, b: i128) -> Option<Self> {
        let (mut x, mut y) = (a.checked_abs()?, b.checked_abs()?);
        while y != 0 {
            (x, y) = (y, x % y);
        }
        (b != 0).then(|| Self(a / x * b.signum(), b.abs() / x))
    }

    /// Applies one of `+ - * /`.
    pub fn apply(self, op: char, Self(c, d): Self) -> Option<Self> {
        let Self(a, b) = self;
        let times = |x: i128, y: i128| x.checked_mul(y);
        match op {
            '+' => Self::new(times(a, d)?.checked_add(times(c, b)?)?, times(b, d)?),
            '-' => Self::new(times(a, d)?.checked_sub(times(c, b)?)?, times(b, d)?),
            '*' => Self::new(times(a, c)?, times(b, d)?),
            _ => Self::new(times(a, d)?, times(b, c)?),
        }
    }

    /// A power; `None` where it is too large.
    pub fn power(self, exponent: i128) -> Option<Self> {
        let n = u32::try_from(exponent.unsigned_abs()).ok()?;
        let (a, b) = (self.0.checked_pow(n)?, self.1.checked_pow(n)?);
        if exponent < 0 { Self::new(b, a) } else { Self::new(a, b) }
    }

    /// Its whole value, where it has one.
    pub fn whole(self) -> Option<i128> {
        (self.1 == 1).then_some(self.0)
    }

    /// The nearest value.
    pub fn value(self) -> f64 {
        self.0 as f64 / self.1 as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_in_lowest_terms_and_do_not_overflow() {
        assert_eq!(Ratio::new(6, -4), Some(Ratio(-3, 2)));
        assert_eq!((Ratio::new(1, 0), Ratio::new(i128::MIN, 1)), (None, None));
        let half = Ratio(1, 2);
        assert_eq!(half.apply('+', half).and_then(Ratio::whole), Some(1));
        assert_eq!((half.power(-3), half.power(200), Ratio(0, 1).power(-1)), (Some(Ratio(8, 1)), None, None));
        assert_eq!(half.apply('/', Ratio(0, 1)), None);
        assert_eq!(half.apply('-', Ratio(3, 4)).map(Ratio::value), Some(-0.25));
    }
}

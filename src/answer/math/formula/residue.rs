//! Values of formulas in a finite field, where nothing is rounded: two rational formulas that agree at a random point of it are the same but for a chance of about 2⁻⁶⁰
//! (Schwartz 1980, Zippel 1979). π and e stand for themselves, as numbers that no equation with whole coefficients binds.

use super::super::super::ratio::Ratio;
use super::super::fuel::Fuel;
use super::tree::{Call, Expr};
use crate::util::seed::{GOLDEN, splitmix64};

/// A prime of the form 4n + 1, so that −1 has a root.
const PRIME: u64 = (1 << 61) - 31;
/// The square root of −1.
const ROOT: u64 = 583_529_827_753_931_384;
/// Factorials of more than this are not multiplied out.
const FACTORIAL: i128 = 20_000;

/// An element of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::answer::math) struct Residue(u64);

impl Residue {
    pub fn whole(n: i128) -> Self {
        Self(n.rem_euclid(i128::from(PRIME)) as u64)
    }

    pub fn ratio(Ratio(a, b): Ratio) -> Option<Self> {
        Self::whole(a).over(Self::whole(b))
    }

    /// The value of a variable at a point.
    fn drawn(name: u64, point: u64) -> Self {
        Self(splitmix64(name ^ point.wrapping_mul(GOLDEN)) % PRIME)
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn plus(self, other: Self) -> Self {
        Self((self.0 + other.0) % PRIME)
    }

    pub fn minus(self) -> Self {
        Self((PRIME - self.0) % PRIME)
    }

    pub fn times(self, other: Self) -> Self {
        Self((u128::from(self.0) * u128::from(other.0) % u128::from(PRIME)) as u64)
    }

    pub fn over(self, other: Self) -> Option<Self> {
        (!other.is_zero()).then(|| self.times(other.power(u128::from(PRIME) - 2)))
    }

    fn power(self, mut n: u128) -> Self {
        let (mut out, mut square) = (Self(1), self);
        while n > 0 {
            if n & 1 == 1 {
                out = out.times(square);
            }
            square = square.times(square);
            n >>= 1;
        }
        out
    }
}

/// The value of a formula where its variables have values drawn by `point`; `None` for one that is not made of whole powers.
pub(in crate::answer::math) fn residue(expr: &Expr, point: u64, fuel: &Fuel) -> Option<Residue> {
    fuel.take(1)?;
    let of = |x: &Expr| residue(x, point, fuel);
    Some(match expr {
        Expr::Number(n) => n.residue,
        Expr::Pi => Residue::drawn(1, 1),
        Expr::Euler => Residue::drawn(2, 1),
        Expr::Imaginary => Residue(ROOT),
        Expr::Variable(name) => Residue::drawn(*name, point),
        Expr::Negative(x) => of(x)?.minus(),
        Expr::Sum(all) => all.iter().try_fold(Residue(0), |sum, x| Some(sum.plus(of(x)?)))?,
        Expr::Product(all) => {
            all.iter().try_fold(Residue(1), |out, (x, divides)| if *divides { out.over(of(x)?) } else { Some(out.times(of(x)?)) })?
        }
        Expr::Power(base, exponent) => {
            let (base, n) = (of(base)?, exponent.exact()?.whole()?);
            fuel.take(20)?;
            // 0⁰ says nothing.
            match n {
                0 if base.is_zero() => return None,
                n if n < 0 => Residue(1).over(base.power(n.unsigned_abs()))?,
                n => base.power(n.unsigned_abs()),
            }
        }
        Expr::Call(Call::Percent, all) => of(all.first()?)?.over(Residue(100))?,
        Expr::Call(Call::Degree, all) => of(all.first()?)?.times(Residue::drawn(1, 1)).over(Residue(180))?,
        Expr::Call(Call::Factorial, all) => {
            let n = all.first()?.exact()?.whole().filter(|n| (0..=FACTORIAL).contains(n))?;
            fuel.take(n as u32 / 8)?;
            (1..=n).fold(Residue(1), |out, k| out.times(Residue::whole(k)))
        }
        Expr::Call(Call::Binomial, all) => {
            let [n, k] = all.as_slice() else { return None };
            let k = k.exact()?.whole().filter(|k| (0..=FACTORIAL).contains(k))?;
            let n = of(n)?;
            fuel.take(k as u32 / 4)?;
            let factor = |out: (Residue, Residue), i: i128| (out.0.times(n.plus(Residue::whole(-i))), out.1.times(Residue::whole(i + 1)));
            let (top, bottom) = (0..k).fold((Residue(1), Residue(1)), factor);
            top.over(bottom)?
        }
        Expr::Root(..) | Expr::Call(Call::Absolute | Call::Floor | Call::Ceiling, _) => Residue::ratio(expr.exact()?)?,
        Expr::Call(..) | Expr::Infinity | Expr::Signed(..) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_one() {
        let seven = Residue::whole(7);
        assert_eq!(Residue(ROOT).times(Residue(ROOT)), Residue::whole(-1));
        assert_eq!(seven.over(seven), Some(Residue(1)));
        assert_eq!((seven.plus(seven.minus()), seven.over(Residue(0))), (Residue(0), None));
        assert_eq!(Residue::ratio(Ratio(1, 2)).unwrap().plus(Residue::ratio(Ratio(1, 3)).unwrap()), Residue::ratio(Ratio(5, 6)).unwrap());
    }
}

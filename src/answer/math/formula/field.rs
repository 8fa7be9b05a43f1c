//! A finite field, in which nothing is rounded.

use super::super::super::ratio::Ratio;
use crate::util::seed::{GOLDEN, splitmix64};

/// A prime of the form 4n + 1, so that −1 has a root.
const PRIME: u64 = (1 << 61) - 31;
/// The square root of −1.
const ROOT: u64 = 583_529_827_753_931_384;
/// An element of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::answer::math) struct Residue(u64);

impl Residue {
    /// 1.
    pub(super) const ONE: Self = Self(1);
    /// The square root of −1.
    pub(super) const IMAGINARY: Self = Self(ROOT);

    pub fn whole(n: i128) -> Self {
        Self(n.rem_euclid(i128::from(PRIME)) as u64)
    }

    pub fn ratio(Ratio(a, b): Ratio) -> Option<Self> {
        Self::whole(a).over(Self::whole(b))
    }

    /// The value of a variable at a point.
    pub(super) fn drawn(name: u64, point: u64) -> Self {
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

    pub(super) fn power(self, mut n: u128) -> Self {
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

//! Complex numbers, as far as the values of formulas need them. What is real stays exactly real.

use std::ops::{Add, Mul, Neg, Sub};

/// A complex number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::answer::math) struct Complex {
    pub re: f64,
    pub im: f64,
}

impl Complex {
    pub const ZERO: Self = Self::real(0.0);
    pub const ONE: Self = Self::real(1.0);

    pub const fn real(re: f64) -> Self {
        Self { re, im: 0.0 }
    }

    pub fn is_real(self) -> bool {
        self.im == 0.0
    }

    pub fn is_finite(self) -> bool {
        self.re.is_finite() && self.im.is_finite()
    }

    pub fn size(self) -> f64 {
        if self.is_real() { self.re.abs() } else { self.re.hypot(self.im) }
    }

    pub fn over(self, other: Self) -> Option<Self> {
        if other.is_real() {
            return (other.re != 0.0).then(|| Self { re: self.re / other.re, im: self.im / other.re });
        }
        let size = other.re * other.re + other.im * other.im;
        let top = self * Self { im: -other.im, ..other };
        (size != 0.0).then(|| Self { re: top.re / size, im: top.im / size })
    }

    pub fn exp(self) -> Self {
        let size = self.re.exp();
        if self.is_real() { Self::real(size) } else { Self { re: size * self.im.cos(), im: size * self.im.sin() } }
    }

    /// The principal logarithm.
    pub fn ln(self) -> Option<Self> {
        let im = if self.is_real() && self.re > 0.0 { 0.0 } else { self.im.atan2(self.re) };
        (self.size() != 0.0).then(|| Self { re: self.size().ln(), im })
    }

    /// The principal square root.
    pub fn sqrt(self) -> Self {
        if self.is_real() {
            let root = self.re.abs().sqrt();
            return if self.re < 0.0 { Self { re: 0.0, im: root } } else { Self::real(root) };
        }
        let re = ((self.size() + self.re) / 2.0).max(0.0).sqrt();
        let im = ((self.size() - self.re) / 2.0).max(0.0).sqrt();
        Self { re, im: im.copysign(self.im) }
    }

    /// A whole power.
    pub fn power(self, exponent: i32) -> Option<Self> {
        if self.is_real() {
            return (exponent >= 0 || self.re != 0.0).then(|| Self::real(self.re.powi(exponent)));
        }
        let (mut out, mut square, mut n) = (Self::ONE, self, exponent.unsigned_abs());
        while n > 0 {
            if n & 1 == 1 {
                out = out * square;
            }
            square = square * square;
            n >>= 1;
        }
        if exponent < 0 { Self::ONE.over(out) } else { Some(out) }
    }

    pub fn sin(self) -> Self {
        if self.is_real() {
            return Self::real(self.re.sin());
        }
        Self { re: self.re.sin() * self.im.cosh(), im: self.re.cos() * self.im.sinh() }
    }

    pub fn cos(self) -> Self {
        if self.is_real() {
            return Self::real(self.re.cos());
        }
        Self { re: self.re.cos() * self.im.cosh(), im: -self.re.sin() * self.im.sinh() }
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }
}

impl Neg for Complex {
    type Output = Self;
    fn neg(self) -> Self {
        Self { re: -self.re, im: if self.is_real() { 0.0 } else { -self.im } }
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        if self.is_real() && other.is_real() {
            return Self::real(self.re * other.re);
        }
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_hand() {
        let near = |z: Complex, re: f64, im: f64| (z.re - re).abs() < 1e-12 && (z.im - im).abs() < 1e-12;
        let z = Complex { re: 3.0, im: 4.0 };
        assert!(z.size() == 5.0 && near(z.sqrt(), 2.0, 1.0) && near(z * z, -7.0, 24.0) && near(z.power(2).unwrap(), -7.0, 24.0));
        assert!(near(Complex::real(-4.0).sqrt(), 0.0, 2.0) && near(Complex::real(-1.0).ln().unwrap(), 0.0, std::f64::consts::PI));
        assert!(near(z.over(Complex { re: 1.0, im: 2.0 }).unwrap(), 2.2, -0.4) && z.over(Complex::ZERO).is_none());
        assert!(near(Complex { re: 0.0, im: std::f64::consts::PI }.exp(), -1.0, 0.0));
        assert!(near(Complex { re: 0.0, im: 1.0 }.cos(), 1f64.cosh(), 0.0) && near(Complex { re: 0.0, im: 1.0 }.sin(), 0.0, 1f64.sinh()));
        assert!(near(z.power(-1).unwrap(), 0.12, -0.16) && Complex::ZERO.power(-1).is_none() && Complex::ZERO.ln().is_none());
        assert!(near(-z, -3.0, -4.0) && near(z - z, 0.0, 0.0));
    }
}

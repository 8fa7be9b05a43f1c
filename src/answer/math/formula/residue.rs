//! Values of formulas in a finite field, where nothing is rounded: two rational formulas that agree at a random point of it are the same but for a chance of about 2⁻⁶⁰
//! (Schwartz 1980, Zippel 1979). π and e stand for themselves, as numbers that no equation with whole coefficients binds.

use super::super::fuel::Fuel;
use super::field::Residue;
use super::tree::{Call, Expr};

/// Factorials of more than this are not multiplied out.
const FACTORIAL: i128 = 20_000;

/// The value of a formula where its variables have values drawn by `point`; `None` for one that is not made of whole powers.
pub(in crate::answer::math) fn residue(expr: &Expr, point: u64, fuel: &Fuel) -> Option<Residue> {
    fuel.take(1)?;
    let of = |x: &Expr| residue(x, point, fuel);
    Some(match expr {
        Expr::Number(n) => n.residue,
        Expr::Pi => Residue::drawn(1, 1),
        Expr::Euler => Residue::drawn(2, 1),
        Expr::Imaginary => Residue::IMAGINARY,
        Expr::Variable(name) => Residue::drawn(*name, point),
        Expr::Negative(x) => of(x)?.minus(),
        Expr::Sum(all) => all.iter().try_fold(Residue::whole(0), |sum, x| Some(sum.plus(of(x)?)))?,
        Expr::Product(all) => {
            all.iter().try_fold(Residue::ONE, |out, (x, divides)| if *divides { out.over(of(x)?) } else { Some(out.times(of(x)?)) })?
        }
        Expr::Power(base, exponent) => {
            let (base, n) = (of(base)?, exponent.exact()?.whole()?);
            fuel.take(20)?;
            // 0⁰ says nothing.
            match n {
                0 if base.is_zero() => return None,
                n if n < 0 => Residue::ONE.over(base.power(n.unsigned_abs()))?,
                n => base.power(n.unsigned_abs()),
            }
        }
        Expr::Call(Call::Percent, all) => of(all.first()?)?.over(Residue::whole(100))?,
        Expr::Call(Call::Degree, all) => of(all.first()?)?.times(Residue::drawn(1, 1)).over(Residue::whole(180))?,
        Expr::Call(Call::Factorial, all) => {
            let n = all.first()?.exact()?.whole().filter(|n| (0..=FACTORIAL).contains(n))?;
            fuel.take(n as u32 / 8)?;
            (1..=n).fold(Residue::ONE, |out, k| out.times(Residue::whole(k)))
        }
        Expr::Call(Call::Binomial, all) => {
            let [n, k] = all.as_slice() else { return None };
            let k = k.exact()?.whole().filter(|k| (0..=FACTORIAL).contains(k))?;
            let n = of(n)?;
            fuel.take(k as u32 / 4)?;
            let factor = |out: (Residue, Residue), i: i128| (out.0.times(n.plus(Residue::whole(-i))), out.1.times(Residue::whole(i + 1)));
            let (top, bottom) = (0..k).fold((Residue::ONE, Residue::ONE), factor);
            top.over(bottom)?
        }
        Expr::Root(..) | Expr::Call(Call::Absolute | Call::Floor | Call::Ceiling, _) => Residue::ratio(expr.exact()?)?,
        Expr::Call(..) | Expr::Infinity | Expr::Signed(..) => return None,
    })
}

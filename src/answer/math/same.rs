//! Which answers say the same.

use super::answer::{Answer, Relation, Scalar};
use super::formula::residue::residue;
use super::formula::tree::{Call, Expr};
use super::formula::value::{Point, real_value, value};
use super::fuel::Fuel;
use super::names::Naming;
use super::text::token::Op;
use super::units::Unit;

/// Points at which formulas are tried, and at how many they must agree.
const POINTS: u64 = 48;
const ENOUGH: usize = 8;
const FEWEST: usize = 4;
/// Digits behind the point from which a rounded number stands for the one that it was rounded from.
const DECIMALS: u16 = 6;

/// How two answers are compared.
pub(super) struct Compare<'a> {
    pub fuel: &'a Fuel,
    /// Whether one is a reference answer: then a percentage may be the number it stands for, an angle in degrees one in radians, a number what it is
    /// rounded to.
    pub loosely: bool,
    /// Whether the question asks for a ratio, so that `10:15` is no time.
    pub ratio: bool,
    /// Which half of the day the question asks for.
    pub half: Option<bool>,
}

impl Compare<'_> {
    /// Whether two answers say the same.
    pub fn same(&self, a: &Answer, b: &Answer) -> bool {
        if self.fuel.take(1).is_none() {
            return false;
        }
        match (a, b) {
            (Answer::Either(all), other) | (other, Answer::Either(all)) => all.iter().any(|a| self.same(a, other)),
            (Answer::Under(a, x), Answer::Under(b, y)) => x == y && self.same(a, b),
            (Answer::Under(a, _), other) | (other, Answer::Under(a, _)) => self.same(a, other),
            (Answer::Scalar(a), Answer::Scalar(b)) => self.quantities(a, b),
            (Answer::Named(n, v, e), Answer::Named(m, w, f)) => {
                let equations = || e.as_ref().zip(f.as_ref()).is_some_and(|(e, f)| e.is_line() && self.relations(e, f));
                (n.fits(m) && self.same(v, w)) || equations()
            }
            (Answer::Named(_, _, e), Answer::Relation(r)) | (Answer::Relation(r), Answer::Named(_, _, e)) => {
                e.as_ref().is_some_and(|e| e.is_line() && self.relations(e, r))
            }
            (Answer::Named(_, value, _), other) | (other, Answer::Named(_, value, _)) => self.same(value, other),
            (Answer::Relation(a), Answer::Relation(b)) => self.relations(a, b),
            (Answer::Set(a), Answer::Set(b)) => self.all_in(a, b) && self.all_in(b, a),
            (Answer::List(a, true), Answer::List(b, _) | Answer::Set(b))
            | (Answer::List(a, _) | Answer::Set(a), Answer::List(b, true))
            | (Answer::List(a, _), Answer::Set(b))
            | (Answer::Set(a), Answer::List(b, _)) => self.all_in(a, b) && self.all_in(b, a),
            (Answer::List(a, _), Answer::List(b, _)) => self.matched(a, b),
            (Answer::List(list, _), Answer::Tuple('(', tuple)) | (Answer::Tuple('(', tuple), Answer::List(list, _)) => {
                self.coordinates(list, tuple)
            }
            (Answer::Set(all), other @ (Answer::Scalar(_) | Answer::Tuple(..)))
            | (other @ (Answer::Scalar(_) | Answer::Tuple(..)), Answer::Set(all)) => {
                !all.is_empty() && all.iter().all(|a| self.same(a, other))
            }
            (Answer::List(all, true), other @ Answer::Scalar(_)) | (other @ Answer::Scalar(_), Answer::List(all, true)) => {
                all.iter().all(|a| self.same(a, other))
            }
            (Answer::Tuple(x, a), Answer::Tuple(y, b)) => x == y && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(a, b)),
            (Answer::Region(a, x), Answer::Region(b, y)) => x.as_ref().zip(y.as_ref()).is_none_or(|(x, y)| x == y) && a.same(b, self.fuel),
            (Answer::Region(a, _), other) | (other, Answer::Region(a, _)) => other.region().is_some_and(|b| a.same(&b, self.fuel)),
            (Answer::Ratio(a), Answer::Ratio(b)) => self.ratios(a, b),
            (Answer::Ratio(a), Answer::Scalar(Scalar { expr, unit: None }))
            | (Answer::Scalar(Scalar { expr, unit: None }), Answer::Ratio(a)) => {
                a.len() == 2 && same_expr(&a[0].clone().over(a[1].clone()), expr, self.fuel)
            }
            (Answer::Clock(a, x), Answer::Clock(b, y)) => {
                let known = |half: &Option<bool>| half.or(self.half);
                a % 720 == b % 720 && (x == y || known(x) == known(y))
            }
            (Answer::Clock(minutes, half), other) | (other, Answer::Clock(minutes, half)) if self.ratio => {
                let minutes = minutes + if *half == Some(true) { 720 } else { 0 };
                let ratio = [minutes / 60, minutes % 60].map(|n| Expr::whole(i128::from(n)));
                !matches!(other, Answer::Clock(..)) && self.same(&Answer::Ratio(ratio.into()), other)
            }
            (Answer::Matrix(x, a), Answer::Matrix(y, b)) => {
                let row = |(a, b): (&Vec<Answer>, &Vec<Answer>)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(a, b));
                x == y && a.len() == b.len() && a.iter().zip(b).all(row)
            }
            (Answer::Words(a), Answer::Words(b)) => !a.is_empty() && a == b,
            _ => false,
        }
    }

    /// Whether each of some is among others.
    fn all_in(&self, a: &[Answer], b: &[Answer]) -> bool {
        a.iter().all(|a| b.iter().any(|b| self.same(a, b)))
    }

    /// Whether the parts of two lists are the same in some order.
    fn matched(&self, a: &[Answer], b: &[Answer]) -> bool {
        let mut free: Vec<&Answer> = b.iter().collect();
        a.len() == b.len()
            && a.iter().all(|a| match free.iter().position(|b| self.same(a, b)) {
                Some(at) => {
                    free.remove(at);
                    true
                }
                None => false,
            })
    }

    /// Whether `x = 2, y = 3` are the parts of a tuple, in the order of their names.
    fn coordinates(&self, list: &[Answer], tuple: &[Answer]) -> bool {
        let mut named = Vec::with_capacity(list.len());
        for item in list {
            match item {
                Answer::Named(name, value, _) if name.kind == Naming::Variable => named.push((&name.spelled, value)),
                _ => return false,
            }
        }
        named.sort_by_key(|(name, _)| *name);
        let distinct = named.windows(2).all(|w| w[0].0 != w[1].0);
        distinct && named.len() == tuple.len() && named.iter().zip(tuple).all(|((_, value), part)| self.same(value, part))
    }

    fn ratios(&self, a: &[Expr], b: &[Expr]) -> bool {
        let part = |all: &[Expr], i: usize| all[i].clone().over(all[0].clone());
        a.len() == b.len() && (1..a.len()).all(|i| same_expr(&part(a, i), &part(b, i), self.fuel))
    }

    fn quantities(&self, a: &Scalar, b: &Scalar) -> bool {
        let plain = || self.scalars(&a.expr, &b.expr);
        let scaled = |x: &Scalar, call: Call, y: &Scalar| self.loosely && self.scalars(&Expr::call(call, x.expr.clone()), &y.expr);
        match (&a.unit, &b.unit) {
            (None, None) => plain(),
            (Some(Unit::Percent), None) => plain() || scaled(a, Call::Percent, b),
            (None, Some(Unit::Percent)) => plain() || scaled(b, Call::Percent, a),
            (Some(Unit::Degree), None) => plain() || scaled(a, Call::Degree, b),
            (None, Some(Unit::Degree)) => plain() || scaled(b, Call::Degree, a),
            (Some(Unit::Percent), Some(other)) | (Some(other), Some(Unit::Percent)) => *other == Unit::Percent && plain(),
            (Some(Unit::Degree), Some(other)) | (Some(other), Some(Unit::Degree)) => *other == Unit::Degree && plain(),
            (Some(Unit::Sum(..)), None | Some(Unit::Other(_))) | (None | Some(Unit::Other(_)), Some(Unit::Sum(..))) => false,
            (Some(Unit::Known(x, f) | Unit::Sum(x, f)), Some(Unit::Known(y, g) | Unit::Sum(y, g))) => {
                let constant = |e: &Expr| value(e, Point(0), self.fuel).filter(|_| !e.has_variables()).map(|v| v.value.re);
                x == y
                    && if f == g {
                        plain()
                    } else {
                        constant(&a.expr).zip(constant(&b.expr)).is_some_and(|(v, w)| (v * f - w * g).abs() <= 1e-9 * (v * f).abs())
                    }
            }
            (Some(Unit::Modulus(x)), Some(Unit::Modulus(y))) => x == y && plain(),
            // Words beside a number say what is counted, or nothing.
            _ => plain(),
        }
    }

    fn scalars(&self, a: &Expr, b: &Expr) -> bool {
        same_expr(a, b, self.fuel) || (self.loosely && (self.rounded(a, b) || self.rounded(b, a)))
    }

    /// Whether one is a decimal with many digits to which the other, which is none, is rounded.
    fn rounded(&self, a: &Expr, b: &Expr) -> bool {
        let (unsigned, decimal) = (
            |e: &Expr| if let Expr::Negative(x) = e { (**x).clone() } else { e.clone() },
            |e: &Expr| match e {
                Expr::Number(n) => n.decimals,
                _ => None,
            },
        );
        let Some(digits) = decimal(&unsigned(a)).filter(|d| (DECIMALS..=15).contains(d)) else { return false };
        if decimal(&unsigned(b)).is_some() || b.has_variables() {
            return false;
        }
        let of = |e: &Expr| value(e, Point(0), self.fuel).map(|v| v.value).filter(|v| v.is_real());
        of(a).zip(of(b)).is_some_and(|(a, b)| (a.re - b.re).abs() <= 0.500_001 * f64::powi(10.0, -i32::from(digits)))
    }

    /// Whether two equations or inequalities are the same but for a factor.
    fn relations(&self, a: &Relation, b: &Relation) -> bool {
        let side = |r: &Relation| r.left.clone().minus(r.right.clone());
        let (f, g) = (side(a), side(b));
        let fixed = |e: &Expr| !e.has_variables();
        if a.op != b.op || fixed(&f) || fixed(&g) {
            return false;
        }
        if matches!(a.op, Op::Equal | Op::NotEqual)
            && let (Some(f1), Some(f2)) = (residue(&f, 1, self.fuel), residue(&f, 2, self.fuel))
            && let (Some(g1), Some(g2)) = (residue(&g, 1, self.fuel), residue(&g, 2, self.fuel))
        {
            return ![f1, f2, g1, g2].iter().any(|r| r.is_zero()) && f1.times(g2) == f2.times(g1);
        }
        let (mut ratio, mut agreed) = (None, 0);
        for point in 0..POINTS {
            let both = value(&f, Point(point), self.fuel).zip(value(&g, Point(point), self.fuel));
            let Some((f, g)) = both.filter(|(f, g)| f.value.is_real() && g.value.is_real() && f.value.re != 0.0 && g.value.re != 0.0)
            else {
                continue;
            };
            let found = f.value.re / g.value.re;
            let first = *ratio.get_or_insert(found);
            let noise = 1e-12 * (f.largest / f.value.re.abs()).max(g.largest / g.value.re.abs()).max(1.0);
            if (found - first).abs() > (1e-9 + noise) * first.abs() {
                return false;
            }
            agreed += 1;
        }
        agreed >= FEWEST && ratio.is_some_and(|r| r > 0.0 || matches!(a.op, Op::Equal | Op::NotEqual))
    }
}

impl Relation {
    /// Whether it says more than the value of a variable: `y = 2x + 3`, not `x = 2`.
    fn is_line(&self) -> bool {
        !matches!(self.left, Expr::Variable(_)) || self.right.has_variables()
    }
}

/// Whether two formulas have the same value wherever both have one.
///
/// Those that are made of whole powers are compared in a finite field, without rounding; others at points of their domain.
pub(super) fn same_expr(a: &Expr, b: &Expr, fuel: &Fuel) -> bool {
    if let Some((a, b)) = a.exact().zip(b.exact()) {
        return a == b;
    }
    if let Some(a) = residue(a, 0, fuel)
        && let Some(b) = residue(b, 0, fuel)
    {
        return a == b;
    }
    if let (Some(a), Some(b)) = (infinite(a), infinite(b)) {
        return a == b;
    }
    if !a.has_variables() && !b.has_variables() {
        return agree(a, b, Point(0), true, fuel) == Some(true);
    }
    let complex = [a, b].iter().any(|e| e.any(&|e| matches!(e, Expr::Imaginary)));
    everywhere(a, b, complex, fuel).or_else(|| everywhere(a, b, true, fuel)).unwrap_or(false)
}

/// Whether two formulas agree at enough points where both have values, real ones unless they may be `complex`; `None` where they have too few.
fn everywhere(a: &Expr, b: &Expr, complex: bool, fuel: &Fuel) -> Option<bool> {
    let mut agreed = 0;
    for point in 0..POINTS {
        match agree(a, b, Point(point), complex, fuel) {
            Some(true) => agreed += 1,
            Some(false) => return Some(false),
            None => {}
        }
        if agreed >= ENOUGH && point >= 11 {
            break;
        }
    }
    (agreed >= FEWEST).then_some(true)
}

/// Whether two formulas have the same value at a point; `None` where one has none there.
fn agree(a: &Expr, b: &Expr, point: Point, complex: bool, fuel: &Fuel) -> Option<bool> {
    let of = if complex { value } else { real_value };
    let (a, b) = (of(a, point, fuel)?, of(b, point, fuel)?);
    let size = a.value.size().max(b.value.size());
    Some((a.value - b.value).size() <= 1e-11 * size + 1e-14 * a.largest.max(b.largest))
}

/// The sign of an infinite formula.
fn infinite(e: &Expr) -> Option<bool> {
    match e {
        Expr::Infinity => Some(true),
        Expr::Negative(x) => infinite(x).map(|sign| !sign),
        _ => None,
    }
}

/// Whether two constants are near each other, as what `≈` stands between.
pub(super) fn near(a: &Expr, b: &Expr, fuel: &Fuel) -> bool {
    let of = |e: &Expr| value(e, Point(0), fuel).filter(|_| !e.has_variables()).map(|v| v.value.re);
    of(a).zip(of(b)).is_some_and(|(a, b)| (a - b).abs() <= 0.01 * a.abs().max(b.abs()))
}

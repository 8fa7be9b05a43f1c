//! What an answer is: a number with a unit, a list, a tuple, an interval, an equation, a matrix, a time of day, or words.

use super::formula::tree::Expr;
use super::names::Name;
use super::region::{End, Region};
use super::text::token::Op;
use super::units::Unit;

/// An answer.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Scalar(Scalar),
    /// The parts of `2:3:4`.
    Ratio(Vec<Expr>),
    /// Minutes after midnight or noon, and which; unknown where it is not said.
    Clock(u32, Option<bool>),
    /// What stands between brackets, in order.
    Tuple(char, Vec<Answer>),
    Set(Vec<Answer>),
    /// What stands between commas; whether between `or`.
    List(Vec<Answer>, bool),
    /// A set of real numbers, and of what variable.
    Region(Region, Option<String>),
    /// Rows; whether it is a determinant.
    Matrix(bool, Vec<Vec<Answer>>),
    /// A name and its value, and the equation that this is.
    Named(Name, Box<Answer>, Option<Relation>),
    Relation(Relation),
    /// Any of these.
    Either(Vec<Answer>),
    /// An answer and the condition under which it holds, as it is spelled.
    Under(Box<Answer>, Vec<String>),
    /// Not understood: as it is spelled.
    Words(Vec<String>),
}

/// A formula with what is known of it at once.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub expr: Expr,
    pub unit: Option<Unit>,
}

/// Two formulas and how they stand to each other: equal, unequal, the left one less or not more.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub op: Op,
    pub left: Expr,
    pub right: Expr,
}

impl Answer {
    pub fn scalar(&self) -> Option<&Expr> {
        if let Self::Scalar(Scalar { expr, .. }) = self { Some(expr) } else { None }
    }
}

impl Answer {
    /// The set of real numbers that a tuple of two or a set of numbers may be meant as.
    pub fn region(&self) -> Option<Region> {
        match self {
            Self::Region(region, _) => Some(region.clone()),
            Self::Tuple(open @ ('(' | '['), ends) => {
                let [low, high] = ends.as_slice() else { return None };
                let (low, high) = (low.scalar()?, high.scalar()?);
                let end = |at: &Expr| End { at: Some(at.clone()), closed: *open == '[' };
                Some(Region::Interval(end(low), end(high)))
            }
            Self::Set(all) => {
                let points = all.iter().map(|x| x.scalar().cloned().map(Region::Point));
                points.collect::<Option<Vec<_>>>()?.into_iter().reduce(Region::union).or(Some(Region::Empty))
            }
            Self::Words(words) if words.as_slice() == ["Empty"] => Some(Region::Empty),
            _ => None,
        }
    }
}

/// The formulas that signs ± leave.
pub(super) fn decided(expr: Expr) -> Vec<Expr> {
    match expr.signs() {
        0 => vec![expr],
        n => (0..1 << n).map(|choice| expr.decided(choice)).collect(),
    }
}

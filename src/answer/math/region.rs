//! Sets of real numbers: unions of intervals.

use super::formula::tree::Expr;
use super::formula::value::{Point, value};
use super::fuel::Fuel;

/// One end of an interval: a formula, or none for an infinite one, and whether it belongs to the interval.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub at: Option<Expr>,
    pub closed: bool,
}

/// A set of real numbers.
#[derive(Clone, Debug)]
pub(super) enum Region {
    Empty,
    All,
    Interval(End, End),
    Point(Expr),
    Union(Box<Region>, Box<Region>),
    Intersection(Box<Region>, Box<Region>),
    Without(Box<Region>, Box<Region>),
}

/// Sets with more intervals than this are not compared.
const SPANS: usize = 64;

/// An interval with ends that are known, and whether they belong to it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    low: f64,
    low_in: bool,
    high: f64,
    high_in: bool,
}

impl Region {
    pub fn union(self, other: Self) -> Self {
        Self::Union(Box::new(self), Box::new(other))
    }

    pub fn intersection(self, other: Self) -> Self {
        Self::Intersection(Box::new(self), Box::new(other))
    }

    pub fn without(self, other: Self) -> Self {
        Self::Without(Box::new(self), Box::new(other))
    }

    /// Whether two sets are the same wherever their ends have values.
    pub fn same(&self, other: &Self, fuel: &Fuel) -> bool {
        let fixed = !self.has_variables() && !other.has_variables();
        let mut agreed = 0;
        for point in 0..if fixed { 1 } else { 24 } {
            let both = self.spans(Point(point), fuel).zip(other.spans(Point(point), fuel));
            let Some((a, b)) = both else { continue };
            if a.len() != b.len() || !a.iter().zip(&b).all(|(a, b)| a.is(b)) {
                return false;
            }
            agreed += 1;
        }
        agreed >= if fixed { 1 } else { 4 }
    }

    /// Whether it has no number, as far as that is known.
    pub fn is_empty(&self, fuel: &Fuel) -> bool {
        self.spans(Point(0), fuel).is_some_and(|s| s.is_empty())
    }

    fn has_variables(&self) -> bool {
        match self {
            Self::Empty | Self::All => false,
            Self::Interval(a, b) => [a, b].iter().any(|e| e.at.as_ref().is_some_and(Expr::has_variables)),
            Self::Point(x) => x.has_variables(),
            Self::Union(a, b) | Self::Intersection(a, b) | Self::Without(a, b) => a.has_variables() || b.has_variables(),
        }
    }

    /// Its intervals, ascending, apart from each other.
    fn spans(&self, point: Point, fuel: &Fuel) -> Option<Vec<Span>> {
        fuel.take(1)?;
        let at = |x: &Expr| value(x, point, fuel).filter(|v| v.value.is_real()).map(|v| v.value.re);
        let pair = |a: &Self, b: &Self| Some((a.spans(point, fuel)?, b.spans(point, fuel)?));
        let found = match self {
            Self::Empty => Vec::new(),
            Self::All => vec![Span { low: f64::NEG_INFINITY, low_in: false, high: f64::INFINITY, high_in: false }],
            Self::Point(x) => {
                let x = at(x)?;
                vec![Span { low: x, low_in: true, high: x, high_in: true }]
            }
            Self::Interval(a, b) => {
                let low = a.at.as_ref().map_or(Some(f64::NEG_INFINITY), at)?;
                let high = b.at.as_ref().map_or(Some(f64::INFINITY), at)?;
                let span = Span { low, low_in: a.closed && low.is_finite(), high, high_in: b.closed && high.is_finite() };
                if span.is_empty() { Vec::new() } else { vec![span] }
            }
            Self::Union(a, b) => {
                let (mut a, b) = pair(a, b)?;
                a.extend(b);
                a
            }
            Self::Intersection(a, b) => {
                let (a, b) = pair(a, b)?;
                meet(&a, &b)
            }
            Self::Without(a, b) => {
                let (a, b) = pair(a, b)?;
                meet(&a, &rest(&joined(b)))
            }
        };
        let found = joined(found);
        fuel.take(found.len() as u32)?;
        (found.len() <= SPANS).then_some(found)
    }
}

fn near(x: f64, y: f64) -> bool {
    x == y || x.is_finite() && y.is_finite() && (x - y).abs() <= 1e-11 * x.abs().max(y.abs())
}

impl Span {
    fn is_empty(&self) -> bool {
        self.low > self.high || (self.low == self.high && !(self.low_in && self.high_in))
    }

    fn is(&self, other: &Self) -> bool {
        near(self.low, other.low) && near(self.high, other.high) && self.low_in == other.low_in && self.high_in == other.high_in
    }
}

fn meet(a: &[Span], b: &[Span]) -> Vec<Span> {
    let both = |a: &Span, b: &Span| {
        let (low, low_in) = if a.low == b.low {
            (a.low, a.low_in && b.low_in)
        } else if a.low > b.low {
            (a.low, a.low_in)
        } else {
            (b.low, b.low_in)
        };
        let (high, high_in) = if a.high == b.high {
            (a.high, a.high_in && b.high_in)
        } else if a.high < b.high {
            (a.high, a.high_in)
        } else {
            (b.high, b.high_in)
        };
        Span { low, low_in, high, high_in }
    };
    a.iter().flat_map(|a| b.iter().map(move |b| both(a, b))).filter(|s| !s.is_empty()).collect()
}

/// What is not in these intervals.
fn rest(spans: &[Span]) -> Vec<Span> {
    let mut out = Vec::new();
    let (mut low, mut low_in) = (f64::NEG_INFINITY, false);
    for s in spans {
        out.push(Span { low, low_in, high: s.low, high_in: !s.low_in && s.low.is_finite() });
        (low, low_in) = (s.high, !s.high_in);
    }
    out.push(Span { low, low_in: low_in && low.is_finite(), high: f64::INFINITY, high_in: false });
    out.retain(|s| !s.is_empty());
    out
}

/// The same intervals in order, those that touch as one.
fn joined(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by(|a, b| a.low.total_cmp(&b.low).then(b.low_in.cmp(&a.low_in)));
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    for s in spans {
        match out.last_mut() {
            Some(last) if s.low < last.high || (s.low == last.high && (s.low_in || last.high_in)) => {
                if s.high > last.high {
                    (last.high, last.high_in) = (s.high, s.high_in);
                } else if s.high == last.high {
                    last.high_in |= s.high_in;
                }
            }
            _ => out.push(s),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(low: Option<i128>, low_in: bool, high: Option<i128>, high_in: bool) -> Region {
        let end = |at: Option<i128>, closed| End { at: at.map(Expr::whole), closed };
        Region::Interval(end(low, low_in), end(high, high_in))
    }

    #[test]
    fn sets_are_the_same_however_they_are_put_together() {
        let same = |a: &Region, b: &Region| a.same(b, &Fuel::new()) && b.same(a, &Fuel::new());
        let below = interval(None, false, Some(2), false);
        let above = interval(Some(2), false, None, false);
        let two = Region::Point(Expr::whole(2));
        let hole = Region::All.without(two.clone());
        assert!(same(&below.clone().union(above.clone()), &hole) && same(&above.clone().union(below.clone()), &hole));
        assert!(same(&hole.clone().union(two.clone()), &Region::All) && !same(&hole, &Region::All));
        assert!(same(
            &interval(Some(1), true, Some(2), false).union(interval(Some(2), true, Some(3), true)),
            &interval(Some(1), true, Some(3), true)
        ));
        assert!(!same(&interval(Some(1), true, Some(2), true), &interval(Some(1), true, Some(2), false)));
        assert!(below.clone().intersection(above.clone()).is_empty(&Fuel::new()) && same(&below.intersection(above), &Region::Empty));
        assert!(same(
            &interval(Some(1), true, Some(3), true).without(interval(Some(1), true, Some(2), false)),
            &interval(Some(2), true, Some(3), true)
        ));
    }
}

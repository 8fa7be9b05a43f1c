//! Whether the two sides of an equation agree, under every reading that a kind reader would try.

use super::number::{Fraction, Value, Written};
use super::part::{Op, Part};
use crate::util::work::count;

/// Longer sides are read one way only.
const LONG: usize = 256;

/// How ambiguous marks are read.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    /// A percent sign behind the result is a unit: `30/60 * 100 = 50%`.
    plain_percent: bool,
    /// `50 + 20%` adds a fifth of 50.
    markup: bool,
    /// A bracket behind a number is a factor and no remark.
    remark_times: bool,
    /// A whole number and a fraction side by side are a product.
    mixed_times: bool,
    /// `= 1/3 of $150` says of what it is a third.
    plain_of: bool,
    /// `2.67` stands for the 8/3 that it is rounded from.
    meant: bool,
    /// "million" is a unit.
    plain_scale: bool,
}

/// Turns one reading into another.
type Way = fn(Reading) -> Reading;

/// What is said about rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rounded {
    /// Nothing.
    No,
    /// The text around speaks of it.
    Words,
    /// `≈` stands between the sides.
    About,
}

/// The two sides and what stands between and around them.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// What stands to the left of the sign.
    pub(super) left: Part,
    /// What stands to the right.
    pub(super) right: Part,
    /// What is said about rounding.
    pub(super) rounded: Rounded,
    /// The left side is a whole side of a chain, and not its first.
    pub(super) inner: bool,
    /// The left side is from an earlier line with the same label.
    pub(super) linked: bool,
}

/// What was found about a pair of sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// What the left side comes to.
    pub(super) left: f64,
    /// What the right side comes to.
    pub(super) right: f64,
    /// Whether they agree.
    pub(super) holds: bool,
}

/// What parts point to, and a calculator.
pub(super) struct Judge<'a> {
    /// The instructions of the parts.
    pub(super) ops: &'a [Op],
    /// The numbers that they point to.
    pub(super) numbers: &'a [Written],
    /// The text, for the words behind numbers.
    pub(super) text: &'a str,
    /// The stack of the calculator.
    pub(super) stack: &'a mut Vec<Value>,
}

impl Judge<'_> {
    fn of(&self, part: &Part) -> &[Op] {
        &self.ops[part.ops.clone()]
    }

    /// `None` where nothing can be said.
    pub(super) fn judge(&mut self, pair: &Pair) -> Option<Verdict> {
        let (left, right) = (&pair.left, &pair.right);
        let bare = self.bare(left).is_some() && !self.of(left).contains(&Op::Power);
        if (bare && left.labelled) || (pair.linked && !self.reducible(left)) {
            return None;
        }
        let mut first = None;
        let mut read = |judge: &mut Self, reading| {
            let (a, b) = (judge.value(left, reading)?, judge.value(right, reading)?);
            let verdict = Verdict { left: a.near, right: b.near, holds: judge.agree(pair, a, b, reading) };
            first.get_or_insert(verdict);
            verdict.holds.then_some(verdict)
        };
        if let Some(holds) = read(self, Reading::default()) {
            return Some(holds);
        }
        let odd = self.of(left).iter().chain(self.of(right)).any(|op| self.odd(op));
        let long = left.ops.len() + right.ops.len() > LONG;
        if odd && !long {
            let readings = self.readings(left, right);
            if let Some(holds) = readings.into_iter().find_map(|reading| read(self, reading)) {
                return Some(holds);
            }
        }
        let verdict = first?;
        let silent = left.unsure
            || right.unsure
            || (odd && long)
            || (bare && (left.word.is_some() || !pair.inner))
            || self.worked(left, right, verdict)
            || self.counts(left, right, verdict)
            || self.quantities(left, right)
            || self.units(left, right, verdict);
        (!silent).then_some(verdict)
    }

    /// Whether an instruction can be read in more than one way.
    fn odd(&self, op: &Op) -> bool {
        matches!(op, Op::Percent | Op::Remark | Op::Of | Op::Mixed | Op::Scale(_)) || self.meant(op).is_some()
    }

    /// What a number was likely rounded from.
    fn meant(&self, op: &Op) -> Option<Fraction> {
        let Op::Number(n) = op else { return None };
        self.numbers.get(*n as usize)?.meant()
    }

    /// The other ways in which the marks of two parts can be read.
    fn readings(&self, left: &Part, right: &Part) -> Vec<Reading> {
        let has = |wanted: fn(&Op) -> bool| self.of(left).iter().chain(self.of(right)).any(wanted);
        let percent = has(|op| *op == Op::Percent);
        let sums = has(|op| matches!(op, Op::Add | Op::Subtract));
        let rounded = self.of(left).iter().chain(self.of(right)).any(|op| self.meant(op).is_some());
        let ways: [(bool, Way); 7] = [
            (rounded, |r| Reading { meant: true, ..r }),
            (percent, |r| Reading { plain_percent: true, ..r }),
            (percent && sums, |r| Reading { markup: true, ..r }),
            (has(|op| *op == Op::Remark), |r| Reading { remark_times: true, ..r }),
            (has(|op| *op == Op::Of), |r| Reading { plain_of: true, ..r }),
            (has(|op| *op == Op::Mixed), |r| Reading { mixed_times: true, ..r }),
            (has(|op| matches!(op, Op::Scale(_))), |r| Reading { plain_scale: true, ..r }),
        ];
        let mut readings = vec![Reading::default()];
        for (_, way) in ways.into_iter().filter(|(there, _)| *there) {
            let more: Vec<Reading> = readings.iter().map(|r| way(*r)).collect();
            readings.extend(more);
        }
        readings
    }

    /// The one number that a part is, with what multiplies its last digit, where it has no signs.
    fn bare(&self, part: &Part) -> Option<(Written, f64)> {
        let ops = self.of(part);
        let (Op::Number(n), mut rest) = ops.split_first().map(|(a, b)| (*a, b))? else { return None };
        let mut unit = 1.0;
        // 1.3 × 10^-3
        if let [Op::Number(ten), Op::Number(e), more @ ..] = rest
            && self.numbers.get(*ten as usize).is_some_and(|w| w.digits == 10 && w.decimals == 0)
        {
            let sign = if more.first() == Some(&Op::Negate) { -1.0 } else { 1.0 };
            let more = more.strip_prefix(&[Op::Negate]).unwrap_or(more);
            rest = more.strip_prefix(&[Op::Power, Op::Multiply])?;
            unit = 10f64.powf(sign * self.value_of(*e)?.near);
        }
        for op in rest.iter().take(5) {
            match op {
                Op::Percent => unit /= 100.0,
                Op::Scale(by) => unit *= by,
                Op::Negate => {}
                _ => return None,
            }
        }
        Some((*self.numbers.get(n as usize)?, unit)).filter(|_| rest.len() < 5)
    }

    /// `452 / 1.05^14 = 452 / 1.98`, `7.69 * 13 = 100`: worked on with a rounded value.
    fn worked(&self, left: &Part, right: &Part, verdict: Verdict) -> bool {
        let numbers =
            |part| self.of(part).iter().filter_map(|op| if let Op::Number(n) = op { self.numbers.get(*n as usize) } else { None });
        let off = (verdict.left - verdict.right).abs() / verdict.left.abs();
        if self.bare(left).is_some() {
            return false;
        }
        match self.bare(right) {
            None => off < 0.01 && numbers(right).any(|w| w.decimals > 0),
            Some((result, _)) => {
                result.decimals < 2
                    && numbers(left).any(|w| w.decimals == 2 && w.digits > 100 && w.digits % 5 != 0 && off * w.digits as f64 <= 0.5)
            }
        }
    }

    /// Whether the calculator would give a part another form: no fraction in lowest terms, no root.
    fn reducible(&self, part: &Part) -> bool {
        let ops = self.of(part);
        match *ops {
            [] | [_] | [_, _] => false,
            [Op::Number(a), Op::Number(b), Op::Divide] | [Op::Number(a), Op::Number(b), Op::Divide, Op::Negate] => {
                self.value_of(a).zip(self.value_of(b)).and_then(|(a, b)| a.div(b)).and_then(|v| v.exact).is_none_or(|f| f.bottom == 1)
            }
            _ => !ops.iter().any(|op| matches!(op, Op::Root(_))),
        }
    }

    fn value_of(&self, n: u32) -> Option<Value> {
        self.numbers.get(n as usize).map(|w| w.value())
    }

    /// `54 / 8 = 7 packs`, `20 / 3 = 6.6`: a quotient given as the nearest whole number, or cut off behind one decimal, with no word about it.
    fn counts(&self, left: &Part, right: &Part, verdict: Verdict) -> bool {
        let Some((written, unit)) = self.bare(right).filter(|(w, _)| w.digits > 0) else { return false };
        let near = match written.decimals {
            0 => (verdict.left + 0.5).floor() == verdict.right,
            1 => ((verdict.left * 10.0).trunc() - verdict.right * 10.0).abs() < 1e-6 && (verdict.left * 1000.0).fract() != 0.0,
            _ => false,
        };
        near && unit == 1.0 && self.of(left).contains(&Op::Divide)
    }

    /// `1/3 tank = 8 gallons` tells of two quantities and is no arithmetic.
    fn quantities(&self, left: &Part, right: &Part) -> bool {
        let less = |a: u32, b: u32| self.value_of(a).zip(self.value_of(b)).is_some_and(|(a, b)| a.near < b.near);
        let simple = |p: &Part| {
            let ops = self.of(p);
            // the unit behind the whole fraction: "1/3 tank", not "30 minutes / 60"
            p.word.is_some_and(|(at, _)| at >= p.end)
                && matches!(ops, [Op::Number(a), Op::Number(b), Op::Divide] | [Op::Number(_), Op::Number(a), Op::Number(b), Op::Divide, Op::Mixed] if less(*a, *b))
        };
        let word = |p: &Part| p.word.and_then(|(a, b)| self.text.get(a..b)).unwrap_or("");
        let different = !word(left).is_empty() && word(left) != word(right);
        different && (simple(left) && (self.bare(right).is_some() || simple(right)))
    }

    /// Units that one value is turned into the other by, or that a sum mixes; shares of what words name.
    fn units(&self, left: &Part, right: &Part, verdict: Verdict) -> bool {
        let sums = |p: &Part| self.of(p).iter().any(|op| matches!(op, Op::Add | Op::Subtract));
        // "10% of 400 + 20" may be 10% of all
        let shares = |p: &Part| {
            let ops = self.of(p);
            let rest = ops.iter().position(|op| *op == Op::Of).map_or(&[][..], |at| &ops[at..]);
            sums(p) && rest.iter().any(|op| matches!(op, Op::Number(_)))
        };
        let name = |p: &Part| p.word.and_then(|(a, b)| self.text.get(a..b));
        // kHz and MHz, grams and milligrams
        let power = (verdict.left / verdict.right).abs().log10();
        let prefix = name(left) != name(right) && power.abs() > 2.9 && (power - power.round()).abs() < 0.003;
        let both = left.units.with(right.units);
        // "100% - 20% = 80% of the price", but not "60 = 1/4 of the oranges"
        let share = right.share && !self.of(left).contains(&Op::Percent);
        share
            || prefix
            || shares(left)
            || shares(right)
            || both.convert(verdict.left, verdict.right)
            || (sums(left) && left.units.mixed())
            || (sums(right) && right.units.mixed())
    }

    /// Whether two values agree, with the room that rounding leaves.
    fn agree(&self, pair: &Pair, a: Value, b: Value, reading: Reading) -> bool {
        if let Some((x, y)) = a.exact.zip(b.exact)
            && x == y
        {
            return true;
        }
        let off = (a.near - b.near).abs();
        let inexact = if a.exact.is_some() && b.exact.is_some() { 0.0 } else { 1e-9 * a.near.abs().max(b.near.abs()) };
        let mut room = a.slack + b.slack + inexact;
        for (part, other) in [(&pair.right, a), (&pair.left, b)] {
            let Some((written, factor)) = self.bare(part) else { continue };
            let percent = reading.plain_percent && self.of(part).contains(&Op::Percent);
            let factor = if percent { factor * 100.0 } else { factor };
            let factor = if reading.plain_scale && factor >= 10.0 { 1.0 } else { factor };
            room = room.max(a.slack + b.slack + rounding(written, factor, pair.rounded, other) * factor);
        }
        off <= room * (1.0 + 1e-9)
    }

    /// What a part comes to; `None` where that is no number.
    fn value(&mut self, part: &Part, reading: Reading) -> Option<Value> {
        let bare = self.bare(part).is_some();
        let ops = &self.ops[part.ops.clone()];
        self.stack.clear();
        let stack = &mut *self.stack;
        count(ops.len());
        for op in ops {
            let result = match *op {
                Op::Number(n) => {
                    let written = self.numbers.get(n as usize)?;
                    let meant = if reading.meant && !bare { written.meant() } else { None };
                    meant.map_or_else(|| written.value(), Value::exact)
                }
                Op::Scale(by) => {
                    let top = stack.pop()?;
                    if reading.plain_scale { top } else { top.mul(Value::exact(Fraction::whole(by as i128))) }
                }
                Op::Percent => {
                    let top = stack.pop()?;
                    if reading.plain_percent && (bare || top.exact == Some(Fraction::whole(100))) {
                        Value { percent: true, ..top }
                    } else {
                        top.percent()
                    }
                }
                Op::Factorial => stack.pop()?.factorial()?,
                Op::Negate => stack.pop()?.neg(),
                Op::Root(degree) => stack.pop()?.root(degree)?,
                _ => {
                    let (b, a) = (stack.pop()?, stack.pop()?);
                    binary(*op, a, b, reading)?
                }
            };
            stack.push(result);
        }
        let value = stack.pop()?;
        Some(Value { near: value.rounded(), ..value }).filter(|v| v.near.is_finite())
    }
}

fn binary(op: Op, a: Value, b: Value, reading: Reading) -> Option<Value> {
    let b = if matches!(op, Op::Add | Op::Subtract) && reading.markup && b.percent && !a.percent { a.mul(b) } else { b };
    Some(match op {
        Op::Add => Value { percent: a.percent && b.percent, ..a.add(b) },
        Op::Subtract => Value { percent: a.percent && b.percent, ..a.add(b.neg()) },
        Op::Of if reading.plain_of => a,
        Op::Multiply | Op::Of => a.mul(b),
        Op::Divide => a.div(b)?,
        Op::Power => a.pow(b)?,
        Op::Remark if reading.remark_times => a.mul(b),
        Op::Remark => a,
        Op::Mixed if reading.mixed_times || a.exact.is_none_or(|f| f.bottom != 1) => a.mul(b),
        Op::Mixed => a.add(b),
        Op::Number(_) | Op::Scale(_) | Op::Percent | Op::Factorial | Op::Negate | Op::Root(_) => return None,
    })
}

/// How far a written result may be from the exact value by rounding: half its last place, or less than a whole one where digits were cut off;
/// for a whole number only where the text speaks of rounding, and for its closing zeros only behind `≈`.
fn rounding(written: Written, factor: f64, rounded: Rounded, exact: Value) -> f64 {
    let unit = written.unit();
    // a half is rounded up
    let up = written.digits as f64 * unit * factor > exact.near.abs();
    let whole = exact.exact.is_some_and(|f| f.bottom == 1);
    match (rounded, written.decimals) {
        (Rounded::About, _) => written.coarse_unit().min(exact.near.abs() * 0.06).max(unit) * 0.9999999,
        (Rounded::Words, _) if !whole => unit * 0.9999999,
        (_, 0) => 0.0,
        (_, 1) => unit * if up { 0.5000001 } else { 0.4999999 },
        _ => unit * 0.9999999,
    }
}

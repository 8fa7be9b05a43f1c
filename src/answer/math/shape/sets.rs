//! Answers that are sets of real numbers: intervals, their unions, inequalities.

use super::super::answer::{Answer, Relation, decided};
use super::super::formula::tree::{Call, Expr};
use super::super::fuel::Fuel;
use super::super::names::name;
use super::super::read::whole;
use super::super::region::{End, Region};
use super::super::slices::{DEPTH, PARTS, inside, is_words, outside, parts, strip};
use super::super::text::token::{Lexeme, Op, Token};

/// Reads a part that is so deep inside others.
type Read<'a> = &'a dyn Fn(&[Lexeme], usize) -> Answer;

/// A set of real numbers that several conditions on one variable, or several intervals, make.
pub(super) fn regions(items: &[Answer], or: bool, and: bool) -> Option<Answer> {
    let name = items.iter().find_map(|i| if let Answer::Region(_, name) = i { Some(name.clone()) } else { None })?;
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        all.push(match item {
            Answer::Region(region, own) if *own == name => region.clone(),
            Answer::Named(own, value, _) if Some(&own.spelled) == name.as_ref() => Region::Point(value.scalar()?.clone()),
            Answer::Tuple(..) if name.is_none() => item.region()?,
            _ => return None,
        });
    }
    let all = || all.iter().cloned();
    let together = all().reduce(Region::union)?;
    // `x > 1, x < 3` are both meant, `x < 1, x > 3` one of them.
    let found = if or || name.is_none() {
        together
    } else {
        let both = all().reduce(Region::intersection)?;
        let none = both.is_empty(&Fuel::new());
        if none && !(and && items.len() > 2) { together } else { both }
    };
    Some(Answer::Region(found, name))
}

/// A set of real numbers that is surely one: named, half open, without end, or put together of others.
pub(super) fn region(all: &[Lexeme], depth: usize, read: Read<'_>) -> Option<Region> {
    let all = strip(all);
    if depth > 2 * DEPTH {
        return None;
    }
    let set = |t: &Token| matches!(t, Token::Op(Op::Union | Op::Intersection | Op::Without));
    let minus = || {
        outside(all, |t| matches!(t, Token::Op(Op::Minus)))
            .into_iter()
            .find(|&i| matches!(all.get(i + 1).map(|l| &l.token), Some(Token::Open('{'))))
    };
    if let Some(at) = outside(all, set).pop().or_else(minus) {
        let side = |part: &[Lexeme]| region(part, depth + 1, read).or_else(|| interval(part)).or_else(|| points(part));
        let (left, right) = (side(&all[..at])?, side(&all[at + 1..])?);
        return Some(match &all[at].token {
            Token::Op(Op::Union) => left.union(right),
            Token::Op(Op::Intersection) => left.intersection(right),
            _ => left.without(right),
        });
    }
    match all {
        [Lexeme { token: Token::Numbers('R'), .. }] => return Some(Region::All),
        [Lexeme { token: Token::Letter(r), .. }] if r == "R" && depth > 0 => return Some(Region::All),
        [Lexeme { token: Token::Empty, .. }] => return Some(Region::Empty),
        _ if is_words(all, &["all real numbers", "all reals", "all real number", "the real numbers", "real numbers"]) => {
            return Some(Region::All);
        }
        _ if is_words(all, &["no solution", "no solutions", "no real solution", "no real solutions", "empty set", "the empty set"]) => {
            return Some(Region::Empty);
        }
        _ => {}
    }
    if matches!(all.first()?.token, Token::Close(']')) {
        return interval(all);
    }
    let inner = inside(all)?;
    if let Token::Open('{') = all[0].token {
        if inner.is_empty() {
            return Some(Region::Empty);
        }
        // `\{x \mid x > 2\}`
        let at = *outside(inner, |t| matches!(t, Token::Bar | Token::Op(Op::Colon))).first()?;
        let bound = name(inner[..at].split(|l| matches!(l.token, Token::Op(Op::In))).next()?)?;
        return match read(&inner[at + 1..], depth + 1) {
            Answer::Region(region, Some(of)) if of == bound.spelled => Some(region),
            _ => None,
        };
    }
    let sure =
        all[0].token_char() != all[all.len() - 1].token_char().map(opening) || inner.iter().any(|l| matches!(l.token, Token::Infinity));
    if sure { interval(all) } else { None }
}

fn opening(c: char) -> char {
    match c {
        ')' => '(',
        ']' => '[',
        '}' => '{',
        other => other,
    }
}

impl Lexeme {
    fn token_char(&self) -> Option<char> {
        match self.token {
            Token::Open(c) | Token::Close(c) => Some(c),
            _ => None,
        }
    }
}

/// `[2,5)`, `]2,5]`
pub(super) fn interval(all: &[Lexeme]) -> Option<Region> {
    let all = strip(all);
    let [first, inner @ .., last] = all else { return None };
    let low_in = match first.token {
        Token::Open('(') | Token::Close(']') => false,
        Token::Open('[') => true,
        _ => return None,
    };
    let high_in = match last.token {
        Token::Close(')') | Token::Open('[') => false,
        Token::Close(']') => true,
        _ => return None,
    };
    let at = outside(inner, |t| matches!(t, Token::Comma | Token::Semicolon));
    let [at] = at.as_slice() else { return None };
    let (low, high) = (whole(strip(&inner[..*at]))?, whole(strip(&inner[at + 1..]))?);
    let infinite = |e: &Expr, below: bool| match e {
        Expr::Infinity => !below,
        Expr::Negative(x) => below && matches!(**x, Expr::Infinity),
        _ => false,
    };
    let any = |e: &Expr| e.any(&|e| matches!(e, Expr::Infinity));
    let end = |e: Expr, closed: bool, below: bool| {
        if infinite(&e, below) { Some(End { at: None, closed: false }) } else { (!any(&e)).then_some(End { at: Some(e), closed }) }
    };
    Some(Region::Interval(end(low, low_in, true)?, end(high, high_in, false)?))
}

/// `\{1, 2\}`
fn points(all: &[Lexeme]) -> Option<Region> {
    let all = strip(all);
    let inner = inside(all).filter(|_| matches!(all[0].token, Token::Open('{')))?;
    let list = parts(inner, &outside(inner, |t| matches!(t, Token::Comma)));
    if list.len() > PARTS {
        return None;
    }
    let all = list.into_iter().map(|p| whole(strip(p)).map(decided)).collect::<Option<Vec<_>>>()?;
    all.into_iter().flatten().map(Region::Point).reduce(Region::union)
}

/// What inequalities say: an interval of a variable, or a relation of two formulas.
pub(super) fn inequality(members: &[&[Lexeme]], ops: &[Op]) -> Option<Answer> {
    let all = members.iter().map(|m| whole(strip(m))).collect::<Option<Vec<_>>>()?;
    let less = |op: &Op| matches!(op, Op::Less | Op::LessEqual);
    let closed = |op: &Op| matches!(op, Op::LessEqual | Op::GreaterEqual);
    let one_way = ops.iter().all(less) || ops.iter().all(|op| matches!(op, Op::Greater | Op::GreaterEqual));
    if !one_way || ops.len() > 2 {
        return None;
    }
    let bare: Vec<usize> = (0..all.len()).filter(|&i| matches!(all[i], Expr::Variable(_))).collect();
    let of = |i: usize, wanted: &Expr| matches!((&all[i], wanted), (Expr::Variable(a), _) if wanted.any(&|e| matches!(e, Expr::Variable(b) if a == b)));
    let alone = |&i: &usize| (0..all.len()).all(|j| i == j || !of(i, &all[j]));
    let middle = if ops.len() == 2 { bare.iter().copied().find(|i| *i == 1) } else { bare.iter().copied().find(alone) };
    let infinite = |e: &Expr| e.any(&|e| matches!(e, Expr::Infinity));
    // Of `a < b` neither is the variable.
    if let Some(i) = middle.filter(alone).filter(|_| bare.len() < all.len()) {
        let end = |at: &Expr, op: &Op| End { at: (!infinite(at)).then(|| at.clone()), closed: closed(op) };
        let open = || End { at: None, closed: false };
        let (before, after) = (i.checked_sub(1).map(|j| end(&all[j], &ops[j])), ops.get(i).map(|op| end(&all[i + 1], op)));
        let (low, high) = if ops.iter().all(less) { (before, after) } else { (after, before) };
        let interval = Region::Interval(low.unwrap_or_else(open), high.unwrap_or_else(open));
        return Some(Answer::Region(interval, Some(name(members[i])?.spelled)));
    }
    if let [left, right] = all.as_slice()
        && let Some(found) = absolute(left, right, &ops[0], members[0]).or_else(|| absolute(right, left, &flipped(&ops[0]), members[1]))
    {
        return Some(found);
    }
    let [left, right] = <[Expr; 2]>::try_from(all).ok()?;
    let op = if closed(&ops[0]) { Op::LessEqual } else { Op::Less };
    let (left, right) = if less(&ops[0]) { (left, right) } else { (right, left) };
    Some(Answer::Relation(Relation { op, left, right }))
}

fn flipped(op: &Op) -> Op {
    match op {
        Op::Less => Op::Greater,
        Op::LessEqual => Op::GreaterEqual,
        Op::Greater => Op::Less,
        _ => Op::LessEqual,
    }
}

/// What `|x - a| < b` says of its variable.
fn absolute(side: &Expr, bound: &Expr, op: &Op, member: &[Lexeme]) -> Option<Answer> {
    let Expr::Call(Call::Absolute, inner) = side else { return None };
    let shift = match inner.as_slice() {
        [Expr::Variable(_)] => Expr::whole(0),
        [Expr::Sum(terms)] => match terms.as_slice() {
            [Expr::Variable(_), Expr::Negative(a)] => (**a).clone(),
            [Expr::Variable(_), a] => a.clone().negative(),
            _ => return None,
        },
        _ => return None,
    };
    if shift.has_variables() || bound.has_variables() {
        return None;
    }
    let name = member.iter().find(|l| matches!(l.token, Token::Letter(_)))?.spelling();
    let closed = matches!(op, Op::LessEqual | Op::GreaterEqual);
    let (low, high) = (shift.clone().minus(bound.clone()), Expr::Sum(vec![shift, bound.clone()]));
    let end = |at: Option<Expr>| End { at, closed };
    let region = match op {
        Op::Less | Op::LessEqual => Region::Interval(end(Some(low)), end(Some(high))),
        _ => Region::Interval(end(None), end(Some(low))).union(Region::Interval(end(Some(high)), end(None))),
    };
    Some(Answer::Region(region, Some(name)))
}

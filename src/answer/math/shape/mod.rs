//! Tokens read as an answer.

mod clock;
mod quantity;
mod sets;

use super::answer::{Answer, Relation, decided};
use super::formula::tree::Expr;
use super::names::{name, names};
use super::read::whole;
use super::region::Region;
use super::slices::{DEPTH, PARTS, inside, outside, parts, strip};
use super::text::token::{Lexeme, Op, Token};
use clock::{clock, hour};
use quantity::{compound, quantity, together};
use sets::{inequality, interval, region, regions};

/// Reads the tokens of an answer.
pub(super) fn answer(all: &[Lexeme]) -> Answer {
    Reader.answer(all, 0)
}

struct Reader;

impl Reader {
    fn answer(&self, all: &[Lexeme], depth: usize) -> Answer {
        let all = strip(all);
        let words = || Answer::Words(all.iter().map(Lexeme::spelling).collect());
        if all.is_empty() || depth > DEPTH {
            return words();
        }
        if let Some(found) = self.environment(all, depth) {
            return found;
        }
        // A sign ∓ is bound to the signs ± beside it.
        if let Some((plus, minus)) = bound_signs(all) {
            return Answer::List(vec![self.answer(&plus, depth + 1), self.answer(&minus, depth + 1)], true);
        }
        let conditions = outside(all, is_condition);
        if let [at] = conditions.as_slice()
            && *at > 0
        {
            let answer = self.answer(&all[..*at], depth + 1);
            return Answer::Under(Box::new(answer), all[at + 1..].iter().map(Lexeme::spelling).collect());
        }
        let at = outside(all, |t| matches!(t, Token::Comma | Token::Semicolon | Token::And | Token::Or));
        if at.len() > PARTS {
            return words();
        }
        if at.is_empty() {
            return self.clause(all, depth).unwrap_or_else(words);
        }
        let list: Vec<&[Lexeme]> = parts(all, &at).into_iter().filter(|p| !p.is_empty()).collect();
        let any = |is: fn(&Token) -> bool| at.iter().any(|&i| is(&all[i].token));
        let (or, and) = (any(|t| matches!(t, Token::Or)), any(|t| matches!(t, Token::And)));
        match list.as_slice() {
            [] => words(),
            [one] => self.answer(one, depth + 1),
            _ => self.combine(list, or, and, depth),
        }
    }

    /// A matrix, or the lines of a system.
    fn environment(&self, all: &[Lexeme], depth: usize) -> Option<Answer> {
        let bare = match all.first()?.token {
            Token::Open('(' | '[') => inside(all).filter(|i| matches!(i.first().map(|l| &l.token), Some(Token::Begin(_)))).unwrap_or(all),
            Token::Bar if all.len() > 2 => &all[1..all.len() - 1],
            _ => all,
        };
        let Some(Lexeme { token: Token::Begin(name), .. }) = bare.first() else { return None };
        let inner = inside(bare)?;
        let rows: Vec<&[Lexeme]> =
            parts(inner, &outside(inner, |t| matches!(t, Token::Row))).into_iter().filter(|row| !row.is_empty()).collect();
        if rows.len() > PARTS {
            return None;
        }
        let bracketed = bare.len() < all.len();
        if name.ends_with("matrix") || (name == "array" && bracketed) {
            let determinant = name.starts_with(['v', 'V']) || matches!(all[0].token, Token::Bar);
            let row = |row: &[Lexeme]| {
                parts(row, &outside(row, |t| matches!(t, Token::Cell))).iter().map(|c| self.answer(c, depth + 1)).collect()
            };
            return Some(Answer::Matrix(determinant, rows.into_iter().map(row).collect()));
        }
        let lines: Vec<Vec<Lexeme>> =
            rows.iter().map(|row| row.iter().filter(|l| !matches!(l.token, Token::Cell)).cloned().collect()).collect();
        match lines.as_slice() {
            [] => None,
            [one] => Some(self.answer(one, depth + 1)),
            _ => Some(self.combine(lines.iter().map(Vec::as_slice).collect(), false, true, depth)),
        }
    }

    /// Several answers as one.
    fn combine(&self, list: Vec<&[Lexeme]>, or: bool, and: bool, depth: usize) -> Answer {
        let unequal = list[0].iter().any(|l| matches!(l.token, Token::Op(Op::NotEqual)));
        let mut items: Vec<Answer> = list.into_iter().map(|part| self.answer(part, depth + 1)).collect();
        // `2 hours and 30 minutes`
        if let Some(sum) = together(&items).filter(|_| !or) {
            return sum;
        }
        // `x = 2, 3`
        let alone = |a: &Answer| !matches!(a, Answer::Named(..) | Answer::Region(_, Some(_)) | Answer::Relation(_) | Answer::Words(_));
        if let Answer::Named(name, first, _) = &items[0]
            && items[1..].iter().all(alone)
        {
            let (name, first) = (name.clone(), (**first).clone());
            items[0] = first;
            return Answer::Named(name, Box::new(Answer::List(items, or)), None);
        }
        // `x \ne 2, 3`
        if let (true, Answer::Region(region, Some(name))) = (unequal, &items[0])
            && items[1..].iter().all(|i| i.scalar().is_some())
        {
            let points = items[1..].iter().filter_map(Answer::scalar).fold(region.clone(), |r, x| r.without(Region::Point(x.clone())));
            return Answer::Region(points, Some(name.clone()));
        }
        if let Some(region) = regions(&items, or, and) {
            return region;
        }
        // `x = 2 or x = 3`
        if let Some(Answer::Named(name, ..)) = items.first().cloned()
            && items.iter().all(|i| matches!(i, Answer::Named(n, ..) if n.spelled == name.spelled))
        {
            let values = items.into_iter().filter_map(|i| if let Answer::Named(_, value, _) = i { Some(*value) } else { None }).collect();
            return Answer::Named(name, Box::new(Answer::List(values, or)), None);
        }
        // Signs ± make several of one.
        let flat = items.into_iter().flat_map(|i| match i {
            Answer::List(all, true) => all,
            other => vec![other],
        });
        Answer::List(flat.collect(), or)
    }

    /// One answer without commas.
    fn clause(&self, all: &[Lexeme], depth: usize) -> Option<Answer> {
        let is_relation = |t: &Token| {
            use Op::*;
            matches!(t, Token::Op(Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual | Approx | In))
        };
        let at = outside(all, is_relation);
        if !at.is_empty() {
            return self.relation(all, &at, depth);
        }
        if let Some(region) = region(all, depth, &|part, depth| self.answer(part, depth)) {
            return Some(Answer::Region(region, None));
        }
        if let Some(found) = self.bracketed(all, depth) {
            return Some(found);
        }
        let colons = outside(all, |t| matches!(t, Token::Op(Op::Colon)));
        if !colons.is_empty() {
            return clock(all).or_else(|| Some(Answer::Ratio(parts(all, &colons).into_iter().map(whole).collect::<Option<_>>()?)));
        }
        hour(all).or_else(|| quantity(all)).or_else(|| compound(all))
    }

    /// Sets, tuples and what stands in brackets.
    fn bracketed(&self, all: &[Lexeme], depth: usize) -> Option<Answer> {
        let (inner, Token::Open(open)) = (inside(all)?, &all[0].token) else { return None };
        let at = outside(inner, |t| matches!(t, Token::Comma | Token::Semicolon));
        let list = || parts(inner, &at).into_iter().map(|p| self.answer(p, depth + 1)).collect::<Vec<_>>();
        match (open, at.len()) {
            (_, n) if n > PARTS => None,
            ('{', _) => {
                Some(Answer::Set(list().into_iter().flat_map(|a| if let Answer::List(all, _) = a { all } else { vec![a] }).collect()))
            }
            ('(', 0) => Some(self.answer(inner, depth + 1)),
            ('(' | '[' | '<', 1..) => {
                let fits = matches!(
                    (open, &all[all.len() - 1].token),
                    ('(', Token::Close(')')) | ('[', Token::Close(']')) | ('<', Token::Close('>'))
                );
                let all = list();
                fits.then(|| tuples(*open, all))
            }
            _ => None,
        }
    }

    fn relation(&self, all: &[Lexeme], at: &[usize], depth: usize) -> Option<Answer> {
        let members = parts(all, at);
        let ops: Vec<Op> = at.iter().filter_map(|&i| if let Token::Op(op) = all[i].token { Some(op) } else { None }).collect();
        let (first, last) = (*members.first()?, *members.last()?);
        match ops.as_slice() {
            [Op::In] => {
                let name = name(first)?;
                Some(match region(last, depth, &|part, depth| self.answer(part, depth)).or_else(|| interval(last)) {
                    Some(region) => Answer::Region(region, Some(name.spelled)),
                    None => self.answer(last, depth + 1),
                })
            }
            [Op::NotEqual] => {
                let (left, right) = (whole(first)?, whole(last)?);
                let (variable, value, named) = match (&left, &right) {
                    (Expr::Variable(v), r) if !r.any(&|e| matches!(e, Expr::Variable(x) if x == v)) => (Some(first), right.clone(), true),
                    (_, Expr::Variable(_)) => (Some(last), left.clone(), true),
                    _ => (None, right.clone(), false),
                };
                if !named {
                    return Some(Answer::Relation(Relation { op: Op::NotEqual, left, right }));
                }
                let points = decided(value).into_iter().fold(Region::All, |r, x| r.without(Region::Point(x)));
                Some(Answer::Region(points, Some(name(variable?)?.spelled)))
            }
            ops if ops.iter().all(|o| matches!(o, Op::Equal | Op::Approx)) => self.equation(&members, ops, depth),
            ops => inequality(&members, ops),
        }
    }

    fn equation(&self, members: &[&[Lexeme]], ops: &[Op], depth: usize) -> Option<Answer> {
        let (first, last) = (*members.first()?, *members.last()?);
        let read = |part: &[Lexeme]| self.answer(part, depth + 1);
        if members.len() == 2 {
            if names(first) {
                return Some(read(last));
            }
            let (left, right) = (name(first), name(last));
            let (name, value, side) = match (left, right) {
                (Some(name), _) => (name, last, first),
                (None, Some(name)) => (name, first, last),
                (None, None) => return self.constants(members, ops, depth),
            };
            let equation = whole(side).zip(whole(value)).map(|(left, right)| Relation { op: Op::Equal, left, right });
            // What stands on both sides has no value yet.
            if let Some(Relation { left: Expr::Variable(v), right, .. }) = &equation
                && right.any(&|e| matches!(e, Expr::Variable(x) if x == v))
            {
                return equation.map(Answer::Relation);
            }
            return Some(Answer::Named(name, Box::new(read(value)), equation));
        }
        match name(first) {
            // `x = y = 2`
            Some(_) if members[..members.len() - 1].iter().all(|m| name(m).is_some()) => {
                let value = read(last);
                let named = |m: &&[Lexeme]| Some(Answer::Named(name(m)?, Box::new(value.clone()), None));
                Some(Answer::List(members[..members.len() - 1].iter().filter_map(named).collect(), false))
            }
            Some(name) => Some(Answer::Named(name, Box::new(self.constants(&members[1..], &ops[1..], depth)?), None)),
            None => self.constants(members, ops, depth),
        }
    }

    /// Equal constants, or formulas that are the same: what is behind the last sign. What is only near it may be meant, too.
    fn constants(&self, members: &[&[Lexeme]], ops: &[Op], depth: usize) -> Option<Answer> {
        let all: Vec<Answer> = members.iter().map(|m| self.answer(m, depth + 1)).collect();
        let fuel = super::fuel::Fuel::new();
        let mut meant = vec![all.last()?.clone()];
        for (pair, op) in all.windows(2).zip(ops).rev() {
            let (a, b) = (pair[0].scalar()?, pair[1].scalar()?);
            let holds = match op {
                Op::Approx => super::same::near(a, b, &fuel),
                _ => super::same::same_expr(a, b, &fuel),
            };
            if !holds {
                let equation = all.len() == 2 && *op == Op::Equal;
                return equation.then(|| Answer::Relation(Relation { op: Op::Equal, left: a.clone(), right: b.clone() }));
            }
            if *op == Op::Approx {
                meant.push(pair[0].clone());
            }
        }
        Some(if meant.len() == 1 { meant.pop()? } else { Answer::Either(meant) })
    }
}

/// The members that signs ± made of one.
fn spread(answer: Answer) -> Vec<Answer> {
    match answer {
        Answer::List(all, true) => all,
        other => vec![other],
    }
}

/// A tuple, or several where signs ± stand in it.
fn tuples(open: char, parts: Vec<Answer>) -> Answer {
    let mut all: Vec<Vec<Answer>> = vec![Vec::new()];
    for part in parts {
        let choices = spread(part);
        all = all.iter().flat_map(|head| choices.iter().map(|c| head.iter().cloned().chain([c.clone()]).collect())).take(16).collect();
    }
    let mut all: Vec<Answer> = all.into_iter().map(|parts| Answer::Tuple(open, parts)).collect();
    if all.len() == 1 { all.remove(0) } else { Answer::List(all, true) }
}

/// The tokens with every ± as + and ∓ as −, and the other way round; `None` where there is no ∓.
fn bound_signs(all: &[Lexeme]) -> Option<(Vec<Lexeme>, Vec<Lexeme>)> {
    let is = |l: &Lexeme, wanted: Op| matches!(l.token, Token::Op(op) if op == wanted);
    all.iter().any(|l| is(l, Op::MinusPlus)).then_some(())?;
    let with = |plus: Op, minus: Op| {
        let decide = |l: &Lexeme| match l.token {
            Token::Op(Op::PlusMinus) => Lexeme { token: Token::Op(plus), ..l.clone() },
            Token::Op(Op::MinusPlus) => Lexeme { token: Token::Op(minus), ..l.clone() },
            _ => l.clone(),
        };
        all.iter().map(decide).collect()
    };
    Some((with(Op::Plus, Op::Minus), with(Op::Minus, Op::Plus)))
}

/// Whether a word begins a condition.
fn is_condition(token: &Token) -> bool {
    let words = ["for", "where", "when", "if", "with", "since", "because", "provided", "such"];
    matches!(token, Token::Word(word) if words.contains(&word.to_lowercase().as_str()))
}

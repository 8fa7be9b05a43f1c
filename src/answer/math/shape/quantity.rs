//! Answers that are one formula with what it counts.

use super::super::super::ratio::Ratio;
use super::super::answer::{Answer, Scalar, decided};
use super::super::formula::tree::{Call, Expr, Number};
use super::super::read::{formula, variable, whole};
use super::super::slices::step;
use super::super::text::token::{Lexeme, Op, Token};
use super::super::units::{self, Unit};

/// A formula with a unit.
pub(super) fn quantity(all: &[Lexeme]) -> Option<Answer> {
    let money = match &all.first()?.token {
        Token::Currency(sign) => Some(units::money(*sign)),
        Token::Op(Op::Minus) if matches!(all.get(1).map(|l| &l.token), Some(Token::Currency(_))) => {
            let rest: Vec<Lexeme> = all[..1].iter().chain(&all[2..]).cloned().collect();
            let Token::Currency(sign) = all[1].token else { return None };
            return Some(units_of(whole(&rest)?, Some(units::money(sign))));
        }
        Token::Word(word) if word.len() == 3 && matches!(all.get(1).map(|l| &l.token), Some(Token::Number(..))) => {
            units::read(&all[..1]).filter(|u| matches!(u, Unit::Known(..)))
        }
        _ => None,
    };
    let all = if money.is_some() { &all[1..] } else { all };
    if let Some(numeral) = numeral(all) {
        return Some(numeral);
    }
    // `4^{\\text{th}}`
    let raised = (1..all.len()).find(|&i| ordinal(&all[i..]));
    let all = &all[..raised.unwrap_or(all.len())];
    let (expr, rest) = match formula(all) {
        Some((expr, used)) => (expr, &all[used..]),
        // `18 \\frac{\\text{miles}}{\\text{hour}}`
        None => {
            let word = all.iter().position(|l| matches!(l.token, Token::Word(_)))?;
            let unit = all[..word].iter().rposition(|l| !matches!(l.token, Token::GroupOpen | Token::Frac))? + 1;
            (whole(&all[..unit])?, &all[unit..])
        }
    };
    let unit = match rest {
        [] => money,
        rest => {
            let found = units::read(rest).filter(|_| !matches!(expr, Expr::Variable(_)) || rest[0].text)?;
            Some(match money {
                Some(money) => money.times(&found),
                None => found,
            })
        }
    };
    Some(units_of(expr, unit))
}

/// `4210 (base 5)`
fn numeral(all: &[Lexeme]) -> Option<Answer> {
    let [Lexeme { token: Token::Number(_, raw), .. }, rest @ ..] = all else { return None };
    let word = |l: &&Lexeme| !matches!(l.token, Token::Open(_) | Token::Close(_)) && l.spelling() != "in";
    let rest: Vec<&Lexeme> = rest.iter().filter(word).collect();
    match rest.as_slice() {
        [base, Lexeme { token: Token::Number(n, _), .. }] if base.spelling() == "base" => {
            Some(Answer::Scalar(Scalar { expr: variable(&format!("{raw}_{}", n.value)), unit: None }))
        }
        _ => None,
    }
}

/// `5 feet 6 inches`
pub(super) fn compound(all: &[Lexeme]) -> Option<Answer> {
    let begins = |i: &usize| matches!((&all[i - 1].token, &all[*i].token), (Token::Word(_), Token::Number(..)));
    let starts: Vec<usize> = (1..all.len()).filter(begins).take(4).collect();
    let ends = starts.iter().copied().chain([all.len()]);
    let parts = [0].into_iter().chain(starts.iter().copied()).zip(ends).map(|(a, b)| quantity(&all[a..b]));
    if starts.is_empty() { None } else { together(&parts.collect::<Option<Vec<_>>>()?) }
}

/// Quantities of one kind in different units as one in the unit of the first: `2 hours, 30 minutes`.
pub(super) fn together(items: &[Answer]) -> Option<Answer> {
    let mut terms = Vec::with_capacity(items.len());
    let mut first: Option<(&Unit, f64)> = None;
    let mut smallest = f64::INFINITY;
    for item in items {
        let Answer::Scalar(Scalar { expr, unit: Some(unit @ Unit::Known(dimensions, size)) }) = item else { return None };
        let (of, whole) = *first.get_or_insert((unit, *size));
        let Unit::Known(wanted, _) = of else { return None };
        if wanted != dimensions || *size >= smallest {
            return None;
        }
        smallest = *size;
        // So many of these are one of the first.
        let many = whole / size;
        let near = (many.round() - many).abs() <= 1e-9 * many;
        let part = Number::of(Ratio::new(1, near.then_some(many.round() as i128)?)?)?;
        terms.push(Expr::Product(vec![(expr.clone(), false), (Expr::Number(part), false)]));
    }
    let (Unit::Known(dimensions, size), _) = first? else { return None };
    Some(Answer::Scalar(Scalar { expr: Expr::Sum(terms), unit: Some(Unit::Sum(*dimensions, *size)) }))
}

/// Whether these tokens only make an ordinal of a number.
fn ordinal(all: &[Lexeme]) -> bool {
    let letters = |all: &[Lexeme]| {
        all.iter().filter(|l| step(&l.token) == 0 && !matches!(l.token, Token::Caret)).map(Lexeme::spelling).collect::<String>()
    };
    all.len() <= 5
        && matches!(all[0].token, Token::Caret | Token::Word(_) | Token::Letter(_))
        && ["th", "st", "nd", "rd"].contains(&letters(all).as_str())
}

/// A formula with its unit, a last percent or degree sign as one; a list where signs ± leave several.
fn units_of(expr: Expr, unit: Option<Unit>) -> Answer {
    let (expr, unit) = match (expr, unit) {
        (Expr::Call(Call::Percent, mut all), None) if all.len() == 1 => (all.remove(0), Some(Unit::Percent)),
        (Expr::Call(Call::Degree, mut all), unit) if all.len() == 1 => {
            (all.remove(0), Some(unit.filter(|u| !matches!(u, Unit::Other(_))).unwrap_or(Unit::Degree)))
        }
        (Expr::Negative(inner), None) => match *inner {
            Expr::Call(Call::Percent, mut all) if all.len() == 1 => (all.remove(0).negative(), Some(Unit::Percent)),
            Expr::Call(Call::Degree, mut all) if all.len() == 1 => (all.remove(0).negative(), Some(Unit::Degree)),
            other => (other.negative(), None),
        },
        other => other,
    };
    let mut all: Vec<Answer> = decided(expr).into_iter().map(|expr| Answer::Scalar(Scalar { expr, unit: unit.clone() })).collect();
    if all.len() == 1 { all.remove(0) } else { Answer::List(all, true) }
}

//! Names before a sign of equality: what stands there is not part of the answer.

use super::formula::tree::Call;
use super::slices::{inside, step};
use super::text::token::{Lexeme, Op, Token};

/// What an answer calls its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Name {
    pub kind: Naming,
    pub spelled: String,
}

/// How a value is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// A letter, perhaps with an index.
    Variable,
    /// `f(x)`, `\sin A`, `\lim …`
    Function,
    /// `AB`, `\angle ABC`
    Figure,
    /// `m + n`, `xy`
    Compound,
    Words,
}

impl Name {
    /// Whether two names may name the same value.
    pub fn fits(&self, other: &Self) -> bool {
        self.spelled == other.spelled
            || (self.kind != other.kind && [self.kind, other.kind].iter().any(|k| matches!(k, Naming::Function | Naming::Words)))
            || (self.kind == Naming::Words && other.kind == Naming::Words)
    }
}

/// How many tokens the index and primes take with which a name goes on.
fn tail(all: &[Lexeme]) -> usize {
    let mut at = 0;
    loop {
        match all.get(at).map(|l| &l.token) {
            Some(Token::Prime) => at += 1,
            Some(Token::Under) => at += 1 + group(&all[at + 1..]),
            _ => return at,
        }
    }
}

/// How many tokens the next group or single token takes.
fn group(all: &[Lexeme]) -> usize {
    let mut depth = 0;
    for (i, l) in all.iter().enumerate() {
        depth += step(&l.token);
        if depth <= 0 {
            return i + 1;
        }
    }
    all.len()
}

/// The letters, each with its index, that these tokens are.
fn letters(mut all: &[Lexeme]) -> Option<Vec<String>> {
    let mut out = Vec::new();
    while let [Lexeme { token: Token::Letter(_), .. }, rest @ ..] = all {
        let len = tail(rest);
        out.push(all[..=len].iter().map(Lexeme::spelling).collect());
        all = &rest[len..];
    }
    (all.is_empty() && !out.is_empty()).then_some(out)
}

fn is_figure(names: &[String]) -> bool {
    names.len() > 1 && names.iter().all(|n| n.starts_with(|c: char| c.is_ascii_uppercase()))
}

fn are_distinct(names: &[String]) -> bool {
    names.iter().enumerate().all(|(i, n)| !names[..i].contains(n))
}

/// The name that these tokens, all of them, are.
pub(super) fn name(all: &[Lexeme]) -> Option<Name> {
    let spelled = || all.iter().map(Lexeme::spelling).collect::<String>();
    let named = |kind| Some(Name { kind, spelled: spelled() });
    if let Some(all) = letters(all) {
        return match all.as_slice() {
            [_] => named(Naming::Variable),
            all if is_figure(all) => named(Naming::Figure),
            all if are_distinct(all) => named(Naming::Compound),
            _ => None,
        };
    }
    // `m + n`
    let sum: Vec<&[Lexeme]> = all.split(|l| matches!(l.token, Token::Op(Op::Plus))).collect();
    if sum.len() > 1 {
        let single = |part: &&[Lexeme]| letters(part).filter(|l| l.len() == 1 || is_figure(l)).map(|l| l.concat());
        let terms: Option<Vec<String>> = sum.iter().map(single).collect();
        return terms.filter(|t| are_distinct(t)).and_then(|_| named(Naming::Compound));
    }
    match all {
        [Lexeme { token: Token::Letter(_), .. }, rest @ ..] => {
            let mut rest = &rest[tail(rest)..];
            // `f^{-1}(x)`
            if let [Lexeme { token: Token::Caret, .. }, power @ ..] = rest
                && power.iter().take(2).any(|l| matches!(l.token, Token::Op(Op::Minus)))
            {
                rest = &power[group(power)..];
            }
            // `m\angle A`
            let figure = matches!(rest.first()?.token, Token::Mark(_)) && letters(&rest[1..]).is_some();
            let called = matches!(rest[0].token, Token::Open('(')) && group(rest) + tail(&rest[group(rest)..]) == rest.len();
            if figure {
                named(Naming::Figure)
            } else if called {
                named(Naming::Function)
            } else {
                None
            }
        }
        [Lexeme { token: Token::Mark(_), .. }, rest @ ..] => letters(rest).and_then(|_| named(Naming::Figure)),
        [Lexeme { token: Token::Accent(_), .. }, rest @ ..] => {
            let inner = inside(rest).unwrap_or(rest);
            letters(inner).and_then(|_| named(Naming::Figure))
        }
        [Lexeme { token: Token::Bar, .. }, inner @ .., Lexeme { token: Token::Bar, .. }]
        | [Lexeme { token: Token::Open('['), .. }, inner @ .., Lexeme { token: Token::Close(']'), .. }] => {
            letters(inner).filter(|l| is_figure(l)).and_then(|_| named(Naming::Figure))
        }
        [Lexeme { token: Token::Function(call), .. }, rest @ ..] => {
            let extreme = matches!(call, Call::Max | Call::Min);
            let angle = matches!(call, Call::Sin | Call::Cos | Call::Tan | Call::Cot | Call::Sec | Call::Csc);
            let inner = inside(rest).unwrap_or(&rest[usize::from(matches!(rest.first()?.token, Token::Mark(_)))..]);
            ((angle || extreme) && letters(inner).is_some()).then_some(())?;
            named(Naming::Function)
        }
        [Lexeme { token: Token::Opaque(_), .. }, ..] => named(Naming::Function),
        [Lexeme { token: Token::Frac, .. }, rest @ ..] => {
            // `\frac{dy}{dx}`
            let plain: String = rest.iter().filter(|l| step(&l.token) == 0).map(Lexeme::spelling).collect();
            let derivative = plain.len() == 4 && plain.starts_with('d') && plain[2..].starts_with('d') && plain.is_ascii();
            if derivative { named(Naming::Function) } else { None }
        }
        [Lexeme { token: Token::Word(_), .. }, rest @ ..] => {
            let fine = |l: &Lexeme| matches!(l.token, Token::Word(_) | Token::Letter(_) | Token::And | Token::Prime | Token::Mark(_));
            if rest.iter().all(fine) { named(Naming::Words) } else { None }
        }
        _ => None,
    }
}

/// Whether these tokens are a tuple of names.
pub(super) fn names(all: &[Lexeme]) -> bool {
    let Some(inner) = inside(all).filter(|_| matches!(all[0].token, Token::Open('(' | '{' | '<'))) else { return false };
    inner.iter().any(|l| matches!(l.token, Token::Comma))
        && inner.split(|l| matches!(l.token, Token::Comma)).all(|part| letters(part).is_some_and(|l| l.len() == 1))
}

//! Runs of tokens: what stands in brackets, what between commas, what counts at all.

use super::text::token::{Lexeme, Op, Token};

/// Parts inside parts are read as deep as this.
pub(super) const DEPTH: usize = 6;
/// Lists of more parts are compared as texts.
pub(super) const PARTS: usize = 128;

/// How a token opens or closes what others stand in.
pub(super) fn step(token: &Token) -> isize {
    match token {
        Token::Open(_) | Token::GroupOpen | Token::Begin(_) => 1,
        Token::Close(_) | Token::GroupClose | Token::End(_) => -1,
        _ => 0,
    }
}

/// Where tokens outside all brackets are of a kind.
pub(super) fn outside(all: &[Lexeme], is: impl Fn(&Token) -> bool) -> Vec<usize> {
    let mut depth = 0;
    let mut found = Vec::new();
    for (i, l) in all.iter().enumerate() {
        depth += step(&l.token);
        if depth == 0 && is(&l.token) {
            found.push(i);
        }
    }
    found
}

/// The parts between the tokens at some places.
pub(super) fn parts<'a>(all: &'a [Lexeme], at: &[usize]) -> Vec<&'a [Lexeme]> {
    let mut start = 0;
    let mut out: Vec<&[Lexeme]> = Vec::with_capacity(at.len() + 1);
    for &i in at {
        out.push(&all[start..i]);
        start = i + 1;
    }
    out.push(&all[start..]);
    out
}

/// What stands between the first and the last token where these belong together.
pub(super) fn inside(all: &[Lexeme]) -> Option<&[Lexeme]> {
    let [first, inner @ .., last] = all else { return None };
    if step(&first.token) != 1 || step(&last.token) != -1 {
        return None;
    }
    let mut depth = 0;
    for l in inner {
        depth += step(&l.token);
        if depth < 0 {
            return None;
        }
    }
    (depth == 0).then_some(inner)
}

pub(super) fn is_words(all: &[Lexeme], wanted: &[&str]) -> bool {
    let spelled: Vec<String> = all.iter().map(Lexeme::spelling).collect();
    wanted.contains(&spelled.join(" ").as_str())
}

/// How many tokens a remark in brackets at the end takes: words only.
fn remark(all: &[Lexeme]) -> usize {
    let Some(at) = all.iter().rposition(|l| matches!(l.token, Token::Open('('))).filter(|at| *at > 0) else { return 0 };
    let word = |l: &Lexeme| matches!(&l.token, Token::Word(w) if w.len() > 2);
    let plain = |l: &Lexeme| matches!(l.token, Token::Word(_) | Token::Letter(_) | Token::Dot);
    match inside(&all[at..]) {
        Some(inner) if inner.iter().any(word) && inner.iter().all(plain) => all.len() - at,
        _ => 0,
    }
}

/// What does not count around an answer.
pub(super) fn strip(mut all: &[Lexeme]) -> &[Lexeme] {
    loop {
        let before = all.len();
        while let [rest @ .., Lexeme { token: Token::Dot | Token::Comma | Token::Semicolon | Token::Row, .. }] = all {
            all = rest;
        }
        while let [
            Lexeme { token: Token::Op(Op::Equal | Op::Approx | Op::Colon) | Token::Comma | Token::Cell | Token::Row, .. },
            rest @ ..,
        ] = all
        {
            all = rest;
        }
        if let [Lexeme { token: Token::Word(word), .. }, rest @ ..] = all
            && !rest.is_empty()
            && matches!(
                word.to_lowercase().as_str(),
                "about" | "approximately" | "roughly" | "exactly" | "only" | "approx" | "around" | "just"
            )
        {
            all = rest;
        }
        if let (Some(Lexeme { token: Token::GroupOpen, .. }), Some(inner)) = (all.first(), inside(all))
            && !inner.iter().any(|l| matches!(l.token, Token::Choose))
        {
            all = inner;
        }
        all = &all[..all.len() - remark(all)];
        if all.len() == before {
            return all;
        }
    }
}

//! From words to what must hold.

use super::lex::{Operator, Token, lex};
use super::term::{Measured, Pattern, Place, Term};
use super::{Expression, KEYWORDS, QUANTITIES, QueryError, TEXTS};
use crate::trace::Reading;
use std::ops::Range;

/// Brackets inside each other.
const DEEPEST: usize = 64;

pub(super) fn parse(text: &str) -> Result<Option<Expression>, QueryError> {
    let tokens = lex(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { tokens, at: 0, end: text.len() };
    let all = parser.any(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(Some(all)),
        Some((_, range)) => Err(QueryError { at: range.clone(), problem: "this bracket closes none".into() }),
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    at: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|t| &t.0)
    }

    fn is(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(w)) if w == word)
    }

    /// Where the piece at hand stands, or the end.
    fn here(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.end..self.end, |t| t.1.clone())
    }

    fn error<T>(&self, at: Range<usize>, problem: impl Into<String>) -> Result<T, QueryError> {
        Err(QueryError { at, problem: problem.into() })
    }

    fn any(&mut self, depth: usize) -> Result<Expression, QueryError> {
        let mut all = vec![self.all(depth)?];
        while self.is("or") {
            self.at += 1;
            all.push(self.all(depth)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::Any(all) })
    }

    fn all(&mut self, depth: usize) -> Result<Expression, QueryError> {
        let mut all = vec![self.one(depth)?];
        loop {
            if self.is("and") {
                self.at += 1;
            } else if self.peek().is_none_or(|t| *t == Token::Close) || self.is("or") {
                break;
            }
            all.push(self.one(depth)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::All(all) })
    }

    fn one(&mut self, depth: usize) -> Result<Expression, QueryError> {
        let at = self.here();
        if depth > DEEPEST {
            return self.error(at, format!("more than {DEEPEST} brackets and nots inside each other"));
        }
        let Some(token) = self.peek().cloned() else { return self.error(at, "something must follow here") };
        self.at += 1;
        match token {
            Token::Open => {
                let inside = self.any(depth + 1)?;
                if self.peek() != Some(&Token::Close) {
                    return self.error(at, "this bracket is not closed");
                }
                self.at += 1;
                Ok(inside)
            }
            Token::Close => self.error(at, "something must stand before this bracket"),
            Token::Operator(_) => self.error(at, "a name must stand before this, such as dev, len, reward or answer"),
            Token::Quoted(text) => Ok(Expression::Term(Term::Has(Place::Anywhere, Pattern::text(&text)))),
            Token::Regex(regex) => Ok(Expression::Term(Term::Has(Place::Anywhere, self.regex(&regex, at)?))),
            Token::Word(word) if word == "not" => Ok(Expression::Not(Box::new(self.one(depth + 1)?))),
            Token::Word(word) if matches!(word.as_str(), "and" | "or") => {
                self.error(at, format!("something must stand before \"{word}\"; to look for the word itself, quote it"))
            }
            Token::Word(word) => match self.peek() {
                Some(&Token::Operator(operator)) => {
                    self.at += 1;
                    self.compared(&word, at, operator)
                }
                _ => self.word(&word, at).map(Expression::Term),
            },
        }
    }

    fn regex(&self, regex: &str, at: Range<usize>) -> Result<Pattern, QueryError> {
        Pattern::regex(regex).or_else(|problem| self.error(at, problem))
    }

    /// A word by itself.
    fn word(&self, word: &str, at: Range<usize>) -> Result<Term, QueryError> {
        if let Some(pair) = word.strip_prefix("disagree:") {
            let [a, b] = pair.split(',').collect::<Vec<_>>()[..] else {
                return self.error(at, "name two signals: disagree:A,B");
            };
            return match [a, b].map(|name| name.parse::<Reading>()) {
                [Ok(a), Ok(b)] => Ok(Term::Apart(a, b)),
                [Err(e), _] | [_, Err(e)] => self.error(at, e.to_string()),
            };
        }
        if let Some(name) = word.strip_prefix("by:").filter(|n| !n.is_empty()) {
            return Ok(Term::Has(Place::Source, Pattern::text(name)));
        }
        if let Some(term) = Term::keyword(word) {
            return Ok(term);
        }
        if let Some((kind, _)) = word.split_once(':').filter(|(kind, _)| matches!(*kind, "gold" | "label")) {
            let known: Vec<&str> = KEYWORDS.iter().map(|k| k.0).filter(|k| k.starts_with(kind)).collect();
            return self.error(at, format!("is none of {}", known.join(", ")));
        }
        Ok(Term::Has(Place::Anywhere, Pattern::text(word)))
    }

    /// A name with what it is compared with.
    fn compared(&mut self, name: &str, at: Range<usize>, operator: Operator) -> Result<Expression, QueryError> {
        let there = self.here();
        let value = match self.tokens.get(self.at) {
            Some((token @ (Token::Word(_) | Token::Quoted(_) | Token::Regex(_)), _)) => token.clone(),
            _ => return self.error(there, format!("a value must follow {name}")),
        };
        self.at += 1;
        let text = match &value {
            Token::Word(text) | Token::Quoted(text) | Token::Regex(text) => text.as_str(),
            _ => "",
        };
        let place = Place::named(name);
        let (term, turned) = match (operator, place) {
            (Operator::Has | Operator::HasNot, Some(place)) => {
                let pattern = if matches!(value, Token::Regex(_)) { self.regex(text, there)? } else { Pattern::text(text) };
                (Term::Has(place, pattern), operator == Operator::HasNot)
            }
            (Operator::Has | Operator::HasNot, None) => {
                let known: Vec<&str> = TEXTS.iter().map(|t| t.0).collect();
                return self.error(at, format!("{name} is no text; texts are {}", known.join(", ")));
            }
            (Operator::Equal | Operator::Unequal, Some(Place::Answer)) => (Term::Answer(text.to_owned()), operator == Operator::Unequal),
            (Operator::Equal | Operator::Unequal, Some(place)) => (Term::Is(place, text.to_owned()), operator == Operator::Unequal),
            (_, Some(_)) => return self.error(at, format!("{name} is a text; compare it with ~, = or !=")),
            (_, None) => {
                let Ok(number) = text.parse::<f64>() else {
                    return self.error(there, format!("{name} is compared with a number"));
                };
                (Term::Compare(Measured::named(name).or_else(|problem| self.error(at, problem))?, operator, number), false)
            }
        };
        let term = Expression::Term(term);
        Ok(if turned { Expression::Not(Box::new(term)) } else { term })
    }
}

/// The names that mean something before an operator.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    QUANTITIES.into_iter().chain(TEXTS)
}

#[cfg(test)]
mod tests {
    use super::super::Query;

    #[test]
    fn the_wrong_word_is_told() {
        let wrong = |text: &str| Query::parse(text).map(|_| ()).unwrap_err();
        for (text, at, word) in [
            ("right and", 9..9, "must follow"),
            ("or right", 0..2, "before"),
            ("(right", 0..1, "not closed"),
            ("right)", 5..6, "closes none"),
            ("()", 1..2, "before this bracket"),
            ("<2", 0..1, "a name"),
            ("dev<", 4..4, "value"),
            ("dev<x", 4..5, "number"),
            ("foo~x", 0..3, "texts are problem, text"),
            ("text<3", 0..4, "~, = or !="),
            ("gold:bad", 0..8, "gold:none, gold:right, gold:wrong"),
            ("label:x", 0..7, "label:none"),
            ("disagree:a", 0..10, "two signals"),
            ("step~/(/", 5..8, "regular expression"),
        ] {
            let error = wrong(text);
            assert_eq!(error.at, at, "{text}: {error}");
            assert!(error.problem.contains(word), "{text}: {error}");
        }
        assert!(wrong(&"(".repeat(100)).problem.contains("64"));
        assert!(wrong(&"not ".repeat(100_000)).problem.contains("64"));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        let shape = |text: &str| format!("{:?}", Query::parse(text).unwrap().root.unwrap());
        assert_eq!(shape("right cut or wrong marked"), shape("(right and cut) or (wrong and marked)"));
        assert_ne!(shape("right (cut or wrong) marked"), shape("right cut or wrong marked"));
        assert_eq!(shape("not right cut"), shape("(not right) and cut"));
        assert_eq!(shape("dev <= 2"), shape("dev<=2"));
    }
}

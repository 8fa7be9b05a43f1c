//! The tokens of an answer: LaTeX, plain text and Unicode's characters in one alphabet, without layout.

use super::symbols::{ACCENTS, FONTS, LAYOUT, TEXTS, ascii, character, command, function, lowered, raised};
use super::token::{Dialect, Lexeme, Op, Token};
use super::{measures, words};

/// Answers longer than this are compared as texts.
const BYTES: usize = 4096;
/// The same by tokens.
const TOKENS: usize = 1024;

/// The tokens of an answer; `None` where it is too long.
pub(in crate::answer::math) fn lex(text: &str, dialect: Dialect) -> Option<Vec<Lexeme>> {
    if text.len() > BYTES {
        return None;
    }
    let spelled = if text.is_ascii() { None } else { Some(spell(text)) };
    let mut lexer =
        Lexer { rest: spelled.as_deref().unwrap_or(text), out: Vec::new(), groups: Vec::new(), depth: 0, spaced: false, dialect };
    while !lexer.rest.is_empty() {
        lexer.step();
        if lexer.out.len() > TOKENS {
            return None;
        }
    }
    Some(words::merge(lexer.out, dialect))
}

/// The text with the characters of mathematics written in LaTeX.
fn spell(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let (mark, small): (char, fn(char) -> Option<char>) = if lowered(c).is_some() { ('_', lowered) } else { ('^', raised) };
        if let Some(first) = small(c) {
            out.extend([mark, '{', first]);
            while let Some(next) = chars.peek().copied().and_then(small) {
                out.push(next);
                chars.next();
            }
            out.push('}');
        } else if let Some(known) = character(c) {
            out.push_str(known);
        } else {
            out.push(ascii(c).unwrap_or(c));
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq)]
enum Group {
    /// A group that counts.
    Kept,
    /// The braces around words.
    Words,
    /// The braces around words that are an index or a power.
    KeptWords,
}

/// Cuts a text into tokens.
pub(super) struct Lexer<'a> {
    pub(super) rest: &'a str,
    out: Vec<Lexeme>,
    groups: Vec<Group>,
    /// Brackets that are open.
    pub(super) depth: usize,
    spaced: bool,
    pub(super) dialect: Dialect,
}

impl<'a> Lexer<'a> {
    fn in_text(&self) -> bool {
        matches!(self.groups.last(), Some(Group::Words | Group::KeptWords))
    }

    pub(super) fn push(&mut self, token: Token) {
        let text = self.in_text();
        self.push_as(token, text);
    }

    fn push_as(&mut self, token: Token, text: bool) {
        match token {
            Token::Open(_) => self.depth += 1,
            Token::Close(_) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.out.push(Lexeme { token, spaced: std::mem::take(&mut self.spaced), text });
    }

    fn last(&self) -> Option<&Token> {
        self.out.last().map(|l| &l.token)
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn step(&mut self) {
        let Some(c) = self.rest.chars().next() else { return };
        if c.is_ascii_digit() || (c == '.' && self.rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            return self.number();
        }
        if c.is_alphabetic() {
            return self.letters();
        }
        if c == '\\' {
            return self.command();
        }
        let two = self.rest.get(..2).unwrap_or_default();
        let pair = match two {
            "<=" => Some(Op::LessEqual),
            ">=" => Some(Op::GreaterEqual),
            "!=" => Some(Op::NotEqual),
            "==" => Some(Op::Equal),
            "~=" => Some(Op::Approx),
            _ => None,
        };
        if let Some(op) = pair {
            self.rest = &self.rest[2..];
            return self.push(Token::Op(op));
        }
        if two == "**" {
            self.rest = &self.rest[2..];
            return self.push(Token::Caret);
        }
        // `{,}` is a comma without room behind it.
        if c == '{' && self.rest[1..].chars().nth(1) == Some('}') && self.rest[1..].starts_with([',', '.', ':', ';']) {
            let inner = self.rest[1..].chars().next();
            self.rest = &self.rest[3..];
            return self.push(match inner {
                Some(',') => Token::Comma,
                Some(';') => Token::Semicolon,
                Some(':') => Token::Op(Op::Colon),
                _ => Token::Dot,
            });
        }
        self.rest = &self.rest[c.len_utf8()..];
        let token = match c {
            c if c.is_whitespace() || c == '~' => {
                self.spaced = true;
                return;
            }
            '$' | '#' | '"' | '`' | '“' | '”' | '\u{0}' => return,
            '{' => {
                let kept = if self.in_text() { Group::KeptWords } else { Group::Kept };
                self.groups.push(kept);
                Token::GroupOpen
            }
            '}' => match self.groups.pop() {
                Some(Group::Words) => {
                    self.spaced = true;
                    return;
                }
                _ => Token::GroupClose,
            },
            '(' | '[' => Token::Open(c),
            ')' | ']' => Token::Close(c),
            '+' if self.rest.starts_with("/-") => {
                self.rest = &self.rest[2..];
                Token::Op(Op::PlusMinus)
            }
            '+' => Token::Op(Op::Plus),
            '-' => Token::Op(Op::Minus),
            '*' => Token::Op(Op::Times),
            '/' => Token::Op(Op::Over),
            '=' => Token::Op(Op::Equal),
            '<' => Token::Op(Op::Less),
            '>' => Token::Op(Op::Greater),
            ':' => Token::Op(Op::Colon),
            '|' => Token::Bar,
            '^' => Token::Caret,
            '_' => Token::Under,
            '!' => Token::Bang,
            '\'' => Token::Prime,
            '%' => Token::Percent,
            ',' => Token::Comma,
            ';' => Token::Semicolon,
            '&' if self.in_text() => Token::And,
            '&' => Token::Cell,
            '.' => Token::Dot,
            '€' | '£' | '¥' | '₹' | '₽' => Token::Currency(c),
            other => Token::Other(other),
        };
        self.push(token);
    }

    fn command(&mut self) {
        let body = &self.rest[1..];
        let end = body.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(body.len());
        let end = if end == 0 { body.chars().next().map_or(0, char::len_utf8) } else { end };
        let name = &body[..end];
        self.rest = &body[end..];
        match name {
            "" | "," | ":" | ";" | ">" | " " | "\n" | "/" => self.spaced = true,
            "!" | "(" | ")" | "[" | "]" | "#" | "-" => {}
            "\\" | "newline" | "cr" => {
                // `\\[4pt]`
                if self.rest.starts_with('[')
                    && let Some((_, rest)) = self.rest.split_once(']')
                {
                    self.rest = rest;
                }
                self.push(Token::Row);
            }
            "&" => self.push(Token::And),
            "|" => self.push(Token::Bar),
            "_" => self.push(Token::Under),
            "left" | "right" if self.rest.starts_with('.') => self.rest = &self.rest[1..],
            "left" if self.eat("<") => self.push(Token::Open('<')),
            "right" if self.eat(">") => self.push(Token::Close('>')),
            "quad" | "qquad" => self.spaced = true,
            "color" | "hspace" | "vspace" | "phantom" | "hphantom" | "label" | "tag" | "textcolor" | "mspace" | "hskip" => {
                self.argument();
                self.spaced = true;
            }
            "not" => {
                let next = self.rest.trim_start();
                let (op, len) = if next.starts_with('=') { (Op::NotEqual, 1) } else { (Op::Approx, 0) };
                self.rest = &next[len..];
                self.push(if len == 1 { Token::Op(op) } else { Token::Opaque("not".into()) });
            }
            "begin" | "end" => {
                let environment = self.argument().unwrap_or_default().trim_end_matches('*').to_owned();
                if name == "begin" && matches!(environment.as_str(), "array" | "tabular") {
                    self.argument();
                }
                self.push(if name == "begin" { Token::Begin(environment) } else { Token::End(environment) });
            }
            "mathbb" | "Bbb" => {
                let set = match self.argument() {
                    Some(inner) => inner.trim().chars().next(),
                    None => {
                        let mut rest = self.rest.trim_start().chars();
                        let set = rest.next();
                        self.rest = rest.as_str();
                        set
                    }
                };
                let known = set.filter(|c| "RZQNC".contains(*c));
                self.push(known.map_or_else(|| Token::Opaque("mathbb".into()), Token::Numbers));
            }
            "R" | "Z" | "Q" | "N" | "C" | "reals" => {
                let set = name.chars().next().map_or('R', |c| c.to_ascii_uppercase());
                self.push(Token::Numbers(set));
            }
            "to" | "rightarrow" | "implies" | "Rightarrow" | "iff" => self.push(Token::Opaque(name.into())),
            _ if LAYOUT.contains(&name) || FONTS.contains(&name) => {}
            _ if TEXTS.contains(&name) => {
                let inner = self.rest.trim_start();
                if let Some(inner) = inner.strip_prefix('{') {
                    self.rest = inner;
                    let kept = matches!(self.last(), Some(Token::Caret | Token::Under));
                    if kept {
                        self.push(Token::GroupOpen);
                    }
                    self.groups.push(if kept { Group::KeptWords } else { Group::Words });
                }
            }
            _ if ACCENTS.contains(&name) => self.push(Token::Accent(name.into())),
            _ => self.push(command(name).unwrap_or_else(|| Token::Opaque(name.into()))),
        }
    }

    /// What stands in the braces that come next; they are then behind.
    fn argument(&mut self) -> Option<&'a str> {
        let (inner, rest) = self.rest.trim_start().strip_prefix('{')?.split_once('}')?;
        self.rest = rest;
        Some(inner)
    }

    fn letters(&mut self) {
        let end = self.rest.find(|c: char| !c.is_alphabetic()).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        let lower = run.to_lowercase();
        let text = self.in_text();
        let after = rest.trim_start();
        if matches!(lower.as_str(), "a" | "p")
            && let Some(m) = rest.strip_prefix(['.', ' ']).map(str::trim_start).filter(|m| m.starts_with(['m', 'M']))
            && !m[1..].starts_with(|c: char| c.is_alphanumeric())
            && rest.starts_with('.')
        {
            self.rest = m[1..].strip_prefix('.').unwrap_or(&m[1..]);
            return self.push_as(Token::Word(format!("{lower}m")), true);
        }
        self.rest = rest;
        let number = matches!(self.last(), Some(Token::Number(..)));
        let behind = number || matches!(self.last(), Some(Token::Close(_) | Token::GroupClose));
        match run {
            "is" | "are" | "equals" => return self.push(Token::Op(Op::Equal)),
            "and" | "AND" => return self.push(Token::And),
            "or" | "OR" => return self.push(Token::Or),
            "x" | "X" if number && (after.starts_with("10^") || after.starts_with("10{")) => return self.push(Token::Op(Op::Times)),
            "U" if behind && after.starts_with(['(', '[', '{', '\\']) => return self.push(Token::Op(Op::Union)),
            "Rs" => {
                self.eat(".");
                return self.push(Token::Currency('₹'));
            }
            "pi" => return self.push(Token::Pi),
            "infty" | "infinity" | "oo" | "inf" => return self.push(Token::Infinity),
            "sqrt" => return self.push(Token::Sqrt),
            _ => {}
        }
        if let Some(call) = function(run) {
            return self.push(Token::Function(call));
        }
        if let Some(call) = run.strip_suffix(['x', 'y', 'z']).filter(|r| r.len() > 1).and_then(function) {
            self.push(Token::Function(call));
            return self.push(Token::Letter(run[run.len() - 1..].into()));
        }
        if run.len() == 1 {
            let unit = text && number && measures::is_letter(run);
            return self.push_as(if unit { Token::Word(run.into()) } else { Token::Letter(run.into()) }, text);
        }
        if words::is_number(&lower) || is_word(run, &lower, text, number && self.spaced, behind) {
            return self.push_as(Token::Word(run.into()), true);
        }
        for c in run.chars() {
            self.push(Token::Letter(c.into()));
        }
    }
}

/// Whether a run of letters is a word rather than a product of variables.
fn is_word(run: &str, lower: &str, text: bool, counted: bool, behind: bool) -> bool {
    if matches!(lower, "am" | "pm" | "th" | "st" | "nd" | "rd") {
        return text || behind;
    }
    if matches!(lower, "usd" | "eur" | "gbp") {
        return true;
    }
    let capitals = run.bytes().all(|b| b.is_ascii_uppercase());
    if !run.is_ascii() || measures::is_known(lower) && (text || behind || run.len() > 3) {
        return true;
    }
    if text {
        return !(capitals && run.len() < 5);
    }
    let vowel = |s: &str| s.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    let plain =
        matches!(lower, "no" | "yes" | "odd" | "even" | "all" | "none" | "the" | "is" | "of" | "for" | "not" | "mod" | "to" | "per");
    let name = run.len() > 2 && run.starts_with(|c: char| c.is_ascii_uppercase()) && run[1..].bytes().all(|b| b.is_ascii_lowercase());
    let short = counted && run.len() == 3 && vowel(&lower[1..2]);
    plain || name || short || (run.len() > 3 && vowel(lower) && !capitals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(text: &str) -> String {
        let all = lex(text, Dialect::default()).unwrap();
        all.iter().map(Lexeme::spelling).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn numbers_of_every_dialect() {
        for (text, exact) in [
            ("2{,}500", (2500, 1)),
            ("2\\,500", (2500, 1)),
            ("2,\\!500", (2500, 1)),
            ("2 500", (2500, 1)),
            ("7,654,321.5", (15_308_643, 2)),
            ("7.654.321", (7_654_321, 1)),
            ("7.654,5", (15309, 2)),
            ("2'500", (2500, 1)),
            ("3{,}25", (13, 4)),
            (".25", (1, 4)),
            ("0.2\\overline{3}", (7, 30)),
            ("0.2\\overline 3", (7, 30)),
            ("0.(27)", (3, 11)),
            ("0.\\overline{27}", (3, 11)),
            ("0.1666...", (1, 6)),
            ("2.5e-3", (1, 400)),
            ("４２", (42, 1)),
            ("three hundred and five", (305, 1)),
            ("7 million", (7_000_000, 1)),
            ("twenty-four", (24, 1)),
            ("10 and a half", (21, 2)),
            ("half a dozen", (6, 1)),
            ("two thirds", (2, 3)),
        ] {
            let all = lex(text, Dialect::default()).unwrap();
            let [Lexeme { token: Token::Number(n, _), .. }] = all.as_slice() else { panic!("{text}: {}", spelled(text)) };
            assert_eq!(n.exact.map(|r| (r.0, r.1)), Some(exact), "{text}");
        }
        for (text, tokens) in
            [("2,50", "2 Comma 50"), ("(2,500)", "( 2 Comma 500 )"), ("(2,050)", "( 2050 )"), ("2 5/7", "2 5 Over 7"), ("2.", "2 Dot")]
        {
            assert_eq!(spelled(text), tokens, "{text}");
        }
    }

    #[test]
    fn words_and_letters_are_told_apart() {
        for (text, tokens) in [
            ("18 cats", "18 cats"),
            ("18cm", "18 cm"),
            ("ab+AB", "a b Plus A B"),
            ("5\\text{ m}", "5 m"),
            ("\\text{Evelyn}", "evelyn"),
            ("\\text{(C)}", "( C )"),
            ("6:15\\text{ p.m.}", "6 Colon 15 pm"),
            ("3x10^5", "3 Times 10 Caret 5"),
            ("x²", "x Caret GroupOpen 2 GroupClose"),
            ("\\sin2x", "Function(Sin) 2 x"),
        ] {
            assert_eq!(spelled(text), tokens, "{text}");
        }
    }

    #[test]
    fn what_is_too_long_is_not_read() {
        assert!(lex(&"1".repeat(BYTES + 1), Dialect::default()).is_none() && lex(&"(".repeat(TOKENS + 2), Dialect::default()).is_none());
    }
}

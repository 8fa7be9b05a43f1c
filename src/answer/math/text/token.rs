//! The alphabet of answers.

use super::super::formula::tree::{Call, Number};

/// An operator or relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::answer::math) enum Op {
    Plus,
    Minus,
    Times,
    Over,
    PlusMinus,
    MinusPlus,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Approx,
    In,
    Union,
    Intersection,
    Without,
    Colon,
}

/// A token.
#[derive(Clone, Debug)]
pub(in crate::answer::math) enum Token {
    /// A number and how it is written.
    Number(Number, String),
    Letter(String),
    Word(String),
    Function(Call),
    Pi,
    Infinity,
    Empty,
    /// One of the sets of numbers.
    Numbers(char),
    Op(Op),
    /// A bracket that is seen.
    Open(char),
    Close(char),
    /// A brace of LaTeX, which is not seen.
    GroupOpen,
    GroupClose,
    Bar,
    Frac,
    Binom,
    Choose,
    Sqrt,
    Caret,
    Under,
    Bang,
    Prime,
    Degree,
    Percent,
    Currency(char),
    Comma,
    Semicolon,
    And,
    Or,
    Dots,
    Cell,
    Row,
    Begin(String),
    End(String),
    /// Something over a name.
    Accent(String),
    /// A sign before the name of a figure.
    Mark(String),
    /// An operator that is not evaluated.
    Opaque(String),
    Dot,
    Other(char),
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(in crate::answer::math) struct Lexeme {
    pub token: Token,
    /// Whether there is room before it.
    pub spaced: bool,
    /// Whether it stands in `\text{…}` or its kin.
    pub text: bool,
}

impl Lexeme {
    /// The same for tokens that are written alike.
    pub fn spelling(&self) -> String {
        match &self.token {
            Token::Number(_, raw) => raw.clone(),
            Token::Letter(name) => name.clone(),
            Token::Word(word) => word.to_lowercase(),
            Token::Begin(name) | Token::End(name) | Token::Accent(name) | Token::Mark(name) | Token::Opaque(name) => format!("\\{name}"),
            Token::Op(op) => format!("{op:?}"),
            Token::Open(c) | Token::Close(c) | Token::Other(c) => c.to_string(),
            other => format!("{other:?}"),
        }
    }
}

/// How a text that can be read in two ways is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::answer::math) struct Dialect {
    /// `1,234` is a list of two numbers.
    pub commas_part: bool,
    /// `2 and 1/2` is one number.
    pub and_adds: bool,
}

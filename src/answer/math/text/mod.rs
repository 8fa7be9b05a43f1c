//! From the text of an answer to its tokens.

mod digits;
pub(super) mod lex;
pub(super) mod measures;
pub(super) mod symbols;
pub(super) mod token;
pub(super) mod words;

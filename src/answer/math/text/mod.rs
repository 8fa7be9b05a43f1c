//! From the text of an answer to its tokens.

mod digits;
pub(super) mod lex;
pub(super) mod symbols;
pub(super) mod words;

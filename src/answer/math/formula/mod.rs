//! Formulas: what they are made of, and what their values are.

mod complex;
mod field;
pub(super) mod residue;
pub(super) mod tree;
pub(super) mod value;

//! Formulas: what they are made of, how tokens are read as one, what their values are.

mod complex;
pub(super) mod read;
pub(super) mod residue;
pub(super) mod tree;
pub(super) mod value;

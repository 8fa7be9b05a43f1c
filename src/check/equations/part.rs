//! What a side of an equation holds: arithmetic in postfix order, with what the text says around it.

use super::units::Units;
use std::ops::Range;

/// One instruction of arithmetic in postfix order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    /// Put down a number.
    Number(u32),
    /// Times a power of ten, a dozen: "3 million".
    Scale(f64),
    /// A hundredth.
    Percent,
    /// The product of all whole numbers up to it.
    Factorial,
    /// The other sign.
    Negate,
    /// The root of a degree.
    Root(u8),
    /// The sum of two.
    Add,
    /// The difference of two.
    Subtract,
    /// The product of two.
    Multiply,
    /// "1/3 of 30": a product; or the words behind `= 1/3` tell what it is a third of.
    Of,
    /// The quotient of two.
    Divide,
    /// The first to the power of the second.
    Power,
    /// A whole number and a fraction side by side: 2 ½, or their product.
    Mixed,
    /// Something in brackets behind a number: a factor, or a remark.
    Remark,
}

/// Arithmetic on one side of an equation.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// Its instructions in the arena of the reader.
    pub(super) ops: Range<usize>,
    /// First byte.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
    /// Words stand in front of it on its side.
    pub(super) labelled: bool,
    /// It may mean something else, so that it can agree but not disagree.
    pub(super) unsure: bool,
    /// The units that are commonly converted in it.
    pub(super) units: Units,
    /// It is a share "of" something that words name.
    pub(super) share: bool,
    /// The first word that names a unit in it, as bytes of the text.
    pub(super) word: Option<(usize, usize)>,
}

/// What stands between two signs of equality.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    /// The arithmetic that it begins with.
    pub(super) head: Option<Part>,
    /// The arithmetic that it ends with; where it is arithmetic as a whole, the same as its head.
    pub(super) tail: Option<Part>,
}

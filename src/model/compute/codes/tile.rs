//! What kernels read of activations, and where they write: a few rows at a time.

use super::layout::{Kind, LANES};

/// Rows computed in one pass over the weights.
pub(super) const ROWS: usize = 8;
/// Sums of a block of 256.
pub(super) const LARGE_SUMS: usize = 20;

/// Some rows of rounded activations.
pub(super) struct Tile<'a> {
    /// How many it has, at most [`ROWS`].
    pub(super) rows: usize,
    /// `block / 4` of every row of every block.
    pub(super) quads: &'a [i32],
    /// One of every row of every block.
    pub(super) scales: &'a [[f32; 2]],
    /// 1 or [`LARGE_SUMS`] of every row of every block.
    pub(super) sums: &'a [i32],
}

/// The products of 16 rows of a matrix with each row of a tile.
pub(super) type Products = [[f32; LANES]; ROWS];

impl Tile<'_> {
    /// Whether it has what kernels read of it: as many blocks of every row as there are records.
    pub(super) fn fits(&self, kind: Kind, records: &[u8]) -> bool {
        let blocks = self.rows * (records.len() / kind.record());
        (1..=ROWS).contains(&self.rows)
            && self.quads.len() == blocks * kind.block() / 4
            && self.scales.len() == blocks
            && self.sums.len() == blocks * sums_of(kind.block())
    }
}

/// Sums kept of a block of such a size.
pub(super) const fn sums_of(block: usize) -> usize {
    if block == 256 { LARGE_SUMS } else { 1 }
}

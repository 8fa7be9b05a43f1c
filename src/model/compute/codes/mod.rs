//! Linear layers with quantised weights as GGUF files have them, a few or many rows of activations at a time: one pass over the weights in memory for all rows.
//!
//! Every weight is c·s + m with a whole number c of 4 to 8 bits, and blocks share s and m. Activations are rounded to 8 bits, a scale for every 32 of them, or
//! for every 256 where the blocks of the format have as many, as llama.cpp does. The same bytes are read by three kernels: AVX-512 with VNNI, AVX2, plain Rust.
#![allow(unsafe_code)]

mod activations;
mod avx2;
mod avx512;
mod buffer;
mod layout;
mod portable;
#[cfg(test)]
mod tests;
mod tile;

use super::{kernels::simd, threads};
use activations::Activations;
use buffer::Buffer;
pub use layout::Kind;
use layout::LANES;
use rayon::prelude::*;
use tile::{Products, ROWS, Tile};

/// Bytes of weights that a thread takes at a time.
const SHARE: usize = 1 << 17;
/// Rows that are multiplied with the same share of weights before the next share is taken.
const ROWS_AT_ONCE: usize = 64;
/// Weights, and multiply–adds, from which all threads take part: about 20 µs of work for one.
const PARALLEL: (usize, usize) = (1 << 19, 1 << 22);

/// What computes the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    Avx512,
    Avx2,
    Portable,
}

impl Kernel {
    /// The fastest that this processor has.
    fn best() -> Self {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni") {
            Self::Avx512
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
            Self::Avx2
        } else {
            Self::Portable
        }
    }

    /// The products of the 16 rows that `records` hold with a tile.
    fn group(self, kind: Kind, records: &[u8], tile: &Tile, out: &mut Products) {
        assert!(tile.fits(kind, records), "a tile has as many blocks as the matrix");
        match self {
            // SAFETY: `best` gives only what the processor has, and the tile fits.
            Self::Avx512 => unsafe { avx512::group(kind, records, tile, out) },
            Self::Avx2 => unsafe { avx2::group(kind, records, tile, out) },
            Self::Portable => portable::group(kind, records, tile, out),
        }
    }
}

/// A quantised matrix `[out, in]`, laid out for [`Codes::forward`].
#[derive(Debug)]
pub struct Codes {
    kind: Kind,
    out: usize,
    input: usize,
    kernel: Kernel,
    /// For 16 rows, for every block: a record.
    records: Buffer,
}

impl Codes {
    /// The matrix whose rows `read` gives: so many bytes as the slice has from the row of that index on, as the file has them. Several threads ask at once.
    ///
    /// # Panics
    /// If a row is no whole number of blocks: an error in this program.
    pub fn new<E: Send>(kind: Kind, out: usize, input: usize, read: impl Fn(usize, &mut [u8]) -> Result<(), E> + Sync) -> Result<Self, E> {
        assert_eq!(input % kind.block(), 0, "whole blocks");
        let (blocks, record) = (input / kind.block(), kind.record());
        let (row, group) = (blocks * kind.bytes(), blocks * record);
        let mut records = Buffer::zeroed(out.div_ceil(LANES) * group);
        let at_once = (SHARE / group.max(1)).max(1);
        let take = |buffer: &mut Vec<u8>, (share, records): (usize, &mut [u8])| {
            let first = share * at_once * LANES;
            buffer.resize((out - first).min(at_once * LANES) * row, 0);
            read(first, buffer)?;
            for (i, row) in buffer.chunks_exact(row).enumerate() {
                let records = &mut records[i / LANES * group..(i / LANES + 1) * group];
                for (block, record) in row.chunks_exact(kind.bytes()).zip(records.chunks_exact_mut(record)) {
                    kind.put(block, record, i % LANES);
                }
            }
            Ok(())
        };
        let shares = records.par_chunks_mut((at_once * group).max(1)).enumerate();
        shares.try_for_each_init(Vec::new, take)?;
        Ok(Self { kind, out, input, kernel: Kernel::best(), records })
    }

    /// Outputs and inputs.
    pub fn dims(&self) -> (usize, usize) {
        (self.out, self.input)
    }

    /// Bytes of a lane group's records.
    fn group_bytes(&self) -> usize {
        self.input / self.kind.block() * self.kind.record()
    }

    /// x·wᵀ: `x` `[n, in]` row-major gives `[n, out]`. A row with a NaN or an infinity gives NaN.
    ///
    /// # Panics
    /// If `x` has no whole number of rows: an error in this program.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        assert_eq!(x.len() % self.input, 0, "whole rows");
        let x = Activations::new(self.kernel, x, self.input, self.kind.block());
        let rows = x.rows();
        let mut y = Vec::with_capacity(rows * self.out);
        let (groups, bytes) = (self.out.div_ceil(LANES), self.group_bytes());
        let each = (SHARE / bytes).max(1);
        let to = Columns { y: y.as_mut_ptr(), width: self.out };
        let run = |share: usize| {
            for first in (0..rows).step_by(ROWS_AT_ONCE) {
                for group in share * each..((share + 1) * each).min(groups) {
                    let records = &self.records[group * bytes..(group + 1) * bytes];
                    for first in (first..(first + ROWS_AT_ONCE).min(rows)).step_by(ROWS) {
                        let tile = x.tile(first);
                        let mut products = Products::default();
                        self.kernel.group(self.kind, records, &tile, &mut products);
                        let lanes = (self.out - group * LANES).min(LANES);
                        for (r, products) in products.iter().enumerate().take(tile.rows) {
                            // SAFETY: y has row first + r and the columns of this group, which no other writes.
                            unsafe { to.put(first + r, group * LANES, &products[..lanes]) };
                        }
                    }
                }
            }
        };
        let (weights, shares) = (self.out * self.input, groups.div_ceil(each));
        if weights > PARALLEL.0 || rows * weights > PARALLEL.1 {
            threads::share(shares, run)
        } else {
            (0..shares).for_each(run)
        }
        // SAFETY: every group wrote its columns of every row, and the groups have all columns.
        unsafe { y.set_len(rows * self.out) };
        y
    }

    /// Hands `f` the rows of the matrix in f32, about `size` numbers at a time: the index of the first, and the rows `[r, in]`.
    pub fn stripes(&self, size: usize, f: &mut dyn FnMut(usize, &[f32])) {
        let at_once = (size / self.input).max(1);
        let mut rows = vec![0.0; at_once.min(self.out) * self.input];
        for first in (0..self.out).step_by(at_once) {
            let rows = &mut rows[..at_once.min(self.out - first) * self.input];
            rows.chunks_exact_mut(self.input).enumerate().for_each(|(i, row)| self.row(first + i, row));
            f(first, rows);
        }
    }

    /// One row in f32.
    ///
    /// # Panics
    /// If there is no such row, or `into` is no row: an error in this program.
    pub fn row(&self, index: usize, into: &mut [f32]) {
        assert!(index < self.out && into.len() == self.input, "a row of the matrix");
        let bytes = self.group_bytes();
        let records = &self.records[index / LANES * bytes..][..bytes];
        simd(
            #[inline(always)]
            || {
                for (record, weights) in records.chunks_exact(self.kind.record()).zip(into.chunks_exact_mut(self.kind.block())) {
                    self.kind.weights(record, index % LANES, weights);
                }
            },
        );
    }
}

/// Where threads write: columns of a row-major matrix.
struct Columns {
    y: *mut f32,
    width: usize,
}

// SAFETY: threads write disjoint columns.
unsafe impl Sync for Columns {}

impl Columns {
    /// Writes numbers of a row, from a column on.
    ///
    /// # Safety
    /// The matrix is still there and has them, and no other thread writes or reads them.
    unsafe fn put(&self, row: usize, column: usize, numbers: &[f32]) {
        unsafe { std::ptr::copy_nonoverlapping(numbers.as_ptr(), self.y.add(row * self.width + column), numbers.len()) };
    }
}

//! Rows of activations rounded to 8 bits, laid out for products with [`Codes`](super::Codes).

use super::super::{kernels::simd, threads};
use super::tile::{LARGE_SUMS, ROWS, Tile, sums_of};
use super::{Kernel, avx512};

/// Numbers from which all threads take part in the rounding.
const PARALLEL: usize = 1 << 16;

/// Rows rounded to whole numbers of −127..=127, a scale for every block of 32 or 256. Up to [`ROWS`] rows make a tile, in which block follows block and each
/// block has what belongs to it row by row.
pub(super) struct Activations {
    block: usize,
    input: usize,
    rows: usize,
    /// Four rounded numbers each.
    quads: Vec<i32>,
    /// A block's scale, and the sum of what its rounded numbers stand for.
    scales: Vec<[f32; 2]>,
    /// The sum of a block of 32. Of a block of 256: −32 times the sum of every 16, which is what Q6_K takes from products; then the sums of every 32, two in
    /// 16 bits each.
    sums: Vec<i32>,
}

/// The numbers of a tile, and where their quads, scales and sums go.
type Part<'a> = ((&'a [f32], &'a mut [i32]), (&'a mut [[f32; 2]], &'a mut [i32]));

impl Activations {
    /// Rounds rows of `input` numbers by blocks of 32 or 256. A block with a NaN or an infinity gets the scale NaN.
    pub(super) fn new(kernel: Kernel, x: &[f32], input: usize, block: usize) -> Self {
        let blocks = x.len() / block;
        let mut out = Self {
            block,
            input,
            rows: x.len() / input,
            quads: vec![0; x.len() / 4],
            scales: vec![[0.0; 2]; blocks],
            sums: vec![0; blocks * sums_of(block)],
        };
        let per_tile = ROWS * input / block;
        let parts: Vec<_> = x
            .chunks(ROWS * input)
            .zip(out.quads.chunks_mut(ROWS * input / 4))
            .zip(out.scales.chunks_mut(per_tile).zip(out.sums.chunks_mut(per_tile * sums_of(block))))
            .collect();
        let run = |((x, quads), (scales, sums)): Part<'_>| {
            simd(
                #[inline(always)]
                || match block {
                    32 => rounds::<32, 8>(kernel, x, input, quads, scales, sums),
                    _ => rounds::<256, 64>(kernel, x, input, quads, scales, sums),
                },
            );
        };
        threads::each(parts, x.len() > PARALLEL, run);
        out
    }

    /// Rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The tile that begins at `first`, a multiple of [`ROWS`].
    pub(super) fn tile(&self, first: usize) -> Tile<'_> {
        let rows = (self.rows - first).min(ROWS);
        let blocks = self.input / self.block;
        let part = |each: usize| first * each..(first + rows) * each;
        Tile {
            rows,
            quads: &self.quads[part(self.input / 4)],
            scales: &self.scales[part(blocks)],
            sums: &self.sums[part(blocks * sums_of(self.block))],
        }
    }
}

/// Rounds a block, gives the largest absolute value in it, and puts the sum of every 16 rounded numbers into `parts`.
#[inline(always)]
fn round<const B: usize, const Q: usize>(values: &[f32; B], quads: &mut [i32; Q], parts: &mut [i32; 16]) -> f32 {
    // Bits without the sign are in the order of the absolute values, and NaNs are above them.
    let most = f32::from_bits(values.iter().map(|v| v.to_bits() & 0x7fff_ffff).fold(0, u32::max));
    let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
    for (i, (values, quad)) in values.as_chunks::<4>().0.iter().zip(quads).enumerate() {
        // 1.5·2²³ more leaves the nearest whole number in the low bits.
        let whole = values.map(|v| (v * inverse + 12_582_912.0).to_bits() as i8);
        parts[i / 4] += whole.iter().map(|w| i32::from(*w)).sum::<i32>();
        *quad = i32::from_le_bytes(whole.map(|w| w as u8));
    }
    most
}

/// Rounds a tile by blocks of `B` numbers, `Q` quads.
#[inline(always)]
fn rounds<const B: usize, const Q: usize>(
    kernel: Kernel,
    x: &[f32],
    input: usize,
    quads: &mut [i32],
    scales: &mut [[f32; 2]],
    sums: &mut [i32],
) {
    let rows = x.len() / input;
    for (r, row) in x.chunks_exact(input).enumerate() {
        for (b, values) in row.as_chunks::<B>().0.iter().enumerate() {
            let at = b * rows + r;
            let mut parts = [0; 16];
            let quads = &mut quads.as_chunks_mut::<Q>().0[at];
            let most = match kernel {
                // SAFETY: this kernel is there only where the processor has its instructions.
                Kernel::Avx512 => unsafe { avx512::round(values, quads, &mut parts) },
                Kernel::Avx2 | Kernel::Portable => round(values, quads, &mut parts),
            };
            if !most.is_finite() {
                // Nothing to round: the scale alone says so.
                quads.fill(0);
                parts.fill(0);
            }
            let scale = if most.is_finite() { most / 127.0 } else { f32::NAN };
            scales[at] = [scale, scale * parts.iter().sum::<i32>() as f32];
            if B == 32 {
                sums[at] = parts[0] + parts[1];
            } else {
                let sums = &mut sums.as_chunks_mut::<LARGE_SUMS>().0[at];
                for i in 0..16 {
                    sums[i] = -32 * parts[i];
                }
                for (sum, p) in sums[16..].iter_mut().zip(parts.as_chunks::<4>().0) {
                    *sum = (p[0] + p[1]) & 0xffff | (p[2] + p[3]) << 16;
                }
            }
        }
    }
}

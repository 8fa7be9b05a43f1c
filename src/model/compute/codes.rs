//! Linear layers with 4- or 8-bit weights, a few rows of activations at a time: one pass over the weights in memory for all rows.
//!
//! Every block of 32 weights is d·c + m with whole numbers c, which is what GGUF's Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 hold, without loss.
//! Activations are rounded to 8 bits, a scale for every 32 of them, as llama.cpp does.
#![allow(unsafe_code)]

use super::{kernels::simd, threads};
use crate::model::ModelError;
use candle_core::quantized::{GgmlDType, QTensor};
use half::f16;

/// Weights that share d and m.
const BLOCK: usize = 32;
/// Outputs computed side by side, one a vector lane.
const LANES: usize = 16;
/// Rows of activations computed in one pass over the weights of a lane group.
const ROWS: usize = 8;
/// Lane groups that a thread takes at a time.
const SHARE: usize = 8;
/// Weights, and multiply–adds, from which all threads take part: about 20 µs of work for one.
const PARALLEL: (usize, usize) = (1 << 19, 1 << 22);

/// A matrix `[out, in]` of codes, laid out for [`Codes::forward`].
#[derive(Debug)]
pub struct Codes {
    out: usize,
    input: usize,
    half_bytes: bool,
    /// For 16 outputs, for every block: 8 quads of inputs, each 16 outputs × 4 codes; with half bytes quad q and q + 4 share their bytes.
    codes: Vec<u8>,
    /// For 16 outputs, for every block: d of each output, then m of each.
    scales: Vec<f16>,
}

impl Codes {
    /// Whether this processor has the instructions.
    pub fn available() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni")
    }

    /// The codes of a quantised matrix; `None` for a format that has no such codes, and on a processor without the instructions.
    pub fn new(tensor: &QTensor) -> Result<Option<Self>, ModelError> {
        let (out, input) = tensor.shape().dims2()?;
        let bytes = match tensor.dtype() {
            GgmlDType::Q4_0 => 18,
            GgmlDType::Q4_1 => 20,
            GgmlDType::Q5_0 => 22,
            GgmlDType::Q5_1 => 24,
            GgmlDType::Q8_0 => 34,
            _ => return Ok(None),
        };
        if !Self::available() || input % BLOCK != 0 {
            return Ok(None);
        }
        let half_bytes = matches!(tensor.dtype(), GgmlDType::Q4_0 | GgmlDType::Q4_1);
        let data = tensor.data()?;
        let (blocks, groups) = (input / BLOCK, out.div_ceil(LANES));
        let quads = if half_bytes { 4 } else { 8 };
        let mut codes = vec![0; groups * blocks * quads * 4 * LANES];
        let mut scales = vec![f16::ZERO; groups * blocks * 2 * LANES];
        for (i, block) in data.chunks_exact(bytes).enumerate() {
            let (o, b) = (i / blocks, i % blocks);
            let at = o / LANES * blocks + b;
            let (d, m, c) = unpack(tensor.dtype(), block);
            scales[at * 2 * LANES + o % LANES] = d;
            scales[(at * 2 + 1) * LANES + o % LANES] = m;
            for (j, c) in c.into_iter().enumerate() {
                let (quad, shift) = if half_bytes && j >= BLOCK / 2 { (j / 4 - 4, 4) } else { (j / 4, 0) };
                codes[((at * quads + quad) * LANES + o % LANES) * 4 + j % 4] |= c << shift;
            }
        }
        Ok(Some(Self { out, input, half_bytes, codes, scales }))
    }

    /// Outputs and inputs.
    pub fn dims(&self) -> (usize, usize) {
        (self.out, self.input)
    }

    /// x·wᵀ: `x` `[n, in]` row-major gives `[n, out]`. A row with a NaN or an infinity gives NaN.
    ///
    /// # Panics
    /// If `x` has no whole number of rows: an error in this program.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        assert_eq!(x.len() % self.input, 0, "whole rows");
        let rows = x.len() / self.input;
        let mut y = vec![0.0; rows * self.out];
        let x = Activations::new(x);
        let groups = self.out.div_ceil(LANES);
        let to = Columns { y: y.as_mut_ptr(), width: self.out };
        let run = |share: usize| {
            for group in share * SHARE..((share + 1) * SHARE).min(groups) {
                for first in (0..rows).step_by(ROWS) {
                    self.group(group, &x, first, (rows - first).min(ROWS), &to);
                }
            }
        };
        let (weights, shares) = (self.out * self.input, groups.div_ceil(SHARE));
        if weights > PARALLEL.0 || rows * weights > PARALLEL.1 {
            threads::share(shares, run)
        } else {
            (0..shares).for_each(run)
        }
        y
    }

    /// Hands `f` the rows of the matrix in f32, about `size` numbers at a time: the index of the first, and the rows `[r, in]`.
    pub fn stripes(&self, size: usize, f: &mut dyn FnMut(usize, &[f32])) {
        let groups = self.out.div_ceil(LANES);
        let at_once = (size / (LANES * self.input)).clamp(1, groups.max(1));
        let mut rows = vec![0.0; at_once * LANES * self.input];
        for first in (0..groups).step_by(at_once) {
            let last = (first + at_once).min(groups);
            simd(|| {
                for (group, rows) in (first..last).zip(rows.chunks_exact_mut(LANES * self.input)) {
                    self.dequantize(group, rows);
                }
            });
            let live = self.out.min(last * LANES) - first * LANES;
            f(first * LANES, &rows[..live * self.input]);
        }
    }

    /// The 16 rows of a lane group: d·c + m.
    #[inline(always)]
    fn dequantize(&self, group: usize, rows: &mut [f32]) {
        let blocks = self.input / BLOCK;
        let quads = if self.half_bytes { 4 } else { 8 };
        for block in 0..blocks {
            let at = group * blocks + block;
            let codes = &self.codes[at * quads * 4 * LANES..(at + 1) * quads * 4 * LANES];
            for lane in 0..LANES {
                let (d, m) = (self.scales[at * 2 * LANES + lane].to_f32(), self.scales[(at * 2 + 1) * LANES + lane].to_f32());
                let row = &mut rows[lane * self.input + block * BLOCK..][..BLOCK];
                for (quad, out) in row.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    let from = &codes[(quad % quads * LANES + lane) * 4..][..4];
                    let (shift, mask) = if self.half_bytes { (quad / 4 * 4, 15) } else { (0, 255) };
                    for (out, code) in out.iter_mut().zip(from) {
                        *out = f32::from(code >> shift & mask) * d + m;
                    }
                }
            }
        }
    }

    fn group(&self, group: usize, x: &Activations, first: usize, rows: usize, y: &Columns) {
        let blocks = self.input / BLOCK;
        let code_bytes = blocks * BLOCK * LANES / if self.half_bytes { 2 } else { 1 };
        let of = Group {
            codes: &self.codes[group * code_bytes..(group + 1) * code_bytes],
            scales: &self.scales[group * blocks * 2 * LANES..(group + 1) * blocks * 2 * LANES],
            quads: &x.quads[first * blocks * 8..(first + rows) * blocks * 8],
            factors: &x.factors[first * blocks..(first + rows) * blocks],
            blocks,
        };
        let lanes = (self.out - group * LANES).min(LANES);
        // SAFETY: `new` gives a value only where `available` found the instructions. The destination is rows first..first + rows, columns
        // 16·group.. of y, which has them, and no other group writes these columns.
        unsafe {
            let to = y.y.add(first * y.width + group * LANES);
            macro_rules! rows {
                ($($n:literal)*) => {
                    match (rows, self.half_bytes) {
                        $(($n, false) => of.run::<$n, false>(to, y.width, lanes),
                          ($n, true) => of.run::<$n, true>(to, y.width, lanes),)*
                        _ => {}
                    }
                };
            }
            rows!(1 2 3 4 5 6 7 8);
        }
    }
}

/// d, m and the 32 codes of a block, as ggml lays them out.
fn unpack(dtype: GgmlDType, block: &[u8]) -> (f16, f16, [u8; BLOCK]) {
    let half = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]);
    let d = half(0);
    let minus = |times: f32| f16::from_f32(-times * d.to_f32());
    let (m, high, low) = match dtype {
        GgmlDType::Q4_0 => (minus(8.0), None, &block[2..]),
        GgmlDType::Q4_1 => (half(2), None, &block[4..]),
        GgmlDType::Q5_0 => (minus(16.0), Some(2), &block[6..]),
        GgmlDType::Q5_1 => (half(2), Some(4), &block[8..]),
        _ => return (d, minus(128.0), std::array::from_fn(|i| block[2 + i] ^ 0x80)),
    };
    let high = high.map_or(0, |at| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]));
    let code = |i: usize| {
        let nibble = if i < 16 { low[i] & 15 } else { low[i - 16] >> 4 };
        nibble | ((high >> i & 1) as u8) << 4
    };
    (d, m, std::array::from_fn(code))
}

/// Where a lane group writes: columns of a row-major matrix.
struct Columns {
    y: *mut f32,
    width: usize,
}

// SAFETY: threads write disjoint columns.
unsafe impl Sync for Columns {}

/// Rows rounded to 8 bits.
struct Activations {
    /// Four whole numbers of −127..=127 each.
    quads: Vec<i32>,
    /// A block's scale, and the sum of its rounded values.
    factors: Vec<[f32; 2]>,
}

impl Activations {
    fn new(x: &[f32]) -> Self {
        let mut out = Self { quads: vec![0; x.len() / 4], factors: vec![[0.0; 2]; x.len() / BLOCK] };
        let blocks = x.as_chunks::<BLOCK>().0.iter().zip(out.quads.as_chunks_mut::<8>().0).zip(&mut out.factors);
        simd(|| {
            for ((block, quads), factors) in blocks {
                let mut most = [0.0f32; 16];
                let mut bad = false;
                for (i, v) in block.iter().enumerate() {
                    most[i % 16] = most[i % 16].max(v.abs());
                    bad |= v.is_nan();
                }
                let most = if bad { f32::NAN } else { most.iter().fold(0.0, |a: f32, b| a.max(*b)) };
                let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
                let mut sum = 0;
                for (quad, four) in quads.iter_mut().zip(block.as_chunks::<4>().0) {
                    // Adding 1.5·2²³ leaves the nearest whole number in the low bits.
                    let whole = four.map(|v| (v * inverse + 12_582_912.0).to_bits() as i8);
                    sum += whole.iter().map(|&r| i32::from(r)).sum::<i32>();
                    *quad = i32::from_le_bytes(whole.map(|r| r as u8));
                }
                let scale = most / 127.0;
                *factors = [scale, scale * sum as f32];
            }
        });
        out
    }
}

/// 16 outputs and the rows they are computed for.
struct Group<'a> {
    codes: &'a [u8],
    scales: &'a [f16],
    quads: &'a [i32],
    factors: &'a [[f32; 2]],
    blocks: usize,
}

impl Group<'_> {
    /// y = Σ over blocks of s·d·⟨c, x⟩ + m·s·Σx, with s the activations' scale and x their rounded values.
    ///
    /// # Safety
    /// The processor has the instructions; `y` points at `R` rows, `width` apart, of at least `lanes` ≤ 16 numbers.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn run<const R: usize, const HALF: bool>(&self, y: *mut f32, width: usize, lanes: usize) {
        use std::arch::x86_64::*;
        let vectors = if HALF { 4 } else { 8 };
        assert!(self.codes.len() >= self.blocks * vectors * 64 && self.scales.len() >= self.blocks * 2 * LANES);
        assert!(self.quads.len() >= R * self.blocks * 8 && self.factors.len() >= R * self.blocks);
        let (quads, factors) = (self.quads.as_ptr(), self.factors.as_ptr());
        let nibble = _mm512_set1_epi8(15);
        let mut sum = [_mm512_setzero_ps(); R];
        for b in 0..self.blocks {
            let mut even = [_mm512_setzero_si512(); R];
            let mut odd = [_mm512_setzero_si512(); R];
            // SAFETY: the lengths checked above cover every address.
            unsafe {
                let codes = self.codes.as_ptr().add(b * vectors * 64);
                for k in 0..4 {
                    let (one, two) = if HALF {
                        let both = _mm512_loadu_si512(codes.add(k * 64).cast());
                        (_mm512_and_si512(both, nibble), _mm512_and_si512(_mm512_srli_epi16::<4>(both), nibble))
                    } else {
                        (_mm512_loadu_si512(codes.add(k * 64).cast()), _mm512_loadu_si512(codes.add((k + 4) * 64).cast()))
                    };
                    for r in 0..R {
                        let x = quads.add((r * self.blocks + b) * 8 + k);
                        even[r] = _mm512_dpbusd_epi32(even[r], one, _mm512_set1_epi32(*x));
                        odd[r] = _mm512_dpbusd_epi32(odd[r], two, _mm512_set1_epi32(*x.add(4)));
                    }
                }
                let scales = self.scales.as_ptr().add(b * 2 * LANES);
                let d = _mm512_cvtph_ps(_mm256_loadu_si256(scales.cast()));
                let m = _mm512_cvtph_ps(_mm256_loadu_si256(scales.add(LANES).cast()));
                for r in 0..R {
                    let [s, total] = *factors.add(r * self.blocks + b);
                    let dot = _mm512_cvtepi32_ps(_mm512_add_epi32(even[r], odd[r]));
                    sum[r] = _mm512_fmadd_ps(_mm512_mul_ps(dot, _mm512_set1_ps(s)), d, sum[r]);
                    sum[r] = _mm512_fmadd_ps(_mm512_set1_ps(total), m, sum[r]);
                }
            }
        }
        let live = ((1u32 << lanes) - 1) as u16;
        for (r, sum) in sum.into_iter().enumerate() {
            // SAFETY: the caller gives R rows of `lanes` numbers.
            unsafe { _mm512_mask_storeu_ps(y.add(r * width), live, sum) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut s = seed;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (s >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect()
    }

    /// The formula on numbers that are rounded in the same way, in f64.
    fn expected(w: &[f32], x: &[f32], input: usize) -> Vec<f64> {
        let rounded: Vec<f64> = x
            .chunks(BLOCK)
            .flat_map(|b| {
                let s = b.iter().fold(0.0f32, |m, v| m.max(v.abs())) / 127.0;
                b.iter().map(move |v| if s > 0.0 { f64::from((v / s).round_ties_even() * s) } else { 0.0 })
            })
            .collect();
        let dot = |w: &[f32], x: &[f64]| w.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum();
        rounded.chunks(input).flat_map(|x| w.chunks(input).map(move |w| dot(w, x))).collect()
    }

    #[test]
    fn every_format_and_number_of_rows_matches_the_formula() {
        if !Codes::available() {
            println!("skipped: this processor lacks AVX-512 VNNI");
            return;
        }
        let (out, input) = (40, 96);
        for dtype in [GgmlDType::Q4_0, GgmlDType::Q4_1, GgmlDType::Q5_0, GgmlDType::Q5_1, GgmlDType::Q8_0] {
            let w = Tensor::from_vec(numbers(out * input, 1), (out, input), &Device::Cpu).unwrap();
            let q = QTensor::quantize(&w, dtype).unwrap();
            let codes = Codes::new(&q).unwrap().unwrap();
            assert_eq!(codes.dims(), (out, input));
            let w: Vec<f32> = q.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            for rows in 1..=17 {
                let mut x = numbers(rows * input, 7);
                x[..BLOCK].fill(0.0);
                for (y, e) in codes.forward(&x).into_iter().zip(expected(&w, &x, input)) {
                    assert!((f64::from(y) - e).abs() < 2e-3, "{dtype:?}, {rows} rows: {y} against {e}");
                }
            }
        }
        let f32s = QTensor::quantize(&Tensor::zeros((2, 32), candle_core::DType::F32, &Device::Cpu).unwrap(), GgmlDType::F16).unwrap();
        assert!(Codes::new(&f32s).unwrap().is_none());
    }

    #[test]
    fn a_number_that_is_none_stays_none() {
        let w = Tensor::ones((16, 64), candle_core::DType::F32, &Device::Cpu).unwrap();
        let Some(codes) = Codes::new(&QTensor::quantize(&w, GgmlDType::Q8_0).unwrap()).unwrap() else { return };
        for bad in [f32::NAN, f32::INFINITY] {
            let mut x = vec![1.0; 128];
            x[70] = bad;
            let y = codes.forward(&x);
            assert!(y[..16].iter().all(|v| (v - 64.0).abs() < 0.5) && y[16..].iter().all(|v| v.is_nan()), "{bad}: {y:?}");
        }
    }

    #[test]
    fn large_products_use_all_threads_and_agree() {
        let w = Tensor::from_vec(numbers(600 * 256, 3), (600, 256), &Device::Cpu).unwrap();
        let Some(codes) = Codes::new(&QTensor::quantize(&w, GgmlDType::Q4_1).unwrap()).unwrap() else { return };
        let x = numbers(12 * 256, 5);
        let single: Vec<f32> = x.chunks(256).flat_map(|row| codes.forward(row)).collect();
        assert_eq!(codes.forward(&x), single);
    }
}

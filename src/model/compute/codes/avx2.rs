//! Products with [`Codes`](super::Codes) by AVX2: as with AVX-512, 8 of the 16 rows at a time, bytes multiplied and added up by way of 16 bits.

use super::layout::Kind;
use super::tile::{LARGE_SUMS, Products, Tile};
use std::arch::x86_64::*;

/// The products of 16 rows of the matrix with each row of a tile.
///
/// # Safety
/// The processor has AVX2, FMA and F16C, and the tile has what [`Tile::fits`] says.
pub(super) unsafe fn group(kind: Kind, records: &[u8], tile: &Tile, out: &mut Products) {
    macro_rules! kinds {
        ($($kind:ident $n:ident)*) => {
            match kind {
                $(Kind::$kind => rows!($n),)*
            }
        };
    }
    macro_rules! rows {
        ($n:ident) => {{
            let mut r = 0;
            while r < tile.rows {
                // SAFETY: of the caller; rows r.. of the tile are at least so many.
                r += match tile.rows - r {
                    1 => unsafe { run::<1, $n>(records, tile, r, out) },
                    2 => unsafe { run::<2, $n>(records, tile, r, out) },
                    3 => unsafe { run::<3, $n>(records, tile, r, out) },
                    _ => unsafe { run::<4, $n>(records, tile, r, out) },
                };
            }
        }};
    }
    kinds!(Q4_0 Q4_0 Q4_1 Q4_1 Q5_0 Q5_0 Q5_1 Q5_1 Q8_0 Q8_0 Q4K Q4K Q5K Q5K Q6K Q6K);
}

const Q4_0: u8 = 0;
const Q4_1: u8 = 1;
const Q5_0: u8 = 2;
const Q5_1: u8 = 3;
const Q8_0: u8 = 4;
const Q4K: u8 = 5;
const Q5K: u8 = 6;
const Q6K: u8 = 7;

const fn kind_of(kind: u8) -> Kind {
    match kind {
        Q4_0 => Kind::Q4_0,
        Q4_1 => Kind::Q4_1,
        Q5_0 => Kind::Q5_0,
        Q5_1 => Kind::Q5_1,
        Q8_0 => Kind::Q8_0,
        Q4K => Kind::Q4K,
        Q5K => Kind::Q5K,
        _ => Kind::Q6K,
    }
}

/// Half a vector: the words of 8 rows.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn load(record: *const u8, at: usize) -> __m256i {
    unsafe { _mm256_loadu_si256(record.add(at).cast()) }
}

/// Bit `bit` of every byte at bit 4.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn to_fourth(bytes: __m256i, bit: i32) -> __m256i {
    let moved = match bit < 4 {
        true => _mm256_sllv_epi32(bytes, _mm256_set1_epi32(4 - bit)),
        false => _mm256_srlv_epi32(bytes, _mm256_set1_epi32(bit - 4)),
    };
    _mm256_and_si256(moved, _mm256_set1_epi8(16))
}

/// Codes of 8 rows by word `w` of a run of 8 (of 4 in blocks of 32) words: from the low halves of bytes, and from the high ones. `half` is 0 or 32, the byte
/// in vectors where the 8 rows begin; `unit` counts runs.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn pair<const KIND: u8>(record: *const u8, half: usize, unit: usize, w: usize) -> (__m256i, __m256i) {
    let nibble = _mm256_set1_epi8(15);
    let kind = const { kind_of(KIND) };
    // SAFETY: a record has what `kind` says.
    unsafe {
        if KIND == Q8_0 {
            return (load(record, kind.low(w) + half), load(record, kind.low(w + 4) + half));
        }
        let both = load(record, kind.low(unit * 8 + w) + half);
        let (one, two) = (_mm256_and_si256(both, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(both), nibble));
        let (above, beyond) = match KIND {
            Q5_0 | Q5_1 => {
                let high = load(record, kind.high(0) + half);
                (to_fourth(high, w as i32), to_fourth(high, w as i32 + 4))
            }
            Q5K => {
                let high = load(record, kind.high(w) + half);
                (to_fourth(high, 2 * unit as i32), to_fourth(high, 2 * unit as i32 + 1))
            }
            Q6K => {
                // Two bits for each of four blocks, of which these are `unit % 2` and that + 2.
                let high = load(record, kind.high(unit / 2 * 8 + w) + half);
                let moved = _mm256_srlv_epi32(high, _mm256_set1_epi32(2 * (unit % 2) as i32));
                let two_bits = _mm256_set1_epi8(48);
                (_mm256_and_si256(_mm256_slli_epi32::<4>(moved), two_bits), _mm256_and_si256(moved, two_bits))
            }
            _ => return (one, two),
        };
        (_mm256_or_si256(one, above), _mm256_or_si256(two, beyond))
    }
}

/// Adds the products of four codes with four rounded activations to every lane.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dot<const KIND: u8>(sum: __m256i, codes: __m256i, x: i32) -> __m256i {
    let x = _mm256_set1_epi32(x);
    let pairs = if KIND == Q8_0 {
        // Two products of a byte without sign may leave 16 bits, those of c − 128 do not.
        let signed = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
        _mm256_maddubs_epi16(_mm256_abs_epi8(signed), _mm256_sign_epi8(x, signed))
    } else {
        _mm256_maddubs_epi16(codes, x)
    };
    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn halves(at: *const u8) -> __m256 {
    unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.cast())) }
}

/// Rows `first..first + R` of the tile; gives R. The formulas are those of the AVX-512 kernels.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn run<const R: usize, const KIND: u8>(records: &[u8], tile: &Tile, first: usize, out: &mut Products) -> usize {
    let kind = const { kind_of(KIND) };
    let (quads_each, sums_each) = (kind.block() / 4, if kind.is_large() { LARGE_SUMS } else { 1 });
    // Where nothing is taken from codes in whole numbers: the 8-bit product does it itself.
    let zero = if KIND == Q8_0 { 0 } else { kind.zero() };
    for side in 0..2 {
        let half = side * 32;
        let mut sum = [_mm256_setzero_ps(); R];
        for (b, record) in records.chunks_exact(kind.record()).enumerate() {
            let record = record.as_ptr();
            let at = |r: usize| b * tile.rows + first + r;
            let x: [&[i32]; R] = std::array::from_fn(|r| &tile.quads[at(r) * quads_each..][..quads_each]);
            let sums: [&[i32]; R] = std::array::from_fn(|r| &tile.sums[at(r) * sums_each..][..sums_each]);
            let mut inner = [_mm256_setzero_ps(); R];
            let mut minima = [_mm256_setzero_si256(); R];
            // SAFETY: a record has what `kind` says.
            let d = unsafe { halves(record.add(side * 16)) };
            let e = match kind {
                Kind::Q4_1 | Kind::Q5_1 | Kind::Q4K | Kind::Q5K => unsafe { halves(record.add(Kind::MINIMUM + side * 16)) },
                _ => _mm256_setzero_ps(),
            };
            if kind.is_large() {
                // Words that share an s: 8, or 4 of Q6_K.
                let run = if KIND == Q6K { 4 } else { 8 };
                for part in 0..32 / run {
                    let (unit, from) = (part * run / 8, part * run % 8);
                    // The first activations, and how far those of the high halves of bytes are away.
                    let (base, apart) = if KIND == Q6K { (unit / 2 * 32 + unit % 2 * 8, 16) } else { (unit * 16, 8) };
                    let mut one = [_mm256_setzero_si256(); R];
                    let mut two = [_mm256_setzero_si256(); R];
                    for w in from..from + run {
                        let (low, high) = unsafe { pair::<KIND>(record, half, unit, w) };
                        for r in 0..R {
                            one[r] = dot::<KIND>(one[r], low, x[r][base + w]);
                            two[r] = dot::<KIND>(two[r], high, x[r][base + apart + w]);
                        }
                    }
                    for (dots, small) in [(one, (base + from) / 4), (two, (base + from + apart) / 4)] {
                        // SAFETY: as above.
                        let t = unsafe { _mm_loadl_epi64(record.add(kind.scale(small) + side * 8).cast()) };
                        let t = if KIND == Q6K { _mm256_cvtepi8_epi32(t) } else { _mm256_cvtepu8_epi32(t) };
                        for r in 0..R {
                            let dot = match KIND {
                                Q6K => _mm256_add_epi32(dots[r], _mm256_set1_epi32(sums[r][small])),
                                _ => dots[r],
                            };
                            let dot = _mm256_cvtepi32_ps(dot);
                            inner[r] = _mm256_fmadd_ps(dot, _mm256_cvtepi32_ps(t), inner[r]);
                        }
                    }
                }
                if KIND != Q6K {
                    for p in 0..4 {
                        let n = unsafe { _mm_loadu_si128(record.add(Kind::minima(p) + side * 16).cast()) };
                        let n = _mm256_cvtepu8_epi16(n);
                        for r in 0..R {
                            let pair = _mm256_set1_epi32(sums[r][16 + p]);
                            minima[r] = _mm256_add_epi32(minima[r], _mm256_madd_epi16(n, pair));
                        }
                    }
                }
                for r in 0..R {
                    let all = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(minima[r]), e, _mm256_mul_ps(inner[r], d));
                    sum[r] = _mm256_fmadd_ps(all, _mm256_set1_ps(tile.scales[at(r)][0]), sum[r]);
                }
            } else {
                let mut dots = [_mm256_setzero_si256(); R];
                for w in 0..4 {
                    let (low, high) = unsafe { pair::<KIND>(record, half, 0, w) };
                    for r in 0..R {
                        dots[r] = dot::<KIND>(dots[r], low, x[r][w]);
                        dots[r] = dot::<KIND>(dots[r], high, x[r][w + 4]);
                    }
                }
                for r in 0..R {
                    let [scale, total] = tile.scales[at(r)];
                    let dot = _mm256_cvtepi32_ps(_mm256_sub_epi32(dots[r], _mm256_set1_epi32(zero * sums[r][0])));
                    sum[r] = _mm256_fmadd_ps(_mm256_mul_ps(dot, _mm256_set1_ps(scale)), d, sum[r]);
                    sum[r] = _mm256_fmadd_ps(_mm256_set1_ps(total), e, sum[r]);
                }
            }
        }
        for (sum, out) in sum.into_iter().zip(&mut out[first..]) {
            // SAFETY: a row of products has 16 numbers.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(side * 8), sum) };
        }
    }
    R
}

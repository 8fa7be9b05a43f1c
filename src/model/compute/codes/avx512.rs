//! Products with [`Codes`](super::Codes) by AVX-512 with VNNI: a vector has four codes of each of 16 rows, and the bytes are multiplied and added up as they are.

use super::layout::{Kind, LANES, VECTOR};
use super::tile::{LARGE_SUMS, Products, Tile};
use std::arch::{asm, x86_64::*};

/// The products of 16 rows of the matrix with each row of a tile.
///
/// # Safety
/// The processor has AVX-512 F and BW and VNNI, and the tile has what [`Tile::fits`] says.
pub(super) unsafe fn group(kind: Kind, records: &[u8], tile: &Tile, out: &mut Products) {
    macro_rules! rows {
        ($($n:literal)*) => {
            match (kind, tile.rows) {
                // SAFETY: of the caller.
                $((Kind::Q4_0, $n) => unsafe { small::<$n, 40>(records, tile, out) },
                (Kind::Q4_1, $n) => unsafe { small::<$n, 41>(records, tile, out) },
                (Kind::Q5_0, $n) => unsafe { small::<$n, 50>(records, tile, out) },
                (Kind::Q5_1, $n) => unsafe { small::<$n, 51>(records, tile, out) },
                (Kind::Q8_0, $n) => unsafe { small::<$n, 80>(records, tile, out) },
                (Kind::Q4K, $n) => unsafe { large::<$n, false>(records, tile, out) },
                (Kind::Q5K, $n) => unsafe { large::<$n, true>(records, tile, out) },
                (Kind::Q6K, $n) => unsafe { six::<$n>(records, tile, out) },)*
                _ => {}
            }
        };
    }
    rows!(1 2 3 4 5 6 7 8);
}

/// Rounds a block of `B` numbers to 8 bits, gives the largest absolute value in it, and puts the sum of every 16 rounded numbers into `parts`.
///
/// # Safety
/// The processor has AVX-512 F and BW and VNNI.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn round<const B: usize, const Q: usize>(values: &[f32; B], quads: &mut [i32; Q], parts: &mut [i32; 16]) -> f32 {
    const { assert!(B == 4 * Q && B.is_multiple_of(16) && B <= 256) };
    // Bits without the sign are in the order of the absolute values, and NaNs are above them.
    let sign = _mm512_set1_epi32(0x7fff_ffff);
    let mut most = _mm512_setzero_si512();
    for i in 0..B / 16 {
        // SAFETY: there are 16 numbers from 16 · i on.
        let bits = unsafe { _mm512_loadu_si512(values.as_ptr().add(16 * i).cast()) };
        most = _mm512_max_epu32(most, _mm512_and_si512(bits, sign));
    }
    let most = f32::from_bits(_mm512_reduce_max_epu32(most));
    let inverse = _mm512_set1_ps(if most > 0.0 { 127.0 / most } else { 0.0 });
    // 1.5·2²³ more leaves the nearest whole number in the low bits.
    let (moved, bits) = (_mm512_set1_ps(12_582_912.0), _mm512_set1_epi32(0x4b40_0000));
    for (i, part) in parts.iter_mut().enumerate().take(B / 16) {
        // SAFETY: as above, and so many bytes of quads.
        unsafe {
            let values = _mm512_loadu_ps(values.as_ptr().add(16 * i));
            let whole = _mm512_sub_epi32(_mm512_castps_si512(_mm512_add_ps(_mm512_mul_ps(values, inverse), moved)), bits);
            *part = _mm512_reduce_add_epi32(whole);
            _mm_storeu_si128(quads.as_mut_ptr().add(4 * i).cast(), _mm512_cvtepi32_epi8(whole));
        }
    }
    most
}

/// (a & b) | c.
const AND_OR: i32 = 0xEA;

/// Bytes by which weights are asked of memory before they are read. The processor's own guesses come too late where a record is not read from front to back.
const AHEAD: usize = 4096;

/// For every row of a tile: adds to `$one` the products of the codes `$first` with the four activations at `$x`, `$bytes` a row, and to `$two` those of `$second`
/// with the ones `$apart` bytes further on.
///
/// In this order and no other: left to itself the compiler fetches the activations of a whole record first, and spills them.
macro_rules! multiply {
    ($one:ident, $first:ident, $two:ident, $second:ident, $x:expr, $bytes:literal, $apart:literal) => {
        let x = $x;
        multiply!(@rows $one, $first, $two, $second, x, $bytes, $apart, 0 1 2 3 4 5 6 7)
    };
    (@rows $one:ident, $first:ident, $two:ident, $second:ident, $x:ident, $bytes:literal, $apart:literal, $($r:literal)*) => {
        $(if $r < R {
            asm!(
                "vpdpbusd {sum}, {codes}, dword ptr [{x} + {at}]{{1to16}}",
                sum = inout(zmm_reg) $one[$r], codes = in(zmm_reg) $first, x = in(reg) $x, at = const $r * $bytes,
                options(nostack, preserves_flags),
            );
            asm!(
                "vpdpbusd {sum}, {codes}, dword ptr [{x} + {at}]{{1to16}}",
                sum = inout(zmm_reg) $two[$r], codes = in(zmm_reg) $second, x = in(reg) $x, at = const $r * $bytes + $apart,
                options(nostack, preserves_flags),
            );
        })*
    };
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn load(record: *const u8, at: usize) -> __m512i {
    unsafe {
        let at = record.add(at);
        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
        _mm512_loadu_si512(at.cast())
    }
}

/// 16 half-precision numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn halves(at: *const u8) -> __m512 {
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn store<const R: usize>(sum: [__m512; R], out: &mut Products) {
    for (sum, out) in sum.into_iter().zip(out) {
        // SAFETY: a row of products has 16 numbers.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
    }
}

/// Blocks of 32: y = Σ s·d·⟨c − z, x⟩ + m·s·Σx, with s the activations' scale and x their rounded values. `KIND` is 10 × bits + 1 where there is an m.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn small<const R: usize, const KIND: u8>(records: &[u8], tile: &Tile, out: &mut Products) {
    let kind = const {
        match KIND {
            40 => Kind::Q4_0,
            41 => Kind::Q4_1,
            50 => Kind::Q5_0,
            51 => Kind::Q5_1,
            _ => Kind::Q8_0,
        }
    };
    let (nibble, fifth) = (_mm512_set1_epi8(15), _mm512_set1_epi8(16));
    let (quads, scales, sums) = (tile.quads.as_ptr(), tile.scales.as_ptr(), tile.sums.as_ptr());
    let mut sum = [_mm512_setzero_ps(); R];
    for (b, record) in records.chunks_exact(kind.record()).enumerate() {
        let (record, x) = (record.as_ptr(), unsafe { quads.add(b * R * 8) });
        let mut dot = [_mm512_setzero_si512(); R];
        // SAFETY: a record has what `kind` says, and the tile has R rows of as many blocks.
        unsafe {
            let high = if KIND / 10 == 5 { load(record, kind.high(0)) } else { _mm512_setzero_si512() };
            macro_rules! step {
                ($($k:literal)*) => {
                    $({
                        let (one, two) = if KIND == 80 {
                            (load(record, kind.low($k)), load(record, kind.low($k + 4)))
                        } else {
                            let both = load(record, kind.low($k));
                            let one = _mm512_and_si512(both, nibble);
                            let two = _mm512_and_si512(_mm512_srli_epi16::<4>(both), nibble);
                            if KIND / 10 == 5 {
                                let above = _mm512_slli_epi16::<{ 4 - $k }>(high);
                                let beyond = _mm512_srli_epi16::<$k>(high);
                                (
                                    _mm512_ternarylogic_epi32::<AND_OR>(above, fifth, one),
                                    _mm512_ternarylogic_epi32::<AND_OR>(beyond, fifth, two),
                                )
                            } else {
                                (one, two)
                            }
                        };
                        multiply!(dot, one, dot, two, x.add($k), 32, 16);
                    })*
                };
            }
            step!(0 1 2 3);
            let d = halves(record);
            let m = if KIND % 10 == 1 { halves(record.add(Kind::MINIMUM)) } else { _mm512_setzero_ps() };
            for r in 0..R {
                let [scale, total] = *scales.add(b * R + r);
                let s = _mm512_set1_ps(scale);
                if KIND % 10 == 1 {
                    sum[r] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(dot[r]), s), d, sum[r]);
                    sum[r] = _mm512_fmadd_ps(_mm512_set1_ps(total), m, sum[r]);
                } else {
                    let total = _mm512_set1_epi32(*sums.add(b * R + r));
                    let zero = match KIND {
                        40 => _mm512_slli_epi32::<3>(total),
                        50 => _mm512_slli_epi32::<4>(total),
                        _ => _mm512_slli_epi32::<7>(total),
                    };
                    let dot = _mm512_cvtepi32_ps(_mm512_sub_epi32(dot[r], zero));
                    sum[r] = _mm512_fmadd_ps(_mm512_mul_ps(dot, s), d, sum[r]);
                }
            }
        }
    }
    store(sum, out);
}

/// The whole numbers of 16 bytes in f32.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn bytes(at: *const u8) -> __m512 {
    unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(at.cast()))) }
}

/// Q4_K and, `FIVE`, Q5_K: y = Σ s·(d·Σ t·⟨c, x⟩ − e·Σ n·Σx), inner sums over the blocks of 32 of 256.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn large<const R: usize, const FIVE: bool>(records: &[u8], tile: &Tile, out: &mut Products) {
    let kind = if FIVE { Kind::Q5K } else { Kind::Q4K };
    let (nibble, fifth) = (_mm512_set1_epi8(15), _mm512_set1_epi8(16));
    let (quads, scales, sums) = (tile.quads.as_ptr(), tile.scales.as_ptr(), tile.sums.as_ptr());
    let mut sum = [_mm512_setzero_ps(); R];
    for (b, record) in records.chunks_exact(kind.record()).enumerate() {
        let (record, x, sums) = (record.as_ptr(), unsafe { quads.add(b * R * 64) }, unsafe { sums.add(b * R * LARGE_SUMS) });
        let mut inner = [_mm512_setzero_ps(); R];
        // SAFETY: as in `small`.
        unsafe {
            let (d, e) = (halves(record), halves(record.add(Kind::MINIMUM)));
            let mut minima = [_mm512_setzero_si512(); R];
            for p in 0..4 {
                let n = _mm512_cvtepu8_epi16(_mm256_loadu_si256(record.add(Kind::minima(p)).cast()));
                for (r, minimum) in minima.iter_mut().enumerate() {
                    *minimum = _mm512_dpwssd_epi32(*minimum, n, _mm512_set1_epi32(*sums.add(r * LARGE_SUMS + 16 + p)));
                }
            }
            macro_rules! chunk {
                ($($c:literal)*) => {
                    $({
                        let t = record.add(kind.scale($c * 4));
                        let (t, u) = (bytes(t), bytes(t.add(LANES)));
                        let mut one = [_mm512_setzero_si512(); R];
                        let mut two = [_mm512_setzero_si512(); R];
                        for w in 0..8 {
                            let both = load(record, kind.low($c * 8) + w * if FIVE && $c == 0 { 2 * VECTOR } else { VECTOR });
                            let mut first = _mm512_and_si512(both, nibble);
                            let mut second = _mm512_and_si512(_mm512_srli_epi16::<4>(both), nibble);
                            if FIVE {
                                let high = load(record, kind.high(0) + w * 2 * VECTOR);
                                let (above, beyond) = match $c {
                                    0 => (_mm512_slli_epi16::<4>(high), _mm512_slli_epi16::<3>(high)),
                                    1 => (_mm512_slli_epi16::<2>(high), _mm512_slli_epi16::<1>(high)),
                                    2 => (high, _mm512_srli_epi16::<1>(high)),
                                    _ => (_mm512_srli_epi16::<2>(high), _mm512_srli_epi16::<3>(high)),
                                };
                                first = _mm512_ternarylogic_epi32::<AND_OR>(above, fifth, first);
                                second = _mm512_ternarylogic_epi32::<AND_OR>(beyond, fifth, second);
                            }
                            multiply!(one, first, two, second, x.add($c * 16 + w), 256, 32);
                        }
                        for r in 0..R {
                            inner[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(one[r]), t, inner[r]);
                            inner[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(two[r]), u, inner[r]);
                        }
                    })*
                };
            }
            chunk!(0 1 2 3);
            for r in 0..R {
                let all = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(minima[r]), e, _mm512_mul_ps(inner[r], d));
                sum[r] = _mm512_fmadd_ps(all, _mm512_set1_ps((*scales.add(b * R + r))[0]), sum[r]);
            }
        }
    }
    store(sum, out);
}

/// Q6_K: y = Σ s·d·Σ t·⟨c − 32, x⟩, inner sums over the blocks of 16 of 256.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn six<const R: usize>(records: &[u8], tile: &Tile, out: &mut Products) {
    let kind = Kind::Q6K;
    let (nibble, above) = (_mm512_set1_epi8(15), _mm512_set1_epi8(48));
    let (quads, scales, sums) = (tile.quads.as_ptr(), tile.scales.as_ptr(), tile.sums.as_ptr());
    let mut sum = [_mm512_setzero_ps(); R];
    for (b, record) in records.chunks_exact(kind.record()).enumerate() {
        let (record, x, sums) = (record.as_ptr(), unsafe { quads.add(b * R * 64) }, unsafe { sums.add(b * R * LARGE_SUMS) });
        let mut inner = [_mm512_setzero_ps(); R];
        // SAFETY: as in `small`.
        unsafe {
            for part in 0..2 {
                // Blocks of 32 `block` and `block + 2` of 128, the halves of the same bytes; and in them the first or the second 16.
                macro_rules! block {
                    ($($block:literal)*) => {
                        $(for half in 0..2 {
                            let (at, low) = (part * 8 + $block * 2 + half, kind.low(part * 16 + $block * 8));
                            let signed = |at: usize| {
                                let t = _mm_loadu_si128(record.add(kind.scale(at)).cast());
                                _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(t))
                            };
                            let (t, u) = (signed(at), signed(at + 4));
                            let mut one: [_; R] = std::array::from_fn(|r| _mm512_set1_epi32(*sums.add(r * LARGE_SUMS + at)));
                            let mut two: [_; R] = std::array::from_fn(|r| _mm512_set1_epi32(*sums.add(r * LARGE_SUMS + at + 4)));
                            for w in half * 4..half * 4 + 4 {
                                let both = load(record, low + w * if $block == 0 { 2 * VECTOR } else { VECTOR });
                                let high = load(record, kind.high(part * 8) + w * 2 * VECTOR);
                                let (under, over) = match $block {
                                    0 => (_mm512_slli_epi16::<4>(high), high),
                                    _ => (_mm512_slli_epi16::<2>(high), _mm512_srli_epi16::<2>(high)),
                                };
                                let first = _mm512_ternarylogic_epi32::<AND_OR>(under, above, _mm512_and_si512(both, nibble));
                                let second = _mm512_and_si512(_mm512_srli_epi16::<4>(both), nibble);
                                let second = _mm512_ternarylogic_epi32::<AND_OR>(over, above, second);
                                multiply!(one, first, two, second, x.add(part * 32 + $block * 8 + w), 256, 64);
                            }
                            for r in 0..R {
                                inner[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(one[r]), t, inner[r]);
                                inner[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(two[r]), u, inner[r]);
                            }
                        })*
                    };
                }
                block!(0 1);
            }
            let d = halves(record);
            for r in 0..R {
                sum[r] = _mm512_fmadd_ps(_mm512_mul_ps(inner[r], d), _mm512_set1_ps((*scales.add(b * R + r))[0]), sum[r]);
            }
        }
    }
    store(sum, out);
}

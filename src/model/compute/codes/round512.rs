//! Rounding of activations to 8 bits by AVX-512.

use std::arch::x86_64::*;

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

//! The arithmetic of a decoder block on f32 slices, forward and backward. Row-major throughout; a formula stands at each kernel.

use super::threads;
use pulp::Arch;

/// Runs `f` compiled for the widest vectors of this processor. Only what is inlined into it is: mark the closure `#[inline(always)]`.
pub(in crate::model) fn simd<R>(f: impl FnOnce() -> R) -> R {
    struct Run<F>(F);
    impl<R, F: FnOnce() -> R> pulp::NullaryFnOnce for Run<F> {
        type Output = R;
        #[inline(always)]
        fn call(self) -> R {
            (self.0)()
        }
    }
    Arch::new().dispatch(Run(f))
}

/// eˣ to about 2 ulp, 0 below −87; straight-line, so that loops over it become vector code.
#[inline(always)]
pub(in crate::model) fn exp(x: f32) -> f32 {
    let c = x.clamp(-87.0, 88.0);
    // 1.5·2²³ more leaves the nearest whole number in the low bits.
    let moved = c * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = moved - 12_582_912.0;
    let r = (c - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.388_889e-3 * r + 8.333_334e-3;
    let p = ((p * r + 4.166_666_6e-2) * r + 1.666_666_7e-1) * r + 0.5;
    let p = p * r * r + r + 1.0;
    let scaled = p * f32::from_bits((moved.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.0 { 0.0 } else { scaled }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const L: usize = 16;
    let mut acc = [0.0f32; L];
    let (ac, bc) = (a.chunks_exact(L), b.chunks_exact(L));
    let tail: f32 = ac.remainder().iter().zip(bc.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in ac.zip(bc) {
        for i in 0..L {
            acc[i] += x[i] * y[i];
        }
    }
    acc.iter().sum::<f32>() + tail
}

/// Numbers that a thread takes at a time of work that is done number by number or row by row, and from how many all threads take part.
const PART: usize = 1 << 14;

/// y = x / √(mean x² + ε) · w, row by row of width `w.len()`.
pub fn rms_norm(x: &[f32], w: &[f32], eps: f32) -> Vec<f32> {
    let d = w.len();
    let mut out = vec![0.0; x.len()];
    let part = (PART / d.max(1)).max(1) * d.max(1);
    threads::each(x.chunks(part).zip(out.chunks_mut(part)).collect(), x.len() > 2 * PART, |(x, y): (&[f32], &mut [f32])| {
        simd(
            #[inline(always)]
            || {
                for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
                    let r = 1.0 / (dot(x, x) / d as f32 + eps).sqrt();
                    for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                        *y = x * r * w;
                    }
                }
            },
        );
    });
    out
}

/// With r = 1/√(mean x² + ε): dx = r·(g∘w) − x·r³·⟨g∘w, x⟩/d and dw = Σ g∘x·r.
pub fn rms_norm_backward(x: &[f32], w: &[f32], g: &[f32], eps: f32) -> (Vec<f32>, Vec<f32>) {
    let d = w.len();
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; d]);
    simd(
        #[inline(always)]
        || {
            for ((x, g), dx) in x.chunks_exact(d).zip(g.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
                let r = 1.0 / (dot(x, x) / d as f32 + eps).sqrt();
                for (((o, g), w), (x, dw)) in dx.iter_mut().zip(g).zip(w).zip(x.iter().zip(dw.iter_mut())) {
                    *o = g * w;
                    *dw += g * x * r;
                }
                let c = r * r * r * dot(dx, x) / d as f32;
                for (o, x) in dx.iter_mut().zip(x) {
                    *o = *o * r - x * c;
                }
            }
        },
    );
    (dx, dw)
}

/// y = silu(gate) ∘ up.
pub fn swiglu(gate: &[f32], up: &[f32]) -> Vec<f32> {
    gated(gate, up, |a| a)
}

/// With s = σ(gate): dgate = g·up·s·(1 + gate·(1 − s)), dup = g·gate·s.
pub fn swiglu_backward(gate: &[f32], up: &[f32], g: &[f32]) -> (Vec<f32>, Vec<f32>) {
    gated_backward(gate, up, g, |a| (a, 1.0))
}

/// 2·√(2/π) and the cubic coefficient of GELU's tanh form, which is x·σ(2·√(2/π)·(x + 0.044715·x³)).
const GELU: (f32, f32) = (1.595_769_2, 0.044_715);

/// y = gelu(gate) ∘ up, GELU in its tanh form.
pub fn geglu(gate: &[f32], up: &[f32]) -> Vec<f32> {
    gated(gate, up, |a| GELU.0 * (a + GELU.1 * a * a * a))
}

/// Gradients of [`geglu`], as those of [`swiglu`] with the inner derivative of the argument of σ.
pub fn geglu_backward(gate: &[f32], up: &[f32], g: &[f32]) -> (Vec<f32>, Vec<f32>) {
    gated_backward(gate, up, g, |a| (GELU.0 * (a + GELU.1 * a * a * a), GELU.0 * (1.0 + 3.0 * GELU.1 * a * a)))
}

/// y = gate·σ(f(gate)) ∘ up.
#[inline(always)]
fn gated(gate: &[f32], up: &[f32], f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    let mut out = vec![0.0; gate.len()];
    let parts = out.chunks_mut(PART).zip(gate.chunks(PART).zip(up.chunks(PART))).collect();
    threads::each(parts, gate.len() > 2 * PART, |(out, (gate, up)): (&mut [f32], (&[f32], &[f32]))| {
        simd(
            #[inline(always)]
            || {
                for ((y, &a), &u) in out.iter_mut().zip(gate).zip(up) {
                    *y = a * sigmoid(f(a)) * u;
                }
            },
        );
    });
    out
}

/// With (z, z′) = f(gate) and s = σ(z): dgate = g·up·s·(1 + gate·(1 − s)·z′), dup = g·gate·s.
#[inline(always)]
fn gated_backward(gate: &[f32], up: &[f32], g: &[f32], f: impl Fn(f32) -> (f32, f32)) -> (Vec<f32>, Vec<f32>) {
    let (mut da, mut du) = (vec![0.0; g.len()], vec![0.0; g.len()]);
    simd(
        #[inline(always)]
        || {
            for (((da, du), &a), (&u, &g)) in da.iter_mut().zip(du.iter_mut()).zip(gate).zip(up.iter().zip(g)) {
                let (z, slope) = f(a);
                let s = sigmoid(z);
                *da = g * u * s * (1.0 + a * (1.0 - s) * slope);
                *du = g * a * s;
            }
        },
    );
    (da, du)
}

/// Replaces each row of width `v` by its softmax and returns ln Σ eˣ of each row.
pub fn softmax_rows(x: &mut [f32], v: usize) -> Vec<f32> {
    let mut sums = Vec::with_capacity(x.len() / v.max(1));
    // A loop, and not a chain of iterators, whose inner functions would be compiled for any processor.
    simd(
        #[inline(always)]
        || {
            for row in x.chunks_exact_mut(v) {
                let (max, sum) = exponentiate(row);
                let r = 1.0 / sum;
                row.iter_mut().for_each(|x| *x *= r);
                sums.push(max + sum.ln());
            }
        },
    );
    sums
}

/// The largest number of a row, −∞ where there is none; NaNs are passed over.
#[inline(always)]
pub(in crate::model) fn largest(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<32>();
    let mut most = [f32::NEG_INFINITY; 32];
    for chunk in chunks {
        for (most, x) in most.iter_mut().zip(chunk) {
            *most = if *x > *most { *x } else { *most };
        }
    }
    most.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// Replaces a row by e^(x − max) and returns (max, sum). An all −∞ or NaN row gives NaN.
#[inline(always)]
pub(super) fn exponentiate(row: &mut [f32]) -> (f32, f32) {
    let max = largest(row);
    row.iter_mut().for_each(|x| *x = exp(*x - max));
    let (chunks, rest) = row.as_chunks::<16>();
    let mut acc = [0.0f32; 16];
    for chunk in chunks {
        acc.iter_mut().zip(chunk).for_each(|(a, x)| *a += x);
    }
    let sum = rest.iter().fold(acc.iter().sum::<f32>(), |sum, x| sum + x);
    (max, sum)
}

/// cos and sin of the rotary angles: position-major, `half` columns.
#[derive(Debug)]
pub struct Rotary {
    /// `[positions, half]`.
    pub cos: Vec<f32>,
    /// `[positions, half]`.
    pub sin: Vec<f32>,
    /// Half as many as numbers of a head that are turned: its first ones, the others stay; 0 turns none.
    pub half: usize,
    /// Width of a head.
    pub dim: usize,
}

impl Rotary {
    /// Turns one head's row by the angle of `pos` (`sign` 1) or back (`sign` −1): (a, b) → (a·cos − b·sin, b·cos + a·sin).
    #[inline(always)]
    fn turn(&self, row: &mut [f32], pos: usize, sign: f32) {
        let h = self.half;
        let (cos, sin) = (&self.cos[pos * h..(pos + 1) * h], &self.sin[pos * h..(pos + 1) * h]);
        let (a, b) = row[..2 * h].split_at_mut(h);
        for (((a, b), c), s) in a.iter_mut().zip(b).zip(cos).zip(sin) {
            let (x, y, s) = (*a, *b, s * sign);
            *a = x * c - y * s;
            *b = y * c + x * s;
        }
    }

    /// Turns every head of rows `[n, heads, dim]`, row i standing at position `first + i`.
    pub fn turn_rows(&self, rows: &mut [f32], heads: usize, first: usize) {
        simd(
            #[inline(always)]
            || {
                for (i, row) in rows.chunks_exact_mut(heads * self.dim).enumerate() {
                    row.chunks_exact_mut(self.dim).for_each(|r| self.turn(r, first + i, 1.0));
                }
            },
        );
    }

    pub(super) fn turn_head(&self, rows: &mut [f32], sign: f32) {
        for (pos, row) in rows.chunks_exact_mut(self.dim).enumerate() {
            self.turn(row, pos, sign);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_over_its_range() {
        for i in -8700..8800 {
            let x = i as f32 * 0.01;
            let want = (x as f64).exp();
            assert!(((exp(x) as f64 - want) / want).abs() < 4e-7, "{x}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }
}

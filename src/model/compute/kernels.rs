//! The arithmetic of a decoder block on f32 slices, forward and backward. Row-major throughout; a formula stands at each kernel.

use super::gemm::{Mat, gemm};
use pulp::Arch;

/// Runs `f` compiled for the widest vectors of this processor.
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
    let n = (c * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = (c - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.388_889e-3 * r + 8.333_334e-3;
    let p = ((p * r + 4.166_666_6e-2) * r + 1.666_666_7e-1) * r + 0.5;
    let p = p * r * r + r + 1.0;
    let scaled = p * f32::from_bits(((n as i32 + 127) << 23) as u32);
    if x < -87.0 { 0.0 } else { scaled }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
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

/// y = x / √(mean x² + ε) · w, row by row of width `w.len()`.
pub fn rms_norm(x: &[f32], w: &[f32], eps: f32) -> Vec<f32> {
    let d = w.len();
    let mut out = vec![0.0; x.len()];
    simd(|| {
        for (x, y) in x.chunks_exact(d).zip(out.chunks_exact_mut(d)) {
            let r = 1.0 / (dot(x, x) / d as f32 + eps).sqrt();
            for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                *y = x * r * w;
            }
        }
    });
    out
}

/// With r = 1/√(mean x² + ε): dx = r·(g∘w) − x·r³·⟨g∘w, x⟩/d and dw = Σ g∘x·r.
pub fn rms_norm_backward(x: &[f32], w: &[f32], g: &[f32], eps: f32) -> (Vec<f32>, Vec<f32>) {
    let d = w.len();
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; d]);
    simd(|| {
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
    });
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
fn gated(gate: &[f32], up: &[f32], f: impl Fn(f32) -> f32) -> Vec<f32> {
    let mut out = vec![0.0; gate.len()];
    simd(|| {
        for ((y, &a), &u) in out.iter_mut().zip(gate).zip(up) {
            *y = a * sigmoid(f(a)) * u;
        }
    });
    out
}

/// With (z, z′) = f(gate) and s = σ(z): dgate = g·up·s·(1 + gate·(1 − s)·z′), dup = g·gate·s.
#[inline(always)]
fn gated_backward(gate: &[f32], up: &[f32], g: &[f32], f: impl Fn(f32) -> (f32, f32)) -> (Vec<f32>, Vec<f32>) {
    let (mut da, mut du) = (vec![0.0; g.len()], vec![0.0; g.len()]);
    simd(|| {
        for (((da, du), &a), (&u, &g)) in da.iter_mut().zip(du.iter_mut()).zip(gate).zip(up.iter().zip(g)) {
            let (z, slope) = f(a);
            let s = sigmoid(z);
            *da = g * u * s * (1.0 + a * (1.0 - s) * slope);
            *du = g * a * s;
        }
    });
    (da, du)
}

/// Replaces each row of width `v` by its softmax and returns ln Σ eˣ of each row.
pub fn softmax_rows(x: &mut [f32], v: usize) -> Vec<f32> {
    simd(|| {
        x.chunks_exact_mut(v)
            .map(|row| {
                let (max, sum) = exponentiate(row);
                let r = 1.0 / sum;
                row.iter_mut().for_each(|x| *x *= r);
                max + sum.ln()
            })
            .collect()
    })
}

/// Replaces a row by e^(x − max) and returns (max, sum). An all −∞ or NaN row gives NaN.
#[inline(always)]
fn exponentiate(row: &mut [f32]) -> (f32, f32) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a || b.is_nan() { b } else { a });
    let mut acc = [0.0f32; 16];
    let mut chunks = row.chunks_exact_mut(16);
    for c in chunks.by_ref() {
        for (x, a) in c.iter_mut().zip(&mut acc) {
            *x = exp(*x - max);
            *a += *x;
        }
    }
    let mut sum: f32 = acc.iter().sum();
    for x in chunks.into_remainder() {
        *x = exp(*x - max);
        sum += *x;
    }
    (max, sum)
}

/// Heads of an attention layer.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Query heads.
    pub q: usize,
    /// Key–value heads.
    pub kv: usize,
    /// Width of a head.
    pub dim: usize,
    /// Positions that a query sees, its own included; `usize::MAX`: all before it.
    pub window: usize,
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
        simd(|| {
            for (i, row) in rows.chunks_exact_mut(heads * self.dim).enumerate() {
                row.chunks_exact_mut(self.dim).for_each(|r| self.turn(r, first + i, 1.0));
            }
        });
    }

    fn turn_head(&self, rows: &mut [f32], sign: f32) {
        for (pos, row) in rows.chunks_exact_mut(self.dim).enumerate() {
            self.turn(row, pos, sign);
        }
    }
}

/// Copies one head out of `[t, heads, dim]`, or adds it back.
fn take(x: &[f32], t: usize, heads: usize, head: usize, dim: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(t * dim);
    for row in x.chunks_exact(heads * dim).take(t) {
        out.extend_from_slice(&row[head * dim..(head + 1) * dim]);
    }
    out
}

fn put(out: &mut [f32], x: &[f32], heads: usize, head: usize, dim: usize) {
    for (row, x) in out.chunks_exact_mut(heads * dim).zip(x.chunks_exact(dim)) {
        row[head * dim..(head + 1) * dim].copy_from_slice(x);
    }
}

/// Causal softmax of the scores of one head, in place: row i keeps the last `window` of the columns 0..=i.
fn causal_softmax(s: &mut [f32], t: usize, window: usize) {
    simd(|| {
        for (i, row) in s.chunks_exact_mut(t).enumerate() {
            let (live, dead) = row.split_at_mut(i + 1);
            let (gone, live) = live.split_at_mut((i + 1).saturating_sub(window));
            gone.fill(0.0);
            let (_, sum) = exponentiate(live);
            let r = 1.0 / sum;
            live.iter_mut().for_each(|x| *x *= r);
            dead.fill(0.0);
        }
    });
}

/// Causal attention with rotary positions over packed sequences: q `[n, heads.q·dim]`, k and v `[n, heads.kv·dim]`, sequences of `lens` rows
/// one after the other, each starting at position 0. O = softmax(QKᵀ/√dim)·V.
pub fn attention(q: &[f32], k: &[f32], v: &[f32], lens: &[usize], heads: Heads, rotary: &Rotary) -> Vec<f32> {
    let Heads { q: hq, kv: hkv, dim, window } = heads;
    let scale = 1.0 / (dim as f32).sqrt();
    let mut out = vec![0.0; q.len()];
    let mut start = 0;
    for &t in lens {
        let (qs, ks) = (&q[start * hq * dim..], &k[start * hkv * dim..]);
        let (vs, os) = (&v[start * hkv * dim..], &mut out[start * hq * dim..(start + t) * hq * dim]);
        let mut s = vec![0.0; t * t];
        for g in 0..hkv {
            let mut kh = take(ks, t, hkv, g, dim);
            simd(|| rotary.turn_head(&mut kh, 1.0));
            for h in g * (hq / hkv)..(g + 1) * (hq / hkv) {
                let mut qh = take(qs, t, hq, h, dim);
                simd(|| rotary.turn_head(&mut qh, 1.0));
                gemm(&mut s, t, 0.0, scale, Mat::rows(&qh, t, dim, dim), Mat::rows(&kh, t, dim, dim).t());
                causal_softmax(&mut s, t, window);
                gemm(&mut os[h * dim..], hq * dim, 0.0, 1.0, Mat::rows(&s, t, t, t), Mat::rows(&vs[g * dim..], t, dim, hkv * dim));
            }
        }
        start += t;
    }
    out
}

/// Gradients of [`attention`]; scores are computed again instead of kept. With P the attention weights and dP = g·Vᵀ:
/// dV = Pᵀg, dS = P∘(dP − rowsum(dP∘P)), dQ = dS·K/√dim, dK = dSᵀ·Q/√dim, and the rotation is undone.
#[allow(clippy::type_complexity)]
pub fn attention_backward(
    (q, k, v): (&[f32], &[f32], &[f32]),
    g: &[f32],
    lens: &[usize],
    heads: Heads,
    rotary: &Rotary,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let Heads { q: hq, kv: hkv, dim, window } = heads;
    let scale = 1.0 / (dim as f32).sqrt();
    let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
    let mut start = 0;
    for &t in lens {
        let (a, b) = (start * hq * dim..(start + t) * hq * dim, start * hkv * dim..(start + t) * hkv * dim);
        let (qs, gs, ks, vs) = (&q[a.clone()], &g[a.clone()], &k[b.clone()], &v[b.clone()]);
        let (dqs, dks, dvs) = (&mut dq[a], &mut dk[b.clone()], &mut dv[b]);
        let (mut p, mut ds) = (vec![0.0; t * t], vec![0.0; t * t]);
        let mut dqh = vec![0.0; t * dim];
        for j in 0..hkv {
            let mut kh = take(ks, t, hkv, j, dim);
            simd(|| rotary.turn_head(&mut kh, 1.0));
            let mut dkh = vec![0.0; t * dim];
            for h in j * (hq / hkv)..(j + 1) * (hq / hkv) {
                let beta = if h % (hq / hkv) == 0 { 0.0 } else { 1.0 };
                let mut qh = take(qs, t, hq, h, dim);
                simd(|| rotary.turn_head(&mut qh, 1.0));
                let gh = Mat::rows(&gs[h * dim..], t, dim, hq * dim);
                gemm(&mut p, t, 0.0, scale, Mat::rows(&qh, t, dim, dim), Mat::rows(&kh, t, dim, dim).t());
                causal_softmax(&mut p, t, window);
                gemm(&mut ds, t, 0.0, 1.0, gh, Mat::rows(&vs[j * dim..], t, dim, hkv * dim).t());
                gemm(&mut dvs[j * dim..], hkv * dim, beta, 1.0, Mat::rows(&p, t, t, t).t(), gh);
                simd(|| {
                    for (i, (ds, p)) in ds.chunks_exact_mut(t).zip(p.chunks_exact(t)).enumerate() {
                        let sum = dot(&ds[..=i], &p[..=i]);
                        ds[..=i].iter_mut().zip(p).for_each(|(d, p)| *d = (*d - sum) * p);
                        ds[i + 1..].fill(0.0);
                    }
                });
                gemm(&mut dqh, dim, 0.0, scale, Mat::rows(&ds, t, t, t), Mat::rows(&kh, t, dim, dim));
                gemm(&mut dkh, dim, beta, scale, Mat::rows(&ds, t, t, t).t(), Mat::rows(&qh, t, dim, dim));
                simd(|| rotary.turn_head(&mut dqh, -1.0));
                put(dqs, &dqh, hq, h, dim);
            }
            simd(|| rotary.turn_head(&mut dkh, -1.0));
            put(dks, &dkh, hkv, j, dim);
        }
        start += t;
    }
    (dq, dk, dv)
}

/// Keys and values of one stretch of positions, rotated, position-major `[positions, heads.kv·dim]`.
#[derive(Clone, Debug, Default)]
pub struct KeyValues {
    /// Keys.
    pub k: Vec<f32>,
    /// Values.
    pub v: Vec<f32>,
}

/// Attention of `t` new queries (already rotated, `[t, heads.q·dim]`) over `prefix` and then `own`, whose last `t` positions are the queries' own.
pub fn cached_attention(q: &[f32], prefix: Option<&KeyValues>, own: &KeyValues, heads: Heads, out: &mut [f32]) {
    let parts = [prefix, Some(own)];
    match (q.len() / (heads.q * heads.dim), heads.dim) {
        (1..4, 32) => few_queries::<32>(q, parts, heads, out),
        (1..4, 64) => few_queries::<64>(q, parts, heads, out),
        (1..4, 96) => few_queries::<96>(q, parts, heads, out),
        (1..4, 128) => few_queries::<128>(q, parts, heads, out),
        (1..4, 256) => few_queries::<256>(q, parts, heads, out),
        _ => many_queries(q, parts, heads, out),
    }
}

/// Softmax of every row over the positions that its query sees: all but the last `t` − 1 − i of them, and of these the last `window`.
fn visible_softmax(s: &mut [f32], n: usize, window: usize) {
    let t = s.len() / n;
    simd(|| {
        for (i, row) in s.chunks_exact_mut(n).enumerate() {
            let (live, dead) = row.split_at_mut(n - t + i + 1);
            let (gone, live) = live.split_at_mut((n - t + i + 1).saturating_sub(window));
            gone.fill(0.0);
            let (_, sum) = exponentiate(live);
            let r = 1.0 / sum;
            live.iter_mut().for_each(|x| *x *= r);
            dead.fill(0.0);
        }
    });
}

fn many_queries(q: &[f32], parts: [Option<&KeyValues>; 2], heads: Heads, out: &mut [f32]) {
    let Heads { q: hq, kv: hkv, dim, window } = heads;
    let (rq, rkv) = (hq * dim, hkv * dim);
    let t = q.len() / rq;
    let scale = 1.0 / (dim as f32).sqrt();
    let parts = parts.into_iter().flatten().filter(|kv| !kv.k.is_empty());
    let n: usize = parts.clone().map(|kv| kv.k.len() / rkv).sum();
    let mut s = vec![0.0; t * n];
    for h in 0..hq {
        let at = h / (hq / hkv) * dim;
        let mut first = 0;
        for kv in parts.clone() {
            let len = kv.k.len() / rkv;
            gemm(&mut s[first..], n, 0.0, scale, Mat::rows(&q[h * dim..], t, dim, rq), Mat::rows(&kv.k[at..], len, dim, rkv).t());
            first += len;
        }
        visible_softmax(&mut s, n, window);
        let (mut first, mut beta) = (0, 0.0);
        for kv in parts.clone() {
            let len = kv.k.len() / rkv;
            gemm(&mut out[h * dim..], rq, beta, 1.0, Mat::rows(&s[first..], t, len, n), Mat::rows(&kv.v[at..], len, dim, rkv));
            (first, beta) = (first + len, 1.0);
        }
    }
}

/// One head's rows of `[n, heads, D]`.
#[inline(always)]
fn head_rows<const D: usize>(x: &[f32], head: usize, heads: usize) -> impl Iterator<Item = &[f32; D]> {
    x.as_chunks::<D>().0.chunks_exact(heads).map(move |row| &row[head])
}

/// As [`many_queries`] for heads of width `D`, with a head's sums in registers.
fn few_queries<const D: usize>(q: &[f32], parts: [Option<&KeyValues>; 2], heads: Heads, out: &mut [f32]) {
    let (rq, rkv, group) = (heads.q * D, heads.kv * D, heads.q / heads.kv);
    let t = q.len() / rq;
    let scale = 1.0 / (D as f32).sqrt();
    let n: usize = parts.iter().flatten().map(|kv| kv.k.len() / rkv).sum();
    // Before it no query sees anything.
    let unseen = (n + 1 - t).saturating_sub(heads.window);
    // Of the query heads that share keys: scores `[query head, t, n]`.
    let mut s = vec![0.0; group * t * n];
    for g in 0..heads.kv {
        let query = |i: usize| (i % t) * heads.q + g * group + i / t;
        simd(|| {
            let queries = q.as_chunks::<D>().0;
            let mut first = 0;
            for kv in parts.iter().flatten() {
                let skip = unseen.saturating_sub(first);
                for (p, k) in head_rows::<D>(&kv.k, g, heads.kv).enumerate().skip(skip) {
                    for i in 0..group * t {
                        s[i * n + first + p] = dot(&queries[query(i)], k) * scale;
                    }
                }
                first += kv.k.len() / rkv;
            }
        });
        s.chunks_exact_mut(t * n).for_each(|s| visible_softmax(s, n, heads.window));
        simd(|| {
            let out = out.as_chunks_mut::<D>().0;
            for (i, s) in s.chunks_exact(n).enumerate() {
                let (mut sum, mut first) = ([0.0f32; D], 0);
                for kv in parts.iter().flatten() {
                    let len = kv.v.len() / rkv;
                    let skip = unseen.saturating_sub(first).min(len);
                    for (v, p) in head_rows::<D>(&kv.v, g, heads.kv).skip(skip).zip(&s[first + skip..first + len]) {
                        sum.iter_mut().zip(v).for_each(|(sum, v)| *sum += p * v);
                    }
                    first += len;
                }
                out[query(i)] = sum;
            }
        });
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

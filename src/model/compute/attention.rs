//! Attention on f32 slices: over packed sequences, forward and backward, and of new positions over those of a cache.

use super::gemm::{Mat, gemm};
use super::kernels::{Rotary, dot, exponentiate, simd};

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
    simd(
        #[inline(always)]
        || {
            for (i, row) in s.chunks_exact_mut(t).enumerate() {
                let (live, dead) = row.split_at_mut(i + 1);
                let (gone, live) = live.split_at_mut((i + 1).saturating_sub(window));
                gone.fill(0.0);
                let (_, sum) = exponentiate(live);
                let r = 1.0 / sum;
                live.iter_mut().for_each(|x| *x *= r);
                dead.fill(0.0);
            }
        },
    );
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
            simd(
                #[inline(always)]
                || rotary.turn_head(&mut kh, 1.0),
            );
            for h in g * (hq / hkv)..(g + 1) * (hq / hkv) {
                let mut qh = take(qs, t, hq, h, dim);
                simd(
                    #[inline(always)]
                    || rotary.turn_head(&mut qh, 1.0),
                );
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
            simd(
                #[inline(always)]
                || rotary.turn_head(&mut kh, 1.0),
            );
            let mut dkh = vec![0.0; t * dim];
            for h in j * (hq / hkv)..(j + 1) * (hq / hkv) {
                let beta = if h % (hq / hkv) == 0 { 0.0 } else { 1.0 };
                let mut qh = take(qs, t, hq, h, dim);
                simd(
                    #[inline(always)]
                    || rotary.turn_head(&mut qh, 1.0),
                );
                let gh = Mat::rows(&gs[h * dim..], t, dim, hq * dim);
                gemm(&mut p, t, 0.0, scale, Mat::rows(&qh, t, dim, dim), Mat::rows(&kh, t, dim, dim).t());
                causal_softmax(&mut p, t, window);
                gemm(&mut ds, t, 0.0, 1.0, gh, Mat::rows(&vs[j * dim..], t, dim, hkv * dim).t());
                gemm(&mut dvs[j * dim..], hkv * dim, beta, 1.0, Mat::rows(&p, t, t, t).t(), gh);
                simd(
                    #[inline(always)]
                    || {
                        for (i, (ds, p)) in ds.chunks_exact_mut(t).zip(p.chunks_exact(t)).enumerate() {
                            let sum = dot(&ds[..=i], &p[..=i]);
                            ds[..=i].iter_mut().zip(p).for_each(|(d, p)| *d = (*d - sum) * p);
                            ds[i + 1..].fill(0.0);
                        }
                    },
                );
                gemm(&mut dqh, dim, 0.0, scale, Mat::rows(&ds, t, t, t), Mat::rows(&kh, t, dim, dim));
                gemm(&mut dkh, dim, beta, scale, Mat::rows(&ds, t, t, t).t(), Mat::rows(&qh, t, dim, dim));
                simd(
                    #[inline(always)]
                    || rotary.turn_head(&mut dqh, -1.0),
                );
                put(dqs, &dqh, hq, h, dim);
            }
            simd(
                #[inline(always)]
                || rotary.turn_head(&mut dkh, -1.0),
            );
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

/// Attention of `t` new queries (already rotated, `[t, heads.q·dim]`) over `prefix` and then `own`, whose last `t` positions are the queries' own, for the
/// query heads that share key–value head `g`: `out` is `[t, dim·heads.q/heads.kv]`.
pub fn cached_attention(q: &[f32], prefix: Option<&KeyValues>, own: &KeyValues, heads: Heads, g: usize, out: &mut [f32]) {
    let parts = [prefix, Some(own)];
    match (q.len() / (heads.q * heads.dim), heads.dim) {
        (1..4, 32) => few_queries::<32>(q, parts, heads, g, out),
        (1..4, 64) => few_queries::<64>(q, parts, heads, g, out),
        (1..4, 96) => few_queries::<96>(q, parts, heads, g, out),
        (1..4, 128) => few_queries::<128>(q, parts, heads, g, out),
        (1..4, 256) => few_queries::<256>(q, parts, heads, g, out),
        _ => many_queries(q, parts, heads, g, out),
    }
}

/// Softmax of every row over the positions that its query sees: all but the last `t` − 1 − i of them, and of these the last `window`.
fn visible_softmax(s: &mut [f32], n: usize, window: usize) {
    let t = s.len() / n;
    simd(
        #[inline(always)]
        || {
            for (i, row) in s.chunks_exact_mut(n).enumerate() {
                let (live, dead) = row.split_at_mut(n - t + i + 1);
                let (gone, live) = live.split_at_mut((n - t + i + 1).saturating_sub(window));
                gone.fill(0.0);
                let (_, sum) = exponentiate(live);
                let r = 1.0 / sum;
                live.iter_mut().for_each(|x| *x *= r);
                dead.fill(0.0);
            }
        },
    );
}

fn many_queries(q: &[f32], parts: [Option<&KeyValues>; 2], heads: Heads, g: usize, out: &mut [f32]) {
    let Heads { q: hq, kv: hkv, dim, window } = heads;
    let (rq, rkv, group) = (hq * dim, hkv * dim, hq / hkv);
    let t = q.len() / rq;
    let scale = 1.0 / (dim as f32).sqrt();
    let parts = parts.into_iter().flatten().filter(|kv| !kv.k.is_empty());
    let n: usize = parts.clone().map(|kv| kv.k.len() / rkv).sum();
    let mut s = vec![0.0; t * n];
    for i in 0..group {
        let (h, mut first) = (g * group + i, 0);
        for kv in parts.clone() {
            let len = kv.k.len() / rkv;
            gemm(&mut s[first..], n, 0.0, scale, Mat::rows(&q[h * dim..], t, dim, rq), Mat::rows(&kv.k[g * dim..], len, dim, rkv).t());
            first += len;
        }
        visible_softmax(&mut s, n, window);
        let (mut first, mut beta) = (0, 0.0);
        for kv in parts.clone() {
            let len = kv.k.len() / rkv;
            let v = Mat::rows(&kv.v[g * dim..], len, dim, rkv);
            gemm(&mut out[i * dim..], group * dim, beta, 1.0, Mat::rows(&s[first..], t, len, n), v);
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
fn few_queries<const D: usize>(q: &[f32], parts: [Option<&KeyValues>; 2], heads: Heads, g: usize, out: &mut [f32]) {
    let (rq, rkv, group) = (heads.q * D, heads.kv * D, heads.q / heads.kv);
    let t = q.len() / rq;
    let scale = 1.0 / (D as f32).sqrt();
    let n: usize = parts.iter().flatten().map(|kv| kv.k.len() / rkv).sum();
    // Before it no query sees anything.
    let unseen = (n + 1 - t).saturating_sub(heads.window);
    // Scores `[query head, t, n]`.
    let mut s = vec![0.0; group * t * n];
    simd(
        #[inline(always)]
        || {
            let queries = q.as_chunks::<D>().0;
            let mut first = 0;
            for kv in parts.iter().flatten() {
                let skip = unseen.saturating_sub(first);
                for (p, k) in head_rows::<D>(&kv.k, g, heads.kv).enumerate().skip(skip) {
                    for i in 0..group * t {
                        s[i * n + first + p] = dot(&queries[i % t * heads.q + g * group + i / t], k) * scale;
                    }
                }
                first += kv.k.len() / rkv;
            }
        },
    );
    s.chunks_exact_mut(t * n).for_each(|s| visible_softmax(s, n, heads.window));
    simd(
        #[inline(always)]
        || {
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
                out[i % t * group + i / t] = sum;
            }
        },
    );
}

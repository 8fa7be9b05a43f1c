//! Differentiable building blocks of a decoder.
//!
//! On the CPU in f32 each is one fused kernel with a backward of its own; elsewhere, and in f64, the same formula made of candle's
//! differentiable operations. candle's own fused softmax, norm and rope drop the gradient without a word and are not used.

use super::attention::{self, Heads};
use super::gemm::{Mat, gemm};
use super::kernels::{self, Rotary};
use super::storage::{fused, slice, tensor, with};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, D, DType, Device, Layout, Result, Shape, Tensor, bail};
use std::sync::Arc;

struct Linear;

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, k) = lx.shape().dims2()?;
        let (m, _) = lw.shape().dims2()?;
        let mut out = vec![0.0; n * m];
        gemm(&mut out, m, 0.0, 1.0, Mat::rows(slice(x, lx)?, n, k, k), Mat::rows(slice(w, lw)?, m, k, k).t());
        Ok((CpuStorage::F32(out), (n, m).into()))
    }
    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let ((n, k), (m, _)) = (x.dims2()?, w.dims2()?);
        let dx = match x.track_op() {
            false => None,
            true => Some(with([g, w], |[g, w]| {
                let mut out = vec![0.0; n * k];
                gemm(&mut out, k, 0.0, 1.0, Mat::rows(g, n, m, m), Mat::rows(w, m, k, k));
                tensor(out, x)
            })??),
        };
        let dw = match w.track_op() {
            false => None,
            true => Some(with([g, x], |[g, x]| {
                let mut out = vec![0.0; m * k];
                gemm(&mut out, k, 0.0, 1.0, Mat::rows(g, n, m, m).t(), Mat::rows(x, n, k, k));
                tensor(out, w)
            })??),
        };
        Ok((dx, dw))
    }
}

/// x·wᵀ: `x` `[n, in]`, `w` `[out, in]`. A frozen `w` costs no gradient.
pub fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    if !fused(x) || !fused(w) {
        return if w.track_op() { x.matmul(&w.t()?) } else { super::frozen::frozen(x, w) };
    }
    x.contiguous()?.apply_op2(&w.contiguous()?, Linear)
}

/// y + b in every row: `y` `[n, out]`, `b` `[out]`.
pub fn add_bias(y: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !fused(y) || !fused(b) || y.track_op() || b.track_op() {
        return y.broadcast_add(b);
    }
    let sum = with([y, b], |[y, b]| {
        let mut sum = y.to_vec();
        sum.chunks_exact_mut(b.len().max(1)).for_each(|row| row.iter_mut().zip(b).for_each(|(y, b)| *y += b));
        sum
    })?;
    tensor(sum, y)
}

struct RmsNorm(f32);

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }
    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(kernels::rms_norm(slice(x, lx)?, slice(w, lw)?, self.0)), lx.shape().clone()))
    }
    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = with([x, w, g], |[xs, ws, gs]| kernels::rms_norm_backward(xs, ws, gs, self.0))?;
        Ok((Some(tensor(dx, x)?), Some(tensor(dw, w)?)))
    }
}

/// Root-mean-square norm over the last dimension (arXiv 1910.07467): x / √(mean x² + ε) · w.
pub fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    if fused(x) {
        return x.contiguous()?.apply_op2(w, RmsNorm(eps as f32));
    }
    let dtype = x.dtype();
    let x = if dtype == DType::F64 { x.clone() } else { x.to_dtype(DType::F32)? };
    let r = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    x.broadcast_div(&r)?.to_dtype(dtype)?.broadcast_mul(w)
}

struct SwiGlu;

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }
    fn cpu_fwd(&self, a: &CpuStorage, la: &Layout, u: &CpuStorage, lu: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(kernels::swiglu(slice(a, la)?, slice(u, lu)?)), la.shape().clone()))
    }
    fn bwd(&self, a: &Tensor, u: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (da, du) = with([a, u, g], |[a, u, g]| kernels::swiglu_backward(a, u, g))?;
        Ok((Some(tensor(da, a)?), Some(tensor(du, u)?)))
    }
}

/// silu(gate) ∘ up (arXiv 2002.05202).
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if fused(gate) {
        return gate.contiguous()?.apply_op2(&up.contiguous()?, SwiGlu);
    }
    gate.silu()? * up
}

struct GeGlu;

impl CustomOp2 for GeGlu {
    fn name(&self) -> &'static str {
        "geglu"
    }
    fn cpu_fwd(&self, a: &CpuStorage, la: &Layout, u: &CpuStorage, lu: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(kernels::geglu(slice(a, la)?, slice(u, lu)?)), la.shape().clone()))
    }
    fn bwd(&self, a: &Tensor, u: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (da, du) = with([a, u, g], |[a, u, g]| kernels::geglu_backward(a, u, g))?;
        Ok((Some(tensor(da, a)?), Some(tensor(du, u)?)))
    }
}

/// gelu(gate) ∘ up, GELU in its tanh form (arXiv 1606.08415).
pub fn geglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if fused(gate) {
        return gate.contiguous()?.apply_op2(&up.contiguous()?, GeGlu);
    }
    gate.gelu()? * up
}

/// Packed sequences and the heads that attend over them.
#[derive(Clone)]
pub struct AttentionPlan {
    /// Rows of each sequence; they follow each other.
    pub lens: Arc<Vec<usize>>,
    /// Heads.
    pub heads: Heads,
    /// Rotary angles for at least the longest sequence.
    pub rotary: Arc<Rotary>,
}

struct Attention(AttentionPlan);

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }
    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        lq: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let p = &self.0;
        let out = attention::attention(slice(q, lq)?, slice(k, lk)?, slice(v, lv)?, &p.lens, p.heads, &p.rotary);
        Ok((CpuStorage::F32(out), lq.shape().clone()))
    }
    fn bwd(&self, q: &Tensor, k: &Tensor, v: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let p = &self.0;
        let (dq, dk, dv) =
            with([q, k, v, g], |[qs, ks, vs, gs]| attention::attention_backward((qs, ks, vs), gs, &p.lens, p.heads, &p.rotary))?;
        Ok((Some(tensor(dq, q)?), Some(tensor(dk, k)?), Some(tensor(dv, v)?)))
    }
}

/// Causal attention with rotary positions over packed sequences; q `[n, heads.q·dim]`, k and v `[n, heads.kv·dim]`, result as q.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, plan: &AttentionPlan) -> Result<Tensor> {
    if fused(q) {
        return q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, Attention(plan.clone()));
    }
    let Heads { q: hq, kv, dim, window } = plan.heads;
    let (mut out, mut start) = (Vec::new(), 0);
    for &t in plan.lens.iter() {
        let part = |x: &Tensor, heads: usize| x.narrow(0, start, t)?.reshape((t, heads, dim))?.transpose(0, 1)?.contiguous();
        let q = rotate(&part(q, hq)?, &plan.rotary, 0)?;
        let k = repeat_heads(&rotate(&part(k, kv)?, &plan.rotary, 0)?, hq / kv)?;
        let v = repeat_heads(&part(v, kv)?, hq / kv)?;
        let o = attend(&q, &k, &v, &causal_mask(t, t, window, q.device())?)?;
        out.push(o.transpose(0, 1)?.reshape((t, hq * dim))?);
        start += t;
    }
    Tensor::cat(&out, 0)
}

/// Rotates `[heads, t, dim]`, rows standing at `first`, `first + 1`, …
pub(crate) fn rotate(x: &Tensor, rotary: &Rotary, first: usize) -> Result<Tensor> {
    let (_, t, dim) = x.dims3()?;
    let h = rotary.half;
    if h == 0 {
        return Ok(x.clone());
    }
    let table = |v: &[f32]| {
        Tensor::from_slice(&v[first * h..(first + t) * h], (t, h), x.device())?.to_dtype(x.dtype())?.broadcast_as((x.dim(0)?, t, h))
    };
    let (cos, sin) = (table(&rotary.cos)?, table(&rotary.sin)?);
    let (a, b) = (x.narrow(2, 0, h)?, x.narrow(2, h, h)?);
    let (a, b) = (((&a * &cos)? - (&b * &sin)?)?, ((&b * &cos)? + (&a * &sin)?)?);
    if 2 * h == dim { Tensor::cat(&[a, b], 2) } else { Tensor::cat(&[a, b, x.narrow(2, 2 * h, dim - 2 * h)?], 2) }
}

/// Repeats each key–value head for the query heads that share it: `[kv, t, dim]` → `[kv·n, t, dim]`.
pub(crate) fn repeat_heads(x: &Tensor, n: usize) -> Result<Tensor> {
    let (h, t, d) = x.dims3()?;
    if n == 1 { Ok(x.clone()) } else { x.unsqueeze(1)?.broadcast_as((h, n, t, d))?.reshape((h * n, t, d)) }
}

/// 1 where query i, of the last `t` of `n` positions, must not see key j: one after it, or before its `window`.
pub(crate) fn causal_mask(t: usize, n: usize, window: usize, device: &Device) -> Result<Tensor> {
    let hidden = |at: usize, j: usize| j > at || j < (at + 1).saturating_sub(window);
    let mask: Vec<u8> = (0..t).flat_map(|i| (0..n).map(move |j| u8::from(hidden(n - t + i, j)))).collect();
    Tensor::from_vec(mask, (t, n), device)
}

/// softmax(q·kᵀ/√dim)·v over `[heads, t, dim]` in candle's differentiable operations.
pub(crate) fn attend(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let dim = q.dim(D::Minus1)?;
    let s = (q.contiguous()?.matmul(&k.t()?.contiguous()?)? / (dim as f64).sqrt())?;
    let s = if s.dtype() == DType::F64 { s } else { s.to_dtype(DType::F32)? };
    let never = Tensor::new(f32::NEG_INFINITY, s.device())?.to_dtype(s.dtype())?.broadcast_as(s.shape())?;
    let s = mask.broadcast_as(s.shape())?.where_cond(&never, &s)?;
    candle_nn::ops::softmax(&s, D::Minus1)?.to_dtype(v.dtype())?.matmul(&v.contiguous()?)
}

struct TokenLogProb(Arc<Vec<u32>>);

impl CustomOp1 for TokenLogProb {
    fn name(&self) -> &'static str {
        "token-log-prob"
    }
    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, v) = l.shape().dims2()?;
        let x = slice(x, l)?;
        let picked: Vec<f32> = self.0.iter().enumerate().map(|(i, &t)| x[i * v + t as usize]).collect();
        let lse = kernels::softmax_rows(&mut x.to_vec(), v);
        Ok((CpuStorage::F32(picked.iter().zip(lse).map(|(x, l)| x - l).collect()), n.into()))
    }
    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let v = x.dim(1)?;
        let out = with([x, g], |[x, g]| {
            let mut p = x.to_vec();
            kernels::softmax_rows(&mut p, v);
            for ((row, &g), &t) in p.chunks_exact_mut(v).zip(g).zip(self.0.iter()) {
                row.iter_mut().for_each(|p| *p *= -g);
                row[t as usize] += g;
            }
            p
        })?;
        Ok(Some(tensor(out, x)?))
    }
}

/// ln softmax(logits) at the target, row by row: `logits` `[n, vocabulary]`, one target a row. Fails on a target outside the vocabulary.
pub fn token_log_prob(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let (n, v) = logits.dims2()?;
    if targets.len() != n || targets.iter().any(|&t| t as usize >= v) {
        bail!("targets do not fit logits [{n}, {v}]");
    }
    if fused(logits) {
        return logits.contiguous()?.apply_op1(TokenLogProb(Arc::new(targets.to_vec())));
    }
    let logits = if logits.dtype() == DType::F64 { logits.clone() } else { logits.to_dtype(DType::F32)? };
    let index = Tensor::from_slice(targets, (n, 1), logits.device())?;
    candle_nn::ops::log_softmax(&logits, D::Minus1)?.gather(&index, 1)?.squeeze(1)
}

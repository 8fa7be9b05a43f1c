//! Products with the weight of a linear layer, however it is stored, with or without a low-rank adapter.
//!
//! With y = W·x + s·B·(A·x): dx = Wᵀg + s·Aᵀ(Bᵀg), dA = s·(Bᵀg)·xᵀ, dB = s·g·(A·x)ᵀ, and W, which is frozen, has no gradient (arXiv 2106.09685).

use super::frozen::Frozen;
use super::gemm::{Mat, gemm};
use super::ops;
use super::storage::{fused, slice, tensor, with};
use crate::model::LinearWeight;
use candle_core::quantized::{QMatMul, QStorage, QTensor};
use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Module, Result, Shape, Tensor, bail};
use std::borrow::Cow;

/// Numbers of a quantised matrix that stand dequantised in memory at a time.
const STRIPE: usize = 1 << 20;

/// A frozen matrix with a low-rank addition: W + scale·B·A.
#[derive(Debug)]
pub struct Lora {
    /// W `[out, in]`.
    pub base: LinearWeight,
    /// A `[rank, in]`.
    pub a: Tensor,
    /// B `[out, rank]`.
    pub b: Tensor,
    /// α / rank.
    pub scale: f64,
}

impl LinearWeight {
    /// x·wᵀ: `[n, in]` → `[n, out]`, differentiable in x, in a dense weight and in an adapter.
    ///
    /// A quantised matrix is multiplied as what it stands for if `exact`; otherwise activations are rounded with it, and no gradient passes.
    pub(in crate::model) fn forward(&self, x: &Tensor, exact: bool) -> Result<Tensor> {
        match self {
            Self::Dense(w) => ops::linear(x, w),
            Self::Lora(l) if exact && fused(x) => {
                x.contiguous()?.apply_op3(&l.a.contiguous()?, &l.b.contiguous()?, Adapted { base: l.base.clone(), scale: l.scale })
            }
            Self::Lora(l) => l.base.forward(x, exact)? + ops::linear(&(ops::linear(x, &l.a)? * l.scale)?, &l.b)?,
            Self::Columns(_) => x.contiguous()?.apply_op1(Frozen(self.clone())),
            _ if exact => x.contiguous()?.apply_op1(Frozen(self.clone())),
            Self::Quantized(w) => w.forward(x),
            Self::Codes(w) => Tensor::from_vec(with([x], |[x]| w.forward(x))?, (x.dim(0)?, w.dims().0), x.device()),
        }
    }

    /// Whether it has an adapter that is being trained.
    pub(in crate::model) fn adapts(&self) -> bool {
        matches!(self, Self::Lora(l) if l.a.is_variable())
    }

    /// The tensors that may be variables.
    pub(in crate::model) fn variables(&self) -> Vec<Tensor> {
        match self {
            Self::Dense(w) => vec![w.clone()],
            Self::Lora(l) => vec![l.a.clone(), l.b.clone()],
            Self::Columns(_) | Self::Quantized(_) | Self::Codes(_) => Vec::new(),
        }
    }

    /// The same weight as inference reads it fastest: a dense f32 matrix on the CPU, its adapter merged, is transposed, so that a product with few rows need
    /// not lay it out anew; what is stored in another form stays as it is.
    pub(in crate::model) fn for_inference(self) -> Result<Self> {
        let native = match &self {
            Self::Dense(w) => fused(w),
            Self::Lora(l) => matches!(&l.base, Self::Dense(w) if fused(w)),
            _ => false,
        };
        if native { Ok(Self::Columns(self.dense(DType::F32)?.detach().t()?.contiguous()?)) } else { Ok(self) }
    }

    /// The matrix that it stands for, `[out, in]`, dequantised and with its adapter merged: W + scale·B·A.
    pub fn dense(&self, dtype: DType) -> Result<Tensor> {
        match self {
            Self::Dense(w) => w.to_dtype(dtype),
            Self::Columns(w) => w.t()?.contiguous()?.to_dtype(dtype),
            Self::Quantized(w) => match &**w {
                QMatMul::QTensor(w) => w.dequantize(&w.device())?.to_dtype(dtype),
                QMatMul::Tensor(w) | QMatMul::TensorF16(w) => w.to_dtype(dtype),
            },
            Self::Codes(w) => {
                let mut all = Vec::with_capacity(w.dims().0 * w.dims().1);
                w.stripes(STRIPE, &mut |_, rows| all.extend_from_slice(rows));
                Tensor::from_vec(all, w.dims(), &Device::Cpu)?.to_dtype(dtype)
            }
            Self::Lora(l) => l.base.dense(dtype)? + (l.b.matmul(&l.a)? * l.scale)?.to_dtype(dtype)?,
        }
    }

    pub(in crate::model) fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Self::Dense(w) => w.dims2(),
            Self::Columns(w) => w.dims2().map(|(k, out)| (out, k)),
            Self::Quantized(w) => match &**w {
                QMatMul::QTensor(w) => w.shape().dims2(),
                QMatMul::Tensor(w) | QMatMul::TensorF16(w) => w.dims2(),
            },
            Self::Codes(w) => Ok(w.dims()),
            Self::Lora(l) => l.base.dims(),
        }
    }

    /// The rows of these indices, `[ids, width]`, differentiable in a dense matrix. Fails where there is no such row.
    pub(in crate::model) fn rows(&self, ids: &[u32]) -> Result<Tensor> {
        let (all, width) = self.dims()?;
        if let Some(id) = ids.iter().find(|&&id| id as usize >= all) {
            bail!("a matrix of {all} rows has no row {id}");
        }
        let quantised = match self {
            Self::Dense(w) => return w.index_select(&Tensor::from_slice(ids, ids.len(), w.device())?, 0),
            Self::Codes(w) => {
                let mut rows = vec![0.0; ids.len() * width];
                rows.chunks_exact_mut(width).zip(ids).for_each(|(row, &id)| w.row(id as usize, row));
                return Tensor::from_vec(rows, (ids.len(), width), &Device::Cpu);
            }
            Self::Quantized(w) => w,
            _ => return LinearWeight::Dense(self.dense(DType::F32)?).rows(ids),
        };
        let w = match &**quantised {
            QMatMul::QTensor(w) => w,
            QMatMul::Tensor(w) | QMatMul::TensorF16(w) => return LinearWeight::Dense(w.clone()).rows(ids),
        };
        let data = w.data()?;
        let bytes = data.len() / all.max(1);
        let picked: Vec<u8> = ids.iter().flat_map(|&id| &data[id as usize * bytes..][..bytes]).copied().collect();
        QTensor::new(QStorage::from_data(Cow::Owned(picked), &Device::Cpu, w.dtype())?, (ids.len(), width))?.dequantize(&Device::Cpu)
    }

    /// Hands `f` the rows of the matrix in f32, all or some at a time: the index of the first, and the rows `[r, in]`.
    fn stripes(&self, f: &mut dyn FnMut(usize, &[f32])) -> Result<()> {
        let quantised = match self {
            Self::Codes(w) => {
                w.stripes(STRIPE, f);
                return Ok(());
            }
            Self::Quantized(w) => match &**w {
                QMatMul::QTensor(w) => Some(w),
                _ => None,
            },
            _ => None,
        };
        match quantised {
            Some(w) => {
                let (out, input) = w.shape().dims2()?;
                let data = w.data()?;
                let (bytes, rows) = (data.len() / out, (STRIPE / input).max(1));
                for first in (0..out).step_by(rows) {
                    let last = (first + rows).min(out);
                    let part = QStorage::from_data(Cow::Borrowed(&data[first * bytes..last * bytes]), &Device::Cpu, w.dtype())?;
                    let part = QTensor::new(part, (last - first, input))?.dequantize(&Device::Cpu)?;
                    with([&part], |[rows]| f(first, rows))?;
                }
            }
            None => with([&self.dense(DType::F32)?], |[rows]| f(0, rows))?,
        }
        Ok(())
    }

    /// x·wᵀ of rows in f32.
    pub(in crate::model) fn product(&self, x: &[f32]) -> Result<Vec<f32>> {
        let (out, k) = self.dims()?;
        let n = x.len() / k;
        let mut y = vec![0.0; n * out];
        if let Self::Columns(w) = self {
            with([w], |[w]| gemm(&mut y, out, 0.0, 1.0, Mat::rows(x, n, k, k), Mat::rows(w, k, out, out)))?;
            return Ok(y);
        }
        self.stripes(&mut |first, rows| {
            gemm(&mut y[first..], out, 0.0, 1.0, Mat::rows(x, n, k, k), Mat::rows(rows, rows.len() / k, k, k).t());
        })?;
        Ok(y)
    }

    /// g·w of rows in f32: the gradient of x.
    pub(in crate::model) fn gradient(&self, g: &[f32]) -> Result<Vec<f32>> {
        let (out, k) = self.dims()?;
        let n = g.len() / out;
        let mut dx = vec![0.0; n * k];
        self.stripes(&mut |first, rows| {
            let r = rows.len() / k;
            gemm(&mut dx, k, 1.0, 1.0, Mat::rows(&g[first..], n, r, out), Mat::rows(rows, r, k, k));
        })?;
        Ok(dx)
    }
}

/// A frozen weight and its adapter in one, on the CPU in f32. Arguments: x `[n, in]`, A `[r, in]`, B `[out, r]`.
struct Adapted {
    base: LinearWeight,
    scale: f64,
}

impl CustomOp3 for Adapted {
    fn name(&self) -> &'static str {
        "lora"
    }
    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        a: &CpuStorage,
        la: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((n, k), (out, r)) = (lx.shape().dims2()?, lb.shape().dims2()?);
        let (x, a, b) = (slice(x, lx)?, slice(a, la)?, slice(b, lb)?);
        let mut y = self.base.product(x)?;
        let mut low = vec![0.0; n * r];
        gemm(&mut low, r, 0.0, 1.0, Mat::rows(x, n, k, k), Mat::rows(a, r, k, k).t());
        gemm(&mut y, out, 1.0, self.scale as f32, Mat::rows(&low, n, r, r), Mat::rows(b, out, r, r).t());
        Ok((CpuStorage::F32(y), (n, out).into()))
    }
    fn bwd(&self, x: &Tensor, a: &Tensor, b: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((n, k), (out, r)) = (x.dims2()?, b.dims2()?);
        let scale = self.scale as f32;
        let (da, db, dx) = with([x, a, b, g], |[xs, as_, bs, gs]| {
            let (x_, a_, b_, g_) = (Mat::rows(xs, n, k, k), Mat::rows(as_, r, k, k), Mat::rows(bs, out, r, r), Mat::rows(gs, n, out, out));
            let (mut low, mut back) = (vec![0.0; n * r], vec![0.0; n * r]);
            gemm(&mut low, r, 0.0, scale, x_, a_.t());
            gemm(&mut back, r, 0.0, scale, g_, b_);
            let back = Mat::rows(&back, n, r, r);
            let (mut da, mut db) = (vec![0.0; r * k], vec![0.0; out * r]);
            gemm(&mut da, k, 0.0, 1.0, back.t(), x_);
            gemm(&mut db, r, 0.0, 1.0, g_.t(), Mat::rows(&low, n, r, r));
            let dx = x.track_op().then(|| {
                let mut dx = self.base.gradient(gs)?;
                gemm(&mut dx, k, 1.0, 1.0, back, a_);
                tensor(dx, x)
            });
            Ok::<_, candle_core::Error>((tensor(da, a)?, tensor(db, b)?, dx.transpose()?))
        })??;
        Ok((dx, Some(da), Some(db)))
    }
}

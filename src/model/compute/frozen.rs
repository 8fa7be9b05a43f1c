//! A linear layer whose weight gets no gradient, on any device and in any float type.

use super::storage::{fused, slice, tensor, with};
use crate::model::LinearWeight;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, DType, Layout, MetalStorage, Result, Shape, Storage, Tensor, bail};

/// x·wᵀ with a `w` `[out, in]` that gets no gradient, on any device and in any float type.
pub(in crate::model) fn frozen(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Frozen(LinearWeight::Dense(w.clone())))
}

pub(in crate::model) struct Frozen(pub(in crate::model) LinearWeight);

/// x·wᵀ on the storage of a device.
fn matmul<S: BackendStorage>(x: &S, lx: &Layout, w: &S, lw: &Layout) -> Result<(S, Shape)> {
    let ((n, k), (m, _)) = (lx.shape().dims2()?, lw.shape().dims2()?);
    Ok((x.matmul(w, (1, n, m, k), lx, &lw.transpose(0, 1)?)?, (n, m).into()))
}

macro_rules! on_device {
    ($self:ident, $x:ident, $lx:ident, $kind:ident) => {{
        let w = $self.0.dense($x.dtype())?;
        let (storage, lw) = w.storage_and_layout();
        match &*storage {
            Storage::$kind(w) => matmul($x, $lx, w, lw),
            _ => bail!("a linear layer's weight and its input are on different devices"),
        }
    }};
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }
    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        if x.dtype() != DType::F32 {
            return on_device!(self, x, lx, Cpu);
        }
        Ok((CpuStorage::F32(self.0.product(slice(x, lx)?)?), (lx.shape().dims2()?.0, self.0.dims()?.0).into()))
    }
    fn cuda_fwd(&self, x: &CudaStorage, lx: &Layout) -> Result<(CudaStorage, Shape)> {
        on_device!(self, x, lx, Cuda)
    }
    fn metal_fwd(&self, x: &MetalStorage, lx: &Layout) -> Result<(MetalStorage, Shape)> {
        on_device!(self, x, lx, Metal)
    }
    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(match fused(g) {
            true => tensor(with([g], |[g]| self.0.gradient(g))??, x)?,
            false => g.contiguous()?.matmul(&self.0.dense(g.dtype())?)?,
        }))
    }
}

//! The elements of tensors on the CPU, for the fused kernels.

use candle_core::{CpuStorage, DType, Device, Layout, Result, Tensor, bail};

/// Whether the fused kernels compute with `x`.
pub(in crate::model) fn fused(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// The elements of a contiguous f32 storage.
pub(in crate::model) fn slice<'a>(s: &'a CpuStorage, l: &Layout) -> Result<&'a [f32]> {
    match (s, l.contiguous_offsets()) {
        (CpuStorage::F32(v), Some((a, b))) => Ok(&v[a..b]),
        _ => bail!("fused operations read contiguous f32"),
    }
}

/// Runs `f` on the elements of contiguous f32 tensors.
pub(crate) fn with<R, const N: usize>(tensors: [&Tensor; N], f: impl FnOnce([&[f32]; N]) -> R) -> Result<R> {
    let tensors: Vec<Tensor> = tensors.iter().map(|t| t.contiguous()).collect::<Result<_>>()?;
    let guards: Vec<_> = tensors.iter().map(|t| t.storage_and_layout()).collect();
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slot, (storage, layout)) in slices.iter_mut().zip(&guards) {
        match &**storage {
            candle_core::Storage::Cpu(s) => *slot = slice(s, layout)?,
            _ => bail!("fused operations run on the CPU"),
        }
    }
    Ok(f(slices))
}

/// A tensor of the shape of `like`.
pub(in crate::model) fn tensor(data: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(data, like.shape(), &Device::Cpu)
}

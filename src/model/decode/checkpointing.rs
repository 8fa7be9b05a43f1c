//! Gradient checkpointing (arXiv 1604.06174): of a function only the argument is kept, and the backward pass computes it again.

use crate::model::ModelError;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, Error, Layout, MetalStorage, Result, Shape, Storage, Tensor, TensorId, Var, bail};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

type Function = dyn Fn(&Tensor) -> std::result::Result<Tensor, ModelError> + Send + Sync;
/// Gradients of weights between the operation that computes them and those that hand them over.
type Aside = Arc<Mutex<HashMap<TensorId, Tensor>>>;

/// f(x), differentiable in `x` and in those of `weights` that are variables; until the backward pass `x` alone is kept of it.
///
/// candle takes gradients of two arguments from an operation and a block has more weights. So f's second argument is the end of a chain of
/// scalars with a link for every weight: candle asks the links only after f, and each gives the gradient that f has put aside for it.
pub(in crate::model) fn checkpoint(
    x: &Tensor,
    weights: Vec<Tensor>,
    f: impl Fn(&Tensor) -> std::result::Result<Tensor, ModelError> + Send + Sync + 'static,
) -> std::result::Result<Tensor, ModelError> {
    let weights: Vec<Tensor> = weights.into_iter().filter(Tensor::is_variable).collect();
    let aside = Aside::default();
    let mut chain = Tensor::zeros((), x.dtype(), x.device())?;
    for w in &weights {
        chain = chain.apply_op2(w, Link(aside.clone()))?;
    }
    let y = f(&x.detach())?.detach().contiguous()?;
    Ok(x.apply_op2(&chain, Again { f: Box::new(f), weights, y: Mutex::new(Some(y)), aside })?)
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(|e| e.into_inner())
}

/// A scalar that stays as it is; its second argument's gradient is what was put aside.
struct Link(Aside);

impl CustomOp2 for Link {
    fn name(&self) -> &'static str {
        "checkpoint-link"
    }
    fn cpu_fwd(&self, chain: &CpuStorage, l: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((chain.try_clone(l)?, l.shape().clone()))
    }
    fn cuda_fwd(&self, chain: &CudaStorage, l: &Layout, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((chain.try_clone(l)?, l.shape().clone()))
    }
    fn metal_fwd(&self, chain: &MetalStorage, l: &Layout, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        Ok((chain.try_clone(l)?, l.shape().clone()))
    }
    fn bwd(&self, chain: &Tensor, w: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((chain.track_op().then(|| g.clone()), lock(&self.0).remove(&w.id())))
    }
}

struct Again {
    f: Box<Function>,
    weights: Vec<Tensor>,
    /// The result, until candle has taken it.
    y: Mutex<Option<Tensor>>,
    aside: Aside,
}

macro_rules! take_result {
    ($self:ident, $kind:ident) => {{
        let Some(y) = lock(&$self.y).take() else { bail!("a checkpoint's result is there once") };
        let (storage, layout) = y.storage_and_layout();
        match &*storage {
            Storage::$kind(s) => Ok((s.try_clone(layout)?, y.shape().clone())),
            _ => bail!("a checkpoint's argument and its result are on different devices"),
        }
    }};
}

impl CustomOp2 for Again {
    fn name(&self) -> &'static str {
        "checkpoint"
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        take_result!(self, Cpu)
    }
    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        take_result!(self, Cuda)
    }
    fn metal_fwd(&self, _: &MetalStorage, _: &Layout, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        take_result!(self, Metal)
    }
    /// With y = f(x), the gradient of Σ y∘g is the vector–Jacobian product of g.
    fn bwd(&self, x: &Tensor, chain: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let argument = match x.track_op() {
            true => Var::from_tensor(&x.detach())?.into_inner(),
            false => x.clone(),
        };
        let y = (self.f)(&argument).map_err(Error::wrap)?;
        let mut grads = (y * g)?.sum_all()?.backward()?;
        let mut aside = lock(&self.aside);
        for w in &self.weights {
            if let Some(g) = grads.remove(w) {
                aside.insert(w.id(), g);
            }
        }
        let dx = if x.track_op() { grads.remove(&argument) } else { None };
        Ok((dx, chain.track_op().then(|| chain.zeros_like()).transpose()?))
    }
}

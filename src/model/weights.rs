//! Where a decoder's weights come from.

use super::{Codes, Lora, ModelError};
use candle_core::{Tensor, quantized::QMatMul};
use std::ops::Deref;

/// Weights by Hugging Face name (`model.layers.0.self_attn.q_proj.weight`), whatever the file calls them.
///
/// Rotary halves are in Hugging Face order (first half with second half), also for GGUF.
pub trait WeightSource {
    /// A dense tensor of exactly this shape, on the model's device and in its compute dtype.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError>;
    /// The matrix `name` of a linear layer, `[out, in]`; kept quantised where the source has it so.
    fn linear(&self, name: &str, out: usize, input: usize) -> Result<LinearWeight, ModelError> {
        Ok(LinearWeight::Dense(self.tensor(name, &[out, input])?))
    }
    /// The matrix `name` of which rows are looked up, `[rows, width]`; kept quantised where the source has it so.
    fn embedding(&self, name: &str, rows: usize, width: usize) -> Result<LinearWeight, ModelError> {
        Ok(LinearWeight::Dense(self.tensor(name, &[rows, width])?))
    }
    /// Whether the source has `name`.
    fn contains(&self, name: &str) -> bool;
    /// Whether it makes what it is asked for and does not have, as one does in which a new model begins.
    fn makes(&self) -> bool {
        false
    }
}

/// References and boxes are sources as what they point to.
impl<P: Deref<Target: WeightSource>> WeightSource for P {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        (**self).tensor(name, shape)
    }
    fn linear(&self, name: &str, out: usize, input: usize) -> Result<LinearWeight, ModelError> {
        (**self).linear(name, out, input)
    }
    fn embedding(&self, name: &str, rows: usize, width: usize) -> Result<LinearWeight, ModelError> {
        (**self).embedding(name, rows, width)
    }
    fn contains(&self, name: &str) -> bool {
        (**self).contains(name)
    }
    fn makes(&self) -> bool {
        (**self).makes()
    }
}

/// Weight of a linear layer, `[out, in]`.
#[derive(Clone, Debug)]
pub enum LinearWeight {
    /// Dense; trainable if it is a variable.
    Dense(Tensor),
    /// Dense and transposed, `[in, out]`, in f32 on the CPU; frozen. See [`Decoder::for_inference`](super::Decoder::for_inference).
    Columns(Tensor),
    /// Quantised in one of candle's forms; frozen.
    Quantized(std::sync::Arc<QMatMul>),
    /// Quantised, laid out for this processor; frozen.
    Codes(std::sync::Arc<Codes>),
    /// One of the others, frozen, with a low-rank adapter.
    Lora(std::sync::Arc<Lora>),
}

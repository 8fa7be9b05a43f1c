//! Where a decoder's weights come from.

use super::{Codes, ModelError};
use candle_core::{Tensor, quantized::QMatMul};

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
    /// Whether the source has `name`.
    fn contains(&self, name: &str) -> bool;
}

/// Weight of a linear layer.
#[derive(Clone, Debug)]
pub enum LinearWeight {
    /// `[out, in]`.
    Dense(Tensor),
    /// `[out, in]`, quantised; inference only.
    Quantized(std::sync::Arc<QMatMul>),
    /// `[out, in]` in 4- or 8-bit codes for this processor; inference only.
    Codes(std::sync::Arc<Codes>),
}

//! On processors without the instructions of `codes.rs` no matrix is kept in codes.

use crate::model::ModelError;
use candle_core::quantized::QTensor;

/// A matrix of codes, which this processor never has.
#[derive(Debug)]
pub enum Codes {}

impl Codes {
    /// `None`.
    pub fn new(_: &QTensor) -> Result<Option<Self>, ModelError> {
        Ok(None)
    }

    /// Outputs and inputs.
    pub fn dims(&self) -> (usize, usize) {
        match *self {}
    }

    /// x·wᵀ.
    pub fn forward(&self, _: &[f32]) -> Vec<f32> {
        match *self {}
    }

    /// The rows in f32.
    pub fn stripes(&self, _: usize, _: &mut dyn FnMut(usize, &[f32])) {
        match *self {}
    }
}

//! On processors without the kernels of `codes/` no matrix is laid out for them.

use candle_core::quantized::GgmlDType;

/// A format with a layout of its own, which this processor has for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {}

impl Kind {
    /// `None`.
    pub fn of(_: GgmlDType) -> Option<Self> {
        None
    }
}

/// A matrix that is laid out for kernels, which this processor never has.
#[derive(Debug)]
pub enum Codes {}

impl Codes {
    /// Never called, as there is no kind.
    pub fn new<E: Send>(kind: Kind, _: usize, _: usize, _: impl Fn(usize, &mut [u8]) -> Result<(), E> + Sync) -> Result<Self, E> {
        match kind {}
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

    /// One row in f32.
    pub fn row(&self, _: usize, _: &mut [f32]) {
        match *self {}
    }
}

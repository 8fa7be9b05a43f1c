//! What the updates of a stage move.

use super::optim::AdamW;

/// Named values of one update.
pub type Values = Vec<(&'static str, f64)>;

/// What a stage moves: optimisers with their variables, each under the name that its tensors have in a checkpoint, and bytes that the stage itself
/// reads back.
pub struct State {
    /// Updates of the stage that are done.
    pub step: usize,
    /// Optimisers by name.
    pub optimisers: Vec<(&'static str, AdamW)>,
    /// Bytes of the stage.
    pub extra: Vec<u8>,
}

impl State {
    /// A single optimiser.
    pub fn one(optimiser: AdamW) -> Self {
        Self { step: 0, optimisers: vec![("", optimiser)], extra: Vec::new() }
    }

    /// The first optimiser.
    pub fn first(&mut self) -> &mut AdamW {
        &mut self.optimisers[0].1
    }

    pub(super) fn into_first(mut self) -> AdamW {
        self.optimisers.remove(0).1
    }
}

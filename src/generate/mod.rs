//! Policies: what writes candidates.

mod decode;
mod likelihood;
mod local;
mod more;
mod remote;

pub use decode::{BATCH, Completion, Prompt, decode, decode_all, decode_until};
pub use local::{LocalPolicy, describe};
pub use more::MorePolicy;
pub use remote::{Endpoint, EndpointError, EndpointPolicy, Fleet, FleetConfig, KEY_VARIABLE, PATIENCE};

use crate::trace::{Sampling, TraceEvent};
use std::ops::ControlFlow;

/// What can go wrong while generating.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The model failed.
    #[error(transparent)]
    Model(#[from] crate::model::ModelError),
    /// A server could not be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The problem does not fit.
    #[error("{0}")]
    Input(String),
}

/// Something that samples candidates for a problem.
pub trait Policy: Send {
    /// Name for people and for `Candidate::policy`.
    fn name(&self) -> &str;
    /// Identifies the tokenizer (hash of its vocabulary and merges), so that a reward model can tell whether it reads the same ids.
    fn tokenizer_fingerprint(&self) -> &str;
    /// Samples `n` candidates as one batch. `sink` sees the events in order; `Break` stops at once.
    ///
    /// Candidate `i` depends on `sampling.seed` and `i` alone. Text comes in whole characters.
    fn sample(
        &mut self,
        problem: &str,
        n: usize,
        sampling: &Sampling,
        sink: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>,
    ) -> Result<(), GenerateError>;
}

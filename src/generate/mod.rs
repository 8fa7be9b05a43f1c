//! Policies: what writes candidates.

mod decode;
mod likelihood;
mod local;
mod more;
mod remote;

pub use decode::{BATCH, Completion, Prompt, decode, decode_all, decode_until};
pub use local::{LocalPolicy, describe};
pub use more::MorePolicy;
pub use remote::{Api, Endpoint, EndpointError, EndpointPolicy, Fleet, FleetConfig, KEY_VARIABLE, PATIENCE};

use crate::model::ChatOptions;
use crate::trace::{Candidate, Sampling, TraceEvent};
use std::ops::ControlFlow;

/// How the user wants a policy to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyOptions {
    /// What stands around a problem.
    pub chat: ChatOptions,
    /// Whether a server is asked for all candidates of a problem in one request. It then divides the seed among them in its own way: vLLM and llama.cpp's
    /// server count it up.
    pub one_request: bool,
}

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
    /// What people should know of how it sampled; each is told once.
    fn take_notes(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// Whether it can say how likely text is that is there already; a server's model cannot.
    fn reads(&self) -> bool {
        false
    }
    /// Reads candidates that are there, one after the other: `sink` sees their text in this policy's tokens, each with its log-probability and entropy at
    /// temperature 1, as [`TraceEvent::Read`] as soon as they are known; `Break` stops at once. Tokens are those of [`LocalPolicy::read`].
    fn follow(
        &mut self,
        _problem: &str,
        _candidates: &[Candidate],
        _sink: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        Err(GenerateError::Input(format!(
            "{} does not say what it thinks of text that is there; name a directory or a .gguf file",
            self.name()
        )))
    }
}

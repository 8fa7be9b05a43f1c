//! What can go wrong while training.

use std::path::PathBuf;

/// What can go wrong while training.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The folder of the run cannot be used.
    #[error(transparent)]
    Run(#[from] crate::run::RunError),
    /// The recipe is not one.
    #[error("{path}: {what}", path = path.display())]
    Recipe {
        /// The recipe.
        path: PathBuf,
        /// What is wrong, with line and key.
        what: String,
    },
    /// A checkpoint cannot be resumed from.
    #[error("{path}: {what}; delete the file to start this stage anew, or choose another output folder", path = path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The run's inputs do not fit each other.
    #[error("{0}")]
    Data(String),
    /// The numbers are no longer finite.
    #[error("{0}")]
    NotFinite(String),
    /// The user stopped the run; its checkpoint is written.
    #[error("interrupted; run the same command again to go on from the checkpoint")]
    Interrupted,
    /// The model failed.
    #[error(transparent)]
    Model(#[from] crate::model::ModelError),
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// Scoring failed.
    #[error(transparent)]
    Reward(#[from] crate::reward::RewardError),
    /// A program could not be run.
    #[error(transparent)]
    Sandbox(#[from] crate::sandbox::SandboxError),
    /// The servers that sample failed.
    #[error("{0}; run the same command again to go on from the checkpoint")]
    Generate(#[from] crate::generate::GenerateError),
}

impl TrainError {
    /// Says where in a run the numbers went astray.
    pub(super) fn at(self, stage: &str, step: usize) -> Self {
        match self {
            Self::NotFinite(what) => Self::NotFinite(format!("{stage}, update {step}: {what}")),
            other => other,
        }
    }
}

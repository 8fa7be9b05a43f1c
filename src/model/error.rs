//! What can go wrong with a model.

use std::path::PathBuf;

/// A model's error: names the file, the field or tensor, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file's content is not what it must be.
    #[error("{path}: {what}; {remedy}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the field or tensor.
        what: String,
        /// What the user can do.
        remedy: String,
    },
    /// A tensor is absent or has another shape than the configuration says.
    #[error("tensor {name}: {what}")]
    Tensor {
        /// Its name.
        name: String,
        /// Expected against found.
        what: String,
    },
    /// The input does not fit the model.
    #[error("{0}")]
    Input(String),
    /// The numbers are no longer finite.
    #[error("{0}")]
    NotFinite(String),
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

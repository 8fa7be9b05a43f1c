//! Evaluation: reranking, localisation, calibration, statistics, reports.
//!
//! Everything here is pure: it reads scored candidates, never a model.

pub mod chart;
pub mod compare;
pub mod draw;
pub mod folder;
pub mod html;
pub mod localise;
pub mod passk;
pub mod report;
pub mod rerank;
pub mod rows;
pub mod scored;
pub mod stats;
pub mod stories;
pub mod table;

pub use scored::{ScoredCandidate, ScoredTrace};

/// What can go wrong while evaluating.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// There is nothing to evaluate.
    #[error("nothing to evaluate: {0}")]
    Empty(String),
    /// The request does not fit the data.
    #[error("{0}")]
    Input(String),
}

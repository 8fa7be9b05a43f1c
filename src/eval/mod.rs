//! Evaluation: reranking, localisation, calibration, statistics, reports.
//!
//! Everything here is pure: it reads scored candidates, never a model.

pub mod calibrate;
pub mod chart;
pub mod combine;
pub mod compare;
pub mod conformal;
pub mod correlate;
pub mod draw;
pub mod effect;
pub mod figures;
pub mod folder;
pub mod grid;
pub mod html;
pub mod localise;
pub mod onset;
pub mod pairs;
pub mod passk;
pub mod processbench;
pub mod report;
pub mod rerank;
pub mod resample;
pub mod roc;
pub mod rows;
pub mod scored;
pub mod section;
pub mod special;
pub mod stats;
pub mod steplabels;
pub mod stories;
pub mod surface;
pub mod table;
pub mod transfer;

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

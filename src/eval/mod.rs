//! Evaluation: reranking, localisation, calibration, statistics, reports.
//!
//! [`scored`] holds what every signal says of candidates, by the readings that [`readings`] gives, and [`columns`] says which one stands for a signal;
//! [`metrics`] computes from that, with the intervals and tests of [`stats`]; [`report`] puts it together from the [`parts`] that tables and pictures are
//! made of; [`draw`] draws the pictures.
//!
//! Everything here is pure: it reads scored candidates, never a model; but for [`search`] and [`stories`], which let models write and judge, and
//! [`grader`], which may run programs.

pub mod columns;
pub mod draw;
pub mod grader;
pub mod metrics;
pub mod parts;
pub mod readings;
pub mod report;
pub mod scored;
pub mod search;
pub mod stats;
pub mod stories;

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

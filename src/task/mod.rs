//! Problems, demonstrations, graders, corruption.

mod agreement;
mod benchmark;
pub mod catalogue;
mod code;
mod corrupt;
mod countdown;
mod grading;
pub mod gsm8k;
mod math;
mod options;
mod pubmedqa;
mod record;
pub mod stories;
mod training;

pub use agreement::{Agreement, Disagreement, Example};
pub use benchmark::Task;
pub use code::CodeTests;
pub use corrupt::{GradedCorruption, TextCorruption, corrupt_graded, corrupt_text, shuffle_steps};
pub use grading::{grade, is_graded, judge};
pub use training::{TRAINING_PROBLEMS, TrainingProblems};

use serde::{Deserialize, Serialize};

/// A problem to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Identity inside its source, for example `gsm8k-test-0`.
    pub id: String,
    /// The text, without chat template.
    pub text: String,
    /// Reference answer, where there is one.
    #[serde(default)]
    pub gold: Option<String>,
    /// How code that answers it is tested, where only running it can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<CodeTests>,
}

/// A problem with an expert's solution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demonstration {
    /// The problem.
    pub problem: Problem,
    /// The solution: a step a line, the last line the answer.
    pub solution: String,
}

/// What can go wrong while reading problems.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A record cannot be read.
    #[error("{origin}, line {line}: {reason}")]
    Record {
        /// The file as the user named it.
        origin: String,
        /// 1-based line.
        line: usize,
        /// Field and remedy.
        reason: String,
    },
    /// The source cannot be read.
    #[error("{origin}: {error}")]
    Io {
        /// The file as the user named it.
        origin: String,
        /// What the system says.
        error: std::io::Error,
    },
}

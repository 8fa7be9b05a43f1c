//! How far a run is, told to whoever follows it, and how it is stopped.

use super::TrainError;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

/// One line of a run's metrics.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Metrics {
    /// Name of the stage.
    pub stage: String,
    /// 1-based update, or units done.
    pub step: usize,
    /// Updates of the stage, or units to do.
    pub steps: usize,
    /// Named values, with the names that TRL and `imitation` use.
    #[serde(flatten)]
    pub values: serde_json::Map<String, serde_json::Value>,
}

/// Where a run reports to, and how it is stopped.
pub struct Progress<'a> {
    /// Called after every update.
    pub report: &'a mut (dyn FnMut(&Metrics) -> Result<(), TrainError> + Send),
    /// Set to stop at the next safe point.
    pub stop: &'a AtomicBool,
    /// Updates between checkpoints.
    pub checkpoint_every: usize,
}

impl Progress<'_> {
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn say(&mut self, stage: &str, step: usize, steps: usize, values: &[(&str, f64)]) -> Result<(), TrainError> {
        let values = values.iter().map(|(n, v)| ((*n).to_owned(), serde_json::json!(v))).collect();
        (self.report)(&Metrics { stage: stage.into(), step, steps, values })
    }
}

/// Passes on how far sampling is, and whether it is to stop.
pub struct SamplingProgress<'a, 'b> {
    /// Who is told.
    pub progress: &'a mut Progress<'b>,
    /// As which stage.
    pub stage: &'a str,
    /// Prompts in all.
    pub of: usize,
    /// Why the one who is told said no.
    pub failed: Option<TrainError>,
}

impl SamplingProgress<'_, '_> {
    /// So many prompts are through.
    pub fn heard(&mut self, done: usize) -> ControlFlow<()> {
        self.failed = self.progress.say(self.stage, done, self.of, &[]).err();
        if self.failed.is_some() || self.progress.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Fails where the sampling was stopped before its end.
    pub fn end(self, done: usize) -> Result<(), TrainError> {
        match self.failed {
            Some(error) => Err(error),
            None if done < self.of => Err(TrainError::Interrupted),
            None => Ok(()),
        }
    }
}

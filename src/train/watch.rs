//! How far sampling is, told to whoever follows a run.

use super::{Progress, TrainError};
use std::ops::ControlFlow;

/// Passes on how far sampling is, and whether it is to stop.
pub(super) struct Watch<'a, 'b> {
    /// Who is told.
    pub progress: &'a mut Progress<'b>,
    /// As which stage.
    pub stage: &'a str,
    /// Prompts in all.
    pub of: usize,
    /// Why the one who is told said no.
    pub failed: Option<TrainError>,
}

impl Watch<'_, '_> {
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

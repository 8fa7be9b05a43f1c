//! The updates of a stage, going on from its checkpoint.

use super::TrainError;
use super::digest::Digest;
use super::models::checkpoint;
use super::optim::AdamW;
use super::progress::Progress;
use super::state::{State, Values};
use super::world::World;
use std::path::PathBuf;

/// A stage of a run that can be resumed.
pub struct Resumable<'a> {
    /// Its name in metrics.
    pub name: &'a str,
    /// Updates.
    pub steps: usize,
    /// Where its checkpoint is.
    pub checkpoint: PathBuf,
    /// Another run's checkpoint, taken over where it is finished and has the same digest.
    pub reuse: Option<PathBuf>,
    /// Identifies all that its weights depend on; a checkpoint with another digest is refused.
    pub digest: Digest,
}

/// Takes what a stage left when it was through, in this run or in the one that it reuses; says whether there was such.
pub(super) fn restore(stage: &Resumable, optimiser: AdamW) -> Result<(AdamW, bool), TrainError> {
    let mut state = State::one(optimiser);
    let mut places = [Some(&stage.checkpoint), stage.reuse.as_ref()].into_iter().flatten();
    let whole = places.find(|p| checkpoint::fits(p, &stage.digest, stage.steps));
    let found = whole.map_or(Ok(false), |path| checkpoint::load(path, &mut state, &stage.digest))?;
    Ok((state.into_first(), found))
}

/// Runs the updates of a stage from its checkpoint on: reports each, saves every `checkpoint_every` and at a stop. An update that is interrupted leaves the
/// state as it was.
pub(super) fn drive(
    stage: &Resumable,
    state: &mut State,
    progress: &mut Progress,
    mut update: impl FnMut(usize, &mut State) -> Result<Values, TrainError>,
) -> Result<(), TrainError> {
    if !checkpoint::load(&stage.checkpoint, state, &stage.digest)?
        && let Some(other) = stage.reuse.as_ref().filter(|p| checkpoint::fits(p, &stage.digest, stage.steps))
    {
        checkpoint::load(other, state, &stage.digest)?;
        checkpoint::save(&stage.checkpoint, state, &stage.digest)?;
    }
    tracing::info!(stage = stage.name, step = state.step, steps = stage.steps, "trains");
    while state.step < stage.steps {
        let began = std::time::Instant::now();
        let mut values = match update(state.step, state) {
            // Stopped before it changed anything.
            Err(TrainError::Interrupted) => {
                checkpoint::save(&stage.checkpoint, state, &stage.digest)?;
                return Err(TrainError::Interrupted);
            }
            other => other.map_err(|e| e.at(stage.name, state.step + 1))?,
        };
        state.step += 1;
        let seconds = began.elapsed().as_secs_f64();
        if let Some((_, n)) = values.iter().find(|v| v.0 == "num_tokens") {
            values.push(("tokens_per_second", n / seconds));
        }
        let step = state.step;
        progress.say(stage.name, step, stage.steps, &values)?;
        // A signal reaches the processes at different steps.
        let stop = World::here().any(progress.stopped());
        if stop || step.is_multiple_of(progress.checkpoint_every.max(1)) || step == stage.steps {
            checkpoint::save(&stage.checkpoint, state, &stage.digest)?;
        }
        if stop && step < stage.steps {
            return Err(TrainError::Interrupted);
        }
    }
    Ok(())
}

//! Drives the models without a screen: a few requests at a time, results in the order of the input.

use super::{Listener, Next, ReadError};
use crate::runtime::{Engine, ModelsStatus, Request, RequestId, Slot, Update};
use crate::trace::{Segmentation, Trace, TraceStore};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Requests that are with the models at a time, so that they never wait for the input or the output.
const WINDOW: usize = 4;
/// How often the interrupt flag is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How a run ended.
#[derive(Debug, Default)]
pub struct Summary {
    /// Traces that are through.
    pub traces: u64,
    /// Traces that failed.
    pub failed: u64,
    /// Traces that are through without the word of one of several reward models.
    pub partial: u64,
    /// The user stopped it.
    pub interrupted: bool,
    /// Tokens generated a second, mean over the requests.
    pub tokens_per_second: Option<f32>,
    /// Seconds from the first request to the last result.
    pub seconds: f32,
}

struct Working {
    id: RequestId,
    store: TraceStore,
    /// One of several reward models said nothing of it.
    partial: bool,
    ended: Option<Result<(), String>>,
}

/// What a run needs beside its input and output.
pub struct Headless<'a> {
    /// The models.
    pub engine: &'a Engine,
    /// When to stop.
    pub interrupt: &'a AtomicBool,
    /// How text without given steps is cut.
    pub segmentation: &'a Segmentation,
}

/// Runs every trace of `next` through the engine: `request` makes the request, `done` takes the result, in order of the input.
///
/// # Errors
/// A model does not load, or `next` or `done` fails.
pub fn drive<L: Listener, E: From<ReadError>>(
    with: &Headless<'_>,
    reporter: &mut L,
    total: impl Fn() -> Option<u64>,
    mut next: impl FnMut(&mut L) -> Result<Next, E>,
    mut request: impl FnMut(RequestId, &Trace) -> Request,
    mut done: impl FnMut(Trace) -> Result<(), E>,
) -> Result<Summary, E> {
    let Headless { engine, interrupt, segmentation } = *with;
    let mut summary = Summary::default();
    let mut working: VecDeque<Working> = VecDeque::new();
    let (mut rates, mut last_id, mut ended) = (Vec::new(), 0, false);
    let mut started = None;
    loop {
        if interrupt.load(Ordering::Relaxed) && !summary.interrupted {
            summary.interrupted = true;
            for w in &working {
                engine.send(Request::Cancel { id: w.id }).map_err(ReadError::from)?;
            }
            // Every cancelled request ends too, but only those that ended before it are whole.
            working.retain(|w| w.ended.is_some());
            ended = true;
        }
        while !ended && working.len() < WINDOW {
            match next(reporter)? {
                Next::Problem(_, trace) => {
                    last_id += 1;
                    started.get_or_insert_with(Instant::now);
                    engine.send(request(last_id, &trace)).map_err(ReadError::from)?;
                    let store = TraceStore::new(*trace, segmentation.clone());
                    working.push_back(Working { id: last_id, store, partial: false, ended: None });
                }
                Next::Wait => break,
                Next::End => ended = true,
            }
        }
        if ended && working.is_empty() {
            break;
        }
        for update in engine.wait(LOOK) {
            match update {
                Update::Models(status) => loading(reporter, &status)?,
                Update::Event { id, event } => {
                    if let Some(w) = working.iter_mut().find(|w| w.id == id) {
                        w.store.apply(&event);
                    }
                }
                Update::Lost { id, error } => {
                    if let Some(w) = working.iter_mut().find(|w| w.id == id) {
                        summary.partial += u64::from(!std::mem::replace(&mut w.partial, true));
                        reporter.warn(&format!("{}: {error}", name(w.store.trace())));
                    }
                }
                Update::Warning { id, message } => {
                    if let Some(w) = working.iter().find(|w| w.id == id) {
                        reporter.warn(&format!("{}: {message}", name(w.store.trace())));
                    }
                }
                Update::Done { id, tokens_per_second } => {
                    rates.extend(tokens_per_second);
                    end(&mut working, id, Ok(()));
                }
                Update::Failed { id, error } => end(&mut working, id, Err(error)),
            }
        }
        while let Some(first) = working.front_mut() {
            let Some(result) = first.ended.take() else { break };
            let Some(Working { store, .. }) = working.pop_front() else { break };
            match result {
                Ok(()) => {
                    summary.traces += 1;
                    done(store.into_trace())?;
                }
                Err(error) => {
                    summary.failed += 1;
                    reporter.warn(&format!("{}: {error}", name(store.trace())));
                }
            }
            reporter.progress(summary.traces + summary.failed, total(), "");
        }
    }
    summary.seconds = started.map_or(0.0, |s| s.elapsed().as_secs_f32());
    summary.tokens_per_second = (!rates.is_empty()).then(|| rates.iter().sum::<f32>() / rates.len() as f32);
    Ok(summary)
}

fn end(working: &mut VecDeque<Working>, id: RequestId, result: Result<(), String>) {
    if let Some(w) = working.iter_mut().find(|w| w.id == id) {
        w.ended = Some(result);
    }
}

/// Where a trace came from, for messages.
fn name(trace: &Trace) -> String {
    match &trace.source {
        Some(s) => format!("{}, record {} ({})", s.path, s.line, trace.id),
        None => trace.id.clone(),
    }
}

/// Shows how loading goes; a model that does not load ends the run.
fn loading(reporter: &mut impl Listener, status: &ModelsStatus) -> Result<(), ReadError> {
    for (what, slot) in status.slots() {
        match slot {
            Slot::Failed { name, error } => return Err(ReadError::Load { what, name: name.clone(), error: error.clone() }),
            Slot::Loading { name, progress } => reporter.status(&format!("loading {what} {name} {:.0} %", progress * 100.0)),
            Slot::Absent | Slot::Ready { .. } => {}
        }
    }
    Ok(())
}

/// Waits until the models are loaded; says what they are.
///
/// # Errors
/// One does not load.
pub fn ready(engine: &Engine, reporter: &mut impl Listener, interrupt: &AtomicBool) -> Result<ModelsStatus, ReadError> {
    loop {
        let status = engine.status();
        loading(reporter, &status)?;
        let waits = status.slots().any(|(_, s)| matches!(s, Slot::Loading { .. }));
        if !waits || interrupt.load(Ordering::Relaxed) {
            for (what, slot) in status.slots() {
                if let Slot::Ready { name, about } = slot {
                    reporter.say(&format!("{what} {name}: {about}"));
                }
            }
            return Ok(status);
        }
        engine.wait(LOOK);
    }
}

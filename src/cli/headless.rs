//! Drives the models without a screen: a few requests at a time, results in the order of the input.

use super::interrupt::Interrupt;
use super::judge::Shard;
use super::progress::Reporter;
use crate::format::{FormatError, TraceList};
use crate::runtime::{Engine, ModelsStatus, Request, RequestId, Slot, Update};
use crate::trace::{Segmentation, Trace, TraceStore};
use anyhow::{Result, bail};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Requests that are with the models at a time, so that they never wait for the input or the output.
const WINDOW: usize = 4;
/// How often the interrupt flag is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Messages about bad records that are shown one by one.
const SHOWN: usize = 20;

/// What comes next from the input.
pub enum Next {
    /// A trace to work on.
    Trace(Box<Trace>),
    /// Nothing yet.
    Wait,
    /// Nothing any more.
    End,
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Summary {
    /// Traces that are through.
    pub traces: u64,
    /// Traces that failed.
    pub failed: u64,
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
    ended: Option<Result<(), String>>,
}

/// What a run needs beside its input and output.
pub struct Headless<'a> {
    /// The models.
    pub engine: &'a Engine,
    /// When to stop.
    pub interrupt: &'a Interrupt,
    /// How text without given steps is cut.
    pub segmentation: &'a Segmentation,
}

/// Runs every trace of `next` through the engine: `request` makes the request, `done` takes the result, in order of the input.
pub fn drive(
    with: &Headless<'_>,
    reporter: &mut Reporter,
    total: impl Fn() -> Option<u64>,
    mut next: impl FnMut(&mut Reporter) -> Result<Next>,
    mut request: impl FnMut(RequestId, &Trace) -> Request,
    mut done: impl FnMut(Trace) -> Result<()>,
) -> Result<Summary> {
    let Headless { engine, interrupt, segmentation } = *with;
    let mut summary = Summary::default();
    let mut working: VecDeque<Working> = VecDeque::new();
    let (mut rates, mut last_id, mut ended) = (Vec::new(), 0, false);
    let mut started = None;
    loop {
        if interrupt.is_set() && !summary.interrupted {
            summary.interrupted = true;
            for w in &working {
                engine.send(Request::Cancel { id: w.id })?;
            }
            // Every cancelled request ends too, but only those that ended before it are whole.
            working.retain(|w| w.ended.is_some());
            ended = true;
        }
        while !ended && working.len() < WINDOW {
            match next(reporter)? {
                Next::Trace(trace) => {
                    last_id += 1;
                    started.get_or_insert_with(Instant::now);
                    engine.send(request(last_id, &trace))?;
                    working.push_back(Working { id: last_id, store: TraceStore::new(*trace, segmentation.clone()), ended: None });
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
fn loading(reporter: &mut Reporter, status: &ModelsStatus) -> Result<()> {
    for (what, slot) in [("policy", &status.policy), ("reward model", &status.reward)] {
        match slot {
            Slot::Failed { name, error } => bail!("the {what} {name} did not load: {error}"),
            Slot::Loading { name, progress } => reporter.status(&format!("loading {what} {name} {:.0} %", progress * 100.0)),
            Slot::Absent | Slot::Ready { .. } => {}
        }
    }
    Ok(())
}

/// Waits until the models are loaded; says what they are. Fails where one does not load.
pub fn ready(engine: &Engine, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<ModelsStatus> {
    loop {
        let status = engine.status();
        loading(reporter, &status)?;
        let waits = [&status.policy, &status.reward].into_iter().any(|s| matches!(s, Slot::Loading { .. }));
        if !waits || interrupt.is_set() {
            for (what, slot) in [("policy", &status.policy), ("reward model", &status.reward)] {
                if let Slot::Ready { name, about } = slot {
                    reporter.say(&format!("{what} {name}: {about}"));
                }
            }
            return Ok(status);
        }
        engine.wait(LOOK);
    }
}

/// Indices of `limit` traces with candidates, drawn at random, the same ones every time, in the order of the list: a file's own order often means something,
/// such as right ones last. Waits until the list is read to its end.
pub fn draw(list: &TraceList, limit: u64) -> Vec<usize> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // Nothing is there past the end, so this waits for all of it.
    list.wait(usize::MAX - 1);
    let mut order: Vec<usize> = (0..list.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    let mut drawn: Vec<usize> = order.into_iter().filter(|&i| list.read(i).is_ok_and(|t| !t.candidates.is_empty())).take(limit).collect();
    drawn.sort_unstable();
    drawn
}

/// Walks over the traces of files, tells what is wrong with them, and never blocks.
pub struct Walk {
    list: TraceList,
    /// Where not all: the indices.
    chosen: Option<Vec<usize>>,
    shard: Option<Shard>,
    at: usize,
    told: usize,
    bad: u64,
}

impl Walk {
    /// Over the traces that are `chosen` by [`draw`], or all, and of these over a part.
    pub fn new(list: TraceList, chosen: Option<Vec<usize>>, shard: Option<Shard>) -> Self {
        Self { list, chosen, shard, at: 0, told: 0, bad: 0 }
    }

    /// The traces that are walked over, as far as they are known; `None` where that cannot be said yet.
    fn range(&self) -> Option<std::ops::Range<usize>> {
        match (&self.chosen, self.shard) {
            (Some(chosen), shard) => Some(shard.map_or(0..chosen.len(), |s| s.range(chosen.len()))),
            (None, None) => Some(0..self.list.settled()),
            (None, Some(shard)) => self.list.is_complete().then(|| shard.range(self.list.len())),
        }
    }

    /// The next trace that can be read.
    pub fn next(&mut self, reporter: &mut Reporter) -> Next {
        loop {
            self.tell(reporter);
            let Some(range) = self.range() else { return Next::Wait };
            self.at = self.at.max(range.start);
            if self.at < range.end {
                self.at += 1;
                let at = self.chosen.as_ref().map_or(self.at - 1, |c| c[self.at - 1]);
                match self.list.get(at) {
                    Ok(trace) => return Next::Trace(Box::new(Arc::unwrap_or_clone(trace))),
                    Err(_) => self.bad += 1,
                }
            } else if self.list.is_complete() {
                self.tell(reporter);
                return if self.range().is_some_and(|r| self.at < r.end) { continue } else { Next::End };
            } else {
                return Next::Wait;
            }
        }
    }

    /// Number of traces, once it is known.
    pub fn total(&self) -> Option<u64> {
        self.list.is_complete().then(|| self.range().map_or(0, |r| r.len() as u64))
    }

    /// Closes the account: records that were skipped, and whether a file could not be read to its end.
    pub fn close(&mut self, reporter: &mut Reporter) -> (usize, bool) {
        self.tell(reporter);
        let errors = self.list.errors();
        if self.list.error_count() > SHOWN {
            reporter.warn(&format!("{} more messages about bad records are not shown", self.list.error_count() - SHOWN));
        }
        let broken = errors.iter().any(|e| matches!(e, FormatError::BreaksOff { .. } | FormatError::Io { .. }));
        (self.list.skipped(), broken)
    }

    fn tell(&mut self, reporter: &mut Reporter) {
        if self.list.error_count() > self.told {
            let errors = self.list.errors();
            for error in errors.iter().take(SHOWN).skip(self.told) {
                reporter.warn(&error.to_string());
            }
            self.told = self.list.error_count();
        }
    }
}

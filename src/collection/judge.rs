//! Recorded traces read anew: log-probabilities and entropies by a policy, rewards by reward models.

use super::drive::{Headless, Summary, drive, ready};
use super::{Bad, Listener, Next, Walk};
use crate::runtime::{DeviceChoice, Engine, ModelError, ModelRef, Models, Request, SendError, TextReader};
use crate::trace::{AtWork, Calibration, Segmentation, Trace, segment};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Pause while the input has nothing yet.
const PAUSE: Duration = Duration::from_millis(5);

/// The models that read. Without either, traces pass as they are, cut into steps where the source did not cut them.
pub struct Judge {
    engine: Option<Engine>,
    policy: Option<TextReader>,
    /// The reward models.
    pub rewards: Vec<AtWork>,
    /// Name of the policy.
    pub policy_name: Option<String>,
    /// The reward models' thresholds.
    pub calibration: Calibration,
}

/// How traces are read.
#[derive(Clone, Copy)]
pub struct ReadOptions<'a> {
    /// How text without given steps is cut.
    pub segmentation: &'a Segmentation,
    /// When to stop.
    pub interrupt: &'a AtomicBool,
}

/// What became of the input.
pub struct ReadSummary {
    /// How the run ended.
    pub summary: Summary,
    /// Bad records that were skipped.
    pub skipped: usize,
    /// A file could not be read to its end.
    pub broken: bool,
}

impl Judge {
    /// Loads what is named; [`ModelRef::None`] is nothing.
    ///
    /// # Errors
    /// A model does not load.
    pub fn open(
        rewards: &[ModelRef],
        policy: &ModelRef,
        device: DeviceChoice,
        reporter: &mut impl Listener,
        interrupt: &AtomicBool,
    ) -> Result<Self, ReadError> {
        let policy = TextReader::open(policy, device)?;
        if let Some(policy) = &policy {
            reporter.say(&format!("policy {}: {}", policy.name(), policy.about()));
        }
        let policy_name = policy.as_ref().map(|p| p.name().to_owned());
        let mut judge = Self { engine: None, policy, policy_name, rewards: Vec::new(), calibration: Calibration::default() };
        let rewards = Models::rewards(rewards, device)?;
        if !rewards.is_empty() {
            let engine = Engine::start(Models { policy: None, rewards }).map_err(ReadError::Thread)?;
            let status = ready(&engine, reporter, interrupt)?;
            judge.rewards = status.at_work();
            judge.calibration = status.calibration;
            judge.engine = Some(engine);
        }
        Ok(judge)
    }

    /// The reward models' names, for people; `None` where there is none.
    pub fn reward_names(&self) -> Option<String> {
        let names: Vec<&str> = self.rewards.iter().map(|a| a.model.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// Hands every trace of `walk` that has candidates and is `wanted` to `done`, in the order of the input.
    ///
    /// # Errors
    /// Those of `done`, and a policy that cannot read a text.
    pub fn run<L: Listener, E: From<ReadError>>(
        &self,
        walk: Walk,
        with: &ReadOptions,
        reporter: &mut L,
        wanted: impl Fn(usize, &Trace) -> bool,
        done: impl FnMut(Trace) -> Result<(), E>,
    ) -> Result<ReadSummary, E> {
        let walk = RefCell::new(walk);
        let next = |reporter: &mut L| loop {
            match walk.borrow_mut().next(reporter) {
                Next::Problem(i, trace) if trace.candidates.is_empty() || !wanted(i, &trace) => {}
                other => break other,
            }
        };
        let summary = self.drive(with, reporter, || walk.borrow().total(), next, done)?;
        let Bad { skipped, broken } = walk.into_inner().close(reporter);
        Ok(ReadSummary { summary, skipped, broken })
    }

    /// The same for traces that are at hand. Those of an interrupted run are not whole.
    ///
    /// # Errors
    /// A model cannot read one.
    pub fn read<L: Listener>(&self, traces: Vec<Trace>, with: &ReadOptions, reporter: &mut L) -> Result<Vec<Trace>, ReadError> {
        let (total, mut out) = (traces.len() as u64, Vec::with_capacity(traces.len()));
        let mut traces = traces.into_iter();
        let next = |_: &mut L| traces.next().map_or(Next::End, |t| Next::Problem(0, Box::new(t)));
        let summary = self.drive(
            with,
            reporter,
            || Some(total),
            next,
            |trace| {
                out.push(trace);
                Ok::<_, ReadError>(())
            },
        )?;
        if !summary.interrupted {
            whole(&ReadSummary { summary, skipped: 0, broken: false })?;
        }
        Ok(out)
    }

    fn drive<L: Listener, E: From<ReadError>>(
        &self,
        with: &ReadOptions,
        reporter: &mut L,
        total: impl Fn() -> Option<u64>,
        mut next: impl FnMut(&mut L) -> Next,
        mut done: impl FnMut(Trace) -> Result<(), E>,
    ) -> Result<Summary, E> {
        let ReadOptions { segmentation, interrupt } = *with;
        let mut next = |reporter: &mut L| {
            Ok::<_, E>(match next(reporter) {
                Next::Problem(i, trace) => Next::Problem(i, Box::new(self.prepare(*trace, segmentation)?)),
                other => other,
            })
        };
        let Some(engine) = &self.engine else {
            let (mut summary, began) = (Summary::default(), Instant::now());
            while !interrupt.load(Ordering::Relaxed) {
                match next(reporter)? {
                    Next::Problem(_, trace) => {
                        done(*trace)?;
                        summary.traces += 1;
                        reporter.progress(summary.traces, total(), "");
                    }
                    Next::Wait => std::thread::sleep(PAUSE),
                    Next::End => break,
                }
            }
            summary.interrupted = interrupt.load(Ordering::Relaxed);
            summary.seconds = began.elapsed().as_secs_f32();
            return Ok(summary);
        };
        let request =
            |id, trace: &Trace| Request::Score { id, problem: trace.problem.clone(), candidates: trace.candidates.clone(), urgent: false };
        drive(&Headless { engine, interrupt, segmentation }, reporter, total, next, request, done)
    }

    /// Cuts what the source did not cut, takes away the rewards that are computed anew, and reads the policy's log-probabilities.
    fn prepare(&self, mut trace: Trace, segmentation: &Segmentation) -> Result<Trace, ReadError> {
        for candidate in &mut trace.candidates {
            if candidate.steps.is_empty() {
                candidate.steps = segment(&candidate.text, segmentation);
            }
            if self.engine.is_some() {
                candidate.begin_rewards(&self.rewards);
            }
        }
        if let Some(policy) = &self.policy {
            policy.read(&mut trace).map_err(|error| ReadError::Policy { id: trace.id.clone(), error })?;
        }
        Ok(trace)
    }
}

/// Fails on a run that is not whole: a report on a part would not be what was asked for.
///
/// # Errors
/// A file breaks off, or the models could not read all traces.
pub fn whole(judged: &ReadSummary) -> Result<(), ReadError> {
    match judged.summary.failed {
        _ if judged.broken => Err(ReadError::Broken),
        0 if judged.summary.partial > 0 => Err(ReadError::Partial(judged.summary.partial)),
        0 => Ok(()),
        failed => Err(ReadError::Failed(failed)),
    }
}

/// Why traces could not be read by the models.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A model's files are not there or not usable.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The models' thread does not start.
    #[error("cannot start the model's thread: {0}")]
    Thread(std::io::Error),
    /// A model does not load.
    #[error("the {what} {name} did not load: {error}")]
    Load {
        /// `policy` or `reward model`.
        what: String,
        /// The model.
        name: String,
        /// Cause and remedy.
        error: String,
    },
    /// A request is not taken.
    #[error(transparent)]
    Request(#[from] SendError),
    /// The policy cannot read a text.
    #[error("{id}: {error}")]
    Policy {
        /// The trace.
        id: String,
        /// Why.
        error: ModelError,
    },
    /// The files are not whole.
    #[error("a file could not be read to its end")]
    Broken,
    /// The reward model could not read so many traces, which were named.
    #[error("{0} traces could not be read by the models")]
    Failed(u64),
    /// One of several reward models could not read so many traces, which were named.
    #[error("{0} traces could not be read by every reward model; leave the one that could not out, or the traces")]
    Partial(u64),
}

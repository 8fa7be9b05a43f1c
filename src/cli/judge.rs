//! Recorded traces read anew: log-probabilities and entropies by a policy, rewards by a reward model.

use super::headless::{Headless, Summary, drive, ready};
use super::interrupt::Interrupt;
use super::progress::Reporter;
use crate::collection::{Bad, Next, Walk};
use crate::runtime::{DeviceChoice, Engine, ModelRef, Models, Request, Slot, TextReader};
use crate::trace::{Calibration, Segmentation, Trace, segment};
use anyhow::{Context, Result, anyhow, bail};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Pause while the input has nothing yet.
const PAUSE: Duration = Duration::from_millis(5);

/// The models that read. Without either, traces pass as they are, cut into steps where the source did not cut them.
pub struct Judge {
    engine: Option<Engine>,
    policy: Option<TextReader>,
    /// Name of the reward model.
    pub reward_name: Option<String>,
    /// Name of the policy.
    pub policy_name: Option<String>,
    /// The reward model's thresholds.
    pub calibration: Calibration,
}

/// How traces are read.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// How text without given steps is cut.
    pub segmentation: &'a Segmentation,
    /// When to stop.
    pub interrupt: &'a Interrupt,
}

/// What became of the input.
pub struct Judged {
    /// How the run ended.
    pub summary: Summary,
    /// Bad records that were skipped.
    pub skipped: usize,
    /// A file could not be read to its end.
    pub broken: bool,
}

impl Judge {
    /// Loads what is named; [`ModelRef::None`] is nothing.
    pub fn open(
        reward: &ModelRef,
        policy: &ModelRef,
        device: DeviceChoice,
        reporter: &mut Reporter,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let policy = TextReader::open(policy, device)?;
        if let Some(policy) = &policy {
            reporter.say(&format!("policy {}: {}", policy.name(), policy.about()));
        }
        let policy_name = policy.as_ref().map(|p| p.name().to_owned());
        let mut judge = Self { engine: None, policy, policy_name, reward_name: None, calibration: Calibration::default() };
        if let Some(reward) = reward.reward(device)? {
            let engine = Engine::start(Models { policy: None, reward: Some(reward) }).context("cannot start the model's thread")?;
            let status = ready(&engine, reporter, interrupt)?;
            if let Slot::Ready { name, .. } = &status.reward {
                judge.reward_name = Some(name.clone());
            }
            judge.calibration = status.calibration;
            judge.engine = Some(engine);
        }
        Ok(judge)
    }

    /// Hands every trace of `walk` that has candidates and is `wanted` to `done`, in the order of the input.
    pub fn run(
        &self,
        walk: Walk,
        with: &Reading,
        reporter: &mut Reporter,
        wanted: impl Fn(usize, &Trace) -> bool,
        done: impl FnMut(Trace) -> Result<()>,
    ) -> Result<Judged> {
        let walk = RefCell::new(walk);
        let next = |reporter: &mut Reporter| loop {
            match walk.borrow_mut().next(reporter) {
                Next::Problem(i, trace) if trace.candidates.is_empty() || !wanted(i, &trace) => {}
                other => break other,
            }
        };
        let summary = self.drive(with, reporter, || walk.borrow().total(), next, done)?;
        let Bad { skipped, broken } = walk.into_inner().close(reporter);
        Ok(Judged { summary, skipped, broken })
    }

    /// The same for traces that are at hand; fails where a model cannot read one. Those of an interrupted run are not whole.
    pub fn read(&self, traces: Vec<Trace>, with: &Reading, reporter: &mut Reporter) -> Result<Vec<Trace>> {
        let (total, mut out) = (traces.len() as u64, Vec::with_capacity(traces.len()));
        let mut traces = traces.into_iter();
        let next = |_: &mut Reporter| traces.next().map_or(Next::End, |t| Next::Problem(0, Box::new(t)));
        let summary = self.drive(
            with,
            reporter,
            || Some(total),
            next,
            |trace| {
                out.push(trace);
                Ok(())
            },
        )?;
        if !summary.interrupted {
            whole(&Judged { summary, skipped: 0, broken: false })?;
        }
        Ok(out)
    }

    fn drive(
        &self,
        with: &Reading,
        reporter: &mut Reporter,
        total: impl Fn() -> Option<u64>,
        mut next: impl FnMut(&mut Reporter) -> Next,
        mut done: impl FnMut(Trace) -> Result<()>,
    ) -> Result<Summary> {
        let Reading { segmentation, interrupt } = *with;
        let mut next = |reporter: &mut Reporter| {
            Ok(match next(reporter) {
                Next::Problem(i, trace) => Next::Problem(i, Box::new(self.prepare(*trace, segmentation)?)),
                other => other,
            })
        };
        let Some(engine) = &self.engine else {
            let (mut summary, began) = (Summary::default(), Instant::now());
            while !interrupt.is_set() {
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
            summary.interrupted = interrupt.is_set();
            summary.seconds = began.elapsed().as_secs_f32();
            return Ok(summary);
        };
        let request =
            |id, trace: &Trace| Request::Score { id, problem: trace.problem.clone(), candidates: trace.candidates.clone(), urgent: false };
        drive(&Headless { engine, interrupt, segmentation }, reporter, total, next, request, done)
    }

    /// Cuts what the source did not cut, takes away the rewards that are computed anew, and reads the policy's log-probabilities.
    fn prepare(&self, mut trace: Trace, segmentation: &Segmentation) -> Result<Trace> {
        for candidate in &mut trace.candidates {
            if candidate.steps.is_empty() {
                candidate.steps = segment(&candidate.text, segmentation);
            }
            if let Some(name) = self.reward_name.as_deref().filter(|_| self.engine.is_some()) {
                candidate.begin_rewards(name);
            }
        }
        if let Some(policy) = &self.policy {
            policy.read(&mut trace).map_err(|e| anyhow!("{}: {e}", trace.id))?;
        }
        Ok(trace)
    }
}

/// A model that recorded traces are read with; a server's model cannot.
pub fn local(text: &str) -> Result<ModelRef, String> {
    match super::args::model(text)? {
        ModelRef::Endpoint(e) => {
            Err(format!("{e}: a server does not say what it thinks of text that is there; name a directory or a .gguf file"))
        }
        model => Ok(model),
    }
}

/// Fails on a run that is not whole: a report on a part would not be what was asked for.
pub fn whole(judged: &Judged) -> Result<()> {
    match () {
        () if judged.broken => bail!("a file could not be read to its end"),
        () if judged.summary.failed > 0 => bail!("{} traces could not be read by the models", judged.summary.failed),
        () => Ok(()),
    }
}

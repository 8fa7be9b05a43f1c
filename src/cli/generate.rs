//! `generate`: problems in, sampled candidates out.

use super::args::{DeviceArgs, GroupArgs, OutputArgs, PromptArgs, ProtocolArgs, RewardArgs, SamplingArgs, TaskArgs, TrustArgs, model};
use super::exit::Exit;
use super::interrupt::Interrupt;
use super::output::resume::{Made, Written};
use super::outside::Outside;
use super::progress::Reporter;
use crate::answer::{self, Judged};
use crate::collection::{Bad, Headless, Next, Summary, Walk, drive, ready};
use crate::format::to_lines;
use crate::runtime::{Engine, ModelRef, Models, PATIENCE, PolicyOptions, Request, Slot};
use crate::task::judge;
use crate::trace::{SignalSource, Trace};
use anyhow::{Context, Result, bail};
use clap::{ArgGroup, Args};
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `generate`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("asked").required(true).multiple(true).args(["problems", "problem"])))]
pub struct Generate {
    /// Model that writes candidates: a directory, a .gguf file, a hub id in the local cache, `embedded`, or a server's
    /// http://HOST:PORT/v1[#NAME], asked through chat completions (http://HOST:PORT/v1/completions[#NAME]: plain completions)
    #[arg(long, value_name = "MODEL", default_value = "embedded", value_parser = model, help_heading = "Models")]
    policy: ModelRef,
    /// Model that scores the candidates while they are written: a directory, a .gguf file, a hub id in the local cache, `judge:MODEL` (any language model), `implicit:MODEL,REFERENCE`,
    /// http://HOST:PORT#MODEL, `embedded` or `none`; several,
    /// each by a --reward of its own, give a signal each
    #[arg(long, value_name = "MODEL", default_value = "none", value_parser = model, help_heading = "Models")]
    reward: Vec<ModelRef>,
    #[command(flatten)]
    protocol: ProtocolArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    prompt: PromptArgs,
    /// Problems: any format that `inspect` opens, or a text file with a problem a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    problems: Vec<String>,
    /// A problem on the command line
    #[arg(long, value_name = "TEXT")]
    problem: Vec<String>,
    /// Where the candidates go, as native JSONL; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep what the output file already has and generate the rest
    #[arg(long, requires = "output")]
    resume: bool,
    /// Where the policy is a server: longest wait for its next word, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400), help_heading = "Models")]
    wait: u64,
    #[command(flatten)]
    group: GroupArgs,
    #[command(flatten)]
    task: TaskArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    rewards: RewardArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

impl Generate {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let device = self.device.device;
        let rewards = Models::rewards(&self.protocol.of(&self.reward)?, device)?;
        let asked = self.policy.clone().asked(PolicyOptions { chat: self.prompt.options()?, one_request: self.sampling.one_request });
        let models = Models { policy: asked.policy_with(device, Duration::from_secs(self.wait))?, rewards };
        let collection = self.group.open_problems(&self.problems, &self.rewards.segment)?;
        let (sampling, note) = self.sampling.sampling(&asked)?;
        let (granularity, aggregation) = (Some(self.rewards.granularity), Some(self.rewards.aggregation));
        let (prompt, generated) = (asked.recorded(), true);
        let made = Made { granularity, aggregation, sampling: Some(sampling.clone()), prompt, generated, ..Made::default() };
        let (mut output, written) = Written::open(self.output.as_deref(), self.resume, &made)?;
        let interrupt = Interrupt::listen()?;
        let mut reporter = Reporter::new(messages, "problems");
        let engine = Engine::start(models).context("cannot start the models' threads")?.score_when_whole();
        let status = ready(&engine, &mut reporter, &interrupt)?;
        if let Some(note) = note {
            reporter.say(&note);
        }
        let policy = if let Slot::Ready { name, .. } = &status.policy { Some(name.clone()) } else { None };
        let rewards = status.at_work();

        let walk = RefCell::new(Walk::new(collection, None, None));
        let typed = RefCell::new(self.typed());
        let (mut tally, mut outside) = (Tally::default(), Outside::default());
        let next = |reporter: &mut Reporter| {
            Ok(loop {
                let next = match typed.borrow_mut().next() {
                    Some(trace) => Next::Problem(0, Box::new(trace)),
                    None => walk.borrow_mut().next(reporter),
                };
                match next {
                    Next::Problem(_, trace) if written.has(&trace) => {
                        let (found, n) = (written.candidates(&trace), usize::from(self.sampling.n));
                        if found != n {
                            bail!(
                                "the output has {found} candidates of {}, not {n}; give -n {found}, or leave --resume out to begin anew",
                                trace.id
                            );
                        }
                    }
                    other => break other,
                }
            })
        };
        let request = |id, trace: &Trace| Request::Generate {
            id,
            problem: trace.problem.clone(),
            n: usize::from(self.sampling.n),
            sampling: sampling.clone(),
            segmentation: self.rewards.segment.clone(),
        };
        let mut extra = serde_json::json!({ "sampling": sampling });
        if let Some(prompt) = asked.recorded() {
            extra["prompt"] = prompt;
        }
        let extra = extra.to_string();
        let detector = status.calibration.detector();
        let done = |mut trace: Trace| {
            let judged: Vec<Judged> = trace.candidates.iter().map(|c| judge(self.task.task, &trace, c)).collect();
            tally.add(&trace, &judged);
            outside.add(&trace);
            for (candidate, judged) in trace.candidates.iter_mut().zip(judged) {
                candidate.policy = policy.clone();
                candidate.extra = Some(extra.clone());
                for signal in &mut candidate.signals {
                    if let Some(by) = rewards.iter().find(|a| a.signal == signal.name) {
                        signal.source = SignalSource::Model(by.model.clone());
                    }
                }
                (candidate.answer, candidate.correct) = (judged.answer, judged.correct);
            }
            let scoring = self.rewards.scoring(&detector, &status.calibration, self.trust);
            for line in to_lines(&trace, (!rewards.is_empty()).then_some(&scoring)) {
                output.record(&line)?;
            }
            output.flush()
        };
        let total = || walk.borrow().total().map(|t| t + self.problem.len() as u64);
        let with = Headless { engine: &engine, interrupt: &interrupt, segmentation: &self.rewards.segment };
        let summary = drive(&with, &mut reporter, total, next, request, done)?;
        drop(engine);
        let Bad { skipped, broken } = walk.into_inner().close(&mut reporter);
        let nothing = summary.traces + written.len() as u64 == 0;
        let failed = summary.failed > 0 || tally.failed > 0;
        let partial = summary.partial > 0;
        let whole = !summary.interrupted && !failed && !broken && !nothing;
        let name = super::output::end(output, whole, &mut reporter)?;
        if summary.interrupted {
            reporter
                .warn(&format!("interrupted: {} problems are in {name}; the same command with -o and --resume goes on", summary.traces));
        }
        if tally.failed > 0 {
            reporter
                .warn(&format!("{} candidates failed; the same command with -o and --resume samples their problems again", tally.failed));
        }
        outside.warn(&mut reporter, self.trust);
        tally.tell(&mut reporter, self.task, &summary, (skipped, written.len()), &name);
        Ok(match () {
            () if summary.interrupted => Exit::Interrupted,
            () if failed || partial || broken || nothing => Exit::Failed,
            () => Exit::Ok,
        })
    }

    /// The problems on the command line.
    fn typed(&self) -> impl Iterator<Item = Trace> + use<> {
        let problems = self.problem.clone();
        problems.into_iter().enumerate().map(|(i, problem)| Trace { id: format!("problem-{i}"), problem, ..Trace::default() })
    }
}

/// What is said at the end.
#[derive(Default)]
struct Tally {
    candidates: u64,
    /// Of those, the ones that broke off.
    failed: u64,
    tokens: u64,
    answers: answer::Tally,
}

impl Tally {
    fn add(&mut self, trace: &Trace, judged: &[Judged]) {
        for (c, judged) in trace.candidates.iter().zip(judged) {
            self.candidates += 1;
            self.failed += u64::from(c.has_failed());
            self.tokens += c.tokens.len() as u64;
            if trace.gold_answer.is_some() && !c.has_failed() {
                self.answers.add(judged);
            }
        }
    }

    fn tell(&self, reporter: &mut Reporter, task: TaskArgs, summary: &Summary, (skipped, kept): (usize, usize), name: &str) {
        let rate = summary.tokens_per_second.map(|r| format!(", {r:.0} tokens/s")).unwrap_or_default();
        let kept_note = if kept > 0 { format!(" ({kept} problems were there already)") } else { String::new() };
        reporter.say(&format!(
            "{} candidates for {} problems, {} tokens in {:.1} s{rate}, into {name}{kept_note}",
            self.candidates, summary.traces, self.tokens, summary.seconds
        ));
        if let Some(note) = task.note() {
            reporter.say(&note);
        } else if self.answers != answer::Tally::default() {
            reporter.say(&self.answers.describe());
        }
        reporter.skipped(skipped);
        reporter.record(serde_json::json!({
            "event": "summary", "problems": summary.traces, "candidates": self.candidates, "failed": summary.failed, "failed_candidates": self.failed,
            "skipped": skipped,
            "kept": kept, "interrupted": summary.interrupted, "seconds": summary.seconds, "tokens": self.tokens,
            "tokens_per_second": summary.tokens_per_second, "judged": self.answers.graded, "correct": self.answers.strict,
            "flexible": self.answers.flexible, "unknown": self.answers.unknown, "output": name,
        }));
    }
}

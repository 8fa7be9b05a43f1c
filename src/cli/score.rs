//! `score`: recorded traces in, the same traces with rewards and deviations out.

use super::args::{DeviceArgs, GroupArgs, OutputArgs, PromptArgs, ProtocolArgs, RewardArgs, TaskArgs, TrustArgs, local, model, named};
use super::exit::{Exit, Usage};
use super::interrupt::Interrupt;
use super::output::resume::{Made, Written};
use super::outside::Outside;
use super::progress::Reporter;
use crate::answer;
use crate::collection::{Judge, ReadOptions, ReadSummary, Shard, Summary, Walk, draw};
use crate::format::{Scoring, to_lines};
use crate::runtime::ModelRef;
use crate::task;
use crate::trace::{AtWork, GoldDeviation, Reading, Signal, Trace, Values};
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `score`.
#[derive(Args, Debug)]
pub struct Score {
    /// Traces to score, in any format that `inspect` opens; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Reward model: a directory, a .gguf file, a hub id in the local cache, `judge:MODEL` (any language model), `implicit:MODEL,REFERENCE`,
    /// http://HOST:PORT#MODEL, `embedded` (arithmetic stories) or `none`; several, each by a --reward of its own,
    /// give a signal each
    #[arg(long, value_name = "MODEL", default_value = "none", value_parser = model, help_heading = "Models")]
    reward: Vec<ModelRef>,
    #[command(flatten)]
    protocol: ProtocolArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Policy whose log-probability and entropy of each token are to stand in the output: a directory, a .gguf file or a hub id in the local cache
    #[arg(long, value_name = "MODEL", default_value = "none", value_parser = local, help_heading = "Models")]
    policy: ModelRef,
    #[command(flatten)]
    prompt: PromptArgs,
    /// Where the scored traces go, as native JSONL; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep what the output file already has and score the rest; give the same options as before
    #[arg(long, requires = "output")]
    resume: bool,
    /// Only so many problems, drawn at random, the same ones every time and the same as `eval --problems` draws from the file
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    problems: Option<u64>,
    /// Score the I-th of N equal parts of the traces; the parts' outputs put one after the other are the output of the whole
    #[arg(long, value_name = "I/N", value_parser = Shard::parse)]
    shard: Option<Shard>,
    #[command(flatten)]
    group: GroupArgs,
    #[command(flatten)]
    task: TaskArgs,
    #[command(flatten)]
    rewards: RewardArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

impl Score {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        if named(&self.reward).next().is_none() && self.policy == ModelRef::None {
            return Err(Usage("nothing to score with: name a --reward model, a --policy, or both".into()).into());
        }
        let collection = self.group.open(&self.files, self.task.task, &self.rewards.segment, false)?;
        if let Some(out) = self.output.as_ref().and_then(|o| o.canonicalize().ok())
            && let Some(file) = self.files.iter().find(|f| std::fs::canonicalize(f).is_ok_and(|f| f == out))
        {
            bail!("{file}: is to be read and to be written; choose another file with -o");
        }
        let rewards = AtWork::all(named(&self.reward).map(ToString::to_string));
        let (granularity, aggregation) = (Some(self.rewards.granularity), Some(self.rewards.aggregation));
        let made = Made { rewards, granularity, aggregation, ..Made::default() };
        let (mut output, written) = Written::open(self.output.as_deref(), self.resume, &made)?;
        let interrupt = Interrupt::listen()?;
        let mut reporter = Reporter::new(messages, "traces");
        let asked = self.prompt.of(&self.policy)?;
        let judge = Judge::open(&self.protocol.of(&self.reward)?, &asked, self.device.device, &mut reporter, &interrupt)?;
        let (mut tally, mut outside) = (Tally::of(&judge), Outside::default());
        let detector = judge.calibration.detector();
        let mut answers = answer::Tally::default();
        let done = |trace: Trace| {
            if self.task.task.is_some() && trace.gold_answer.is_some() {
                trace.candidates.iter().for_each(|c| answers.add(&task::judge(self.task.task, &trace, c)));
            }
            let scoring = self.rewards.scoring(&detector, &judge.calibration, self.trust);
            for line in to_lines(&trace, Some(&scoring)) {
                output.record(&line)?;
            }
            tally.add(&trace, &scoring);
            outside.add(&trace);
            output.flush()
        };
        let drawn = self.problems.map(|n| draw(&collection, n));
        let walk = Walk::new(collection, drawn, self.shard);
        let with = ReadOptions { segmentation: &self.rewards.segment, interrupt: &interrupt };
        let ReadSummary { summary, skipped, broken } = judge.run(walk, &with, &mut reporter, |_, t| !written.has(t), done)?;
        let nothing = summary.traces + written.len() as u64 == 0 && self.shard.is_none();
        let whole = !summary.interrupted && summary.failed == 0 && !broken && !nothing;
        let name = super::output::end(output, whole, &mut reporter)?;
        if summary.interrupted {
            reporter.warn(&format!("interrupted: {} traces are in {name}; the same command with -o and --resume goes on", summary.traces));
        }
        tally.tell(&mut reporter, &summary, (skipped, written.len()), &name, &outside);
        outside.warn(&mut reporter, self.trust);
        if let Some(note) = self.task.note() {
            reporter.say(&note);
        } else if answers != answer::Tally::default() {
            reporter.say(&answers.describe());
        }
        for AtWork { signal, model } in &judge.rewards {
            let calibration = judge.calibration.of(signal);
            // A model that knows where it holds has said so of each trace.
            if let (Some(task), Some(_), false) = (&calibration.task, calibration.false_alarm_rate, outside.knows(signal)) {
                let whose = if judge.rewards.len() > 1 { format!(" of {model}") } else { String::new() };
                reporter.say(&format!("the threshold{whose} is calibrated on {task}; on other text rewards and marks mean little"));
            }
        }
        if summary.partial > 0 {
            reporter.warn(&format!("{} traces lack the word of a reward model that could not read them", summary.partial));
        }
        Ok(match () {
            () if summary.interrupted => Exit::Interrupted,
            () if summary.failed > 0 || summary.partial > 0 || broken || nothing => Exit::Failed,
            () => Exit::Ok,
        })
    }
}

/// What is said at the end.
#[derive(Default)]
struct Tally {
    candidates: u64,
    /// The reward models' readings, each with the candidates' values.
    rewards: Vec<(Reading, Vec<f32>)>,
    marked: u64,
    wrong: u64,
    hit: u64,
    right: u64,
    unmarked: u64,
    /// Identities of traces that are longer than the reward model can read.
    cut: Vec<String>,
}

impl Tally {
    fn of(judge: &Judge) -> Self {
        let rewards = judge.rewards.iter().map(|a| (judge.calibration.of(&a.signal).reading.clone(), Vec::new())).collect();
        Self { rewards, ..Self::default() }
    }

    fn add(&mut self, trace: &Trace, how: &Scoring<'_>) {
        for c in &trace.candidates {
            self.candidates += 1;
            let unread = |s: &Signal| match &s.values {
                Values::Tokens(tokens) => tokens.last().is_some_and(|r| r.span.end < c.text.trim_end().len()),
                Values::Steps(steps) => steps.last().is_some_and(Option::is_none),
                Values::Candidate(_) => false,
            };
            if self.rewards.iter().any(|(reading, _)| c.signal(&reading.signal).is_some_and(unread)) {
                self.cut.push(trace.id.clone());
            }
            for (reading, values) in &mut self.rewards {
                let signal = c.signal(&reading.signal);
                values.extend(signal.and_then(|s| s.candidate_value(how.aggregation, &c.step_values(s, reading, how.granularity))));
            }
            let Some(first) = how.first(trace, c) else { continue };
            let marked = first.map(|d| d.step);
            self.marked += u64::from(marked.is_some());
            match c.gold {
                Some(GoldDeviation::Step(gold)) => {
                    self.wrong += 1;
                    self.hit += u64::from(marked == Some(gold));
                }
                Some(GoldDeviation::None) => {
                    self.right += 1;
                    self.unmarked += u64::from(marked.is_none());
                }
                None => {}
            }
        }
    }

    fn tell(&self, reporter: &mut Reporter, summary: &Summary, (skipped, kept): (usize, usize), name: &str, outside: &Outside) {
        let mean = |values: &[f32]| (!values.is_empty()).then(|| values.iter().sum::<f32>() / values.len() as f32);
        let means: Vec<(&str, f32)> = self.rewards.iter().filter_map(|(r, values)| Some((r.signal.as_str(), mean(values)?))).collect();
        let told = |(signal, mean): &(&str, f32)| format!("; mean {signal} {mean:+.3}");
        let mean_note: String = means.iter().map(told).collect();
        let mean_note = if means.is_empty() { mean_note } else { format!("{mean_note}; a deviation marked in {}", self.marked) };
        let by_signal: serde_json::Map<String, serde_json::Value> = means.iter().map(|(s, m)| ((*s).to_owned(), (*m).into())).collect();
        let mean = self.rewards.first().and_then(|(_, values)| mean(values));
        let seconds = summary.seconds;
        let kept_note = if kept > 0 { format!(" ({kept} traces were there already)") } else { String::new() };
        reporter.say(&format!(
            "{} candidates of {} traces scored in {seconds:.1} s into {name}{kept_note}{mean_note}",
            self.candidates, summary.traces
        ));
        if self.wrong + self.right > 0 {
            reporter.say(&format!(
                "against the labels: first wrong step hit in {} of {} wrong candidates; {} of {} right ones unmarked",
                self.hit, self.wrong, self.unmarked, self.right
            ));
        }
        if let Some(first) = self.cut.first() {
            let n = self.cut.len();
            reporter.warn(&format!(
                "the ends of {n} candidates are without reward, being longer than the reward model's context ({first} first)"
            ));
        }
        reporter.skipped(skipped);
        reporter.record(serde_json::json!({
            "event": "summary", "traces": summary.traces, "candidates": self.candidates, "failed": summary.failed, "cut": self.cut.len(), "skipped": skipped,
            "outside": outside.traces(),
            "kept": kept, "interrupted": summary.interrupted, "seconds": seconds, "mean_reward": mean, "means": by_signal, "partial": summary.partial, "marked": self.marked,
            "wrong": self.wrong, "hit": self.hit, "right": self.right, "unmarked": self.unmarked, "output": name,
        }));
    }
}

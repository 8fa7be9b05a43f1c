//! `eval`: reranking and localisation on held-out stories, beside the baselines.

use crate::cli::args::{DeviceArgs, OutputArgs, RewardArgs, model};
use crate::cli::exit::Exit;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::Output;
use crate::cli::progress::Reporter;
use crate::eval::report::{Options, evaluate};
use crate::eval::rerank::Method;
use crate::eval::stories::{Pair, StoriesOptions, sample, scored};
use crate::runtime::ModelRef;
use crate::task::stories::Split;
use crate::trace::Sampling;
use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Arguments of `eval`.
#[derive(Args, Debug)]
pub struct Eval {
    /// Policy that writes the candidates: a directory, a .gguf file, a hub id in the local cache or `embedded`
    #[arg(long, value_name = "MODEL", default_value = "embedded", value_parser = model, help_heading = "Models")]
    policy: ModelRef,
    /// Reward model that is judged: a directory or `embedded`
    #[arg(long, value_name = "MODEL", default_value = "embedded", value_parser = model, help_heading = "Models")]
    reward: ModelRef,
    #[command(flatten)]
    device: DeviceArgs,
    /// Split of `stories`; none of them is trained on
    #[arg(long, value_name = "SPLIT", default_value = "in_distribution", value_parser = split())]
    split: Split,
    /// Number of problems
    #[arg(long, value_name = "COUNT", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    problems: u64,
    /// Candidates of each problem
    #[arg(short, long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    n: u16,
    /// Softmax temperature of the candidates
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    temperature: f32,
    /// Tokens a candidate may have at most
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    max_tokens: usize,
    /// Seed of the problems, of the samples and of the bootstrap
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// How the report is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where the report goes; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    rewards: RewardArgs,
}

/// Shape of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns.
    Text,
    /// GitHub Markdown.
    Markdown,
    /// One JSON object; also what `--json` gives.
    Json,
}

fn split() -> impl TypedValueParser<Value = Split> {
    let held_out = || Split::ALL.into_iter().filter(|s| !matches!(s, Split::Train | Split::Validation));
    PossibleValuesParser::new(held_out().map(Split::name))
        .map(move |name| held_out().find(|s| s.name() == name).unwrap_or(Split::InDistribution))
}

impl Eval {
    pub fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let (Some(policy), Some(reward)) = (self.policy.policy_files()?, self.reward.reward_files()?) else {
            bail!("evaluation needs a policy and a reward model; `none` is neither");
        };
        let mut output = Output::open(self.output.as_deref())?;
        let device = self.device.device.open()?;
        let mut reporter = Reporter::new(messages, "problems");
        let pair = Pair::open(&policy, &reward, &device)?;
        let interrupt = Interrupt::listen()?;
        let options = StoriesOptions {
            split: self.split,
            problems: self.problems,
            seed: self.seed,
            n: usize::from(self.n),
            sampling: Sampling { temperature: self.temperature, max_tokens: self.max_tokens, ..Sampling::default() },
        };
        let traces = sample(&pair, &options, &mut |done| {
            reporter.progress(done as u64, Some(self.problems), "sampled");
            if interrupt.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if interrupt.is_set() {
            reporter.say("interrupted; a report on part of the problems would not be what was asked for");
            return Ok(Exit::Interrupted);
        }
        let mut sizes: Vec<usize> = [1, 2, 4, 8, 16, 32, 64].into_iter().filter(|&s| s < options.n).collect();
        sizes.push(options.n);
        let mut report = Options {
            title: format!(
                "stories / {}: {} problems × {} candidates of {} at T = {}, scored by {} ({:?}, {:?}), seed {}",
                self.split.name(),
                self.problems,
                self.n,
                pair.names().0,
                self.temperature,
                pair.names().1,
                self.rewards.granularity,
                self.rewards.aggregation,
                self.seed
            ),
            sizes,
            main: Method::Reward(self.rewards.aggregation),
            calibration: pair.calibration().clone(),
            ..Options::default()
        };
        report.bootstrap.seed = self.seed;
        let report = evaluate(&scored(&traces, self.rewards.granularity), &report)?;
        let text = match self.format {
            _ if messages.json => serde_json::to_string(&report.json())?,
            Format::Json => serde_json::to_string(&report.json())?,
            Format::Text => report.text(),
            Format::Markdown => report.markdown(),
        };
        for line in text.lines() {
            output.line(line)?;
        }
        output.finish()?;
        Ok(Exit::Ok)
    }
}

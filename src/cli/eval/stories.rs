//! `eval` without a file: a policy and a reward model on held-out stories, live.

use super::finish::{Made, ReportArgs};
use crate::cli::args::{DeviceArgs, PromptArgs, RewardArgs, model, number, positive};
use crate::cli::outside::Outside;
use crate::cli::progress::Reporter;
use crate::eval::report::{Options, evaluate};
use crate::eval::stories::{Pair, StoriesOptions, sample, scored};
use crate::runtime::ModelRef;
use crate::task::stories::Split;
use crate::trace::Sampling;
use anyhow::{Result, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::ops::ControlFlow;

/// Which stories, who writes, and who judges.
#[derive(Args, Clone, Debug)]
pub struct StoriesArgs {
    /// Policy that writes the candidates: a directory, a .gguf file, a hub id in the local cache or `embedded`
    #[arg(long, value_name = "MODEL", default_value = "embedded", value_parser = model, help_heading = "Models")]
    pub policy: ModelRef,
    /// Reward model that is judged: a directory or `embedded`
    #[arg(long, value_name = "MODEL", default_value = "embedded", value_parser = model, help_heading = "Models")]
    pub reward: ModelRef,
    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Split of `stories`; none of them is trained on
    #[arg(long, value_name = "SPLIT", default_value = "in_distribution", value_parser = split())]
    pub split: Split,
    /// Number of problems
    #[arg(long, value_name = "COUNT", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    pub problems: u64,
    /// Candidates of each problem
    #[arg(short, long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub n: u16,
    /// Softmax temperature of the candidates
    #[arg(long, value_name = "T", default_value_t = 1.0, allow_negative_numbers = true, value_parser = number::<0>)]
    pub temperature: f32,
    /// Tokens a candidate may have at most
    #[arg(long, value_name = "COUNT", default_value_t = 256, value_parser = positive)]
    pub max_tokens: usize,
    #[command(flatten)]
    pub rewards: RewardArgs,
}

/// Arguments of `eval stories`, and of `eval` alone.
#[derive(Args, Clone, Debug)]
pub struct Stories {
    #[command(flatten)]
    stories: StoriesArgs,
}

fn split() -> impl TypedValueParser<Value = Split> {
    let held_out = || Split::ALL.into_iter().filter(|s| !matches!(s, Split::Train | Split::Validation));
    PossibleValuesParser::new(held_out().map(Split::name))
        .map(move |name| held_out().find(|s| s.name() == name).unwrap_or(Split::InDistribution))
}

impl StoriesArgs {
    /// Loads both models, and says what is to be known of how the policy is asked.
    pub fn open(&self, reporter: &mut Reporter) -> Result<Pair> {
        let (Some(policy), Some(reward)) = (self.policy.policy_files()?, self.reward.reward_files()?) else {
            bail!("evaluation needs a policy and a reward model on this machine; `none` is neither");
        };
        if self.reward.is_reward_only() {
            bail!("{}: only a reward model that was trained here is evaluated so; `reasonscope eval localise FILE` takes any", self.reward);
        }
        let pair = Pair::open(&policy, &self.prompt.options()?, &reward, &self.device.device.open()?)?;
        pair.notes().iter().for_each(|note| reporter.say(&format!("policy {}: {note}", self.policy)));
        Ok(if self.reward.is_shaped() { pair.shaped()? } else { pair })
    }

    /// What to sample.
    pub fn options(&self, seed: u64) -> StoriesOptions {
        StoriesOptions {
            split: self.split,
            problems: self.problems,
            seed,
            n: usize::from(self.n),
            sampling: Sampling { temperature: self.temperature, max_tokens: self.max_tokens, ..Sampling::default() },
        }
    }

    /// What was evaluated, for people.
    pub fn title(&self, pair: &Pair, seed: u64) -> String {
        format!(
            "stories / {}: {} problems × {} candidates of {} at T = {}, scored by {} ({}; read {}, {} over steps), seed {seed}",
            self.split.name(),
            self.problems,
            self.n,
            pair.names().0,
            self.temperature,
            self.reward,
            pair.names().1,
            self.rewards.granularity.name(),
            self.rewards.aggregation.name(),
        )
    }
}

impl Stories {
    pub fn make(&self, how: &ReportArgs, reporter: &mut Reporter) -> Result<Made> {
        let stories = &self.stories;
        let pair = stories.open(reporter)?;
        let options = stories.options(how.seed);
        let traces = sample(&pair, &options, &mut |done| {
            reporter.progress(done as u64, Some(stories.problems), "sampled");
            ControlFlow::Continue(())
        })?;
        let mut outside = Outside::default();
        traces.iter().for_each(|t| outside.add(&t.trace));
        outside.words().for_each(|words| reporter.warn(&words));
        let mut sizes: Vec<usize> = [1, 2, 4, 8, 16, 32, 64].into_iter().filter(|&s| s < options.n).collect();
        sizes.push(options.n);
        let report = Options {
            title: stories.title(&pair, how.seed),
            sizes,
            aggregation: stories.rewards.aggregation,
            calibration: pair.calibration().clone(),
            bootstrap: how.bootstrap(traces.len()),
            ..Options::default()
        };
        let rows = scored(&traces, stories.rewards.granularity);
        Ok(Made { report: evaluate(&rows, &report)?, rows, calibration: report.calibration })
    }
}

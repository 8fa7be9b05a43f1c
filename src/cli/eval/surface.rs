//! `eval surface`: does the reward follow the logic of a text or its surface? Expert solutions beside twins that are spoiled in known ways.

use super::experts::Experts;
use super::finish::{Made, ReportArgs};
use crate::cli::args::{DeviceArgs, PromptArgs, RewardArgs, local, model, task};
use crate::cli::interrupt::Interrupt;
use crate::cli::progress::Reporter;
use crate::collection::{Judge, ReadOptions};
use crate::eval::ScoredTrace;
use crate::eval::columns::{columns, default_reading};
use crate::eval::metrics::methods::other_scores;
use crate::eval::metrics::pairs::{self, Pair};
use crate::eval::metrics::score::Score;
use crate::eval::metrics::surface;
use crate::eval::parts::Report;
use crate::runtime::ModelRef;
use crate::task::{GradedCorruption, Task};
use crate::trace::{Candidate, Trace};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `eval surface`.
#[derive(Args, Clone, Debug)]
pub struct Surface {
    /// Expert solutions that nothing was trained on, JSON lines, plain or gzip: those of the task's test split
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The task of the solutions, which says how their records read
    #[arg(long, value_name = "TASK", default_value = "gsm8k", value_parser = task(Task::ALL))]
    task: Task,
    /// Only the first solutions
    #[arg(long, value_name = "COUNT", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    problems: u32,
    /// Reward model that is judged: a directory, a hub id in the local cache or `embedded`; several, each by a --reward of its own, are judged side by side
    #[arg(long, value_name = "MODEL", default_value = "embedded", value_parser = model, help_heading = "Models")]
    reward: Vec<ModelRef>,
    /// Policy whose mean log-probability is judged beside the reward
    #[arg(long, value_name = "MODEL", default_value = "none", value_parser = local, help_heading = "Models")]
    policy: ModelRef,
    #[command(flatten)]
    prompt: PromptArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    rewards: RewardArgs,
}

impl Surface {
    pub fn make(&self, how: &ReportArgs, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Made> {
        let experts = Experts { files: &self.files, task: self.task, limit: self.problems as usize };
        let traces = experts.twins(&GradedCorruption::ALL, &self.rewards.segment, how.seed, reporter)?;
        let judge = Judge::open(&self.reward, &self.prompt.of(&self.policy)?, self.device.device, reporter, interrupt)?;
        let with = ReadOptions { segmentation: &self.rewards.segment, interrupt };
        let traces = judge.read(traces, &with, reporter)?;
        let mut rows: Vec<ScoredTrace> = traces.iter().map(|t| ScoredTrace::from_trace(t, self.rewards.granularity, None)).collect();
        let twins_of = rows.iter_mut().flat_map(|r| &mut r.candidates).zip(traces.iter().flat_map(|t| &t.candidates));
        twins_of.for_each(|(row, c)| row.class.clone_from(&c.policy));
        let columns = columns(&rows);
        let reward = default_reading(&columns, &judge.calibration).map(|c| Score::by(c, self.rewards.aggregation));
        let others = other_scores(&columns, reward.as_ref().map(|r| &r.reading), self.rewards.aggregation, &judge.calibration);
        let mut made = Report {
            title: format!(
                "Logic or surface: {} expert solutions of {} and their spoiled twins under {}, seed {}",
                traces.len(),
                self.task.name(),
                judge.reward_names().unwrap_or_else(|| "no reward model".into()),
                how.seed
            ),
            ..Report::default()
        };
        let known = |pairs: &[Pair]| pairs.iter().any(|p| p.win().is_some());
        for score in reward.iter().chain(&others) {
            let (name, is_reward) = (score.to_string(), Some(score) == reward.as_ref());
            let all = twins(&traces, &|t, c| score.of(&rows[t].candidates[c]));
            if !known(&all) {
                continue;
            }
            let (shuffled, pairs): (Vec<Pair>, Vec<Pair>) = all.into_iter().partition(|p| p.kind == GradedCorruption::StepsShuffled.name());
            for mut section in
                [pairs::section(&pairs, how.bootstrap(pairs.len()))?, surface::section(&pairs, &shuffled, how.bootstrap(pairs.len()))?]
            {
                for table in &mut section.tables {
                    table.title = format!("{name}: {}", table.title);
                }
                for chart in &mut section.charts {
                    chart.title = format!("{name}: {}", chart.title);
                    chart.name = format!("{}-{}", chart.name, name.replace([' ', '.', ':'], "-"));
                }
                if !is_reward {
                    let signal = &score.reading.signal;
                    section.figures = section.figures.into_iter().map(|(k, v)| (format!("{signal}_{k}"), v)).collect();
                }
                section.add_to(&mut made);
            }
        }
        Ok(Made { report: made, rows, calibration: judge.calibration.clone() })
    }
}

/// The expert's solution beside each of its twins.
fn twins(traces: &[Trace], score: &dyn Fn(usize, usize) -> Option<f32>) -> Vec<Pair> {
    let of = |t: usize, c: usize| {
        let (clean, twin) = (&traces[t].candidates[0], &traces[t].candidates[c]);
        Pair {
            problem: traces[t].id.clone(),
            kind: twin.policy.clone().unwrap_or_default(),
            clean: score(t, 0).unwrap_or(f32::NAN),
            corrupted: score(t, c).unwrap_or(f32::NAN),
            clean_tokens: size(clean),
            corrupted_tokens: size(twin),
            overlap: surface::overlap(&clean.text, &twin.text),
        }
    };
    (0..traces.len()).flat_map(|t| (1..traces[t].candidates.len()).map(move |c| of(t, c))).collect()
}

/// Length in the scorer's own tokens.
fn size(c: &Candidate) -> usize {
    c.rewards().len().max(c.tokens.len())
}

//! Recorded candidates as the metrics read them: as they stand in files, or read anew by models.

use crate::cli::args::{DeviceArgs, RewardArgs, model};
use crate::cli::exit::Usage;
use crate::cli::headless::Walk;
use crate::cli::interrupt::Interrupt;
use crate::cli::judge::{Judge, Reading, local, whole};
use crate::cli::progress::Reporter;
use crate::eval::ScoredTrace;
use crate::format::{Options, TraceList};
use crate::runtime::ModelRef;
use crate::trace::{Calibration, Trace, segment};
use anyhow::{Result, bail};
use clap::Args;
use rayon::prelude::*;
use std::path::Path;

/// Traces that are read and parsed at a time.
const WAVE: usize = 512;

/// Which candidates, and what reads them.
#[derive(Args, Clone, Debug)]
pub struct RecordedArgs {
    /// Traces with candidates, in any format that `inspect` opens; what `score` and `generate` write among them
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    /// Score the candidates with this reward model: a directory, a .gguf file, a hub id in the local cache or `embedded`. `none`: the rewards in the files
    #[arg(long, value_name = "MODEL", default_value = "none", value_parser = model, help_heading = "Models")]
    pub reward: ModelRef,
    /// Read log-probabilities and entropies with this policy. `none`: those in the files
    #[arg(long, value_name = "MODEL", default_value = "none", value_parser = local, help_heading = "Models")]
    pub policy: ModelRef,
    /// No rewards, those in the files neither: the baselines alone
    #[arg(long, conflicts_with = "reward")]
    pub baselines_only: bool,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Only the first problems of each file
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub problems: Option<u64>,
    #[command(flatten)]
    pub rewards: RewardArgs,
}

/// The candidates of one file.
pub struct Subset {
    /// The file's name without its folder and endings.
    pub name: String,
    /// Its problems.
    pub traces: Vec<ScoredTrace>,
}

/// What was read.
pub struct Recorded {
    /// A file each.
    pub subsets: Vec<Subset>,
    /// The reward model's thresholds, where one was named.
    pub calibration: Calibration,
    /// What the rewards are, for titles.
    pub reward: String,
    /// Whose log-probabilities, for titles.
    pub policy: Option<String>,
}

impl RecordedArgs {
    /// Loads the models that are named.
    pub fn judge(&self, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Judge> {
        Judge::open(&self.reward, &self.policy, self.device.device, reporter, interrupt)
    }

    /// Reads all files. Fails where a file has no candidates, or a model cannot read a trace; bad records are named and skipped.
    pub fn read(&self, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Recorded> {
        self.read_with(&self.judge(reporter, interrupt)?, reporter, interrupt)
    }

    /// The same with models that are loaded.
    pub fn read_with(&self, judge: &Judge, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Recorded> {
        let mut subsets = Vec::with_capacity(self.files.len());
        for file in &self.files {
            reporter.stage(file);
            let list = TraceList::open(std::slice::from_ref(file), Options::default())?;
            let traces = if self.reward == ModelRef::None && self.policy == ModelRef::None {
                self.as_they_are(&list, reporter, interrupt)?
            } else {
                self.anew(judge, list, reporter, interrupt)?
            };
            if interrupt.is_set() {
                return Err(crate::train::TrainError::Interrupted.into());
            }
            if traces.is_empty() {
                bail!("{file}: has no candidates to evaluate; sample some with `reasonscope generate`");
            }
            subsets.push(Subset { name: stem(file), traces });
        }
        let named = |m: &Option<String>, has: bool| m.clone().unwrap_or_else(|| if has { "rewards in the files" } else { "none" }.into());
        let has = subsets.iter().flat_map(|s| &s.traces).flat_map(|t| &t.candidates).any(|c| c.step_rewards.iter().any(Option::is_some));
        Ok(Recorded {
            reward: named(&judge.reward_name, has),
            policy: judge.policy_name.clone(),
            calibration: judge.calibration.clone(),
            subsets,
        })
    }

    fn limit(&self) -> usize {
        self.problems.map_or(usize::MAX, |p| usize::try_from(p).unwrap_or(usize::MAX))
    }

    fn scored(&self, trace: &Trace) -> ScoredTrace {
        let mut scored = ScoredTrace::from_trace(trace, self.rewards.granularity);
        if self.baselines_only {
            for c in &mut scored.candidates {
                c.step_rewards = vec![None; c.n_steps];
            }
        }
        scored
    }

    /// On all threads; a text is dropped as soon as its numbers are taken.
    fn as_they_are(&self, list: &TraceList, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Vec<ScoredTrace>> {
        let mut traces = Vec::new();
        let mut bad = 0;
        let mut at = 0;
        while traces.len() < self.limit() && list.wait(at) && !interrupt.is_set() {
            let wave = at..list.len().min(at + WAVE);
            at = wave.end;
            let read: Vec<_> = wave
                .into_par_iter()
                .map(|i| {
                    list.read(i).map(|mut trace| {
                        for c in trace.candidates.iter_mut().filter(|c| c.steps.is_empty()) {
                            c.steps = segment(&c.text, &self.rewards.segment);
                        }
                        self.scored(&trace)
                    })
                })
                .collect();
            for trace in read {
                match trace {
                    Ok(trace) if trace.candidates.is_empty() => {}
                    Ok(trace) => traces.push(trace),
                    Err(error) => {
                        bad += 1;
                        if bad <= 20 {
                            reporter.warn(&error.to_string());
                        }
                    }
                }
            }
            reporter.progress(at as u64, list.is_complete().then(|| list.len() as u64), "read");
        }
        traces.truncate(self.limit());
        if bad > 0 || list.skipped() > 0 {
            reporter.warn(&format!("{} bad records were skipped", list.skipped().max(bad)));
        }
        Ok(traces)
    }

    fn anew(&self, judge: &Judge, list: TraceList, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Vec<ScoredTrace>> {
        let mut traces = Vec::new();
        let taken = std::cell::Cell::new(0);
        let wanted = |_: &Trace| {
            taken.set(taken.get() + 1);
            taken.get() <= self.limit()
        };
        let done = |trace: Trace| {
            traces.push(self.scored(&trace));
            Ok(())
        };
        let with = Reading { segmentation: &self.rewards.segment, interrupt };
        let judged = judge.run(Walk::new(list, None), &with, reporter, wanted, done)?;
        if !judged.summary.interrupted {
            whole(&judged)?;
        }
        if judged.skipped > 0 {
            reporter.warn(&format!("{} bad records were skipped", judged.skipped));
        }
        Ok(traces)
    }
}

impl Recorded {
    /// All problems, whichever file they are from; an id that two files have is told apart by the file's name.
    pub fn pooled(&self) -> Vec<ScoredTrace> {
        let mut seen = std::collections::HashSet::new();
        let clash = self.subsets.iter().flat_map(|s| &s.traces).any(|t| !seen.insert(&t.id));
        let named = |s: &Subset, t: &ScoredTrace| ScoredTrace {
            id: if clash && self.subsets.len() > 1 { format!("{}/{}", s.name, t.id) } else { t.id.clone() },
            candidates: t.candidates.clone(),
        };
        self.subsets.iter().flat_map(|s| s.traces.iter().map(move |t| named(s, t))).collect()
    }

    /// Sizes N that every problem has: powers of two, and the fewest candidates of a problem, or `n`.
    pub fn sizes(&self, n: Option<usize>) -> Result<Vec<usize>> {
        let fewest = self.subsets.iter().flat_map(|s| &s.traces).min_by_key(|t| t.candidates.len());
        let Some(fewest) = fewest else { return Ok(Vec::new()) };
        let (most, has) = (n.unwrap_or(fewest.candidates.len()), fewest.candidates.len());
        if most > has {
            return Err(Usage(format!("--n {most}: problem {} has {has} candidates; give at most that", fewest.id)).into());
        }
        let mut sizes: Vec<usize> = (0..).map(|i| 1_usize << i).take_while(|&s| s < most).collect();
        sizes.push(most);
        Ok(sizes)
    }
}

/// `gsm8k` of `data/gsm8k.json.gz`.
fn stem(file: &str) -> String {
    let name = Path::new(file).file_name().map_or_else(|| file.to_owned(), |n| n.to_string_lossy().into_owned());
    let stem = name.split('.').next().unwrap_or_default();
    if stem.is_empty() { name } else { stem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_is_named_by_its_file() {
        assert_eq!(stem("data/gsm8k.json.gz"), "gsm8k");
        assert_eq!(stem(".hidden"), ".hidden");
        assert_eq!(stem("-"), "-");
    }
}

//! `eval rerank`, `pass`, `localise` and `calibrate`: reports on recorded candidates.

use super::experts::Experts;
use super::finish::{Made, ReportArgs};
use super::recorded::{Recorded, RecordedArgs};
use crate::cli::demonstrations::task;
use crate::cli::exit::Usage;
use crate::cli::interrupt::Interrupt;
use crate::cli::progress::Reporter;
use crate::collection::{Judge, Reading};
use crate::eval::combine::Combined;
use crate::eval::conformal;
use crate::eval::localise::{Signal, best_threshold};
use crate::eval::processbench::{self, Threshold};
use crate::eval::report::{self, Options, ThresholdSource};
use crate::eval::rerank::Method;
use crate::eval::{ScoredTrace, grid, steplabels};
use crate::task::{GradedCorruption, Task};
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `eval rerank`, `eval pass` and `eval calibrate`.
#[derive(Args, Clone, Debug)]
pub struct Candidates {
    /// The largest N to pick from or to draw; as many as every problem has, where it is not said
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    n: Option<u16>,
    #[command(flatten)]
    recorded: RecordedArgs,
}

/// Arguments of `eval localise`.
#[derive(Args, Clone, Debug)]
pub struct Localise {
    /// Where thresholds come from: a number, for the reward; or a subset (a file's name without ending), whose best F1 chooses them for all, as ProcessBench
    /// does with gsm8k. Without it, the reward model's own, which no label has chosen
    #[arg(long, value_name = "NUMBER|SUBSET", allow_negative_numbers = true)]
    threshold: Option<String>,
    /// Expert solutions that nothing was trained on, JSON lines: thresholds that mark --false-alarms of them, and a detector of reward and log-probability
    /// together, fitted on their spoiled twins. No label of the candidates takes part
    #[arg(long, value_name = "FILE", conflicts_with = "threshold")]
    experts: Vec<PathBuf>,
    /// The task of the expert solutions, which says how their records read
    #[arg(long, value_name = "TASK", default_value = "gsm8k", value_parser = task())]
    expert_task: Task,
    /// Only the first expert solutions
    #[arg(long, value_name = "COUNT", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    expert_problems: u32,
    /// Share of right traces that thresholds from --experts may mark
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share)]
    false_alarms: f64,
    /// Mark intervals of K tokens in place of steps, where the candidates have tokens: the largest drop against chance on the same grid
    #[arg(long, value_name = "K", conflicts_with_all = ["threshold", "experts"], value_parser = clap::value_parser!(u16).range(1..))]
    grid: Option<u16>,
    #[command(flatten)]
    recorded: RecordedArgs,
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|s: &f64| *s > 0.0 && *s < 1.0).ok_or_else(|| "a number between 0 and 1".into())
}

/// Which part of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Best of N.
    Rerank,
    /// pass@k.
    Pass,
    /// Discrimination and calibration.
    Calibrate,
    /// All of these, and the first wrong step.
    All,
}

impl Candidates {
    pub fn make(&self, part: Part, how: &ReportArgs, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Made> {
        let mut recorded = self.recorded.read(reporter, interrupt)?;
        let sizes = recorded.sizes(self.n.map(usize::from), reporter)?;
        let rows = recorded.pooled();
        if !rows.iter().flat_map(|t| &t.candidates).any(|c| c.correct) {
            let remedy = "their files must say which candidates are `correct`, or which answer is right";
            bail!("no candidate is known to be right, so there is nothing to tell apart; {remedy}");
        }
        if part == Part::Rerank && sizes == [1] {
            bail!(
                "the problems have one candidate each, so there is nothing to pick from; give files with several, or join them with `reasonscope data join`"
            );
        }
        if part == Part::Calibrate && !recorded.has_rewards() {
            bail!("there are no rewards to calibrate; score the candidates with --reward MODEL, or name a file that `score` wrote");
        }
        let options = self.recorded.options(&recorded, what(part), sizes, how);
        let mut made = report::begin(&rows, &options);
        match part {
            Part::Rerank => report::reranking(&rows, &options)?.add_to(&mut made),
            Part::Pass => report::pass(&rows, &options)?.add_to(&mut made),
            Part::Calibrate => report::candidates(&rows, &options)?.add_to(&mut made),
            Part::All => made = report::evaluate(&rows, &options)?,
        }
        Ok(Made { report: made, rows, calibration: recorded.calibration, ..Made::default() })
    }
}

fn what(part: Part) -> &'static str {
    match part {
        Part::Rerank => "Reranking",
        Part::Pass => "pass@k",
        Part::Calibrate => "Calibration",
        Part::All => "Everything",
    }
}

impl RecordedArgs {
    fn options(&self, recorded: &Recorded, what: &str, sizes: Vec<usize>, how: &ReportArgs) -> Options {
        let files = recorded.subsets.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
        let logprobs = recorded.policy.as_ref().map_or(String::new(), |p| format!("; log-probabilities of {p}"));
        let answers = recorded.subsets.iter().flat_map(|s| &s.traces).flat_map(|t| &t.candidates).any(|c| c.answer.is_some());
        Options {
            title: format!("{what} on {files}; reward: {}{logprobs}; seed {}", recorded.reward, how.seed),
            sizes,
            main: match (recorded.has_rewards(), answers) {
                (true, _) => Method::Reward(self.rewards.aggregation),
                (false, true) => Method::Majority,
                (false, false) => Method::LogProbMean,
            },
            calibration: recorded.calibration.clone(),
            bootstrap: how.bootstrap(),
            ..Options::default()
        }
    }
}

impl Localise {
    pub fn make(&self, how: &ReportArgs, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Made> {
        if let Some(k) = self.grid {
            return self.on_grid(usize::from(k), how, reporter, interrupt);
        }
        let judge = self.recorded.judge(reporter, interrupt)?;
        let mut recorded = self.recorded.read_with(&judge, reporter, interrupt)?;
        let combined = match self.experts.is_empty() {
            true => None,
            false => self.calibrate(&judge, &mut recorded, how.seed, reporter, interrupt)?,
        };
        let source = self.fix_thresholds(&mut recorded)?;
        let rows = recorded.pooled();
        let any = |f: &dyn Fn(&crate::eval::ScoredCandidate) -> bool| rows.iter().flat_map(|t| &t.candidates).any(f);
        let labelled = any(&|c| c.labelled && c.first_error.is_some());
        let rated = any(&|c| c.step_labels.iter().any(Option::is_some));
        if !labelled && !rated {
            bail!("no candidate has a labelled first wrong step or labelled steps; name a file that has, for example ProcessBench's");
        }
        let mut options = self.recorded.options(&recorded, "First wrong step", vec![1], how);
        options.combined_threshold = combined;
        options.source = source;
        let mut made = report::begin(&rows, &options);
        let bootstrap = how.bootstrap();
        if labelled {
            report::localisation(&rows, &options)?.add_to(&mut made);
            let methods = methods(&recorded, &rows, &options.source);
            if !methods.is_empty() && (recorded.subsets.len() > 1 || self.threshold.is_some()) {
                let subsets: Vec<_> = recorded.subsets.iter().map(|s| (s.name.as_str(), s.traces.as_slice())).collect();
                processbench::section(&methods, &subsets, bootstrap)?.add_to(&mut made);
            }
        }
        if rated {
            let fixed: Vec<(String, Signal, f32)> = signals(&rows)
                .filter_map(|s| {
                    let own = own_threshold(&recorded, s);
                    let best = best_threshold(s, &rows).map(|b| b.0);
                    own.map(|t| (format!("{}, {}", s.name(), options.source.name(s)), s, t))
                        .or(best.map(|t| (format!("{}, best", s.name()), s, t)))
                })
                .collect();
            if !fixed.is_empty() {
                steplabels::section(&fixed, &rows, bootstrap)?.add_to(&mut made);
            }
            let known: Vec<Signal> = signals(&rows).collect();
            if !known.is_empty() {
                steplabels::ratings(&known, &rows, bootstrap)?.add_to(&mut made);
            }
        }
        Ok(Made { report: made, rows, calibration: recorded.calibration, combined_threshold: combined })
    }

    fn on_grid(&self, k: usize, how: &ReportArgs, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Made> {
        let args = RecordedArgs { grid: Some(k), ..self.recorded.clone() };
        let recorded = args.read(reporter, interrupt)?;
        let rows = recorded.pooled();
        if rows.iter().flat_map(|t| &t.candidates).all(|c| c.first_error.is_none()) {
            bail!("no candidate has tokens and a labelled first wrong step; read the file with --policy, which gives it tokens");
        }
        let options = args.options(&recorded, &format!("First wrong interval of {k} tokens"), vec![1], how);
        let mut made = report::begin(&rows, &options);
        grid::section(&rows, k, how.bootstrap())?.add_to(&mut made);
        Ok(Made { report: made, rows, ..Made::default() })
    }

    /// Thresholds from experts and the combined detector from their twins; the detector's own threshold, where it could be fitted.
    fn calibrate(
        &self,
        judge: &Judge,
        recorded: &mut Recorded,
        seed: u64,
        reporter: &mut Reporter,
        interrupt: &Interrupt,
    ) -> Result<Option<f32>> {
        let segmentation = &self.recorded.rewards.segment;
        let kinds = [GradedCorruption::NumberLittle, GradedCorruption::NumberLot, GradedCorruption::NumberSwap, GradedCorruption::Operator];
        let experts = Experts { files: &self.experts, task: self.expert_task, limit: self.expert_problems as usize };
        let twins = experts.twins(&kinds, segmentation, seed, reporter)?;
        reporter.stage("experts");
        let twins = judge.read(twins, &Reading { segmentation, interrupt }, reporter)?;
        if interrupt.is_set() {
            return Ok(None);
        }
        let twins: Vec<ScoredTrace> = twins
            .iter()
            .map(|t| ScoredTrace::from_trace(t, self.recorded.rewards.granularity, self.recorded.task.and_then(Task::kind)))
            .collect();
        let threshold = |signal: Signal| {
            let least = |t: &ScoredTrace| signal.values(t.candidates.first()?).into_iter().flatten().reduce(f32::min);
            let mut least: Vec<f32> = twins.iter().filter_map(least).collect();
            least.sort_by(f32::total_cmp);
            conformal::threshold(&least, self.false_alarms)
        };
        if conformal::threshold(&vec![0.0; twins.len()], self.false_alarms).is_none() {
            let needed = (1.0 / self.false_alarms - 1.0).ceil();
            let n = twins.len();
            reporter.warn(&format!(
                "{n} expert solutions are too few for thresholds with --false-alarms {}; {needed} are needed",
                self.false_alarms
            ));
        }
        for signal in [Signal::Reward, Signal::LogProb, Signal::Entropy] {
            signal.set_threshold(&mut recorded.calibration, threshold(signal));
        }
        match Combined::fit(&twins) {
            Ok(combined) => {
                for subset in &mut recorded.subsets {
                    combined.apply(&mut subset.traces)?;
                }
                Ok(combined.threshold)
            }
            Err(error) => {
                reporter.warn(&format!("{error}; give --policy too, or files with log-probabilities"));
                Ok(None)
            }
        }
    }

    /// Puts the thresholds that `--threshold` asks for in the place of the reward model's own.
    fn fix_thresholds(&self, recorded: &mut Recorded) -> Result<ThresholdSource> {
        let Some(asked) = self.threshold.as_deref() else { return Ok(ThresholdSource::Calibrated) };
        if let Ok(number) = asked.parse::<f32>() {
            if !number.is_finite() {
                return Err(Usage(format!("--threshold {asked}: not a number that rewards can be below")).into());
            }
            if !recorded.has_rewards() {
                return Err(Usage(format!(
                    "--threshold {asked}: there are no rewards; name a --reward model, or a file that `score` wrote"
                ))
                .into());
            }
            Signal::Reward.set_threshold(&mut recorded.calibration, Some(number));
            return Ok(ThresholdSource::Given);
        }
        let Some(subset) = recorded.subsets.iter().find(|s| s.name == asked) else {
            let names: Vec<&str> = recorded.subsets.iter().map(|s| s.name.as_str()).collect();
            return Err(Usage(format!("--threshold {asked}: neither a number nor one of the files {}", names.join(", "))).into());
        };
        for signal in [Signal::Reward, Signal::LogProb, Signal::Entropy] {
            signal.set_threshold(&mut recorded.calibration, best_threshold(signal, &subset.traces).map(|b| b.0));
        }
        Ok(ThresholdSource::BestOn(asked.to_owned()))
    }
}

/// Every signal that is there, with where its threshold comes from.
fn methods<'a>(recorded: &Recorded, rows: &[ScoredTrace], source: &'a ThresholdSource) -> Vec<(String, Signal, Threshold<'a>)> {
    signals(rows)
        .filter_map(|signal| {
            let threshold = match source {
                ThresholdSource::BestOn(name) => Threshold::BestOn(name),
                _ => Threshold::Fixed(own_threshold(recorded, signal)?),
            };
            Some((format!("{}, {}", signal.name(), source.name(signal)), signal, threshold))
        })
        .collect()
}

/// The signals that the candidates have.
fn signals(rows: &[ScoredTrace]) -> impl Iterator<Item = Signal> + '_ {
    let known = |s: &Signal| rows.iter().flat_map(|t| &t.candidates).any(|c| s.values(c).iter().any(Option::is_some));
    [Signal::Reward, Signal::LogProb, Signal::CriticLogProb, Signal::Entropy].into_iter().filter(known)
}

/// The fixed threshold, low values deviating.
fn own_threshold(recorded: &Recorded, signal: Signal) -> Option<f32> {
    signal.threshold(&recorded.calibration)
}

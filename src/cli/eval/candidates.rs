//! `eval rerank`, `pass`, `localise`, `calibrate` and `agreement`: reports on recorded candidates.

use super::experts::Experts;
use super::finish::{Made, ReportArgs};
use super::recorded::{Recorded, RecordedArgs};
use crate::cli::args::task;
use crate::cli::exit::Usage;
use crate::cli::interrupt::Interrupt;
use crate::cli::progress::Reporter;
use crate::collection::{Judge, ReadOptions};
use crate::eval::columns::{columns, main_of, names, standing};
use crate::eval::metrics::localise::choose::best_threshold;
use crate::eval::metrics::localise::combine::{COMBINED, Combined};
use crate::eval::metrics::localise::conformal::conformal_threshold;
use crate::eval::metrics::localise::grid;
use crate::eval::metrics::localise::processbench::{self, Threshold};
use crate::eval::metrics::steplabels;
use crate::eval::parts::Report;
use crate::eval::report::{self, Options, ThresholdSource};
use crate::eval::scored::{Column, Says};
use crate::eval::{ScoredCandidate, ScoredTrace};
use crate::task::{GradedCorruption, Task};
use crate::trace::{LOGPROB, Reading};
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `eval rerank`, `eval pass` and `eval calibrate`.
#[derive(Args, Clone, Debug)]
pub struct Candidates {
    /// The largest N to pick from or to draw; as many as every problem has, where it is not said
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    n: Option<u16>,
    /// The reading that ranks candidates, for example reward.sum or the name of a file's number; the file's own reward or the reward model's calibrated one,
    /// where it is not said
    #[arg(long, value_name = "READING")]
    rank_by: Option<Reading>,
    #[command(flatten)]
    recorded: RecordedArgs,
}

/// Arguments of `eval all`.
#[derive(Args, Clone, Debug)]
pub struct All {
    #[command(flatten)]
    candidates: Candidates,
    /// The reading that marks first wrong steps, for example logprob.digits.sum; the reward, where it is not said
    #[arg(long, value_name = "READING")]
    detect_by: Option<Reading>,
}

impl All {
    pub fn make(&self, how: &ReportArgs, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Made> {
        self.candidates.make_by(Part::All, self.detect_by.as_ref(), how, reporter, interrupt)
    }
}

/// Arguments of `eval agreement`.
#[derive(Args, Clone, Debug)]
pub struct Agreement {
    /// List so many candidates on whose first deviation two signals disagree
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    list: usize,
    #[command(flatten)]
    recorded: RecordedArgs,
}

impl Agreement {
    pub fn make(&self, how: &ReportArgs, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Made> {
        let recorded = self.recorded.read(reporter, interrupt)?;
        let options = self.recorded.options(&recorded, "Agreement", vec![1], how);
        let rows = &recorded.traces;
        // What is asked for by name need not be a reward.
        let wanted = |c: &Column| c.is_reward() || !self.recorded.signals.is_empty();
        let section = report::agreement(rows, &options, wanted, self.list)?;
        if section.tables.is_empty() {
            let all = columns(rows);
            let known = names(&all).join(", ");
            bail!(
                "agreement is of two signals at least; name two models with --reward A --reward B, or two signals of {known} with --signal X --signal Y"
            );
        }
        let mut made = report::begin(rows, &options);
        section.add_to(&mut made);
        Ok(recorded.made(made))
    }
}

/// Arguments of `eval localise`.
#[derive(Args, Clone, Debug)]
pub struct Localise {
    /// The reading that marks first wrong steps before all others, for example logprob.digits.sum; the reward, where it is not said
    #[arg(long, value_name = "READING")]
    detect_by: Option<Reading>,
    /// Where thresholds come from: a number, for that reading; or a subset (a file's name without ending), whose best F1 chooses them for all, as ProcessBench
    /// does with gsm8k. Without it, the reward model's own, which no label has chosen
    #[arg(long, value_name = "NUMBER|SUBSET", allow_negative_numbers = true)]
    threshold: Option<String>,
    /// Expert solutions that nothing was trained on, JSON lines: thresholds that mark --false-alarms of them, and a detector of reward and log-probability
    /// together, fitted on their spoiled twins. No label of the candidates takes part
    #[arg(long, value_name = "FILE", conflicts_with = "threshold")]
    experts: Vec<PathBuf>,
    /// The task of the expert solutions, which says how their records read
    #[arg(long, value_name = "TASK", default_value = "gsm8k", value_parser = task(Task::ALL))]
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
        self.make_by(part, None, how, reporter, interrupt)
    }

    fn make_by(
        &self,
        part: Part,
        detect_by: Option<&Reading>,
        how: &ReportArgs,
        reporter: &mut Reporter,
        interrupt: &Interrupt,
    ) -> Result<Made> {
        let args = RecordedArgs { texts: matches!(part, Part::Pass | Part::All), ..self.recorded.clone() };
        let mut recorded = args.read(reporter, interrupt)?;
        let sizes = recorded.sizes(self.n.map(usize::from), reporter)?;
        if !recorded.traces.iter().flat_map(|t| &t.candidates).any(|c| c.correct) {
            let remedy = "their files must say which candidates are `correct`, or which answer is right";
            bail!("no candidate is known to be right, so there is nothing to tell apart; {remedy}");
        }
        if part == Part::Rerank && sizes == [1] {
            bail!(
                "the problems have one candidate each, so there is nothing to pick from; give files with several, or join them with `reasonscope data join`"
            );
        }
        let ranks = recorded.column("rank-by", self.rank_by.as_ref(), false)?;
        recorded.column("detect-by", detect_by, true)?;
        if part == Part::Calibrate && ranks.is_none() {
            bail!("there are no rewards to calibrate; score the candidates with --reward MODEL, or name a file that `score` wrote");
        }
        let mut options = args.options(&recorded, what(part), sizes, how);
        let rows = &recorded.traces;
        options.rank_by.clone_from(&self.rank_by);
        options.detect_by = detect_by.cloned();
        options.full = part == Part::Rerank;
        let mut made = report::begin(rows, &options);
        match part {
            Part::Rerank => report::reranking(rows, &options)?.add_to(&mut made),
            Part::Pass => report::pass(rows, &options)?.add_to(&mut made),
            Part::Calibrate => report::candidates(rows, &options)?.add_to(&mut made),
            Part::All => made = report::evaluate(rows, &options)?,
        }
        Ok(recorded.made(made))
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
        let files = recorded.subsets().map(|s| s.0).collect::<Vec<_>>().join(", ");
        let logprobs = recorded.policy.as_ref().map_or(String::new(), |p| format!("; log-probabilities of {p}"));
        Options {
            title: format!("{what} on {files}; reward: {}{logprobs}; seed {}", recorded.reward, how.seed),
            sizes,
            aggregation: self.rewards.aggregation,
            calibration: recorded.calibration.clone(),
            bounds: recorded.bounds.clone(),
            bootstrap: how.bootstrap(recorded.traces.len()),
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
        let detector = recorded.column("detect-by", self.detect_by.as_ref(), true)?;
        if !self.experts.is_empty() {
            self.calibrate(&judge, &mut recorded, how.seed, reporter, interrupt)?;
        }
        let source = self.fix_thresholds(&mut recorded, detector.as_ref())?;
        let rows = &recorded.traces;
        let any = |f: &dyn Fn(&ScoredCandidate) -> bool| rows.iter().flat_map(|t| &t.candidates).any(f);
        let labelled = any(&|c| c.labelled && c.first_error.is_some());
        let rated = any(&|c| c.step_labels.iter().any(Option::is_some));
        if !labelled && !rated {
            bail!("no candidate has a labelled first wrong step or labelled steps; name a file that has, for example ProcessBench's");
        }
        let mut options = self.recorded.options(&recorded, "First wrong step", vec![1], how);
        options.detect_by.clone_from(&self.detect_by);
        options.source = source;
        options.full = true;
        let mut made = report::begin(rows, &options);
        let bootstrap = options.bootstrap;
        let standing = recorded.standing(&columns(rows), detector.as_ref());
        let own = |c: &Column| recorded.calibration.threshold(&c.reading).map(|t| c.turn(t));
        let named = |c: &Column, kind: &str| format!("{}, {kind}", c.reading);
        let kind = |c: &Column| options.source.name(detector.as_ref().is_some_and(|d| d.reading == c.reading));
        if labelled {
            report::localisation(rows, &options)?.add_to(&mut made);
            let methods: Vec<(String, &Column, Threshold)> = standing
                .iter()
                .filter_map(|c| {
                    let threshold = match &options.source {
                        ThresholdSource::BestOn(name) => Threshold::BestOn(name),
                        _ => Threshold::Fixed(own(c)?),
                    };
                    Some((named(c, &kind(c)), c, threshold))
                })
                .collect();
            let subsets: Vec<_> = recorded.subsets().collect();
            if !methods.is_empty() && (subsets.len() > 1 || self.threshold.is_some()) {
                processbench::section(&methods, &subsets, bootstrap)?.add_to(&mut made);
            }
        }
        if rated {
            let fixed: Vec<(String, &Column, f32)> = standing
                .iter()
                .filter_map(|c| {
                    let best = || best_threshold(&c.reading, rows).map(|b| (named(c, "best"), c, b.0));
                    own(c).map(|t| (named(c, &kind(c)), c, t)).or_else(best)
                })
                .collect();
            if !fixed.is_empty() {
                steplabels::section(&fixed, rows, bootstrap)?.add_to(&mut made);
            }
            let known: Vec<Reading> = standing.iter().map(|c| c.reading.clone()).collect();
            if !known.is_empty() {
                steplabels::ratings(&known, rows, bootstrap)?.add_to(&mut made);
            }
        }
        Ok(recorded.made(made))
    }

    fn on_grid(&self, k: usize, how: &ReportArgs, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Made> {
        let args = RecordedArgs { grid: Some(k), ..self.recorded.clone() };
        let recorded = args.read(reporter, interrupt)?;
        let rows = &recorded.traces;
        if rows.iter().flat_map(|t| &t.candidates).all(|c| c.first_error.is_none()) {
            bail!("no candidate has tokens and a labelled first wrong step; read the file with --policy, which gives it tokens");
        }
        let options = args.options(&recorded, &format!("First wrong interval of {k} tokens"), vec![1], how);
        let mut made = report::begin(rows, &options);
        grid::section(rows, k, &recorded.calibration, options.bootstrap)?.add_to(&mut made);
        Ok(Made { report: made, rows: recorded.into_rows(), ..Made::default() })
    }

    /// Thresholds from experts, and the combined detector from their twins, with its own threshold where it could be fitted.
    fn calibrate(&self, judge: &Judge, recorded: &mut Recorded, seed: u64, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<()> {
        let segmentation = &self.recorded.rewards.segment;
        let kinds = [GradedCorruption::NumberLittle, GradedCorruption::NumberLot, GradedCorruption::NumberSwap, GradedCorruption::Operator];
        let experts = Experts { files: &self.experts, task: self.expert_task, limit: self.expert_problems as usize };
        let twins = experts.twins(&kinds, segmentation, seed, reporter)?;
        reporter.stage("experts");
        let twins = judge.read(twins, &ReadOptions { segmentation, interrupt }, reporter)?;
        let twins: Vec<ScoredTrace> = twins
            .iter()
            .map(|t| ScoredTrace::from_trace(t, self.recorded.rewards.granularity, self.recorded.task.and_then(Task::kind)))
            .collect();
        let threshold = |column: &Column| {
            let mut worst: Vec<f32> = twins.iter().filter_map(|t| t.candidates.first()?.worst_step(&column.reading)).collect();
            worst.sort_by(f32::total_cmp);
            conformal_threshold(&worst, self.false_alarms).map(|t| column.turn(t))
        };
        if conformal_threshold(&vec![0.0; twins.len()], self.false_alarms).is_none() {
            let needed = (1.0 / self.false_alarms - 1.0).ceil();
            let n = twins.len();
            reporter.warn(&format!(
                "{n} expert solutions are too few for thresholds with --false-alarms {}; {needed} are needed",
                self.false_alarms
            ));
        }
        let columns = columns(&twins);
        let detector = recorded.column("detect-by", self.detect_by.as_ref(), true)?;
        // What the experts do not say of a signal is not known of it.
        recorded.calibration.thresholds.clear();
        for column in recorded.standing(&columns, detector.as_ref()) {
            if let Some(threshold) = threshold(&column) {
                recorded.calibration.thresholds.insert(column.reading, threshold);
            }
        }
        let logprob = main_of(&columns, LOGPROB, &recorded.calibration).map(|c| c.reading.clone());
        let fitted = match detector.map(|d| d.reading).zip(logprob) {
            Some((reward, logprob)) => Combined::fit(&twins, [reward, logprob]).map_err(|e| e.to_string()),
            None => Err("the combined detector needs a reward and log-probabilities".into()),
        };
        match fitted {
            Ok(combined) => {
                combined.apply(&mut recorded.traces)?;
                if let Some(threshold) = combined.threshold {
                    recorded.calibration.thresholds.insert(Reading::of(COMBINED), threshold);
                }
            }
            Err(error) => reporter.warn(&format!("{error}; give --policy too, or files with log-probabilities")),
        }
        Ok(())
    }

    /// Puts the thresholds that `--threshold` asks for in the place of the reward model's own.
    fn fix_thresholds(&self, recorded: &mut Recorded, detector: Option<&Column>) -> Result<ThresholdSource> {
        let Some(asked) = self.threshold.as_deref() else { return Ok(ThresholdSource::Calibrated) };
        if let Ok(number) = asked.parse::<f32>() {
            if !number.is_finite() {
                return Err(Usage(format!("--threshold {asked}: not a number that values can be below")).into());
            }
            let Some(detector) = detector else {
                return Err(Usage(format!(
                    "--threshold {asked}: there are no rewards; name a --reward model, a file that `score` wrote, or a reading with --detect-by"
                ))
                .into());
            };
            recorded.calibration.thresholds.insert(detector.reading.clone(), number);
            return Ok(ThresholdSource::Given);
        }
        let Some((_, traces)) = recorded.subsets().find(|s| s.0 == asked) else {
            let names: Vec<&str> = recorded.subsets().map(|s| s.0).collect();
            return Err(Usage(format!("--threshold {asked}: neither a number nor one of the files {}", names.join(", "))).into());
        };
        let best = |c: Column| Some((best_threshold(&c.reading, traces).map(|b| c.turn(b.0))?, c.reading));
        let chosen: Vec<(f32, Reading)> = recorded.standing(&columns(traces), detector).into_iter().filter_map(best).collect();
        recorded.calibration.thresholds = chosen.into_iter().map(|(threshold, reading)| (reading, threshold)).collect();
        Ok(ThresholdSource::BestOn(asked.to_owned()))
    }
}

impl Recorded {
    /// A report on it with its rows and thresholds.
    fn made(self, report: Report) -> Made {
        Made { report, calibration: self.calibration.clone(), rows: self.into_rows() }
    }

    /// See [`standing`]; without what is fitted from other signals.
    fn standing(&self, columns: &[Column], detector: Option<&Column>) -> Vec<Column> {
        let mut all = standing(columns, detector, &self.calibration);
        all.retain(|c| c.says != Says::Fitted || detector.is_some_and(|d| d.reading == c.reading));
        all
    }
}

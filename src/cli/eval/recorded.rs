//! Recorded candidates as the metrics read them: as they stand in files, or read anew by models.

use crate::cli::args::{CodeArgs, DeviceArgs, GroupArgs, PromptArgs, ProtocolArgs, RewardArgs, local, model, named, task};
use crate::cli::demonstrations::problems;
use crate::cli::exit::Usage;
use crate::cli::interrupt::Interrupt;
use crate::cli::outside::Outside;
use crate::cli::progress::Reporter;
use crate::collection::{Collection, Judge, ReadOptions, Size, Walk, draw, shuffled, stem, whole};
use crate::eval::ScoredTrace;
use crate::eval::columns::{Bounds, asked, columns, default_reading, has_steps};
use crate::eval::grader::Grader;
use crate::eval::metrics::localise::grid;
use crate::eval::scored::{Column, Says};
use crate::format::{FormatError, note};
use crate::runtime::{ModelError, ModelRef};
use crate::task::{Problem, TRAINING_PROBLEMS, Task, TrainingProblems, grade, judge};
use crate::trace::{Calibration, Reading, TokenClass, Trace};
use crate::train::training_problems;
use anyhow::{Result, bail};
use clap::Args;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Bad records that are named; the rest are counted.
const NAMED: usize = 20;
/// Traces that are read and parsed at a time.
const WAVE: usize = 512;

/// Which candidates, and what reads them.
#[derive(Args, Clone, Debug)]
pub struct RecordedArgs {
    /// Traces with candidates, in any format that `inspect` opens; what `score` and `generate` write among them
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    /// Score the candidates with this reward model: a directory, a .gguf file, a hub id in the local cache, `judge:MODEL`, `implicit:MODEL,REFERENCE`,
    /// http://HOST:PORT#MODEL or `embedded`; several, each by a --reward of its
    /// own, give a signal each. `none`: the rewards in the files
    #[arg(long, value_name = "MODEL", default_value = "none", value_parser = model, help_heading = "Models")]
    pub reward: Vec<ModelRef>,
    #[command(flatten)]
    pub protocol: ProtocolArgs,
    /// Read log-probabilities and entropies with this policy. `none`: those in the files
    #[arg(long, value_name = "MODEL", default_value = "none", value_parser = local, help_heading = "Models")]
    pub policy: ModelRef,
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// No rewards, those in the files neither: the baselines alone
    #[arg(long, conflicts_with = "reward")]
    pub baselines_only: bool,
    /// Only this signal, or this one of its readings: reward, logprob.sum, logprob.digits.sum, check:equations, the name of a file's number; may be given
    /// several times
    #[arg(long = "signal", value_name = "READING")]
    pub signals: Vec<Reading>,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Only so many problems of each file, drawn at random, the same ones every time
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub problems: Option<u64>,
    /// Grade the candidates' final answers anew as this task does; without it, what the files say
    #[arg(long, value_name = "TASK", value_parser = task(Task::ALL))]
    pub task: Option<Task>,
    /// Problems of the task with their reference answers or tests, JSON lines, for candidates whose file lacks them; matched by the problem's text
    #[arg(long, value_name = "FILE", requires = "task")]
    pub answers: Vec<PathBuf>,
    #[command(flatten)]
    pub group: GroupArgs,
    #[command(flatten)]
    pub code: CodeArgs,
    #[command(flatten)]
    pub rewards: RewardArgs,
    /// Intervals of this many tokens take the place of steps.
    #[arg(skip)]
    pub grid: Option<usize>,
    /// Texts are read for their answers by both readings of pass@k, strict and flexible, whatever the file says of them.
    #[arg(skip)]
    pub texts: bool,
}

/// The candidates of one file.
struct Subset {
    /// The file's name without its folder and endings.
    name: String,
    /// Its problems among all.
    problems: Range<usize>,
}

/// What was read.
pub struct Recorded {
    /// The problems of all files, one file's after another's.
    pub traces: Vec<ScoredTrace>,
    /// A file each.
    subsets: Vec<Subset>,
    /// The reward model's thresholds, where one was named.
    pub calibration: Calibration,
    /// What the rewards are, for titles.
    pub reward: String,
    /// Whose log-probabilities, for titles.
    pub policy: Option<String>,
    /// Every reading that some candidate has.
    pub columns: Vec<Column>,
    /// Thresholds that came with the candidates' signals, where all say the same.
    pub bounds: BTreeMap<Reading, f32>,
}

/// Whether a column is what a reading asks for; without a statistic it asks for all of the signal.
fn is_of(column: &Column, asked: &Reading) -> bool {
    let all = asked.statistic.is_none() && (asked.tokens == TokenClass::All || asked.tokens == column.reading.tokens);
    column.reading == *asked || (all && column.reading.signal == asked.signal)
}

impl RecordedArgs {
    /// Loads the models that are named.
    pub fn judge(&self, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Judge> {
        Ok(Judge::open(&self.protocol.of(&self.reward)?, &self.prompt.of(&self.policy)?, self.device.device, reporter, interrupt)?)
    }

    /// Reads all files. Fails where a file has no candidates, or a model cannot read a trace; bad records are named and skipped.
    pub fn read(&self, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Recorded> {
        self.read_with(&self.judge(reporter, interrupt)?, reporter, interrupt)
    }

    /// The same with models that are loaded.
    pub fn read_with(&self, judge: &Judge, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Recorded> {
        let grading = self.grading(reporter)?;
        for reward in named(&self.reward).filter(|m| **m != ModelRef::Embedded) {
            if reward.reward_files()?.is_some_and(|files| files.has("reward.json") && !files.has(TRAINING_PROBLEMS)) {
                let what =
                    "keeps no list of its training problems (training_problems.bin), so that a file with some of them cannot be refused";
                reporter.warn(&format!("{reward}: {what}"));
            }
        }
        let (mut all, mut subsets) = (Vec::new(), Vec::with_capacity(self.files.len()));
        let bounds = Bounds::default();
        for file in &self.files {
            reporter.stage(file);
            let list = self.group.open(std::slice::from_ref(file), self.task, &self.rewards.segment, false)?;
            let stories = list.wait(0) && list.read(0).is_ok_and(|t| t.id.contains("stories"));
            let seen = self.seen(stories)?;
            let check =
                Check { grading: grading.as_ref(), seen: &seen, overlaps: Mutex::default(), bounds: &bounds, outside: Mutex::default() };
            let traces = if named(&self.reward).next().is_none() && self.policy == ModelRef::None {
                self.as_they_are(&list, &check, reporter)?
            } else {
                self.anew(judge, list, &check, reporter, interrupt)?
            };
            check.refuse_overlaps(file)?;
            let outside = check.outside.into_inner().unwrap_or_else(PoisonError::into_inner);
            outside.words().for_each(|words| reporter.warn(&format!("{file}: {words}")));
            if traces.is_empty() {
                bail!("{file}: has no candidates to evaluate; sample some with `reasonscope generate`");
            }
            subsets.push(Subset { name: stem(file), problems: all.len()..all.len() + traces.len() });
            all.extend(traces);
        }
        let (policy, calibration) = (judge.policy_name.clone(), judge.calibration.clone());
        let columns = columns(&all);
        if let Some(missing) = self.signals.iter().find(|r| !columns.iter().any(|c| is_of(c, r))) {
            return Err(
                Usage(format!("--signal {missing}: no candidate has such a signal; leave --signal out to see which there are")).into()
            );
        }
        let reward = match default_reading(&columns, &calibration) {
            None => "none".into(),
            Some(column) if column.says == Says::File => format!("{} in the files", column.reading.signal),
            Some(_) => judge.reward_names().unwrap_or_else(|| "rewards in the files".into()),
        };
        Ok(Recorded { traces: all, subsets, reward, policy, calibration, columns, bounds: bounds.agreed() })
    }

    fn grading(&self, reporter: &mut Reporter) -> Result<Option<Grading>> {
        let Some(task) = self.task else { return Ok(None) };
        let grader = self.code.grader(task, &mut |w| reporter.warn(w))?;
        if !grader.grades(task) {
            let what = format!("--task {}: only running the programs tells right from wrong; give --allow-code-execution", task.name());
            return Err(Usage(what).into());
        }
        let problems = problems(task, &self.answers)?.into_iter().map(|p| (p.text.trim().to_owned(), p)).collect();
        Ok(Some(Grading { task, grader, problems }))
    }

    /// The problems that the models were trained on, as far as they say, each with the model's name. Those of a model of stories that keeps no list are made
    /// again, which takes seconds, where the file holds `stories`.
    fn seen(&self, stories: bool) -> Result<Vec<(String, TrainingProblems)>> {
        let mut out = Vec::new();
        let rewards = named(&self.reward).map(|m| Ok::<_, ModelError>((m, m.reward_files()?)));
        for read in rewards.chain([self.policy.policy_files().map(|files| (&self.policy, files))]) {
            let (model, files) = read?;
            let files = files.filter(|f| stories || f.has(TRAINING_PROBLEMS));
            if let Some(seen) = files.map(|f| training_problems(&f)).transpose()?.flatten() {
                out.push((model.to_string(), seen));
            }
        }
        Ok(out)
    }

    fn scored(&self, trace: &Trace) -> ScoredTrace {
        if let Some(k) = self.grid {
            return grid::scored(trace, k);
        }
        let mut scored = ScoredTrace::from_trace(trace, self.rewards.granularity, self.task.and_then(Task::kind));
        for (scored, c) in scored.candidates.iter_mut().zip(&trace.candidates) {
            scored.class = note(c, "classification");
            if self.texts && trace.gold_answer.is_some() {
                let judged = judge(self.task, trace, c);
                (scored.strict, scored.flexible) = (judged.correct, judged.flexible);
            }
        }
        if self.baselines_only {
            scored.candidates.iter_mut().for_each(|c| c.keep(|column| !column.is_reward()));
        }
        if !self.signals.is_empty() {
            scored.candidates.iter_mut().for_each(|c| c.keep(|column| self.signals.iter().any(|r| is_of(column, r))));
        }
        scored
    }

    /// On all threads; a text is dropped as soon as its numbers are taken. Problems are read while their file is, those that are drawn when it is read; those
    /// that turn out to have more candidates elsewhere in it are read once more.
    fn as_they_are(&self, list: &Collection, check: &Check, reporter: &mut Reporter) -> Result<Vec<ScoredTrace>> {
        let one = |i: usize| -> Read {
            let size = list.size(i);
            let read = |mut trace: Trace| {
                if trace.candidates.is_empty() || !check.is_fresh(i, &trace) {
                    return Ok((!trace.candidates.is_empty(), ScoredTrace::default()));
                }
                check.grade(&mut trace)?;
                check.bounds.add(&trace);
                check.count(&trace);
                Ok((true, self.scored(&trace)))
            };
            Read { number: i, size, trace: list.read(i).map(read) }
        };
        let order = self.problems.map(|_| shuffled(list));
        let wanted = self.problems.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let mut traces: Vec<(usize, Size, Option<ScoredTrace>)> = Vec::new();
        let (mut bad, mut at, mut found) = (0, 0, 0);
        while found < wanted && order.as_ref().map_or_else(|| list.wait(at), |o| at < o.len()) {
            let known = order.as_ref().map_or_else(|| list.begun(), Vec::len);
            let wave = at..known.min(at + WAVE.min(wanted - found));
            if wave.is_empty() {
                list.wait(at + 1);
                continue;
            }
            at = wave.end;
            let read: Vec<Read> = wave.into_par_iter().map(|i| one(order.as_ref().map_or(i, |o| o[i]))).collect();
            for Read { number, size, trace } in read {
                match trace {
                    Ok(read) => {
                        let (has_candidates, trace) = read?;
                        found += usize::from(has_candidates);
                        traces.push((number, size, Some(trace)));
                    }
                    Err(error) => {
                        traces.push((number, size, None));
                        bad += 1;
                        if bad <= 20 {
                            reporter.warn(&error.to_string());
                        }
                    }
                }
            }
            match &order {
                Some(order) => reporter.progress(found as u64, Some(wanted.min(order.len()) as u64), "read"),
                None => reporter.progress(at as u64, list.is_complete().then(|| list.len() as u64), "read"),
            }
        }
        traces.sort_unstable_by_key(|t| t.0);
        refuse_a_part(list)?;
        let grown: Vec<usize> = (0..traces.len()).filter(|&k| list.size(traces[k].0) != traces[k].1).collect();
        let again: Vec<_> = grown.into_par_iter().map(|k| (k, one(traces[k].0).trace)).collect();
        for (k, trace) in again {
            traces[k].2 = trace.ok().transpose()?.map(|t| t.1);
        }
        list.errors().iter().take(NAMED).for_each(|error| reporter.warn(&error.to_string()));
        reporter.skipped(list.skipped().max(bad));
        Ok(traces.into_iter().filter_map(|t| t.2).filter(|t| !t.candidates.is_empty()).collect())
    }

    fn anew(
        &self,
        judge: &Judge,
        list: Collection,
        check: &Check,
        reporter: &mut Reporter,
        interrupt: &Interrupt,
    ) -> Result<Vec<ScoredTrace>> {
        list.wait_all();
        refuse_a_part(&list)?;
        let mut traces = Vec::new();
        let done = |mut trace: Trace| {
            check.grade(&mut trace)?;
            check.bounds.add(&trace);
            check.count(&trace);
            traces.push(self.scored(&trace));
            Ok::<_, anyhow::Error>(())
        };
        let with = ReadOptions { segmentation: &self.rewards.segment, interrupt };
        let drawn = self.problems.map(|n| draw(&list, n));
        let walk = Walk::new(list, drawn, None);
        let judged = judge.run(walk, &with, reporter, |i, trace| check.is_fresh(i, trace), done)?;
        whole(&judged)?;
        reporter.skipped(judged.skipped);
        Ok(traces)
    }
}

/// A problem as it was read.
struct Read {
    number: usize,
    /// How much was known of it.
    size: Size,
    /// Whether it has candidates, and what the metrics read of it: nothing where a model was trained on it.
    trace: Result<Result<(bool, ScoredTrace)>, FormatError>,
}

/// How final answers are graded anew.
struct Grading {
    task: Task,
    grader: Grader,
    /// By their text.
    problems: HashMap<String, Problem>,
}

/// What every trace goes through.
struct Check<'a> {
    grading: Option<&'a Grading>,
    seen: &'a [(String, TrainingProblems)],
    /// Problems that a model was trained on by number: their ids and the model.
    overlaps: Mutex<BTreeMap<usize, (String, String)>>,
    bounds: &'a Bounds,
    /// Traces outside of what the reward model has learned.
    outside: Mutex<Outside>,
}

impl Check<'_> {
    /// Whether no model was trained on the problem; one that was is noted.
    fn is_fresh(&self, number: usize, trace: &Trace) -> bool {
        let Some((model, _)) = self.seen.iter().find(|(_, seen)| seen.contains(&trace.problem)) else { return true };
        self.overlaps.lock().unwrap_or_else(PoisonError::into_inner).insert(number, (trace.id.clone(), model.clone()));
        false
    }

    fn count(&self, trace: &Trace) {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner).add(trace);
    }

    /// Refuses a file that holds problems on which a model was trained.
    fn refuse_overlaps(&self, file: &str) -> Result<()> {
        let overlaps = self.overlaps.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, model)) = overlaps.values().next() else { return Ok(()) };
        let ids: Vec<&str> = overlaps.values().take(10).map(|o| o.0.as_str()).collect();
        let more = if overlaps.len() > ids.len() { format!(" and {} more", overlaps.len() - ids.len()) } else { String::new() };
        let remedy = "a figure on them would say nothing; take them out of the file";
        bail!("{file}: {model} was trained on {} of its problems, {}{more}: {remedy}", overlaps.len(), ids.join(", "));
    }

    /// Grades anew, where that is asked for, what the collection has graded without other reference answers and without running programs.
    fn grade(&self, trace: &mut Trace) -> Result<()> {
        let Some(Grading { task, grader, problems }) = self.grading else { return Ok(()) };
        let known = problems.get(trace.problem.trim());
        if let Some(gold) = known.and_then(|p| p.gold.as_ref()).filter(|gold| trace.gold_answer.as_ref() != Some(gold)) {
            trace.gold_answer = Some(gold.clone());
            grade(Some(*task), trace);
        }
        if task.runs_code() {
            let own = Problem { id: trace.id.clone(), text: trace.problem.clone(), ..Problem::default() };
            for c in &mut trace.candidates {
                (c.answer, c.correct) = (None, grader.grade(*task, known.unwrap_or(&own), &c.text)?);
            }
        }
        if trace.candidates.iter().any(|c| c.correct.is_none() && (task.runs_code() || !c.is_cut() || trace.gold_answer.is_none())) {
            bail!("{}: has no reference answer to grade with; name the problems' file with --answers", trace.id);
        }
        Ok(())
    }
}

impl Recorded {
    /// The column that a reading asks for, for an option of this name; without one the default reward, where there is one. `steps`: it must have values of
    /// steps.
    pub fn column(&self, option: &str, reading: Option<&Reading>, steps: bool) -> Result<Option<Column>> {
        let columns: Vec<Column> = self.columns.iter().filter(|c| !steps || has_steps(c)).cloned().collect();
        let Some(reading) = reading else { return Ok(default_reading(&columns, &self.calibration).cloned()) };
        if let Some(column) = asked(&columns, reading, &self.calibration) {
            return Ok(Some(column.clone()));
        }
        let known: Vec<String> = columns.iter().map(|c| c.reading.to_string()).collect();
        let level = if steps { " of steps" } else { "" };
        Err(Usage(format!("--{option} {reading}: no candidate has such a signal{level}; there are {}", known.join(", "))).into())
    }

    /// The files' names without folders and endings, each with its problems.
    pub fn subsets(&self) -> impl Iterator<Item = (&str, &[ScoredTrace])> {
        self.subsets.iter().map(|s| (s.name.as_str(), &self.traces[s.problems.clone()]))
    }

    /// The problems as a report's rows. Where two files have an id in common, the ids have the file's names before them: figures, in which chance goes by the
    /// id, are made before.
    pub fn into_rows(self) -> Vec<ScoredTrace> {
        let mut seen = HashSet::new();
        let clash = self.subsets.len() > 1 && self.traces.iter().any(|t| !seen.insert(t.id.as_str()));
        if clash { self.into_rows_under("") } else { self.traces }
    }

    /// The same with `before` and the file's name before each id.
    pub fn into_rows_under(mut self, before: &str) -> Vec<ScoredTrace> {
        for Subset { name, problems } in self.subsets {
            self.traces[problems].iter_mut().for_each(|t| t.id = format!("{before}{name}/{}", t.id));
        }
        self.traces
    }

    /// Sizes to pick from: powers of two up to `n`. Problems with fewer candidates are left out, which is said; without `n`, it is what at least
    /// 95 % of the problems have.
    pub fn sizes(&mut self, n: Option<usize>, reporter: &mut Reporter) -> Result<Vec<usize>> {
        let counts = || self.traces.iter().map(|t| t.candidates.len());
        let mut sorted: Vec<usize> = counts().collect();
        sorted.sort_unstable();
        let most = sorted.last().copied().unwrap_or(0);
        let n = n.or_else(|| sorted.get(sorted.len() / 20).copied()).unwrap_or(0);
        if n > most {
            return Err(Usage(format!("-n {n}: no problem has more than {most} candidates")).into());
        }
        let short = counts().filter(|c| *c < n).count();
        if short > 0 {
            let mut kept = 0;
            for Subset { problems, .. } in &mut self.subsets {
                let start = kept;
                kept += self.traces[problems.clone()].iter().filter(|t| t.candidates.len() >= n).count();
                *problems = start..kept;
            }
            self.subsets.retain(|s| !s.problems.is_empty());
            self.traces.retain(|t| t.candidates.len() >= n);
            reporter.warn(&format!("{short} problems with fewer than {n} candidates are left out"));
        }
        let mut sizes: Vec<usize> = (0..).map(|i| 1_usize << i).take_while(|&s| s < n).collect();
        sizes.push(n);
        Ok(sizes)
    }
}

/// Fails where a file breaks off: figures on a part of it would pass for those on all of it.
fn refuse_a_part(list: &Collection) -> Result<()> {
    match list.errors().into_iter().find(|e| matches!(e, FormatError::BreaksOff { .. })) {
        Some(FormatError::BreaksOff { path, records, problem }) => {
            bail!(
                "{path}: breaks off after {records} records: {problem}; fetch it anew, for figures on a part would pass for those on all of it"
            )
        }
        _ => Ok(()),
    }
}

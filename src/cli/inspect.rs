//! `inspect`: the terminal face, live or on recorded traces.

use super::args::{
    DeviceArgs, GroupArgs, PromptArgs, ProtocolArgs, RewardArgs, SamplingArgs, ScreenArgs, SignalArgs, TaskArgs, TrustArgs, model,
};
use super::exit::{self, Exit};
use crate::answer::Judged;
use crate::run::{RunFolder, trace_files};
use crate::runtime::{Engine, ModelRef, Models, PolicyOptions};
use crate::task::stories::{Split, story};
use crate::task::{Task, judge};
use crate::trace::Trace;
use crate::tui;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `inspect`.
#[derive(Args, Debug)]
pub struct Inspect {
    /// Traces to open (native JSONL, ProcessBench, PRM800K, GSM8K, OpenAI chat and others; JSON, CSV, Parquet or a log of Inspect; plain, .gz, .zst or in a zip
    /// archive; `-` for standard input), a folder of them, a pattern such as 'runs/*.jsonl', or the folder of a training run, whose rollouts are opened; none: live
    #[arg(value_name = "FILE", conflicts_with = "problems")]
    files: Vec<String>,
    /// Go on reading: what is added to files and new files in folders come to the list
    #[arg(long, requires = "files")]
    follow: bool,
    #[command(flatten)]
    live: LiveArgs,
}

/// What the live inspector takes; also the arguments of the program without a subcommand.
#[derive(Args, Debug)]
pub struct LiveArgs {
    /// Model that writes candidates: a directory, a .gguf file, a hub id in the local cache, `embedded`, `none`, or a server's
    /// http://HOST:PORT/v1[#NAME], asked through chat completions (http://HOST:PORT/v1/completions[#NAME]: plain completions) [default: embedded; none with FILE]
    #[arg(long, value_name = "MODEL", value_parser = model, help_heading = "Models")]
    pub policy: Option<ModelRef>,
    /// Model that scores them: a directory, a .gguf file, a hub id in the local cache, `judge:MODEL` (any language model), `implicit:MODEL,REFERENCE`,
    /// http://HOST:PORT#MODEL, `embedded` (arithmetic stories) or `none`; several, each by a
    /// --reward of its own, give a signal each [default: embedded; none with FILE]
    #[arg(long, value_name = "MODEL", value_parser = model, help_heading = "Models")]
    pub reward: Vec<ModelRef>,
    #[command(flatten)]
    pub protocol: ProtocolArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// Problems to choose from: any format that `inspect` opens, or a text file with a problem a line [default: stories that no model was trained on]
    #[arg(long, value_name = "FILE")]
    pub problems: Vec<String>,
    #[command(flatten)]
    pub group: GroupArgs,
    #[command(flatten)]
    pub task: TaskArgs,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub rewards: RewardArgs,
    #[command(flatten)]
    pub trust: TrustArgs,
    #[command(flatten)]
    pub signals: SignalArgs,
    /// Where the steps that you mark right or wrong (+ and -) are kept, as native traces; those that it has are shown
    #[arg(long, value_name = "FILE", default_value = "reasonscope-labels.jsonl")]
    pub labels: PathBuf,
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// Stories to choose from where no problems are named.
const STORIES: u64 = 200;

impl Inspect {
    pub(super) fn live(live: LiveArgs) -> Self {
        Self { files: Vec::new(), follow: false, live }
    }

    pub(super) fn run(self) -> Result<Exit> {
        if !std::io::stdout().is_terminal() {
            bail!("the inspector needs a terminal and standard output is none; use `reasonscope score` or `reasonscope generate` instead");
        }
        let Self { files, follow, live } = self;
        let recorded = !files.is_empty();
        // The embedded models know arithmetic stories and nothing else: what a file holds is not theirs to judge unless they are named.
        let default = || if recorded { ModelRef::None } else { ModelRef::Embedded };
        let options = PolicyOptions { chat: live.prompt.options()?, one_request: live.sampling.one_request };
        let asked = live.policy.clone().unwrap_or_else(default).asked(options);
        let policy = asked.policy(live.device.device)?;
        let named = if live.reward.is_empty() { vec![default()] } else { live.reward.clone() };
        let rewards = Models::rewards(&live.protocol.of(&named)?, live.device.device)?;
        let (sampling, note) = live.sampling.sampling(&asked)?;
        let mut notes: Vec<String> = live.task.note().into_iter().chain(note).collect();
        let traces: Box<dyn tui::TraceSource> = if recorded {
            open(&files, false, follow, &live, &mut notes)?
        } else if !live.problems.is_empty() {
            open(&live.problems, true, false, &live, &mut notes)?
        } else {
            Box::new(Stories)
        };
        let own_stories = !recorded && live.problems.is_empty();
        let task = live.task.task.or(own_stories.then_some(Task::Stories));
        let ScreenArgs { theme, ascii, color } = live.screen;
        let options = tui::Options {
            traces,
            models: None,
            open_first: !recorded,
            segmentation: live.rewards.segment.clone(),
            grade: Some(tui::Grade { kind: task.and_then(Task::kind), judge: Arc::new(move |trace, i| judge_at(task, trace, i)) }),
            settings: tui::Settings {
                n: usize::from(live.sampling.n),
                sampling,
                granularity: live.rewards.granularity,
                aggregation: live.rewards.aggregation,
                rank_by: live.signals.rank_by,
                statistic: live.signals.statistic,
                detect_by: live.signals.detect_by,
                shown: live.signals.signals,
                trust: live.trust.trust,
                ..tui::Settings::default()
            },
            theme: theme.unwrap_or_else(|| tui::DEFAULT_THEME.to_string()),
            theme_dirs: super::about::themes::directories(),
            depth: color.depth(),
            ascii: ascii || !tui::Glyphs::locale_is_utf8(super::env),
            labels: Some(tui::Labels::open(&live.labels).with_context(|| format!("--labels {}", live.labels.display()))?),
            notes,
        };
        let models = if policy.is_none() && rewards.is_empty() {
            None
        } else {
            let engine = Engine::start(Models { policy, rewards }).context("cannot start the models' threads")?;
            let (requests, updates) = engine.channels().context("cannot start the models' threads")?;
            Some(tui::Channels { requests, updates })
        };
        Ok(match tui::run(tui::Options { models, ..options })? {
            tui::ExitReason::Quit => Exit::Ok,
            tui::ExitReason::Signal(signal) => {
                exit::ended_by(signal);
                Exit::Interrupted
            }
        })
    }
}

/// Finds the final answer of a candidate.
fn judge_at(task: Option<Task>, trace: &Trace, candidate: usize) -> Judged {
    #[cfg(debug_assertions)]
    #[allow(clippy::panic, reason = "the only way to a panic while the screen is taken, for the test that the terminal survives one")]
    if super::env("REASONSCOPE_TEST_PANIC").is_some() {
        std::panic::panic_any("a panic was asked for");
    }
    trace.candidates.get(candidate).map(|c| judge(task, trace, c)).unwrap_or_default()
}

/// Opens files, and of the folders of runs what their policies wrote. What is left out of those is told to `notes`.
fn open(paths: &[String], problems: bool, follow: bool, live: &LiveArgs, notes: &mut Vec<String>) -> Result<Box<dyn tui::TraceSource>> {
    let mut files = Vec::new();
    for path in paths {
        let run = RunFolder::new(path);
        if !Path::new(path).is_dir() || !run.is_run() {
            files.push(path.clone());
            continue;
        }
        let (found, left_out) = trace_files(&run);
        if found.is_empty() {
            let why = left_out.first().map_or_else(|| "the run has written no rollouts yet".to_owned(), Clone::clone);
            bail!("{path}: {why}; `reasonscope watch {path}` shows how far it is");
        }
        files.extend(found.iter().map(|f| f.display().to_string()));
        notes.extend(left_out);
    }
    let segment = &live.rewards.segment;
    let collection =
        if problems { live.group.open_problems(&files, segment)? } else { live.group.open(&files, live.task.task, segment, follow)? };
    // What comes through a pipe may come later, and so may what is followed.
    if !follow
        && files.iter().all(|f| f != "-" && (!Path::new(f).exists() || Path::new(f).is_file() || Path::new(f).is_dir()))
        && !collection.wait(0)
    {
        let mut errors = collection.errors();
        errors.retain(|e| e.skips());
        let what = if problems { "problem" } else { "trace" };
        match errors.first() {
            Some(first) if errors.len() > 1 => bail!("{first}; and {} more, so that there is no {what} to show", errors.len() - 1),
            Some(first) => bail!("{first}; there is no {what} to show"),
            None => bail!("{}: holds no {what}", files.join(", ")),
        }
    }
    Ok(Box::new(tui::Recorded::new(collection)))
}

/// Stories from the test pool, made when they are asked for.
struct Stories;

impl tui::TraceSource for Stories {
    fn known(&mut self) -> (usize, bool) {
        (STORIES as usize, true)
    }

    fn read(&mut self, index: usize) -> Result<Arc<Trace>, String> {
        let story = story(Split::InDistribution, 0, index as u64);
        let gold_answer = Some(story.answer.to_string());
        Ok(Arc::new(Trace { id: story.id, problem: story.problem, gold_answer, ..Trace::default() }))
    }
}

//! `convert`: recorded traces in, the same traces in another format out.

use super::args::{GroupArgs, OutputArgs, RewardArgs, TaskArgs, TrustArgs};
use super::exit::{Exit, Gate, Usage};
use super::interrupt::Interrupt;
use super::output::{Output, Packed};
use super::progress::Reporter;
use crate::collection::{Next, Shard, Walk, draw};
use crate::format::write::{Options, Rows, Survey, Target, Writer, is_array, is_packed};
use crate::trace::{Reading, Trace};
use anyhow::{Context, Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pause while the input has nothing yet.
const PAUSE: Duration = Duration::from_millis(5);

/// Arguments of `convert`.
#[derive(Args, Debug)]
pub struct Convert {
    /// Traces to convert, in any format that `inspect` opens; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Where they go; `-` is standard output. The ending says the format unless --to does: .jsonl and .json (native), .csv, .parquet, .md, .html; with .json
    /// records stand in one array, and with .gz behind it all is packed by gzip
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Format of the output
    #[arg(long, value_name = "FORMAT", value_parser = target())]
    to: Option<Target>,
    /// What a row of a table (CSV, Parquet) is
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Row::Candidate)]
    rows: Row,
    /// Write nothing where something would be lost
    #[arg(long)]
    strict: bool,
    /// Replace the output file where there is one
    #[arg(long)]
    force: bool,
    /// Only so many problems, drawn at random, the same ones every time and the same as `score --problems` draws from the file
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    problems: Option<u64>,
    /// Convert the I-th of N equal parts of the traces
    #[arg(long, value_name = "I/N", value_parser = Shard::parse)]
    shard: Option<Shard>,
    /// Signal that colours a report and marks the first deviation; may be given several times. NAME, NAME.STATISTIC or NAME.digits.STATISTIC [default: the
    /// file's own values of steps, else a reward model's, else surprisal]
    #[arg(long = "signal", value_name = "READING")]
    signals: Vec<Reading>,
    #[command(flatten)]
    group: GroupArgs,
    #[command(flatten)]
    task: TaskArgs,
    #[command(flatten)]
    rewards: RewardArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// What a row of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Row {
    /// A candidate.
    Candidate,
    /// A step.
    Step,
}

fn target() -> impl TypedValueParser<Value = Target> {
    PossibleValuesParser::new(Target::ALL.map(Target::name)).map(|name| Target::named(&name).unwrap_or(Target::Native))
}

impl Convert {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let path = self.output.display().to_string();
        let target = self.target(&path)?;
        let packed = is_packed(&path);
        let options = self.options(target, &path);
        let output = self.open_output(&path)?;
        if (packed || target == Target::Parquet) && output.is_terminal() {
            return Err(Usage("a terminal shows no packed bytes; name a file with -o, or pass them on".into()).into());
        }
        let collection = self.group.open(&self.files, self.task.task, &self.rewards.segment, false)?;
        let interrupt = Interrupt::listen()?;
        let mut reporter = Reporter::new(messages, "traces");
        let drawn = self.problems.map(|n| draw(&collection, n));
        let mut walk = Walk::new(collection, drawn, self.shard);
        let mut survey = Survey::new(target, &options);
        reporter.status("looking for what would be lost");
        let mut whole = each(&mut walk, &interrupt, &mut reporter, |trace| Ok(survey.add(&trace)?))?;
        let mut writer = None;
        if whole {
            self.tell(&survey, target, &mut reporter)?;
            let name = output.name().to_owned();
            let sink = Packed::new(output, packed);
            let mut out = Writer::new(sink, &survey, target, options).with_context(|| name.clone())?;
            walk.again();
            reporter.stage("writing");
            whole = each(&mut walk, &interrupt, &mut reporter, |trace| out.add(&trace).with_context(|| name.clone()))?;
            writer = Some(out);
        }
        let bad = walk.close(&mut reporter);
        // What is not whole is not written at all: what stood there stays.
        let Some(writer) = writer.filter(|_| whole) else { return Ok(Exit::Interrupted) };
        if bad.broken {
            bail!("a file could not be read to its end, so that nothing is written; mend or leave out that file");
        }
        let output = writer.finish().and_then(Packed::finish).with_context(|| path.clone())?;
        let name = output.name().to_owned();
        output.finish()?;
        let (candidates, traces) = (survey.written(), survey.traces());
        reporter.say(&format!("{candidates} candidates of {traces} problems written as {} into {name}", target.name()));
        reporter.skipped(bad.skipped);
        reporter.record(serde_json::json!({
            "event": "summary", "format": target.name(), "traces": traces, "candidates": candidates, "left_out": survey.left_out(),
            "lost": survey.losses().words(), "skipped": bad.skipped, "output": name,
        }));
        Ok(Exit::Ok)
    }

    fn target(&self, path: &str) -> Result<Target> {
        let target = match (self.to, path) {
            (Some(target), _) => target,
            (None, "-") => Target::Native,
            (None, path) => Target::of_path(path).ok_or_else(|| {
                Usage(format!("{path}: its ending names no format; name one with --to: {}", Target::ALL.map(Target::name).join(", ")))
            })?,
        };
        if target == Target::Parquet {
            if !cfg!(feature = "parquet") {
                return Err(Usage("this build cannot write Parquet (feature `parquet`); write CSV with --to csv".into()).into());
            }
            if is_packed(path) {
                return Err(Usage(format!("{path}: Parquet packs itself; leave .gz out")).into());
            }
        }
        Ok(target)
    }

    fn options(&self, target: Target, path: &str) -> Options {
        let name = |file: &String| if file == "-" { "standard input".to_owned() } else { file.clone() };
        Options {
            array: target.is_records() && is_array(path),
            rows: if self.rows == Row::Step { Rows::Step } else { Rows::Candidate },
            granularity: self.rewards.granularity,
            aggregation: self.rewards.aggregation,
            signals: self.signals.clone(),
            trust: self.trust.trust,
            title: self.files.iter().map(name).collect::<Vec<_>>().join(", "),
        }
    }

    /// Opens the output before any work is done. An input is never replaced, and another file only where that is asked for.
    fn open_output(&self, path: &str) -> Result<Output> {
        if let Ok(out) = self.output.canonicalize()
            && path != "-"
        {
            if let Some(file) = self.files.iter().find(|f| std::fs::canonicalize(f).is_ok_and(|f| f == out)) {
                bail!("{file}: is to be read and to be written; choose another file with -o");
            }
            if out.is_file() && !self.force {
                bail!("{path}: is there already; replace it with --force, or choose another file with -o");
            }
        }
        Output::open(Some(Path::new(path)))
    }

    /// Says what would be lost and left out; fails where nothing can be written, or where something would be lost and nothing may be.
    fn tell(&self, survey: &Survey, target: Target, reporter: &mut Reporter) -> Result<()> {
        let (lost, refused) = (survey.losses().words(), survey.refusals());
        if !lost.is_empty() {
            reporter.warn(&format!("{} does not hold, and lost is: {}", target.name(), lost.join("; ")));
        }
        refused.iter().for_each(|words| reporter.warn(words));
        survey.notes().iter().for_each(|note| reporter.warn(note));
        if survey.written() == 0 && survey.traces() > 0 && survey.left_out() > 0 {
            bail!("no candidate can be written as {}, so that nothing is", target.name());
        }
        if survey.written() == 0 {
            bail!("{}: hold no candidates to convert", self.files.join(", "));
        }
        if self.strict && !(lost.is_empty() && refused.is_empty()) {
            return Err(Gate(format!("something would be lost as {}, so that nothing is written (--strict)", target.name())).into());
        }
        Ok(())
    }
}

/// Goes over all problems; whether it came to the end.
fn each(walk: &mut Walk, interrupt: &Interrupt, reporter: &mut Reporter, mut f: impl FnMut(Trace) -> Result<()>) -> Result<bool> {
    let mut done = 0;
    loop {
        if interrupt.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match walk.next(reporter) {
            Next::Problem(_, trace) => {
                f(*trace)?;
                done += 1;
                reporter.progress(done, walk.total(), "");
            }
            Next::Wait => std::thread::sleep(PAUSE),
            Next::End => return Ok(true),
        }
    }
}

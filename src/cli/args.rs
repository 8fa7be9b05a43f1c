//! Options that several subcommands share.

mod prompt;
mod sampling;

pub use prompt::PromptArgs;
pub use sampling::SamplingArgs;

use super::exit::Usage;
use crate::collection::{self, Collection};
use crate::eval::grader::Grader;
use crate::format::{FieldMap, FormatError, Scoring};
use crate::runtime::{DeviceChoice, ModelRef};
use crate::sandbox::{Limits, Sandbox};
use crate::task::Task;
use crate::trace::{Aggregation, Calibration, Detector, Granularity, Reading, Segmentation, Statistic};
use crate::tui::ColorDepth;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, ValueEnum};
use std::path::PathBuf;

/// How results and messages are written.
#[derive(Args, Clone, Debug, Default)]
pub struct OutputArgs {
    /// Machine-readable: listings as JSON on standard output, messages as JSON lines on standard error
    #[arg(long, global = true, help_heading = "Messages")]
    pub json: bool,
    /// Say nothing but warnings and errors
    #[arg(short, long, global = true, help_heading = "Messages")]
    pub quiet: bool,
    /// Say on standard error what the program does: -v the main events, -vv every request and file
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with_all = ["quiet", "json"], help_heading = "Messages")]
    pub verbose: u8,
    /// Append to FILE what the program does, for finding faults; the screen stays as it is. REASONSCOPE_LOG says how much: a level or ROOM=LEVEL,…
    #[arg(long, value_name = "FILE", global = true, help_heading = "Messages")]
    pub log: Option<PathBuf>,
}

/// Where models run.
#[derive(Args, Clone, Debug, Default)]
pub struct DeviceArgs {
    /// Where the models run; `auto` takes a GPU where the build and the machine have one
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = device(), help_heading = "Models")]
    pub device: DeviceChoice,
}

fn device() -> impl TypedValueParser<Value = DeviceChoice> {
    PossibleValuesParser::new(["auto", "cpu", "cuda", "metal"]).map(|name| name.parse().unwrap_or_default())
}

/// How a published reward model is fed and read.
#[derive(Args, Clone, Debug, Default)]
pub struct ProtocolArgs {
    /// How the --reward model is fed and read, where its own files do not tell: a TOML file (docs/reward-models.md). With several models give one for each, in
    /// their order, and `none` for one that needs none
    #[arg(long = "reward-protocol", value_name = "FILE", help_heading = "Models")]
    protocols: Vec<PathBuf>,
}

impl ProtocolArgs {
    /// The reward models, each read as the file of its place says where files are named.
    pub fn of(&self, rewards: &[ModelRef]) -> anyhow::Result<Vec<ModelRef>> {
        let (files, models) = (self.protocols.len(), rewards.len());
        if files > 0 && files != models {
            let what = format!("{models} reward models and {files} protocol files");
            return Err(Usage(format!(
                "--reward-protocol: {what}, so that it is not said which belongs to which; give one for each --reward, in their order, and `none` for one that needs none"
            ))
            .into());
        }
        let described = |(i, reward): (usize, &ModelRef)| match self.protocols.get(i) {
            Some(file) if file.as_os_str() != "none" => {
                Ok(reward.described(file.clone()).map_err(|e| Usage(format!("--reward-protocol: {e}")))?)
            }
            _ => Ok(reward.clone()),
        };
        rewards.iter().enumerate().map(described).collect()
    }

    /// The same for models that have nothing to do with each other: one file goes with each of them.
    pub fn of_each(&self, models: &[ModelRef]) -> anyhow::Result<Vec<ModelRef>> {
        match self.protocols.as_slice() {
            [file] => Self { protocols: vec![file.clone(); models.len()] }.of(models),
            _ => self.of(models),
        }
    }
}

/// The reward models that are named: all but `none`.
pub fn named(rewards: &[ModelRef]) -> impl Iterator<Item = &ModelRef> {
    rewards.iter().filter(|m| **m != ModelRef::None)
}

/// How token rewards become step and candidate rewards, and how text is cut into steps.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Rewards")]
pub struct RewardArgs {
    /// Which tokens carry the reward: sparse, step, interval, interval:K or dense
    #[arg(long, value_name = "GRANULARITY", default_value = "dense")]
    pub granularity: Granularity,
    /// How step rewards become one number for a candidate
    #[arg(long, value_name = "AGGREGATION", default_value = "mean", value_parser = aggregation())]
    pub aggregation: Aggregation,
    /// How text without given steps is cut: auto, blank, line, step, sentence or sep:TEXT
    #[arg(long, value_name = "RULE", default_value = "auto")]
    pub segment: Segmentation,
}

impl RewardArgs {
    /// How native records are written under these and a reward model's calibration.
    pub fn scoring<'a>(&self, detector: &'a Detector, calibration: &'a Calibration, trust: TrustArgs) -> Scoring<'a> {
        Scoring { granularity: self.granularity, aggregation: self.aggregation, detector, calibration, trust: trust.trust }
    }
}

/// Whether a reward model is believed outside of what it has learned.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Rewards")]
pub struct TrustArgs {
    /// Rank and mark also where the reward model finds that it has not learned on such text; without it, its verdicts there are withheld
    #[arg(long)]
    pub trust: bool,
}

/// Which signals rank, mark and are shown first.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Signals")]
pub struct SignalArgs {
    /// Show this signal first; may be given several times. NAME, NAME.STATISTIC or NAME.digits.STATISTIC, for example `reward`, `logprob.sum`
    #[arg(long = "signal", value_name = "READING")]
    pub signals: Vec<Reading>,
    /// Rank candidates by this signal [default: the file's own number, else another model's in the file, else the reward model's]
    #[arg(long, value_name = "READING")]
    pub rank_by: Option<Reading>,
    /// Mark the first deviation by this signal at its threshold, or with `:drop` by its largest drop [default: by what colours]
    #[arg(long, value_name = "READING[:drop]", value_parser = detector)]
    pub detect_by: Option<Detector>,
    /// How the tokens of a step become one value where a signal does not name it [default: as it was calibrated]
    #[arg(long, value_name = "STATISTIC", value_parser = statistic())]
    pub statistic: Option<Statistic>,
}

/// Which records are one problem.
#[derive(Args, Clone, Debug, Default)]
pub struct GroupArgs {
    /// Keep records about one problem apart: lines with the same prompt, and what several files say of a problem, are problems of their own
    #[arg(long)]
    pub no_group: bool,
    /// Where the parts of records are.
    #[command(flatten)]
    pub map: FieldArgs,
}

/// Where the parts of records are.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct FieldArgs {
    /// Which field of a record is what, where its format is not known: KEY=PATH,… with the keys problem, text, reasoning, gold, solution, answer, verdict,
    /// steps, labels, first_error, group, policy, finish and signal:NAME; paths like `a.b`, `list[].text`, `list[0]`
    #[arg(long, value_name = "KEY=PATH,…")]
    pub fields: Option<FieldMap>,
}

impl GroupArgs {
    /// Opens files of traces. What their files leave open of answers and verdicts is filled in; a named task grades all of them anew. With `follow`, what
    /// comes to them later is read too.
    pub fn open<S: AsRef<str>>(
        &self,
        files: &[S],
        task: Option<Task>,
        segmentation: &Segmentation,
        follow: bool,
    ) -> Result<Collection, FormatError> {
        let (apart, fields, segmentation) = (self.no_group, self.map.fields, segmentation.clone());
        Collection::open(files, &collection::Options { apart, fields, task, segmentation, follow, ..collection::Options::default() })
    }

    /// Opens files of problems; candidates that they hold are left out.
    pub fn open_problems<S: AsRef<str>>(&self, files: &[S], segmentation: &Segmentation) -> Result<Collection, FormatError> {
        let options = collection::Options {
            problems: true,
            apart: self.no_group,
            fields: self.map.fields,
            segmentation: segmentation.clone(),
            ..collection::Options::default()
        };
        Collection::open(files, &options)
    }
}

/// Whose grader reads final answers.
#[derive(Args, Clone, Copy, Debug)]
pub struct TaskArgs {
    /// Grade final answers as this task does; without it, by the kind of answer that each reference answer shows
    #[arg(long, value_name = "TASK", value_parser = task(Task::ALL))]
    pub task: Option<Task>,
}

impl TaskArgs {
    /// What is to be said where the answers are programs.
    pub fn note(self) -> Option<String> {
        let task = self.task.filter(|t| t.runs_code())?.name();
        Some(format!(
            "{task}: only running the programs tells right from wrong, and they are not run here; `reasonscope eval pass --task {task} --allow-code-execution` runs them"
        ))
    }
}

/// Whether programs of a model may run.
#[derive(Args, Clone, Debug)]
pub struct CodeArgs {
    /// Run the programs that the model writes, to grade HumanEval and MBPP: in a sandbox without network, other files or further processes, as far as the
    /// system has the means (see `reasonscope doctor`)
    #[arg(long)]
    pub allow_code_execution: bool,
    /// CPU time that such a program may use; it is wrong where it needs more
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600), requires = "allow_code_execution")]
    pub code_seconds: u64,
}

impl CodeArgs {
    /// A grader for `task`: one that runs programs where the task needs it and the user allows it. `warn` hears of guards that this system lacks.
    pub fn grader(&self, task: Task, warn: &mut dyn FnMut(&str)) -> anyhow::Result<Grader> {
        if !self.allow_code_execution || !task.runs_code() {
            return Ok(Grader::default());
        }
        let sandbox = Sandbox::new(own_executable()?, Limits::seconds(self.code_seconds))?;
        if let Some(warning) = sandbox.guards().warning() {
            warn(&warning);
        }
        Ok(Grader::with_code(sandbox))
    }
}

/// This program, which restricts itself where it is started anew as a sandbox; on Linux by a name that holds even when its file is replaced.
pub(super) fn own_executable() -> std::io::Result<PathBuf> {
    let own = PathBuf::from("/proc/self/exe");
    if cfg!(target_os = "linux") && own.exists() { Ok(own) } else { std::env::current_exe() }
}

/// How the screen looks.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Screen")]
pub struct ScreenArgs {
    /// Theme by name (see `reasonscope themes`), or a theme file
    #[arg(long, value_name = "THEME")]
    pub theme: Option<String>,
    /// Draw with ASCII characters only
    #[arg(long)]
    pub ascii: bool,
    /// Colours the terminal can show; `auto` asks the environment (NO_COLOR, COLORTERM, TERM)
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// Depth of colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// As the environment says.
    #[default]
    Auto,
    /// 24 bits.
    Truecolor,
    /// The 256-colour palette.
    #[value(name = "256")]
    Ansi256,
    /// The 16 colours of the terminal.
    #[value(name = "16")]
    Ansi16,
    /// No colour; numbers, signs and glyphs say the same.
    None,
}

impl Color {
    /// As the screen wants it; `auto` is decided by the environment.
    pub fn depth(self) -> ColorDepth {
        match self {
            Self::Auto => ColorDepth::from_env(super::env),
            Self::Truecolor => ColorDepth::TrueColor,
            Self::Ansi256 => ColorDepth::Ansi256,
            Self::Ansi16 => ColorDepth::Ansi16,
            Self::None => ColorDepth::None,
        }
    }
}

/// A model on the command line: `embedded`, `none`, an address, or a path.
pub fn model(text: &str) -> Result<ModelRef, String> {
    if text.is_empty() { Err("name a directory, a .gguf file or `embedded`".into()) } else { ModelRef::parse(text) }
}

/// A model that recorded traces are read with; a server's model cannot.
pub fn local(text: &str) -> Result<ModelRef, String> {
    match model(text)? {
        ModelRef::Endpoint(e) => {
            Err(format!("{e}: a server does not say what it thinks of text that is there; name a directory or a .gguf file"))
        }
        model => Ok(model),
    }
}

/// Numbers between limits: 0 a temperature, 1 a nucleus, 2 a fraction below 1.
pub(super) fn number<const KIND: u8>(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "not a number".to_string())?;
    let (fits, range) = match KIND {
        0 => (value.is_finite() && value >= 0.0, "a finite number, 0 or above"),
        1 => (value > 0.0 && value <= 1.0, "above 0, at most 1"),
        _ => ((0.0..1.0).contains(&value), "0 or above, below 1"),
    };
    if fits { Ok(value) } else { Err(format!("must be {range}")) }
}

pub(super) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number above 0".into()),
        Ok(value) => Ok(value),
    }
}

/// Tasks by name.
pub(super) fn task(names: impl IntoIterator<Item = Task>) -> impl TypedValueParser<Value = Task> {
    PossibleValuesParser::new(names.into_iter().map(Task::name)).map(|name| Task::parse(&name).unwrap_or(Task::Stories))
}

fn detector(text: &str) -> Result<Detector, String> {
    match text.strip_suffix(":drop") {
        Some(reading) => reading.parse().map(Detector::drop),
        None => text.parse().map(Detector::below),
    }
}

fn statistic() -> impl TypedValueParser<Value = Statistic> {
    let named = |name: String| Statistic::ALL.into_iter().find(|s| s.name() == name).unwrap_or_default();
    PossibleValuesParser::new(Statistic::ALL.map(Statistic::name)).map(named)
}

fn aggregation() -> impl TypedValueParser<Value = Aggregation> {
    let named = |name: String| Aggregation::ALL.into_iter().find(|a| a.name() == name).unwrap_or_default();
    PossibleValuesParser::new(Aggregation::ALL.map(Aggregation::name)).map(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Rule;

    #[test]
    fn protocols_go_with_the_rewards_in_their_order() {
        let of = |files: &[&str], rewards: &[&str]| {
            let args = ProtocolArgs { protocols: files.iter().map(PathBuf::from).collect() };
            let rewards: Vec<ModelRef> = rewards.iter().map(|r| ModelRef::parse(r).unwrap()).collect();
            let read = |m: ModelRef| match m {
                ModelRef::Described { model, protocol } => format!("{} by {}", model.display(), protocol.display()),
                other => other.to_string(),
            };
            args.of(&rewards).map(|all| all.into_iter().map(read).collect::<Vec<_>>()).map_err(|e| e.to_string())
        };
        assert_eq!(of(&[], &["a", "embedded"]).unwrap(), ["a", "embedded"]);
        assert_eq!(of(&["p.toml"], &["a"]).unwrap(), ["a by p.toml"]);
        assert_eq!(of(&["none", "q.toml"], &["embedded", "b"]).unwrap(), ["embedded", "b by q.toml"]);
        let said = of(&["p.toml"], &["a", "b"]).unwrap_err();
        assert!(said.contains("2 reward models and 1 protocol files") && said.contains("`none`"), "{said}");
        assert!(of(&["p.toml"], &["embedded"]).unwrap_err().contains("needs no protocol"));
    }

    #[test]
    fn detectors_are_read_with_colons_in_their_names() {
        let read = |text: &str| detector(text).map(|d| (d.reading.to_string(), d.rule));
        assert_eq!(read("check:equations"), Ok(("check:equations".into(), Rule::Threshold)));
        assert_eq!(read("reward:m.sum:drop"), Ok(("reward:m.sum".into(), Rule::LargestDrop)));
        assert!(read(":drop").is_err());
    }

    #[test]
    fn sampling_limits_are_kept() {
        assert!(number::<0>("-0.1").is_err() && number::<0>("inf").is_err() && number::<0>("0").is_ok());
        assert!(number::<1>("0").is_err() && number::<1>("1").is_ok());
        assert!(number::<2>("1").is_err() && number::<2>("NaN").is_err());
    }
}

//! `data`: what public data there is, fetching it, joining files, how graders agree with stored verdicts, and where a reward model holds.

mod fetch;
mod gate;

use super::args::{FieldArgs, OutputArgs, task};
use super::exit::{Exit, Usage};
use super::output::Output;
use super::progress::Reporter;
use crate::cli::console;
use crate::format::{Joined, join_mapped, to_lines};
use crate::task::catalogue::CATALOGUE;
use crate::task::{Agreement, Task};
use anyhow::{Result, bail};
use clap::builder::TypedValueParser;
use clap::{Args, Subcommand};
use fetch::Fetch;
use gate::Gate;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Arguments of `data`.
#[derive(Args, Debug)]
pub struct Data {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// List the tasks: what their data is, its licence, and what can be fetched
    List,
    /// Fetch a task's data or a model from the Hugging Face hub
    Fetch(Fetch),
    /// Put files about the same problems together: outputs of several models, questions, samples and verdicts on them
    Join(Join),
    /// Let a reward model say where it holds: read held-out text of its task with it, and keep in its card what it finds ordinary
    Gate(Gate),
    /// Grade labelled candidates with this program's grader and say where it differs from the stored verdicts
    Check(Check),
}

/// Arguments of `data join`.
#[derive(Args, Debug)]
struct Join {
    /// Files in any format that `inspect` opens, files of MMLU-Pro's questions, and verdicts on HumanEval samples
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Where the traces go, as native JSONL; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Arguments of `data check`.
#[derive(Args, Debug)]
struct Check {
    /// Whose grader
    #[arg(value_name = "TASK", value_parser = graded())]
    task: Task,
    /// Files with labelled candidates, joined as `data join` does
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    map: FieldArgs,
    /// Examples of each kind of disagreement
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    examples: usize,
}

fn graded() -> impl TypedValueParser<Value = Task> {
    task(Task::ALL.into_iter().filter(|t| !matches!(t, Task::HumanEval | Task::Mbpp)))
}

impl Data {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        match self.what {
            What::List => list(messages),
            What::Fetch(fetch) => fetch.run(messages),
            What::Join(join) => join.run(messages),
            What::Gate(gate) => gate.run(messages),
            What::Check(check) => check.run(messages),
        }
    }
}

fn list(messages: &OutputArgs) -> Result<Exit> {
    if messages.json {
        console::print_record(&serde_json::to_value(CATALOGUE)?)?;
        return Ok(Exit::Ok);
    }
    let mut text = String::new();
    for source in CATALOGUE {
        writeln!(text, "{:9}  {}", source.task.name(), source.about)?;
        writeln!(text, "           licence {}; {}", source.licence, source.origin)?;
        writeln!(text, "           fields: {}", source.fields)?;
        for split in source.splits {
            let files = if let [one] = split.files { (*one).to_owned() } else { format!("{} files", split.files.len()) };
            let asked = if split.on_request { "; fetched where --split names it" } else { "" };
            writeln!(text, "           {:14}  {:7} records  {}: {files}  ({}{asked})", split.name, split.records, split.repo, split.note)?;
        }
        writeln!(text)?;
    }
    text.push_str("Fetch with: reasonscope data fetch TASK --output DIR\n");
    console::print(&text)?;
    Ok(Exit::Ok)
}

/// Reads and joins files; bad records are warned of.
fn read(files: &[String], map: FieldArgs, reporter: &mut Reporter) -> Result<Joined> {
    let joined = join_mapped(files, map.fields)?;
    for error in joined.errors.iter().take(20) {
        reporter.warn(&error.to_string());
    }
    if joined.errors.len() > 20 {
        reporter.warn(&format!("and {} more of such records", joined.errors.len() - 20));
    }
    Ok(joined)
}

impl Join {
    fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let mut reporter = Reporter::new(messages, "traces");
        let mut output = Output::open(self.output.as_deref())?;
        let joined = read(&self.files, FieldArgs::default(), &mut reporter)?;
        if joined.traces.iter().all(|t| t.candidates.is_empty()) {
            bail!("the files hold no candidates, only what belongs to some; name the file with the samples as well");
        }
        for trace in &joined.traces {
            for line in to_lines(trace, None) {
                output.record(&line)?;
            }
        }
        let (name, n) = (output.name().to_owned(), joined.traces.len());
        output.finish()?;
        let candidates: usize = joined.traces.iter().map(|t| t.candidates.len()).sum();
        reporter.say(&format!("{candidates} candidates of {n} problems in {name}"));
        reporter.record(serde_json::json!({
            "event": "summary", "traces": n, "candidates": candidates, "errors": joined.errors.len(), "output": name,
        }));
        Ok(Exit::Ok)
    }
}

impl Check {
    fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let mut reporter = Reporter::new(messages, "traces");
        let joined = read(&self.files, self.map, &mut reporter)?;
        let mut agreement = Agreement::new(self.task, self.examples);
        joined.traces.iter().for_each(|trace| agreement.add(trace));
        let Some(share) = agreement.share() else {
            let (bare, open) = (agreement.without_verdict, agreement.without_reference);
            if open > 0 {
                bail!("{open} candidates have a verdict but no reference answer to grade by; give the file with the questions as well");
            }
            bail!(Usage(format!("none of the {bare} candidates has a verdict to compare with")));
        };
        if messages.json {
            let mut value = serde_json::to_value(&agreement)?;
            value["share"] = share.into();
            value["traces"] = joined.traces.len().into();
            value["files"] = joined.files.iter().map(|(p, f)| serde_json::json!({ "path": p, "format": f.name() })).collect();
            console::print_record(&value)?;
        } else {
            console::print(&text(&agreement, share, &joined)?)?;
        }
        Ok(Exit::Ok)
    }
}

fn text(a: &Agreement, share: f64, joined: &Joined) -> Result<String> {
    let (mut text, traces) = (String::new(), joined.traces.len());
    // Where several files are joined, a trace's place is not its candidate's.
    let lone = joined.files.len() == 1;
    writeln!(text, "{} of {} stored verdicts agree with the grader: {:.2} %", a.agree, a.graded, 100.0 * share)?;
    writeln!(
        text,
        "{traces} problems; {} candidates without a verdict, {} without a reference answer",
        a.without_verdict, a.without_reference
    )?;
    if a.unfinished > 0 {
        writeln!(text, "{} candidates unknown: cut off before they marked an answer", a.unfinished)?;
    }
    writeln!(
        text,
        "right: {} as stored, {} strict-match (the marked answer), {} flexible-extract (else the last number or option; {} verdicts agree)",
        a.stored_right, a.strict_right, a.flexible_right, a.flexible_agree
    )?;
    for (kind, count) in &a.kinds {
        writeln!(text, "\n{count:6}  {}", kind.describe())?;
        for e in a.examples.iter().filter(|e| e.kind == *kind) {
            let by = e.policy.as_ref().map(|p| format!(" by {p}")).unwrap_or_default();
            let place = if lone { format!("{}, ", e.place) } else { String::new() };
            writeln!(text, "        {}", console::line(&format!("{place}{} candidate {}{by}", e.id, e.candidate)))?;
            let or_none = |a: &Option<String>| a.clone().map_or_else(|| "none".into(), |a| format!("{a:?}"));
            writeln!(text, "          reference {:?}, stored {}, found {}", e.gold, or_none(&e.stored), or_none(&e.found))?;
            writeln!(text, "          … {}", e.tail.escape_debug())?;
        }
    }
    Ok(text)
}

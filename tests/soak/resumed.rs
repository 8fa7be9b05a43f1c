//! `generate` and `score`: killed and resumed, they write what an undisturbed run writes; a finished file is never worse off.

use crate::checks::{differ, lines, litter};
use crate::files;
use crate::program::{Ended, Kill, run, signals};
use crate::random::Random;
use std::path::Path;
use std::time::Duration;

/// Rewards that are read while a candidate is written come in batches as time has it, and differ in their last digits.
const AS_IT_GROWS: f64 = 1e-5;

/// A command that writes a file, and how it is disturbed.
pub struct Work<'a> {
    pub folder: &'a Path,
    pub args: Vec<String>,
    /// Files that are there besides what it writes.
    pub inputs: Vec<&'a str>,
    /// How often it is disturbed at most.
    pub kills: usize,
    /// By how much numbers may differ from those of an undisturbed run.
    pub tolerance: f64,
    /// Whether traces may stand in another order: those with a candidate that failed are made again, after the others.
    pub reordered: bool,
}

impl Work<'_> {
    fn run(&self, output: &str, resume: bool, kill: Option<Kill>) -> Result<Ended, String> {
        let mut args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        args.extend(["-o", output]);
        args.extend(resume.then_some("--resume"));
        run(self.folder, &args, kill)
    }

    /// Nothing unexpected lies about. A SIGKILL may leave a temporary file, and `reasonscope-labels` is no part of this.
    fn tidy(&self, more: &[&str], killed: bool) -> Result<(), String> {
        let expected: Vec<&str> = self.inputs.iter().chain(more).copied().collect();
        let left: Vec<String> = litter(self.folder, &expected).into_iter().filter(|n| !(killed && n.ends_with(".tmp"))).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} was left")) }
    }

    /// The lines that a run writes which nobody disturbs; `None` where it fails, and says why.
    pub fn undisturbed(&self) -> Result<(Option<Vec<serde_json::Value>>, Duration), String> {
        let ended = self.run("whole.jsonl", false, None)?;
        match ended.code {
            Some(0) => self.tidy(&["whole.jsonl"], false)?,
            _ if ended.stderr.trim().is_empty() => return Err(format!("it ended with {:?} and said nothing", ended.code)),
            // What was done before is kept, as the message says.
            _ => self.tidy(&["whole.jsonl", "whole.jsonl.part"], false)?,
        }
        let whole = (ended.code == Some(0)).then(|| lines(&self.folder.join("whole.jsonl"))).transpose()?;
        Ok((whole, ended.took))
    }

    /// Begins it, ends it by a signal at any time up to `took`, and goes on with it, some times over; what was done.
    pub fn disturb(&self, r: &mut Random, took: Duration) -> Result<String, String> {
        let (mut said, mut killed) = (Vec::new(), false);
        for _ in 0..1 + r.below(self.kills) {
            let kill = Kill { after: took.mul_f64(r.below(1100) as f64 / 1000.0), signal: r.pick(signals()) };
            let ended = self.run("out.jsonl", true, Some(kill)).map_err(|e| format!("{e}\n  after {said:?}"))?;
            said.push(format!("{} at {} ms: {:?}", kill.signal, kill.after.as_millis(), ended.code));
            killed |= ended.code.is_none();
            self.tidy(&["whole.jsonl", "out.jsonl", "out.jsonl.part"], killed)?;
        }
        Ok(said.join(", "))
    }

    /// Lines as they are compared.
    fn in_order(&self, mut lines: Vec<serde_json::Value>) -> Vec<serde_json::Value> {
        if self.reordered {
            lines.sort_by_key(|l| l["trace_id"].as_str().unwrap_or_default().to_owned());
        }
        lines
    }

    /// Goes on to the end, and compares; then once more on the finished file.
    pub fn settle(&self, r: &mut Random, undisturbed: &[serde_json::Value], took: Duration, story: &str) -> Result<(), String> {
        let path = self.folder.join("out.jsonl");
        let ended = self.run("out.jsonl", true, None).map_err(|e| format!("{e}\n  after {story}"))?;
        if ended.code != Some(0) {
            return Err(format!("resumed, it ends with {:?}: {}\n  after {story}", ended.code, ended.stderr));
        }
        let same = |when: &str| {
            let wanted = self.in_order(undisturbed.to_vec());
            lines(&path)
                .and_then(|l| differ(&wanted, &self.in_order(l), self.tolerance))
                .map_err(|e| format!("{when}: {e}\n  after {story}"))
        };
        same("resumed to its end")?;
        self.tidy(&["whole.jsonl", "out.jsonl"], story.contains("KILL"))?;
        // Disturbed early, a finished file stays as it is.
        let kill = Kill { after: took.mul_f64(r.below(300) as f64 / 1000.0), signal: r.pick(signals()) };
        self.run("out.jsonl", true, Some(kill))?;
        same(&format!("after {} on the finished file", kill.signal))?;
        let ended = self.run("out.jsonl", true, None)?;
        same(&format!("resumed once more, with {:?}", ended.code))
    }

    /// Disturbs it and goes on with it, and compares.
    fn disturbed(&self, r: &mut Random, undisturbed: &[serde_json::Value], took: Duration) -> Result<String, String> {
        let story = self.disturb(r, took)?;
        self.settle(r, undisturbed, took, &story)?;
        Ok(format!("{} lines; {story}", undisturbed.len()))
    }
}

fn words(args: &[&str]) -> Vec<String> {
    args.iter().map(|a| (*a).to_owned()).collect()
}

/// `generate` with the embedded policy.
pub fn generate(r: &mut Random, folder: &Path) -> Result<String, String> {
    files::problems(r, folder);
    let (n, most, seed) = (1 + r.below(4), 20 + r.below(150), r.below(1000));
    let mut args = words(&["generate", "--problems", "problems.txt", "-n", &n.to_string(), "--max-tokens", &most.to_string()]);
    args.extend(words(&["--seed", &seed.to_string()]));
    let judged = r.one_in(2);
    if judged {
        args.extend(words(&["--reward", "embedded"]));
    }
    if r.one_in(3) {
        args.extend(words(&["--json"]));
    }
    let work =
        Work { folder, args, inputs: vec!["problems.txt"], kills: 5, tolerance: if judged { AS_IT_GROWS } else { 0.0 }, reordered: false };
    match work.undisturbed()? {
        (Some(whole), took) => work.disturbed(r, &whole, took),
        (None, _) => Err("it does not generate for a file of problems".into()),
    }
}

/// `score` with the embedded reward model; and then `eval` on what it wrote.
pub fn score(r: &mut Random, folder: &Path) -> Result<String, String> {
    let paths: Vec<_> = (0..1 + r.below(2)).map(|i| files::traces(r, folder, &format!("traces-{i}"))).collect();
    let names: Vec<&str> = paths.iter().filter_map(|p| p.file_name()?.to_str()).collect();
    let mut args = words(&["score"]);
    args.extend(words(&names));
    args.extend(words(&["--reward", "embedded"]));
    args.extend(r.one_in(3).then(|| "--no-group".to_owned()));
    args.extend(r.one_in(3).then(|| "--json".to_owned()));
    let work = Work { folder, args, inputs: names, kills: 4, tolerance: 0.0, reordered: false };
    let (whole, took) = work.undisturbed()?;
    let Some(whole) = whole else { return Ok("nothing to score, and it said so".into()) };
    let story = work.disturbed(r, &whole, took)?;
    if r.one_in(3) {
        // To standard output, where a terminal may be.
        run(folder, &work.args.iter().map(String::as_str).collect::<Vec<_>>(), None)?;
    }
    let what = r.pick(&["all", "rerank", "pass", "localise", "calibrate"]);
    let mut args = vec!["eval", what, "out.jsonl"];
    args.extend(r.one_in(2).then_some("--json"));
    if r.one_in(3) {
        args.extend(["--report", "report"]);
    }
    let kill = r.one_in(3).then(|| Kill { after: Duration::from_millis(r.below(1500) as u64), signal: r.pick(signals()) });
    let ended = run(folder, &args, kill)?;
    let whole = folder.join("report/report.json").exists();
    if ended.code == Some(0) && args.contains(&"--report") && !whole {
        return Err(format!("{args:?} ended well and its report is not whole"));
    }
    Ok(format!("{story}; eval {what}: {:?}", ended.code))
}

//! The folder of a training run, read as it grows.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes before the place reached that are compared to see whether a file is still the one that was read.
const KNOWN: u64 = 256;

/// Why a folder cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// It is none of a run.
    #[error("{path}: {what}", path = path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What is wrong, and what to name instead.
        what: String,
    },
    /// A file of it cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunLine {
    /// Name of the stage.
    pub stage: String,
    /// 1-based update, or units done.
    pub step: usize,
    /// Updates of the stage, or units to do.
    pub steps: usize,
    /// When it was written, in seconds since 1970; runs of old versions do not say.
    pub time: Option<f64>,
    /// Metrics; what is not finite is NaN.
    pub values: BTreeMap<String, f64>,
    /// The line is an alarm.
    pub alarm: Option<RunAlarm>,
}

/// An alarm as a run's metrics have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunAlarm {
    /// Its name, for example `flat_rewards`.
    pub name: String,
    /// The first update that it is concluded from.
    pub since: usize,
    /// For people.
    pub message: String,
}

/// Rollouts of one problem, a line of `samples.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct RunSample {
    /// The stage that sampled them.
    pub stage: String,
    /// Its update.
    pub step: usize,
    /// The problem.
    pub problem: String,
    /// The reference answer.
    #[serde(default)]
    pub gold: Option<String>,
    /// The completions of the group.
    pub candidates: Vec<SampleCandidate>,
}

/// One rollout.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct SampleCandidate {
    /// Its text.
    pub text: String,
    /// Its reward.
    #[serde(default)]
    pub reward: Option<f32>,
    /// Whether its answer is right.
    #[serde(default)]
    pub correct: Option<bool>,
    /// Its steps; empty: the text is not divided.
    #[serde(default)]
    pub steps: Vec<SampleStep>,
    /// Whether it ended by itself, rather than at the token limit.
    #[serde(default = "yes")]
    pub stopped: bool,
}

fn yes() -> bool {
    true
}

/// A step of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct SampleStep {
    /// Its text.
    pub text: String,
    /// Its reward.
    #[serde(default)]
    pub reward: Option<f32>,
}

/// Whether a run is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStand {
    /// A process holds its folder.
    Running,
    /// It is through.
    Ended,
    /// It was interrupted, failed or was killed; the same command goes on with it.
    BrokenOff,
}

impl RunStand {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ended => "ended",
            Self::BrokenOff => "broken off",
        }
    }

    /// By the folder's `.lock`, which a run holds while it works and removes at its end; `None` where the file system has no locks.
    fn of(folder: &Path) -> Option<Self> {
        let file = match File::open(folder.join(".lock")) {
            Ok(file) => file,
            Err(e) => return (e.kind() == ErrorKind::NotFound).then_some(Self::Ended),
        };
        match file.try_lock_shared() {
            Ok(()) => Some(Self::BrokenOff),
            Err(TryLockError::WouldBlock) => Some(Self::Running),
            Err(TryLockError::Error(_)) => None,
        }
    }
}

/// What has changed in a run's folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunNews {
    /// The lines were rewritten (the run was resumed): forget those from before.
    pub anew: bool,
    /// New whole lines.
    pub lines: Vec<RunLine>,
    /// The newest rollouts, where they have changed.
    pub samples: Option<Vec<RunSample>>,
    /// Lines that could not be read: file, line, cause.
    pub notes: Vec<String>,
    /// Whether the run is at work, where that has changed.
    pub stand: Option<RunStand>,
}

impl RunNews {
    /// Nothing has changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads a run's folder piece by piece.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    offset: u64,
    line: usize,
    known: Vec<u8>,
    samples: Option<(SystemTime, u64)>,
    stand: Option<RunStand>,
}

impl RunFolder {
    /// Opens a folder that a training run writes to or has written to. Nothing else is taken for one.
    pub fn open(path: &Path) -> Result<Self, FollowError> {
        let no_run = |what: &str| FollowError::NoRun { path: path.into(), what: what.into() };
        if !path.is_dir() {
            let what = if path.exists() { "is no folder" } else { "does not exist" };
            return Err(no_run(&format!("{what}; name the folder of a run, the recipe's `output`")));
        }
        if !path.join("metrics.jsonl").is_file() {
            return Err(no_run("is no folder of a run: it has no metrics.jsonl; name the recipe's `output`, or start the run first"));
        }
        Ok(Self { path: path.into(), offset: 0, line: 0, known: Vec::new(), samples: None, stand: None })
    }

    /// What has come since the last call; a line that is still being written is left for the next.
    pub fn poll(&mut self) -> Result<RunNews, FollowError> {
        let mut news = RunNews::default();
        self.metrics(&mut news)?;
        self.samples(&mut news)?;
        let stand = RunStand::of(&self.path);
        news.stand = stand.filter(|_| stand != self.stand);
        self.stand = stand;
        Ok(news)
    }

    fn metrics(&mut self, news: &mut RunNews) -> Result<(), FollowError> {
        let path = self.path.join("metrics.jsonl");
        let io = |source| FollowError::Io { path: path.clone(), source };
        let mut file = File::open(&path).map_err(io)?;
        let from = self.offset - self.known.len() as u64;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut bytes)).map_err(io)?;
        let mut new = match bytes.strip_prefix(self.known.as_slice()) {
            Some(new) => new,
            None => {
                news.anew = true;
                (self.offset, self.line) = (0, 0);
                bytes.clear();
                file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).map_err(io)?;
                &bytes
            }
        };
        let end = memchr::memrchr(b'\n', new).map_or(0, |at| at + 1);
        new = &new[..end];
        for line in new.split_inclusive(|b| *b == b'\n') {
            self.line += 1;
            match std::str::from_utf8(line).map_err(|e| e.to_string()).and_then(read_line) {
                Ok(line) => news.lines.push(line),
                Err(what) => news.notes.push(format!("metrics.jsonl:{}: {what}", self.line)),
            }
        }
        self.offset += new.len() as u64;
        if !new.is_empty() || news.anew {
            let at = self.offset.saturating_sub(KNOWN);
            self.known.clear();
            file.seek(SeekFrom::Start(at)).map_err(io)?;
            file.take(self.offset - at).read_to_end(&mut self.known).map_err(io)?;
        }
        Ok(())
    }

    fn samples(&mut self, news: &mut RunNews) -> Result<(), FollowError> {
        let path = self.path.join("samples.jsonl");
        let Ok(about) = std::fs::metadata(&path) else { return Ok(()) };
        let state = about.modified().ok().map(|time| (time, about.len()));
        if self.samples.is_some() && self.samples == state {
            return Ok(());
        }
        let text = std::fs::read_to_string(&path).map_err(|source| FollowError::Io { path, source })?;
        self.samples = state;
        let mut samples = Vec::new();
        for (i, line) in text.lines().enumerate().filter(|l| !l.1.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(sample) => samples.push(sample),
                Err(e) => news.notes.push(format!("samples.jsonl:{}: {e}", i + 1)),
            }
        }
        news.samples = Some(samples);
        Ok(())
    }
}

fn read_line(text: &str) -> Result<RunLine, String> {
    let mut fields: Map<String, Value> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let mut take = |name: &str| fields.shift_remove(name);
    let count = |value: Option<Value>, name: &str| match value.as_ref().and_then(Value::as_u64) {
        Some(n) => Ok(n as usize),
        None => Err(format!("\"{name}\" is no whole number")),
    };
    let stage = match take("stage") {
        Some(Value::String(stage)) => stage,
        _ => return Err("\"stage\" is no text".into()),
    };
    let (step, steps) = (count(take("step"), "step")?, count(take("steps"), "steps")?);
    let time = take("time").as_ref().and_then(Value::as_f64);
    let alarm = match take("alarm") {
        Some(Value::String(name)) => {
            let since = take("since").as_ref().and_then(Value::as_u64).map_or(step, |s| s as usize);
            let message = take("message").as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            Some(RunAlarm { name, since, message })
        }
        _ => None,
    };
    let values = fields
        .into_iter()
        .filter_map(|(name, value)| match value {
            Value::Null => Some((name, f64::NAN)),
            value => Some((name, value.as_f64()?)),
        })
        .collect();
    Ok(RunLine { stage, step, steps, time, values, alarm })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn line(step: usize, more: &str) -> String {
        format!("{{\"stage\":\"rl\",\"step\":{step},\"steps\":9,\"time\":{step}.5{more}}}\n")
    }

    fn steps(news: &RunNews) -> Vec<usize> {
        news.lines.iter().map(|l| l.step).collect()
    }

    #[test]
    fn a_growing_file_is_read_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, line(1, ",\"kl\":null,\"reward\":0.5") + &line(2, ",\"alarm\":\"nan\",\"since\":1,\"message\":\"m\""))
            .unwrap();
        let mut run = RunFolder::open(dir.path()).unwrap();
        let news = run.poll().unwrap();
        assert_eq!((steps(&news), news.anew), (vec![1, 2], false));
        assert!(news.lines[0].values["kl"].is_nan() && news.lines[0].values["reward"] == 0.5 && news.lines[0].time == Some(1.5));
        assert_eq!(news.lines[1].alarm, Some(RunAlarm { name: "nan".into(), since: 1, message: "m".into() }));
        assert!(run.poll().unwrap().is_empty());
        let mut file = File::options().append(true).open(&path).unwrap();
        let (whole, half) = (line(3, ""), line(4, ""));
        file.write_all((whole + &half[..10]).as_bytes()).unwrap();
        assert_eq!(steps(&run.poll().unwrap()), [3], "half a line is left");
        file.write_all(&half.as_bytes()[10..]).unwrap();
        assert_eq!(steps(&run.poll().unwrap()), [4]);
    }

    #[test]
    fn a_rewritten_file_is_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, line(1, "") + &line(2, "") + &line(3, "")).unwrap();
        let mut run = RunFolder::open(dir.path()).unwrap();
        run.poll().unwrap();
        std::fs::write(&path, line(1, "")).unwrap();
        let news = run.poll().unwrap();
        assert_eq!((steps(&news), news.anew), (vec![1], true), "shorter");
        std::fs::write(&path, line(7, "") + &line(8, "")).unwrap();
        let news = run.poll().unwrap();
        assert_eq!((steps(&news), news.anew), (vec![7, 8], true), "longer, but another");
        assert!(run.poll().unwrap().is_empty());
    }

    #[test]
    fn lines_that_are_none_are_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("metrics.jsonl"), line(1, "") + "{\"stage\":1}\nx\n" + &line(2, "")).unwrap();
        let news = RunFolder::open(dir.path()).unwrap().poll().unwrap();
        assert_eq!(steps(&news), [1, 2]);
        assert_eq!(news.notes[0], "metrics.jsonl:2: \"stage\" is no text");
        assert!(news.notes[1].starts_with("metrics.jsonl:3: "), "{:?}", news.notes);
    }

    #[test]
    fn samples_are_told_when_they_change() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("metrics.jsonl"), "").unwrap();
        let mut run = RunFolder::open(dir.path()).unwrap();
        assert_eq!(run.poll().unwrap(), RunNews { stand: Some(RunStand::Ended), ..RunNews::default() });
        assert!(run.poll().unwrap().is_empty());
        let lock = File::create(dir.path().join(".lock")).unwrap();
        assert_eq!(run.poll().unwrap().stand, Some(RunStand::BrokenOff));
        lock.lock().unwrap();
        assert_eq!(run.poll().unwrap().stand, Some(RunStand::Running));
        let sample = "{\"stage\":\"rl\",\"step\":12,\"problem\":\"p\",\"gold\":\"42\",\"candidates\":[{\"text\":\"t\",\"reward\":null,\"correct\":true,\
            \"steps\":[{\"text\":\"t\",\"reward\":0.25}],\"stopped\":false}]}\n";
        std::fs::write(dir.path().join("samples.jsonl"), sample).unwrap();
        let samples = run.poll().unwrap().samples.unwrap();
        let c = &samples[0].candidates[0];
        assert_eq!((c.reward, c.correct, c.steps[0].reward, c.stopped), (None, Some(true), Some(0.25), false));
        assert!(run.poll().unwrap().is_empty());
        std::fs::write(dir.path().join("samples.jsonl"), sample.repeat(2)).unwrap();
        assert_eq!(run.poll().unwrap().samples.map(|s| s.len()), Some(2));
    }

    #[test]
    fn other_folders_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let no = |path: &Path| RunFolder::open(path).unwrap_err().to_string();
        assert!(no(dir.path()).contains("metrics.jsonl"));
        assert!(no(&dir.path().join("none")).contains("does not exist"));
        let file = dir.path().join("f");
        std::fs::write(&file, "").unwrap();
        assert!(no(&file).contains("is no folder"));
    }
}

//! The folder of a training run, read as it grows.

use super::folder::{RunError, RunFolder};
use super::lock::RunState;
use super::metrics::MetricsLine;
use super::samples::RunSample;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

/// Bytes before the place reached that are compared to see whether a file is still the one that was read.
const KNOWN: u64 = 256;

/// What has changed in a run's folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunChanges {
    /// The lines were rewritten (the run was resumed): forget those from before.
    pub anew: bool,
    /// New whole lines.
    pub lines: Vec<MetricsLine>,
    /// The newest rollouts, where they have changed.
    pub samples: Option<Vec<RunSample>>,
    /// Lines that could not be read: file, line, cause.
    pub notes: Vec<String>,
    /// Whether the run is at work, where that has changed.
    pub state: Option<RunState>,
}

impl RunChanges {
    /// Nothing has changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads a run's folder piece by piece.
#[derive(Debug)]
pub struct RunReader {
    folder: RunFolder,
    offset: u64,
    line: usize,
    known: Vec<u8>,
    samples: Option<(SystemTime, u64)>,
    state: Option<RunState>,
}

impl RunReader {
    /// Opens a folder that a training run writes to or has written to. Nothing else is taken for one.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let folder = RunFolder::open(path)?;
        Ok(Self { folder, offset: 0, line: 0, known: Vec::new(), samples: None, state: None })
    }

    /// What has come since the last call; a line that is still being written is left for the next.
    pub fn poll(&mut self) -> Result<RunChanges, RunError> {
        let mut changes = RunChanges::default();
        self.metrics(&mut changes)?;
        self.samples(&mut changes);
        let state = RunState::of(&self.folder);
        changes.state = state.filter(|_| state != self.state);
        self.state = state;
        Ok(changes)
    }

    fn metrics(&mut self, changes: &mut RunChanges) -> Result<(), RunError> {
        let path = self.folder.metrics();
        let io = |source| RunError::Io { path: path.clone(), source };
        let mut file = File::open(&path).map_err(io)?;
        let from = self.offset - self.known.len() as u64;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut bytes)).map_err(io)?;
        let mut new = match bytes.strip_prefix(self.known.as_slice()) {
            Some(new) => new,
            None => {
                changes.anew = true;
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
            match std::str::from_utf8(line).map_err(|e| e.to_string()).and_then(MetricsLine::parse) {
                Ok(line) => changes.lines.push(line),
                Err(what) => changes.notes.push(format!("metrics.jsonl:{}: {what}", self.line)),
            }
        }
        self.offset += new.len() as u64;
        if !new.is_empty() || changes.anew {
            let at = self.offset.saturating_sub(KNOWN);
            self.known.clear();
            file.seek(SeekFrom::Start(at)).map_err(io)?;
            file.take(self.offset - at).read_to_end(&mut self.known).map_err(io)?;
        }
        Ok(())
    }

    fn samples(&mut self, changes: &mut RunChanges) {
        let path = self.folder.samples();
        let Ok(about) = std::fs::metadata(&path) else { return };
        let stamp = about.modified().ok().map(|time| (time, about.len()));
        if self.samples.is_some() && self.samples == stamp {
            return;
        }
        self.samples = stamp;
        match RunSample::read(&path) {
            Ok((samples, notes)) => {
                changes.samples = Some(samples);
                changes.notes.extend(notes);
            }
            Err(error) => changes.notes.push(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::RunAlarm;
    use super::*;
    use crate::trace::FinishReason;
    use std::io::Write;

    fn line(step: usize, more: &str) -> String {
        format!("{{\"stage\":\"rl\",\"step\":{step},\"steps\":9,\"time\":{step}.5{more}}}\n")
    }

    fn steps(changes: &RunChanges) -> Vec<usize> {
        changes.lines.iter().map(|l| l.step).collect()
    }

    #[test]
    fn a_growing_file_is_read_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, line(1, ",\"kl\":null,\"reward\":0.5") + &line(2, ",\"alarm\":\"nan\",\"since\":1,\"message\":\"m\""))
            .unwrap();
        let mut run = RunReader::open(dir.path()).unwrap();
        let changes = run.poll().unwrap();
        assert_eq!((steps(&changes), changes.anew), (vec![1, 2], false));
        let first = changes.lines[0].numbers();
        assert!(first["kl"].is_nan() && first["reward"] == 0.5 && changes.lines[0].time == Some(1.5));
        assert_eq!(changes.lines[1].alarm, Some(RunAlarm { name: "nan".into(), since: 1, message: "m".into() }));
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
        let mut run = RunReader::open(dir.path()).unwrap();
        run.poll().unwrap();
        std::fs::write(&path, line(1, "")).unwrap();
        let changes = run.poll().unwrap();
        assert_eq!((steps(&changes), changes.anew), (vec![1], true), "shorter");
        std::fs::write(&path, line(7, "") + &line(8, "")).unwrap();
        let changes = run.poll().unwrap();
        assert_eq!((steps(&changes), changes.anew), (vec![7, 8], true), "longer, but another");
        assert!(run.poll().unwrap().is_empty());
    }

    #[test]
    fn lines_that_are_none_are_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("metrics.jsonl"), line(1, "") + "{\"stage\":1}\nx\n" + &line(2, "")).unwrap();
        let changes = RunReader::open(dir.path()).unwrap().poll().unwrap();
        assert_eq!(steps(&changes), [1, 2]);
        assert_eq!(changes.notes[0], "metrics.jsonl:2: \"stage\" is no text");
        assert!(changes.notes[1].starts_with("metrics.jsonl:3: "), "{:?}", changes.notes);
    }

    #[test]
    fn samples_are_told_when_they_change() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("metrics.jsonl"), "").unwrap();
        let mut run = RunReader::open(dir.path()).unwrap();
        assert_eq!(run.poll().unwrap(), RunChanges { state: Some(RunState::Ended), ..RunChanges::default() });
        assert!(run.poll().unwrap().is_empty());
        let lock = File::create(dir.path().join(".lock")).unwrap();
        assert_eq!(run.poll().unwrap().state, Some(RunState::BrokenOff));
        lock.lock().unwrap();
        assert_eq!(run.poll().unwrap().state, Some(RunState::Running));
        let sample = "{\"stage\":\"rl\",\"step\":12,\"problem\":\"p\",\"gold\":\"42\",\"candidates\":[{\"text\":\"t\",\"reward\":null,\"correct\":true,\
            \"steps\":[{\"text\":\"t\",\"reward\":0.25}],\"stopped\":false}]}\n";
        std::fs::write(dir.path().join("samples.jsonl"), sample).unwrap();
        let samples = run.poll().unwrap().samples.unwrap();
        let (first, c) = (&samples[0], &samples[0].trace.candidates[0]);
        assert_eq!((first.stage.as_str(), first.step, first.trace.gold_answer.as_deref()), ("rl", 12, Some("42")));
        assert_eq!((RunSample::reward(c), c.correct, RunSample::step_rewards(c)), (None, Some(true), vec![Some(0.25)]));
        assert_eq!(c.finish, Some(FinishReason::Length));
        assert!(run.poll().unwrap().is_empty());
        std::fs::write(dir.path().join("samples.jsonl"), sample.repeat(2)).unwrap();
        assert_eq!(run.poll().unwrap().samples.map(|s| s.len()), Some(2));
    }
}

//! Where everything is in the folder of a run.

use crate::util::atomic;
use std::path::{Path, PathBuf};

/// Why the folder of a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It is none of a run.
    #[error("{path}: {what}", path = path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What is wrong, and what to name instead.
        what: String,
    },
    /// Another process trains in it.
    #[error("{path}: another run is at work in this folder; wait for its end, or choose another with --set output=DIR", path = path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A file of it cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

/// The folder of a run, the recipe's `output`: the paths of what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder that a run writes to, whether it is there or not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// A folder that a training run writes to or has written to. Nothing else is taken for one.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let folder = Self::new(path);
        let no_run = |what: String| RunError::NoRun { path: path.into(), what };
        if !path.is_dir() {
            let what = if path.exists() { "is no folder" } else { "does not exist" };
            return Err(no_run(format!("{what}; name the folder of a run, the recipe's `output`")));
        }
        if !folder.is_run() {
            let what = "is no folder of a run: it has no metrics.jsonl; name the recipe's `output`, or start the run first";
            return Err(no_run(what.into()));
        }
        Ok(folder)
    }

    /// Whether a run has reported there.
    pub fn is_run(&self) -> bool {
        self.metrics().is_file()
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The recipe with every key written out.
    pub fn recipe(&self) -> PathBuf {
        self.path.join("recipe.toml")
    }

    /// What made the run, a [`RunRecord`](super::RunRecord).
    pub fn record(&self) -> PathBuf {
        self.path.join("run.json")
    }

    /// A [`MetricsLine`](super::MetricsLine) an update.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// An event file for TensorBoard that is begun at `seconds` since 1970.
    pub fn events(&self, seconds: f64, host: &str, process: u32) -> PathBuf {
        self.path.join(format!("events.out.tfevents.{:.0}.{host}.{process}", seconds.floor()))
    }

    /// The fixed pool of policy samples, native traces.
    pub fn rollouts(&self) -> PathBuf {
        self.path.join("rollouts.jsonl")
    }

    /// The newest rollouts of policy optimisation, native traces.
    pub fn samples(&self) -> PathBuf {
        self.path.join("samples.jsonl")
    }

    /// An [`Outcome`](super::Outcome) a problem.
    pub fn evaluation(&self) -> PathBuf {
        self.path.join("evaluation.jsonl")
    }

    /// The trained policy, a model directory.
    pub fn policy(&self) -> PathBuf {
        self.path.join("policy")
    }

    /// The trained reward model, a model directory with `reward.json`.
    pub fn reward(&self) -> PathBuf {
        self.path.join("reward")
    }

    /// The checkpoints of the stages.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// The checkpoint of a stage.
    pub fn checkpoint(&self, stage: &str) -> PathBuf {
        self.checkpoints().join(format!("{stage}.safetensors"))
    }

    /// The adapter that servers load before update `step`.
    pub fn adapter(&self, step: usize) -> PathBuf {
        self.path.join("adapters").join(step.to_string())
    }

    /// What happened to servers.
    pub fn fleet_log(&self) -> PathBuf {
        self.path.join("fleet.log")
    }

    /// The alarms of a run that is one of a table.
    pub fn log(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    /// The file that a run holds while it is at work.
    pub fn lock(&self) -> PathBuf {
        self.path.join(".lock")
    }
}

/// Writes `bytes` so that `path` holds either what it held or all of them; makes the folders on the way.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let io = |source| RunError::Io { path: path.into(), source };
    std::fs::create_dir_all(atomic::folder(path)).and_then(|()| atomic::write(path, bytes)).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! One run a folder, and whether it is at work.

use super::folder::{RunError, RunFolder};
use crate::util::atomic;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Keeps a second run out of a folder while it lives. `.lock` is there, and locked, while a run is at work; it is there, and not locked, after one that broke
/// off; it is gone after [`RunLock::done`].
#[derive(Debug)]
pub struct RunLock {
    _file: File,
    path: PathBuf,
}

impl RunLock {
    /// Takes the folder, which is made where it is missing; fails while another run is at work in it.
    pub fn take(folder: &RunFolder) -> Result<Self, RunError> {
        let path = folder.lock();
        let io = |source| RunError::Io { path: path.clone(), source };
        std::fs::create_dir_all(folder.path()).map_err(io)?;
        let file = File::create(&path).map_err(io)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(RunError::Busy { path: folder.path().into() }),
            // A file system without locks keeps nobody out.
            Ok(()) | Err(TryLockError::Error(_)) => {
                sweep(folder.path(), 2);
                Ok(Self { _file: file, path })
            }
        }
    }

    /// The run is through.
    pub fn done(self) {
        // One that stays says that the run broke off, which the next call of it mends.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes files that a run which was killed was about to put in their place, in a folder and those inside it down to a `depth`.
fn sweep(folder: &Path, depth: usize) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_folder && depth > 0 {
            sweep(&entry.path(), depth - 1);
        } else if !is_folder && entry.file_name().to_str().and_then(atomic::unfinished).is_some() {
            // One that stays is in nobody's way.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether a run is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// A process holds its folder.
    Running,
    /// It is through.
    Ended,
    /// It was interrupted, failed or was killed; the same command goes on with it.
    BrokenOff,
}

impl RunState {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ended => "ended",
            Self::BrokenOff => "broken off",
        }
    }

    /// By the folder's `.lock`; `None` where the file system has no locks.
    pub fn of(folder: &RunFolder) -> Option<Self> {
        let file = match File::open(folder.lock()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_half_written_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        std::fs::create_dir_all(folder.checkpoints()).unwrap();
        let (half, kept) = (folder.checkpoints().join(".sft.safetensors.aB3x.tmp"), folder.checkpoint("sft"));
        let (beside, others) = (dir.path().join(".metrics.jsonl.Qq1.tmp"), dir.path().join("notes.tmp"));
        [&half, &kept, &beside, &others].into_iter().for_each(|p| std::fs::write(p, "x").unwrap());
        RunLock::take(&folder).unwrap().done();
        assert_eq!([&half, &kept, &beside, &others].map(|p| p.exists()), [false, true, false, true]);
    }

    #[test]
    fn a_folder_is_held_by_one_run_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path().join("run"));
        assert_eq!(RunState::of(&folder), Some(RunState::Ended));
        let lock = RunLock::take(&folder).unwrap();
        assert_eq!(RunState::of(&folder), Some(RunState::Running));
        assert!(RunLock::take(&folder).unwrap_err().to_string().contains("another run is at work"));
        drop(lock);
        assert_eq!(RunState::of(&folder), Some(RunState::BrokenOff));
        RunLock::take(&folder).unwrap().done();
        assert_eq!(RunState::of(&folder), Some(RunState::Ended));
    }
}

//! One run a folder.

use super::TrainError;
use super::world::World;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Keeps a second run out of a folder while it lives. `.lock` is there, and locked, while a run is at work; it is there, and not locked, after one that broke
/// off; it is gone after [`Lock::done`].
pub(super) struct Lock(Option<(File, PathBuf)>);

impl Lock {
    /// Takes the folder; the first of several processes stands for all.
    pub fn take(folder: &Path) -> Result<Self, TrainError> {
        if !World::here().is_first() {
            return Ok(Self(None));
        }
        let path = folder.join(".lock");
        let io = |source| TrainError::Io { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let file = File::create(&path).map_err(io)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let what = "another run is at work in this folder; wait for its end, or choose another with --set output=DIR";
                Err(TrainError::Data(format!("{}: {what}", folder.display())))
            }
            // A file system without locks keeps nobody out.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self(Some((file, path)))),
        }
    }

    /// The run is through.
    pub fn done(self) {
        // One that stays says that the run broke off, which the next call of it mends.
        let _ = self.0.map(|(_file, path)| std::fs::remove_file(path));
    }
}

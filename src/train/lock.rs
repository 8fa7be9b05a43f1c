//! One run a folder.

use super::TrainError;
use super::world::World;
use std::fs::{File, TryLockError};
use std::path::Path;

/// Keeps a second run out of a folder for as long as the file is open; the first of several processes stands for all.
pub(super) fn lock(folder: &Path) -> Result<Option<File>, TrainError> {
    if !World::here().is_first() {
        return Ok(None);
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
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

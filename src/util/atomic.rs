//! Files that appear whole: a reader meets what stood there before or all of the new content, and a failure leaves what stood there.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::{Builder, NamedTempFile};

/// Files on their way, for a process that ends in the midst of its work.
static ON_THEIR_WAY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Characters of the name of a file on its way that are drawn.
const RANDOM: usize = 6;

fn on_their_way() -> MutexGuard<'static, Vec<PathBuf>> {
    ON_THEIR_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the files that are on their way, before the process ends without dropping them.
pub fn abandon() {
    for path in on_their_way().drain(..) {
        // Whoever ends has nobody to tell.
        let _ = fs::remove_file(path);
    }
}

/// A file on its way: written beside its destination under a name that begins with `.` and ends in `.tmp`, and renamed onto it by
/// [`commit`](AtomicFile::commit). Dropped before that, it is gone. It is locked for as long, so that what a killed process left can be told from it, and
/// is removed by whoever writes a file of the same name next.
pub struct AtomicFile {
    temp: NamedTempFile,
    listed: Listed,
    path: PathBuf,
}

/// Its place in the list of files that are on their way.
struct Listed(PathBuf);

impl Drop for Listed {
    fn drop(&mut self) {
        let mut all = on_their_way();
        if let Some(at) = all.iter().position(|p| *p == self.0) {
            all.swap_remove(at);
        }
    }
}

impl AtomicFile {
    /// Begins a file that is to stand at `path`, with the permissions of the one that it replaces or else those of any new file. Where `path` is a link,
    /// the file that it names is replaced and the link stays. Fails where the folder does not exist or cannot be written.
    pub fn new(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let name = path.file_name().unwrap_or_default();
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".tmp").rand_bytes(RANDOM);
        // Temporary files are private; this one is as any that the user makes, and the process's mask still applies.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        sweep(&path);
        let temp = loop {
            let temp = builder.tempfile_in(folder(&path))?;
            // Whoever sweeps at this moment may have taken it for one that was left. A system without locks sweeps nothing.
            if temp.as_file().lock().is_err() || temp.path().exists() {
                break temp;
            }
        };
        #[cfg(unix)]
        if let Ok(replaced) = fs::metadata(&path) {
            temp.as_file().set_permissions(replaced.permissions())?;
        }
        let listed = Listed(temp.path().to_owned());
        on_their_way().push(listed.0.clone());
        Ok(Self { temp, listed, path })
    }

    /// Where it is to stand.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in its place, once the disk has it.
    pub fn commit(self) -> io::Result<()> {
        self.temp.as_file().sync_all()?;
        self.temp.persist(&self.path).map_err(|e| e.error)?;
        drop(self.listed);
        Ok(())
    }

    /// Puts it at another name in the same folder as it is now, to be written on.
    pub fn commit_at(self, path: &Path) -> io::Result<File> {
        let file = self.temp.persist(path).map_err(|e| e.error);
        drop(self.listed);
        file
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.flush()
    }
}

/// Replaces the file at `path` by what `content` writes.
pub fn write_with(path: &Path, content: impl FnOnce(&mut BufWriter<AtomicFile>) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 18, AtomicFile::new(path)?);
    content(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.commit()
}

/// Replaces the file at `path` by `bytes`.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::new(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Removes the files that were to stand at `path` and whose processes were killed.
fn sweep(path: &Path) {
    let name = path.file_name().and_then(|n| n.to_str());
    let random = |name: &str| name.strip_suffix(".tmp").and_then(|n| n.rsplit_once('.')).is_some_and(|(_, random)| random.len() == RANDOM);
    for entry in fs::read_dir(folder(path)).into_iter().flatten().flatten() {
        let left = entry.file_name().to_str().is_some_and(|n| name.is_some() && unfinished(n) == name && random(n));
        if left
            && entry.file_type().is_ok_and(|t| t.is_file())
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            // One that stays is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Which file was to stand in the same folder where `name` is the name of one that never got there.
pub fn unfinished(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.').map(|(file, _)| file)
}

/// The folder that a file is in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_what_was_there_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write(&path, b"before").unwrap();
        let broken = write_with(&path, |out| {
            out.write_all(b"half")?;
            out.flush()?;
            let names = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
            assert_eq!(names.filter(|n| unfinished(n) == Some("a.txt")).count(), 1);
            Err(io::Error::other("no more"))
        });
        assert_eq!(broken.unwrap_err().to_string(), "no more");
        assert_eq!((fs::read(&path).unwrap().as_slice(), fs::read_dir(dir.path()).unwrap().count()), (&b"before"[..], 1));
        write_with(&path, |out| out.write_all(b"after")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
        assert_eq!(write(&dir.path().join("no/a.txt"), b"").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_is_written_now_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let names = || {
            let mut names: Vec<String> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let (left, others) =
            (".out.csv.aB3xyZ.tmp", [".out.aB3xyZ.tmp", ".out.csv.kept.tmp", ".x.out.csv.aB3xyZ.tmp", "out.csv.aB3xyZ.tmp"]);
        others.iter().chain([&left]).for_each(|name| fs::write(path(name), "half").unwrap());
        let mut at_work = AtomicFile::new(&path("out.csv")).unwrap();
        let on_its_way = at_work.temp.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert!(!names().contains(&left.to_owned()), "{:?}", names());
        write(&path("out.csv"), b"of another").unwrap();
        let mut all: Vec<&str> = others.to_vec();
        all.extend([&on_its_way, "out.csv"]);
        all.sort_unstable();
        assert_eq!(names(), all);
        at_work.write_all(b"whole").unwrap();
        at_work.commit().unwrap();
        assert_eq!((fs::read(path("out.csv")).unwrap().as_slice(), names().len()), (&b"whole"[..], 5));
    }

    #[test]
    fn many_write_one_file_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::thread::scope(|s| {
            for _ in 0..8 {
                s.spawn(|| (0..50).for_each(|_| write(&path, b"whole").unwrap()));
            }
        });
        assert_eq!((fs::read(&path).unwrap().as_slice(), fs::read_dir(dir.path()).unwrap().count()), (&b"whole"[..], 1));
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_stay() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (path, link, plain) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        write(&path, b"1").unwrap();
        fs::write(&plain, b"1").unwrap();
        assert_eq!(mode(&path), mode(&plain), "a new file is as any other");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write(&link, b"2").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((mode(&path), fs::read(&path).unwrap().as_slice()), (0o640, &b"2"[..]));
    }
}

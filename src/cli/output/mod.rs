//! Where results go: standard output, or a file that appears whole.

mod packed;
pub(super) mod resume;

pub use packed::Packed;

use super::progress::Reporter;
use crate::trace::sanitize;
use crate::util::atomic::{self, AtomicFile};
use crate::util::json;
use anyhow::{Context, Result, bail};
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// An open destination for results.
///
/// A file is written beside its destination and renamed onto it by [`Output::finish`], so that a reader never meets half a file and a
/// failure leaves what stood there before. What takes long is kept in `NAME.part` on the way, see [`Output::keep`].
pub struct Output {
    sink: Sink,
    name: String,
}

enum Sink {
    Stdout(BufWriter<io::Stdout>),
    /// A device or a pipe: renaming onto it would replace it.
    Direct(BufWriter<File>),
    File(BufWriter<AtomicFile>),
    Kept(Kept),
}

/// A file on its way that outlives the process.
struct Kept {
    writer: BufWriter<File>,
    part: PathBuf,
    path: PathBuf,
    /// Whether it holds what is nowhere else.
    grown: bool,
    /// Whether a file stands at `path` whose lines it does not hold.
    beside: bool,
}

impl Kept {
    /// Fails where the file is no longer where it was written, as in a folder that was removed; what it holds is copied to where it can be found, for the
    /// error to say.
    fn check(&mut self) -> Result<()> {
        if self.part.exists() {
            return Ok(());
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut rescue = tempfile::Builder::new().prefix(&format!("{name}.")).suffix(".rescued").tempfile()?;
        let held = self.writer.get_mut();
        held.seek(SeekFrom::Start(0))?;
        io::copy(held, &mut rescue)?;
        let (_, rescue) = rescue.keep()?;
        self.grown = false;
        bail!(
            "{}: is gone, removed while the run was at work; what was done is in {}; make the folder anew, move that file to {} and go on with --resume",
            self.part.display(),
            rescue.display(),
            self.path.display()
        )
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.grown {
            let _ = fs::remove_file(&self.part);
        }
    }
}

impl Output {
    /// Opens the destination before any work is done: `None` and `-` are standard output.
    ///
    /// Fails where the directory does not exist or cannot be written, and where the destination is a directory or read-only.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|p| p.as_os_str() != "-") else {
            return Ok(Self { sink: Sink::Stdout(BufWriter::new(io::stdout())), name: "standard output".into() });
        };
        let name = path.display().to_string();
        // Renaming onto a link would replace the link and not the file that it names.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if let Ok(meta) = fs::metadata(&target) {
            if meta.is_dir() {
                bail!("{name}: is a directory; name a file in it with -o");
            }
            if !meta.is_file() {
                let file = File::options().write(true).open(&target).with_context(|| format!("{name}: cannot be written"))?;
                return Ok(Self { sink: Sink::Direct(BufWriter::new(file)), name });
            }
            if meta.permissions().readonly() {
                bail!("{name}: is read-only; make it writable or choose another file with -o");
            }
        }
        let directory = atomic::folder(&target);
        if !directory.is_dir() {
            bail!("{name}: the directory {} does not exist; create it or choose another file with -o", directory.display());
        }
        let file = AtomicFile::new(&target);
        let file = file.with_context(|| format!("{name}: cannot write into {}; choose another file with -o", directory.display()))?;
        Ok(Self { sink: Sink::File(BufWriter::new(file)), name })
    }

    /// From here on every line that [`Output::flush`] has seen outlives the process, in `NAME.part` until [`Output::finish`]; a later run goes on from it, see
    /// [`Output::earlier`]. Streams are what they are. `earlier`: what an earlier run left, whose lines were written anew.
    pub fn keep(self, earlier: Option<&Earlier>) -> Result<Self> {
        let Sink::File(writer) = self.sink else { return Ok(self) };
        let name = self.name;
        let path = writer.get_ref().path().to_owned();
        let part = part(&path);
        if earlier.is_none()
            && let Some(file) = unlocked(&part)?
            && file.metadata().is_ok_and(|m| m.len() > 0)
        {
            bail!("{}: is what a run left that broke off; go on from it with --resume, or remove it to begin anew", part.display());
        }
        let beside = path.exists() && earlier.is_none_or(|e| e.is_part);
        let file = writer.into_inner().map_err(|e| e.into_error()).and_then(|file| file.commit_at(&part)).with_context(|| name.clone())?;
        // A file system without locks tells nobody of a second run.
        let _ = file.try_lock();
        Ok(Self {
            sink: Sink::Kept(Kept {
                writer: BufWriter::new(file),
                part,
                path,
                grown: earlier.is_some_and(|e| e.is_part && e.len > 0),
                beside,
            }),
            name,
        })
    }

    /// What an earlier run left of a file: `NAME.part` of one that broke off, up to the byte that `whole` says, or else the file. `None`: neither is there.
    ///
    /// Fails where that run is still at work.
    pub fn earlier(path: &Path, whole: impl FnOnce(&mut File) -> io::Result<u64>) -> Result<Option<Earlier>> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let part = part(&path);
        if let Some(mut file) = unlocked(&part)? {
            let name = || part.display().to_string();
            let len = whole(&mut file).with_context(name)?;
            file.rewind().with_context(name)?;
            return Ok(Some(Earlier { name: name(), file, len, is_part: true }));
        }
        let name = || path.display().to_string();
        match File::open(&path) {
            Ok(file) => Ok(Some(Earlier { name: name(), len: u64::MAX, file, is_part: false })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(name),
        }
    }

    /// The destination's name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether somebody sees what is written.
    pub fn is_terminal(&self) -> bool {
        matches!(self.sink, Sink::Stdout(_)) && io::stdout().is_terminal()
    }

    /// Columns of the terminal that reads along; no bound where none does.
    pub fn columns(&self) -> usize {
        let size = match self.sink {
            Sink::Stdout(_) if self.is_terminal() => crossterm::terminal::size().ok(),
            _ => None,
        };
        size.map_or(usize::MAX, |(columns, _)| columns.into())
    }

    /// Writes one line of text for people.
    pub fn text(&mut self, line: &str) -> Result<()> {
        self.line(&sanitize(line))
    }

    /// Writes one line of JSON.
    pub fn record(&mut self, record: &str) -> Result<()> {
        self.line(&json::escaped(record))
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let name = &self.name;
        self.sink.get().write_all(line.as_bytes()).and_then(|()| self.sink.get().write_all(b"\n")).with_context(|| name.clone())
    }

    /// Hands what was written on to the reader at once, where the destination is a stream.
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.sink {
            Sink::File(_) => Ok(()),
            Sink::Kept(kept) => {
                kept.grown = true;
                kept.writer.flush().with_context(|| self.name.clone())?;
                kept.check()
            }
            stream => stream.get().flush().with_context(|| self.name.clone()),
        }
    }

    /// Puts the file in its place.
    pub fn finish(self) -> Result<()> {
        let name = self.name;
        match self.sink {
            Sink::Stdout(mut w) => w.flush().with_context(|| name),
            Sink::Direct(mut w) => w.flush().with_context(|| name),
            Sink::File(writer) => writer.into_inner().map_err(|e| e.into_error()).and_then(AtomicFile::commit).with_context(|| name),
            Sink::Kept(mut kept) => {
                kept.writer.flush().and_then(|()| kept.writer.get_ref().sync_all()).with_context(|| name.clone())?;
                kept.check()?;
                kept.grown = true;
                fs::rename(&kept.part, &kept.path).with_context(|| name)
            }
        }
    }

    /// Ends a run that did not do all of its work, and says where what it did is: in its place, but for a file that stands there whole. That one is not
    /// replaced by less, and the new lines stay in `NAME.part`; `None` where there are none.
    pub fn leave(self) -> Result<Option<String>> {
        match self.sink {
            Sink::Kept(mut kept) if kept.beside => {
                kept.writer.flush().with_context(|| self.name.clone())?;
                kept.check()?;
                Ok(kept.grown.then(|| kept.part.display().to_string()))
            }
            _ => {
                let name = self.name.clone();
                self.finish().map(|()| Some(name))
            }
        }
    }
}

/// Bytes as they are, for formats that are no lines of text.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.get().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.get().flush()
    }
}

/// Ends a run's output, and says by what name what it did is found: a whole one in its place, one that is not beside a file that is.
pub(super) fn end(output: Output, whole: bool, reporter: &mut Reporter) -> Result<String> {
    let name = output.name().to_owned();
    if whole {
        return output.finish().map(|()| name);
    }
    match output.leave()? {
        Some(left) if left != name => {
            reporter.warn(&format!("{name} is as it was before, since not all is done; what is done is in {left}"));
            Ok(left)
        }
        Some(left) => Ok(left),
        None => {
            reporter.warn(&format!("{name} is as it was before, since nothing was done"));
            Ok(name)
        }
    }
}

/// Lines that an earlier run wrote, locked while they are those of one that broke off.
pub struct Earlier {
    /// The file's name, for messages.
    pub name: String,
    file: File,
    len: u64,
    /// It is `NAME.part`.
    is_part: bool,
}

impl Earlier {
    /// What is whole of it.
    pub fn read(&self) -> impl Read + '_ {
        (&self.file).take(self.len)
    }
}

/// The file of a run that broke off, open and locked; `None` where there is none. Fails where the run is still at work.
fn unlocked(part: &Path) -> Result<Option<File>> {
    let file = match File::options().read(true).write(true).open(part) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| part.display().to_string()),
    };
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        bail!("{}: another run is at work on it; wait for its end, or choose another file with -o", part.display());
    }
    Ok(Some(file))
}

/// `NAME.part` beside `NAME`.
fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

impl Sink {
    fn get(&mut self) -> &mut dyn Write {
        match self {
            Sink::Stdout(w) => w,
            Sink::Direct(w) => w,
            Sink::File(w) => w,
            Sink::Kept(kept) => &mut kept.writer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_only_when_finished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        fs::write(&path, "before\n").unwrap();
        let mut output = Output::open(Some(&path)).unwrap();
        output.line("after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\n");
        output.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn dropping_leaves_what_stood_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        let mut output = Output::open(Some(&path)).unwrap();
        output.line("lost").unwrap();
        drop(output);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_kept_outlives_a_run_that_breaks_off() {
        let dir = tempfile::tempdir().unwrap();
        let (path, part) = (dir.path().join("out.jsonl"), dir.path().join("out.jsonl.part"));
        let open = || Output::open(Some(&path)).unwrap().keep(None);
        drop(open().unwrap());
        assert!(!part.exists(), "nothing to keep");
        let mut first = open().unwrap();
        first.line("one").unwrap();
        first.flush().unwrap();
        let earlier = || Output::earlier(&path, |_: &mut File| Ok(4));
        assert!(earlier().err().unwrap().to_string().contains("at work"));
        assert!(open().err().unwrap().to_string().contains("at work"));
        first.line("torn").unwrap();
        drop(first);
        fs::write(&part, "one\ntor").unwrap();
        assert!(open().err().unwrap().to_string().contains("--resume"));
        let left = earlier().unwrap().unwrap();
        assert_eq!(io::read_to_string(left.read()).unwrap(), "one\n");
        let mut second = Output::open(Some(&path)).unwrap().keep(Some(&left)).unwrap();
        second.line("two").unwrap();
        second.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_whole_file_is_not_replaced_by_less() {
        let dir = tempfile::tempdir().unwrap();
        let (path, part) = (dir.path().join("out.jsonl"), dir.path().join("out.jsonl.part"));
        let open = || Output::open(Some(&path)).unwrap().keep(None).unwrap();
        let mut first = open();
        first.line("half").unwrap();
        first.flush().unwrap();
        assert_eq!(first.leave().unwrap(), Some(path.display().to_string()), "nothing stood there");
        fs::write(&path, "whole\n").unwrap();
        assert_eq!(open().leave().unwrap(), None);
        let mut second = open();
        second.line("half").unwrap();
        second.flush().unwrap();
        assert_eq!(second.leave().unwrap(), Some(part.display().to_string()));
        assert_eq!((fs::read_to_string(&path).unwrap(), fs::read_to_string(&part).unwrap()), ("whole\n".into(), "half\n".into()));
        // What goes on from the part leaves the whole file alone as well.
        let left = Output::earlier(&path, |_: &mut File| Ok(5)).unwrap().unwrap();
        let mut third = Output::open(Some(&path)).unwrap().keep(Some(&left)).unwrap();
        drop(left);
        third.line("half").unwrap();
        // Interrupted before anything new was done: what the part held stays.
        assert_eq!(third.leave().unwrap(), Some(part.display().to_string()));
        assert_eq!(fs::read_to_string(&part).unwrap(), "half\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\n");
        // What goes on from the file holds its lines.
        fs::remove_file(&part).unwrap();
        let left = Output::earlier(&path, |_: &mut File| Ok(0)).unwrap().unwrap();
        let mut fourth = Output::open(Some(&path)).unwrap().keep(Some(&left)).unwrap();
        fourth.line("whole and more").unwrap();
        assert_eq!(fourth.leave().unwrap(), Some(path.display().to_string()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole and more\n");
        fs::write(&part, "").unwrap();
        open().finish().unwrap();
        assert!(!part.exists(), "an empty one is of a run that never began");
    }

    #[test]
    fn what_was_done_survives_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let mut output = Output::open(Some(&folder.join("out.jsonl"))).unwrap().keep(None).unwrap();
        output.line("one").unwrap();
        output.flush().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        output.line("two").unwrap();
        let error = output.flush().unwrap_err().to_string();
        let rescued = error.split(" is in ").nth(1).and_then(|e| e.split(';').next()).unwrap();
        assert_eq!(fs::read_to_string(rescued).unwrap(), "one\ntwo\n", "{error}");
        fs::remove_file(rescued).unwrap();
    }

    #[test]
    fn impossible_destinations_are_refused_before_any_work() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |p: &Path| Output::open(Some(p)).err().map(|e| format!("{e:#}")).unwrap_or_default();
        assert!(refused(dir.path()).contains("is a directory"));
        assert!(refused(&dir.path().join("no/such/out.jsonl")).contains("does not exist"));
        let locked = dir.path().join("locked.jsonl");
        fs::write(&locked, "").unwrap();
        let mut permissions = fs::metadata(&locked).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&locked, permissions).unwrap();
        assert!(refused(&locked).contains("is read-only"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "a").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut output = Output::open(Some(&link)).unwrap();
        output.line("b").unwrap();
        output.finish().unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "b\n");
        assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
    }
}

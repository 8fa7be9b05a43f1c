//! Bytes that can be read again at any place: of files, of which few are open at a time, and of streams, which are copied.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Files of a list that stay open for who reads them next.
const OPEN: usize = 8;
/// Copied bytes that are kept in memory; more go to an unlinked temporary file.
const IN_MEMORY: usize = 8 << 20;

/// The files that a list has open: a few, however many it reads.
#[derive(Debug, Default)]
pub(in crate::format) struct Handles {
    open: Mutex<VecDeque<(usize, File)>>,
    next: AtomicUsize,
}

/// A file that is opened when it is read.
#[derive(Debug)]
pub(in crate::format) struct FileBlob {
    pub path: PathBuf,
    id: usize,
    handles: Arc<Handles>,
}

impl Handles {
    /// The file at `path`; `open`: a handle of it that is there already.
    pub fn file(self: &Arc<Self>, path: &Path, open: Option<File>) -> Arc<FileBlob> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(file) = open {
            self.keep(id, file);
        }
        Arc::new(FileBlob { path: path.to_owned(), id, handles: Arc::clone(self) })
    }

    fn keep(&self, id: usize, file: File) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back((id, file));
        if open.len() > OPEN {
            open.pop_front();
        }
    }

    fn take(&self, id: usize) -> Option<File> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().position(|o| o.0 == id)?;
        open.remove(at).map(|o| o.1)
    }
}

impl FileBlob {
    fn with<T>(&self, f: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        let file = match self.handles.take(self.id) {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        let result = f(&file);
        self.handles.keep(self.id, file);
        result
    }

    /// Closes it, so that the next to read it opens what is at its path then.
    pub fn close(&self) {
        self.handles.take(self.id);
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.with(|file| read_file_at(file, offset, into))
    }

    /// Its length by now.
    pub fn len(&self) -> io::Result<u64> {
        self.with(|file| file.metadata().map(|m| m.len()))
    }
}

#[cfg(unix)]
fn read_file_at(file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, offset)
}

#[cfg(not(unix))]
fn read_file_at(mut file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    file.read(into)
}

/// Copies of streams, one after another.
#[derive(Debug, Default)]
pub(in crate::format) struct Spool(Mutex<Copied>);

#[derive(Debug, Default)]
struct Copied {
    memory: Vec<u8>,
    file: Option<File>,
    len: u64,
}

impl Spool {
    /// Bytes copied so far.
    pub fn len(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len
    }

    /// Copies the next bytes.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut copied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if copied.file.is_none() && copied.memory.len() + bytes.len() > IN_MEMORY {
            let mut file = tempfile::tempfile()?;
            file.write_all(&copied.memory)?;
            copied.memory = Vec::new();
            copied.file = Some(file);
        }
        let len = copied.len;
        match &mut copied.file {
            Some(file) => {
                file.seek(SeekFrom::Start(len))?;
                file.write_all(bytes)?;
            }
            None => copied.memory.extend_from_slice(bytes),
        }
        copied.len += bytes.len() as u64;
        Ok(())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut copied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut copied.file {
            Some(file) => {
                file.seek(SeekFrom::Start(offset))?;
                file.read(into)
            }
            None => {
                let rest = usize::try_from(offset).ok().and_then(|at| copied.memory.get(at..)).unwrap_or_default();
                let n = rest.len().min(into.len());
                into[..n].copy_from_slice(&rest[..n]);
                Ok(n)
            }
        }
    }
}

/// Bytes that can be read again.
#[derive(Clone, Debug)]
pub(in crate::format) enum Blob {
    /// The file itself.
    File(Arc<FileBlob>),
    /// A copy of a stream, from this place of the spool on.
    Copy(Arc<Spool>, u64),
}

impl Blob {
    /// Reads what is there of `into`, and fails where that is not all.
    pub fn read_exact_at(&self, mut offset: u64, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            match self.read_at(offset, into) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    offset += n as u64;
                    into = &mut into[n..];
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Reads some bytes from `offset` on; 0 at the end.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read_at(offset, into),
            Self::Copy(spool, base) => spool.read_at(base.saturating_add(offset), into),
        }
    }

    /// The bytes at `offset`, of which `len` are known to be there.
    pub fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read_exact_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// A reader from its beginning, of `len` bytes as far as seeking goes.
    pub fn reader(&self, len: u64) -> BlobReader {
        BlobReader { blob: self.clone(), at: 0, len }
    }
}

/// Reads a [`Blob`] one piece after another.
#[derive(Clone, Debug)]
pub(in crate::format) struct BlobReader {
    blob: Blob,
    at: u64,
    len: u64,
}

impl Read for BlobReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.blob.read_at(self.at, into)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_are_open_however_many_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let handles = Arc::new(Handles::default());
        let files: Vec<_> = (0..40)
            .map(|i| {
                let path = dir.path().join(i.to_string());
                std::fs::write(&path, format!("file {i}")).unwrap();
                handles.file(&path, None)
            })
            .collect();
        for (i, file) in files.iter().enumerate() {
            let blob = Blob::File(Arc::clone(file));
            assert_eq!(blob.read(5, i.to_string().len()).unwrap(), i.to_string().as_bytes());
            assert!(blob.read(5, 9).is_err() && handles.open.lock().unwrap().len() <= OPEN);
        }
        std::fs::remove_file(&files[39].path).unwrap();
        assert_eq!(files[39].len().unwrap(), 7, "what is open stays readable");
        files[39].close();
        assert!(files[39].len().is_err());
    }

    #[test]
    fn copies_leave_the_memory_when_they_are_long() {
        let spool = Arc::new(Spool::default());
        spool.append(b"before").unwrap();
        let blob = Blob::Copy(Arc::clone(&spool), spool.len());
        let long = vec![7; IN_MEMORY];
        spool.append(b"ab").unwrap();
        spool.append(&long).unwrap();
        spool.append(b"z").unwrap();
        assert_eq!(blob.read(0, 3).unwrap(), b"ab\x07");
        assert_eq!(blob.read(2 + IN_MEMORY as u64, 1).unwrap(), b"z");
        assert!(blob.read(2 + IN_MEMORY as u64, 2).is_err());
        let mut reader = blob.reader(3 + IN_MEMORY as u64);
        reader.seek(SeekFrom::End(-1)).unwrap();
        let mut end = String::new();
        reader.read_to_string(&mut end).unwrap();
        assert_eq!(end, "z");
    }
}

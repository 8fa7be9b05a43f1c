//! What has become of a file since it was read.

use crate::format::container::{Blob, EvalLog, FileBlob, Stream};
use crate::format::index::Reached;
use crate::format::input::{About, Input, Keep};
use std::io::{Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes before the place reached that are compared to see whether a file is still the one that was read.
const KNOWN: u64 = 256;

/// A file that may grow.
pub(in crate::format) struct Followed {
    /// Its number in the list.
    pub file: usize,
    pub about: Arc<About>,
    pub on_disk: Arc<FileBlob>,
    stamp: Option<Stamp>,
    pub how: How,
}

/// How a file grows.
pub(in crate::format) enum How {
    /// By bytes at its end: how far it was read, and the bytes before that.
    Bytes { reached: Reached, known: Vec<u8> },
    /// By samples.
    Log(Arc<EvalLog>),
    /// By being packed anew.
    Packed,
}

/// What has become of a followed file.
pub(in crate::format) enum Change {
    Nothing,
    Grown(Reached, Stream),
    Samples,
    /// It is another file now, or cannot be followed.
    Replaced(&'static str),
}

/// When a file was written last, and its length.
pub(in crate::format) type Stamp = (SystemTime, u64);

impl Followed {
    /// A file on a disk; others are not followed.
    pub fn new(file: usize, input: &Input) -> Option<Self> {
        let on_disk = Arc::clone(input.file.as_ref()?);
        let how = match input.about.keep.get() {
            Some(Keep::Bytes(Blob::File(_))) => How::Bytes { reached: Reached::default(), known: Vec::new() },
            Some(Keep::Log(log)) => How::Log(Arc::clone(log)),
            _ => How::Packed,
        };
        Some(Self { file, about: Arc::clone(&input.about), stamp: stamp(&on_disk.path), on_disk, how })
    }

    /// Reading has come so far.
    pub fn reached(&mut self, by: Reached) {
        if let How::Bytes { reached, known } = &mut self.how {
            let from = by.offset.saturating_sub(KNOWN);
            *reached = by;
            *known = Blob::File(Arc::clone(&self.on_disk)).read(from, (by.offset - from) as usize).unwrap_or_default();
        }
    }

    /// What has become of it since the last look.
    pub fn change(&mut self) -> Change {
        let now = stamp(&self.on_disk.path);
        let Some((_, len)) = now.filter(|_| now != self.stamp) else { return Change::Nothing };
        self.stamp = now;
        let (reached, known) = match &self.how {
            How::Packed => return Change::Replaced("is written anew, and packed files are not followed"),
            How::Log(_) => return Change::Samples,
            How::Bytes { reached, known } => (*reached, known),
        };
        if len < reached.offset {
            return Change::Replaced("is shorter than before");
        }
        // What stands at the path now, not what was opened.
        self.on_disk.close();
        let blob = Blob::File(Arc::clone(&self.on_disk));
        match blob.read(reached.offset - known.len() as u64, known.len()) {
            Ok(now) if now == *known => {}
            _ => return Change::Replaced("was replaced by another file"),
        }
        let mut rest = blob.reader(u64::MAX);
        match rest.seek(SeekFrom::Start(reached.offset)) {
            Ok(_) => Change::Grown(reached, Box::new(rest)),
            Err(_) => Change::Nothing,
        }
    }
}

/// What tells that a file has changed; `None` where it is not there.
pub(in crate::format) fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

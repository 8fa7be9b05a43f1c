//! What trace files come in: packed, in archives, in folders, as tables, inside other objects.
//!
//! [`peel`] takes the layers off that a file is wrapped in, told by its first bytes and not by its name, whatever is inside of what: what is left is text, or
//! an archive whose entries are files in turn.

mod blob;
mod chunks;
mod csv;
mod eval;
#[cfg(feature = "parquet")]
mod pages;
#[cfg(feature = "parquet")]
mod parquet;
mod tree;
mod utf16;
mod wrapper;
mod zip;

pub(super) use self::csv::{Rows as Table, separator};
pub(super) use blob::{Blob, FileBlob, Handles, Spool};
pub(super) use chunks::Chunks;
pub(super) use eval::EvalLog;
#[cfg(feature = "parquet")]
pub use parquet::to_json_lines;
pub(super) use tree::{files, is_pattern, matches};
pub(super) use wrapper::{inside, listed, wrapped};
pub(super) use zip::Archive;

use super::error::FormatError;
use crate::util::packed;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// Layers that are taken off one file.
const LAYERS: usize = 4;

/// Where the bytes of a file come from.
#[derive(Clone)]
pub(super) enum Origin {
    /// A file on a disk.
    File(Arc<FileBlob>),
    /// An entry of an archive.
    Entry(Arc<Archive>, usize),
    /// Standard input or a pipe, which is read once.
    Once(Arc<Mutex<Option<Stream>>>),
}

/// Bytes that come one after another.
pub(super) type Stream = Box<dyn Read + Send>;

impl Origin {
    /// A stream that is read once.
    pub fn once(stream: Stream) -> Self {
        Self::Once(Arc::new(Mutex::new(Some(stream))))
    }

    /// Whether it can be opened again.
    pub fn is_lasting(&self) -> bool {
        !matches!(self, Self::Once(_))
    }

    fn stream(&self) -> io::Result<Stream> {
        match self {
            Self::File(file) => Ok(Box::new(Blob::File(Arc::clone(file)).reader(u64::MAX))),
            Self::Entry(archive, index) => archive.entry(*index),
            Self::Once(stream) => {
                let taken = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
                taken.ok_or_else(|| io::Error::other("can be read only once"))
            }
        }
    }
}

/// What is left of a file when its layers are off.
pub(super) enum Peeled {
    /// Text; `plain`: the bytes are those of the file itself.
    Text {
        /// From its beginning.
        stream: Stream,
        /// Nothing was taken off.
        plain: bool,
    },
    /// Several files.
    Archive(Arc<Archive>),
}

enum Layer {
    Gzip,
    Zstandard,
    Zip,
    Parquet,
    Utf16(utf16::Order),
}

fn layer(head: &[u8]) -> Option<Layer> {
    match head {
        _ if head.starts_with(&packed::MAGIC) => Some(Layer::Gzip),
        _ if packed::is_zstd(head) => Some(Layer::Zstandard),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Layer::Zip),
        _ if head.starts_with(b"PAR1") => Some(Layer::Parquet),
        _ => utf16::order(head).map(Layer::Utf16),
    }
}

/// Takes off what a file is packed in. What must be read from its end is copied to `spool` first, unless it is on a disk. `path` is its name in messages.
pub(super) fn peel(path: &str, origin: &Origin, spool: &Arc<Spool>) -> Result<Peeled, FormatError> {
    let io_error = |e| FormatError::io(path, e);
    let mut stream = origin.stream().map_err(io_error)?;
    let mut file = if let Origin::File(file) = origin { Some(Blob::File(Arc::clone(file))) } else { None };
    for depth in 0..=LAYERS {
        let mut head = Vec::new();
        if let Err(e) = stream.by_ref().take(8).read_to_end(&mut head) {
            return Err(if depth == 0 { io_error(e) } else { breaks_off(path, &e) });
        }
        let found = layer(&head);
        let whole: Stream = Box::new(Cursor::new(head).chain(stream));
        let file = file.take();
        stream = match found {
            None => return Ok(Peeled::Text { stream: whole, plain: file.is_some() }),
            Some(Layer::Gzip) => Box::new(packed::unpacked(whole)),
            Some(Layer::Zstandard) => Box::new(packed::unpacked_zstd(whole)),
            Some(Layer::Utf16(order)) => Box::new(utf16::Utf8::new(whole, order)),
            Some(Layer::Zip) => {
                let (blob, len) = seekable(path, whole, file, spool)?;
                let archive = Archive::open(blob, len);
                return match archive {
                    Ok(archive) => Ok(Peeled::Archive(Arc::new(archive))),
                    Err(e) => Err(FormatError::file(path, format!("is a zip archive that cannot be read: {e}"), "fetch or write it again")),
                };
            }
            Some(Layer::Parquet) => table(path, seekable(path, whole, file, spool)?)?,
        };
    }
    Err(FormatError::file(path, format!("is packed more than {LAYERS} times over"), "unpack it"))
}

/// The error for a packed file that cannot be unpacked from its beginning on.
pub(super) fn breaks_off(path: &str, reason: &io::Error) -> FormatError {
    FormatError::file(path, format!("breaks off before its first whole record: {reason}"), "fetch or write it again")
}

fn seekable(path: &str, mut stream: Stream, file: Option<Blob>, spool: &Arc<Spool>) -> Result<(Blob, u64), FormatError> {
    if let Some(Blob::File(file)) = file {
        let len = file.len().map_err(|e| FormatError::io(path, e))?;
        return Ok((Blob::File(file), len));
    }
    let base = spool.len();
    let mut chunk = vec![0; 1 << 18];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok((Blob::Copy(Arc::clone(spool), base), spool.len() - base)),
            Ok(n) => spool.append(&chunk[..n]).map_err(|e| FormatError::io(&format!("temporary copy of {path}"), e))?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(breaks_off(path, &e)),
        }
    }
}

#[cfg(feature = "parquet")]
fn table(path: &str, (blob, len): (Blob, u64)) -> Result<Stream, FormatError> {
    match parquet::Rows::bounded(blob, len) {
        Ok(rows) => Ok(Box::new(rows)),
        Err(e) => Err(FormatError::file(path, format!("is a Parquet file, {e}"), "fetch it again, or write it with Snappy or Zstandard")),
    }
}

#[cfg(not(feature = "parquet"))]
fn table(path: &str, _: (Blob, u64)) -> Result<Stream, FormatError> {
    let remedy = "build it with the feature `parquet`, or convert the file to JSON lines";
    Err(FormatError::file(path, "is a Parquet file, which this build does not read", remedy))
}

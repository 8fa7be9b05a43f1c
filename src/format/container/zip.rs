//! Zip archives: what they hold, read entry by entry.

use super::blob::{Blob, BlobReader};
use super::tree::{is_hidden, natural};
use crate::util::{foreign, packed};
use std::io::{self, Read, Seek, SeekFrom};
use zip::ZipArchive;

/// An archive whose entries are read one at a time.
#[derive(Debug)]
pub(in crate::format) struct Archive {
    blob: Blob,
    len: u64,
    zip: ZipArchive<BlobReader>,
}

/// How an entry is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Stored,
    Deflate,
    Zstandard,
    Other(u16),
}

impl Archive {
    /// Reads the list of entries of an archive of `len` bytes. The error says what is wrong.
    pub fn open(blob: Blob, len: u64) -> Result<Self, String> {
        let zip = foreign::call(|| ZipArchive::new(blob.reader(len)));
        match zip {
            Some(Ok(zip)) => Ok(Self { blob, len, zip }),
            Some(Err(e)) => Err(e.to_string()),
            None => Err("its list of entries is damaged".to_owned()),
        }
    }

    /// The names of its entries with their numbers.
    pub fn names(&self) -> Vec<(usize, String)> {
        let name = |i: usize| self.zip.name_for_index(i)?.ok().map(|name| (i, name.into_owned()));
        (0..self.zip.len()).filter_map(name).collect()
    }

    /// The entries that are files somebody may want to see, in natural order of their names.
    pub fn files(&self) -> Vec<(usize, String)> {
        let mut files = self.names();
        files.retain(|(_, name)| !name.ends_with('/') && !name.split('/').any(is_hidden));
        files.sort_by(|a, b| natural(&a.1, &b.1));
        files
    }

    /// An entry's bytes, unpacked within the bounds of [`packed`] while they are read; the last read fails where they are not those that were packed.
    pub fn entry(&self, index: usize) -> io::Result<Box<dyn Read + Send>> {
        let found = foreign::call(|| -> zip::result::ZipResult<_> {
            let mut zip = self.zip.clone();
            let entry = zip.by_index_raw(index)?;
            #[allow(deprecated, reason = "the only way to the method of an entry that the crate cannot unpack")]
            let method = match entry.compression() {
                zip::CompressionMethod::Stored => Method::Stored,
                zip::CompressionMethod::Unsupported(8) => Method::Deflate,
                zip::CompressionMethod::Unsupported(20 | 93) => Method::Zstandard,
                zip::CompressionMethod::Unsupported(other) => Method::Other(other),
                _ => Method::Other(u16::MAX),
            };
            Ok((entry.data_start(), entry.compressed_size(), entry.crc32(), method, entry.encrypted()))
        });
        let (start, len, crc, method, encrypted) = match found {
            Some(Ok((Some(start), len, crc, method, encrypted))) => (start, len, crc, method, encrypted),
            Some(Err(e)) => return Err(io::Error::other(format!("the archive is damaged ({e})"))),
            _ => return Err(io::Error::other("the archive is damaged")),
        };
        if encrypted {
            return Err(io::Error::other("the entry is encrypted; unpack the archive first"));
        }
        let mut raw = self.blob.reader(self.len);
        raw.seek(SeekFrom::Start(start))?;
        let raw = raw.take(len);
        let unpacked: Box<dyn Read + Send> = match method {
            Method::Stored => Box::new(raw),
            Method::Deflate => Box::new(packed::inflated(raw)),
            Method::Zstandard => Box::new(packed::unpacked_zstd(raw)),
            Method::Other(method) => {
                let what =
                    format!("the entry is packed by zip's method {method}; unpack the archive, or pack it with deflate or Zstandard");
                return Err(io::Error::other(what));
            }
        };
        Ok(Box::new(Checked { unpacked, sum: flate2::Crc::new(), crc }))
    }

    /// A whole entry of at most `most` bytes.
    pub fn read(&self, index: usize, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.entry(index)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > most {
            return Err(io::Error::other(format!("the entry is longer than {} MiB; unpack the archive and split it", most >> 20)));
        }
        Ok(bytes)
    }
}

/// Holds what is read against the checksum in the archive.
struct Checked {
    unpacked: Box<dyn Read + Send>,
    sum: flate2::Crc,
    crc: u32,
}

impl Read for Checked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.unpacked.read(into)?;
        self.sum.update(&into[..n]);
        if n == 0 && !into.is_empty() && self.sum.sum() != self.crc {
            return Err(io::Error::other("the entry is damaged: its checksum is another"));
        }
        Ok(n)
    }
}

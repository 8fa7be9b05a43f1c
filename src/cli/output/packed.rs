//! An output that may be packed by gzip.

use super::Output;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// An output, packed by gzip or as it is.
pub enum Packed {
    /// As it is.
    Plain(Output),
    /// Packed.
    Gzip(Box<GzEncoder<Output>>),
}

impl Packed {
    /// `packed`: by gzip.
    pub fn new(output: Output, packed: bool) -> Self {
        if packed { Self::Gzip(Box::new(GzEncoder::new(output, Compression::default()))) } else { Self::Plain(output) }
    }

    /// Writes what is held back and gives the output, to be put in its place.
    pub fn finish(self) -> io::Result<Output> {
        match self {
            Self::Plain(output) => Ok(output),
            Self::Gzip(packed) => packed.finish(),
        }
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(output) => output.write(bytes),
            Self::Gzip(packed) => packed.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(output) => Write::flush(output),
            Self::Gzip(packed) => packed.flush(),
        }
    }
}

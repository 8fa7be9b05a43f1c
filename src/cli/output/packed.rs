//! An output that may be packed by gzip, or seen by somebody.

use super::Output;
use crate::trace::sanitize;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// An output, packed by gzip or as it is; what a terminal shows is made safe for it.
pub enum Packed {
    /// As it is.
    Plain(Output),
    /// Packed.
    Gzip(Box<GzEncoder<Output>>),
    /// A terminal, and what has come of a line so far.
    Shown(Output, Vec<u8>),
}

impl Packed {
    /// `packed`: by gzip.
    pub fn new(output: Output, packed: bool) -> Self {
        match packed {
            true => Self::Gzip(Box::new(GzEncoder::new(output, Compression::default()))),
            false if output.is_terminal() => Self::Shown(output, Vec::new()),
            false => Self::Plain(output),
        }
    }

    /// Writes what is held back and gives the output, to be put in its place.
    pub fn finish(self) -> io::Result<Output> {
        match self {
            Self::Plain(output) => Ok(output),
            Self::Gzip(packed) => packed.finish(),
            Self::Shown(mut output, rest) => show(&mut output, &rest).map(|()| output),
        }
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(output) => output.write(bytes),
            Self::Gzip(packed) => packed.write(bytes),
            Self::Shown(output, held) => {
                held.extend_from_slice(bytes);
                if let Some(end) = memchr::memrchr(b'\n', held) {
                    show(output, &held[..=end])?;
                    held.drain(..=end);
                }
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(output) | Self::Shown(output, _) => Write::flush(output),
            Self::Gzip(packed) => packed.flush(),
        }
    }
}

/// Writes lines without what a terminal would obey.
fn show(output: &mut Output, lines: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(lines);
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        output.write_all(sanitize(line).as_bytes())?;
        output.write_all(end.as_bytes())?;
    }
    Ok(())
}

//! A stream in chunks.

use super::Stream;
use std::borrow::Cow;
use std::io;
use std::sync::mpsc::{Receiver, sync_channel};

const CHUNK: usize = 1 << 20;

/// A stream in chunks; an empty one is its end.
pub(in crate::format) enum Chunks {
    /// Read when they are asked for.
    Direct(Stream, Vec<u8>),
    /// Unpacked by a thread of their own, a few ahead.
    Ahead(Receiver<io::Result<Vec<u8>>>),
}

impl Chunks {
    /// Chunks that are read when they are asked for.
    pub fn direct(stream: Stream) -> Self {
        Self::Direct(stream, vec![0; CHUNK])
    }

    /// Chunks that are on the way already.
    pub fn ahead(mut stream: Stream) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(4);
        let read = move || {
            loop {
                let mut chunk = vec![0; CHUNK / 4];
                let read = stream.read(&mut chunk);
                let last = !matches!(read, Ok(n) if n > 0);
                let chunk = match read {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    read => read.map(|n| {
                        chunk.truncate(n);
                        chunk
                    }),
                };
                if sender.send(chunk).is_err() || last {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("unpack".into()).spawn(read)?;
        Ok(Self::Ahead(receiver))
    }

    /// The next one.
    pub fn next(&mut self) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::Direct(stream, chunk) => loop {
                match stream.read(chunk) {
                    Ok(n) => return Ok(Cow::Borrowed(&chunk[..n])),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            },
            Self::Ahead(chunks) => chunks.recv().unwrap_or_else(|_| Ok(Vec::new())).map(Cow::Owned),
        }
    }
}

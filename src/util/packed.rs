//! Gzip and Zstandard, read up to a bound: a file of a few megabytes may unpack to as many gigabytes.

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first bytes of a gzip file.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The first bytes of a Zstandard frame.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Unpacked bytes that are read of any file.
const ALWAYS: u64 = 1 << 30;
/// Unpacked bytes beyond them for each packed one. Traces pack to a fifth, and to a fiftieth where they repeat themselves; zeros pack to a thousandth.
const EACH: u64 = 100;

/// Whether these first bytes are of a Zstandard file, which may begin with a frame to skip.
pub fn is_zstd(head: &[u8]) -> bool {
    head.starts_with(&ZSTD) || head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18]
}

/// What a gzip stream unpacks to. Fails where that is more than 1 GiB and 100 bytes for each packed one.
pub fn unpacked(raw: impl Read) -> impl Read {
    bounded(raw, ALWAYS, EACH, MultiGzDecoder::new)
}

/// What a Zstandard stream unpacks to, in the same bounds. Frames may follow each other, and those to skip are skipped.
pub fn unpacked_zstd(raw: impl Read) -> impl Read {
    bounded(raw, ALWAYS, EACH, Frames::new)
}

/// What a raw deflate stream unpacks to, in the same bounds.
pub fn inflated(raw: impl Read) -> impl Read {
    bounded(raw, ALWAYS, EACH, flate2::bufread::DeflateDecoder::new)
}

/// Bytes that some other decoder makes of a file of `packed` bytes, in the same bounds.
pub fn held(unpacked: impl Read, packed: u64) -> impl Read {
    Bounded { unpacked, packed: Arc::new(packed.into()), bytes: 0, always: ALWAYS, each: EACH }
}

type Counting<R> = BufReader<Counted<R>>;

fn bounded<R: Read, D: Read>(raw: R, always: u64, each: u64, decoder: impl FnOnce(Counting<R>) -> D) -> Bounded<D> {
    let packed = Arc::<AtomicU64>::default();
    let counted = Counted { raw, bytes: packed.clone() };
    Bounded { unpacked: decoder(BufReader::with_capacity(1 << 16, counted)), packed, bytes: 0, always, each }
}

struct Counted<R> {
    raw: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.raw.read(into)?;
        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

struct Bounded<D> {
    unpacked: D,
    packed: Arc<AtomicU64>,
    bytes: u64,
    always: u64,
    each: u64,
}

impl<D: Read> Read for Bounded<D> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.unpacked.read(into)?;
        self.bytes += n as u64;
        let packed = self.packed.load(Ordering::Relaxed);
        if self.bytes > self.always.saturating_add(packed.saturating_mul(self.each)) {
            let what = format!(
                "{} MB unpack from {} kB, more than {} MB and {} times the packed size; if the file is meant so, unpack it first",
                self.bytes >> 20,
                packed >> 10,
                self.always >> 20,
                self.each
            );
            return Err(io::Error::other(what));
        }
        Ok(n)
    }
}

/// Zstandard frames one after another.
struct Frames<R> {
    raw: R,
    decoder: FrameDecoder,
    /// A frame has begun.
    inside: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(raw: R) -> Self {
        Self { raw, decoder: FrameDecoder::new(), inside: false }
    }

    /// Begins the next frame; false at the end.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.raw.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.raw) {
                Ok(()) => {
                    self.inside = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut self.raw.by_ref().take(length.into()), &mut io::sink())?;
                    if skipped < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(e) => return Err(damaged(&e)),
            }
        }
    }
}

fn damaged(e: &FrameDecoderError) -> io::Error {
    io::Error::other(format!("the Zstandard data are cut short or damaged ({e})"))
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.inside && !self.begin()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder.decode_blocks(&mut self.raw, BlockDecodingStrategy::UptoBlocks(1)).map_err(|e| damaged(&e))?;
            }
            match self.decoder.read(into)? {
                0 => self.inside = false,
                n => return Ok(n),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    use std::io::Write;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::best());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    fn burst(mut bomb: impl Read) -> (usize, String) {
        let mut read = 0;
        loop {
            match bomb.read(&mut [0; 4096]) {
                Ok(n) => read += n,
                Err(e) => return (read, e.to_string()),
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_bound_and_text_does_not() {
        let zeros = vec![0; 16 << 20];
        let (gz, zst) = (packed(&zeros), zstd(&zeros));
        for (read, error) in [
            burst(bounded(gz.as_slice(), 1 << 20, 100, MultiGzDecoder::new)),
            burst(bounded(zst.as_slice(), 1 << 20, 100, Frames::new)),
            burst(Bounded { always: 1 << 20, ..held_in(zeros.as_slice(), 10) }),
        ] {
            assert!(error.contains("unpack it first") && read < 4 << 20, "{read} {error}");
        }
        // Two members, as some programs write them.
        let twice = [packed(b"some text\n"), packed(b"more\n")].concat();
        let mut text = String::new();
        bounded(twice.as_slice(), 0, 100, MultiGzDecoder::new).read_to_string(&mut text).unwrap();
        assert_eq!(text, "some text\nmore\n");
    }

    fn held_in(unpacked: &[u8], packed: u64) -> Bounded<&[u8]> {
        Bounded { unpacked, packed: Arc::new(packed.into()), bytes: 0, always: 0, each: EACH }
    }

    #[test]
    fn zstandard_frames_follow_each_other() {
        let skipped = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let all = [skipped.clone(), zstd(b"some text\n"), skipped.clone(), zstd(b""), zstd(b"more\n")].concat();
        assert!(is_zstd(&all) && is_zstd(&zstd(b"x")) && !is_zstd(b"P*M\x18"[..3].as_ref()));
        let mut text = String::new();
        unpacked_zstd(all.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "some text\nmore\n");
        for cut in 1..all.len() {
            let mut text = String::new();
            let read = unpacked_zstd(&all[..cut]).read_to_string(&mut text);
            assert!("some text\nmore\n".starts_with(&text) && (read.is_ok() || !read.unwrap_err().to_string().is_empty()), "{cut}");
        }
    }
}

//! Gzip, read up to a bound: a file of a few megabytes may unpack to as many gigabytes.

use flate2::read::MultiGzDecoder;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first bytes of a gzip file.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Unpacked bytes that are read of any file.
const ALWAYS: u64 = 1 << 30;
/// Unpacked bytes beyond them for each packed one. Traces pack to a fifth, and to a fiftieth where they repeat themselves; zeros pack to a thousandth.
const EACH: u64 = 100;

/// What a gzip stream unpacks to. Fails where that is more than 1 GiB and 100 bytes for each packed one.
pub fn unpacked(raw: impl Read) -> impl Read {
    bounded(raw, ALWAYS, EACH)
}

fn bounded<R: Read>(raw: R, always: u64, each: u64) -> Bounded<R> {
    let packed = Arc::<AtomicU64>::default();
    let counted = Counted { raw, bytes: packed.clone() };
    Bounded { unpacked: MultiGzDecoder::new(BufReader::with_capacity(1 << 16, counted)), packed, bytes: 0, always, each }
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

struct Bounded<R> {
    unpacked: MultiGzDecoder<BufReader<Counted<R>>>,
    packed: Arc<AtomicU64>,
    bytes: u64,
    always: u64,
    each: u64,
}

impl<R: Read> Read for Bounded<R> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::best());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn a_bomb_stops_at_the_bound_and_text_does_not() {
        let zeros = packed(&vec![0; 16 << 20]);
        let mut read = 0;
        let mut bomb = bounded(zeros.as_slice(), 1 << 20, 100);
        let error = loop {
            match bomb.read(&mut [0; 4096]) {
                Ok(n) => read += n,
                Err(e) => break e.to_string(),
            }
        };
        assert!(error.contains("unpack it first") && read < 4 << 20, "{read} {error}");
        // Two members, as some programs write them.
        let twice = [packed(b"some text\n"), packed(b"more\n")].concat();
        let mut text = String::new();
        bounded(twice.as_slice(), 0, 100).read_to_string(&mut text).unwrap();
        assert_eq!(text, "some text\nmore\n");
    }
}

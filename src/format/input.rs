//! Where bytes come from: files, standard input, gzip; and where they are kept to be read again.

use super::detect::{Format, Wanted, foreign, only_part, plain_text, unknown};
use super::error::FormatError;
use super::fields::json;
use super::split::{Layout, Splitter};
use crate::util::packed;
use crate::util::work::count;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Unpacked bytes that are kept in memory; more go to an unlinked temporary file.
const IN_MEMORY: usize = 8 << 20;
/// Bytes within which a record must be found that tells the format.
const HEAD: usize = 64 << 20;
/// Lines that are tried for a record that tells the format.
const TRIED: usize = 50;

/// An input whose format is known.
pub(super) struct Input {
    pub path: String,
    pub format: Format,
    pub layout: Layout,
    /// The decoded stream: what was read to find the format, then the rest.
    pub head: Vec<u8>,
    pub rest: Box<dyn Read + Send>,
    /// Why the stream ended inside the head, where it did not end well.
    pub broken: Option<io::Error>,
    pub keep: Arc<Keep>,
    /// Size on disk, where it is known.
    pub size: Option<u64>,
}

/// Decoded bytes that can be read again.
pub(super) enum Keep {
    /// The file itself.
    File(Mutex<File>),
    /// A copy of a stream.
    Spool(Mutex<Spool>),
}

#[derive(Default)]
pub(super) struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    len: u64,
}

impl Keep {
    pub fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let from_file = |file: &mut File| {
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = vec![0; len];
            file.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        match self {
            Self::File(file) => from_file(&mut file.lock().unwrap_or_else(PoisonError::into_inner)),
            Self::Spool(spool) => {
                let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
                match &mut spool.file {
                    Some(file) => from_file(file),
                    None => {
                        let start = usize::try_from(offset).unwrap_or(usize::MAX);
                        let bytes = start.checked_add(len).and_then(|end| spool.memory.get(start..end));
                        bytes.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
                    }
                }
            }
        }
    }

    /// Keeps the next bytes of a stream; a file keeps its own.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let Self::Spool(spool) = self else { return Ok(()) };
        let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
        if spool.file.is_none() && spool.memory.len() + bytes.len() > IN_MEMORY {
            let mut file = tempfile::tempfile()?;
            file.write_all(&spool.memory)?;
            spool.memory = Vec::new();
            spool.file = Some(file);
        }
        let len = spool.len;
        match &mut spool.file {
            Some(file) => {
                file.seek(SeekFrom::Start(len))?;
                file.write_all(bytes)?;
            }
            None => spool.memory.extend_from_slice(bytes),
        }
        spool.len += bytes.len() as u64;
        Ok(())
    }
}

impl Input {
    /// Opens a file (`-`: standard input), plain or gzip, and finds its format. `wanted`: what will do.
    pub fn open(path: &str, wanted: Wanted) -> Result<Self, FormatError> {
        let io_error = |e| FormatError::io(path, e);
        let (raw, file): (Box<dyn Read + Send>, Option<File>) = if path == "-" {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(path).map_err(io_error)?;
            let about = file.metadata().map_err(io_error)?;
            if about.is_dir() {
                return Err(FormatError::file(path, "is a directory", "name the files in it"));
            }
            let again = if about.is_file() { Some(File::open(path).map_err(io_error)?) } else { None };
            (Box::new(file), again)
        };
        Self::from_reader(path, raw, file, wanted)
    }

    fn from_reader(path: &str, mut raw: Box<dyn Read + Send>, file: Option<File>, wanted: Wanted) -> Result<Self, FormatError> {
        let size = file.as_ref().and_then(|f| f.metadata().ok()).map(|m| m.len());
        let mut magic = Vec::new();
        raw.by_ref().take(2).read_to_end(&mut magic).map_err(|e| FormatError::io(path, e))?;
        let is_packed = magic == packed::MAGIC;
        let raw = io::Cursor::new(magic).chain(raw);
        let (mut rest, keep): (Box<dyn Read + Send>, Keep) = match (is_packed, file) {
            (true, _) => (Box::new(packed::unpacked(raw)), Keep::Spool(Mutex::default())),
            (false, Some(file)) => (Box::new(raw), Keep::File(Mutex::new(file))),
            (false, None) => (Box::new(raw), Keep::Spool(Mutex::default())),
        };
        let mut head = Vec::new();
        let mut broken = None;
        let mut chunk = vec![0; 1 << 16];
        let mut tries = Tries::default();
        let (format, layout) = loop {
            let (end, fresh) = match rest.read(&mut chunk) {
                Ok(n) => {
                    head.extend_from_slice(&chunk[..n]);
                    (n == 0, memchr::memchr(b'\n', &chunk[..n]).is_some())
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    broken = Some(e);
                    (true, true)
                }
            };
            if !end && !tries.again(head.len(), fresh) {
                continue;
            }
            match detect(path, &head, end, wanted) {
                Ok(Some(found)) => break found,
                Err(e) if broken.is_none() => return Err(e),
                Ok(None) if !end => {}
                _ => {
                    let reason = broken.map_or_else(|| "it ends".to_owned(), |e| e.to_string());
                    let problem = format!("breaks off before its first whole record: {reason}");
                    return Err(FormatError::file(path, problem, "fetch or write it again"));
                }
            }
        };
        tracing::info!(path, ?format, ?layout, bytes = size, "has opened a file");
        Ok(Self { path: path.to_owned(), format, layout, head, rest, broken, keep: Arc::new(keep), size })
    }
}

/// When a beginning that grows is looked at again: each time it is twice as long, and while it is short after some of its lines, which may come slowly. So
/// all looks together cost what the beginning is long.
#[derive(Default)]
struct Tries {
    /// Its length at the last look that it had doubled for.
    at: usize,
    /// Looks since then.
    since: usize,
}

impl Tries {
    /// Bytes up to which single lines are looked at.
    const SHORT: usize = 1 << 20;
    /// Looks between two doublings, at most.
    const LINES: usize = 16;

    /// `fresh`: a line has ended since the last look.
    fn again(&mut self, len: usize, fresh: bool) -> bool {
        if len >= 16 && len >= 2 * self.at {
            (self.at, self.since) = (len, 0);
            return true;
        }
        let line = fresh && len <= Self::SHORT && self.since < Self::LINES;
        self.since += usize::from(line);
        line
    }
}

/// The format and layout that a beginning shows; `None` where more of it is needed.
fn detect(path: &str, head: &[u8], end: bool, wanted: Wanted) -> Result<Option<(Format, Layout)>, FormatError> {
    count(head.len());
    if let Some(error) = foreign(path, head) {
        return Err(error);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let Some(first) = text.first() else {
        return if end { Err(FormatError::file(path, "is empty", "name a file with records")) } else { Ok(None) };
    };
    let values = || classify(path, &records(Layout::Values, head, end), wanted);
    let lines = || classify(path, &records(Layout::Lines, head, end), wanted);
    let (found, layout) = match first {
        b'[' => match values() {
            Found::Nothing => (lines(), Layout::Lines),
            found => (found, Layout::Values),
        },
        b'{' => match lines() {
            Found::Format(format) => (Found::Format(format), Layout::Lines),
            // objects that go over several lines
            other if first_line_is_no_json(text) => match values() {
                Found::Nothing => (other, Layout::Lines),
                found => (found, Layout::Values),
            },
            other => (other, Layout::Lines),
        },
        _ => (lines(), Layout::Lines),
    };
    let few = || memchr::memchr_iter(b'\n', head).take(TRIED).count() < TRIED;
    let started = matches!((&found, first), (Found::Nothing, b'[' | b'{'));
    let more = !end && head.len() < HEAD && (started || few());
    match found {
        Found::Format(format) => Ok(Some((format, layout))),
        _ if more => Ok(None),
        Found::Unfit(value) => Err(unknown(path, &value)),
        Found::Astray(error) => Err(error),
        Found::OnlyPart(format, value) => Err(only_part(path, format, &value)),
        Found::Nothing if wanted == Wanted::Problems && *first != b'{' => Ok(Some((Format::Text, Layout::Lines))),
        Found::Nothing if matches!(first, b'{' | b'[') => {
            let text = String::from_utf8_lossy(&text[..text.len().min(1 << 20)]);
            let line = text.lines().next().unwrap_or_default();
            let reason = match serde_json::from_str::<Value>(line) {
                Err(e) => super::error::FieldError::json(&e).problem,
                Ok(_) => "holds no record".to_owned(),
            };
            Err(FormatError::file(path, format!("its first record {reason}"), "give JSON lines or a JSON array of objects"))
        }
        Found::Nothing => Err(plain_text(path, &String::from_utf8_lossy(&text[..text.len().min(200)]))),
    }
}

fn first_line_is_no_json(text: &[u8]) -> bool {
    memchr::memchr(b'\n', text).is_some_and(|end| serde_json::from_slice::<serde::de::IgnoredAny>(&text[..end]).is_err())
}

enum Found {
    Format(Format),
    /// JSON that fits no format.
    Unfit(Value),
    /// A format that does not serve what is wanted.
    OnlyPart(Format, Value),
    /// Fields that a user named and that are not there.
    Astray(FormatError),
    /// No JSON object.
    Nothing,
}

fn classify(path: &str, records: &[Value], wanted: Wanted) -> Found {
    if let Wanted::Mapped(fields) = wanted {
        return match super::flat::check(path, fields.0, records) {
            _ if records.iter().all(|r| !r.is_object()) => records.first().map_or(Found::Nothing, |v| Found::Unfit(v.clone())),
            Err(error) => Found::Astray(error),
            Ok(()) => Found::Format(Format::Flat(fields.0)),
        };
    }
    let mut unfit = None;
    let mut part = None;
    for value in records {
        match Format::of_record(value) {
            Some(format) if !format.serves(wanted) => part = part.or_else(|| Some((format, value.clone()))),
            Some(format) => return Found::Format(format),
            None => unfit = unfit.or(Some(value)),
        }
    }
    match unfit {
        _ if part.is_some() => part.map_or(Found::Nothing, |(format, value)| Found::OnlyPart(format, value)),
        Some(value) => Found::Unfit(value.clone()),
        None => Found::Nothing,
    }
}

/// The JSON objects among the first records that are whole.
fn records(layout: Layout, head: &[u8], end: bool) -> Vec<Value> {
    let mut out = Vec::new();
    let mut seen = 0;
    let mut splitter = Splitter::new(layout);
    let mut sink = |piece: super::split::Piece<'_>| {
        seen += 1;
        if seen <= TRIED
            && let Ok(value) = json::<Value>(piece.bytes)
            && (value.is_object() || layout == Layout::Values)
        {
            out.push(value);
        }
    };
    splitter.feed(head, &mut sink);
    if end {
        splitter.finish(&mut sink);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::work::{done, grows_with_the_text};

    fn open(text: &str, piece: usize) -> Result<Input, FormatError> {
        struct Pieces(Vec<u8>, usize, usize);
        impl Read for Pieces {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let n = self.2.min(out.len()).min(self.0.len() - self.1);
                out[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
                self.1 += n;
                Ok(n)
            }
        }
        Input::from_reader("f", Box::new(Pieces(text.as_bytes().to_vec(), 0, piece)), None, Wanted::Traces)
    }

    #[test]
    fn a_beginning_without_end_is_not_read_again_and_again() {
        for unit in ["{\"a\":1", "{\"a\":1\n", "[1,\n", "{\"a\":\n", "[[", "{}\n"] {
            grows_with_the_text(unit, |n| unit.repeat(n), |text| assert!(open(text, 100).is_err()));
        }
    }

    #[test]
    fn a_line_that_comes_in_two_pieces_tells_the_format_at_once() {
        let line = "{\"problem\": \"p\", \"steps\": [\"a\"], \"label\": -1, \"final_answer_correct\": true}\n";
        let text = format!("{line}{}", "x".repeat(1000));
        let looked = done(|| assert_eq!(open(&text, line.len() - 9).map(|i| i.head.len()).ok(), Some(2 + 2 * (line.len() - 9))));
        assert!(looked < 4 * line.len(), "{looked}");
    }
}

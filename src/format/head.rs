//! What the beginning of a stream shows: its format and how its records are laid out.

use super::chat::stream;
use super::container::{breaks_off, listed, separator, wrapped};
use super::detect::{Format, Wanted, foreign, only_part, plain_text, unknown};
use super::error::{FieldError, FormatError};
use super::flat;
use super::split::{Layout, Piece, Splitter};
use crate::util::work::count;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::io::{self, Read};

/// Bytes within which a record must be found that tells the format.
const HEAD: usize = 64 << 20;
/// Bytes of text that does not begin as JSON does within which a line of JSON must come.
const TEXT: usize = 1 << 20;
/// The same where the first record is damaged, or has numbers that are no JSON.
const DAMAGED: usize = 8 << 20;
/// Lines that are tried for a record that tells the format.
const TRIED: usize = 50;

/// What a beginning shows.
pub(super) enum Shown {
    /// Records of a format.
    Records {
        format: Format,
        layout: Layout,
        /// The fields that all records get, as they stand in an object.
        outer: Vec<u8>,
    },
    /// A table whose cells are separated so.
    Table(u8),
    /// No records; the text says what there is instead.
    Nothing(&'static str),
}

/// The beginning of a stream, read as far as it takes to tell what the stream holds.
pub(super) struct Head {
    pub bytes: Vec<u8>,
    pub shown: Shown,
    /// Why the stream ended inside the head, where it did not end well.
    pub broken: Option<io::Error>,
    /// The stream ended inside the head.
    pub ended: bool,
}

impl Head {
    /// Reads the beginning of a stream. `path`: its name in messages; `table`: it may be a table.
    pub fn read(path: &str, stream: &mut dyn Read, wanted: Wanted, table: bool) -> Result<Self, FormatError> {
        let mut bytes = Vec::new();
        let mut broken = None;
        let mut chunk = vec![0; 1 << 16];
        let mut tries = Tries::default();
        loop {
            let (ended, fresh) = match stream.read(&mut chunk) {
                Ok(n) => {
                    bytes.extend_from_slice(&chunk[..n]);
                    (n == 0, memchr::memchr(b'\n', &chunk[..n]).is_some())
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    broken = Some(e);
                    (true, true)
                }
            };
            if !ended && !tries.again(bytes.len(), fresh) {
                continue;
            }
            match show(path, &bytes, ended, wanted, table) {
                Ok(Some(shown)) if broken.is_none() || matches!(shown, Shown::Records { .. }) => {
                    return Ok(Self { bytes, shown, broken, ended });
                }
                Err(e) if broken.is_none() => return Err(e),
                Ok(None) if !ended => {}
                _ => return Err(breaks_off(path, &broken.unwrap_or_else(|| io::Error::other("it ends")))),
            }
        }
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

/// What a beginning shows; `None` where more of it is needed.
fn show(path: &str, head: &[u8], end: bool, wanted: Wanted, table: bool) -> Result<Option<Shown>, FormatError> {
    count(head.len());
    if let Some(error) = foreign(path, head) {
        return Err(error);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let Some(&first) = text.first() else {
        return Ok(if end { Some(Shown::Nothing("is empty")) } else { None });
    };
    if first == b'[' && text[1..].trim_ascii_start().starts_with(b"]") {
        let rest = text[1..].trim_ascii_start();
        if rest[1..].trim_ascii().is_empty() {
            return Ok(end.then_some(Shown::Nothing("holds an empty list")));
        }
    }
    let is_json = matches!(first, b'[' | b'{');
    let beginning = if is_json { Beginning::of(text) } else { Beginning::Damaged };
    // Mostly the first record tells.
    let read = |layout| match classify(path, &records(layout, head, end, 1), wanted) {
        Found::Format(format) => Found::Format(format),
        _ => classify(path, &records(layout, head, end, TRIED), wanted),
    };
    let (values, lines) = (|| read(Layout::Values), || read(Layout::Lines));
    let (found, layout) = match first {
        b'[' => match values() {
            Found::Nothing => (lines(), Layout::Lines),
            found => (found, Layout::Values),
        },
        b'{' => match lines() {
            Found::Format(format) => (Found::Format(format), Layout::Lines),
            // objects that go over several lines, or several on one
            other if beginning.is_no_line() => match values() {
                Found::Nothing => (other, Layout::Lines),
                found => (found, Layout::Values),
            },
            other => (other, Layout::Lines),
        },
        _ => (lines(), Layout::Lines),
    };
    if let Found::Format(format) = found {
        return Ok(Some(Shown::Records { format, layout, outer: Vec::new() }));
    }
    if first == b'{' {
        // A record may have lists of records in it. Where it is one, only its end is still to come.
        let own = serde_json::Deserializer::from_slice(text).into_iter::<Value>().next().and_then(Result::ok);
        if !end && own.is_some_and(|own| matches!(classify(path, &[own], wanted), Found::Format(_))) {
            return Ok(None);
        }
        let what = |record: &Value| match classify(path, std::slice::from_ref(record), wanted) {
            Found::Format(format) => Some(format),
            _ => None,
        };
        if let Some(list) = wrapped(text, (head.len() - text.len()) as u64, end, what) {
            return Ok(Some(Shown::Records { format: list.found, layout: Layout::Inside(list.from), outer: list.outer }));
        }
    }
    if !is_json
        && table
        && let Some(separator) = separator(head)
    {
        return Ok(Some(Shown::Table(separator)));
    }
    let few = memchr::memchr_iter(b'\n', head).take(TRIED).count() < TRIED;
    let damaged = matches!(beginning, Beginning::Damaged);
    let most = match is_json {
        true if damaged => DAMAGED,
        true => HEAD,
        false => TEXT,
    };
    // One line that is damaged at its beginning stays so, however long it is.
    let hopeless = damaged && head.len() >= TEXT && memchr::memchr(b'\n', head).is_none();
    let started = matches!((&found, first), (Found::Nothing, b'[' | b'{'));
    if !end && head.len() < most && !hopeless && (started || few) {
        return Ok(None);
    }
    match found {
        Found::Format(_) => Ok(None),
        // Of a list that fits nothing, the fields of its records say more than those beside it.
        Found::Unfit(value) => Err(unknown(path, listed(&value).unwrap_or(&value))),
        Found::Astray(error) => Err(error),
        Found::OnlyPart(format, value) => Err(only_part(path, format, &value)),
        Found::Nothing if wanted == Wanted::Problems && first != b'{' => {
            Ok(Some(Shown::Records { format: Format::Text, layout: Layout::Lines, outer: Vec::new() }))
        }
        Found::Nothing if is_json => {
            let text = String::from_utf8_lossy(&text[..text.len().min(TEXT)]);
            let problem = match (&beginning, serde_json::from_str::<Value>(text.lines().next().unwrap_or_default())) {
                (Beginning::Open, _) if !end => format!("no record ends in its first {} MiB", HEAD >> 20),
                (Beginning::Open, _) => "its first record is cut short".to_owned(),
                (_, Err(e)) => format!("its first record {}", FieldError::json(&e).problem),
                (_, Ok(_)) => "its first record holds no record".to_owned(),
            };
            Err(FormatError::file(path, problem, "give JSON lines or a JSON array of objects"))
        }
        Found::Nothing => Err(plain_text(path, &String::from_utf8_lossy(&text[..text.len().min(200)]))),
    }
}

/// How the first JSON value of a text goes.
enum Beginning {
    /// It ends inside the text; whether something else than a line end follows it, or lines are inside it.
    Whole(bool),
    /// It goes on after the text.
    Open,
    /// It is none.
    Damaged,
}

impl Beginning {
    fn of(text: &[u8]) -> Self {
        let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => {
                let end = values.byte_offset();
                let after = text[end..].iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r'));
                let next = after.is_some_and(|b| *b != b'\n');
                Self::Whole(next || memchr::memchr(b'\n', &text[..end]).is_some())
            }
            Some(Err(e)) if !e.is_eof() => Self::Damaged,
            _ => Self::Open,
        }
    }

    /// Whether records may go over several lines, or stand on one.
    fn is_no_line(&self) -> bool {
        !matches!(self, Self::Whole(false))
    }
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
        return match flat::check(path, fields.0, records) {
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

/// The JSON objects among the first so many records that are whole.
fn records(layout: Layout, head: &[u8], end: bool, most: usize) -> Vec<Value> {
    let mut out = Vec::new();
    let mut seen = 0;
    let mut splitter = Splitter::new(layout);
    let mut sink = |piece: Piece<'_>| {
        seen += 1;
        if seen <= most
            && let Some(value) = stream::value(piece.bytes)
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

    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(out.len()).min(self.0.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn read(text: &str, piece: usize) -> Result<Head, FormatError> {
        Head::read("f", &mut Pieces(text.as_bytes(), piece), Wanted::Traces, true)
    }

    const LINE: &str = "{\"problem\": \"p\", \"steps\": [\"a\"], \"label\": -1, \"final_answer_correct\": true}";

    #[test]
    fn a_beginning_without_end_is_not_read_again_and_again() {
        for unit in ["{\"a\":1", "{\"a\":1\n", "[1,\n", "{\"a\":\n", "[[", "{}\n", "{\"data\":[{\"a\":1},"] {
            grows_with_the_text(unit, |n| unit.repeat(n), |text| assert!(read(text, 100).is_err()));
        }
    }

    #[test]
    fn a_line_that_comes_in_two_pieces_tells_the_format_at_once() {
        let line = format!("{LINE}\n");
        let text = format!("{line}{}", "x".repeat(1000));
        let looked = done(|| assert_eq!(read(&text, line.len() - 9).map(|i| i.bytes.len()).ok(), Some(2 * (line.len() - 9))));
        assert!(looked < 4 * line.len(), "{looked}");
    }

    #[test]
    fn what_cannot_be_is_given_up_early() {
        for (unit, said) in [("{\"a\":1", "first record is no JSON"), ("x", "is text, not JSON")] {
            let text = unit.repeat((4 << 20) / unit.len());
            let mut stream = Pieces(text.as_bytes(), 1 << 16);
            let error = Head::read("f", &mut stream, Wanted::Traces, true).err().unwrap().to_string();
            assert!(error.contains(said), "{error}");
            let looked = text.len() - stream.0.len();
            assert!(looked <= 2 << 20, "{unit} {looked}");
        }
    }

    #[test]
    fn layouts_are_told_apart() {
        let layout = |text: &str| match read(text, 64).map(|h| h.shown) {
            Ok(Shown::Records { layout, outer, .. }) => format!("{layout:?} {}", String::from_utf8(outer).unwrap()),
            Ok(Shown::Table(separator)) => format!("table {}", char::from(separator)),
            Ok(Shown::Nothing(what)) => what.to_owned(),
            Err(e) => e.to_string(),
        };
        let broad = LINE.replace(", ", ",\n ");
        assert_eq!(layout(&format!("{LINE}\r\n{LINE}")), "Lines ");
        assert_eq!(layout(&format!("[{LINE}]")), "Values ");
        assert_eq!(layout(&format!("{LINE}{LINE}")), "Values ");
        assert_eq!(layout(&format!("{LINE} {LINE}\n")), "Values ");
        assert_eq!(layout(&format!("\u{FEFF}{broad}\n{broad}")), "Values ");
        assert_eq!(layout(&format!("\u{FEFF} {{\"model\": \"m\", \"results\": [{LINE}]}}")), "Inside(30) \"model\":\"m\"");
        assert_eq!(layout(" \n"), "is empty");
        assert_eq!(layout("[ ]\n"), "holds an empty list");
        assert_eq!(layout("a,b\n1,2\n"), "table ,");
        assert!(layout("{\"data\": []}").contains("fit no format"), "{}", layout("{\"data\": []}"));
        assert!(layout("[[1]]").contains("arrays, not objects"), "{}", layout("[[1]]"));
    }
}

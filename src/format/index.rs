//! Finds the records of one file: where each begins, whether it can be used, which problem it is about.

use super::chat::stream::{self, Places};
use super::container::{Blob, Chunks, EvalLog, Origin, Peeled, Spool, Stream, Table, peel};
use super::detect::Format;
use super::error::{FieldError, FormatError};
use super::fields::json;
use super::input::{About, Body, Keep};
use super::key::{self, KeyMaker, NativeHead, ProblemKey};
use super::mend;
use super::shared::{Record, Shared};
use super::sources::inspect;
use super::split::{LONGEST, Layout, Splitter};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::de::IgnoredAny;
use serde_json::Value;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes of a file whose records are checked whole while they are indexed; in what follows, only that they are JSON.
pub(super) const CHECKED: u64 = 64 << 20;
/// Bytes of records from which on several processors check them.
const MANY: usize = 1 << 17;

/// What all files of a list are indexed with.
pub(super) struct Context {
    pub shared: Arc<Shared>,
    pub spool: Arc<Spool>,
    pub keys: KeyMaker,
    /// Files may grow: what they do not end yet is no fault.
    pub follow: bool,
}

/// How far a file was read: where its next record may begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    /// The end of the last record.
    pub offset: u64,
    /// Its number.
    pub number: u32,
    /// Records are elements of an array.
    pub in_array: bool,
}

/// Finds the records of one file.
pub(super) struct Indexer<'a> {
    context: &'a Context,
    about: Arc<About>,
    /// Native: the trace that the last record belongs to, and what it is about.
    group: Option<(String, ProblemKey)>,
    first: usize,
    reached: Reached,
    /// Streams: the record that the last line belongs to.
    places: Places,
}

/// A record that was cut out of a chunk.
struct Cut {
    offset: u64,
    bytes: Bytes,
    number: u32,
    too_long: bool,
}

enum Bytes {
    Chunk(Range<usize>),
    Own(Vec<u8>),
}

impl Cut {
    fn of<'a>(&'a self, chunk: &'a [u8]) -> &'a [u8] {
        match &self.bytes {
            Bytes::Chunk(range) => &chunk[range.clone()],
            Bytes::Own(bytes) => bytes,
        }
    }
}

type Checked = Result<(Option<String>, ProblemKey), FieldError>;

/// What is wrong with the bytes of a record that is read all the same.
struct Flaws {
    not_utf8: bool,
    mended: Option<(usize, usize)>,
}

impl Flaws {
    fn of(bytes: &[u8], format: Format) -> Self {
        let mended = (format != Format::Text && mend::is_suspect(bytes)).then(|| mend::mended(&String::from_utf8_lossy(bytes))).flatten();
        Self { not_utf8: std::str::from_utf8(bytes).is_err(), mended: mended.map(|m| (m.numbers, m.characters)) }
    }
}

impl<'a> Indexer<'a> {
    /// `file`: the number of the file that `about` is.
    pub fn new(context: &'a Context, file: usize, about: &Arc<About>) -> Self {
        let mut state = context.shared.state();
        state.begin(file);
        let first = state.len;
        drop(state);
        Self { context, about: Arc::clone(about), group: None, first, reached: Reached::default(), places: Places::default() }
    }

    /// Reads a file from its beginning; how far, unless reading was stopped or its bytes are kept elsewhere.
    pub fn run(mut self, body: Body) -> Option<Reached> {
        let splitter = Splitter::new(self.about.layout);
        let (head, rest, broken) = match body {
            Body::Log(log) => {
                self.log(&log);
                return None;
            }
            Body::Begun { head, rest, broken } => (head, Ok(rest), broken),
            Body::Again { origin, table } => (Vec::new(), self.again(&origin, table), None),
        };
        let rest = match rest {
            Ok(rest) => rest,
            Err(error) => {
                self.report(error);
                return None;
            }
        };
        let _ = self.about.keep.set(Keep::Bytes(Blob::Copy(Arc::clone(&self.context.spool), self.context.spool.len())));
        self.stream(splitter, &head, rest, broken.map(|e| e.to_string()))
    }

    /// Reads what a file has got since.
    pub fn go_on(mut self, from: Reached, rest: Stream) -> Option<Reached> {
        self.reached = from;
        let splitter = Splitter::after(self.about.layout, from.offset, from.number, from.in_array);
        self.stream(splitter, &[], rest, None)
    }

    fn again(&self, origin: &Origin, table: Option<u8>) -> Result<Stream, FormatError> {
        if let Some(Keep::Bytes(blob @ Blob::File(_))) = self.about.keep.get() {
            return Ok(Box::new(blob.reader(u64::MAX)));
        }
        match (peel(&self.about.path, origin, &self.context.spool)?, table) {
            (Peeled::Text { stream, .. }, Some(separator)) => Ok(Box::new(Table::new(stream, separator))),
            (Peeled::Text { stream, .. }, None) => Ok(stream),
            (Peeled::Archive(_), _) => Err(FormatError::file(&self.about.path, "changed while it was read", "open it again")),
        }
    }

    fn stream(mut self, mut splitter: Splitter, head: &[u8], rest: Stream, mut broken: Option<String>) -> Option<Reached> {
        if !self.feed(&mut splitter, head) {
            return None;
        }
        if broken.is_none() {
            let plain = matches!(self.about.keep.get(), Some(Keep::Bytes(Blob::File(_))));
            let mut chunks = match if plain { Ok(Chunks::direct(rest)) } else { Chunks::ahead(rest) } {
                Ok(chunks) => chunks,
                Err(e) => {
                    self.report(FormatError::io("the thread that unpacks files", e));
                    return None;
                }
            };
            loop {
                match chunks.next() {
                    Ok(chunk) if chunk.is_empty() => break,
                    Ok(chunk) => {
                        if !self.feed(&mut splitter, &chunk) {
                            return None;
                        }
                    }
                    Err(e) => {
                        broken = Some(e.to_string());
                        break;
                    }
                }
            }
        }
        let in_array = splitter.is_in_array();
        // A line that is not whole yet may become so.
        let grows = self.context.follow && broken.is_none() && (self.about.layout != Layout::Lines || is_open(splitter.unfinished()));
        let mut open = false;
        if broken.is_none() && !grows {
            // what a broken stream leaves unfinished is part of the one message about it
            let mut cuts = Vec::new();
            open = splitter.finish(&mut |piece| {
                let bytes = Bytes::Own(piece.bytes.to_vec());
                cuts.push(Cut { offset: piece.offset, bytes, number: piece.number, too_long: piece.too_long });
            });
            self.take(&cuts, &[]);
        }
        let problem = broken.or(open.then(|| "the JSON array is not closed".to_owned()));
        let mut state = self.context.shared.state();
        if let Some(problem) = problem {
            let records = state.len - self.first;
            state.report(FormatError::BreaksOff { path: self.about.path.clone(), records, problem });
        }
        drop(state);
        self.context.shared.changed.notify_all();
        Some(Reached { in_array, ..self.reached })
    }

    /// False where reading is to end.
    fn feed(&mut self, splitter: &mut Splitter, chunk: &[u8]) -> bool {
        if let Some(Keep::Bytes(Blob::Copy(spool, _))) = self.about.keep.get()
            && let Err(e) = spool.append(chunk)
        {
            let path = format!("temporary copy of {}", self.about.path);
            self.report(FormatError::io(&path, e));
            return false;
        }
        let shared = &self.context.shared;
        let begin = splitter.at();
        let mut cuts = Vec::new();
        splitter.feed(chunk, &mut |piece| {
            let at = piece.offset.checked_sub(begin).and_then(|at| usize::try_from(at).ok());
            let bytes = match at.map(|at| at..at + piece.bytes.len()) {
                Some(range) if range.end <= chunk.len() => Bytes::Chunk(range),
                _ => Bytes::Own(piece.bytes.to_vec()),
            };
            cuts.push(Cut { offset: piece.offset, bytes, number: piece.number, too_long: piece.too_long });
        });
        self.take(&cuts, chunk);
        shared.read.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        shared.changed.notify_all();
        !shared.stop.load(Ordering::Relaxed)
    }

    fn report(&self, error: FormatError) {
        self.context.shared.state().report(error);
    }

    /// Checks records, several at a time where they are many, and lists them in order.
    fn take(&mut self, cuts: &[Cut], chunk: &[u8]) {
        let check = |cut: &Cut| {
            let bytes = cut.of(chunk);
            (self.check(bytes, cut.offset), Flaws::of(bytes, self.about.format))
        };
        let many = cuts.len() > 1 && cuts.iter().map(|c| c.of(chunk).len()).sum::<usize>() >= MANY;
        let checked: Vec<(Checked, Flaws)> = if many { cuts.par_iter().map(check).collect() } else { cuts.iter().map(check).collect() };
        for (cut, (found, flaws)) in cuts.iter().zip(checked) {
            if self.context.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            self.list(cut, cut.of(chunk).len(), found, &flaws);
        }
    }

    fn list(&mut self, cut: &Cut, len: usize, found: Checked, flaws: &Flaws) {
        self.reached = Reached { offset: cut.offset + len as u64, number: cut.number, in_array: false };
        let (path, unit, line) = (&self.about.path, self.about.unit, cut.number as usize);
        if cut.too_long {
            let problem = format!("is longer than {} MiB", LONGEST >> 20);
            return self.report(FieldError::new("", problem, "split or remove it").at(path, unit, line));
        }
        let (group, key) = match found {
            Ok(found) => found,
            Err(e) => return self.report(e.at(path, unit, line)),
        };
        if flaws.not_utf8 {
            self.report(FormatError::NotUtf8 { path: path.clone(), unit, line });
        }
        if let Some((numbers, characters)) = flaws.mended {
            self.report(FormatError::Mended { path: path.clone(), unit, line, numbers, characters });
        }
        let group = match self.about.format.is_stream() {
            true => match self.places.place(group.as_deref()) {
                Some(record) => Some(record),
                None => return,
            },
            false => group,
        };
        // A line may leave the problem out that the first one of its trace says.
        let same = |a: ProblemKey, b: ProblemKey| a.text == b.text || a.text == 0 || b.text == 0;
        let joins = (self.about.layout == Layout::Lines || self.about.format.is_stream())
            && self.group.as_ref().zip(group.as_ref()).is_some_and(|((id, last), new)| id == new && same(*last, key));
        let mut state = self.context.shared.state();
        if joins
            && state.len > self.first
            && let Some(last) = state.last_mut()
        {
            let end = cut.offset + len as u64;
            if end - last.offset <= LONGEST as u64 {
                last.len = (end - last.offset) as u32;
                drop(state);
                if let Some((_, first)) = self.group.as_mut().filter(|g| g.1.text == 0) {
                    first.text = key.text;
                }
                return;
            }
        }
        if self.context.shared.keyed {
            state.keys.push_back(key);
        }
        state.push(Record { offset: cut.offset, len: len as u32, number: cut.number });
        drop(state);
        self.group = group.map(|id| (id, key));
    }

    /// The samples of a log, by its index; those that are not in it are read.
    fn log(&mut self, log: &EvalLog) {
        let summaries = log.summaries();
        let shared = &self.context.shared;
        for at in 0..log.len() {
            if shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let summary = log.name(at).and_then(|(id, epoch)| summaries.get(&(id.to_owned(), epoch)));
            let key =
                summary.and_then(|s| inspect::problem(s).ok()).map(|(id, problem)| self.context.keys.of(Format::Inspect, &id, &problem));
            let key = key.map_or_else(
                || match log.read(at) {
                    Ok(bytes) => self.check(&bytes, 0).map(|c| c.1),
                    Err(e) => Err(FieldError::new("", format!("cannot be read: {e}"), "fetch or write the log again")),
                },
                Ok,
            );
            let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
            match key {
                Ok(key) => {
                    let mut state = shared.state();
                    if shared.keyed {
                        state.keys.push_back(key);
                    }
                    state.push(Record { offset: at as u64, len: 0, number });
                }
                Err(e) => self.report(e.at(&self.about.path, self.about.unit, number as usize)),
            }
            shared.changed.notify_all();
        }
    }

    /// The key of a record that is parsed for it; what is no trace has none.
    fn whole(&self, bytes: &[u8], format: Format) -> ProblemKey {
        let trace = format.read(bytes);
        trace.flatten().map_or_else(|_| ProblemKey::default(), |t| self.context.keys.of(format, &t.id, &t.problem))
    }

    /// Whether a record can be used; the trace that a native line belongs to, and what tells the record's problem.
    fn check(&self, bytes: &[u8], offset: u64) -> Checked {
        let (format, keys) = (self.about.format, &self.context.keys);
        if format == Format::Text {
            return Ok((None, ProblemKey::default()));
        }
        if format.is_stream() {
            return stream::mark(bytes).map(|mark| (mark, ProblemKey::default()));
        }
        let whole = if self.about.outer.is_empty() { Cow::Borrowed(bytes) } else { Cow::Owned(self.about.whole(bytes.to_vec())) };
        let bytes = &*whole;
        if offset < CHECKED {
            let trace = format.read(bytes)??;
            let key = keys.of(format, &trace.id, &trace.problem);
            return Ok(((format == Format::Native).then_some(trace.id), key));
        }
        if format == Format::Native {
            let head: NativeHead = json(bytes)?;
            let key = match (&head.problem, &head.messages) {
                (None, Some(_)) => self.whole(bytes, format),
                (problem, _) => keys.of(format, &head.trace_id, problem.as_ref().and_then(Value::as_str).unwrap_or_default()),
            };
            return Ok((Some(head.trace_id), key));
        }
        if !self.context.shared.keyed {
            json::<IgnoredAny>(bytes)?;
            return Ok((None, ProblemKey::default()));
        }
        let key = match key::head(format, bytes)? {
            None => self.whole(bytes, format),
            Some((id, problem)) => keys.of(format, &id, &problem),
        };
        Ok((None, key))
    }
}

/// Whether a line may go on: it is no JSON yet.
fn is_open(line: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(line).is_err()
}

#[cfg(test)]
mod tests {
    use super::super::key::NativeHead;
    use super::*;

    #[test]
    fn native_lines_that_are_not_whole_are_known_without_their_trace() {
        let e = serde_json::from_str::<NativeHead>("{\"a\": 1}").err().map(|e| FieldError::json(&e).problem);
        assert!(e.unwrap().contains("missing field `trace_id`"));
    }
}

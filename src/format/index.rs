//! The thread that finds the records of files: where each begins, whether it can be used, which problem it is about.

use super::detect::Format;
use super::error::{FieldError, FormatError};
use super::fields::json;
use super::input::Input;
use super::key::{self, KeyMaker, NativeHead, ProblemKey};
use super::mend;
use super::shared::{Record, Shared};
use super::split::{LONGEST, Layout, Piece, Splitter};
use serde::de::IgnoredAny;
use serde_json::Value;
use std::io::{self, Read};
use std::sync::atomic::Ordering;

/// Bytes of a file whose records are checked whole while they are indexed; in what follows, only that they are JSON.
pub(super) const CHECKED: u64 = 64 << 20;
const CHUNK: usize = 1 << 20;

/// Finds the records of one file.
pub(super) struct Indexer<'a> {
    shared: &'a Shared,
    input: Input,
    /// Native: the trace that the last record belongs to, and what it is about.
    group: Option<(String, ProblemKey)>,
    first: usize,
    keys: &'a KeyMaker,
}

impl<'a> Indexer<'a> {
    pub fn new(shared: &'a Shared, input: Input, keys: &'a KeyMaker) -> Self {
        let mut state = shared.state();
        let first = state.len;
        state.starts.push(first);
        drop(state);
        Self { shared, input, group: None, first, keys }
    }

    pub fn run(mut self) {
        let mut splitter = Splitter::new(self.input.layout);
        let head = std::mem::take(&mut self.input.head);
        let mut broken = self.input.broken.take().map(|e| e.to_string());
        if !self.feed(&mut splitter, &head) {
            return;
        }
        drop(head);
        if broken.is_none() {
            let mut chunk = vec![0; CHUNK];
            loop {
                match self.input.rest.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(n) => {
                        if !self.feed(&mut splitter, &chunk[..n]) {
                            return;
                        }
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => {
                        broken = Some(e.to_string());
                        break;
                    }
                }
            }
        }
        // what a broken stream leaves unfinished is part of the one message about it
        let open = broken.is_none() && splitter.finish(&mut |piece| self.piece(piece));
        let problem = broken.or(open.then(|| "the JSON array is not closed".to_owned()));
        let mut state = self.shared.state();
        if let Some(problem) = problem {
            let records = state.len - self.first;
            state.report(FormatError::BreaksOff { path: self.input.path.clone(), records, problem });
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// False where reading is to end.
    fn feed(&mut self, splitter: &mut Splitter, chunk: &[u8]) -> bool {
        if let Err(e) = self.input.keep.append(chunk) {
            let path = format!("temporary copy of {}", self.input.path);
            self.shared.state().report(FormatError::io(&path, e));
            return false;
        }
        splitter.feed(chunk, &mut |piece| self.piece(piece));
        self.shared.read.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        self.shared.changed.notify_all();
        !self.shared.stop.load(Ordering::Relaxed)
    }

    fn report(&self, error: FormatError) {
        self.shared.state().report(error);
    }

    fn piece(&mut self, piece: Piece<'_>) {
        if self.shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let (path, unit, line) = (&self.input.path, self.input.layout.unit(), piece.number as usize);
        if piece.too_long {
            let problem = format!("is longer than {} MiB", LONGEST >> 20);
            return self.report(FieldError::new("", problem, "split or remove it").at(path, unit, line));
        }
        let lossy = std::str::from_utf8(piece.bytes).is_err();
        let (group, key) = match self.check(&piece) {
            Ok(found) => found,
            Err(e) => return self.report(e.at(path, unit, line)),
        };
        if lossy {
            self.report(FormatError::NotUtf8 { path: path.clone(), unit, line });
        }
        if mend::is_suspect(piece.bytes)
            && let Some(mended) = mend::mended(&String::from_utf8_lossy(piece.bytes))
            && self.input.format != Format::Text
        {
            let (numbers, characters) = (mended.numbers, mended.characters);
            self.report(FormatError::Mended { path: path.clone(), unit, line, numbers, characters });
        }
        // A line may leave the problem out that the first one of its trace says.
        let same = |a: ProblemKey, b: ProblemKey| a.text == b.text || a.text == 0 || b.text == 0;
        let joins = self.input.layout == Layout::Lines
            && self.group.as_ref().zip(group.as_ref()).is_some_and(|((id, last), new)| id == new && same(*last, key));
        let mut state = self.shared.state();
        if joins
            && state.len > self.first
            && let Some(last) = state.last_mut()
        {
            let end = piece.offset + piece.bytes.len() as u64;
            if end - last.offset <= LONGEST as u64 {
                last.len = (end - last.offset) as u32;
                drop(state);
                if let Some((_, first)) = self.group.as_mut().filter(|g| g.1.text == 0) {
                    first.text = key.text;
                }
                return;
            }
        }
        if self.shared.keyed {
            state.keys.push_back(key);
        }
        state.push(Record { offset: piece.offset, len: piece.bytes.len() as u32, number: piece.number });
        drop(state);
        self.group = group.map(|id| (id, key));
    }

    /// The key of a record that is parsed for it; what is no trace has none.
    fn whole(&self, piece: &Piece<'_>, format: Format) -> ProblemKey {
        let trace = format.read(piece.bytes);
        trace.flatten().map_or_else(|_| ProblemKey::default(), |t| self.keys.of(format, &t.id, &t.problem))
    }

    /// Whether a record can be used; the trace that a native line belongs to, and what tells the record's problem.
    fn check(&self, piece: &Piece<'_>) -> Result<(Option<String>, ProblemKey), FieldError> {
        let format = self.input.format;
        if format == Format::Text {
            return Ok((None, ProblemKey::default()));
        }
        if piece.offset < CHECKED {
            let trace = format.read(piece.bytes)??;
            let key = self.keys.of(format, &trace.id, &trace.problem);
            return Ok(((format == Format::Native).then_some(trace.id), key));
        }
        if format == Format::Native {
            let head: NativeHead = json(piece.bytes)?;
            let key = match (&head.problem, &head.messages) {
                (None, Some(_)) => self.whole(piece, format),
                (problem, _) => self.keys.of(format, &head.trace_id, problem.as_ref().and_then(Value::as_str).unwrap_or_default()),
            };
            return Ok((Some(head.trace_id), key));
        }
        if !self.shared.keyed {
            json::<IgnoredAny>(piece.bytes)?;
            return Ok((None, ProblemKey::default()));
        }
        let key = match key::head(format, piece.bytes)? {
            None => self.whole(piece, format),
            Some((id, problem)) => self.keys.of(format, &id, &problem),
        };
        Ok((None, key))
    }
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

//! The traces of files of any size: indexed in the background, parsed when asked for.

use super::detect::{Format, Wanted};
use super::error::FormatError;
use super::flat::FieldMap;
use super::index::{CHECKED, Context};
use super::input::{About, Keep};
use super::key::{KeyMaker, ProblemKey};
use super::queue::{Queue, follow};
use super::shared::Shared;
use super::sources::problems;
use super::split::Layout;
use crate::trace::{Source, Trace};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// How to open files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Only problems are wanted: lists of problems and plain text (one a line) are read too, and candidates are left out.
    pub problems: bool,
    /// Files that grow, and new ones in folders, are read until the list is dropped. All that is there by now is read when
    /// [`is_complete`](TraceList::is_complete) says so; that changes when something comes.
    pub follow: bool,
    /// Where the parts of a record are, as a user says; `None`: as the format that is found has them.
    pub fields: Option<FieldMap>,
}

impl Options {
    fn wanted(self) -> Wanted {
        match self.fields {
            Some(fields) => Wanted::Mapped(fields),
            None if self.problems => Wanted::Problems,
            None => Wanted::Traces,
        }
    }
}

/// Parsed traces that are kept, and the bytes of their records.
const CACHED: usize = 64;
const CACHED_BYTES: usize = 32 << 20;

/// The traces of one or more files, in order. A name may be of a file, packed or not; of an archive; of a folder; or a pattern (`runs/*.jsonl`).
///
/// Opening reads no more than shows the format of each file that is named; of folders, patterns and archives, only until one is a trace file. A thread of its own finds the records (in the native format, consecutive lines of one
/// `trace_id` are one record), so that traces can be shown while it goes on. A record takes 16 bytes until it is asked for. What is no JSON is
/// never listed; what is JSON and no trace is not listed either in a file's first 64 MiB, and is an error of [`get`](Self::get) after that.
/// Dropping the list ends the thread.
pub struct TraceList {
    shared: Arc<Shared>,
    several: bool,
    options: Options,
    cache: Mutex<Vec<(usize, u32, Arc<Trace>)>>,
}

impl TraceList {
    /// Opens files (`-`: standard input) and starts to index them. Fails on the first that cannot be opened or fits no format.
    pub fn open<S: AsRef<str>>(paths: &[S], options: Options) -> Result<Self, FormatError> {
        Self::open_for(paths, options, options.wanted(), false)
    }

    /// As [`open`](Self::open); [`take_keys`](Self::take_keys) says which traces are about the same problem.
    pub fn open_keyed<S: AsRef<str>>(paths: &[S], options: Options) -> Result<Self, FormatError> {
        Self::open_for(paths, options, options.wanted(), true)
    }

    /// As [`open`](Self::open), with files that belong to the candidates of others.
    pub(super) fn open_parts<S: AsRef<str>>(paths: &[S], fields: Option<FieldMap>) -> Result<Self, FormatError> {
        Self::open_for(paths, Options::default(), fields.map_or(Wanted::Parts, Wanted::Mapped), false)
    }

    fn open_for<S: AsRef<str>>(paths: &[S], options: Options, wanted: Wanted, keyed: bool) -> Result<Self, FormatError> {
        if paths.iter().filter(|p| p.as_ref() == "-").count() > 1 {
            return Err(FormatError::file("-", "is named twice", "name standard input once"));
        }
        let shared = Arc::new(Shared::new(keyed));
        let context = Context { shared: Arc::clone(&shared), spool: Arc::default(), keys: KeyMaker::default(), follow: options.follow };
        let context = Arc::new(context);
        let mut queue = Queue::open(paths, wanted, Arc::clone(&context))?;
        let several = queue.has_several();
        let run = move || {
            let mut followed = Vec::new();
            queue.run(&mut followed);
            if context.follow {
                follow(&context, &mut queue, followed);
            }
            context.shared.state().complete = true;
            context.shared.changed.notify_all();
        };
        std::thread::Builder::new().name("index".into()).spawn(run).map_err(|e| FormatError::io("the thread that reads the files", e))?;
        Ok(Self { shared, several, options, cache: Mutex::default() })
    }

    /// Number of traces found so far.
    pub fn len(&self) -> usize {
        self.shared.state().len
    }

    /// Whether none is found so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all files are read to their end.
    pub fn is_complete(&self) -> bool {
        self.shared.state().complete
    }

    /// How much of the files is indexed, 0 to 1; `None` where a size is not known (standard input) and reading goes on.
    pub fn progress(&self) -> Option<f32> {
        if self.is_complete() {
            return Some(1.0);
        }
        let total = self.shared.total.load(Ordering::Relaxed);
        (total > 0 && !self.shared.unmeasured.load(Ordering::Relaxed))
            .then(|| (self.shared.read.load(Ordering::Relaxed) as f32 / total as f32).min(1.0))
    }

    /// What is wrong with the files as far as they are read, in order; the first 1,000 messages.
    pub fn errors(&self) -> Vec<FormatError> {
        self.shared.state().errors.clone()
    }

    /// Number of messages, those included that are no longer kept.
    pub fn error_count(&self) -> usize {
        self.shared.state().error_count
    }

    /// Number of records that are skipped as not readable.
    pub fn skipped(&self) -> usize {
        self.shared.state().skipped
    }

    /// The files as they were named, or found in folders and archives, with their formats; as far as they are opened.
    pub fn files(&self) -> Vec<(String, Format)> {
        self.shared.state().files.iter().map(|f| (f.path.clone(), f.format)).collect()
    }

    /// Bytes that were read so far, unpacked.
    pub fn bytes_read(&self) -> u64 {
        self.shared.read.load(Ordering::Relaxed)
    }

    /// Number of files that are opened so far.
    pub fn file_count(&self) -> usize {
        self.shared.state().files.len()
    }

    /// Whether there are several files, or may be.
    pub fn has_several_files(&self) -> bool {
        self.several
    }

    /// The keys of the traces found since the last call, in order; empty unless it was opened for them.
    pub fn take_keys(&self) -> VecDeque<ProblemKey> {
        std::mem::take(&mut self.shared.state().keys)
    }

    /// The file, from 0, that trace `index` is in, and the first trace of the next file, as far as that is known.
    pub fn file_around(&self, index: usize) -> (usize, usize) {
        self.shared.state().stretch(index)
    }

    /// Which of the files, from 0, trace `index` is in.
    pub fn file_of(&self, index: usize) -> usize {
        self.shared.state().get(index).map_or(0, |(file, _)| file)
    }

    /// Bytes of trace `index` in its file, so far: the last trace found may grow.
    pub fn bytes_of(&self, index: usize) -> u32 {
        self.shared.state().get(index).map_or(0, |(_, record)| record.len)
    }

    /// Number of traces that are known whole: the last one found may have more candidates in lines that are not read yet.
    pub fn settled(&self) -> usize {
        let state = self.shared.state();
        if state.complete { state.len } else { state.len.saturating_sub(1) }
    }

    /// Waits until trace `index` is known whole or all files are read; whether it is there.
    pub fn wait(&self, index: usize) -> bool {
        let mut state = self.shared.state();
        while !state.complete && state.len <= index + 1 {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.len > index
    }

    /// Waits until so many traces are found or all files are read.
    pub fn wait_for(&self, len: usize) {
        let mut state = self.shared.state();
        while !state.complete && state.len < len {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Trace `index`, parsed now unless it was asked for lately. Costs a read and a parse of its record alone.
    pub fn get(&self, index: usize) -> Result<Arc<Trace>, FormatError> {
        let Some((_, record)) = self.shared.state().get(index) else {
            return Err(FormatError::file("trace list", format!("has no trace {index}"), "wait until it is read"));
        };
        {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = cache.iter().position(|(i, len, _)| (*i, *len) == (index, record.len)) {
                let entry = cache.remove(at);
                let trace = Arc::clone(&entry.2);
                cache.push(entry);
                return Ok(trace);
            }
        }
        let trace = Arc::new(self.read(index)?);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|(i, _, _)| *i != index);
        cache.push((index, record.len, Arc::clone(&trace)));
        while cache.len() > CACHED || (cache.len() > 1 && cache.iter().map(|c| c.1 as usize).sum::<usize>() > CACHED_BYTES) {
            cache.remove(0);
        }
        Ok(trace)
    }

    /// Every trace in order, waiting for those not found yet; nothing is kept. A record that is no trace is an `Err`, counted once.
    pub fn iter(&self) -> impl Iterator<Item = Result<Trace, FormatError>> {
        (0..).map_while(|i| self.wait(i).then(|| self.read(i)))
    }

    /// Trace `index`, read and parsed now and not kept; several threads may read at a time.
    pub fn read(&self, index: usize) -> Result<Trace, FormatError> {
        let found = {
            let state = self.shared.state();
            state.get(index).and_then(|(file, record)| Some((Arc::clone(state.files.get(file)?), record)))
        };
        let Some((file, record)) = found else {
            return Err(FormatError::file("trace list", format!("has no trace {index}"), "wait until it is read"));
        };
        let keep = file.keep.get().ok_or_else(|| FormatError::file(&file.path, "is not read yet", "wait until it is"))?;
        let bytes = keep.read(record.offset, record.len as usize).map_err(|e| FormatError::io(&file.path, e))?;
        let mut problems = Vec::new();
        let parsed = parse(&file, record.number, &file.whole(bytes), &mut problems);
        let result = match parsed {
            Some(mut trace) => {
                if self.options.problems {
                    trace.candidates.clear();
                }
                Ok(trace)
            }
            None => Err(problems
                .first()
                .cloned()
                .unwrap_or_else(|| FormatError::file(&file.path, "changed while it was read", "open it again"))),
        };
        // those of checked records were reported when they were indexed
        let unchecked = record.offset + u64::from(record.len) > CHECKED || file.format.is_stream() || matches!(keep, Keep::Log(_));
        if !problems.is_empty() && unchecked {
            let mut state = self.shared.state();
            if state.failed.insert(index) {
                problems.into_iter().for_each(|p| state.report(p));
            }
        }
        result
    }
}

impl Drop for TraceList {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// One record's trace. What is wrong goes to `problems`; `None` where nothing of it can be used.
fn parse(file: &About, number: u32, bytes: &[u8], problems: &mut Vec<FormatError>) -> Option<Trace> {
    let About { path, format, layout, unit, .. } = file;
    let (format, layout) = (*format, *layout);
    let source = Source { format: format.name().to_owned(), path: path.clone(), line: number as usize };
    let mut whole: Option<Trace> = None;
    let each: Vec<&[u8]> =
        if format == Format::Native && layout == Layout::Lines { bytes.split(|b| *b == b'\n').collect() } else { vec![bytes] };
    let several = each.len() > 1;
    for (i, line) in each.into_iter().enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let read = match format {
            Format::Text => {
                whole = Some(problems::parse_text(&String::from_utf8_lossy(line)));
                continue;
            }
            // a line that is no JSON was reported and skipped when it was indexed
            _ => match format.read(line) {
                Ok(read) => read,
                Err(_) if several => continue,
                Err(e) => {
                    problems.push(e.at(path, unit, number as usize));
                    continue;
                }
            },
        };
        match (read, &mut whole) {
            (Ok(trace), Some(whole)) => {
                if whole.problem.is_empty() {
                    whole.problem = trace.problem;
                }
                whole.candidates.extend(trace.candidates);
            }
            (Ok(trace), None) => whole = Some(trace),
            (Err(e), _) => problems.push(e.at(path, unit, number as usize + i)),
        }
    }
    let mut trace = whole?;
    if trace.id.is_empty() {
        trace.id = format.id_at(number);
    }
    if format.is_named_by_its_file() {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path).split(".json").next().unwrap_or_default();
        trace.candidates.iter_mut().filter(|c| c.policy.is_none()).for_each(|c| c.policy = Some(name.to_owned()));
    }
    trace.source = Some(source);
    Some(trace)
}

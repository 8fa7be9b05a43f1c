//! Files as problems.

use super::groups::{Groups, Mode};
use super::sides::together;
use crate::format::{self, FieldMap, Format, FormatError, TraceList};
use crate::task::{Task, grade, is_graded};
use crate::trace::{Segmentation, Trace, segment, settle_units, units_agree};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How files are opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only problems are wanted: lists of problems and plain text (one a line) are read too, and candidates are left out.
    pub problems: bool,
    /// Records stay by themselves, also those about the same problem.
    pub apart: bool,
    /// Where the parts of a record are, as a user says; `None`: as the format that is found has them.
    pub fields: Option<FieldMap>,
    /// The task whose grader reads final answers anew; `None`: only what the files leave open is filled in. See [`grade`].
    pub task: Option<Task>,
    /// How text is cut into steps where its file does not say it.
    pub segmentation: Segmentation,
    /// Files that grow, and new ones in folders, are read until the collection is dropped.
    pub follow: bool,
}

/// Problems of which several records speak that are kept at a time.
const CACHED: usize = 16;

/// The problems of one or more files, in the order in which they first come.
///
/// Records about the same problem become its candidates, wherever they stand: those whose own ids and problem texts are equal, and those without ids whose
/// texts are equal. In several files, equal texts do, and what they say of one candidate stands side by side. Numbers of problems are stable while the files
/// are still read, but a problem may get more candidates until [`is_complete`](Self::is_complete). Standard input can be used while it comes, so only
/// records that stand side by side are put together there.
pub struct Collection {
    list: TraceList,
    groups: Mutex<Groups>,
    task: Option<Task>,
    segmentation: Segmentation,
    /// The files' names in short, of so many as are opened.
    names: Mutex<Arc<Vec<String>>>,
    streams: bool,
    follows: bool,
    cache: Mutex<Vec<(usize, Size, Arc<Trace>)>>,
}

/// How much is known of a problem: its records and their bytes. It grows until all files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Number of records.
    pub records: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Collection {
    /// Opens files (`-`: standard input) and starts to read them. Fails on the first that cannot be opened or fits no format.
    pub fn open<S: AsRef<str>>(paths: &[S], options: &Options) -> Result<Self, FormatError> {
        let formats = format::Options { problems: options.problems, follow: options.follow, fields: options.fields };
        let list = if options.apart { TraceList::open(paths, formats)? } else { TraceList::open_keyed(paths, formats)? };
        let streams = paths.iter().any(|p| p.as_ref() == "-");
        let mode = match () {
            () if options.apart => Mode::Apart,
            () if streams => Mode::Adjacent,
            () => Mode::Everywhere,
        };
        Ok(Self {
            groups: Mutex::new(Groups::new(mode, if list.has_several_files() { paths.len().max(2) } else { 1 })),
            list,
            task: options.task,
            segmentation: options.segmentation.clone(),
            names: Mutex::default(),
            streams: streams || options.apart,
            follows: options.follow,
            cache: Mutex::default(),
        })
    }

    /// The problems as far as they are found.
    fn groups(&self) -> MutexGuard<'_, Groups> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.is_apart() {
            groups.skip_to(self.list.len());
            return groups;
        }
        let mut file = None;
        for key in self.list.take_keys() {
            let record = groups.records();
            if file.is_none_or(|(_, end)| record >= end) {
                file = Some(self.list.file_around(record));
            }
            groups.add(key, file.map_or(0, |f| f.0));
        }
        groups
    }

    /// The short names of the files that are opened so far.
    fn names(&self) -> Arc<Vec<String>> {
        let mut known = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() != self.list.file_count() {
            let files: Vec<String> = self.list.files().into_iter().map(|f| f.0).collect();
            *known = Arc::new(names(&files));
        }
        Arc::clone(&known)
    }

    /// Whether more may come after all that is there was read.
    pub fn follows(&self) -> bool {
        self.follows
    }

    /// How much is known by now; it changes when something comes.
    pub fn known(&self) -> (usize, u64) {
        (self.list.len(), self.list.bytes_read())
    }

    /// Number of problems found so far.
    pub fn len(&self) -> usize {
        self.groups().len()
    }

    /// Whether none is found so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all files are read to their end.
    pub fn is_complete(&self) -> bool {
        self.list.is_complete()
    }

    /// Number of leading problems that are known whole but for records that stand elsewhere: the last one found may go on in the next line.
    pub fn begun(&self) -> usize {
        // Asked first: what is complete now has all its records.
        let complete = self.list.is_complete();
        let len = self.len();
        if complete { len } else { len.saturating_sub(1) }
    }

    /// Number of leading problems that will not change any more: none before all files are read, where records may stand anywhere.
    pub fn settled(&self) -> usize {
        if self.streams || self.list.is_complete() { self.begun() } else { 0 }
    }

    /// Waits until problem `index` has begun or all files are read; whether it is there.
    pub fn wait(&self, index: usize) -> bool {
        loop {
            let (complete, groups) = (self.list.is_complete(), self.groups());
            let (len, records) = (groups.len(), groups.records());
            drop(groups);
            if len > index || complete {
                return len > index;
            }
            self.list.wait_for(records + 1);
        }
    }

    /// Waits until all files are read.
    pub fn wait_all(&self) {
        self.list.wait(usize::MAX - 1);
    }

    /// How much is known of problem `index` by now.
    pub fn size(&self, index: usize) -> Size {
        let records: Vec<usize> = self.groups().of(index).collect();
        Size { records: records.len(), bytes: records.iter().map(|&r| u64::from(self.list.bytes_of(r))).sum() }
    }

    /// Problem `index` with what all its records say that are found by now, read and parsed now and not kept; several threads may read at a time.
    ///
    /// # Errors
    /// None of its records can be read. Those that cannot are named by [`errors`](Self::errors), each once.
    pub fn read(&self, index: usize) -> Result<Trace, FormatError> {
        let records: Vec<usize> = self.groups().of(index).collect();
        let mut trace = match records[..] {
            [one] => self.list.read(one)?,
            _ => self.read_all(&records)?,
        };
        self.complete(&mut trace);
        Ok(trace)
    }

    /// The same, kept for a while for who asks again.
    pub fn get(&self, index: usize) -> Result<Arc<Trace>, FormatError> {
        let size = self.size(index);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = cache.iter().position(|(i, s, _)| (*i, *s) == (index, size)) {
            let entry = cache.remove(at);
            let trace = Arc::clone(&entry.2);
            cache.push(entry);
            return Ok(trace);
        }
        drop(cache);
        if size.records == 1 {
            let first = self.groups().of(index).next().unwrap_or(index);
            let trace = self.list.get(first)?;
            if trace.candidates.iter().all(|c| !c.steps.is_empty())
                && units_agree(&trace.candidates)
                && (trace.candidates.is_empty() || self.task.is_none() && is_graded(&trace))
            {
                return Ok(trace);
            }
        }
        let trace = Arc::new(self.read(index)?);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|(i, _, _)| *i != index);
        cache.push((index, size, Arc::clone(&trace)));
        if cache.len() > CACHED {
            cache.remove(0);
        }
        Ok(trace)
    }

    fn read_all(&self, records: &[usize]) -> Result<Trace, FormatError> {
        let (mut said, mut failed) = (Vec::with_capacity(records.len()), None);
        for &record in records {
            match self.list.read(record) {
                Ok(trace) => said.push((self.list.file_of(record), trace)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match (together(said, &self.names()), failed) {
            (Some(trace), _) => Ok(trace),
            (None, Some(error)) => Err(error),
            (None, None) => self.list.read(usize::MAX),
        }
    }

    /// Cuts what its file did not, and reads and grades the final answers.
    fn complete(&self, trace: &mut Trace) {
        for candidate in trace.candidates.iter_mut().filter(|c| c.steps.is_empty()) {
            candidate.steps = segment(&candidate.text, &self.segmentation);
        }
        settle_units(&mut trace.candidates);
        grade(self.task, trace);
    }

    /// What is wrong with the files as far as they are read, in order; the first 1,000 messages.
    pub fn errors(&self) -> Vec<FormatError> {
        self.list.errors()
    }

    /// Number of messages, those included that are no longer kept.
    pub fn error_count(&self) -> usize {
        self.list.error_count()
    }

    /// Number of records that are skipped as not readable.
    pub fn skipped(&self) -> usize {
        self.list.skipped()
    }

    /// The files as they were named, with their formats.
    pub fn files(&self) -> Vec<(String, Format)> {
        self.list.files()
    }
}

/// `gsm8k` of `data/gsm8k.json.gz`.
pub fn stem(file: &str) -> String {
    let name = Path::new(file).file_name().map_or_else(|| file.to_owned(), |n| n.to_string_lossy().into_owned());
    let stem = name.split('.').next().unwrap_or_default();
    if stem.is_empty() { name } else { stem.to_owned() }
}

/// What files are called in short: their stems or, where stems are one, the folder that tells them apart, with as much beside it as that needs. One file named
/// twice has one name.
fn names<S: AsRef<str>>(paths: &[S]) -> Vec<String> {
    let stems: Vec<String> = paths.iter().map(|p| stem(p.as_ref())).collect();
    let mut of_stem: HashMap<&str, Vec<usize>> = HashMap::new();
    stems.iter().enumerate().for_each(|(i, s)| of_stem.entry(s).or_default().push(i));
    let alike = |i: usize| of_stem[stems[i].as_str()].iter().copied().filter(|&j| paths[j].as_ref() != paths[i].as_ref()).collect();
    (0..paths.len())
        .map(|i| {
            let others: Vec<usize> = alike(i);
            if others.is_empty() {
                return stems[i].clone();
            }
            let parts = |at: usize| paths[at].as_ref().rsplit(['/', '\\']).filter(|p| !p.is_empty() && *p != ".");
            let mine: Vec<&str> = parts(i).collect();
            // The folder nearest to the file that no other file of this name is in, at the same depth.
            let own = (1..mine.len()).find(|&depth| others.iter().all(|&j| parts(j).nth(depth) != Some(mine[depth])));
            match own.map(|depth| mine[depth]) {
                Some(folder) if !of_stem.contains_key(folder) => folder.to_owned(),
                Some(folder) => format!("{folder}/{}", stems[i]),
                None if others.iter().all(|&j| parts(j).next() != mine.first().copied()) => mine[0].to_owned(),
                None => paths[i].as_ref().to_owned(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_by_their_stems() {
        assert_eq!(stem("data/gsm8k.json.gz"), "gsm8k");
        assert_eq!(stem(".hidden"), ".hidden");
        assert_eq!(stem("-"), "-");
        assert_eq!(names(&["x/a.jsonl", "y/b.jsonl"]), ["a", "b"]);
        assert_eq!(names(&["x/a.jsonl", "y/a.jsonl", "c"]), ["x", "y", "c"]);
        assert_eq!(names(&["r/step_1/e/out.jsonl", "r/step_2/e/out.jsonl", "out.jsonl"]), ["step_1", "step_2", "out.jsonl"]);
        assert_eq!(names(&["x/a.jsonl", "y/a.jsonl", "q/x.jsonl"]), ["x/a", "y", "x"], "a folder that is called as a file is");
        assert_eq!(names(&["x/a.jsonl", "x/a.csv", "x/a.jsonl"]), ["a.jsonl", "a.csv", "a.jsonl"], "one file named twice");
    }
}

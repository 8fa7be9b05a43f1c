//! What the list of traces and the thread that finds their records share.

use super::error::FormatError;
use super::input::About;
use super::key::ProblemKey;
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Messages that are kept; further ones are only counted.
const MESSAGES: usize = 1000;
/// Records of a page.
const PAGE: usize = 1 << 16;

/// What the list and the thread that reads the files share.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub changed: Condvar,
    pub stop: AtomicBool,
    pub read: AtomicU64,
    pub total: AtomicU64,
    /// How far reading is cannot be said: not all that is read are files as they lie on a disk.
    pub unmeasured: AtomicBool,
    /// Whether somebody takes the keys.
    pub keyed: bool,
}

#[derive(Default)]
pub(super) struct State {
    /// Pages, so that growing never moves what is there.
    records: Vec<Vec<Record>>,
    pub len: usize,
    /// The keys of records that nobody took yet, up to the last record.
    pub keys: VecDeque<ProblemKey>,
    /// The files that were opened, in order.
    pub files: Vec<Arc<About>>,
    /// Stretches of records of one file: the first record and the file. A file that grows has several.
    starts: Vec<(usize, usize)>,
    pub errors: Vec<FormatError>,
    pub error_count: usize,
    pub skipped: usize,
    pub failed: HashSet<usize>,
    /// All that is there was read.
    pub complete: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub offset: u64,
    pub len: u32,
    pub number: u32,
}

impl State {
    /// A record and its file, from 0.
    pub fn get(&self, index: usize) -> Option<(usize, Record)> {
        let record = self.records.get(index / PAGE)?.get(index % PAGE)?;
        Some((self.stretch(index).0, *record))
    }

    /// The file, from 0, that a record is in, and the first record after it of another file as far as that is known.
    pub fn stretch(&self, index: usize) -> (usize, usize) {
        let next = self.starts.partition_point(|s| s.0 <= index);
        let file = next.checked_sub(1).and_then(|at| self.starts.get(at)).map_or(0, |s| s.1);
        (file, self.starts.get(next).map_or(self.len, |s| s.0))
    }

    /// The records that come now are of this file.
    pub fn begin(&mut self, file: usize) {
        if self.starts.last().is_none_or(|last| last.1 != file) {
            self.starts.push((self.len, file));
        }
    }

    pub fn push(&mut self, record: Record) {
        if self.len.is_multiple_of(PAGE) {
            self.records.push(Vec::new());
        }
        if let Some(page) = self.records.last_mut() {
            page.push(record);
            self.len += 1;
        }
    }

    pub fn last_mut(&mut self) -> Option<&mut Record> {
        self.records.last_mut()?.last_mut()
    }

    pub fn report(&mut self, error: FormatError) {
        self.error_count += 1;
        self.skipped += usize::from(matches!(error, FormatError::Record { .. }));
        if self.errors.len() < MESSAGES {
            tracing::warn!("{error}");
            self.errors.push(error);
        }
    }
}

impl Shared {
    /// Nothing found yet; `keyed`: somebody takes the keys.
    pub fn new(keyed: bool) -> Self {
        Self { keyed, ..Self::default() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

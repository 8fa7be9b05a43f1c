//! The problems of a collection one after another.

use super::pick::Shard;
use super::{Collection, Listener};
use crate::format::FormatError;
use crate::trace::Trace;

/// Messages about bad records that are told one by one.
const TOLD: usize = 20;

/// What comes next.
pub enum Next {
    /// A problem, and its number in the collection.
    Problem(usize, Box<Trace>),
    /// Nothing yet.
    Wait,
    /// Nothing any more.
    End,
}

/// Walks over the problems of a collection, tells what is wrong with its files, and never blocks.
pub struct Walk {
    collection: Collection,
    /// Where not all: the numbers.
    chosen: Option<Vec<usize>>,
    shard: Option<Shard>,
    at: usize,
    told: usize,
}

/// What was bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bad {
    /// Records that were skipped.
    pub skipped: usize,
    /// A file could not be read to its end.
    pub broken: bool,
}

impl Walk {
    /// Over the problems that are `chosen` by [`draw`](super::draw), or all, and of these over a part.
    pub fn new(collection: Collection, chosen: Option<Vec<usize>>, shard: Option<Shard>) -> Self {
        Self { collection, chosen, shard, at: 0, told: 0 }
    }

    /// The problems that are walked over, as far as they are known; `None` where that cannot be said yet.
    fn range(&self) -> Option<std::ops::Range<usize>> {
        match (&self.chosen, self.shard) {
            (Some(chosen), shard) => Some(shard.map_or(0..chosen.len(), |s| s.range(chosen.len()))),
            (None, None) => Some(0..self.collection.settled()),
            (None, Some(shard)) => self.collection.is_complete().then(|| shard.range(self.collection.len())),
        }
    }

    /// The next problem that can be read.
    pub fn next(&mut self, listener: &mut dyn Listener) -> Next {
        loop {
            self.tell(listener);
            let Some(range) = self.range() else { return Next::Wait };
            self.at = self.at.max(range.start);
            if self.at < range.end {
                self.at += 1;
                let at = self.chosen.as_ref().map_or(self.at - 1, |c| c[self.at - 1]);
                // What cannot be read is in the collection's account.
                if let Ok(trace) = self.collection.read(at) {
                    return Next::Problem(at, Box::new(trace));
                }
            } else if self.collection.is_complete() {
                self.tell(listener);
                return if self.range().is_some_and(|r| self.at < r.end) { continue } else { Next::End };
            } else {
                return Next::Wait;
            }
        }
    }

    /// Begins anew; what is wrong with the files is told once.
    pub fn again(&mut self) {
        self.at = 0;
    }

    /// Number of problems, once it is known.
    pub fn total(&self) -> Option<u64> {
        self.collection.is_complete().then(|| self.range().map_or(0, |r| r.len() as u64))
    }

    /// Closes the account.
    pub fn close(mut self, listener: &mut dyn Listener) -> Bad {
        self.tell(listener);
        let more = self.collection.error_count().saturating_sub(TOLD);
        if more > 0 {
            listener.warn(&format!("{more} more messages about bad records are not shown"));
        }
        let broken = self.collection.errors().iter().any(|e| matches!(e, FormatError::BreaksOff { .. } | FormatError::Io { .. }));
        Bad { skipped: self.collection.skipped(), broken }
    }

    fn tell(&mut self, listener: &mut dyn Listener) {
        if self.collection.error_count() > self.told {
            for error in self.collection.errors().iter().take(TOLD).skip(self.told) {
                listener.warn(&error.to_string());
            }
            self.told = self.collection.error_count();
        }
    }
}

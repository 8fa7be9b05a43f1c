//! The problems of files for the inspector.

use super::source::TraceSource;
use crate::collection::{Collection, Size};
use crate::trace::Trace;
use std::collections::HashMap;
use std::sync::Arc;

/// A collection as the inspector reads it.
pub struct Recorded {
    collection: Collection,
    /// Messages that were told.
    told: usize,
    /// What was read before all files were, with how much was known of it then.
    early: HashMap<usize, Size>,
    /// How much was known when it was last looked at for growth.
    looked: (usize, u64),
}

impl Recorded {
    /// Reads from `collection`.
    pub fn new(collection: Collection) -> Self {
        Self { collection, told: 0, early: HashMap::new(), looked: (0, 0) }
    }

    /// Whether what is known of a problem may change.
    fn may_grow(&self) -> bool {
        self.collection.follows() || !self.collection.is_complete()
    }
}

impl TraceSource for Recorded {
    fn known(&mut self) -> (usize, bool) {
        let complete = self.collection.is_complete();
        (self.collection.len(), complete)
    }

    fn follows(&self) -> bool {
        self.collection.follows()
    }

    fn read(&mut self, index: usize) -> Result<Arc<Trace>, String> {
        if self.may_grow() {
            let size = self.collection.size(index);
            self.early.insert(index, size);
        }
        self.collection.get(index).map_err(|e| e.to_string())
    }

    fn grown(&mut self) -> Vec<usize> {
        let known = self.collection.known();
        if self.early.is_empty() || !self.collection.is_complete() || self.collection.follows() && known == self.looked {
            return Vec::new();
        }
        self.looked = known;
        let mut grown: Vec<usize> = self.early.iter().filter(|(i, size)| self.collection.size(**i) != **size).map(|(i, _)| *i).collect();
        if self.collection.follows() {
            grown.iter().for_each(|i| {
                self.early.remove(i);
            });
        } else {
            self.early.clear();
        }
        grown.sort_unstable();
        grown
    }

    fn notes(&mut self) -> Vec<String> {
        if self.collection.error_count() == self.told {
            return Vec::new();
        }
        let notes = self.collection.errors().iter().skip(self.told).map(ToString::to_string).collect();
        self.told = self.collection.error_count();
        notes
    }
}

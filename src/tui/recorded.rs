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
}

impl Recorded {
    /// Reads from `collection`.
    pub fn new(collection: Collection) -> Self {
        Self { collection, told: 0, early: HashMap::new() }
    }
}

impl TraceSource for Recorded {
    fn known(&mut self) -> (usize, bool) {
        let complete = self.collection.is_complete();
        (self.collection.len(), complete)
    }

    fn read(&mut self, index: usize) -> Result<Arc<Trace>, String> {
        if !self.collection.is_complete() {
            let size = self.collection.size(index);
            self.early.insert(index, size);
        }
        self.collection.get(index).map_err(|e| e.to_string())
    }

    fn grown(&mut self) -> Vec<usize> {
        if self.early.is_empty() || !self.collection.is_complete() {
            return Vec::new();
        }
        let mut grown: Vec<usize> =
            std::mem::take(&mut self.early).into_iter().filter(|(i, size)| self.collection.size(*i) != *size).map(|(i, _)| i).collect();
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

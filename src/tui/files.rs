//! Trace files as the list reads them.

use super::source::TraceSource;
use crate::format::TraceList;
use crate::trace::Trace;
use std::sync::Arc;

/// A [`TraceList`], and what was already told of its errors.
pub struct Files {
    list: TraceList,
    told: usize,
}

impl Files {
    /// Reads from `list`; it may still be indexing.
    pub fn new(list: TraceList) -> Self {
        Self { list, told: 0 }
    }
}

impl TraceSource for Files {
    fn known(&mut self) -> (usize, bool) {
        // Completeness first: what is found between the two questions is then asked for again.
        let complete = self.list.is_complete();
        (self.list.len(), complete)
    }

    fn read(&mut self, index: usize) -> Result<Arc<Trace>, String> {
        self.list.get(index).map_err(|e| e.to_string())
    }

    fn notes(&mut self) -> Vec<String> {
        let count = self.list.error_count();
        if count == self.told {
            return Vec::new();
        }
        let kept = self.list.errors();
        let mut new: Vec<String> = kept.iter().skip(self.told).map(ToString::to_string).collect();
        let beyond = count - self.told.max(kept.len()).min(count);
        if beyond > 0 {
            new.push(format!("and {beyond} more like these"));
        }
        self.told = count;
        new
    }
}

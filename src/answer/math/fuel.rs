//! How much work a comparison may be.

use std::cell::Cell;

/// Steps that one comparison may take: about ten milliseconds of them.
pub(super) const STEPS: u32 = 200_000;

/// Counts steps down; what runs out of them is not known.
#[derive(Debug)]
pub(super) struct Fuel(Cell<u32>);

impl Fuel {
    pub fn new() -> Self {
        Self(Cell::new(STEPS))
    }

    /// Takes some steps; `None` where there are no more.
    pub fn take(&self, steps: u32) -> Option<()> {
        let left = self.0.get().checked_sub(steps);
        self.0.set(left.unwrap_or(0));
        left.map(|_| ())
    }

    /// How many were taken.
    #[cfg(test)]
    pub fn taken(&self) -> u32 {
        STEPS - self.0.get()
    }
}

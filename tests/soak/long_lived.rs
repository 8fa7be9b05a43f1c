//! One inspector that lives through the whole of it: its memory stays flat.

use crate::files;
use crate::program::memory;
use crate::random::Random;
use crate::screen::Terminal;
use std::path::Path;
use std::time::Duration;

/// MB by which it may grow once it has seen its file.
pub const GROWS: u64 = 48;
/// Visits before its memory is taken for what it holds at rest.
const SETTLED: usize = 40;
/// Things that are done to it in a visit.
const DONE: usize = 60;

/// The inspector, and what it held after each visit, MB.
pub struct LongLived {
    terminal: Terminal,
    random: Random,
    held: Vec<u64>,
}

impl LongLived {
    pub fn start(folder: &Path, seed: u64) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let path = files::traces(&mut random, folder, "long").display().to_string();
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/best_of_n.jsonl");
        Ok(Self {
            terminal: Terminal::start(folder, &["inspect", sample, &path, "--reward", "embedded"], 30, 100)?,
            random,
            held: Vec::new(),
        })
    }

    /// Uses it for a while.
    pub fn visit(&mut self) -> Result<(), String> {
        for _ in 0..DONE {
            self.terminal.disturb(&mut self.random);
        }
        std::thread::sleep(Duration::from_millis(100));
        self.terminal.check_sent()?;
        if !self.terminal.is_there() {
            return Err(format!("the long-lived inspector ended; on screen:\n{}", self.terminal.text()));
        }
        self.held.extend(memory(self.terminal.id(), "VmRSS"));
        match self.held.get(SETTLED) {
            Some(settled) if self.now() > settled + GROWS => {
                Err(format!("the long-lived inspector grows: MB after each visit: {:?}", self.held))
            }
            _ => Ok(()),
        }
    }

    /// What it holds now, MB.
    pub fn now(&self) -> u64 {
        self.held.last().copied().unwrap_or(0)
    }

    /// Ends it.
    pub fn end(mut self) -> Result<String, String> {
        self.terminal.keys("\x03");
        let code = self.terminal.end()?;
        self.terminal.check_clean()?;
        let at_rest = self.held.get(SETTLED).copied().unwrap_or_else(|| self.now());
        match code {
            Some(0) => Ok(format!("{} visits, {at_rest} MB after {SETTLED} of them, {} MB at the end", self.held.len(), self.now())),
            code => Err(format!("the long-lived inspector ended with {code:?}")),
        }
    }
}

//! Rollouts from servers: before every step the policy's adapter is written in PEFT's layout and loaded there.

use super::package::Frozen;
use super::part::Part;
use super::{TrainError, World};
use crate::generate::{Completion, Fleet, FleetConfig, Prompt};
use crate::model::VarStore;
use crate::trace::Sampling;
use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Servers that answer for a policy whose adapter is trained here.
pub struct Served<'a> {
    fleet: RefCell<Fleet>,
    part: &'a Part,
    adapter: &'a VarStore,
    /// Folder of a run: `adapters/STEP`, and what happened to servers in `fleet.log`.
    run: PathBuf,
}

impl<'a> Served<'a> {
    /// Connects. `adapter` holds the variables of `part`, which moves an adapter.
    pub fn open(config: &FleetConfig, part: &'a Part, adapter: &'a VarStore, run: &Path) -> Result<Self, TrainError> {
        if World::here().size() > 1 {
            return Err(TrainError::Data("rl.fleet samples for a single process; run without mpirun".into()));
        }
        Ok(Self { fleet: RefCell::new(Fleet::new(config)?), part, adapter, run: run.to_owned() })
    }

    /// Samples `n` candidates a prompt from the policy as it is before update `step`; entropies stay empty.
    pub fn sample(&self, step: usize, prompts: &[Prompt], n: usize, sampling: &Sampling) -> Result<Vec<Vec<Completion>>, TrainError> {
        let folder = |step: usize| self.run.join("adapters").join(step.to_string());
        self.part.write_adapter(&folder(step), &Frozen::copy(self.adapter.vars())?, &[])?;
        let mut fleet = self.fleet.borrow_mut();
        fleet.publish(step, &folder(step))?;
        // Servers that were late may still read the one before.
        if let Some(old) = step.checked_sub(2).map(folder).filter(|old| old.exists()) {
            fs::remove_dir_all(&old).map_err(|source| TrainError::Io { path: old, source })?;
        }
        let samples = fleet.sample(prompts, n, sampling, &mut |_| ControlFlow::Continue(()));
        self.log(step, &fleet.take_notes())?;
        Ok(samples?)
    }

    fn log(&self, step: usize, notes: &[String]) -> Result<(), TrainError> {
        if notes.is_empty() {
            return Ok(());
        }
        let path = self.run.join("fleet.log");
        let text: String = notes.iter().map(|n| format!("step {step}: {n}\n")).collect();
        let written = fs::File::options().create(true).append(true).open(&path).and_then(|mut f| f.write_all(text.as_bytes()));
        written.map_err(|source| TrainError::Io { path, source })
    }
}

//! Rollouts from servers: before every step the policy's adapter is written in PEFT's layout and loaded there.

use crate::generate::{Completion, Fleet, FleetConfig, Prompt};
use crate::model::VarStore;
use crate::run::RunFolder;
use crate::trace::Sampling;
use crate::train::TrainError;
use crate::train::models::backbone::Backbone;
use crate::train::models::package::Frozen;
use crate::train::world::World;
use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;

/// Servers that answer for a policy whose adapter is trained here.
pub struct Served<'a> {
    fleet: RefCell<Fleet>,
    backbone: &'a Backbone,
    adapter: &'a VarStore,
    /// Where the adapters are written, and what happened to servers.
    folder: &'a RunFolder,
}

impl<'a> Served<'a> {
    /// Connects. `adapter` holds the variables of `backbone`, which moves an adapter.
    pub fn open(config: &FleetConfig, backbone: &'a Backbone, adapter: &'a VarStore, folder: &'a RunFolder) -> Result<Self, TrainError> {
        if World::here().size() > 1 {
            return Err(TrainError::Data("rl.fleet samples for a single process; run without mpirun".into()));
        }
        Ok(Self { fleet: RefCell::new(Fleet::new(config)?), backbone, adapter, folder })
    }

    /// Samples `n` candidates a prompt from the policy as it is before update `step`; entropies stay empty.
    pub fn sample(&self, step: usize, prompts: &[Prompt], n: usize, sampling: &Sampling) -> Result<Vec<Vec<Completion>>, TrainError> {
        let folder = |step: usize| self.folder.adapter(step);
        self.backbone.write_adapter(&folder(step), &Frozen::copy(self.adapter.vars())?, &[])?;
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
        let path = self.folder.fleet_log();
        let text: String = notes.iter().map(|n| format!("step {step}: {n}\n")).collect();
        let written = fs::File::options().create(true).append(true).open(&path).and_then(|mut f| f.write_all(text.as_bytes()));
        written.map_err(|source| TrainError::Io { path, source })
    }
}

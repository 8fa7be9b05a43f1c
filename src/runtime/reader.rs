//! A policy that reads text which is there already, on the caller's thread.

use super::ModelRef;
use crate::generate::{LocalPolicy, Policy};
use crate::model::{DeviceChoice, ModelError};
use crate::trace::Trace;

/// A policy that says how likely recorded candidates are to it.
pub struct TextReader(LocalPolicy);

impl TextReader {
    /// Loads the model that is named; `None` for [`ModelRef::None`].
    pub fn open(model: &ModelRef, device: DeviceChoice) -> Result<Option<Self>, ModelError> {
        let Some(files) = model.policy_files()? else { return Ok(None) };
        Ok(Some(Self(LocalPolicy::open(&files, &device.open()?, None)?)))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// A line for people: parameters, storage, device, context.
    pub fn about(&self) -> &str {
        self.0.about()
    }

    /// Fills the tokens of every candidate with log-probabilities and entropies, as [`LocalPolicy::read`] says.
    pub fn read(&self, trace: &mut Trace) -> Result<(), ModelError> {
        self.0.read(&trace.problem, &mut trace.candidates)
    }
}

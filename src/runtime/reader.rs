//! A policy that reads text which is there already, on the caller's thread.

use super::ModelRef;
use crate::generate::{LocalPolicy, MorePolicy, Policy};
use crate::model::{DeviceChoice, ModelError, more_family};
use crate::trace::Trace;

/// A policy that says how likely recorded candidates are to it.
pub struct TextReader {
    policy: Reads,
    about: String,
}

enum Reads {
    Own(Box<LocalPolicy>),
    More(Box<MorePolicy>),
}

impl TextReader {
    /// Loads the model that is named; `None` for [`ModelRef::None`].
    pub fn open(model: &ModelRef, device: DeviceChoice) -> Result<Option<Self>, ModelError> {
        let Some(files) = model.policy_files()? else { return Ok(None) };
        if more_family(&files).is_some() {
            let policy = MorePolicy::asked(&files, &model.options().chat, &device.open()?, None)?;
            return Ok(Some(Self { about: policy.about(), policy: Reads::More(Box::new(policy)) }));
        }
        let policy = LocalPolicy::asked(&files, &model.options().chat, &device.open()?, None)?;
        Ok(Some(Self { about: policy.about().to_owned(), policy: Reads::Own(Box::new(policy)) }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match &self.policy {
            Reads::Own(policy) => policy.name(),
            Reads::More(policy) => policy.name(),
        }
    }

    /// A line for people: parameters, storage, device, context.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Fills the tokens of every candidate with log-probabilities and entropies, as [`LocalPolicy::read`] says.
    pub fn read(&self, trace: &mut Trace) -> Result<(), ModelError> {
        match &self.policy {
            Reads::Own(policy) => policy.read(&trace.problem, &mut trace.candidates),
            Reads::More(policy) => policy.read(&trace.problem, &mut trace.candidates),
        }
    }
}

//! Threads that own the models, and the messages to and from them.
//!
//! Faces (terminal, headless) send [`Request`]s and receive [`Update`]s; they never touch a model.

mod board;
mod engine;
mod job;
mod load;
mod outbox;
mod panics;
mod policy;
mod reader;
mod scorer;
mod shared;

pub use crate::generate::{PATIENCE, PolicyOptions};
pub use crate::model::{ChatOptions, DeviceChoice, ModelError, Moment, Recommended};
pub use crate::reward::Exported;
pub use crate::reward::protocol::Explained;
pub use engine::Engine;
pub use load::{Load, Loaded, Loader, ModelRef, Models};
pub use panics::{PANICKED, is_model_thread};
pub use reader::TextReader;
pub use shared::SendError;

use crate::trace::{AtWork, Calibration, Candidate, Level, Sampling, Segmentation, TraceEvent, Unit};

/// Identity of a request; chosen by the sender, echoed in every update about it.
pub type RequestId = u64;

/// What a face asks of the models.
#[derive(Clone, Debug)]
pub enum Request {
    /// Sample `n` candidates; they are scored while they grow.
    Generate {
        /// Echoed in the updates.
        id: RequestId,
        /// The problem, without chat template.
        problem: String,
        /// How many candidates.
        n: usize,
        /// How to sample.
        sampling: Sampling,
        /// How the texts are cut into steps, for a reward model that judges steps; the face cuts them alike.
        segmentation: Segmentation,
    },
    /// Score recorded candidates of a problem. Urgent requests (what is on screen) go before the others.
    Score {
        /// Echoed in the updates.
        id: RequestId,
        /// The problem, without chat template.
        problem: String,
        /// The candidates; their text, tokens and steps are read.
        candidates: Vec<Candidate>,
        /// On screen now.
        urgent: bool,
    },
    /// Let the policy read recorded candidates of a problem: their tokens with log-probabilities and entropies. Urgent requests go before the others.
    Read {
        /// Echoed in the updates.
        id: RequestId,
        /// The problem, without chat template.
        problem: String,
        /// The candidates; their text is read.
        candidates: Vec<Candidate>,
        /// On screen now.
        urgent: bool,
    },
    /// Stop a request; its candidates finish as `Cancelled`.
    Cancel {
        /// Which one.
        id: RequestId,
    },
}

/// What the models' threads say.
#[derive(Clone, Debug)]
pub enum Update {
    /// Loading goes on, ended, or failed.
    Models(ModelsStatus),
    /// Something happened to a candidate of a request. Rewards may follow the candidate's `Finished`: the reward model lags behind the policy.
    Event {
        /// The request.
        id: RequestId,
        /// What happened.
        event: TraceEvent,
    },
    /// A request is through: generated and scored to the end.
    Done {
        /// The request.
        id: RequestId,
        /// Tokens generated a second over all its candidates; `None` for scoring.
        tokens_per_second: Option<f32>,
    },
    /// One of several reward models said nothing of a request of which another one did; told before its `Done`.
    Lost {
        /// The request.
        id: RequestId,
        /// The model, and the cause.
        error: String,
    },
    /// Something went wrong that does not end the request, such as a candidate that could not be scored while its text goes on.
    Warning {
        /// The request.
        id: RequestId,
        /// For people.
        message: String,
    },
    /// A request failed; the message names the cause and the remedy. Every request ends with exactly one `Done` or `Failed`.
    Failed {
        /// The request.
        id: RequestId,
        /// For people.
        error: String,
    },
}

/// What is known of the models.
#[derive(Clone, Debug, Default)]
pub struct ModelsStatus {
    /// The policy, absent when only recorded traces are read.
    pub policy: Slot,
    /// Whether the policy, once it is loaded, can read text that is there.
    pub policy_reads: bool,
    /// The reward models, in the order in which they were named.
    pub rewards: Vec<RewardSlot>,
    /// The first reward model's thresholds, and beside them those of the others, of each once it is loaded.
    pub calibration: Calibration,
    /// What the first reward model's numbers are, and what it has one for, once it is loaded.
    pub says: Option<(Unit, Level)>,
}

/// A reward model and the signal that it gives.
#[derive(Clone, Debug, PartialEq)]
pub struct RewardSlot {
    /// The signal's name.
    pub signal: String,
    /// Its state.
    pub slot: Slot,
}

impl ModelsStatus {
    /// The reward models that are ready, or will be when they are loaded.
    pub fn at_work(&self) -> Vec<AtWork> {
        let work = |r: &RewardSlot| match &r.slot {
            Slot::Ready { name, .. } | Slot::Loading { name, .. } => Some(AtWork { signal: r.signal.clone(), model: name.clone() }),
            Slot::Absent | Slot::Failed { .. } => None,
        };
        self.rewards.iter().filter_map(work).collect()
    }

    /// Every model with what it is called for people: `policy`, `reward model`, and the signal too where there are several of them.
    pub fn slots(&self) -> impl Iterator<Item = (String, &Slot)> {
        let several = self.rewards.len() > 1;
        let reward = move |r: &RewardSlot| if several { format!("reward model ({})", r.signal) } else { "reward model".to_owned() };
        std::iter::once(("policy".to_owned(), &self.policy)).chain(self.rewards.iter().map(move |r| (reward(r), &r.slot)))
    }
}

/// State of one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Slot {
    /// None was asked for.
    #[default]
    Absent,
    /// Loading.
    Loading {
        /// Its name.
        name: String,
        /// 0 to 1.
        progress: f32,
    },
    /// Usable.
    Ready {
        /// Its name.
        name: String,
        /// A line for people: parameters, quantisation, device.
        about: String,
    },
    /// Not usable; the message names file, field and remedy.
    Failed {
        /// Its name.
        name: String,
        /// For people.
        error: String,
    },
}

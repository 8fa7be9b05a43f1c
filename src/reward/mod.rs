//! Reward models: what scores a candidate token by token, step by step, or as a whole.

mod calibrate;
mod card;
mod export;
mod gate;
mod implicit;
mod local;
mod net;
pub mod protocol;
mod score;
mod served;

pub use calibrate::{Group, StandIns, calibrate, calibrated_readings, conformal_threshold, stand_ins, worst};
pub use card::RewardCard;
pub use export::{Exported, export};
pub use gate::{FALSE_ALARMS, FEWEST, Gate, IdSet, Looked, Ordinary, SLACK, domains};
pub use implicit::{ImplicitOptions, ImplicitReward, explain_implicit};
pub use local::LocalReward;
pub(crate) use net::Under;
pub use net::{Head, Outputs, REFERENCE, RewardNet, Sequence, States};
pub use score::{TokenScores, score};
pub use served::{ServedAt, ServedReward};

use crate::trace::{Calibration, Domain, Level, Span, Token, TokenValue, Unit, Values};
use std::ops::Range;

/// What can go wrong while scoring.
#[derive(Debug, thiserror::Error)]
pub enum RewardError {
    /// The model failed.
    #[error(transparent)]
    Model(#[from] crate::model::ModelError),
    /// The problem does not fit.
    #[error("{0}")]
    Input(String),
}

impl RewardError {
    /// A candidate that [`RewardModel::begin`] did not announce.
    fn unannounced(candidate: usize) -> Self {
        Self::Input(format!("candidate {candidate} was not announced"))
    }
}

/// A causal reward model that reads candidates of one problem as they grow.
///
/// The problem is read once and shared by the candidates; each candidate continues from its own key–value cache, so a token is never read twice.
pub trait RewardModel: Send {
    /// Name for people and for the signal it gives.
    fn name(&self) -> &str;
    /// Calibrated thresholds of the deviation rules.
    fn calibration(&self) -> &Calibration;
    /// Whether policy token ids may be scored as they are (same tokenizer as `policy_fingerprint`'s); otherwise text is tokenised line by line.
    fn shares_tokenizer(&self, policy_fingerprint: &str) -> bool;
    /// Starts over: a new problem with `candidates` empty candidates.
    fn begin(&mut self, problem: &str, candidates: usize) -> Result<(), RewardError>;
    /// Reads what was appended and returns what there is to say of every candidate that moved on.
    ///
    /// Several candidates are read as one batch. Without usable ids the last unfinished line waits until it is whole.
    fn append(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Scored>, RewardError>;
    /// Whether it judges steps or the whole rather than tokens, and so must be told the steps of a text that grows.
    fn judges_steps(&self) -> bool {
        false
    }
    /// What its numbers are, and what it has one for.
    fn says(&self) -> (Unit, Level) {
        (Unit::Logit, Level::Token)
    }
    /// Whether it has learned on such text as it has read of a candidate; `None` where it cannot know.
    fn domain(&self, _candidate: usize) -> Option<Domain> {
        None
    }
}

/// Text appended to one candidate.
#[derive(Clone, Debug)]
pub struct Piece<'a> {
    /// Index of the candidate.
    pub candidate: usize,
    /// The whole text of the candidate so far.
    pub text: &'a str,
    /// Tokens appended since the last call, with ids of the shared tokenizer, or empty to let the model tokenise `text`.
    pub tokens: &'a [Token],
    /// Bytes of `text` appended since the last call.
    pub new: Range<usize>,
    /// Whether nothing follows; the end-of-sequence token is scored then, unless the text was cut short.
    pub finished: bool,
    /// Whether what was read is all there will be though its writer had not ended it.
    pub cut_short: bool,
    /// The steps of `text` that are closed, all of them where it is finished; only a model that [judges steps](RewardModel::judges_steps) needs them.
    pub steps: &'a [Span],
}

/// What is new of one candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Index of the candidate.
    pub candidate: usize,
    /// What the model says.
    pub said: Said,
}

/// What a reward model says of a candidate.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The rewards of more of its tokens.
    Tokens {
        /// Index in the candidate's rewards of the first of them.
        from: usize,
        /// The rewards.
        rewards: Vec<TokenValue>,
    },
    /// All that there is to say so far of its steps, or of the whole, or of tokens whose values are no logits.
    Judged {
        /// What the numbers are.
        unit: Unit,
        /// One a step, `None` where a step was not read, or one for the whole, or one a token.
        values: Values,
    },
}

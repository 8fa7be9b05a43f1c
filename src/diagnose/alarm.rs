//! What can go wrong with a training run, how long an alarm waits for it, and what to do.

use std::fmt;
use std::str::FromStr;

/// Updates over which most alarms look back; a stage of fewer than ten times as many looks back over a tenth of it, but over at least `FEWEST`.
pub(super) const PATIENCE: usize = 10;
/// The fewest updates that an alarm with patience looks back over.
pub(super) const FEWEST: usize = 3;

/// Updates over which pass@1 must have declined.
pub(super) const DECLINE: usize = 24;

/// What can go wrong with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmKind {
    /// Entropy, pass@1 or length of the policy has fallen to a fraction of what it was.
    CollapsedPolicy,
    /// pass@1 lies below what it was at the start by more than chance makes of the problems that happen to be drawn. Stages of fewer than a hundred
    /// updates are too short to say.
    DecliningPolicy,
    /// Nearly every group has the same reward for all its completions, so that no advantage is left.
    FlatRewards,
    /// The discriminator is right about nearly every token of either side: its reward says nothing more.
    SaturatedDiscriminator,
    /// Nearly every completion is cut by the token limit.
    AllTruncated,
    /// An update had no label to learn from.
    AllMasked,
    /// A trained variable gets no gradient.
    NoGradient,
    /// A metric is not a finite number.
    Nan,
    /// Completions are much longer or shorter than at the start.
    LengthDrift,
    /// The discriminator tells experts from samples even where the content is shuffled.
    FormatLeak,
}

impl AlarmKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::CollapsedPolicy,
        Self::DecliningPolicy,
        Self::FlatRewards,
        Self::SaturatedDiscriminator,
        Self::AllTruncated,
        Self::AllMasked,
        Self::NoGradient,
        Self::Nan,
        Self::LengthDrift,
        Self::FormatLeak,
    ];

    /// Its name in metrics and on the command line, for example `flat_rewards`.
    pub fn name(self) -> &'static str {
        match self {
            Self::CollapsedPolicy => "collapsed_policy",
            Self::DecliningPolicy => "declining_policy",
            Self::FlatRewards => "flat_rewards",
            Self::SaturatedDiscriminator => "saturated_discriminator",
            Self::AllTruncated => "all_truncated",
            Self::AllMasked => "all_masked",
            Self::NoGradient => "no_gradient",
            Self::Nan => "nan",
            Self::LengthDrift => "length_drift",
            Self::FormatLeak => "format_leak",
        }
    }

    /// The metrics that it reads; an update without any of them leaves it as it is.
    pub fn reads(self) -> &'static [&'static str] {
        match self {
            Self::CollapsedPolicy => &["entropy", "pass@1", "completions/mean_length"],
            Self::DecliningPolicy => &["pass@1"],
            Self::FlatRewards => &["frac_reward_zero_std"],
            Self::SaturatedDiscriminator => &["disc_acc_expert", "disc_acc_gen"],
            Self::AllTruncated => &["completions/clipped_ratio"],
            Self::AllMasked => &["labels"],
            Self::NoGradient => &["vars_without_grad"],
            Self::Nan => &[],
            Self::LengthDrift => &["completions/mean_length"],
            Self::FormatLeak => &["disc_acc_shuffled"],
        }
    }

    /// Updates it looks back over in a stage of `steps` updates.
    pub(super) fn patience(self, steps: usize) -> usize {
        match self {
            Self::AllMasked | Self::Nan => 1,
            Self::NoGradient | Self::FormatLeak => FEWEST,
            Self::DecliningPolicy => DECLINE,
            _ => patience(steps),
        }
    }

    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::CollapsedPolicy | Self::DecliningPolicy => {
                "raise the KL to the reference, lower the learning rate, or look at what the reward pays for"
            }
            Self::FlatRewards => {
                "sample more completions a prompt or at a higher temperature, take problems of another difficulty, or a denser reward"
            }
            Self::SaturatedDiscriminator => {
                "update it less often or more slowly, smooth its labels, replay older samples, or check that experts and samples are framed alike"
            }
            Self::AllTruncated => "raise max_tokens, or check that the demonstrations end with the end token",
            Self::AllMasked => "check the template and the masks: no token of the batch is to be learned",
            Self::NoGradient => "check which parameters are trained: a detached tensor or an unused module hides them from the loss",
            Self::Nan => "lower the learning rate, clip the gradient, or look for empty batches",
            Self::LengthDrift => "check whether the reward pays for length; take another loss reduction, or raise the KL to the reference",
            Self::FormatLeak => {
                "frame experts and samples alike, tokenise them alike, and look at what the discriminator sees beside the content"
            }
        }
    }
}

/// Updates that most alarms look back over in a stage of `steps` updates.
pub(super) fn patience(steps: usize) -> usize {
    PATIENCE.min(steps / 10).max(FEWEST)
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AlarmKind {
    type Err = String;

    /// The error lists the names.
    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|k| k.name() == text).ok_or_else(|| format!("no alarm is named {text:?}; there are {}", names()))
    }
}

/// Something that has gone wrong with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// In which stage.
    pub stage: String,
    /// The update at which it was noticed, 1-based.
    pub step: usize,
    /// The first update that it is concluded from.
    pub since: usize,
    /// What was seen, since when, and what to do about it, for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for kind in AlarmKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!("flat".parse::<AlarmKind>().unwrap_err().contains("flat_rewards"));
    }
}

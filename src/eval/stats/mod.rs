//! Statistics: how problems are resampled, intervals, tests, effects, correlations.

pub mod correlate;
pub mod effect;
pub mod resample;
mod significance;
pub mod special;

use serde::Serialize;

pub use significance::{auroc, bootstrap_mean, discordant, holm, mcnemar, paired_bootstrap, paired_grouped};

/// Fewest resamples that a bootstrap accepts. So few are for hundreds of thousands of values, whose intervals are narrow.
pub const MIN_RESAMPLES: usize = 250;

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Number of resamples, at least [`MIN_RESAMPLES`].
    pub resamples: usize,
    /// Same seed, same interval.
    pub seed: u64,
    /// Coverage, for example 0.95.
    pub level: f64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 10_000, seed: 0, level: 0.95 }
    }
}

/// An estimate with its percentile bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The statistic of the data itself.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Two methods on the same problems.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Mean of first minus second.
    pub difference: Interval,
    /// Two-sided p-value of no difference: twice the smaller tail of the resampled differences at 0, counting the data itself.
    pub p: f64,
}

//! How far the rewards agree: every two of those that judge the candidates.

use super::Options;
use crate::eval::columns::{columns, has_steps, main_of, names};
use crate::eval::metrics::agreement::{self, Judge};
use crate::eval::metrics::localise::Marker;
use crate::eval::metrics::score::Score;
use crate::eval::parts::section::Section;
use crate::eval::scored::Column;
use crate::eval::{EvalError, ScoredTrace};
use crate::trace::{Orientation, Unit};

/// Candidates on which two disagree that a report of everything lists.
const LISTED: usize = 20;

/// Where good and bad part by a signal's unit alone.
fn middle(column: &Column) -> Option<f32> {
    match column.unit {
        Unit::Logit => Some(0.0),
        Unit::Probability => Some(0.5),
        Unit::Count if column.orientation == Orientation::High => Some(0.0),
        Unit::Count | Unit::Nats | Unit::Unknown => None,
    }
}

/// A column as it is held against others, with the threshold of its model, else the one that the file has, else the middle of its unit.
fn judge(column: &Column, options: &Options) -> Judge {
    let reading = &column.reading;
    let known = options.calibration.threshold(reading).or_else(|| options.bounds.get(reading).copied());
    let threshold = known.or_else(|| middle(column)).filter(|_| has_steps(column));
    Judge {
        reading: reading.clone(),
        score: Score::by(column, options.aggregation),
        marker: threshold.map(|t| Marker::Below(reading.clone(), column.turn(t))),
    }
}

/// How far every two signals agree: those that are `wanted`, each by the reading that stands for it. `listed`: so many candidates on whose first deviation two
/// disagree are listed. Empty where there are fewer than two.
///
/// # Errors
/// As [`super::evaluate`].
pub fn agreement(traces: &[ScoredTrace], options: &Options, wanted: impl Fn(&Column) -> bool, listed: usize) -> Result<Section, EvalError> {
    let columns = columns(traces);
    let standing = names(&columns).into_iter().filter_map(|name| main_of(&columns, name, &options.calibration));
    let judges: Vec<Judge> = standing.filter(|c| wanted(c)).map(|c| judge(c, options)).collect();
    if judges.len() < 2 { Ok(Section::default()) } else { agreement::section(&judges, traces, listed, options.bootstrap) }
}

/// The same of the rewards that judge steps, as a report of everything has it.
///
/// # Errors
/// As [`super::evaluate`].
pub fn of_rewards(traces: &[ScoredTrace], options: &Options) -> Result<Section, EvalError> {
    agreement(traces, options, |c| c.is_reward() && has_steps(c), LISTED)
}

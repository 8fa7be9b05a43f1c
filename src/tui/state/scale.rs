//! How values are coloured.

use super::signals::Bound;
use crate::trace::{Calibration, Orientation, Reading, Signal, SignalSource, Statistic, Unit};

/// How values are coloured: the pivot is neutral, `range` away from it is the end of the scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    /// In the signal's own unit.
    pub pivot: f32,
    pub range: f32,
    pub orientation: Orientation,
    /// What the pivot is.
    pub name: &'static str,
    /// What it is of is withheld: no value has a place.
    pub withheld: bool,
}

impl Default for Scale {
    fn default() -> Self {
        Self { pivot: 0.0, range: 1.0, orientation: Orientation::High, name: "pivot", withheld: false }
    }
}

impl Scale {
    /// A scale about a bound, or else about the median, on which nine of ten values lie.
    pub fn of(bound: Option<&Bound>, orientation: Orientation, mut values: Vec<f32>) -> Self {
        values.retain(|v| v.is_finite());
        values.sort_by(f32::total_cmp);
        let median = values.get(values.len() / 2).copied().unwrap_or(0.0);
        let (pivot, name) = match bound {
            Some(Bound { value, stated: Some(_), .. } | Bound { value, fitted: Some(_), .. }) => (*value, "threshold"),
            Some(Bound { value, .. }) => (*value, "pivot"),
            None => (median, "median"),
        };
        let mut far = values;
        far.iter_mut().for_each(|v| *v = (*v - pivot).abs());
        far.sort_by(f32::total_cmp);
        let high = far.get(far.len() * 9 / 10).copied().unwrap_or(1.0);
        let steps = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 100.0];
        let least = if high > 0.0 && bound.is_none() { 0.05 } else { 0.5 };
        let range = steps.into_iter().find(|s| *s >= high && *s >= least).unwrap_or(high);
        Self { pivot, range, orientation, name, withheld: false }
    }

    /// Place of a value on the scale, −1 (bad) to 1 (good); NaN stays NaN, and what is withheld has none.
    pub fn place(self, value: f32) -> f32 {
        if self.withheld {
            return f32::NAN;
        }
        (self.orientation.turn(value - self.pivot) / self.range).clamp(-1.0, 1.0)
    }
}

/// The scale of single tokens of a signal. `values`: those of a candidate.
pub(super) fn token_scale(signal: &Signal, calibration: &Calibration, values: impl Fn() -> Vec<f32>) -> Scale {
    // The least or the greatest token of a step is held against a threshold for tokens.
    let extreme = if signal.orientation == Orientation::Low { Statistic::Max } else { Statistic::Min };
    let stated = signal.threshold_of(&Reading::new(signal.name.as_str(), extreme), calibration);
    let bound = stated.map(|t| Bound { value: t.value, stated: Some(t), fitted: None });
    match (bound, signal.unit, signal.orientation) {
        // From 6 nats to sure, from 3 nats of doubt to none.
        // The ratio of two chances: nought is neutral.
        (None, Unit::Nats, Orientation::High) if matches!(signal.source, SignalSource::Model(_)) => {
            Scale::of(Some(&Bound { value: 0.0, stated: None, fitted: None }), signal.orientation, values())
        }
        (None, Unit::Nats, Orientation::Low) => Scale { pivot: 1.5, range: 1.5, orientation: signal.orientation, ..Scale::default() },
        (None, Unit::Nats, _) => Scale { pivot: -3.0, range: 3.0, orientation: signal.orientation, ..Scale::default() },
        (None, Unit::Probability, _) => Scale { pivot: 0.5, range: 0.5, orientation: signal.orientation, ..Scale::default() },
        (None, Unit::Logit, _) => Scale::of(Some(&Bound { value: 0.0, stated: None, fitted: None }), signal.orientation, values()),
        (bound, _, _) => Scale::of(bound.as_ref(), signal.orientation, values()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_values_may_be_the_good_ones() {
        let scale = Scale::of(None, Orientation::Low, vec![1.0, 2.0, 3.0]);
        assert_eq!((scale.name, scale.pivot, scale.place(2.0)), ("median", 2.0, 0.0));
        assert!(scale.place(1.0) > 0.0 && scale.place(3.0) < 0.0 && scale.place(f32::NAN).is_nan());
    }
}

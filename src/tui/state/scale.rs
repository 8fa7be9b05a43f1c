//! How the inspector's values are coloured.

use super::signals::Bound;
use crate::trace::{Calibration, Orientation, Reading, Scale, Signal, SignalSource, Statistic, Unit};

/// A scale about a bound, or else about the median; see [`Scale::about`].
pub(super) fn scale_of(bound: Option<&Bound>, orientation: Orientation, values: Vec<f32>) -> Scale {
    let named = |b: &Bound| (b.value, if b.stated.is_some() || b.fitted.is_some() { "threshold" } else { "pivot" });
    Scale::about(bound.map(named), orientation, values)
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
            scale_of(Some(&Bound { value: 0.0, stated: None, fitted: None }), signal.orientation, values())
        }
        (None, Unit::Nats, Orientation::Low) => Scale { pivot: 1.5, range: 1.5, orientation: signal.orientation, ..Scale::default() },
        (None, Unit::Nats, _) => Scale { pivot: -3.0, range: 3.0, orientation: signal.orientation, ..Scale::default() },
        (None, Unit::Probability, _) => Scale { pivot: 0.5, range: 0.5, orientation: signal.orientation, ..Scale::default() },
        (None, Unit::Logit, _) => scale_of(Some(&Bound { value: 0.0, stated: None, fitted: None }), signal.orientation, values()),
        (bound, _, _) => scale_of(bound.as_ref(), signal.orientation, values()),
    }
}

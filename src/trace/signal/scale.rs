//! How the values of a signal are coloured.

use super::Orientation;

/// How values are coloured: the pivot is neutral, `range` away from it is the end of the scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// In the signal's own unit.
    pub pivot: f32,
    /// From the pivot to the end of the scale.
    pub range: f32,
    /// Which values are good.
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
    /// A scale about a pivot with its name, or else about the median, on which nine of ten values lie.
    pub fn about(pivot: Option<(f32, &'static str)>, orientation: Orientation, mut values: Vec<f32>) -> Self {
        values.retain(|v| v.is_finite());
        values.sort_by(f32::total_cmp);
        let median = values.get(values.len() / 2).copied().unwrap_or(0.0);
        let known = pivot.is_some();
        let (pivot, name) = pivot.unwrap_or((median, "median"));
        let mut far = values;
        far.iter_mut().for_each(|v| *v = (*v - pivot).abs());
        far.sort_by(f32::total_cmp);
        let high = far.get(far.len() * 9 / 10).copied().unwrap_or(1.0);
        let steps = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 100.0];
        let least = if high > 0.0 && !known { 0.05 } else { 0.5 };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_values_may_be_the_good_ones() {
        let scale = Scale::about(None, Orientation::Low, vec![1.0, 2.0, 3.0]);
        assert_eq!((scale.name, scale.pivot, scale.place(2.0)), ("median", 2.0, 0.0));
        assert!(scale.place(1.0) > 0.0 && scale.place(3.0) < 0.0 && scale.place(f32::NAN).is_nan());
    }
}

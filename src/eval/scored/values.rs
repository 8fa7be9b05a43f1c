//! What is said of one candidate under all of its columns.

use super::column::{Borrowed, Column, shared};
use crate::eval::readings::{readings_of, signals};
use crate::trace::{Candidate, Granularity, SignalSource, Span, Step, Values};
use std::sync::Arc;

/// What is said of one candidate: for each column a value a step and one of the whole, turned so that high is good, NaN where it is not known. Columns are
/// shared between candidates, and the values lie in one piece.
#[derive(Clone, Debug)]
pub struct Readings {
    pub(super) columns: Arc<[Column]>,
    /// For each column its steps, then the whole.
    pub(super) values: Box<[f32]>,
}

impl Default for Readings {
    fn default() -> Self {
        Self { columns: Arc::new([]), values: Box::new([]) }
    }
}

impl PartialEq for Readings {
    /// Bits, for NaN is not equal to itself.
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
        self.columns == other.columns && self.values.len() == other.values.len() && self.values.iter().zip(&other.values).all(same)
    }
}

impl Readings {
    /// These columns, shared with other candidates that have the same ones, with their values.
    pub(super) fn new(columns: Vec<Column>, values: Vec<f32>) -> Self {
        Self { columns: shared(|c| *c == *columns, || columns.clone()), values: values.into() }
    }

    /// Values of one column.
    pub(super) fn row(&self, at: usize) -> &[f32] {
        let width = self.values.len() / self.columns.len().max(1);
        &self.values[at * width..(at + 1) * width]
    }
}

/// Every reading of every signal of a candidate.
pub(super) fn read(candidate: &Candidate, granularity: Granularity) -> Readings {
    let signals = signals(candidate);
    let columns: Vec<Borrowed<'_>> = signals
        .iter()
        .flat_map(|s| readings_of(s).iter().map(move |(tokens, statistic)| Borrowed { signal: s, tokens: *tokens, statistic: *statistic }))
        .collect();
    let whole_text = [Step { span: Span::new(0, candidate.text.len()), ..Step::default() }];
    let mut values = Vec::with_capacity(columns.len() * (candidate.steps.len() + 1));
    for Borrowed { signal, tokens, statistic } in &columns {
        let by = statistic.unwrap_or(signal.statistic);
        let under = |steps: &[Step]| signal.step_values(*tokens, by, granularity, &candidate.text, steps);
        let turned = |v: Option<f32>| v.map_or(f32::NAN, |v| signal.orientation.turn(v));
        values.extend(under(&candidate.steps).into_iter().map(turned));
        values.push(turned(match &signal.values {
            Values::Candidate(value) => Some(*value),
            // A reward's granularity is that of its steps: of the whole there is what they are aggregated to.
            Values::Tokens(_) if signal.source == SignalSource::Policy => under(&whole_text)[0],
            Values::Steps(_) | Values::Tokens(_) => None,
        }));
    }
    let same = |c: &[Column]| c.len() == columns.len() && c.iter().zip(&columns).all(|(a, b)| b.is(a));
    Readings { columns: shared(same, || columns.iter().map(Borrowed::column).collect()), values: values.into() }
}

/// Values with `None` for those that are not known.
pub fn known(values: &[f32]) -> Vec<Option<f32>> {
    values.iter().map(|v| Some(*v).filter(|v| !v.is_nan())).collect()
}

//! What is said of one candidate under all of its columns.

use super::column::{Borrowed, Column, shared};
use crate::eval::readings::{readings_of, signals};
use crate::trace::{Candidate, Folds, Granularity, Signal, SignalSource, TokenClass, Values};
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
    let (text, steps) = (&candidate.text, &candidate.steps);
    let mut values = Vec::with_capacity(columns.len() * (steps.len() + 1));
    let mut folds: Option<(&Signal, TokenClass, Option<Folds>)> = None;
    for &Borrowed { signal, tokens, statistic } in &columns {
        let by = statistic.unwrap_or(signal.statistic);
        let turned = |v: Option<f32>| v.map_or(f32::NAN, |v| signal.orientation.turn(v));
        // The readings of a signal stand side by side, and those of one class of tokens among them.
        let (_, _, folds) = match folds.take_if(|f| std::ptr::eq(f.0, signal) && f.1 == tokens) {
            Some(same) => folds.insert(same),
            None => folds.insert((signal, tokens, signal.folds(tokens, granularity, text, steps))),
        };
        match folds {
            Some(folds) => values.extend(folds.steps(by).map(turned)),
            None => values.extend(signal.step_values(tokens, by, granularity, text, steps).into_iter().map(turned)),
        }
        values.push(turned(match (&signal.values, folds) {
            (Values::Candidate(value), _) => Some(*value),
            // A reward's granularity is that of its steps: of the whole there is what they are aggregated to.
            (Values::Tokens(_), Some(folds)) if signal.source == SignalSource::Policy => folds.whole(by),
            (Values::Steps(_) | Values::Tokens(_), _) => None,
        }));
    }
    let same = |c: &[Column]| c.len() == columns.len() && c.iter().zip(&columns).all(|(a, b)| b.is(a));
    Readings { columns: shared(same, || columns.iter().map(Borrowed::column).collect()), values: values.into() }
}

/// Values with `None` for those that are not known.
pub fn known(values: &[f32]) -> Vec<Option<f32>> {
    values.iter().map(|v| Some(*v).filter(|v| !v.is_nan())).collect()
}

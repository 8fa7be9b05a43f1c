//! Which readings some candidates have, which one stands for a signal or ranks where nobody said another, and the thresholds that came with them.

use super::scored::{Column, Says, ScoredTrace};
use crate::check;
use crate::trace::{Calibration, Level, REWARD, Reading, TokenClass, Trace};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Every column that some candidate has, in the order in which they first appear.
pub fn columns(traces: &[ScoredTrace]) -> Vec<Column> {
    let mut out: Vec<Column> = Vec::new();
    let mut seen: HashSet<*const [Column]> = HashSet::new();
    for candidate in traces.iter().flat_map(|t| &t.candidates) {
        let own = candidate.columns();
        // Most candidates share theirs.
        if !seen.insert(own) {
            continue;
        }
        for column in own {
            if !out.iter().any(|c| c.reading == column.reading) {
                out.push(column.clone());
            }
        }
    }
    out
}

/// The reading that stands for a signal: of a reward model at work the one that its calibration chose, of others their own.
pub fn main_of<'a>(columns: &'a [Column], signal: &str, calibration: &Calibration) -> Option<&'a Column> {
    let of = || columns.iter().filter(|c| c.reading.signal == signal);
    let chosen = of().find(|c| c.reading == calibration.of(signal).reading);
    chosen.or_else(|| of().find(|c| c.main)).or_else(|| of().next())
}

/// The column that is asked for: a reading by its whole text, or the one that stands for the signal.
pub fn asked<'a>(columns: &'a [Column], reading: &Reading, calibration: &Calibration) -> Option<&'a Column> {
    let exact = columns.iter().find(|c| c.reading == *reading);
    exact.or_else(|| {
        (reading.statistic.is_none() && reading.tokens == TokenClass::All).then(|| main_of(columns, &reading.signal, calibration))?
    })
}

/// The reading that ranks candidates and is called the reward where nobody said another: a number that came with the file, else another reward model's that
/// the file holds, else the reward model's at work, the first of several; see [`crate::trace::default_signal`]. `None`: nothing ranks them.
pub fn default_reading<'a>(columns: &'a [Column], calibration: &Calibration) -> Option<&'a Column> {
    let order = |c: &Column| match c.says {
        Says::File => 0,
        _ if c.beside => 3,
        _ if c.reading.signal != REWARD => 1,
        _ => 2,
    };
    let best = columns.iter().filter(|c| c.is_reward()).min_by_key(|c| order(c))?;
    main_of(columns, &best.reading.signal, calibration)
}

/// Names of the signals, in their order.
pub fn names(columns: &[Column]) -> Vec<&str> {
    let mut out: Vec<&str> = Vec::new();
    for column in columns {
        if !out.contains(&column.reading.signal.as_str()) {
            out.push(&column.reading.signal);
        }
    }
    out
}

/// The column that stands for each signal with values of steps, the detector's first; what is content-free is left out.
pub fn standing(columns: &[Column], detector: Option<&Column>, calibration: &Calibration) -> Vec<Column> {
    let main = |name: &str| main_of(columns, name, calibration).filter(|c| detector.is_none_or(|d| d.reading.signal != c.reading.signal));
    let others = names(columns).into_iter().filter_map(main).filter(|c| has_steps(c) && !is_content_free(c));
    detector.into_iter().chain(others).cloned().collect()
}

/// Whether a detector can be made of it: it says something of single steps.
pub fn has_steps(column: &Column) -> bool {
    column.level != Level::Candidate
}

/// Whether it knows nothing of what a step says.
pub fn is_content_free(column: &Column) -> bool {
    [check::TOKENS, check::CHARACTERS, check::DIGITS, check::POSITION].contains(&column.reading.signal.as_str())
}

/// The thresholds that came with signals, by their full readings; what two candidates say otherwise is not known.
#[derive(Default)]
pub struct Bounds(Mutex<BTreeMap<Reading, Option<f32>>>);

impl Bounds {
    /// Takes in what a trace's signals bring.
    pub fn add(&self, trace: &Trace) {
        let signals = || trace.candidates.iter().flat_map(|c| &c.signals);
        if signals().all(|s| s.threshold.is_none()) {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (signal, threshold) in signals().filter_map(|s| Some((s, s.threshold.as_ref()?))) {
            let own = known.entry(signal.full_reading(&threshold.reading)).or_insert(Some(threshold.value));
            *own = own.filter(|value| *value == threshold.value);
        }
    }

    /// Those that nobody contradicts.
    pub fn agreed(self) -> BTreeMap<Reading, f32> {
        let known = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        known.into_iter().filter_map(|(reading, value)| Some((reading, value?))).collect()
    }
}

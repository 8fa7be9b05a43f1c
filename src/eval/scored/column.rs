//! Columns: a signal under one of its readings, the same for all candidates that are read so.

use crate::eval::readings::main_statistic;
use crate::trace::{Level, Orientation, Reading, Signal, SignalSource, Statistic, TokenClass, Unit};
use std::cell::RefCell;
use std::sync::Arc;

/// Who says it, as far as evaluation asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Says {
    /// A reward model.
    Model,
    /// A number that came with the file.
    File,
    /// A language model's own distribution over its tokens.
    Policy,
    /// A rule that needs no model.
    Check,
    /// A person.
    Person,
    /// Several signals together, fitted.
    Fitted,
}

impl Says {
    /// All of them, with their names in files.
    pub const ALL: [(Says, &'static str); 6] = [
        (Says::Model, "model"),
        (Says::File, "file"),
        (Says::Policy, "policy"),
        (Says::Check, "check"),
        (Says::Person, "person"),
        (Says::Fitted, "fitted"),
    ];

    fn of(source: &SignalSource) -> Self {
        match source {
            SignalSource::Model(_) => Self::Model,
            SignalSource::File => Self::File,
            SignalSource::Policy => Self::Policy,
            SignalSource::Check => Self::Check,
            SignalSource::Person => Self::Person,
        }
    }
}

/// A signal under one reading, the same for all candidates that are read so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Signal and statistic.
    pub reading: Reading,
    /// Who says it.
    pub says: Says,
    /// What it has values of.
    pub level: Level,
    /// Which values are good.
    pub orientation: Orientation,
    /// What the numbers are.
    pub unit: Unit,
    /// Whether it stands for its signal where nobody chose another.
    pub main: bool,
    /// Whether a reward model gave it that was named beside the first.
    pub beside: bool,
}

impl Column {
    /// A column of step values whose high values are good, which stands for its signal; what tests and fitted detectors need.
    pub fn steps(reading: Reading, says: Says) -> Self {
        Self { reading, says, level: Level::Step, orientation: Orientation::High, unit: Unit::Unknown, main: true, beside: false }
    }

    /// Whether a reward model or the file gave it, so that it may rank candidates without being asked for.
    pub fn is_reward(&self) -> bool {
        matches!(self.says, Says::Model | Says::File) && self.orientation != Orientation::Neither
    }

    /// A value in the signal's own unit from one that is turned so that high is good, or the other way round.
    pub fn turn(&self, value: f32) -> f32 {
        self.orientation.turn(value)
    }
}

/// A column by what it borrows, so that those of the next candidate are compared without a copy.
pub(super) struct Borrowed<'a> {
    pub signal: &'a Signal,
    pub tokens: TokenClass,
    pub statistic: Option<Statistic>,
}

impl Borrowed<'_> {
    pub fn is(&self, column: &Column) -> bool {
        let Column { reading, says, level, orientation, unit, main, beside } = column;
        reading.statistic == self.statistic
            && reading.tokens == self.tokens
            && *orientation == self.signal.orientation
            && *unit == self.signal.unit
            && *says == Says::of(&self.signal.source)
            && *level == self.signal.level()
            && reading.signal == self.signal.name
            && *beside == self.signal.beside
            && *main == self.main()
    }

    fn main(&self) -> bool {
        self.tokens == TokenClass::All && self.statistic == main_statistic(self.signal)
    }

    pub fn column(&self) -> Column {
        Column {
            reading: Reading { signal: self.signal.name.clone(), tokens: self.tokens, statistic: self.statistic },
            says: Says::of(&self.signal.source),
            level: self.signal.level(),
            orientation: self.signal.orientation,
            unit: self.signal.unit,
            main: self.main(),
            beside: self.signal.beside,
        }
    }
}

/// Sets of columns that a thread remembers: as many as there may be kinds of candidates side by side.
const REMEMBERED: usize = 16;

/// The columns of a candidate that this thread read before, where `same` says that they are these; else new ones.
pub(super) fn shared(same: impl Fn(&[Column]) -> bool, new: impl FnOnce() -> Vec<Column>) -> Arc<[Column]> {
    thread_local! {
        /// The latest first.
        static BEFORE: RefCell<Vec<Arc<[Column]>>> = const { RefCell::new(Vec::new()) };
    }
    BEFORE.with_borrow_mut(|before| {
        match before.iter().position(|columns| same(columns)) {
            Some(at) => before[..=at].rotate_right(1),
            None => {
                before.truncate(REMEMBERED - 1);
                before.insert(0, new().into());
            }
        }
        Arc::clone(&before[0])
    })
}

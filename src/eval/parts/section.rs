//! A part of a report: the tables, pictures, figures and notes that one subject adds.

use crate::eval::parts::chart::Chart;
use crate::eval::parts::{Cell, Report, Table};
use crate::eval::stats::Interval;
use crate::eval::{ScoredCandidate, ScoredTrace};
use std::collections::BTreeMap;

/// What one subject adds to a report; see [`Report`] for the units of the figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Tables.
    pub tables: Vec<Table>,
    /// Pictures.
    pub charts: Vec<Chart>,
    /// Figures by name, see [`crate::eval::report::figures::NAMES`].
    pub figures: BTreeMap<String, f64>,
    /// How to read them.
    pub notes: Vec<String>,
}

impl Section {
    /// Puts everything at the end of a report.
    pub fn add_to(self, report: &mut Report) {
        report.tables.extend(self.tables);
        report.charts.extend(self.charts);
        report.figures.extend(self.figures);
        report.notes.extend(self.notes);
    }

    /// This, then what another subject adds.
    pub fn followed_by(mut self, other: Section) -> Section {
        self.tables.extend(other.tables);
        self.charts.extend(other.charts);
        self.figures.extend(other.figures);
        self.notes.extend(other.notes);
        self
    }

    /// Notes a figure, where there is one.
    pub fn figure(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.figures.insert(name.into(), value);
        }
    }
}

/// An estimate and its ends as three cells of plain numbers.
pub fn numbers(i: Interval) -> [Cell; 3] {
    [Cell::Number(i.estimate), Cell::Number(i.low), Cell::Number(i.high)]
}

/// What `read` says of every candidate of every problem; those of which it says nothing are left out.
pub fn by_problem<T>(traces: &[ScoredTrace], read: impl Fn(&ScoredCandidate) -> Option<T>) -> Vec<Vec<T>> {
    traces.iter().map(|t| t.candidates.iter().filter_map(&read).collect()).collect()
}

//! What a report shows as a picture, as plain data; [`crate::eval::parts::Report`] carries it, and the renderers draw it.

use crate::eval::stats::Interval;
use serde::Serialize;

/// A picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chart {
    /// Stem of the picture's file name: lower case, digits, `-`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The picture itself.
    pub kind: ChartKind,
}

/// The kinds of picture. Shares are in 0..=1 and are drawn in percent where `percent` says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChartKind {
    /// Lines with bands, for example accuracy against N.
    Lines {
        /// Name of the x axis.
        x: String,
        /// Name of the y axis.
        y: String,
        /// Whether x is drawn on a base-2 logarithmic scale.
        log_x: bool,
        /// Whether y is a share.
        percent: bool,
        /// The lines.
        series: Vec<Line>,
    },
    /// Counts over the same bins, for example the rewards of right and of wrong candidates; each series is drawn as its share of its own sum.
    Histogram {
        /// Name of the x axis.
        x: String,
        /// Borders of the bins, ascending; one more than bins.
        edges: Vec<f64>,
        /// Name and counts, one a bin.
        series: Vec<(String, Vec<u64>)>,
    },
    /// Observed share against predicted probability, with the diagonal.
    Reliability {
        /// The bins that hold something.
        bins: Vec<ReliabilityBin>,
    },
    /// Groups of bars with intervals, for example localisation by position.
    Bars {
        /// Name of the x axis.
        x: String,
        /// Name of the y axis.
        y: String,
        /// Whether the values are shares.
        percent: bool,
        /// Names of the groups.
        groups: Vec<String>,
        /// Name and values, one a group; `None` where there is nothing.
        series: Vec<(String, Vec<Option<Interval>>)>,
    },
    /// A matrix, for example transfer; colours go both ways from 0.
    Heat {
        /// What the numbers are.
        value: String,
        /// What the rows are.
        y: String,
        /// What the columns are.
        x: String,
        /// Names of the rows.
        rows: Vec<String>,
        /// Names of the columns.
        columns: Vec<String>,
        /// Row by row.
        values: Vec<Vec<Option<f64>>>,
    },
}

/// A line with its band.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Name in the legend.
    pub name: String,
    /// x and the value there.
    pub points: Vec<(f64, Interval)>,
}

/// Candidates of similar predicted probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share that is right.
    pub observed: Interval,
    /// Number of candidates.
    pub count: usize,
}

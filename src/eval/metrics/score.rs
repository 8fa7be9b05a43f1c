//! One number a candidate: a reading of a signal, and how its steps become the whole.

use crate::eval::ScoredCandidate;
use crate::eval::columns::is_content_free;
use crate::eval::scored::{Column, Says, known};
use crate::trace::{Aggregation, Level, Reading, Statistic};
use std::fmt;

/// How a reading becomes one number for the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Over {
    /// What is said of the whole: the statistic over all tokens, or the number that the file has.
    Whole,
    /// Its steps' values, aggregated.
    Steps(Aggregation),
}

/// By what candidates are picked: high is good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Score {
    /// Signal and statistic of a step.
    pub reading: Reading,
    /// How its steps become the whole.
    pub over: Over,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.over {
            Over::Whole => write!(f, "{}", self.reading),
            Over::Steps(aggregation) => write!(f, "{} {}", self.reading, aggregation.name()),
        }
    }
}

impl Score {
    /// The value of the whole under a reading.
    pub fn whole(reading: Reading) -> Self {
        Self { reading, over: Over::Whole }
    }

    /// The steps' values, aggregated.
    pub fn steps(reading: Reading, aggregation: Aggregation) -> Self {
        Self { reading, over: Over::Steps(aggregation) }
    }

    /// A column under an aggregation, where it has steps to aggregate; else its whole.
    pub fn by(column: &Column, aggregation: Aggregation) -> Self {
        match column.level {
            Level::Candidate => Self::whole(column.reading.clone()),
            Level::Token | Level::Step => Self::steps(column.reading.clone(), aggregation),
        }
    }

    /// Every way that makes a difference for a column: the whole where it is no aggregate of the steps, the aggregations where there are steps. A product of
    /// chances makes sense for a reward alone.
    pub fn all(column: &Column) -> Vec<Self> {
        let mut out = Vec::new();
        let summed = matches!(column.reading.statistic, Some(Statistic::Sum | Statistic::Mean));
        if column.level == Level::Candidate || (column.says == Says::Policy && column.level == Level::Token && summed) {
            out.push(Self::whole(column.reading.clone()));
        }
        if column.level != Level::Candidate && !is_content_free(column) {
            let fits = |a: &Aggregation| *a != Aggregation::Product || column.is_reward();
            out.extend(Aggregation::ALL.into_iter().filter(fits).map(|a| Self::steps(column.reading.clone(), a)));
        }
        out
    }

    /// The candidate's score, turned so that high is good; `None` where it has none.
    pub fn of(&self, candidate: &ScoredCandidate) -> Option<f32> {
        let (column, steps, whole) = candidate.entry(&self.reading)?;
        match self.over {
            Over::Whole => Some(whole),
            Over::Steps(aggregation) => column.unit.aggregate(aggregation, &known(steps)),
        }
        .filter(|v| !v.is_nan())
    }

    /// The candidate's score as the weight of its vote, 0 to 1: a chance as it is, a log-chance's exponential, else σ of the score.
    pub fn weight(&self, candidate: &ScoredCandidate) -> Option<f32> {
        let score = self.of(candidate)?;
        let (column, ..) = candidate.entry(&self.reading)?;
        let over = if let Over::Steps(a) = self.over { Some(a) } else { None };
        Some(column.unit.vote_weight(over, score))
    }
}

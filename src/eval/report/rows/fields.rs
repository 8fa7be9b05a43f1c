//! The table of fields that a row has: it drives CSV, Parquet and the reader.

use crate::eval::columns::{columns, default_reading, has_steps};
use crate::eval::metrics::localise::Marker;
use crate::eval::metrics::score::Score;
use crate::eval::scored::{Column, Says};
use crate::eval::{ScoredCandidate, ScoredTrace};
use crate::trace::{Aggregation, Calibration, Level, Orientation, Unit};
#[cfg(feature = "parquet")]
use crate::util::table::Kind;
use crate::util::table::Value;

/// What a field says.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// The problem's identity.
    Id,
    /// Place of the candidate in its problem.
    Index,
    /// Whether the final answer is right; empty where that is not known.
    Correct,
    /// Whether the first error is known.
    Labelled,
    /// The labelled first wrong step.
    FirstError,
    /// Number of steps.
    Steps,
    /// Number of policy tokens.
    Tokens,
    /// Final answer.
    Answer,
    /// Labels of single steps.
    StepLabels,
    /// Kind of the candidate.
    Class,
    /// Whether the problem's greedy completion is right.
    Greedy,
    /// A reading's value a step, in its own unit.
    StepsOf(Column),
    /// A reading's value of the whole, in its own unit.
    WholeOf(Column),
    /// Derived: the default reward under an aggregation.
    Reward(Score),
    /// Derived: the first step that the calibrated detector marks.
    Predicted(Option<Marker>),
}

/// A field of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// What it says.
    pub part: Part,
}

/// A row: a candidate, or a problem without candidates.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The problem.
    pub trace: &'a ScoredTrace,
    /// The candidate and its place.
    pub candidate: Option<(usize, &'a ScoredCandidate)>,
}

/// The rows of a problem.
pub fn rows(trace: &ScoredTrace) -> impl Iterator<Item = Row<'_>> {
    let of = move |i: usize| Row { trace, candidate: trace.candidates.get(i).map(|c| (i, c)) };
    (0..trace.candidates.len().max(1)).map(of)
}

/// The fields that every file has, and that must be there to be read.
const FIXED: [(&str, Part); 11] = [
    ("problem_id", Part::Id),
    ("index", Part::Index),
    ("correct", Part::Correct),
    ("labelled", Part::Labelled),
    ("first_error", Part::FirstError),
    ("n_steps", Part::Steps),
    ("n_tokens", Part::Tokens),
    ("answer", Part::Answer),
    ("step_labels", Part::StepLabels),
    ("class", Part::Class),
    ("greedy", Part::Greedy),
];

/// Names of the fields that every file has, in order.
pub fn fixed() -> impl Iterator<Item = &'static str> {
    FIXED.iter().map(|f| f.0)
}

/// The fields of rows of these traces: the fixed ones, then those of every reading that is there, then what is derived for a reader's convenience.
pub fn fields(traces: &[ScoredTrace], calibration: &Calibration) -> Vec<Field> {
    let field = |name: &str, part: Part| Field { name: name.into(), part };
    let mut out: Vec<Field> = FIXED.iter().map(|(name, part)| field(name, part.clone())).collect();
    let columns = columns(traces);
    for column in &columns {
        if column.level != Level::Candidate {
            out.push(Field { name: header(STEPS, column), part: Part::StepsOf(column.clone()) });
        }
        if column.level == Level::Candidate || (column.level == Level::Token && column.says == Says::Policy) {
            out.push(Field { name: header(WHOLE, column), part: Part::WholeOf(column.clone()) });
        }
    }
    if let Some(reward) = default_reading(&columns, calibration) {
        let names = ["reward_mean", "reward_min", "reward_last", "reward_product", "reward_sum", "reward_discounted"];
        out.extend(names.into_iter().zip(Aggregation::ALL).map(|(name, a)| field(name, Part::Reward(Score::by(reward, a)))));
    }
    let with_steps: Vec<Column> = columns.into_iter().filter(has_steps).collect();
    let marker = default_reading(&with_steps, calibration).and_then(|column| {
        let threshold = calibration.threshold(&column.reading)?;
        Some(Marker::Below(column.reading.clone(), column.turn(threshold)))
    });
    out.push(field("predicted_first_error", Part::Predicted(marker)));
    out
}

impl Part {
    /// What its values are.
    #[cfg(feature = "parquet")]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Id | Self::Answer | Self::Class => Kind::Text,
            Self::Correct | Self::Labelled | Self::Greedy => Kind::Flag,
            Self::Index | Self::FirstError | Self::Steps | Self::Tokens | Self::Predicted(_) => Kind::Count,
            Self::WholeOf(_) | Self::Reward(_) => Kind::Number,
            Self::StepsOf(_) => Kind::Numbers,
            Self::StepLabels => Kind::Labels,
        }
    }

    /// What it says of a row.
    pub fn value<'a>(&self, row: &Row<'a>) -> Value<'a> {
        let c = row.candidate.map(|c| c.1);
        match self {
            Self::Id => Value::Text(Some(&row.trace.id)),
            Self::Index => Value::Count(row.candidate.map(|c| c.0)),
            Self::Correct => Value::Flag(c.filter(|c| !c.unknown).map(|c| c.correct)),
            Self::Labelled => Value::Flag(c.map(|c| c.labelled)),
            Self::FirstError => Value::Count(c.and_then(|c| c.first_error)),
            Self::Steps => Value::Count(c.map(|c| c.n_steps)),
            Self::Tokens => Value::Count(c.map(|c| c.n_tokens)),
            Self::Answer => Value::Text(c.and_then(|c| c.answer.as_deref())),
            Self::StepLabels => Value::Labels(c.map(|c| c.step_labels.as_slice())),
            Self::Class => Value::Text(c.and_then(|c| c.class.as_deref())),
            Self::Greedy => Value::Flag(row.trace.greedy),
            Self::StepsOf(column) => {
                let own = |v: &f32| Some(column.turn(*v)).filter(|v| !v.is_nan());
                Value::Numbers(c.and_then(|c| c.entry(&column.reading)).map(|(_, steps, _)| steps.iter().map(own).collect()))
            }
            Self::WholeOf(column) => {
                let whole = c.and_then(|c| c.entry(&column.reading)).map(|(_, _, whole)| column.turn(whole));
                // Where it is all that a column has, a NaN says that the column is there.
                Value::Number(whole.filter(|v| column.level == Level::Candidate || !v.is_nan()))
            }
            Self::Reward(score) => Value::Number(c.and_then(|c| score.of(c))),
            Self::Predicted(marker) => Value::Count(c.zip(marker.as_ref()).and_then(|(c, m)| m.mark(c))),
        }
    }
}

const STEPS: &str = "steps";
const WHOLE: &str = "whole";
const MAIN: &str = "main";
const BESIDE: &str = "beside";

const ORIENTATIONS: [(Orientation, &str); 3] = [(Orientation::High, "high"), (Orientation::Low, "low"), (Orientation::Neither, "neither")];

const UNITS: [(Unit, &str); 5] =
    [(Unit::Logit, "logit"), (Unit::Probability, "probability"), (Unit::Nats, "nats"), (Unit::Count, "count"), (Unit::Unknown, "unknown")];

/// What a column has values of, by name.
const LEVELS: [(Level, &str); 3] = [(Level::Token, "tokens"), (Level::Step, "steps"), (Level::Candidate, "candidate")];

fn name_of<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    names.iter().find(|n| n.0 == *value).map_or("", |n| n.1)
}

fn of_name<T: Copy>(names: &[(T, &'static str)], name: &str) -> Option<T> {
    names.iter().find(|n| n.1 == name).map(|n| n.0)
}

/// `steps:reward.min (model, tokens, high, logit, main)`: the reading, and what else is to be known of its values.
fn header(what: &str, column: &Column) -> String {
    let word = |is: bool, word: &str| if is { format!(", {word}") } else { String::new() };
    let (main, beside) = (word(column.main, MAIN), word(column.beside, BESIDE));
    format!(
        "{what}:{} ({}, {}, {}, {}{main}{beside})",
        column.reading,
        name_of(&Says::ALL, &column.says),
        name_of(&LEVELS, &column.level),
        name_of(&ORIENTATIONS, &column.orientation),
        name_of(&UNITS, &column.unit)
    )
}

/// Names of columns that older files have, and what they are called today.
const OLDER: [(&str, &str); 9] = [
    ("logprob_sum", "whole:logprob.sum (policy, tokens, high, nats, main)"),
    ("critic_logprob_sum", "whole:likelihood.sum (policy, tokens, high, nats, main)"),
    ("entropy_mean", "whole:entropy.mean (policy, tokens, low, nats)"),
    ("outcome_reward", "whole:outcome (file, candidate, high, unknown, main)"),
    ("step_rewards", "steps:reward.min (model, tokens, high, logit, main)"),
    ("step_logprob_min", "steps:logprob.min (policy, tokens, high, nats)"),
    ("step_entropy_max", "steps:entropy.max (policy, tokens, low, nats)"),
    ("step_critic_logprob_min", "steps:likelihood.min (policy, tokens, high, nats)"),
    ("step_combined", "steps:combined (fitted, steps, high, logit, main)"),
];

/// What a column of a file says, by its name; `None` for one that is derived or somebody else's.
pub fn part(name: &str) -> Option<Part> {
    let name = OLDER.iter().find(|o| o.0 == name).map_or(name, |o| o.1);
    if let Some((_, part)) = FIXED.iter().find(|f| f.0 == name) {
        return Some(part.clone());
    }
    let (what, rest) = name.split_once(':')?;
    let (reading, about) = rest.strip_suffix(')')?.rsplit_once(" (")?;
    let words: Vec<&str> = about.split(", ").collect();
    let [says, level, orientation, unit] = words.get(..4)?.try_into().ok()?;
    let column = Column {
        reading: reading.parse().ok()?,
        says: of_name(&Says::ALL, says)?,
        level: of_name(&LEVELS, level)?,
        orientation: of_name(&ORIENTATIONS, orientation)?,
        unit: of_name(&UNITS, unit)?,
        main: words[4..].contains(&MAIN),
        beside: words[4..].contains(&BESIDE),
    };
    match what {
        STEPS => Some(Part::StepsOf(column)),
        WHOLE => Some(Part::WholeOf(column)),
        _ => None,
    }
}

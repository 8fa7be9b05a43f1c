//! Queries over problems and their candidates: which of many a person wants to see.
//!
//! ```text
//! wrong and dev<=2 and len>200        right or (cut and not marked)      reward.min<-1 source~gpt
//! ```
//!
//! A query holds of a candidate, and of a problem where it holds of one of its candidates. Terms side by side must all hold; `and` binds tighter than `or`.
//! What a plain word means is in [`KEYWORDS`] and [`QUANTITIES`]; any other is looked for in the texts.

mod complete;
mod lex;
mod parse;
mod term;

pub use complete::{Completion, complete};
pub use term::Lens;

use crate::trace::{Candidate, Trace};
use std::fmt;
use std::ops::Range;
use term::Term;

/// Words that say something of a candidate by themselves, with what they mean.
pub const KEYWORDS: [(&str, &str); 21] = [
    ("right", "the answer is the reference"),
    ("wrong", "the answer is another than the reference"),
    ("ungraded", "whether the answer is right is not known"),
    ("unanswered", "no final answer was found"),
    ("cut", "the text was cut off before its writer ended it"),
    ("marked", "a first deviation is predicted"),
    ("unmarked", "it was judged, and no deviation is predicted"),
    ("disagree", "the predicted first deviation is another than the labelled one"),
    ("agree", "the predicted first deviation is the labelled one"),
    ("disagree:", "disagree:A,B: two signals mark another first step"),
    ("outside", "the reward model has not learned on such text"),
    ("gold:none", "nobody has labelled the first deviation"),
    ("gold:right", "labelled as without deviation"),
    ("gold:wrong", "labelled with a first deviation"),
    ("label:none", "no step has a label"),
    ("label:any", "a step has a label"),
    ("label:good", "a step is labelled good"),
    ("label:bad", "a step is labelled bad"),
    ("by:", "by:NAME: who wrote it is called so, or its file"),
    ("and", "both hold; may be left out"),
    ("or", "one of the two holds"),
];

/// Numbers of a candidate that can be compared (`<`, `<=`, `>`, `>=`, `=`, `!=`), with what they are. So can every signal by its name: its value for the whole
/// candidate; with `step.` before it, for some step; with a statistic after it (`reward.min`), under that statistic.
pub const QUANTITIES: [(&str, &str); 8] = [
    ("dev", "number of the first step that is predicted to deviate, from 1"),
    ("gold", "number of the first step that is labelled to deviate, from 1"),
    ("steps", "number of steps"),
    ("len", "tokens of the text, or its words where the file has no tokens"),
    ("chars", "characters of the text"),
    ("candidates", "number of candidates of the problem"),
    ("rank", "place of the candidate among the problem's, from 1"),
    ("candidate", "number of the candidate, from 1"),
];

/// Texts that can be searched by name (`~` has, `!~` has not), with what they are.
pub const TEXTS: [(&str, &str); 7] = [
    ("problem", "the problem"),
    ("text", "the candidate's text"),
    ("step", "one of its steps"),
    ("answer", "its final answer; = and != compare as the problem's answers are compared"),
    ("policy", "who wrote it, and the file it is from"),
    ("source", "the same"),
    ("id", "the problem's name"),
];

/// What is wrong with a query, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The bytes of the query that are wrong; empty at its end.
    pub at: Range<usize>,
    /// What is wrong with them, and what would do.
    pub problem: String,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at.start + 1, self.problem)
    }
}

impl std::error::Error for QueryError {}

/// What a candidate must be like.
#[derive(Clone, Debug, Default)]
pub struct Query {
    text: String,
    root: Option<Expression>,
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[derive(Clone, Debug)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Term(Term),
}

impl Query {
    /// Reads a query; an empty one holds of everything.
    ///
    /// # Errors
    /// The word that is wrong, and what would do.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        Ok(Self { text: text.trim().to_owned(), root: parse::parse(text)? })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Signals that it names, as they are written.
    pub fn signals(&self) -> Vec<&str> {
        fn walk<'a>(e: &'a Expression, out: &mut Vec<&'a str>) {
            match e {
                Expression::All(all) | Expression::Any(all) => all.iter().for_each(|e| walk(e, out)),
                Expression::Not(e) => walk(e, out),
                Expression::Term(term) => term.signals(out),
            }
        }
        let mut out = Vec::new();
        self.root.iter().for_each(|e| walk(e, &mut out));
        out
    }

    /// Whether it holds of one of the candidates, or of a problem without any.
    pub fn matches(&self, trace: &Trace, lens: &Lens) -> bool {
        let Some(root) = &self.root else { return true };
        if trace.candidates.is_empty() {
            return holds(root, &Asked { trace, candidate: &Candidate::default(), number: 0, lens });
        }
        (0..trace.candidates.len()).any(|i| self.holds(trace, i, lens))
    }

    /// Whether it holds of a candidate.
    pub fn holds(&self, trace: &Trace, candidate: usize, lens: &Lens) -> bool {
        let Some(root) = &self.root else { return true };
        trace.candidates.get(candidate).is_some_and(|c| holds(root, &Asked { trace, candidate: c, number: candidate, lens }))
    }
}

/// What a term is asked about.
#[derive(Clone, Copy)]
struct Asked<'a> {
    trace: &'a Trace,
    candidate: &'a Candidate,
    /// The candidate's place in the trace.
    number: usize,
    lens: &'a Lens,
}

fn holds(e: &Expression, asked: &Asked<'_>) -> bool {
    match e {
        Expression::All(all) => all.iter().all(|e| holds(e, asked)),
        Expression::Any(any) => any.iter().any(|e| holds(e, asked)),
        Expression::Not(e) => !holds(e, asked),
        Expression::Term(term) => term.holds(asked),
    }
}

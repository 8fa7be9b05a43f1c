//! Flat records: a problem, what was answered, numbers that judge it, a line or an object each, under whatever names their producer has for them.
//!
//! There is one reader ([`parse`]); what it knows of a producer is a row of [`SHAPES`](shapes). Numbers become signals under their own name (those that
//! count or measure without judging, such as tokens, seconds or the training step, as signals that neither high nor low is good of), and what
//! nobody knows is kept with the candidate. `--fields` is a row that a user writes ([`FieldMap`]).

mod explain;
mod judge;
mod mapping;
mod path;
mod prompt;
mod read;
mod rest;
mod shapes;
mod steps;
mod value;
mod written;

pub(super) use explain::{fields_of, guess};
pub use mapping::FieldMap;
pub(super) use mapping::check;
pub(super) use prompt::{message, posed};
pub(super) use read::{head, head_fields, parse};
pub(super) use rest::Read;
pub(super) use rest::step_fields;
pub(super) use shapes::of_record;
pub use shapes::tells_again;
pub(super) use steps::fit;
pub(super) use value::{gold, label, verdict};
pub(super) use written::{text_key, with_thoughts, written};

use path::{find, get};
use serde_json::{Map, Value};
use std::hash::{Hash, Hasher};

/// What a part of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// What is asked: a text, a list of messages, a chat template's text.
    Problem,
    /// What was answered: a text, messages, or a list of candidates.
    Text,
    /// Thoughts that stand beside the text.
    Reasoning,
    /// The reference answer.
    Gold,
    /// A reference solution, of which the answer is read where nothing else has it.
    Solution,
    /// The final answer that was found in the text.
    Answer,
    /// Whether that is right.
    Verdict,
    /// The text in steps.
    Steps,
    /// A label a step.
    Labels,
    /// The first wrong step, from 0; −1 or null for none.
    FirstError,
    /// The first wrong step, from 1; 0, null or `N/A` for none.
    FirstErrorFromOne,
    /// What tells the problem.
    Group,
    /// Who wrote the text.
    Policy,
    /// Why the text ended.
    Finish,
}

/// What a record must have to be of a shape.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A value under one of these paths.
    One(&'static [&'static str]),
    /// A text under one of these.
    Text(&'static [&'static str]),
    /// A list under one of these.
    List(&'static [&'static str]),
    /// A field whose name ends so.
    Ends(&'static [&'static str]),
    /// Nothing under any of these.
    Without(&'static [&'static str]),
}

/// Names of a role, the first that is there counts.
pub type Names = (Role, &'static [&'static str]);

/// A row: a kind of flat record.
#[derive(Debug)]
pub struct Shape {
    /// The producer's name, as in `Source::format`.
    pub name: &'static str,
    /// What tells it.
    pub needs: &'static [Need],
    /// Where its parts are; roles that are left out have the names of [`COMMON`](shapes::COMMON).
    pub roles: &'static [Names],
    /// Numbers that have a name of their own, with their paths.
    pub signals: &'static [(&'static str, &'static str)],
    /// Whether only the roles that stand here are read, as where a user names them.
    pub strict: bool,
    /// Whether the id that [`Role::Group`] finds is the problem's; else records of one text are of one problem.
    pub by_id: bool,
    /// Whether the text is an expert's, that is right.
    pub expert: bool,
    /// The field that says by whom its numbers are; they are named by it.
    pub told_by: Option<&'static str>,
}

impl Shape {
    /// The paths of a role.
    pub fn paths(&self, role: Role) -> &'static [&'static str] {
        let own = self.roles.iter().find(|(r, _)| *r == role).map(|(_, paths)| *paths);
        let common = || shapes::COMMON.iter().find(|(r, _)| *r == role).map(|(_, paths)| *paths);
        own.or_else(|| common().filter(|_| !self.strict)).unwrap_or_default()
    }

    /// Whether it is of nobody in particular, so that other formats are asked before it.
    pub fn is_common(&self) -> bool {
        matches!(self.name, "records" | "solutions")
    }

    /// Whether a record has what tells it.
    pub fn fits(&self, record: &Map<String, Value>) -> bool {
        self.needs.iter().all(|need| need.is_met(record))
    }
}

/// A shape is what it is by its place: the rows of the table and what users have named stay where they are.
impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Shape {}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::from_ref(self).hash(state);
    }
}

impl Need {
    fn is_met(self, record: &Map<String, Value>) -> bool {
        let has = |path: &&str, test: &dyn Fn(&Value) -> bool| match get(record, path) {
            Some(value) => test(value),
            None if path.contains('.') => {
                let (head, rest) = path.split_once('.').unwrap_or((path, ""));
                record.get(head).is_some_and(|inner| find(inner, rest).into_iter().any(test))
            }
            None => false,
        };
        match self {
            Self::One(paths) => paths.iter().any(|p| has(p, &|_| true)),
            Self::Text(paths) => paths.iter().any(|p| has(p, &Value::is_string)),
            Self::List(paths) => paths.iter().any(|p| has(p, &Value::is_array)),
            Self::Ends(ends) => record.keys().any(|key| ends.iter().any(|end| key.ends_with(end))),
            Self::Without(paths) => !paths.iter().any(|p| has(p, &|v| !v.is_null())),
        }
    }
}

//! Why a candidate cannot be written.

use super::target::Target;

/// Why a candidate cannot be written in a format.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// Nobody says which step is the first wrong one.
    NoFirstError,
    /// A step has no label.
    NoLabels,
    /// The text has what the format marks steps by.
    Marks,
    /// Its record would not be read as it was written.
    NotRead,
}

impl Refusal {
    /// What is to be said of so many candidates, the first of them named, with a remedy.
    pub fn words(&self, target: Target, count: usize, first: &str) -> String {
        let (it, name) = (if count == 1 { "candidate is" } else { "candidates are" }, target.name());
        let why = match self {
            Self::NoFirstError => {
                "without a labelled first wrong step; mark steps with + and - in `reasonscope inspect` and convert its labels file"
                    .to_owned()
            }
            Self::NoLabels => {
                "with steps that have no label; mark them with + and - in `reasonscope inspect` and convert its labels file".to_owned()
            }
            Self::Marks => "with a text that has marks of the format's own, `ки`, a further `Step 1:` or the tags of a thought inside a step; take --to stepwise".to_owned(),
            Self::NotRead => "with a text that would be read otherwise; take --to native".to_owned(),
        };
        format!("{count} {it} left out ({first} first): {name} cannot hold what is {why}")
    }
}

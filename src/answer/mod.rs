//! Final answers: finding them in a text, one form for each, which two say the same, and votes. The one place for all of it: graders, the inspector,
//! evaluation and training ask here, so that an answer is the same whichever door it came through.
//!
//! An answer is of a [`Kind`] (a number, the letter of an option, a formula, a decision …), which a task names or the reference answer shows. A
//! [`Question`] knows the kind, the problem's options and the reference; it reads answers off texts ([`Question::judge`]) and compares them. A
//! [`Ballot`] puts the equal answers of several candidates into one class each and counts votes.
//!
//! Pure: no files, no models, no other room.

mod decision;
mod expression;
mod judged;
mod kind;
mod marks;
mod math;
mod number;
mod options;
mod question;
mod ratio;
mod votes;

pub use decision::DECISIONS;
pub use expression::is_expression;
pub use judged::{Judged, Tally};
pub use kind::Kind;
pub use marks::{boxed, marked};
pub use math::same_math;
pub use number::canonical;
pub use options::option;
pub use question::Question;
pub use votes::{Ballot, Vote};

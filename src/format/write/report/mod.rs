//! Reports for people: problem, candidates, steps with their values, the first deviation, and what every signal says.

mod html;
mod markdown;
mod page;

pub(super) use html::Html;
pub(super) use markdown::Markdown;

//! A list of messages: what of it is the problem, and what the candidate.

use super::compose::{Composed, Place, compose};
use super::finish::finished;
use super::parts::Piece;
use super::tokens::{self, Listed};
use super::turn::{Role, Turn};
use crate::format::error::FieldError;
use crate::format::fields::Fields;
use crate::trace::Candidate;
use serde_json::Value;

/// What a list of messages holds.
#[derive(Debug, Default)]
pub(in crate::format) struct Dialogue {
    /// What the candidate answers: the user's text alone where there is one message, else every turn with its role.
    pub problem: String,
    /// The system message, where it is not itself the problem.
    pub system: Option<String>,
    /// `None` where no assistant speaks.
    pub candidate: Option<Candidate>,
}

/// What of the assistant's last turn stands beside the messages.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::format) struct Beside<'a> {
    /// What lists its tokens, and the path of that.
    pub logprobs: Option<(&'a Value, &'a str)>,
    /// Its reasoning.
    pub thought: Option<&'a str>,
}

/// Reads messages: problem and candidate.
///
/// The candidate is everything from the first turn of the assistant behind the user's last message. Where tools were used before that message, the record is
/// of an agent at work, and the candidate begins at the first message of the user's that led to a call; what the user says later is a step of it.
/// Turns of tools are steps wherever the candidate has them.
///
/// `beside`: what of the assistant's last turn stands elsewhere in the record.
pub(in crate::format) fn read(messages: &[Fields<'_>], beside: &Beside<'_>) -> Result<Dialogue, FieldError> {
    let mut turns = messages.iter().map(Turn::read).collect::<Result<Vec<_>, _>>()?;
    let Some(start) = start_of_candidate(&turns) else {
        return Ok(Dialogue { problem: problem(&turns), system: system(&turns), candidate: None });
    };
    if let (Some(thought), Some(turn)) = (beside.thought, turns.iter_mut().rfind(|t| t.role == Role::Assistant)) {
        turn.think_before(thought);
    }
    let last = beside.logprobs.map(|(value, path)| tokens::listed(value, path)).transpose()?.flatten();
    let candidate = candidate(&turns[start..], last.as_deref())?;
    Ok(Dialogue { problem: problem(&turns[..start]), system: system(&turns[..start]), candidate: Some(candidate) })
}

/// The problem that messages pose.
pub(in crate::format) fn problem_of(messages: &[Fields<'_>]) -> Result<String, FieldError> {
    Ok(problem(&messages.iter().map(Turn::read).collect::<Result<Vec<_>, _>>()?))
}

/// All of some messages as a candidate, also where the first is not of the assistant.
pub(in crate::format) fn candidate_of(messages: &[Fields<'_>]) -> Result<Candidate, FieldError> {
    candidate(&messages.iter().map(|m| Turn::read_as(m, Some("assistant"))).collect::<Result<Vec<_>, _>>()?, None)
}

fn start_of_candidate(turns: &[Turn<'_>]) -> Option<usize> {
    let last = turns.iter().rposition(|t| t.role == Role::Assistant)?;
    let acts = |t: &Turn<'_>| t.role == Role::Tool || t.pieces.iter().any(|p| matches!(p, Piece::Call(_)));
    let end = turns.iter().position(acts).map_or(last, |act| act.min(last));
    let behind = turns[..end].iter().rposition(|t| t.role == Role::User).map_or(0, |user| user + 1);
    turns[behind..].iter().position(|t| matches!(t.role, Role::Assistant | Role::Tool)).map(|at| behind + at)
}

/// System messages are left out, unless nobody else speaks.
pub(super) fn problem(turns: &[Turn<'_>]) -> String {
    let said = |t: &&Turn<'_>| t.role != Role::System;
    let words = turns.iter().filter(said).map(|t| (t.role.name(), t.words()));
    let mut spoken: Vec<(&str, String)> = words.filter(|(_, words)| !words.trim().is_empty()).collect();
    match spoken.as_mut_slice() {
        [] => joined_system(turns),
        [(_, only)] => std::mem::take(only),
        several => several.iter().map(|(role, text)| format!("{role}: {text}")).collect::<Vec<_>>().join("\n\n"),
    }
}

/// The system messages, where somebody else speaks too.
pub(super) fn system(turns: &[Turn<'_>]) -> Option<String> {
    let others = turns.iter().any(|t| t.role != Role::System);
    Some(joined_system(turns)).filter(|s| others && !s.trim().is_empty())
}

fn joined_system(turns: &[Turn<'_>]) -> String {
    let of = turns.iter().filter(|t| t.role == Role::System).map(Turn::words);
    of.collect::<Vec<_>>().join("\n\n")
}

/// Turns as a candidate, with the tokens that they list; `last`: those of the assistant's last turn, which stand elsewhere in the record.
pub(super) fn candidate(turns: &[Turn<'_>], last: Option<&[Listed]>) -> Result<Candidate, FieldError> {
    Ok(with_places(turns, last)?.0)
}

/// As [`candidate`]; and where each turn stands in it.
pub(super) fn with_places(turns: &[Turn<'_>], last: Option<&[Listed]>) -> Result<(Candidate, Vec<Place>), FieldError> {
    let Composed { text, steps, turns: places } = compose(turns);
    let mut tokens = Vec::new();
    let end = turns.iter().rposition(|t| t.role == Role::Assistant);
    for (i, (turn, place)) in turns.iter().zip(&places).enumerate().filter(|(_, (t, _))| t.role == Role::Assistant) {
        if let Some(own) = tokens::of_message(&turn.fields)? {
            tokens.extend(tokens::lay(&text, *place, &own));
        } else if let Some(last) = last.filter(|_| Some(i) == end) {
            tokens.extend(tokens::lay(&text, *place, last));
        }
    }
    let candidate = Candidate { text, steps, tokens, ..Candidate::default() };
    Ok((if let Some(at) = end { finished(candidate, &turns[at].fields) } else { candidate }, places))
}

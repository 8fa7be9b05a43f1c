//! PRM800K records: a tree of rated completions, one path of which is the solution.

use super::pieces::{pieces, ratings};
use super::refusal::Refusal;
use super::{Made, Record};
use crate::trace::{Candidate, GoldDeviation, Trace};
use serde_json::{Value, json};

/// A step's text and rating.
type Rated<'a> = (&'a str, Option<i8>);

/// A solution and the completions that stand beside its steps.
struct Tree<'a> {
    /// The solution's text and rating of each step.
    path: Vec<Rated<'a>>,
    gold: Option<GoldDeviation>,
    /// Completions beside each step of the solution, after it.
    beside: Vec<Vec<Rated<'a>>>,
    /// Candidates in the order in which they are read again.
    members: Vec<usize>,
    /// Step of the last completion beside the solution.
    last: usize,
}

/// The records of a problem. A candidate that follows another one's solution up to a step, where it ends otherwise, is a completion beside that step; every
/// other one is a solution of its own.
pub(super) fn records(trace: &Trace) -> Made {
    let mut made = Made::default();
    let mut tree: Option<Tree<'_>> = None;
    for (i, c) in trace.candidates.iter().enumerate() {
        let Some(ratings) = ratings(trace, c) else {
            made.refused.push((i, Refusal::NoLabels));
            continue;
        };
        let steps: Vec<_> = pieces(c, "\n").into_iter().zip(ratings).collect();
        if steps.is_empty() {
            made.refused.push((i, Refusal::NoLabels));
        } else if let Some(tree) = tree.as_mut().filter(|tree| tree.takes(c, &steps)) {
            tree.last = steps.len() - 1;
            tree.beside[tree.last].extend(steps.last());
            tree.members.push(i);
        } else {
            made.records.extend(tree.take().map(|t| t.record(trace)));
            tree = Some(Tree { beside: vec![Vec::new(); steps.len()], path: steps, gold: c.gold, members: vec![i], last: 0 });
        }
    }
    made.records.extend(tree.take().map(|t| t.record(trace)));
    made
}

impl Tree<'_> {
    /// Whether a candidate is a completion beside a step, no earlier one than the last that was taken.
    fn takes(&self, c: &Candidate, steps: &[Rated<'_>]) -> bool {
        let Some((_, before)) = steps.split_last() else { return false };
        let read = steps.iter().position(|s| s.1 == Some(-1)).map(GoldDeviation::Step);
        before.len() >= self.last && before.len() < self.path.len() && c.gold == read && self.path.starts_with(before)
    }

    fn record(self, trace: &Trace) -> Record {
        let completion = |&(text, rating): &Rated<'_>| json!({ "text": text, "rating": rating });
        let step = |(own, beside): (&Rated<'_>, &Vec<Rated<'_>>)| {
            let completions: Vec<Value> = std::iter::once(own).chain(beside).map(completion).collect();
            json!({ "completions": completions, "human_completion": null, "chosen_completion": 0 })
        };
        let steps: Vec<Value> = self.path.iter().zip(&self.beside).map(step).collect();
        let wrong = self.path.iter().any(|s| s.1 == Some(-1));
        let finish = match self.gold {
            _ if wrong => "found_error",
            Some(_) => "solution",
            None => "give_up",
        };
        let value = json!({
            "question": { "problem": trace.problem, "ground_truth_answer": trace.gold_answer },
            "label": { "steps": steps, "finish_reason": finish },
        });
        Record::new(self.members, value)
    }
}

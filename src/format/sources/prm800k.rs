//! PRM800K: for each step, completions rated −1, 0 or +1, one of which (or a human's) the solution went on with.

use crate::answer::Question;
use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_answer, as_integer, join_steps, keep_others, wrong};
use crate::format::flat::label;
use crate::trace::{Candidate, GoldDeviation, Trace};
use serde_json::{Map, Value};

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    let has = |key: &str, inner: &str| record.get(key).and_then(|v| v.get(inner)).is_some();
    has("question", "problem") && has("label", "steps")
}

struct Completion<'a> {
    text: &'a str,
    rating: Option<f32>,
}

impl<'a> Completion<'a> {
    fn of(fields: &Fields<'a>) -> Result<Self, FieldError> {
        let rating =
            fields.get("rating").map(|v| label(v).ok_or_else(|| wrong(&fields.name("rating"), v, "-1, 0, 1 or null"))).transpose()?;
        Ok(Self { text: fields.text("text")?, rating: rating.flatten() })
    }
}

/// The first candidate is the chosen path (a human's step where no completion was chosen, the first completion where there is neither);
/// each completion beside it is a candidate that shares the path up to its step. Ratings become step labels; 0 (neutral) is no error.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let question = record.object("question")?;
    let label = record.object("label")?;
    let mut path: Vec<Completion<'_>> = Vec::new();
    let mut siblings: Vec<(usize, Completion<'_>)> = Vec::new();
    for step in label.objects("steps")? {
        let at = path.len();
        let completions = match step.get("completions") {
            Some(_) => step.objects("completions")?.iter().map(Completion::of).collect::<Result<Vec<_>, _>>()?,
            None => Vec::new(),
        };
        let human = step.opt_object("human_completion")?.map(|h| Completion::of(&h)).transpose()?;
        let chosen = match step.get("chosen_completion") {
            Some(v) => {
                let index = as_integer(v).ok_or_else(|| wrong(&step.name("chosen_completion"), v, "an index or null"))?;
                let fits = usize::try_from(index).ok().filter(|&i| i < completions.len());
                Some(fits.ok_or_else(|| {
                    let problem = format!("is {index} with {} completions", completions.len());
                    FieldError::new(step.name("chosen_completion"), problem, "give a 0-based index of `completions`")
                })?)
            }
            None if human.is_none() && !completions.is_empty() => Some(0),
            None => None,
        };
        let mut own = human;
        for (i, completion) in completions.into_iter().enumerate() {
            if Some(i) == chosen {
                own = Some(completion);
            } else {
                siblings.push((at, completion));
            }
        }
        match own {
            Some(own) => path.push(own),
            None => break,
        }
    }
    let finished = label.opt_text("finish_reason")?.is_none_or(|r| r == "solution");
    let gold_answer = question.get("ground_truth_answer").and_then(as_answer);
    let mut chosen = candidate(&path, None);
    chosen.gold = first_wrong(&path, None).map(GoldDeviation::Step).or((finished && !path.is_empty()).then_some(GoldDeviation::None));
    if let Some((_, answer)) = chosen.text.rsplit_once("# Answer\n\n") {
        chosen.answer = Some(answer.trim().to_owned());
        // formulas have more spellings than can be told equal, so that unequal ones say nothing
        let same = Question::guess(question.text("problem")?, gold_answer.as_deref()).is_reference(answer);
        chosen.correct = same.then_some(true);
    }
    let mut candidates = vec![chosen];
    for (at, completion) in &siblings {
        let mut sibling = candidate(&path[..*at], Some(completion));
        sibling.gold = first_wrong(&path[..*at], Some(completion)).map(GoldDeviation::Step);
        candidates.push(sibling);
    }
    let mut trace = Trace { id: String::new(), problem: question.text("problem")?.to_owned(), gold_answer, candidates, source: None };
    keep_others(&mut trace, question.map, &["problem", "ground_truth_answer", "pre_generated_steps"]);
    keep_others(&mut trace, label.map, &["steps"]);
    keep_others(&mut trace, record.map, &["question", "label"]);
    Ok(trace)
}

fn candidate(path: &[Completion<'_>], last: Option<&Completion<'_>>) -> Candidate {
    let all: Vec<&Completion<'_>> = path.iter().chain(last).collect();
    let parts: Vec<&str> = all.iter().map(|c| c.text).collect();
    let (text, mut steps) = join_steps(&parts, "\n");
    for (step, completion) in steps.iter_mut().zip(&all) {
        step.label = completion.rating;
    }
    Candidate { text, steps, ..Candidate::default() }
}

fn first_wrong(path: &[Completion<'_>], last: Option<&Completion<'_>>) -> Option<usize> {
    path.iter().chain(last).position(|c| c.rating.is_some_and(|r| r < 0.0))
}

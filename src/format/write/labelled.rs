//! Records of candidates whose steps are labelled: ProcessBench, TRL's stepwise supervision, Math-Shepherd.

use super::pieces::{bare, first_wrong, pieces, shares};
use super::refusal::Refusal;
use crate::format::sources::stepwise::MARK;
use crate::trace::{Candidate, GoldDeviation, Segmentation, Trace, segment};
use serde_json::{Value, json};

/// A ProcessBench record; needs the first wrong step.
pub(super) fn processbench(trace: &Trace, c: &Candidate) -> Result<Value, Refusal> {
    let label = match first_wrong(trace, c).ok_or(Refusal::NoFirstError)? {
        GoldDeviation::None => -1,
        GoldDeviation::Step(step) => step as i64,
    };
    Ok(json!({
        "id": trace.id, "generator": c.policy, "problem": trace.problem, "steps": pieces(c, "\n\n"),
        "final_answer_correct": c.correct, "label": label,
    }))
}

/// A record of stepwise supervision; needs a label for every step. Labels are `true` and `false`, and numbers where they are shares.
pub(super) fn stepwise(trace: &Trace, c: &Candidate) -> Result<Value, Refusal> {
    let shares = shares(trace, c).ok_or(Refusal::NoLabels)?;
    let plain = shares.iter().all(|s| *s == 0.0 || *s == 1.0);
    let labels: Vec<Value> = shares.iter().map(|s| if plain { json!(*s == 1.0) } else { json!(s) }).collect();
    Ok(json!({ "id": trace.id, "prompt": trace.problem, "completions": lines(c), "labels": labels }))
}

/// The steps as the reader joins them: by a line feed or, where one ends with a line feed, as they are.
fn lines(c: &Candidate) -> Vec<&str> {
    let joined = pieces(c, "\n");
    if !joined.iter().any(|p| p.ends_with('\n')) {
        return joined;
    }
    let starts: Vec<usize> = std::iter::once(0).chain(c.steps.iter().skip(1).map(|s| s.span.start)).collect();
    let ends = starts.iter().skip(1).copied().chain([c.text.len()]);
    let tiles: Vec<&str> = starts.iter().zip(ends).filter_map(|(&start, end)| c.text.get(start..end)).collect();
    if tiles.len() == c.steps.len() && tiles.iter().any(|t| t.ends_with('\n')) { tiles } else { bare(c) }
}

/// A Math-Shepherd record; needs a label for every step. One whose own text has the mark, or a further `Step 1:` before the first one, is read otherwise.
pub(super) fn math_shepherd(trace: &Trace, c: &Candidate) -> Result<Value, Refusal> {
    let shares = shares(trace, c).ok_or(Refusal::NoLabels)?;
    let text = if is_marked(c) { c.text.trim_end().to_owned() } else { marked(c) };
    let input = if trace.problem.trim().is_empty() { text } else { format!("{} {text}", trace.problem.trim()) };
    let mut label = String::with_capacity(input.len());
    for (i, part) in input.split(MARK).enumerate() {
        if let Some(share) = i.checked_sub(1).map(|i| shares.get(i)) {
            label.push(if share.is_some_and(|s| *s > 0.5) { '+' } else { '-' });
        }
        label.push_str(part);
    }
    Ok(json!({ "id": trace.id, "input": input, "label": label }))
}

/// Whether the text is in Math-Shepherd's own form already: a mark behind every step.
fn is_marked(c: &Candidate) -> bool {
    let cut = || segment(&c.text, &Segmentation::Separator(MARK.to_owned()));
    c.text.starts_with("Step 1:") && c.text.matches(MARK).count() == c.steps.len() && {
        let again = cut();
        again.len() == c.steps.len() && again.iter().zip(&c.steps).all(|(a, b)| a.span == b.span)
    }
}

/// The steps, each on a line of its own with a head and a mark.
fn marked(c: &Candidate) -> String {
    let mut out = String::with_capacity(c.text.len() + 16 * c.steps.len());
    for (i, step) in bare(c).into_iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        out.push_str(&headed(unmarked(step), i));
        out.push(' ');
        out.push_str(MARK);
    }
    out
}

/// A step without the mark that ends it.
fn unmarked(step: &str) -> &str {
    step.strip_suffix(MARK).map_or(step, str::trim_end)
}

/// A step with its head, which it may have already.
fn headed(step: &str, at: usize) -> String {
    let head = format!("Step {}:", at + 1);
    if step.starts_with(&head) { step.to_owned() } else { format!("{head} {step}").trim_end().to_owned() }
}

/// Whether a record says the problem and the steps of a candidate, heads and marks aside.
pub(super) fn says(again: &Trace, trace: &Trace, c: &Candidate) -> bool {
    let same = |(i, (a, b)): (usize, (&str, &str))| unmarked(a) == headed(unmarked(b), i);
    again.problem.trim() == trace.problem.trim()
        && again
            .candidates
            .first()
            .is_some_and(|a| a.steps.len() == c.steps.len() && bare(a).into_iter().zip(bare(c)).enumerate().all(same))
}

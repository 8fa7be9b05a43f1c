//! The newest rollouts of a training run, as runs of earlier versions wrote them to `samples.jsonl`: a JSON line a problem.

use crate::format::error::FieldError;
use crate::format::fields::Fields;
use crate::trace::{Candidate, FinishReason, Segmentation, Signal, Span, Step, Trace, segment};
use serde_json::{Map, Value, json};

/// Name of the signal by which a policy was trained: a value a token, or in files of earlier versions a step.
pub const TRAINING: &str = "training";
/// Name of the signal that a rollout as a whole was trained by.
pub const TRAINING_TRACE: &str = "training:trace";

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    let named = ["stage", "step", "problem"].iter().all(|key| record.contains_key(*key));
    let first = record.get("candidates").and_then(Value::as_array).and_then(|c| c.first());
    named && first.is_none_or(|c| c.get("text").is_some())
}

/// Rewards of steps and of the whole are those that the policy was trained with. Stage and step are kept as fields of every candidate.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let extra = json!({ "stage": record.text("stage")?, "step": record.integer("step")? }).to_string();
    let candidates = record.objects("candidates")?.iter().map(|c| candidate(c, &extra)).collect::<Result<_, _>>()?;
    Ok(Trace {
        problem: record.text("problem")?.to_owned(),
        gold_answer: record.opt_text("gold")?.map(Into::into),
        candidates,
        ..Trace::default()
    })
}

fn candidate(record: &Fields<'_>, extra: &str) -> Result<Candidate, FieldError> {
    let text = record.text("text")?.to_owned();
    let (mut steps, mut rewards, mut at) = (Vec::new(), Vec::new(), 0);
    if record.get("steps").is_some() {
        for (i, step) in record.objects("steps")?.iter().enumerate() {
            let own = step.text("text")?;
            let name = || record.name(&format!("steps[{i}].text"));
            let start = text[at..].find(own).ok_or_else(|| FieldError::new(name(), "is not in the text", "remove the step"))?;
            let span = Span::new(at + start, at + start + own.len());
            at = span.end;
            steps.push(Step { span, ..Step::default() });
            rewards.push(step.opt_f32("reward")?);
        }
    }
    let mut signals = Vec::new();
    if steps.is_empty() {
        steps = segment(&text, &Segmentation::Line);
    } else {
        signals.push(Signal::given_steps(TRAINING, rewards));
    }
    signals.extend(record.opt_f32("reward")?.map(|reward| Signal::given(TRAINING_TRACE, reward)));
    let stopped = record.opt_bool("stopped")?.unwrap_or(true);
    Ok(Candidate {
        steps,
        signals,
        correct: record.opt_bool("correct")?,
        finish: Some(if stopped { FinishReason::Stop } else { FinishReason::Length }),
        extra: Some(extra.to_owned()),
        text,
        ..Candidate::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_an_old_run_is_a_trace() {
        let line = json!({ "stage": "rl", "step": 3, "problem": "p", "gold": "4", "candidates": [
            { "text": "2 + 2\n2 + 2 = 4", "reward": 0.5, "correct": true, "stopped": false,
              "steps": [{ "text": "2 + 2", "reward": -1.0 }, { "text": "2 + 2 = 4", "reward": null }] },
            { "text": "x" }] });
        assert!(fits(line.as_object().unwrap()));
        let trace = parse(&line).unwrap();
        let c = &trace.candidates[0];
        assert_eq!(c.steps.iter().map(|s| s.span.start).collect::<Vec<_>>(), [0, 6]);
        assert_eq!(c.signal(TRAINING), Some(&Signal::given_steps(TRAINING, vec![Some(-1.0), None])));
        assert_eq!(c.signal(TRAINING_TRACE).and_then(Signal::whole), Some(0.5));
        assert_eq!((c.correct, &c.finish), (Some(true), &Some(FinishReason::Length)));
        assert_eq!((trace.gold_answer.as_deref(), c.extra.as_deref()), (Some("4"), Some(r#"{"stage":"rl","step":3}"#)));
        assert_eq!((trace.candidates[1].steps.len(), trace.candidates[1].signals.len()), (1, 0));
        let wrong = json!({ "stage": "rl", "step": 3, "problem": "p", "candidates": [{ "text": "x", "steps": [{ "text": "y" }] }] });
        assert!(parse(&wrong).unwrap_err().at("f", "line", 1).to_string().contains("candidates[0].steps[0].text"));
    }
}

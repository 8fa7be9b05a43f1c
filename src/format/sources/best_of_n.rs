//! Several samples a problem with a verdict and a reward model's score each, as Qwen2.5-Math's evaluation writes them.

use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_answer, keep_others, wrong};
use crate::format::flat::verdict;
use crate::trace::{Candidate, Segmentation, Signal, Trace, segment};
use serde_json::{Map, Value};

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    let lists = ["code", "pred", "score"].iter().all(|k| record.get(*k).is_some_and(Value::is_array));
    lists && record.contains_key("question") && record.contains_key("gt")
}

/// Sample i is `code[i]`, with the answer `pred[i]`, the verdict `score[i]` and the reward `pred_score[i]`.
///
/// Despite their names, `score` says whether the answer is right, and `pred_score` is what the reward model says of the sample: one number, or one a
/// step, of which the last is the sample's. So the latter is a signal of the whole candidate.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let texts = record.texts("code")?;
    let list = |key: &str| -> Result<Option<&[Value]>, FieldError> {
        let Some(values) = record.opt_array(key)? else { return Ok(None) };
        if values.len() != texts.len() {
            let problem = format!("has {} elements for {} samples", values.len(), texts.len());
            return Err(FieldError::new(key, problem, "give one a sample"));
        }
        Ok(Some(values))
    };
    let (answers, verdicts, rewards) = (list("pred")?, list("score")?, list("pred_score")?);
    let mut candidates = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        let at = |values: Option<&'_ [Value]>| values.map(|v| v[i].clone()).filter(|v| !v.is_null());
        let verdict = |v: Value| verdict(&v).ok_or_else(|| wrong(&format!("score[{i}]"), &v, "true or false"));
        let answer = at(answers).map(|v| as_answer(&v).ok_or_else(|| wrong(&format!("pred[{i}]"), &v, "a string"))).transpose()?;
        candidates.push(Candidate {
            text: (*text).to_owned(),
            steps: segment(text, &Segmentation::Auto),
            answer: answer.filter(|a| !a.trim().is_empty()),
            correct: at(verdicts).map(verdict).transpose()?,
            signals: at(rewards).map(|v| reward(&v, i)).transpose()?.map(|score| Signal::given("pred_score", score)).into_iter().collect(),
            ..Candidate::default()
        });
    }
    let mut trace = Trace {
        id: record.id().unwrap_or_default(),
        problem: record.text("question")?.to_owned(),
        gold_answer: record.get("gt").and_then(as_answer),
        candidates,
        ..Trace::default()
    };
    keep_others(&mut trace, record.map, &["question", "gt", "code", "pred", "score", "pred_score"]);
    Ok(trace)
}

fn reward(value: &Value, i: usize) -> Result<f32, FieldError> {
    let last = value.as_array().map_or(Some(value), |all| all.last());
    let number = last.and_then(Value::as_f64).map(|x| x as f32);
    number.ok_or_else(|| wrong(&format!("pred_score[{i}]"), value, "a number, or a list of numbers"))
}

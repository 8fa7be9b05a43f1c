//! MMLU-Pro (arXiv 2406.01574): questions with up to ten options, and what models answered.

use crate::answer::{Kind, Question};
use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_answer, as_text, wrong};
use crate::trace::{Candidate, Segmentation, Trace, segment, with_options};
use serde_json::{Map, Value};

/// Fields that a model's words may stand in.
const OUTPUTS: [&str; 3] = ["model_outputs", "text", "generated_text"];

pub(in crate::format) fn fits_outputs(record: &Map<String, Value>) -> bool {
    record.contains_key("question_id") && record.contains_key("pred") && OUTPUTS.iter().any(|k| record.contains_key(*k))
}

pub(in crate::format) fn fits_questions(record: &Map<String, Value>) -> bool {
    let question = record.contains_key("question") && record.get("options").is_some_and(Value::is_array);
    question && record.contains_key("question_id") && !OUTPUTS.iter().any(|k| record.contains_key(*k))
}

/// One candidate: what a model answered. The question, its options and the right letter may stand in the record or in a file of questions; see
/// [`join`](crate::format::join()).
///
/// The verdict is `correct_text` before `correct`, and the answer `pred_from_text` before `pred`: the plain ones may be a guess that was drawn where the
/// text gave no answer. Where there is neither verdict, `pred` and `answer` are compared.
pub(in crate::format) fn parse_outputs(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let key = OUTPUTS.into_iter().find(|k| record.get(k).is_some()).unwrap_or(OUTPUTS[0]);
    let text = match record.need(key)? {
        // the outputs of a request are a list in some files
        Value::Array(all) if all.len() == 1 => as_text(&all[0], &format!("{key}[0]"))?,
        other => as_text(other, key)?,
    };
    let pred = if record.map.contains_key("pred_from_text") { "pred_from_text" } else { "pred" };
    let answer = record.opt_text(pred)?.map(str::trim).filter(|a| !a.is_empty()).map(str::to_owned);
    let gold = gold(&record)?;
    let verdict = record.opt_bool("correct_text")?.or(record.opt_bool("correct")?);
    let problem = problem(&record)?;
    let question = Question::new(Kind::Choice, &problem, gold.as_deref());
    let correct = verdict.or_else(|| gold.as_ref().map(|_| answer.as_ref().is_some_and(|a| question.is_reference(a))));
    let candidate = Candidate {
        text: text.to_owned(),
        steps: segment(text, &Segmentation::Auto),
        answer,
        correct,
        extra: notes(&record)?,
        ..Candidate::default()
    };
    Ok(Trace { id: id(&record)?, problem, gold_answer: gold, candidates: vec![candidate], ..Trace::default() })
}

/// The question with its options, and one candidate without text that holds what else is known of it.
pub(in crate::format) fn parse_questions(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let candidate = Candidate { extra: notes(&record)?, ..Candidate::default() };
    let problem = problem(&record)?;
    if problem.is_empty() {
        return Err(FieldError::new("question", "is empty", "fill it or remove the record"));
    }
    Ok(Trace { id: id(&record)?, problem, gold_answer: gold(&record)?, candidates: vec![candidate], ..Trace::default() })
}

fn id(record: &Fields<'_>) -> Result<String, FieldError> {
    let value = record.need("question_id")?;
    let id = as_answer(value).filter(|id| !id.is_empty());
    id.map(|id| format!("mmlu_pro-{id}")).ok_or_else(|| wrong("question_id", value, "a number or a string"))
}

fn gold(record: &Fields<'_>) -> Result<Option<String>, FieldError> {
    Ok(record.opt_text("answer")?.map(str::trim).filter(|a| !a.is_empty()).map(str::to_owned))
}

fn problem(record: &Fields<'_>) -> Result<String, FieldError> {
    let Some(question) = record.opt_text("question")? else { return Ok(String::new()) };
    let options = if record.get("options").is_some() { record.texts("options")? } else { Vec::new() };
    let letters: Vec<String> = ('A'..='Z').map(String::from).collect();
    Ok(with_options(question, letters.iter().map(String::as_str).zip(options)))
}

/// The domain and the source of the question.
fn notes(record: &Fields<'_>) -> Result<Option<String>, FieldError> {
    let mut notes = Map::new();
    for key in ["category", "src"] {
        if let Some(text) = record.opt_text(key)? {
            notes.insert(key.into(), text.into());
        }
    }
    Ok((!notes.is_empty()).then(|| Value::Object(notes).to_string()))
}

//! PubMedQA (arXiv 1909.06146): a question about an abstract, to be answered with yes, no or maybe.

use super::record::{Record, field, field_of};
use crate::answer::DECISIONS;
use serde_json::Value;

/// `QUESTION`, `CONTEXTS`, `LONG_ANSWER`, `final_decision` as published, or the hub's `question`, `context.contexts`, `long_answer`, `final_decision`.
///
/// The problem is the paragraphs of the abstract and the question; the solution is the authors' conclusion and a last line `The answer is yes.`
pub(super) fn record(value: &Value) -> Result<Record, String> {
    let question = field_of(value, &["QUESTION", "question"])?.trim();
    let contexts = value.get("CONTEXTS").or_else(|| value.get("context")?.get("contexts")).and_then(Value::as_array);
    let contexts = contexts.ok_or("field `CONTEXTS` (or `context.contexts`) must be a list of paragraphs")?;
    let mut text = String::new();
    for paragraph in contexts.iter().filter_map(Value::as_str).map(str::trim).filter(|p| !p.is_empty()) {
        text.push_str(paragraph);
        text.push('\n');
    }
    text.push_str(&format!("Question: {question} Answer yes, no or maybe."));
    let gold = match value.get("final_decision") {
        None | Some(Value::Null) => None,
        Some(_) => {
            let given = field(value, "final_decision")?.trim().to_lowercase();
            let known = DECISIONS.contains(&given.as_str());
            Some(if known { given } else { return Err(format!("field `final_decision` is {given:?}; expected yes, no or maybe")) })
        }
    };
    let solution = field_of(value, &["LONG_ANSWER", "long_answer"]).and_then(|conclusion| match &gold {
        Some(gold) => Ok(format!("{}\nThe answer is {gold}.", conclusion.trim())),
        None => Err("field `final_decision` is missing, so that the solution has no end".into()),
    });
    Ok(Record { text, solution, gold })
}

#[cfg(test)]
mod tests {
    use super::super::{Problem, Task};
    use super::*;
    use serde_json::json;

    #[test]
    fn records_of_both_kinds() {
        let published = json!({"QUESTION": "Does it help?", "CONTEXTS": ["We looked.", " It did. "], "LONG_ANSWER": "It helps.", "final_decision": "yes"});
        let hub = json!({"pubid": 7, "question": "Does it help?", "context": {"contexts": ["We looked.", "It did."]}, "long_answer": "It helps.",
            "final_decision": "yes"});
        for value in [published, hub] {
            let r = record(&value).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(r.text, "We looked.\nIt did.\nQuestion: Does it help? Answer yes, no or maybe.");
            assert_eq!(r.solution.as_deref(), Ok("It helps.\nThe answer is yes."));
            assert_eq!(r.gold.as_deref(), Some("yes"));
        }
        let says = |value: Value| record(&value).err().unwrap_or_default();
        assert!(says(json!({"QUESTION": "Q"})).contains("`CONTEXTS`"));
        assert!(says(json!({"QUESTION": "Q", "CONTEXTS": [], "final_decision": "perhaps"})).contains("expected yes, no or maybe"));
        let open = record(&json!({"QUESTION": "Q", "CONTEXTS": [], "LONG_ANSWER": "x"})).unwrap_or_else(|e| panic!("{e}"));
        assert!(open.gold.is_none() && open.solution.is_err());
    }

    #[test]
    fn real_records_are_demonstrations() {
        let root = std::env::var_os("REASONSCOPE_DATA").map_or_else(|| std::path::PathBuf::from("../shared/data"), Into::into);
        let path = root.join("medical/pubmedqa_ori_pqal_1000.json.gz");
        let Ok(file) = std::fs::File::open(&path) else {
            eprintln!("skipped: {} is absent; set REASONSCOPE_DATA", path.display());
            return;
        };
        let all: Value = serde_json::from_reader(flate2::read::MultiGzDecoder::new(file)).unwrap();
        let lines: String = all.as_object().unwrap().values().map(|v| format!("{v}\n")).collect();
        let all: Result<Vec<_>, _> = Task::PubMedQa.demonstrations(lines.as_bytes(), "pqal").collect();
        let all = all.unwrap();
        assert_eq!(all.len(), 1000);
        let count = |d: &str| all.iter().filter(|x| x.problem.gold.as_deref() == Some(d)).count();
        assert_eq!((count("yes"), count("no"), count("maybe")), (552, 338, 110), "as published");
        let other = |p: &Problem| Problem { gold: Some(if p.gold.as_deref() == Some("yes") { "no" } else { "yes" }.into()), ..p.clone() };
        assert!(all.iter().all(|d| Task::PubMedQa.grade(&other(&d.problem), &d.solution) == Some(false)));
    }
}

//! Multiple choice: MMLU-Pro (arXiv 2406.01574) and MedReason (arXiv 2504.00993).

use super::record::{Record, field, field_of};
use crate::answer::option;
use crate::trace::with_options;
use serde_json::Value;

/// `question`, `options`, `answer` (a letter), and on the hub's validation split `cot_content`.
pub(super) fn mmlu_pro(value: &Value) -> Result<Record, String> {
    let (text, _) = question(value)?;
    let gold = field(value, "answer")?.trim().to_owned();
    let solution = field(value, "cot_content").map(|cot| {
        let cot = cot.trim().trim_start_matches("A: Let's think step by step.").trim_start();
        cot.to_owned()
    });
    let solution = solution.map_err(|e| {
        format!(
            "{e}: only the validation split of TIGER-Lab/MMLU-Pro has expert solutions; fetch that one, or give `problem`, `solution`, `answer`"
        )
    });
    Ok(Record { text, solution, gold: Some(gold) })
}

/// `question`, `options`, `answer` (the right option's text, or `answer_idx` its letter) and `reasoning` (HuatuoGPT-o1: `Complex_CoT`).
///
/// The solution is the reasoning and a last line `The answer is (C).`, or with the answer's first sentence where there are no options.
pub(super) fn med_reason(value: &Value) -> Result<Record, String> {
    let (text, options) = question(value)?;
    let answer = field_of(value, &["answer", "answer_idx"])?.trim();
    // Answers go on with an explanation; the longest option that they open with is meant.
    let opens = |option: &str| answer.get(..option.len()).is_some_and(|head| head.eq_ignore_ascii_case(option));
    let meant = options.iter().filter(|(_, option)| opens(option)).max_by_key(|(_, option)| option.len());
    let letter = field(value, "answer_idx").ok().map(str::to_owned).or_else(|| meant.map(|(letter, _)| letter.clone()));
    let gold = match letter {
        Some(letter) => letter,
        None if options.is_empty() => answer.split(". ").next().unwrap_or(answer).trim_end_matches('.').to_owned(),
        None => return Err("field `answer` opens with none of the `options`".into()),
    };
    let end = if options.is_empty() { gold.clone() } else { format!("({gold})") };
    let solution = field_of(value, &["reasoning", "Complex_CoT"]).map(|r| format!("{}\nThe answer is {end}.", r.trim()));
    Ok(Record { text, solution, gold: Some(gold) })
}

/// The question with a line `A. …` for each option, and the options with their letters.
fn question(value: &Value) -> Result<(String, Vec<(String, String)>), String> {
    let letters = ('A'..='Z').map(String::from);
    let options: Vec<(String, String)> = match value.get("options") {
        Some(Value::Array(all)) => letters.zip(all.iter().filter_map(Value::as_str).map(|o| o.trim().to_owned())).collect(),
        Some(Value::Object(all)) => all.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.trim().to_owned()))).collect(),
        Some(Value::String(all)) => all.lines().filter_map(option).map(|(l, o)| (l.to_owned(), o.to_owned())).collect(),
        _ => Vec::new(),
    };
    let text = with_options(field(value, "question")?, options.iter().map(|(l, o)| (l.as_str(), o.as_str())));
    Ok((text, options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_of_both_kinds() {
        let r = med_reason(&json!({"question": "Which?", "answer": "Colle's fascia. Explanation: it is.", "reasoning": "\nThink.\n",
            "options": "Answer Choices:\nA. Colle\nB. Large vessel\nC. Colle's fascia"}))
        .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((r.text.as_str(), r.gold.as_deref()), ("Which?\nA. Colle\nB. Large vessel\nC. Colle's fascia", Some("C")));
        assert_eq!(r.solution.as_deref(), Ok("Think.\nThe answer is (C)."));
        let open =
            med_reason(&json!({"question": "Is it?", "answer": "Yes. Because.", "reasoning": "Think.", "options": ""})).map(|r| r.solution);
        assert_eq!(open, Ok(Ok("Think.\nThe answer is Yes.".into())));
        assert!(
            med_reason(&json!({"question": "Q", "answer": "x", "options": ["a", "b"]})).is_err_and(|e| e.contains("none of the `options`"))
        );
        let r = mmlu_pro(&json!({"question": "Q", "options": ["x", "y"], "answer": "B", "cot_content": ""})).map(|r| r.solution);
        assert!(r.is_ok_and(|s| s.is_err_and(|e| e.contains("`cot_content`") && e.contains("validation split"))));
    }
}

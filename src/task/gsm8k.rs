//! GSM8K (Cobbe et al. 2021): JSON lines with `question` and `answer`, the answer a step a line, `<<…>>` calculator notes, `#### gold`.

use super::record::{Record, field};
use crate::answer::{Kind, Question};
use serde_json::Value;

/// `question` and `answer`; the solution is the answer without its calculator notes.
pub(super) fn record(value: &Value) -> Result<Record, String> {
    let text = field(value, "question")?.trim().to_string();
    let solution = strip_notes(field(value, "answer")?);
    if !solution.contains("####") {
        return Err("field `answer` has no `####` line with the final answer".into());
    }
    let gold = Question::new(Kind::Number, &text, None).marked(&solution).ok_or("field `answer` has nothing after `####`")?;
    Ok(Record { text, solution: Ok(solution), gold: Some(gold) })
}

/// Removes `<<…>>` calculator notes and the spaces at line ends; a note that never closes is kept.
pub fn strip_notes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find("<<") {
        let Some(close) = rest[open..].find(">>") else { break };
        out.push_str(&rest[..open]);
        rest = &rest[open + close + 2..];
    }
    out.push_str(rest);
    out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::Task;
    use super::*;
    use flate2::read::MultiGzDecoder;
    use std::fs::File;
    use std::io::{BufRead, BufReader};
    use std::path::PathBuf;

    #[test]
    fn notes_go_and_the_rest_stays() {
        assert_eq!(strip_notes("16 - 3 = <<16-3=13>>13 eggs \nSo $<<2*9=18>>18\n#### 18"), "16 - 3 = 13 eggs\nSo $18\n#### 18");
        assert_eq!(strip_notes("a << b"), "a << b");
        assert_eq!(strip_notes("<<1=1>><<2=2>>x>>"), "x>>");
    }

    fn grade(completion: &str, gold: &str) -> bool {
        Question::new(Kind::Number, "", Some(gold)).judge(completion, false).correct == Some(true)
    }

    #[test]
    fn bad_records_are_named_and_the_others_read() {
        let text = "{\"question\":\"Q?\",\"answer\":\"1+1=<<1+1=2>>2\\n#### 2\"}\n\n{oops\n{\"question\":\"Q\"}\n{\"question\":\"Q\",\"answer\":\"2\"}\n{\"question\":\"R?\",\"answer\":\"#### 1,000\"}\n";
        let all: Vec<_> = Task::Gsm8k.demonstrations(text.as_bytes(), "x.jsonl").collect();
        assert_eq!(all.len(), 5);
        let first = all[0].as_ref().ok();
        assert_eq!(first.map(|d| d.solution.as_str()), Some("1+1=2\n#### 2"));
        assert_eq!(first.and_then(|d| d.problem.gold.as_deref()), Some("2"));
        let says = |i: usize| all[i].as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert!(says(1).starts_with("x.jsonl, line 3: not JSON"), "{}", says(1));
        assert_eq!(says(2), "x.jsonl, line 4: field `answer` must be a non-empty text");
        assert!(says(3).contains("no `####`"));
        assert_eq!(all[4].as_ref().ok().map(|d| (d.problem.id.as_str(), d.problem.gold.as_deref())), Some(("gsm8k-x-4", Some("1000"))));
    }

    /// The real data, or `None`, said on stderr.
    fn data(name: &str) -> Option<BufReader<MultiGzDecoder<File>>> {
        let root = std::env::var_os("REASONSCOPE_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
        let path = root.join("gsm8k").join(name);
        match File::open(&path) {
            Ok(file) => Some(BufReader::new(MultiGzDecoder::new(file))),
            Err(_) => {
                eprintln!("skipped: {} is absent; set REASONSCOPE_DATA", path.display());
                None
            }
        }
    }

    #[test]
    fn real_test_set_reads_whole() {
        let Some(reader) = data("test.jsonl.gz") else { return };
        let all: Result<Vec<_>, _> = Task::Gsm8k.demonstrations(reader, "test.jsonl.gz").collect();
        let all = all.unwrap();
        assert_eq!(all.len(), 1319);
        assert!(all.iter().all(|d| grade(&d.solution, d.problem.gold.as_deref().unwrap()) && !d.solution.contains("<<")));
    }

    #[test]
    fn grades_agree_with_the_published_ones() {
        let Some(reader) = data("example_model_solutions.jsonl.gz") else { return };
        let (mut agree, mut all) = (0, 0);
        for line in reader.lines() {
            let record: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let gold = Question::new(Kind::Number, "", None).marked(record["ground_truth"].as_str().unwrap()).unwrap();
            for model in ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"] {
                let solution = record[model]["solution"].as_str().unwrap();
                let published = record[model]["is_correct"].as_bool().unwrap();
                all += 1;
                if grade(solution, &gold) == published {
                    agree += 1;
                } else {
                    eprintln!("published {published}, gold {gold}: {solution:?}");
                }
            }
        }
        assert_eq!(all, 5276);
        assert_eq!(agree, all, "only {agree} of {all} agree");
    }
}

//! Whole texts and the verdicts that they deserve: a table a kind of answer, right ones beside wrong ones that look alike. In it stands what a text says, the
//! reference answer, and whether the text is right.

use crate::pairs;
use reasonscope::answer::{Kind, Question};
use reasonscope::task::{Problem, Task};
use serde_json::Value;

fn check(kind: Kind, problem: &str, table: &[(&str, &str, bool)]) {
    let judged = |text, reference| Question::new(kind, problem, Some(reference)).judge(text, false);
    let wrong: Vec<String> = table
        .iter()
        .filter(|(text, reference, right)| judged(text, reference).correct != Some(*right))
        .map(|(text, reference, right)| format!("{text:?} for {reference}: {:?}, not {right}", judged(text, reference).answer))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn formulas_in_texts() {
    check(Kind::Formula, "", pairs::FORMULAS);
    check(Kind::Formula, "", pairs::BOXES);
}

#[test]
fn numbers_in_texts() {
    check(Kind::Number, "", pairs::NUMBERS);
}

#[test]
fn options_in_texts() {
    check(Kind::Choice, "Which?\nA. Small vessel\nB. Large vessel\nC. Colle's fascia", pairs::OPTIONS);
}

#[test]
fn what_the_question_asks_for_counts() {
    let right = |problem, text, reference| Question::new(Kind::Formula, problem, Some(reference)).judge(text, false).correct == Some(true);
    let (text, reference) = ("\\boxed{4:45}", "4:45 \\text{ p.m.}");
    assert!(right("The bus leaves at noon. At what time in the afternoon does it arrive?", text, reference));
    assert!(!right("The bus leaves at 2 p.m. and is late. When does it arrive?", text, reference));
    let (text, reference) = ("\\boxed{15:20}", "3:4");
    assert!(right("What is the ratio of cats to dogs?", text, reference) && !right("When is it?", text, reference));
}

#[test]
fn hard_pairs_are_judged_as_their_labels_say() {
    for (task, file) in [
        (Task::Math, "cases/70-grader-math.jsonl"),
        (Task::Gsm8k, "cases/71-grader-gsm8k.jsonl"),
        (Task::Gsm8k, "cases/73-heading-majority.jsonl"),
    ] {
        let Some(path) = crate::formats::data(file) else { return };
        let (mut all, mut agree, mut false_positives) = (0, 0, Vec::new());
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let of = |key: &str| record[key].as_str().unwrap().to_owned();
            let problem = Problem { text: of("question"), gold: Some(of("gt")), ..Problem::default() };
            for (text, label) in record["code"].as_array().unwrap().iter().zip(record["score"].as_array().unwrap()) {
                let (text, label) = (text.as_str().unwrap(), label.as_bool().unwrap());
                let found = task.grade(&problem, text) == Some(true);
                all += 1;
                agree += usize::from(found == label);
                if found && !label {
                    false_positives.push(format!("{} for {}", text, of("gt")));
                }
            }
        }
        assert!(false_positives.is_empty(), "{false_positives:#?}");
        assert!(agree * 100 >= all * 96, "{file}: {agree} of {all}");
    }
}

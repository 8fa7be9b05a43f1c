//! Benchmarks: real files read whole, graders against published labels, corruption of real demonstrations.

use flate2::read::MultiGzDecoder;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use reasonscope::answer::same_math;
use reasonscope::task::{Demonstration, Problem, Task, TaskError, TextCorruption, corrupt_text};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

/// A file of the real data, or `None`, said on stderr.
pub fn data(name: &str) -> Option<BufReader<MultiGzDecoder<File>>> {
    let path = crate::formats::data(name)?;
    Some(BufReader::new(MultiGzDecoder::new(File::open(path).unwrap())))
}

fn records(reader: impl BufRead) -> impl Iterator<Item = Value> {
    reader.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// The demonstrations of a text of JSON lines, and what is wrong with the other records.
fn read(task: Task, reader: impl BufRead, origin: &str) -> (Vec<Demonstration>, Vec<String>) {
    let all: Vec<Result<Demonstration, TaskError>> = task.demonstrations(reader, origin).collect();
    let errors = all.iter().filter_map(|d| d.as_ref().err().map(ToString::to_string)).collect();
    (all.into_iter().filter_map(Result::ok).collect(), errors)
}

fn check(task: Task, all: &[Demonstration]) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for (i, d) in all.iter().enumerate() {
        assert!(d.problem.id.starts_with(task.name()), "{}", d.problem.id);
        assert_ne!(task.grade(&d.problem, &d.solution), Some(false), "{}", d.problem.id);
        let kind = TextCorruption::ALL[i % 6];
        if let Some((text, at)) = corrupt_text(&d.solution, kind, &mut rng) {
            assert!(text != d.solution && text.get(..at) == d.solution.get(..at), "{kind:?} of {}", d.problem.id);
        }
    }
}

#[test]
fn names_are_names() {
    for task in Task::ALL {
        assert_eq!(Task::parse(task.name()), Some(task));
        assert_eq!(serde_json::to_value(task).unwrap(), json!(task.name()));
    }
    assert_eq!(Task::parse("gsm"), None);
}

#[test]
fn native_records_of_any_task() {
    for (task, solution, answer) in [
        (Task::Stories, "Mia has 3 * 12 = 36 apples.\n#### 36", "36"),
        (Task::Gsm8k, "So 36.\n#### 36", "36"),
        (Task::Math, "So $\\boxed{\\frac{1}{2}}$.", "0.5"),
        (Task::MmluPro, "The answer is (C).", "C"),
        (Task::MedReason, "The answer is yes.", "Yes"),
        (Task::PubMedQa, "The answer is yes.", "yes"),
        (Task::Countdown, "<think>a</think>\n<answer>2 + 1</answer>", "1 + 2"),
        (Task::HumanEval, "    return x", ""),
    ] {
        let line = |solution: &str| json!({"problem": "P?", "solution": solution, "answer": answer}).to_string();
        let (all, errors) = read(task, line(solution).as_bytes(), "dir/my.jsonl.gz");
        assert!(errors.is_empty(), "{errors:?}");
        let gold = Some(answer.to_owned());
        assert_eq!(
            all[0],
            Demonstration {
                problem: Problem { id: format!("{}-my-0", task.name()), text: "P?".into(), gold, tests: None },
                solution: solution.into()
            }
        );
        if task != Task::HumanEval {
            let (_, errors) = read(task, line("so 77.\n#### 77").as_bytes(), "my.jsonl");
            assert!(errors[0].contains("my.jsonl, line 1: the solution does not end in the reference answer"), "{errors:?}");
            assert_eq!(task.grade(&all[0].problem, "no idea"), Some(false));
        }
    }
    let number = read(Task::Gsm8k, "\n{\"problem\": \"P\", \"solution\": \"#### 4\", \"answer\": 4, \"id\": 7}\n".as_bytes(), "x").0;
    assert_eq!((number[0].problem.id.as_str(), number[0].problem.gold.as_deref()), ("gsm8k-7", Some("4")));
}

#[test]
fn what_cannot_be_read_is_named() {
    let first = |task, text: &str| read(task, text.as_bytes(), "f.jsonl").1[0].clone();
    assert!(first(Task::Math, "[{\"problem\": \"P\"}]").starts_with("f.jsonl, line 1: a JSON list"));
    assert!(first(Task::Math, "\n{oops").starts_with("f.jsonl, line 2: not JSON"));
    assert_eq!(first(Task::Stories, "{\"problem\": \"P\"}"), "f.jsonl, line 1: field `solution` must be a non-empty text");
    assert!(first(Task::Countdown, "{\"question\": \"Q\", \"target\": \"t\", \"answer\": \"1\"}").contains("`nums`"));
    assert!(first(Task::Mbpp, "{\"prompt\": \"P\"}").contains("`canonical_solution`"));
}

#[test]
fn gsm8k_train_reads_whole() {
    let Some(reader) = data("gsm8k/train.jsonl.gz") else { return };
    let (all, errors) = read(Task::Gsm8k, reader, "gsm8k/train.jsonl.gz");
    assert_eq!((all.len(), errors), (7473, vec![]));
    assert_eq!(all[7472].problem.id, "gsm8k-train-7472");
    check(Task::Gsm8k, &all);
}

#[test]
fn math_reads_whole_and_agrees_with_published_grades() {
    let Some(reader) = data("math/math_test_5000_with_solutions.jsonl.gz") else { return };
    let (all, errors) = read(Task::Math, reader, "test.jsonl.gz");
    assert_eq!((all.len(), errors), (5000, vec![]));
    check(Task::Math, &all);
    // Neighbours of one subject have different answers, or the same one written alike.
    let agree = all.windows(2).filter(|w| Task::Math.grade(&w[0].problem, &w[1].solution) == Some(true)).count();
    let alike = all.windows(2).filter(|w| w[0].problem.gold == w[1].problem.gold).count();
    assert!(agree >= alike && agree < alike + 10, "{agree} of 4999 agree, {alike} are written alike");

    let Some(reader) = data("math/math500.jsonl.gz") else { return };
    let (all, errors) = read(Task::Math, reader, "math500.jsonl.gz");
    assert_eq!((all.len(), errors), (500, vec![]), "the published answers are those of the published solutions");

    let Some(reader) = data("math_best_of_8/math_cot_100.jsonl.gz") else { return };
    let mut differ = Vec::new();
    for record in records(reader) {
        let gold = record["gt"].as_str().unwrap();
        for i in 0..8 {
            let (text, published) = (record["code"][i].as_str().unwrap(), record["score"][i].as_bool().unwrap());
            let problem = Problem { gold: Some(gold.into()), ..Problem::default() };
            if Task::Math.grade(&problem, text) != Some(published) {
                differ.push(format!("{gold} against {}: published {published}", record["pred"][i]));
            }
        }
    }
    // The published grader does not read the comma in braces: 10{,}000 is 10000.
    assert!(matches!(differ.as_slice(), [one] if one.starts_with("10{,}000 against") && one.contains("10000")), "{differ:#?}");
    assert!(same_math("900,000,000", "900000000"));
}

#[test]
fn countdown_reads_all_but_its_wrong_answers() {
    for (file, right, wrong) in [("train", 993, 7), ("eval", 123, 0), ("test", 298, 2)] {
        let Some(reader) = data(&format!("countdown/{file}.jsonl.gz")) else { return };
        let (all, errors) = read(Task::Countdown, reader, &format!("countdown/{file}.jsonl.gz"));
        assert_eq!((all.len(), errors.len()), (right, wrong), "{errors:?}");
        check(Task::Countdown, &all);
    }
}

#[test]
fn mmlu_pro_grades_agree_with_the_published_ones() {
    let Some(reader) = data("mmlu_pro/questions.jsonl.gz") else { return };
    let problems: HashMap<String, Problem> = Task::MmluPro.problems(reader, "q").map(|p| p.unwrap()).map(|p| (p.id.clone(), p)).collect();
    let Some(reader) = data("mmlu_pro/questions.jsonl.gz") else { return };
    let (none, errors) = read(Task::MmluPro, reader.take(20_000), "q");
    assert!(none.is_empty() && errors[0].contains("`cot_content`"), "{errors:?}");
    for model in ["mathstral-7B", "Phi-3-mini-4k-instruct", "Mistral-7B-Instruct-v0.2", "Meta-Llama-3_1-8B-Instruct"] {
        let Some(reader) = data(&format!("mmlu_pro/outputs_{model}.jsonl.gz")) else { return };
        let (mut agree, mut all) = (0, 0);
        for record in records(reader) {
            let problem = &problems[&format!("mmlu_pro-{}", record["question_id"])];
            let right = Task::MmluPro.grade(problem, record["text"].as_str().unwrap()).unwrap();
            all += 1;
            agree += i32::from(right == record["correct_text"].as_bool().unwrap());
        }
        // The published labels read the first answer of a text that gives two, and the first letter of `(B) and (C)`, which names no option; 48 of their
        // ids conflict.
        assert!(f64::from(agree) > 0.99 * f64::from(all), "{model}: only {agree} of {all} agree");
    }
}

#[test]
fn medical_questions_and_code_read_whole() {
    let Some(mut reader) = data("medical/huatuo_o1_demo_198.json.gz") else { return };
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    let lines: String = list.iter().map(|v| format!("{v}\n")).collect();
    let (all, errors) = read(Task::MedReason, lines.as_bytes(), "huatuo");
    assert_eq!((all.len(), errors), (198, vec![]));
    check(Task::MedReason, &all);
    for (task, name, n) in [(Task::HumanEval, "HumanEval", 164), (Task::Mbpp, "mbpp_sanitized_427", 427)] {
        let Some(reader) = data(&format!("code/{name}.jsonl.gz")) else { return };
        let (all, errors) = read(task, reader, name);
        assert_eq!((all.len(), errors), (n, vec![]));
        assert!(all.iter().all(|d| task.grade(&d.problem, &d.solution).is_none()));
        check(task, &all);
    }
}

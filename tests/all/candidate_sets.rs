//! Labelled candidate sets: what their importers make of samples, faults and real files, and files that are joined.

use crate::formats::data;
use reasonscope::format::{Format, Options, TraceList, join, note};
use reasonscope::task::{Agreement, Disagreement, Example, Task};
use reasonscope::trace::{GoldDeviation, Trace};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

fn load(path: &str) -> (Vec<Trace>, Vec<String>) {
    let list = TraceList::open(&[path], Options::default()).unwrap();
    let traces = list.iter().filter_map(Result::ok).collect();
    (traces, list.errors().iter().map(ToString::to_string).collect())
}

fn sample(name: &str) -> Vec<Value> {
    std::fs::read_to_string(format!("samples/{name}")).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn write(dir: &Path, name: &str, rows: &[Value]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, rows.iter().map(|r| format!("{r}\n")).collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn samples_say_what_their_fields_say() {
    let (pool, _) = load("samples/gsm8k_pool.jsonl");
    assert_eq!(pool[0].gold_answer.as_deref(), Some("37"));
    let said: Vec<_> = pool[0].candidates.iter().map(|c| (c.policy.as_deref().unwrap(), c.answer.as_deref(), c.correct.unwrap())).collect();
    assert_eq!(said, [("solver-a", Some("37"), true), ("solver-b", Some("8"), false), ("solver-b", None, false)]);

    let (mmlu, _) = load("samples/mmlu_pro_outputs.jsonl");
    let said: Vec<_> = mmlu.iter().map(|t| (t.id.as_str(), t.candidates[0].answer.as_deref(), t.candidates[0].correct)).collect();
    let want = [("mmlu_pro-11", Some("B"), Some(true)), ("mmlu_pro-12", None, Some(false)), ("mmlu_pro-13", Some("A"), Some(false))];
    assert_eq!(said, want, "the text's own verdict comes before that on a guess");
    assert_eq!(mmlu[2].problem, "Which of these is prime?\nA. 9\nB. 11\nC. 15");
    assert_eq!(note(&mmlu[2].candidates[0], "category").as_deref(), Some("math"));
    assert_eq!(mmlu[0].candidates[0].policy.as_deref(), Some("mmlu_pro_outputs"));

    let (best, _) = load("samples/best_of_n.jsonl");
    let score = |c: &reasonscope::trace::Candidate| c.signal("pred_score").and_then(|s| s.whole());
    let said: Vec<_> = best[0].candidates.iter().map(|c| (score(c), c.correct, c.answer.is_some())).collect();
    assert_eq!(said, [(Some(2.5), Some(true), true), (Some(-1.25), Some(false), true), (Some(-3.0), Some(false), false)]);

    let (faults, _) = load("samples/prmbench.jsonl");
    let [right, wrong] = &faults[0].candidates[..] else { panic!() };
    let labels = |c: &reasonscope::trace::Candidate| c.steps.iter().map(|s| s.label.unwrap()).collect::<Vec<_>>();
    assert_eq!((labels(right), labels(wrong)), (vec![1.0, 1.0], vec![1.0, 0.0, 0.0]));
    assert_eq!((right.gold, wrong.gold), (Some(GoldDeviation::None), Some(GoldDeviation::Step(1))));
    assert_eq!(note(wrong, "classification").as_deref(), Some("missing_condition"));
    assert!(note(wrong, "modified_question").unwrap().contains("gives pens away") && note(right, "classification").is_none());
    assert_eq!(faults[1].candidates[1].gold, Some(GoldDeviation::None), "another right solution has no fault");

    let (code, _) = load("samples/humaneval_samples.jsonl");
    assert_eq!(code.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["HumanEval/0", "HumanEval/1"]);
    assert!(code[0].candidates.iter().all(|c| c.correct.is_none()) && code[1].candidates[1].steps.len() == 3);
}

#[test]
fn prm800k_keeps_what_people_said_of_each_step() {
    let (traces, _) = load("samples/prm800k.jsonl");
    let all: Vec<f32> = traces.iter().flat_map(|t| &t.candidates).flat_map(|c| &c.steps).filter_map(|s| s.label).collect();
    assert!([-1.0, 0.0, 1.0].iter().all(|r| all.contains(r)), "{all:?}");
    assert!(all.iter().all(|r| [-1.0, 0.0, 1.0].contains(r)));
}

#[test]
fn faults_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&str, &str, Value, &str); 14] = [
        ("gsm8k_pool.jsonl", "candidates", json!([{"source": "x"}]), "field `candidates[0].text`: is missing"),
        ("gsm8k_pool.jsonl", "candidates", json!([{"text": "x", "pred": []}]), "field `candidates[0].pred`: is an array"),
        ("gsm8k_pool.jsonl", "candidates", json!([1]), "field `candidates[0]`: is a number"),
        ("mmlu_pro_outputs.jsonl", "text", json!(["a", "b"]), "field `text`: is an array; give a string"),
        ("mmlu_pro_outputs.jsonl", "question_id", json!(null), "field `question_id`: is null"),
        ("mmlu_pro_outputs.jsonl", "correct_text", json!("yes"), "field `correct_text`: is a string"),
        ("best_of_n.jsonl", "pred", json!(["a"]), "field `pred`: has 1 elements for 3 samples"),
        ("best_of_n.jsonl", "score", json!([true, "x", false]), "field `score[1]`: is a string; give true or false"),
        ("best_of_n.jsonl", "pred_score", json!([[1.0], [], [2.0]]), "field `pred_score[1]`: is an array"),
        ("prmbench.jsonl", "error_steps", json!([0]), "field `error_steps[0]`: is a number; give step numbers, from 1"),
        ("prmbench.jsonl", "error_steps", json!([7, 8]), "field `error_steps`: names none of the 3 steps"),
        ("prmbench.jsonl", "modified_process", json!("x"), "field `modified_process`: is a string"),
        ("humaneval_samples.jsonl", "samples", json!(["a", 2]), "field `samples[1]`: is a number"),
        ("humaneval_samples.jsonl", "passed", json!([true]), "field `passed`: has 1 elements for 2 samples"),
    ];
    for (name, field, value, message) in cases {
        let rows = sample(name);
        let mut bad = rows[0].clone();
        bad[field] = value;
        let path = write(dir.path(), name, &[rows[0].clone(), bad]);
        let (traces, errors) = load(&path);
        assert_eq!((traces.len(), errors.len()), (1, 1), "{name} {field}: {errors:?}");
        assert!(errors[0].contains("line 2") && errors[0].contains(message), "{} / {message}", errors[0]);
    }
}

#[test]
fn any_value_in_any_field_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let names =
        ["gsm8k_pool", "mmlu_pro_outputs", "mmlu_pro_questions", "best_of_n", "prmbench", "humaneval_samples", "humaneval_verdicts"];
    let values = [json!(null), json!(-1), json!(1e300), json!("é"), json!([]), json!([[null]]), json!({"a": 1}), json!([""]), json!(true)];
    for name in names {
        let row = sample(&format!("{name}.jsonl")).remove(0);
        for field in row.as_object().unwrap().keys() {
            let changed = values.iter().map(|v| {
                let mut row = row.clone();
                row[field] = v.clone();
                row
            });
            let path = write(dir.path(), "x.jsonl", &[vec![row.clone()], changed.collect()].concat());
            if let Ok(joined) = join(&[&path]) {
                let spans = |t: &Trace| t.candidates.iter().all(|c| c.steps.iter().all(|s| c.text.get(s.span.start..s.span.end).is_some()));
                assert!(joined.traces.iter().all(spans), "{name} {field}");
            }
        }
    }
}

#[test]
fn files_about_the_same_problems_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = sample("mmlu_pro_outputs.jsonl");
    other[0]["text"] = json!("The answer is (A).");
    let other = write(dir.path(), "outputs_other.jsonl", &other[..1]);
    for order in [0, 1, 2] {
        let mut files = vec!["samples/mmlu_pro_outputs.jsonl", other.as_str(), "samples/mmlu_pro_questions.jsonl"];
        files.rotate_left(order);
        let joined = join(&files).unwrap();
        assert!(joined.errors.is_empty(), "{:?}", joined.errors);
        let first = joined.traces.iter().find(|t| t.id == "mmlu_pro-11").unwrap();
        assert!(first.problem.ends_with("\nB. The air pressure is lower.\nC. The water is purer."), "{}", first.problem);
        assert_eq!(first.gold_answer.as_deref(), Some("B"));
        let mut by: Vec<_> = first.candidates.iter().map(|c| c.policy.clone().unwrap()).collect();
        by.sort();
        assert_eq!(by, ["mmlu_pro_outputs", "outputs_other"]);
        assert!(first.candidates.iter().all(|c| note(c, "category").as_deref() == Some("physics")));
        assert_eq!(joined.traces.len(), 3);
    }
    for files in [["humaneval_samples.jsonl", "humaneval_verdicts.jsonl"], ["humaneval_verdicts.jsonl", "humaneval_samples.jsonl"]] {
        let joined = join(&files.map(|f| format!("samples/{f}"))).unwrap();
        let passed: Vec<Vec<Option<bool>>> = joined.traces.iter().map(|t| t.candidates.iter().map(|c| c.correct).collect()).collect();
        assert_eq!(passed, [[Some(true), Some(false)], [Some(true), Some(true)]]);
        assert!(joined.traces.iter().all(|t| !t.problem.is_empty() && t.candidates.iter().all(|c| !c.text.is_empty())));
    }
    let mut few = sample("humaneval_verdicts.jsonl");
    few[0]["passed"] = json!([1]);
    let few = write(dir.path(), "few.jsonl", &few);
    let joined = join(&["samples/humaneval_samples.jsonl", &few]).unwrap();
    assert_eq!(joined.errors.len(), 1);
    assert!(joined.errors[0].to_string().contains("has 1 verdicts on 2 samples of HumanEval/0"), "{:?}", joined.errors);
    assert_eq!(joined.traces[1].candidates[0].correct, Some(true));
    // other formats are not mixed up by ids that are only numbers
    let joined = join(&["samples/gsm8k_pool.jsonl", "samples/gsm8k_pool.jsonl", "samples/native.jsonl", "samples/native.jsonl"]).unwrap();
    let native = joined.traces.iter().filter(|t| t.source.as_ref().unwrap().format == Format::Native.name()).count();
    assert_eq!((joined.traces.len() - native, native), (2, 2));
}

#[test]
fn real_sets_are_read_whole() {
    let files = [
        ("gsm8k_pool/even_questions.jsonl.gz", "gsm8k-pool", 660, 36_912),
        ("mmlu_pro/outputs_mathstral-7B.jsonl.gz", "mmlu-pro", 12_032, 12_032),
        ("math_best_of_8/math_cot_100.jsonl.gz", "best-of-n", 100, 800),
        ("prmbench/subset400.jsonl.gz", "prmbench", 394, 788),
        ("code/humaneval_codegen16B_100samples.jsonl.gz", "humaneval-samples", 164, 16_400),
    ];
    for (name, format, traces, candidates) in files {
        let Some(path) = data(name) else { continue };
        let (all, errors) = load(&path);
        assert!(errors.is_empty(), "{name}: {:?}", &errors[..errors.len().min(3)]);
        assert_eq!((all.len(), all.iter().map(|t| t.candidates.len()).sum::<usize>()), (traces, candidates), "{name}");
        assert!(all.iter().all(|t| t.source.as_ref().unwrap().format == format), "{name}");
    }
    if let (Some(samples), Some(verdicts)) =
        (data("code/humaneval_codegen16B_100samples.jsonl.gz"), data("code/humaneval_codegen16B_labels.jsonl.gz"))
    {
        let joined = join(&[samples, verdicts]).unwrap();
        assert!(joined.errors.is_empty());
        let all = || joined.traces.iter().flat_map(|t| &t.candidates);
        let passed = all().filter(|c| c.correct == Some(true)).count() as f64 / all().count() as f64;
        let any = joined.traces.iter().filter(|t| t.candidates.iter().any(|c| c.correct == Some(true))).count() as f64 / 164.0;
        assert!((passed - 0.22).abs() < 0.005 && (any - 0.74).abs() < 0.005, "mean {passed}, any {any}");
    }
    if let Some(path) = data("math_best_of_8/math_cot_100.jsonl.gz") {
        let (all, _) = load(&path);
        let score = |c: &reasonscope::trace::Candidate| c.signal("pred_score").and_then(|s| s.whole()).unwrap();
        let best = |t: &Trace| t.candidates.iter().max_by(|a, b| score(a).total_cmp(&score(b))).unwrap().correct;
        assert!(all.iter().filter(|t| best(t) == Some(true)).count() >= 93, "the published scores pick right answers");
    }
}

/// Standard output, standard error and exit code of `data …`.
fn program(args: &[&str]) -> (String, String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_reasonscope")).arg("data").args(args).output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[test]
fn the_program_lists_joins_and_checks() {
    let (out, _, code) = program(&["list"]);
    assert!(code == 0 && Task::ALL.iter().all(|t| out.contains(t.name())) && out.contains("openai/gsm8k"), "{out}");
    let (out, _, _) = program(&["list", "--json"]);
    let all: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(all.as_array().unwrap().len(), Task::ALL.len());
    assert_eq!(all[1]["splits"][0]["files"][0], "main/train-00000-of-00001.parquet");

    let (out, err, code) = program(&["check", "gsm8k", "samples/gsm8k_solutions.jsonl", "samples/gsm8k_pool.jsonl"]);
    assert!(code == 0 && out.starts_with("7 of 7 stored verdicts agree with the grader: 100.00 %"), "{out} {err}");
    let (out, _, _) = program(&["check", "mmlu_pro", "samples/mmlu_pro_outputs.jsonl", "samples/mmlu_pro_questions.jsonl", "--json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&found["graded"], &found["agree"], &found["share"], &found["traces"]), (&json!(3), &json!(3), &json!(1.0), &json!(3)));
    let dir = tempfile::tempdir().unwrap();
    let mut row = sample("gsm8k_pool.jsonl").remove(0);
    row["gold"] = json!(8);
    let path = write(dir.path(), "wrong.jsonl", &[row]);
    let (out, _, _) = program(&["check", "gsm8k", &path]);
    assert!(
        out.starts_with("1 of 3") && out.contains("stored as right, another answer found") && out.contains("wrong.jsonl:1, 4 candidate 0"),
        "{out}"
    );
    assert!(out.contains("stored as wrong though the stored answer is the reference"), "{out}");
    let refused = |args: &[&str], code: i32, message: &str| {
        let (_, err, found) = program(args);
        assert!(found == code && err.contains(message), "{args:?}: {found} {err}");
    };
    refused(&["check", "humaneval", "samples/humaneval_samples.jsonl"], 2, "humaneval");
    refused(&["check", "mmlu_pro", "samples/openai_chat.jsonl"], 2, "none of the");
    refused(&["check", "math", "samples/no_such.jsonl"], 1, "no_such.jsonl");
    let few = write(dir.path(), "few.jsonl", &sample("mmlu_pro_outputs.jsonl")[..1]);
    refused(&["check", "mmlu_pro", &few], 1, "give the file with the questions");

    let joined = dir.path().join("joined.jsonl");
    let joined = joined.to_str().unwrap();
    let (_, err, code) = program(&["join", "samples/humaneval_samples.jsonl", "samples/humaneval_verdicts.jsonl", "-o", joined]);
    assert!(code == 0 && err.contains("4 candidates of 2 problems"), "{err}");
    let (traces, errors) = load(joined);
    assert!(errors.is_empty() && traces.len() == 2 && traces[0].candidates[1].correct == Some(false));
}

#[test]
fn graders_agree_with_real_verdicts() {
    let all = |name: &str| data(&format!("mmlu_pro/outputs_{name}.jsonl.gz"));
    let models = ["Meta-Llama-3_1-8B-Instruct", "Mistral-7B-Instruct-v0.2", "mathstral-7B", "Phi-3-mini-4k-instruct"];
    let mmlu: Option<Vec<String>> = models.iter().map(|m| all(m)).chain([data("mmlu_pro/questions.jsonl.gz")]).collect();
    let one = |name: &str| data(name).map(|path| vec![path]);
    for (task, files, graded, least) in [
        (Task::Gsm8k, one("gsm8k/example_model_solutions.jsonl.gz"), 5276, 1.0),
        // its own reader took the first number of an answer such as `4 + 12 + 6 = 22`
        (Task::Gsm8k, one("gsm8k_pool/even_questions.jsonl.gz"), 36_912, 0.9975),
        // its own reader does not know `10{,}000`
        (Task::Math, one("math_best_of_8/math_cot_100.jsonl.gz"), 800, 0.998),
        // its own reader takes the first letter of `(B) and (C)`
        (Task::MmluPro, mmlu, 48_128, 0.99),
    ] {
        let Some(files) = files else { continue };
        let joined = join(&files).unwrap();
        assert!(joined.errors.is_empty());
        let mut agreement = Agreement::new(task, 1000);
        joined.traces.iter().for_each(|t| agreement.add(t));
        assert_eq!(agreement.graded, graded, "{files:?}");
        assert!(agreement.share().unwrap() >= least, "{files:?}: {} of {graded}", agreement.agree);
        let of_equations = |e: &Example| e.kind != Disagreement::WrongButAnswerRead || e.tail.contains('=');
        assert!(task != Task::Gsm8k || agreement.examples.iter().all(of_equations), "{:?}", agreement.examples);
        if task == Task::MmluPro
            && let Some(path) = data("mmlu_pro/conflicting_question_ids.json")
        {
            // verdicts that contradict their own answers are on questions that were published in two versions
            let twice: Vec<u64> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            let of = agreement.examples.iter().filter(|e| e.kind == Disagreement::WrongThoughStoredAnswerIsRight);
            let ids: Vec<u64> = of.map(|e| e.id.trim_start_matches("mmlu_pro-").parse().unwrap()).collect();
            assert!(ids.len() == 70 && ids.iter().all(|id| twice.contains(id)), "{ids:?}");
        }
    }
}

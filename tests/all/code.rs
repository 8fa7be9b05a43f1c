//! HumanEval and MBPP graded by running them: the published solutions pass, a broken one does not, and published labels of a model's samples are met.

#![cfg(unix)]

use crate::sandbox::sandbox;
use flate2::read::MultiGzDecoder;
use reasonscope::eval::grader::{Grader, trial};
use reasonscope::sandbox::{Limits, Outcome};
use reasonscope::task::{CodeTests, Demonstration, Problem, Task};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Duration;

/// A file of the real data, or `None`, said on stderr.
fn data(name: &str) -> Option<BufReader<MultiGzDecoder<File>>> {
    crate::tasks::data(&format!("code/{name}"))
}

fn records(name: &str) -> Option<Vec<Value>> {
    Some(data(name)?.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect())
}

fn demonstrations(task: Task, name: &str) -> Option<Vec<Demonstration>> {
    Some(task.demonstrations(data(name)?, name).map(|d| d.unwrap()).collect())
}

fn grader(seconds: u64) -> Option<Grader> {
    // On a busy machine, CPU time passes slowly.
    sandbox(Limits { wall: Duration::from_secs(60 * seconds), ..Limits::seconds(seconds) }).map(Grader::with_code)
}

fn problem(value: &Value, task: Task) -> Problem {
    task.problems(value.to_string().as_bytes(), "x").next().unwrap().unwrap()
}

#[test]
fn completions_of_all_shapes_are_graded() {
    let Some(grader) = grader(2) else { return };
    let value = json!({
        "task_id": "HumanEval/x", "prompt": "from typing import List\n\ndef total(x: List[int]) -> int:\n    \"\"\" Adds. \"\"\"\n", "entry_point": "total",
        "canonical_solution": "    return sum(x)\n", "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n"
    });
    let p = problem(&value, Task::HumanEval);
    let cases = [
        ("    return sum(x)\n", true),
        ("    return sum(x)\n\nprint(total(None))\n", true),
        ("```python\ndef total(x: List[int]):\n    return sum(x)\n```", true),
        ("It adds:\n\ndef total(x):\n    n = 0\n    for i in x:\n        n += i\n    return n\n\nThis is right.", true),
        ("    return 3\n", false),
        ("    return x[0] + x[1]\n", false),
        ("", false),
        ("    pass", false),
        ("    return sum(x", false),
        ("return sum(x)", false),
        // Ways out that are no answers.
        ("    import sys; sys.exit(0)\n", false),
        ("    import os; os._exit(0)\n", false),
        ("    raise SystemExit\n", false),
        ("    while True: pass\n", false),
        ("    return sum(x)\nimport sys\nsys.exit(0)\n", false),
    ];
    let items: Vec<(&Problem, &str)> = cases.iter().map(|c| (&p, c.0)).collect();
    let began = std::time::Instant::now();
    let found = grader.grade_all(Task::HumanEval, &items).unwrap();
    for ((text, right), found) in cases.iter().zip(found) {
        assert_eq!(found, Some(*right), "{text:?}");
    }
    let took = began.elapsed();
    // What is known is not run again: the endless one alone took 2 s.
    let began = std::time::Instant::now();
    assert_eq!(grader.grade(Task::HumanEval, &p, "    while True: pass\n").unwrap(), Some(false));
    assert!(began.elapsed() < took / 2);
    let hub = json!({
        "task_id": 7, "text": "Write a function to add.", "code": "def add(a, b):\r\n  return a + b", "test_setup_code": "one = 1",
        "test_list": ["assert add(1, 2) == 3", "assert add(one, math.floor(1.5)) == 2"], "test_imports": ["import math"]
    });
    let p = problem(&hub, Task::Mbpp);
    assert_eq!(p.text, "Write a function to add.\nassert add(1, 2) == 3\nassert add(one, math.floor(1.5)) == 2");
    assert_eq!(grader.grade(Task::Mbpp, &p, hub["code"].as_str().unwrap()).unwrap(), Some(true));
    assert_eq!(grader.grade(Task::Mbpp, &p, "def add(a, b):\n  return a - b").unwrap(), Some(false));
    // Without tests, nothing is known.
    assert_eq!(grader.grade(Task::Mbpp, &Problem::default(), "x = 1").unwrap(), None);
}

/// MBPP in HumanEval's form has three solutions that cannot pass: one whose function is named `check`, as the function with its tests is, one whose first line
/// has lost its indentation, and one whose helper comes after the function, where a continuation ends.
const CANNOT_PASS: [&str; 3] = ["mbpp-MbppEval/56", "mbpp-MbppEval/64", "mbpp-MbppEval/223"];

/// Every other published solution passes its own tests, and no longer does once it returns something else.
#[test]
fn published_solutions_pass() {
    // MBPP's amicable numbers need some seconds.
    let Some(grader) = grader(30) else { return };
    for (task, name, n) in [(Task::HumanEval, "HumanEval.jsonl.gz", 164), (Task::Mbpp, "mbpp_sanitized_427.jsonl.gz", 427)] {
        let Some(all) = demonstrations(task, name) else { return };
        assert!(all.len() == n && all.iter().all(|d| d.problem.tests.is_some()));
        let items: Vec<(&Problem, &str)> = all.iter().map(|d| (&d.problem, d.solution.as_str())).collect();
        let verdicts = grader.grade_all(task, &items).unwrap();
        let failing: Vec<&str> = all.iter().zip(verdicts).filter(|(_, v)| *v != Some(true)).map(|(d, _)| d.problem.id.as_str()).collect();
        assert_eq!(failing, if task == Task::Mbpp { &CANNOT_PASS[..] } else { &[] });
        let broken: Vec<(&Problem, &str)> = all.iter().step_by(20).map(|d| (&d.problem, "    return object()")).collect();
        assert!(grader.grade_all(task, &broken).unwrap().iter().all(|v| *v == Some(false)));
    }
}

/// The published labels of 100 samples of CodeGen-16B a problem (CodeT, arXiv 2207.10397).
struct Labelled {
    problem: Problem,
    sample: String,
    index: usize,
    passed: bool,
}

fn labelled(take: impl Fn(usize, usize) -> bool) -> Option<Vec<Labelled>> {
    let files = ["humaneval_codegen16B_100samples.jsonl.gz", "humaneval_codegen16B_labels.jsonl.gz"];
    let (samples, labels) = (records(files[0])?, records(files[1])?);
    let problems: BTreeMap<String, Problem> =
        Task::HumanEval.problems(data("HumanEval.jsonl.gz")?, "x").map(|p| p.unwrap()).map(|p| (p.id.clone(), p)).collect();
    let mut out = Vec::new();
    for (i, (sample, label)) in samples.iter().zip(&labels).enumerate() {
        let mut problem = problems[&format!("humaneval-{}", label["task_id"].as_str().unwrap())].clone();
        let tests = problem.tests.clone().unwrap();
        // The samples were taken from a prompt with fewer examples in it.
        problem.tests = Some(CodeTests { prefix: sample["prompt"].as_str().unwrap().into(), ..tests });
        for index in (0..100).filter(|&j| take(i, j)) {
            let sample = sample["samples"][index].as_str().unwrap().to_owned();
            out.push(Labelled { problem: problem.clone(), sample, index, passed: label["passed"][index] == 1 });
        }
    }
    Some(out)
}

/// Grades samples and says which verdicts are not those of the labels.
fn disagreements<'a>(grader: &Grader, all: &'a [Labelled]) -> Vec<&'a Labelled> {
    let items: Vec<(&Problem, &str)> = all.iter().map(|l| (&l.problem, l.sample.as_str())).collect();
    let verdicts = grader.grade_all(Task::HumanEval, &items).unwrap();
    all.iter().zip(verdicts).filter(|(l, v)| *v != Some(l.passed)).map(|(l, _)| l).collect()
}

#[test]
fn verdicts_on_a_slice_are_those_of_the_published_labels() {
    let Some(grader) = grader(2) else { return };
    let Some(all) = labelled(|i, j| j % 50 == i % 50) else { return };
    assert_eq!(all.len(), 328);
    let differ: Vec<String> = disagreements(&grader, &all).iter().map(|l| format!("{} sample {}", l.problem.id, l.index)).collect();
    assert!(differ.is_empty(), "{} of {} differ: {differ:?}", differ.len(), all.len());
    let passed = all.iter().filter(|l| l.passed).count();
    assert!((40..288).contains(&passed), "the slice has both kinds: {passed}");
}

/// All 16,400 samples (12,410 different programs), in about a quarter of an hour of one core: `cargo test --release --test all every_published_label -- --ignored --nocapture`
/// prints every disagreement with the way its program ended.
#[test]
#[ignore = "a quarter of an hour of CPU time"]
fn every_published_label() {
    let Some(grader) = grader(2) else { return };
    let Some(all) = labelled(|_, _| true) else { return };
    let differ = disagreements(&grader, &all);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for l in &differ {
        let tests = l.problem.tests.as_ref().unwrap();
        let run = grader.sandbox().unwrap().test(&trial(tests, &tests.program(&l.sample))).unwrap();
        println!("{} sample {}: label {}, ended {:?} after {:.2} s", l.problem.id, l.index, l.passed, run.outcome, run.wall.as_secs_f64());
        let ended = if let Outcome::Failed(said) = &run.outcome {
            said.split(':').next().unwrap().to_owned()
        } else {
            format!("{:?}", run.outcome)
        };
        *kinds.entry(format!("label {}, ended {ended}", l.passed)).or_default() += 1;
    }
    let agree = 1.0 - differ.len() as f64 / all.len() as f64;
    println!("{} of {} agree ({:.3} %); {kinds:#?}", all.len() - differ.len(), all.len(), 100.0 * agree);
    assert!(agree >= 0.995);
}

/// A problem whose tests take whatever token is sampled, as a comment, or nothing.
fn sampled_into_a_comment(id: usize, name: &str, right: bool) -> String {
    let value = json!({
        "task_id": id, "prompt": format!("def {name}(x):\n    return x\n# "), "entry_point": name, "canonical_solution": "A note.",
        "test": format!("def check(f):\n    assert f(1) == {}\n", if right { 1 } else { 2 })
    });
    format!("{value}\n")
}

#[test]
fn training_by_code_needs_permission_and_then_grades() {
    if sandbox(Limits::default()).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("train.jsonl"), sampled_into_a_comment(0, "a", true) + &sampled_into_a_comment(1, "b", false)).unwrap();
    std::fs::write(path("aside.jsonl"), sampled_into_a_comment(2, "c", true) + &sampled_into_a_comment(3, "d", false)).unwrap();
    let recipe = format!(
        r#"
        seed = 3
        output = {:?}
        data = {{ task = "humaneval", files = [{:?}], demonstrations = 2 }}
        policy = {{ from = {:?} }}
        rl = {{ learned = 0.0, verifier = 1.0, steps = 2, prompts = 2, samples = 2, max_tokens = 1, temperature = 1e-3, samples_every = 1 }}
        evaluation = {{ files = [{:?}], problems = 2, samples = 2, max_tokens = 1, temperature = 0.0 }}
        "#,
        path("run"),
        path("train.jsonl"),
        crate::train::base(dir.path()),
        path("aside.jsonl")
    );
    std::fs::write(path("recipe.toml"), recipe).unwrap();
    let train = |options: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_reasonscope"));
        command.arg("train").arg(path("recipe.toml")).args(options).output().unwrap()
    };
    let refused = train(&[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    let expected = "recipe.toml: data.task is \"humaneval\", and only running the model's programs can tell which are right, for rl.verifier, [evaluation]; \
                    allow that with --allow-code-execution";
    assert!(said.contains(expected) && !path("run").exists(), "{said}");
    let done = train(&["--allow-code-execution"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let lines = |name: &str| -> Vec<Value> {
        std::fs::read_to_string(path("run").join(name)).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let rl: Vec<Value> = lines("metrics.jsonl").into_iter().filter(|m| m["stage"] == "rl" && m["alarm"].is_null()).collect();
    assert!(rl.len() == 2 && rl.iter().all(|m| m["pass@1"] == 0.5 && m["reward"] == 0.5), "{rl:?}");
    let correct: Vec<bool> = lines("samples.jsonl").iter().map(|c| c["correct"].as_bool().unwrap()).collect();
    assert!(correct.contains(&true) && correct.contains(&false));
    let evaluated: Vec<(u64, bool)> =
        lines("evaluation.jsonl").iter().map(|o| (o["correct"].as_u64().unwrap(), o["greedy"].as_bool().unwrap())).collect();
    assert_eq!(evaluated, [(2, true), (0, false)]);
}

//! One answer whichever door it came through: the inspector, `generate`, `score`, `eval` and `data check` read, grade and count alike.

use crate::fake_server::{FakeServer, Reply, models};
use crate::tui_fixture::{Screen, Setup};
use reasonscope::answer::Kind;
use reasonscope::collection::{self, Collection};
use reasonscope::eval::ScoredTrace;
use reasonscope::format::{Options, TraceList};
use reasonscope::task::Task;
use reasonscope::trace::{Granularity, Trace};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

const MAJORITY: [&str; 5] = ["7", "18", "7", "18.0", "$18"];

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(args).output().unwrap()
}

/// Native lines, one a text; `said`: the file says answer and verdict, too.
fn file(dir: &Path, name: &str, reference: &str, texts: &[(&str, &str)], said: bool) -> String {
    let mut lines = String::new();
    for (i, (text, answer)) in texts.iter().enumerate() {
        let mut record = json!({
            "schema_version": 1, "trace_id": "t", "candidate": i, "problem": "How many rolls?", "gold_answer": reference, "text": text,
            "finish": "stop",
        });
        if said {
            record["answer"] = json!(answer);
            record["correct"] = json!(*answer != "7");
        }
        lines += &format!("{record}\n");
    }
    let path = dir.join(name);
    std::fs::write(&path, lines).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The problems of a file as every command reads them.
fn open(path: &str, task: Option<Task>) -> Vec<Trace> {
    let collection = Collection::open(&[path], &collection::Options { task, ..collection::Options::default() }).unwrap();
    collection.wait_all();
    (0..collection.len()).map(|i| Trace::clone(&collection.get(i).unwrap())).collect()
}

/// What a file says, and nothing else.
fn load(path: &str) -> Vec<Trace> {
    let list = TraceList::open(&[path], Options::default()).unwrap();
    list.wait(usize::MAX - 1);
    (0..list.len()).map(|i| list.read(i).unwrap()).collect()
}

/// What the compare view says of the votes.
fn votes_on_screen(traces: Vec<Trace>) -> String {
    let mut screen = Screen::with(Setup { size: (120, 40), ..Setup::default() }, traces);
    screen.keys("enter v");
    screen.text()
}

#[test]
fn spellings_of_one_answer_vote_together_in_the_inspector_and_in_eval() {
    let dir = tempfile::tempdir().unwrap();
    let texts = MAJORITY.map(|a| (format!("So it is {a}.\n#### {a}"), a));
    let texts: Vec<(&str, &str)> = texts.iter().map(|(t, a)| (t.as_str(), *a)).collect();
    for said in [true, false] {
        let path = file(dir.path(), "votes.jsonl", "18", &texts, said);
        let traces = open(&path, None);
        let verdicts = |traces: &[Trace]| traces[0].candidates.iter().map(|c| c.correct).collect::<Vec<_>>();
        assert_eq!(verdicts(&traces), verdicts(&open(&path, Some(Task::Gsm8k))), "a number is graded as GSM8K's are");
        let right: Vec<Option<bool>> = traces[0].candidates.iter().map(|c| c.correct).collect();
        assert_eq!(right, [false, true, false, true, true].map(Some), "said: {said}");
        let scored = ScoredTrace::from_trace(&traces[0], Granularity::Dense, None);
        assert_eq!(scored.ballot().votes(|_| Some(1.0))[0].candidates, [1, 3, 4]);
        let screen = votes_on_screen(traces);
        let line = screen.lines().find(|l| l.contains("majority")).unwrap_or_else(|| panic!("{screen}"));
        assert!(line.contains("majority 18 ×3"), "{line}");

        let output = run(&["eval", "rerank", &path, "--json"]);
        let made: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!(made["figures"]["majority"], json!(100.0), "said: {said}: {}", made["figures"]);
    }
}

/// Halves in LaTeX, and one that is none.
const HALVES: [(&str, Option<bool>); 5] = [
    ("So \\boxed{\\frac{\\sqrt2}{2}}.", Some(true)),
    ("So \\boxed{\\frac1{\\sqrt2}}.", Some(true)),
    ("So \\boxed{\\sqrt{1/2}}.", Some(true)),
    ("So \\boxed{\\frac12}.", Some(false)),
    ("It is 0.7", Some(false)),
];

#[test]
fn formulas_are_graded_by_what_they_mean_at_every_door() {
    let dir = tempfile::tempdir().unwrap();
    let texts: Vec<(&str, &str)> = HALVES.iter().map(|h| (h.0, "")).collect();
    let path = file(dir.path(), "halves.jsonl", "\\frac1{\\sqrt2}", &texts, false);
    let wanted: Vec<Option<bool>> = HALVES.iter().map(|h| h.1).collect();
    let verdicts = |traces: &[Trace]| traces[0].candidates.iter().map(|c| c.correct).collect::<Vec<_>>();

    for task in [&[][..], &["--task", "math"]] {
        let out = dir.path().join("scored.jsonl");
        let output = run(&[&["score", &path, "-o", out.to_str().unwrap(), "--reward", "embedded"], task].concat());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(verdicts(&load(out.to_str().unwrap())), wanted, "score {task:?}");
        let output = run(&[&["eval", "pass", &path, "--json"], task].concat());
        let made: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!(made["figures"]["pass_1"], json!(60.0), "eval pass {task:?}");
        let rows: Vec<&str> = made["tables"][0]["rows"].as_array().unwrap().iter().map(|r| r[""].as_str().unwrap()).collect();
        assert_eq!(rows, ["policy", "strict-match", "flexible-extract"]);
    }
    assert_eq!(verdicts(&open(&path, Some(Task::HumanEval))), [None; 5], "programs are not run");
    for task in [None, Some(Task::Math)] {
        assert_eq!(verdicts(&open(&path, task)), wanted);
    }
    let screen = votes_on_screen(open(&path, None));
    assert!(screen.contains("majority \\sqrt{1/2} ×3"), "{screen}");
}

#[test]
fn generate_grades_by_the_reference_or_by_a_task_and_leaves_what_was_cut_off_open() {
    let event = |text: &str, finish: Value| {
        format!("data: {}\n\n", json!({ "choices": [{ "index": 0, "text": text, "finish_reason": finish }] })).into_bytes()
    };
    let server = FakeServer::start(move |r, _| {
        if r.path == "/v1/models" {
            return models();
        }
        // The seeds of the candidates differ; which text is whose does not matter.
        let prompt = r.body["prompt"].as_str().unwrap_or_default();
        let (text, finish) = match prompt.trim().chars().next_back() {
            Some(c) if c.is_ascii_digit() => {
                let i = c as usize - '0' as usize;
                HALVES.get(i).map_or(("So we have \\frac1", "length"), |h| (h.0, "stop"))
            }
            _ => ("", "stop"),
        };
        Reply::Stream(vec![event(text, json!(null)), event("", json!(finish)), b"data: [DONE]\n\n".to_vec()])
    });
    let dir = tempfile::tempdir().unwrap();
    let problems: String = (0..6)
        .map(|i| format!("{}\n", json!({ "id": format!("p{i}"), "problem": format!("Find it: {i}"), "answer": "\\frac1{\\sqrt2}" })))
        .collect();
    let path = dir.path().join("problems.jsonl");
    std::fs::write(&path, problems).unwrap();
    let (path, url) = (path.to_str().unwrap(), format!("{}/completions", server.url()));
    let wanted: Vec<Option<bool>> = HALVES.iter().map(|h| h.1).chain([None]).collect();
    for (task, wanted) in [(&[][..], wanted.clone()), (&["--task", "math"], wanted), (&["--task", "humaneval"], vec![None; 6])] {
        let output = run(&[&["generate", "--policy", &url, "--problems", path, "-n", "1"], task].concat());
        assert!(output.status.success(), "{output:?}");
        let lines: Vec<Value> = String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let verdicts: Vec<Option<bool>> = lines.iter().map(|l| l["correct"].as_bool()).collect();
        assert_eq!(verdicts, wanted, "{task:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        if task.contains(&"humaneval") {
            assert!(said.contains("only running the programs tells right from wrong"), "{said}");
        } else {
            assert!(said.contains("3 of 5 candidates have the reference answer (strict-match), 3 by their last number"), "{said}");
            assert!(said.contains("1 unknown, cut off before an answer"), "{said}");
        }
    }
}

#[test]
fn strict_and_flexible_counts_stand_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let texts = [("#### 18", "18"), ("It is 18", "18"), ("It is 7", "7"), ("#### 7", "7")];
    let path = file(dir.path(), "counts.jsonl", "18", &texts, true);
    let output = run(&["data", "check", "gsm8k", &path]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("3 of 4 stored verdicts agree"), "{text}");
    assert!(text.contains("right: 2 as stored, 1 strict-match (the marked answer), 2 flexible-extract"), "{text}");
    assert!(text.contains("4 verdicts agree"), "{text}");
}

#[test]
fn answers_of_every_task_have_a_kind_but_programs() {
    let kinds: Vec<Option<Kind>> = Task::ALL.into_iter().map(Task::kind).collect();
    assert!(Task::ALL.into_iter().zip(&kinds).all(|(t, k)| k.is_none() == t.runs_code()), "{kinds:?}");
}

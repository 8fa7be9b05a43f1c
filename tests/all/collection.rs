//! Files as problems: lines of one problem, files about the same problems, and what commands make of them.

use reasonscope::collection::{Collection, Options, draw};
use reasonscope::trace::{Signal, Trace};
use reasonscope::tui::{Recorded, TraceSource};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn write(dir: &Path, name: &str, rows: &[Value]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, rows.iter().map(|r| format!("{r}\n")).collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn open(files: &[&String]) -> Collection {
    let collection = Collection::open(&files.iter().map(|f| f.as_str()).collect::<Vec<_>>(), &Options::default()).unwrap();
    collection.wait_all();
    collection
}

fn all(collection: &Collection) -> Vec<Trace> {
    (0..collection.len()).map(|i| collection.read(i).unwrap()).collect()
}

fn texts(trace: &Trace) -> Vec<&str> {
    trace.candidates.iter().map(|c| c.text.as_str()).collect()
}

fn chat(problem: &str, text: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": problem }, { "role": "assistant", "content": text }] })
}

fn labelled(id: &str, problem: &str, step: &str) -> Value {
    json!({ "id": id, "problem": problem, "steps": [step], "label": -1, "final_answer_correct": true })
}

fn native(id: &str, candidate: usize, problem: &str, text: &str, more: &Value) -> Value {
    let mut row = json!({ "schema_version": 1, "trace_id": id, "candidate": candidate, "problem": problem, "text": text });
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

#[test]
fn samples_of_one_prompt_are_candidates_of_one_problem() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [chat("2 + 2?", "=4"), chat("2 + 2?", "=5"), chat("3 + 3?", "=6"), chat("2 + 2?", "=4"), chat("3 + 3?", "=7")];
    let file = write(dir.path(), "chat.jsonl", &rows);
    let traces = all(&open(&[&file]));
    assert_eq!(
        traces.iter().map(texts).collect::<Vec<_>>(),
        [vec!["=4", "=5", "=4"], vec!["=6", "=7"]],
        "a text that came twice counts twice"
    );
    assert_eq!(traces[1].source.as_ref().unwrap().line, 3);
    let apart = Collection::open(&[&file], &Options { apart: true, ..Options::default() }).unwrap();
    apart.wait_all();
    assert_eq!(all(&apart).iter().map(|t| t.candidates.len()).collect::<Vec<_>>(), [1; 5]);
}

#[test]
fn an_id_holds_for_one_problem_only() {
    let dir = tempfile::tempdir().unwrap();
    let same_id =
        write(dir.path(), "a.jsonl", &[labelled("0", "2 + 2?", "4"), labelled("0", "30 - 12?", "18"), labelled("0", "2 + 2?", "5")]);
    assert_eq!(all(&open(&[&same_id])).iter().map(texts).collect::<Vec<_>>(), [vec!["4", "5"], vec!["18"]]);
    let none = json!({});
    let lines = [
        native("t", 0, "2 + 2?", "4", &none),
        native("t", 1, "2 + 2?", "5", &none),
        native("t", 0, "30 - 12?", "18", &none),
        native("u", 0, "2 + 2?", "6", &none),
        native("t", 2, "2 + 2?", "7", &none),
    ];
    let same_id = write(dir.path(), "native.jsonl", &lines);
    assert_eq!(all(&open(&[&same_id])).iter().map(texts).collect::<Vec<_>>(), [vec!["4", "5", "7"], vec!["18"], vec!["6"]]);
    // Labelled solutions of one problem with ids of their own are what they were: records by themselves.
    let two = write(dir.path(), "b.jsonl", &[labelled("0", "2 + 2?", "4"), labelled("1", "2 + 2?", "5")]);
    assert_eq!(open(&[&two]).len(), 2);
}

#[test]
fn files_about_the_same_problems_stand_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let scored = |model: &str, shift: f64| {
        let row = |i: usize| {
            let scores = json!({ "reward_model": model, "token_spans": [[0, 2]], "token_rewards": [i as f64 + shift] });
            native(&format!("t{}", i / 2), i % 2, &format!("{} + 0?", i / 2), &format!("={i}"), &scores)
        };
        (0..6).map(row).collect::<Vec<_>>()
    };
    let (a, b) = (write(dir.path(), "a.jsonl", &scored("m", 0.0)), write(dir.path(), "b.jsonl", &scored("n", 10.0)));
    let one = all(&open(&[&a]));
    assert_eq!(all(&open(&[&a, &a])), one, "a file beside itself");
    let both = all(&open(&[&a, &b]));
    assert_eq!(both.iter().map(texts).collect::<Vec<_>>(), one.iter().map(texts).collect::<Vec<_>>());
    for c in both.iter().flat_map(|t| &t.candidates) {
        let value = |name: &str| c.signal(name).map(Signal::tokens).unwrap()[0].value;
        assert_eq!((c.signals.len(), value("reward:n")), (2, value("reward") + 10.0));
    }
    // Another format of the same problems, without ids.
    let more = write(dir.path(), "more.jsonl", &[chat("1 + 0?", "=1"), chat("1 + 0?", "=2"), chat("9 + 0?", "=9")]);
    let three = all(&open(&[&a, &more]));
    assert_eq!(three.iter().map(|t| t.candidates.len()).collect::<Vec<_>>(), [2, 3, 2, 1], "{three:?}");
    let by: Vec<_> = three[1].candidates.iter().map(|c| (c.text.as_str(), c.policy.as_deref())).collect();
    assert_eq!(by, [("=2", Some("a")), ("=3", Some("a")), ("=1", Some("more"))]);
}

#[test]
fn numbers_of_problems_are_stable_while_lines_come() {
    let dir = tempfile::tempdir().unwrap();
    let filler = "x".repeat(1000);
    let rows: Vec<Value> = (0..6000).map(|i| chat(&format!("{} + 0?", if i % 2 == 0 { 0 } else { i }), &format!("{i} {filler}"))).collect();
    let file = write(dir.path(), "many.jsonl", &rows);
    let mut source = Recorded::new(Collection::open(&[&file], &Options::default()).unwrap());
    while source.known().0 == 0 {
        std::thread::yield_now();
    }
    let early = source.read(0).unwrap().candidates.len();
    while !source.known().1 {
        std::thread::yield_now();
    }
    assert_eq!(source.known(), (3001, true));
    let grown = source.grown();
    assert_eq!(grown, if early < 3000 { vec![0] } else { vec![] }, "{early}");
    assert!(source.grown().is_empty());
    assert_eq!((source.read(0).unwrap().candidates.len(), source.read(1).unwrap().problem.as_str()), (3000, "1 + 0?"));
}

#[test]
fn draws_of_files_without_groups_are_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<Value> = (0..50).map(|i| labelled(&i.to_string(), &format!("{i}?"), "4")).collect();
    let file = write(dir.path(), "p.jsonl", &rows);
    let drawn = draw(&open(&[&file]), 8);
    assert_eq!(drawn, draw(&open(&[&file]), 8));
    assert_eq!(drawn, DRAWN);
}

/// What `--problems 8` drew of 50 records before records were grouped.
const DRAWN: [usize; 8] = [1, 6, 8, 9, 21, 27, 28, 38];

fn run(args: &[&str], input: Option<&str>) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reasonscope"));
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command.args(args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if let Some(input) = input {
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

/// Trace ids and candidate numbers of native lines.
fn shape(lines: &str) -> Vec<(String, u64)> {
    let row = |l: &str| serde_json::from_str::<Value>(l).unwrap();
    lines.lines().map(row).map(|v| (v["trace_id"].as_str().unwrap().to_owned(), v["candidate"].as_u64().unwrap())).collect()
}

#[test]
fn commands_see_problems_and_not_lines() {
    let dir = tempfile::tempdir().unwrap();
    let problem = "Ben has 12 pears. He gives 5 pears to Mia. How many pears does Ben have left?";
    let other = problem.replace("12", "13");
    let rows = [chat(problem, "12 - 5 = 7."), chat(&other, "13 - 5 = 8."), chat(problem, "12 - 5 = 6.")];
    let file = write(dir.path(), "chat.jsonl", &rows);
    let want = [("openai-chat-0".to_owned(), 0), ("openai-chat-0".to_owned(), 1), ("openai-chat-1".to_owned(), 0)];
    let (out, err, code) = run(&["score", "--reward", "embedded", &file], None);
    assert_eq!((shape(&out), code), (want.to_vec(), 0), "{err}");
    let (out, err, code) = run(&["score", "--reward", "embedded", &file, "--no-group"], None);
    assert!(code == 0 && shape(&out).iter().all(|s| s.1 == 0) && shape(&out).len() == 3, "{err}");
    let (out, err, code) = run(&["score", "--reward", "embedded", &file, &file], None);
    assert_eq!((shape(&out), code), (want.to_vec(), 0), "{err}");
    // What comes from standard input is used while it comes: lines side by side are one problem.
    let (out, err, code) = run(&["score", "--reward", "embedded", "-"], Some(&std::fs::read_to_string(&file).unwrap()));
    assert!(code == 0 && shape(&out).len() == 3 && shape(&out).iter().all(|s| s.1 == 0), "{err}");
    let (out, _, code) = run(&["generate", "--problems", &file, "-n", "1", "--max-tokens", "4"], None);
    assert_eq!((out.lines().count(), code), (2, 0));
    // What was done is known when the run is resumed.
    let scored = dir.path().join("scored.jsonl").display().to_string();
    assert_eq!(run(&["score", "--reward", "embedded", &file, "-o", &scored], None).2, 0);
    let before = std::fs::read_to_string(&scored).unwrap();
    let (_, err, code) = run(&["score", "--reward", "embedded", &file, "-o", &scored, "--resume"], None);
    assert!(code == 0 && err.contains("2 traces were there already"), "{err}");
    assert_eq!(std::fs::read_to_string(&scored).unwrap(), before);
}

//! The same candidates through every door: what `score` writes, what the inspector shows, what `eval` reads and picks, what `generate` grades. Answers,
//! verdicts, votes, ranks, picks and first deviations are one.

use crate::tui_fixture::{Screen, Setup};
use reasonscope::collection::{self, Collection};
use reasonscope::eval::ScoredTrace;
use reasonscope::eval::metrics::methods::main_method;
use reasonscope::eval::metrics::rerank::{Method, per_problem_at};
use reasonscope::format::to_lines;
use reasonscope::task::Task;
use reasonscope::trace::{Aggregation, Calibration, Granularity, Trace, candidate_scores, default_signal, ranks};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Problems of each file of real data.
const PROBLEMS: usize = 12;

fn run(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn open(path: &Path, task: Option<Task>) -> Vec<Trace> {
    let options = collection::Options { task, ..collection::Options::default() };
    let collection = Collection::open(&[path.to_str().unwrap()], &options).unwrap();
    collection.wait_all();
    (0..collection.len().min(PROBLEMS)).map(|i| Trace::clone(&collection.get(i).unwrap())).collect()
}

/// What the inspector shows of a candidate: its rank, whether its answer is right, and the first deviation that is predicted, from 1.
#[derive(Debug, PartialEq)]
struct Shown {
    rank: Option<usize>,
    right: Option<bool>,
    deviation: Option<usize>,
}

/// What a screen says of a problem: its candidates in their order, the answer of the majority and its votes.
fn shown(trace: &Trace) -> (Vec<Shown>, Option<(String, usize)>) {
    let n = trace.candidates.len();
    let mut screen = Screen::with(Setup { size: (120, 60 + 6 * n as u16), ..Setup::default() }, vec![trace.clone()]);
    // What lies outside of what the embedded model has learned is ranked and marked all the same.
    screen.keys("enter v !");
    let text = screen.text();
    let lines: Vec<Vec<char>> = text.lines().map(|l| l.chars().collect()).collect();
    let find = |line: &[char], word: &str| {
        let word: Vec<char> = word.chars().collect();
        line.windows(word.len()).position(|w| w == word)
    };
    if n == 1 {
        // No board for one: the title has its verdict, and the line before the step says where it deviates.
        let title = text.lines().next().unwrap_or_default();
        let verdict = title.split(" · ").find_map(|part| part.strip_prefix("answer ")).unwrap_or_default();
        let right = if verdict.ends_with('✓') { Some(true) } else { verdict.ends_with('✗').then_some(false) };
        let mark = text.lines().position(|l| l.contains("✗ first deviation ·"));
        let number = |line: &str| line.rsplit('│').nth(1)?.trim_start_matches('┃').split_whitespace().next()?.parse().ok();
        let deviation = mark.map(|at| text.lines().nth(at + 1).and_then(number).unwrap_or_else(|| panic!("no step:\n{text}")));
        return (vec![Shown { rank: Some(1), right, deviation }], None);
    }
    let head = lines.iter().position(|l| find(l, " rank #").is_some()).unwrap_or_else(|| panic!("no board:\n{text}"));
    let at = |word: &str| 1 + find(&lines[head], &format!(" {word} ")).unwrap_or_else(|| panic!("no {word}:\n{text}"));
    let (rank, answer, pred) = (at("rank"), at("answer"), at("pred"));
    let mut rows: Vec<Option<Shown>> = (0..n).map(|_| None).collect();
    for line in &lines[head + 1..] {
        let cell = |from: usize, to: usize| line.get(from..to.min(line.len())).unwrap_or_default().iter().collect::<String>();
        let number = |text: &str| text.trim().chars().filter(char::is_ascii_digit).collect::<String>().parse::<usize>().ok();
        let name = cell(rank + 5, rank + 9);
        let Some(index) = name.starts_with('#').then(|| number(&name)).flatten() else { break };
        let verdict = cell(answer, pred);
        let deviation = cell(pred, pred + 6);
        rows[index - 1] = Some(Shown {
            rank: number(&cell(rank, rank + 4)),
            right: if verdict.trim_end().ends_with('✓') { Some(true) } else { verdict.trim_end().ends_with('✗').then_some(false) },
            deviation: deviation.contains('✗').then(|| number(&deviation)).flatten(),
        });
    }
    let rows = rows.into_iter().map(|r| r.unwrap_or_else(|| panic!("a row is missing:\n{text}"))).collect();
    let majority = text.lines().find_map(|l| l.split_once("majority ")).map(|(_, rest)| {
        let (answer, rest) = rest.split_once(" ×").unwrap_or_else(|| panic!("no votes:\n{text}"));
        let votes: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (answer.to_owned(), votes.parse().unwrap())
    });
    (rows, majority)
}

/// Opens a file at every door and holds what they say against each other.
fn all_doors(corpus: &str, path: &Path, task: Option<Task>, dir: &Path) {
    let scored = dir.join(format!("{corpus}.scored.jsonl"));
    let task_flag = task.map(|t| vec!["--task", t.name()]).unwrap_or_default();
    run(&[&["score", path.to_str().unwrap(), "--reward", "embedded", "--trust", "-o", scored.to_str().unwrap()], &task_flag[..]].concat());
    let lines: Vec<Value> = std::fs::read_to_string(&scored).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let unscored = open(path, task);
    let traces = open(&scored, task);
    assert!(!traces.is_empty() && traces.len() == unscored.len(), "{corpus}");
    let mut lines = lines.iter();
    let (mut marked, mut voted) = (0, 0);
    for (trace, before) in traces.iter().zip(&unscored) {
        let read = ScoredTrace::from_trace(trace, Granularity::Dense, task.and_then(Task::kind));
        let name = default_signal(&trace.candidates).unwrap_or_else(|| panic!("{corpus}: nothing ranks {}", trace.id)).to_owned();
        let signal = trace.candidates.iter().find_map(|c| c.signal(&name)).unwrap();
        let reading = signal.full_reading(&signal.threshold.as_ref().map_or_else(|| name.parse().unwrap(), |t| t.reading.clone()));
        let scores = candidate_scores(&trace.candidates, &reading, Granularity::Dense, Aggregation::Mean);
        let places = ranks(&scores);
        let (rows, majority) = shown(trace);
        for (i, (candidate, row)) in trace.candidates.iter().zip(&rows).enumerate() {
            let line = lines.next().unwrap();
            let place = format!("{corpus}, {} #{i}", trace.id);
            assert_eq!((line["trace_id"].as_str(), line["candidate"].as_u64()), (Some(trace.id.as_str()), Some(i as u64)), "{place}");
            // Answers and verdicts: the file before, what `score` wrote, what opens, what `eval` reads.
            assert_eq!((&candidate.answer, candidate.correct), (&before.candidates[i].answer, before.candidates[i].correct), "{place}");
            assert_eq!((line["answer"].as_str(), line["correct"].as_bool()), (candidate.answer.as_deref(), candidate.correct), "{place}");
            assert_eq!(read.candidates[i].correct, candidate.correct == Some(true), "{place}");
            let first = line["first_deviation"].as_i64().and_then(|step| usize::try_from(step).ok());
            marked += usize::from(first.is_some());
            let right = candidate.correct.filter(|_| candidate.answer.is_some());
            // What marks steps is the reward that was asked for; where the file's own number knows steps it is that one's to mark.
            let by_reward = name == reasonscope::trace::REWARD || !signal.has_steps();
            let deviation = if by_reward { first.map(|step| step + 1) } else { row.deviation };
            assert_eq!(*row, Shown { rank: places[i], right, deviation }, "{place}");
        }
        // Picks: the first by rank is what best-of-N picks.
        let Method::Best(best) = main_method(std::slice::from_ref(&read), Some(&reading), Aggregation::Mean, &Calibration::default())
        else {
            panic!("{corpus}: no reading of {name}")
        };
        let accuracy = |method: Method| {
            per_problem_at(&[method], std::slice::from_ref(&read), &[read.candidates.len()]).unwrap_or_else(|e| panic!("{corpus}: {e}"))[0]
                [0]
        };
        let right = |i: usize| f64::from(u8::from(read.candidates[i].correct));
        let first = places.iter().position(|p| *p == Some(1)).unwrap_or(0);
        assert_eq!(accuracy(Method::Best(best)), right(first), "{corpus}, {}: {places:?}", trace.id);
        // Votes.
        if let Some(vote) = read.ballot().votes(|_| Some(1.0)).first().filter(|_| trace.candidates.len() > 1) {
            let (answer, count) = majority.unwrap_or_else(|| panic!("{corpus}, {}: no majority on screen", trace.id));
            assert_eq!(count, vote.candidates.len(), "{corpus}, {}", trace.id);
            let (head, tail) = answer.split_once('…').unwrap_or((answer.as_str(), ""));
            assert!(
                vote.answer.starts_with(head.trim_end()) && vote.answer.ends_with(tail.trim_start()),
                "{corpus}, {}: {answer}",
                trace.id
            );
            assert_eq!(accuracy(Method::Majority), right(vote.candidates[0]), "{corpus}, {}", trace.id);
            voted += 1;
        }
    }
    let several = traces.iter().any(|t| t.candidates.len() > 1);
    assert!(marked > 0 && (voted > 0 || !several), "{corpus}: {marked} marked, {voted} voted: nothing was compared");
}

/// The first problems of a file as a native file.
fn part(corpus: &str, path: &Path, task: Option<Task>, dir: &Path) -> PathBuf {
    let out = dir.join(format!("{corpus}.jsonl"));
    let mut lines = String::new();
    for trace in &mut open(path, task) {
        trace.candidates.truncate(8);
        lines.extend(to_lines(trace, None).into_iter().map(|l| l + "\n"));
    }
    std::fs::write(&out, lines).unwrap();
    out
}

#[test]
fn samples_of_every_kind_are_one_thing_at_every_door() {
    let dir = tempfile::tempdir().unwrap();
    for (corpus, task) in
        [("gsm8k_solutions", None), ("gsm8k_pool", Some(Task::Gsm8k)), ("best_of_n", Some(Task::Math)), ("mmlu_pro_outputs", None)]
    {
        all_doors(corpus, &PathBuf::from(format!("samples/{corpus}.jsonl")), task, dir.path());
    }
}

#[test]
fn real_candidates_are_one_thing_at_every_door() {
    let data = std::env::var_os("REASONSCOPE_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let dir = tempfile::tempdir().unwrap();
    for (corpus, file, task) in [
        ("solutions", "gsm8k/example_model_solutions.jsonl.gz", Task::Gsm8k),
        ("pool", "gsm8k_pool/even_questions.jsonl.gz", Task::Gsm8k),
        ("math", "math_best_of_8/math_cot_100.jsonl.gz", Task::Math),
        ("mmlu_pro", "mmlu_pro/outputs_mathstral-7B.jsonl.gz", Task::MmluPro),
    ] {
        let path = data.join(file);
        if !path.exists() {
            eprintln!("skipped: no {}; set REASONSCOPE_DATA", path.display());
            continue;
        }
        all_doors(corpus, &part(corpus, &path, Some(task), dir.path()), Some(task), dir.path());
    }
}

#[test]
fn what_is_generated_is_one_thing_at_every_door() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("live.jsonl");
    run(&[
        "generate",
        "--policy",
        "embedded",
        "--problems",
        "samples/problems.jsonl",
        "-n",
        "4",
        "--seed",
        "3",
        "-o",
        out.to_str().unwrap(),
    ]);
    let generated: Vec<Value> = std::fs::read_to_string(&out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let opened = open(&out, None);
    let graded: Vec<(Option<&str>, Option<bool>)> =
        opened.iter().flat_map(|t| &t.candidates).map(|c| (c.answer.as_deref(), c.correct)).collect();
    let written: Vec<(Option<&str>, Option<bool>)> = generated.iter().map(|l| (l["answer"].as_str(), l["correct"].as_bool())).collect();
    assert_eq!(written[..graded.len()], graded);
    all_doors("live", &out, None, dir.path());
}

//! `convert`: what is written is read again as it was, as far as the format can say it, and what is lost is said.

use flate2::read::GzDecoder;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reasonscope::collection::Collection;
use reasonscope::format::write::{Lost, Options, Rows, Survey, Target, Writer};
use reasonscope::format::{self, TraceList};
use reasonscope::trace::{Candidate, FinishReason, GoldDeviation, Signal, Span, Step, StepKind, Token, TokenValue, Trace};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const RECORDS: [Target; 5] = [Target::ProcessBench, Target::Prm800k, Target::Stepwise, Target::MathShepherd, Target::Chat];

/// What texts are made of: the traps of every format among them.
const PIECES: [&str; 40] = [
    "a",
    "so",
    "12",
    "\n",
    "\n\n",
    "\n\n\n",
    " ",
    "  ",
    "\t",
    "\r\n",
    "é",
    "日本",
    "👩‍🔬",
    "e\u{301}",
    "\u{202e}",
    "\u{2028}",
    "\u{a0}",
    "ки",
    "оценки",
    "Step 1:",
    "Step 2: x",
    "# Answer\n\n",
    "<think>",
    "</think>",
    "+",
    "-",
    "=1+1",
    "\"",
    "'",
    "\\",
    "\u{0}",
    "\u{7f}",
    "\\boxed{3}",
    "The answer is: 4",
    "```",
    "| x |",
    "{\"a\":1}",
    ",",
    "#### 5",
    "\u{feff}",
];

fn text(rng: &mut ChaCha8Rng, most: usize) -> String {
    (0..rng.random_range(0..=most)).map(|_| PIECES[rng.random_range(0..PIECES.len())]).collect()
}

/// Steps in order, some of nothing, some with outer whitespace, some with text between them.
fn steps(rng: &mut ChaCha8Rng, text: &str) -> Vec<Step> {
    let cuts: Vec<usize> = text.char_indices().map(|c| c.0).chain([text.len()]).collect();
    let mut ends: Vec<usize> = (0..2 * rng.random_range(0..6)).map(|_| cuts[rng.random_range(0..cuts.len())]).collect();
    ends.sort_unstable();
    if rng.random_bool(0.5) && !ends.is_empty() {
        // Nothing stands outside.
        let last = ends.len() - 1;
        (ends[0], ends[last]) = (0, text.len());
        (1..last).step_by(2).for_each(|i| ends[i] = ends[i + 1]);
    }
    let step = |pair: &[usize]| {
        let whole = &text[pair[0]..pair[1]];
        let lead = whole.len() - whole.trim_start().len();
        let trimmed = Span::new(pair[0] + lead.min(whole.len()), pair[0] + lead.min(whole.len()) + whole.trim().len());
        Step { span: trimmed, ..Step::default() }
    };
    ends.chunks_exact(2).map(step).collect()
}

fn candidate(rng: &mut ChaCha8Rng) -> Candidate {
    let text = text(rng, 14);
    let mut steps = steps(rng, &text);
    let scale: &[f32] = [&[0.0, 1.0][..], &[-1.0, 0.0, 1.0], &[0.0, 0.25, 0.75, 1.0]][rng.random_range(0..3)];
    let labels = rng.random_range(0..3);
    for step in &mut steps {
        step.label = (labels == 0 || (labels == 1 && rng.random_bool(0.8))).then(|| scale[rng.random_range(0..scale.len())]);
        step.kind = if rng.random_bool(0.1) { StepKind::Answer } else { StepKind::Reasoning };
    }
    let gold = match rng.random_range(0..3) {
        0 => None,
        1 => Some(GoldDeviation::None),
        _ => (!steps.is_empty()).then(|| GoldDeviation::Step(rng.random_range(0..steps.len()))),
    };
    let token = |s: &Step| Token { id: Some(7), span: s.span, logprob: Some(-0.25), entropy: Some(0.5) };
    let tokens = if rng.random_bool(0.3) { steps.iter().map(token).collect() } else { Vec::new() };
    let mut signals = Vec::new();
    if rng.random_bool(0.3) {
        signals.push(Signal::given_steps("score", steps.iter().map(|_| rng.random_bool(0.9).then_some(0.5)).collect()));
        signals.push(Signal::given("=outcome", 2.5));
    }
    Candidate {
        tokens,
        signals,
        gold,
        answer: rng.random_bool(0.3).then(|| "4".into()),
        correct: rng.random_bool(0.5).then(|| rng.random_bool(0.5)),
        policy: rng.random_bool(0.5).then(|| format!("m{}", rng.random_range(0..3))),
        finish: [None, Some(FinishReason::Stop), Some(FinishReason::Length), Some(FinishReason::Cancelled)][rng.random_range(0..4)].clone(),
        extra: rng.random_bool(0.2).then(|| "{\"more\":[1]}".into()),
        text,
        steps,
        ..Candidate::default()
    }
}

fn trace(rng: &mut ChaCha8Rng, number: usize) -> Trace {
    let candidates = (0..rng.random_range(1..4)).map(|_| candidate(rng)).collect();
    let gold_answer = rng.random_bool(0.5).then(|| "4".into());
    Trace { id: format!("t-{number}"), problem: format!("{number} {}", text(rng, 4)), gold_answer, candidates, ..Trace::default() }
}

fn written(target: Target, options: &Options, traces: &[Trace]) -> (Survey, Vec<u8>) {
    let mut survey = Survey::new(target, options);
    traces.iter().for_each(|t| survey.add(t).unwrap());
    let mut writer = Writer::new(Vec::new(), &survey, target, options.clone()).unwrap();
    traces.iter().for_each(|t| writer.add(t).unwrap());
    (survey, writer.finish().unwrap())
}

fn read(dir: &Path, name: &str, bytes: &[u8]) -> Vec<Trace> {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    let list = TraceList::open(&[path.to_str().unwrap()], format::Options::default()).unwrap();
    let traces: Vec<Trace> = list.iter().collect::<Result<_, _>>().unwrap_or_else(|e| panic!("{e}"));
    assert!(list.errors().is_empty(), "{name}: {:?}\n{}", list.errors(), String::from_utf8_lossy(bytes));
    traces
}

fn bare(c: &Candidate) -> Vec<&str> {
    c.steps.iter().map(|s| s.span.of(&c.text).trim()).collect()
}

/// A step without Math-Shepherd's head and mark.
fn headless(step: &str, at: usize) -> &str {
    let step = step.strip_suffix("ки").map_or(step, str::trim_end);
    step.strip_prefix(&format!("Step {}:", at + 1)).unwrap_or(step).trim()
}

#[test]
fn what_a_format_can_say_is_read_again() {
    let (mut rng, dir) = (ChaCha8Rng::seed_from_u64(7), tempfile::tempdir().unwrap());
    let mut held = [0; RECORDS.len()];
    for number in 0..300 {
        let all = trace(&mut rng, number);
        for (i, c) in all.candidates.iter().enumerate() {
            let one = Trace { candidates: vec![c.clone()], ..all.clone() };
            for (at, target) in RECORDS.into_iter().enumerate() {
                let (survey, bytes) = written(target, &Options::default(), std::slice::from_ref(&one));
                let at_hand = || format!("{} candidate {i} of {one:#?}\n{}\n{:?}", target.name(), String::from_utf8_lossy(&bytes), survey);
                if survey.written() == 0 {
                    let unlabelled = c.steps.is_empty() || c.steps.iter().any(|s| s.label.is_none());
                    let may = match target {
                        Target::ProcessBench => {
                            c.gold.is_none() && (unlabelled || c.steps.iter().any(|s| s.label.is_some_and(|l| l.fract() != 0.0)))
                        }
                        Target::Prm800k => c.steps.is_empty() || (c.gold.is_none() && c.steps.iter().all(|s| s.label.is_none())),
                        Target::Stepwise => unlabelled,
                        Target::MathShepherd => {
                            unlabelled || one.problem.contains("ки") || ["ки", "Step 1:", "think>"].iter().any(|m| c.text.contains(m))
                        }
                        _ => false,
                    };
                    assert!(may && survey.refusals().len() == 1, "{}", at_hand());
                    continue;
                }
                held[at] += 1;
                let again = read(dir.path(), "one.jsonl", &bytes).remove(0);
                let a = &again.candidates[0];
                let lost = |what: Lost| survey.losses().counts.contains_key(&what);
                let kept = |what: Lost, same: bool| assert!(lost(what) || same, "{what:?}: {}", at_hand());
                kept(Lost::Problems, again.problem == one.problem);
                assert_eq!(again.problem.trim(), one.problem.trim());
                kept(Lost::Names, again.id == one.id);
                kept(Lost::References, again.gold_answer == one.gold_answer || one.gold_answer.is_none());
                kept(Lost::FirstWrong, a.gold == c.gold || c.gold.is_none());
                kept(Lost::Labels, a.steps.iter().zip(&c.steps).all(|(a, c)| a.label == c.label || c.label.is_none()));
                kept(Lost::Policies, a.policy == c.policy || c.policy.is_none());
                kept(Lost::Ends, a.finish == c.finish || c.finish.is_none());
                kept(Lost::Tokens, a.tokens.len() == c.tokens.len());
                let listed = [Lost::Texts, Lost::Outside, Lost::Spacing, Lost::Cuts].into_iter().any(lost);
                if target == Target::Chat {
                    assert!(!lost(Lost::Names), "{}", at_hand());
                    kept(Lost::Texts, a.text.split_whitespace().eq(c.text.split_whitespace()));
                    kept(Lost::Cuts, listed || a.steps.iter().map(|s| s.span).eq(c.steps.iter().map(|s| s.span)));
                } else if target == Target::MathShepherd {
                    let same = a.steps.len() == c.steps.len()
                        && bare(a).iter().zip(bare(c)).enumerate().all(|(i, (a, c))| headless(a, i) == headless(c, i));
                    assert!(same, "{}", at_hand());
                } else if !c.steps.is_empty() {
                    assert_eq!(bare(a), bare(c), "{}", at_hand());
                    assert!(listed || a.text == c.text, "{}", at_hand());
                }
                assert_eq!(survey.losses().signals.len(), c.signals.iter().filter(|s| s.has_values()).count(), "{}", at_hand());
                // A second time nothing more is lost.
                let (_, twice) = written(target, &Options::default(), std::slice::from_ref(&again));
                let last = read(dir.path(), "two.jsonl", &twice).remove(0);
                assert_eq!((bare(&last.candidates[0]), &last.problem), (bare(a), &again.problem), "{}", at_hand());
                assert_eq!((last.candidates[0].gold, last.candidates[0].correct), (a.gold, a.correct));
            }
        }
    }
    assert!(held.iter().all(|n| *n > 60), "the test holds nothing: {held:?}");
}

#[test]
fn whole_traces_keep_their_candidates_in_order() {
    let (mut rng, dir) = (ChaCha8Rng::seed_from_u64(11), tempfile::tempdir().unwrap());
    let traces: Vec<Trace> = (0..200).map(|i| trace(&mut rng, i)).collect();
    for target in RECORDS {
        for array in [false, true] {
            let options = Options { array, ..Options::default() };
            let (survey, bytes) = written(target, &options, &traces);
            let again = read(dir.path(), &format!("{}.json", target.name()), &bytes);
            let candidates: Vec<&Candidate> = again.iter().flat_map(|t| &t.candidates).collect();
            assert_eq!(
                (candidates.len(), candidates.len() + survey.left_out()),
                (survey.written(), traces.iter().map(|t| t.candidates.len()).sum())
            );
            // Those that are there stand in the order of the traces.
            let mut all = traces.iter().flat_map(|t| &t.candidates);
            for c in candidates {
                let same = |o: &&Candidate| {
                    let (a, b) = (bare(c), bare(o));
                    let listed = a.len() == b.len() && a.iter().zip(&b).enumerate().all(|(i, (a, b))| headless(a, i) == headless(b, i));
                    listed
                        || o.text == c.text
                        || (o.steps.is_empty() && o.text.trim() == c.text.trim())
                        || (target == Target::Chat && o.text.split_whitespace().eq(c.text.split_whitespace()))
                };
                assert!(all.any(|o| same(&o)), "{}: {c:?}", target.name());
            }
        }
    }
    // Native records say everything.
    let (_, bytes) = written(Target::Native, &Options::default(), &traces);
    for (again, trace) in read(dir.path(), "native.jsonl", &bytes).iter().zip(&traces) {
        assert_eq!((&again.id, &again.problem, &again.gold_answer), (&trace.id, &trace.problem, &trace.gold_answer));
        assert_eq!(again.candidates, trace.candidates);
    }
}

/// PRM800K's tree becomes candidates, and these the same tree.
#[test]
fn a_tree_of_completions_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let traces = read(dir.path(), "in.jsonl", &std::fs::read("samples/prm800k.jsonl").unwrap());
    assert!(traces.iter().any(|t| t.candidates.len() > 1));
    let (survey, bytes) = written(Target::Prm800k, &Options::default(), &traces);
    assert_eq!(String::from_utf8_lossy(&bytes).lines().count(), traces.len(), "a record a tree");
    let again = read(dir.path(), "again.jsonl", &bytes);
    // Who labelled it and how long that took has no place in a candidate's record, and is said to be lost.
    let bare = |all: &[Trace]| {
        let candidates = |t: &Trace| t.candidates.iter().map(|c| Candidate { extra: None, ..c.clone() }).collect::<Vec<_>>();
        all.iter().map(|t| (t.problem.clone(), t.gold_answer.clone(), candidates(t))).collect::<Vec<_>>()
    };
    assert_eq!(bare(&again), bare(&traces));
    let losses = survey.losses();
    assert!(losses.counts.is_empty() && losses.signals.is_empty(), "{losses:?}");
    assert_eq!(losses.fields.keys().map(String::as_str).collect::<Vec<_>>(), ["finish_reason", "labeler", "total_time"]);
    for (name, target) in
        [("processbench.jsonl", Target::ProcessBench), ("stepwise.jsonl", Target::Stepwise), ("math_shepherd.jsonl", Target::MathShepherd)]
    {
        let traces = read(dir.path(), name, &std::fs::read(format!("samples/{name}")).unwrap());
        let (survey, bytes) = written(target, &Options::default(), &traces);
        let losses = survey.losses();
        assert!(losses.counts.is_empty() && losses.signals.is_empty() && survey.left_out() == 0, "{name}: {survey:?}");
        assert_eq!(bare(&read(dir.path(), name, &bytes)), bare(&traces), "{name}");
    }
}

/// A trace whose signals are of every level.
fn signalled() -> Trace {
    let text = "-1 is\nβ, \"two\"";
    let step = |start, end, label| Step { span: Span::new(start, end), label, ..Step::default() };
    let reward = |start, end, value| TokenValue { span: Span::new(start, end), value };
    let c = Candidate {
        text: text.into(),
        steps: vec![step(0, 5, Some(1.0)), step(6, text.len(), Some(0.0))],
        signals: vec![
            Signal::given("correct", 0.5),
            Signal::given_steps("score", vec![Some(0.25), None]),
            Signal::reward("m", vec![reward(0, 5, 1.0), reward(5, text.len(), -2.0)]),
        ],
        policy: Some("p".into()),
        gold: Some(GoldDeviation::Step(1)),
        correct: Some(false),
        ..Candidate::default()
    };
    let other = Candidate { text: "=A1".into(), steps: vec![step(0, 3, None)], ..Candidate::default() };
    Trace { id: "t".into(), problem: "p, q\n?".into(), candidates: vec![c, other], ..Trace::default() }
}

#[test]
fn a_table_has_a_row_each_and_a_column_a_signal() {
    let (survey, bytes) = written(Target::Csv, &Options::default(), &[signalled()]);
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "problem_id,index,problem,gold_answer,policy,completion,predicted_answer,correct,labelled,first_error_index,finish_reason,signal:correct,score,reward\n\
         t,0,\"p, q\n?\",,p,\"-1 is\nβ, \"\"two\"\"\",,false,true,1,,0.5,0.25,-0.5\n\
         t,1,\"p, q\n?\",,,=A1,,,false,,,,,\n"
    );
    let counts = &survey.losses().counts;
    assert_eq!(
        (counts.get(&Lost::Cuts), counts.get(&Lost::Labels), counts.get(&Lost::Values), counts.len()),
        (Some(&1), Some(&1), Some(&1), 3)
    );
    assert!(survey.notes().concat().contains("2 cells of text begin with"), "{:?}", survey.notes());
    let options = Options { rows: Rows::Step, ..Options::default() };
    let (survey, bytes) = written(Target::Csv, &options, &[signalled()]);
    let said = String::from_utf8(bytes).unwrap();
    assert!(said.starts_with("problem_id,index,problem,gold_answer,policy,step_text,predicted_answer,correct,labelled,first_error_index,finish_reason,step_index,step_kind,step_label,signal:correct,"));
    assert!(said.contains(",-1 is,,false,true,1,,0,reasoning,1.0,0.5,0.25,1.0\n"), "{said}");
    assert!(said.contains(",\"β, \"\"two\"\"\",,false,true,1,,1,reasoning,0.0,0.5,,-2.0\n"), "{said}");
    assert_eq!(survey.losses().counts.keys().collect::<Vec<_>>(), [&Lost::Spacing, &Lost::Values]);
    // A signal that would need too many columns.
    let many = |i: usize| Candidate { signals: vec![Signal::given(format!("s{i}"), 1.0)], ..Candidate::default() };
    let many = Trace { candidates: (0..1001).map(many).collect(), ..Trace::default() };
    assert!(Survey::new(Target::Csv, &Options::default()).add(&many).unwrap_err().to_string().contains("--to"));
}

/// Tables of candidates are read as what they are.
#[test]
fn a_table_of_candidates_opens_again() {
    let (dir, mut rng) = (tempfile::tempdir().unwrap(), ChaCha8Rng::seed_from_u64(5));
    let plain = |i: usize, rng: &mut ChaCha8Rng| {
        let c = |k: usize| Candidate {
            text: format!("candidate {k} of {i}\n\nso é, \"{}\"", rng.random_range(0..100)),
            correct: Some(k == 0),
            policy: Some(format!("m{k}")),
            signals: vec![Signal::given("help", k as f32 + 0.5)],
            ..Candidate::default()
        };
        let mut c = c;
        Trace {
            id: format!("p-{i}"),
            problem: format!("Problem {i}, with\na line"),
            gold_answer: Some("4".into()),
            candidates: (0..2).map(&mut c).collect(),
            ..Trace::default()
        }
    };
    let traces: Vec<Trace> = (0..20).map(|i| plain(i, &mut rng)).collect();
    let targets = if cfg!(feature = "parquet") { vec![Target::Csv, Target::Parquet] } else { vec![Target::Csv] };
    for target in targets {
        let (_, bytes) = written(target, &Options::default(), &traces);
        let path = dir.path().join(format!("a.{}", target.name())).display().to_string();
        std::fs::write(&path, bytes).unwrap();
        let opened = Collection::open(&[&path], &reasonscope::collection::Options::default());
        let Ok(opened) = opened else { return println!("skipped: tables are not read by this build") };
        opened.wait_all();
        let again: Vec<Trace> = (0..opened.len()).map(|i| opened.read(i).unwrap()).collect();
        let said = |t: &Trace| {
            let of = |c: &Candidate| (c.text.clone(), c.correct, c.policy.clone(), c.signal("help").and_then(Signal::whole));
            (t.problem.clone(), t.gold_answer.clone(), t.candidates.iter().map(of).collect::<Vec<_>>())
        };
        assert_eq!(again.iter().map(said).collect::<Vec<_>>(), traces.iter().map(said).collect::<Vec<_>>(), "{}", target.name());
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_has_the_rows_of_csv() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    let (mut rng, dir) = (ChaCha8Rng::seed_from_u64(3), tempfile::tempdir().unwrap());
    let mut traces: Vec<Trace> = (0..50).map(|i| trace(&mut rng, i)).collect();
    traces.push(signalled());
    for rows in [Rows::Candidate, Rows::Step] {
        let options = Options { rows, ..Options::default() };
        let (_, csv) = written(Target::Csv, &options, &traces);
        let (_, bytes) = written(Target::Parquet, &options, &traces);
        let path = dir.path().join("a.parquet");
        std::fs::write(&path, bytes).unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let shown = |f: &Field| match f {
            Field::Null => String::new(),
            Field::Str(s) => s.clone(),
            Field::Float(x) => serde_json::to_string(x).unwrap(),
            other => other.to_string(),
        };
        let found: Vec<Vec<(String, String)>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|r| r.unwrap().get_column_iter().map(|(n, f)| (n.clone(), shown(f))).collect())
            .collect();
        let mut table = csv::Reader::from_reader(csv.as_slice());
        let header = table.headers().unwrap().clone();
        let want: Vec<Vec<(String, String)>> =
            table.records().map(|r| header.iter().zip(r.unwrap().iter()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()).collect();
        assert!(found == want && !found.is_empty(), "{rows:?}");
    }
}

fn run(args: &[&str], input: &[u8]) -> (i32, Vec<u8>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_reasonscope"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that fails early does not read.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_ending_says_the_format_and_nothing_is_replaced_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let starts = [
        ("a.jsonl", "{\"schema_version\":1"),
        ("a.json", "[\n{\"schema_version\":1"),
        ("a.csv", "problem_id,index,problem,"),
        ("a.md", "# samples/native.jsonl\n"),
        ("a.html", "<!DOCTYPE html>"),
        ("a.jsonl.gz", "{\"schema_version\":1"),
    ];
    for (name, start) in starts {
        let (code, _, err) = run(&["convert", "samples/native.jsonl", "-o", &file(name)], b"");
        assert_eq!(code, 0, "{name}: {err}");
        let bytes = std::fs::read(file(name)).unwrap();
        let mut text = String::new();
        if name.ends_with(".gz") {
            GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap()
        } else {
            bytes.as_slice().read_to_string(&mut text).unwrap()
        };
        assert!(text.starts_with(start), "{name}: {text}");
    }
    let (code, _, err) = run(&["convert", "samples/native.jsonl", "-o", &file("a.csv")], b"");
    assert!(code == 1 && err.contains("--force"), "{code} {err}");
    assert_eq!(run(&["convert", "samples/stepwise.jsonl", "--force", "-o", &file("a.csv")], b"").0, 0);
    let (code, _, err) = run(&["convert", "samples/native.jsonl", "-o", &file("a.txt")], b"");
    assert!(code == 2 && err.contains("--to") && err.contains("processbench"), "{code} {err}");
    let (code, _, err) = run(&["convert", &file("a.jsonl"), "--force", "-o", &file("a.jsonl")], b"");
    assert!(code == 1 && err.contains("choose another file"), "{code} {err}");
    // A native array is read as its lines are.
    let (_, lines, _) = run(&["convert", &file("a.jsonl"), "-o", "-"], b"");
    let (_, array, _) = run(&["convert", &file("a.json"), "-o", "-"], b"");
    let texts = |bytes: &[u8]| {
        let value = |l: &str| serde_json::from_str::<serde_json::Value>(l).unwrap();
        String::from_utf8_lossy(bytes).lines().map(|l| (value(l)["trace_id"].clone(), value(l)["text"].clone())).collect::<Vec<_>>()
    };
    assert!(texts(&lines) == texts(&array) && texts(&lines).len() == 3, "{:?}", texts(&array));
    // From a pipe into a pipe.
    let packed = std::fs::read(file("a.jsonl.gz")).unwrap();
    let (code, out, err) = run(&["convert", "-", "--to", "chat", "-o", "-", "-q"], &packed);
    assert!(code == 0 && String::from_utf8_lossy(&out).lines().count() == 3, "{err}");
}

#[test]
fn what_is_lost_is_said_and_strict_refuses_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a.jsonl");
    let (path, scored) = (out.display().to_string(), dir.path().join("in.jsonl"));
    let mut trace = signalled();
    trace.candidates[0].tokens = vec![Token { id: Some(1), span: Span::new(0, 2), ..Token::default() }];
    format::write_file(&scored, [&trace], None).unwrap();
    let scored = scored.display().to_string();
    let (code, _, err) = run(&["convert", &scored, "--to", "processbench", "--strict", "-o", &path], b"");
    assert!(code == 3 && !out.exists(), "{code} {err}");
    for said in [
        "processbench does not hold",
        "tokens of 1 candidate;",
        "labels of single steps of 1 candidate",
        "spacing between the steps",
        "the signals `correct`, `reward`, `score` of 1 candidate",
        "1 candidate is left out (t, candidate 2 first)",
        "+ and -",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
    let (code, _, err) = run(&["convert", &scored, "--to", "processbench", "-o", &path], b"");
    assert!(code == 0 && err.contains("1 candidates of 1 problems written as processbench"), "{err}");
    let again = read(dir.path(), "again.jsonl", &std::fs::read(&out).unwrap());
    assert_eq!((again[0].candidates[0].gold, again[0].candidates[0].correct), (Some(GoldDeviation::Step(1)), Some(false)));
    // Nothing that can be written is an error, and leaves nothing.
    let other = dir.path().join("b.jsonl").display().to_string();
    let (code, _, err) = run(&["convert", "samples/openai_chat.jsonl", "--to", "stepwise", "-o", &other], b"");
    assert!(code == 1 && err.contains("no candidate can be written as stepwise") && !Path::new(&other).exists(), "{code} {err}");
    // Native records lose nothing, and a record tells programs what was lost.
    let (code, _, err) = run(&["convert", &scored, "--strict", "-o", "-"], b"");
    assert!(code == 0 && !err.contains("lost"), "{err}");
    let (_, _, err) = run(&["convert", &scored, "--json", "--to", "csv", "-o", "-"], b"");
    let summary: serde_json::Value = serde_json::from_str(err.lines().last().unwrap()).unwrap();
    assert!(summary["lost"].as_array().is_some_and(|l| l.len() == 4) && summary["candidates"] == 2, "{err}");
}

/// A report as a whole, as the sample has it.
#[test]
fn the_sample_as_a_report() {
    let (code, out, err) = run(&["convert", "samples/native.jsonl", "--to", "markdown", "-o", "-", "-q"], b"");
    assert_eq!(code, 0, "{err}");
    insta::assert_snapshot!("report", String::from_utf8(out).unwrap());
    let (code, page, err) = run(&["convert", "samples/native.jsonl", "--to", "html", "-o", "-", "-q"], b"");
    assert_eq!(code, 0, "{err}");
    let page = String::from_utf8(page).unwrap();
    assert!(
        !page.contains("<script")
            && !page.contains("http")
            && page.contains("prefers-color-scheme:dark")
            && page.contains("first deviation")
    );
}

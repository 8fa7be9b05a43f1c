//! Trace files in and out: samples with their expected results, native round trips, rubbish, real data where there is some.

use flate2::{Compression, write::GzEncoder};
use reasonscope::format::{Format, FormatError, Options, Scoring, TraceList, to_lines, write_file};
use reasonscope::trace::{
    Aggregation, AtWork, Calibration, Candidate, Deviation, Domain, GoldDeviation, Granularity, Measure, Orientation, REWARD, Segmentation,
    Signal, SignalSource, Span, Statistic, Threshold, TokenValue, Trace, segment,
};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Samples that are no traces by themselves.
const PARTS: [&str; 3] = ["mmlu_pro_questions.jsonl", "humaneval_verdicts.jsonl", "chat_problems.jsonl"];
const PROBLEMS: Options = Options { problems: true, follow: false, fields: None };

fn load(path: &str, options: Options) -> (Vec<Trace>, Vec<String>) {
    let list = TraceList::open(&[path], options).unwrap();
    let traces: Vec<Trace> = list.iter().filter_map(Result::ok).collect();
    assert!(list.is_complete());
    let errors: Vec<String> = list.errors().iter().map(ToString::to_string).collect();
    assert_eq!(list.error_count(), errors.len());
    (traces, errors)
}

fn value(traces: &[Trace]) -> Value {
    serde_json::from_str(&serde_json::to_string(traces).unwrap()).unwrap()
}

fn check_spans(traces: &[Trace]) {
    for t in traces {
        for c in &t.candidates {
            let mut end = 0;
            for s in &c.steps {
                assert!(s.span.start >= end && c.text.get(s.span.start..s.span.end).is_some(), "{} {:?}", t.id, s);
                end = s.span.end;
            }
            let spans = c.tokens.iter().map(|t| t.span).chain(c.rewards().iter().map(|r| r.span));
            assert!(spans.into_iter().all(|s| c.text.get(s.start..s.end).is_some()), "{}", t.id);
        }
    }
}

/// `REASONSCOPE_BLESS=1` writes the expected results anew, to be read before they are kept.
#[test]
fn samples_give_their_expected_traces() {
    let names = [
        ("native.jsonl", false, Format::Native),
        ("processbench.json", false, Format::ProcessBench),
        ("processbench.jsonl", false, Format::ProcessBench),
        ("prm800k.jsonl", false, Format::Prm800k),
        ("stepwise.jsonl", false, Format::Stepwise),
        ("math_shepherd.jsonl", false, Format::MathShepherd),
        ("gsm8k.jsonl", false, Format::Gsm8k),
        ("gsm8k_solutions.jsonl", false, Format::Gsm8kSolutions),
        ("gsm8k_pool.jsonl", false, Format::Gsm8kPool),
        ("mmlu_pro_outputs.jsonl", false, Format::MmluPro),
        ("mmlu_pro_questions.jsonl", true, Format::MmluProQuestions),
        ("best_of_n.jsonl", false, Format::BestOfN),
        ("prmbench.jsonl", false, Format::PrmBench),
        ("humaneval_samples.jsonl", false, Format::HumanEvalSamples),
        ("openai_chat.jsonl", false, Format::OpenAiChat),
        ("openai_tools.jsonl", false, Format::OpenAiChat),
        ("openai_completions.jsonl", false, Format::OpenAiCompletions),
        ("openai_responses.jsonl", false, Format::OpenAiResponses),
        ("batch_output.jsonl", false, Format::BatchOutput),
        ("request_response.jsonl", false, Format::Exchange),
        ("anthropic.jsonl", false, Format::Anthropic),
        ("gemini.jsonl", false, Format::Gemini),
        ("vllm_outputs.jsonl", false, Format::Vllm),
        ("sharegpt.jsonl", false, Format::ShareGpt),
        ("ollama.jsonl", false, Format::Ollama),
        ("chat_stream.log", false, Format::ChatStream),
        ("atif.json", false, Format::Atif),
        ("chat_problems.jsonl", true, Format::ChatProblems),
        ("er_prm.jsonl", false, Format::MathShepherd),
        ("math_aps.jsonl", false, Format::SolutionTree),
        ("labelled_turns.jsonl", false, Format::LabelledTurns),
        ("preference_pairs.jsonl", false, Format::Pairs),
        ("s1k.jsonl", false, Format::Thoughts),
        ("verifiers_v1.jsonl", false, Format::Episodes),
        ("problems.jsonl", true, Format::Problems),
        ("problems.txt", true, Format::Text),
    ];
    // Flat records go by their producers' names.
    let flat = [
        "verl",
        "trl-completions",
        "verifiers",
        "lm-eval",
        "search-and-learn",
        "openr1-math",
        "bigbench-mistake",
        "mr-gsm8k",
        "records",
        "solutions",
    ];
    let flat = flat.map(|name| (format!("{}.jsonl", name.replace('-', "_")), false, name));
    let names = names.into_iter().map(|(file, problems, format)| (file.to_owned(), problems, format.name())).chain(flat);
    for (name, problems, format) in names {
        let path = format!("samples/{name}");
        let list = TraceList::open(&[&path], Options { problems, ..Options::default() }).unwrap();
        let files: Vec<_> = list.files().into_iter().map(|(file, format)| (file, format.name())).collect();
        assert_eq!(files, [(path.clone(), format)]);
        let (traces, errors) = load(&path, Options { problems, ..Options::default() });
        assert!(errors.is_empty(), "{name}: {errors:?}");
        check_spans(&traces);
        let expected = Path::new("samples/expected").join(format!("{name}.json"));
        if std::env::var_os("REASONSCOPE_BLESS").is_some() {
            std::fs::write(&expected, serde_json::to_string_pretty(&traces).unwrap() + "\n").unwrap();
        }
        let want: Value = serde_json::from_str(&std::fs::read_to_string(&expected).unwrap()).unwrap();
        assert_eq!(value(&traces), want, "{name}");
    }
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Packed by gzip.
pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(format!("samples/{name}")).unwrap()
}

fn without_path(mut traces: Vec<Trace>) -> Vec<Trace> {
    traces.iter_mut().for_each(|t| t.source.as_mut().unwrap().path.clear());
    traces
}

#[test]
fn packing_line_ends_and_marks_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["processbench.json", "processbench.jsonl", "openai_chat.jsonl", "native.jsonl"] {
        let plain = sample(name);
        let want = value(&without_path(load(&format!("samples/{name}"), Options::default()).0));
        let half = plain.len() / 2;
        let members = [gz(&plain[..half]), gz(&plain[half..])].concat();
        let crlf = String::from_utf8(plain.clone()).unwrap().replace('\n', "\r\n").into_bytes();
        let marked = [b"\xef\xbb\xbf".as_slice(), &plain].concat();
        for (i, bytes) in [gz(&plain), members, crlf.clone(), marked.clone(), gz(&marked), gz(&crlf)].iter().enumerate() {
            let path = write(dir.path(), &format!("{i}-{name}"), bytes);
            let (traces, errors) = load(&path, Options::default());
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(value(&without_path(traces)), want, "{name} as {i}");
        }
    }
}

#[test]
fn native_lines_say_the_same_when_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (traces, _) = load("samples/native.jsonl", Options::default());
    let path = dir.path().join("again.jsonl");
    write_file(&path, &traces, None).unwrap();
    let (again, errors) = load(path.to_str().unwrap(), Options::default());
    assert!(errors.is_empty(), "{errors:?}");
    let origin = "{\"format\":\"native\",\"path\":\"samples/native.jsonl\",\"line\":1}";
    let plain = |traces: &[Trace]| {
        let mut traces = without_path(traces.to_vec());
        traces.iter_mut().flat_map(|t| &mut t.candidates).for_each(|c| c.extra = None);
        value(&traces)
    };
    assert_eq!(plain(&again), plain(&traces));
    assert_eq!(again[0].candidates[0].extra, Some(format!("{{\"source\":{origin},\"my_note\":{{\"keep\":\"me\"}}}}")));
    assert!(traces[0].candidates[0].rewards()[2].value.is_nan() && again[0].candidates[0].rewards()[2].value.is_nan());

    let line: Value = serde_json::from_str(&to_lines(&traces[0], None)[0]).unwrap();
    assert_eq!(line["my_note"], serde_json::json!({"keep": "me"}));
    assert_eq!(line["token_rewards"], serde_json::json!([2.5, 1.25, null, -0.75]));
    assert_eq!(line["token_ids"].as_array().unwrap().len(), line["token_spans"].as_array().unwrap().len());
    assert_eq!(line["source"]["line"], 1);
    // however often it is written, a record says where it first came from
    let line: Value = serde_json::from_str(&to_lines(&again[0], None)[0]).unwrap();
    assert_eq!((&line["source"]["path"], &line["my_note"]["keep"]), (&"samples/native.jsonl".into(), &"me".into()));
}

#[test]
fn every_sample_survives_as_native() {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir("samples").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !path.is_file() || !name.contains(".json") || name.starts_with("problems") || PARTS.contains(&name.as_str()) {
            continue;
        }
        let (mut traces, _) = load(path.to_str().unwrap(), Options::default());
        let out = dir.path().join(&name);
        write_file(&out, &traces, None).unwrap();
        let (mut again, errors) = load(out.to_str().unwrap(), Options::default());
        assert!(errors.is_empty(), "{name}: {errors:?}");
        for t in traces.iter_mut().chain(&mut again) {
            t.source = None;
            t.candidates.iter_mut().for_each(|c| c.extra = None);
        }
        assert_eq!(value(&again), value(&traces), "{name}");
    }
}

#[test]
fn scored_records_hold_what_the_rule_and_granularity_say() {
    let (traces, _) = load("samples/native.jsonl", Options::default());
    let calibration = Calibration::at(Calibration::default().reading, 1.0);
    let detector = calibration.detector();
    let scoring = Scoring {
        granularity: Granularity::Sparse,
        aggregation: Aggregation::Mean,
        detector: &detector,
        calibration: &calibration,
        trust: false,
    };
    let line: Value = serde_json::from_str(&to_lines(&traces[0], Some(&scoring))[1]).unwrap();
    let c = &traces[0].candidates[1];
    let want: Vec<Option<f32>> = c.step_rewards(Statistic::Min, Granularity::Sparse);
    assert_eq!(want, [Some(-2.0), Some(-2.0)]);
    assert_eq!(line["step_rewards"], serde_json::json!([-2.0, -2.0]));
    assert_eq!(line["granularity"], "sparse");
    assert_eq!(line["token_rewards"], serde_json::json!([0.5, -2.0]));
    assert_eq!(line.get("first_deviation"), None, "one reward for all steps marks none");
    assert_eq!(line["reward_threshold"], serde_json::json!({ "reading": "reward.min", "value": 1.0 }));
    let scoring = Scoring { granularity: Granularity::Dense, ..scoring };
    let line: Value = serde_json::from_str(&to_lines(&traces[0], Some(&scoring))[1]).unwrap();
    assert_eq!((&line["first_deviation"], &line["deviation_threshold"]), (&serde_json::json!(0), &serde_json::json!(1.0)));
    let calm = Calibration::at(Calibration::default().reading, -9.0);
    let scoring = Scoring { calibration: &calm, ..scoring };
    let line: Value = serde_json::from_str(&to_lines(&traces[0], Some(&scoring))[1]).unwrap();
    assert_eq!(line["first_deviation"], -1);
}

#[test]
fn signals_of_every_kind_are_written_and_read_again() {
    let text = "1 + 1 = 3\nso 3";
    let spans = [(0, 5), (5, 9), (9, 14)].map(|(a, b)| Span::new(a, b));
    let token = |(i, span): (usize, &Span)| TokenValue { span: *span, value: [1.5, f32::NAN, -2.0][i] };
    let mut candidate = Candidate { text: text.into(), steps: segment(text, &Segmentation::Line), ..Candidate::default() }
        .with_rewards(spans.iter().enumerate().map(token).collect());
    candidate.signals[0].source = SignalSource::Model("first".into());
    candidate.begin_rewards(&AtWork::all(["second"]));
    candidate = candidate.with_rewards(spans.iter().map(|s| TokenValue { span: *s, value: 0.25 }).collect());
    let own = Threshold { reading: "reward.sum".parse().unwrap(), value: -1.0, false_alarm_rate: Some(0.05), task: None };
    let reward = candidate.signals.iter_mut().find(|s| s.name == REWARD).unwrap();
    (reward.statistic, reward.threshold) = (Statistic::Sum, Some(own.clone()));
    candidate.put_signal(Signal::given("pred_score", 0.75));
    candidate.put_signal(Signal { orientation: Orientation::Low, ..Signal::given_steps("given", vec![Some(0.5), None]) });
    candidate.put_signal(Signal::given("outcome", 0.125));
    candidate.put_signal(Signal { orientation: Orientation::Low, ..Signal::given_steps("doubt", vec![Some(0.5), None]) });
    let threshold = Threshold { reading: "doubt".parse().unwrap(), value: 0.4, false_alarm_rate: Some(0.1), task: Some("x".into()) };
    candidate.signals.iter_mut().filter(|s| s.name == "doubt").for_each(|s| s.threshold = Some(threshold.clone()));
    let trace = Trace { id: "t".into(), problem: "p".into(), candidates: vec![candidate], ..Trace::default() };
    let dir = tempfile::tempdir().unwrap();
    let again = |name: &str, scoring: Option<&Scoring<'_>>| {
        let path = dir.path().join(name);
        write_file(&path, [&trace], scoring).unwrap();
        let (mut read, errors) = load(path.to_str().unwrap(), Options::default());
        assert!(errors.is_empty(), "{errors:?}");
        read.remove(0).candidates.remove(0)
    };
    let plain = again("plain.jsonl", None);
    let sorted = |c: &Candidate| {
        let mut all: Vec<String> = c.signals.iter().map(|s| serde_json::to_string(s).unwrap()).collect();
        all.sort();
        all
    };
    assert_eq!(sorted(&plain), sorted(&trace.candidates[0]));
    // What is written with a verdict has the checks too, and they say what they say of the text.
    let calibration = Calibration::default();
    let detector = calibration.detector();
    let scoring = Scoring {
        granularity: Granularity::Dense,
        aggregation: Aggregation::Mean,
        detector: &detector,
        calibration: &calibration,
        trust: false,
    };
    let judged = again("judged.jsonl", Some(&scoring));
    assert_eq!(judged.signal("outcome").and_then(Signal::whole), Some(0.125), "the file's own number survives the reward's aggregate");
    assert_eq!(judged.signals.len(), plain.signals.len(), "checks are made anew, not read");
    assert_eq!(judged.signal(REWARD).and_then(|s| s.threshold.clone()), Some(own));
    let line: Value = serde_json::from_str(&std::fs::read_to_string(dir.path().join("judged.jsonl")).unwrap()).unwrap();
    assert_eq!(
        (&line["outcome_reward"], &line["statistic"]),
        (&serde_json::json!(0.375), &serde_json::json!("sum")),
        "as it was calibrated"
    );
    let listed: Vec<&Value> = line["signals"].as_array().unwrap().iter().collect();
    let checks: Vec<&Value> = listed.iter().filter(|s| s["source"] == "check").map(|s| &s["name"]).collect();
    assert_eq!(checks, ["check:equations", "check:characters", "check:digits", "check:position"], "it has no tokens");
    let equations = listed.iter().find(|s| s["name"] == "check:equations").unwrap();
    assert_eq!(equations["step_values"], serde_json::json!([-1.0, null]));
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let (traces, _) = load("samples/native.jsonl", Options::default());
    let error = write_file(&dir.path().join("no/such/dir.jsonl"), &traces, None).unwrap_err().to_string();
    assert!(error.contains("no/such/dir.jsonl"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_bad_line_is_named_and_nothing_else_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let good = String::from_utf8(sample("processbench.jsonl")).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let bad: [(&str, &str); 8] = [
        ("{\"problem\": \"x\", \"steps\": [\"a\"], \"final_answer_correct\": true}", "line 2, field `label`: is missing; add it"),
        (&lines[0].replace("\"label\": 1", "\"label\": 3"), "line 2, field `label`: is 3 with 3 steps"),
        (&lines[0].replace("\"label\": 1", "\"label\": \"one\""), "line 2, field `label`: is a string; give an integer"),
        (&lines[0].replace("[\"Three", "[5, \"Three"), "line 2, field `steps[0]`: is a number; give a string"),
        (&lines[0][..40], "line 2: is cut short"),
        ("not json", "line 2: is no JSON object"),
        ("[1, 2]", "line 2: is an array; give an object"),
        (&"[".repeat(100_000), "line 2: is no JSON object: recursion limit exceeded"),
    ];
    for (i, (line, message)) in bad.iter().enumerate() {
        let text = format!("{}\n{line}\n\n{}\n", lines[0], lines[1]);
        let path = write(dir.path(), &format!("{i}.jsonl"), text.as_bytes());
        let list = TraceList::open(&[&path], Options::default()).unwrap();
        let ids: Vec<String> = list.iter().map(|t| t.unwrap().id).collect();
        assert_eq!(ids, ["bakery-0", "bakery-1"]);
        let errors = list.errors();
        assert_eq!((errors.len(), list.skipped()), (1, 1), "{errors:?}");
        assert!(errors[0].to_string().contains(message), "{} / {message}", errors[0]);
        assert!(errors[0].to_string().starts_with(&path));
    }
    // a bad first line does not hide the format
    let path = write(dir.path(), "first.jsonl", format!("{{\"id\": \"cut\n{good}").as_bytes());
    let (traces, errors) = load(&path, Options::default());
    assert_eq!((traces.len(), errors.len()), (2, 1));
    assert!(errors[0].contains("line 1"), "{errors:?}");
    // and so in an array
    let text = format!("[{},\n {{\"id\": 3}},\n {}]", lines[0], lines[1]);
    let (traces, errors) = load(&write(dir.path(), "array.json", text.as_bytes()), Options::default());
    assert_eq!(traces.len(), 2);
    assert!(errors[0].contains("record 2, field `steps`"), "{errors:?}");
}

#[test]
fn native_faults_are_named_and_the_other_candidates_kept() {
    let dir = tempfile::tempdir().unwrap();
    let good = String::from_utf8(sample("native.jsonl")).unwrap();
    let line = good.lines().next().unwrap();
    let faults = [
        ("\"steps\": [[0, 10]", "\"steps\": [[0, 99]", "field `steps[0]`: is 0..99 in a text of 16 bytes"),
        ("\"steps\": [[0, 10], [11", "\"steps\": [[0, 10], [9", "field `steps[1]`: starts before"),
        ("[0, 1], [1, 10]", "[0, 1]", "has 4 elements, `token_spans` has 3"),
        ("\"logprobs\": [-0.5", "\"logprobs\": [\"x\"", "field `logprobs[0]`: is a string; give a number or null"),
        ("\"schema_version\": 1", "\"schema_version\": 2", "field `schema_version`: is 2, this program reads 1"),
        ("\"token_ids\": [18", "\"token_ids\": [-1", "field `token_ids[0]`"),
        ("\"finish\": \"stop\"", "\"finish\": \"gone\"", "field `finish`: is unknown"),
        ("\"labels\": [1, 0]", "\"labels\": [1]", "field `labels`: has 1 elements, `steps` has 2"),
        ("\"gold_deviation\": 1", "\"gold_deviation\": 2", "field `gold_deviation`: is 2 with 2 steps"),
        ("\"text\": \"3 + 4", "\"text\": \"é + 4", "cuts a character"),
    ];
    for (i, (from, to, message)) in faults.iter().enumerate() {
        assert!(line.contains(from), "{from}");
        let text = format!("{line}\n{}\n{good}", line.replace(from, to));
        let (traces, errors) = load(&write(dir.path(), &format!("{i}.jsonl"), text.as_bytes()), Options::default());
        assert_eq!(errors.len(), 1, "{from}: {errors:?}");
        assert!(errors[0].contains("line 2") && errors[0].contains(message), "{} / {message}", errors[0]);
        assert_eq!(traces.iter().map(|t| t.candidates.len()).collect::<Vec<_>>(), [3, 1], "{from}");
    }
}

#[test]
fn rubbish_gives_one_clear_message() {
    let dir = tempfile::tempdir().unwrap();
    let packed = gz(&sample("processbench.jsonl").repeat(200));
    let deep = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", b"".to_vec(), "is empty"),
        ("blank", b"\xef\xbb\xbf \n\r\n ".to_vec(), "is empty"),
        ("cut.gz", packed[..30].to_vec(), "breaks off before its first whole record"),
        ("bad.gz", [b"\x1f\x8b".as_slice(), &[7; 40]].concat(), "breaks off before its first whole record"),
        ("parquet", b"PAR1\x15\x04\x15 rows".to_vec(), "is a Parquet file"),
        ("zip", b"PK\x03\x04\x14\0\0\0".to_vec(), "is a zip archive"),
        ("elf", b"\x7fELF\x02\x01\x01\0\0".to_vec(), "is a program"),
        ("binary", (0..=255).collect(), "is no text; it starts with the bytes 00 01 02"),
        ("utf16", b"\xff\xfe{\0\"\0".to_vec(), "is cut short"),
        ("prose", b"Once upon a time\nthere was".to_vec(), "is text, not JSON; it starts with \"Once upon a time\""),
        ("scalar", b"3\n4\n".to_vec(), "is text, not JSON"),
        (
            "keys",
            b"{\"foo\": 1, \"bar\": 2}\n".to_vec(),
            "they have the fields foo (a number), bar (a number); docs/formats.md lists what is known",
        ),
        ("array", b"[[1, 2], [3]]".to_vec(), "its records are arrays"),
        ("bare", b"[]".to_vec(), "holds an empty list"),
        ("cut", b"{\"id\": \"x\", \"steps".to_vec(), "its first record is cut short"),
        ("deep", deep.into_bytes(), "recursion limit"),
        ("braces", b"]}]}{{{".to_vec(), "is text, not JSON"),
        ("problems", sample("problems.jsonl"), "pass it as --problems"),
        ("nul", vec![0; 5000], "is no text"),
        ("one nul", [&[b'a'; 100][..], &[0]].concat(), "is no text"),
        ("controls", [&[b'a'; 18][..], b"\x08"].concat(), "is no text"),
        ("a control", [&[b'a'; 19][..], b"\x08"].concat(), "is text, not JSON"),
        ("quote", b"{\"\n\"\n\"".to_vec(), "its first record"),
        ("questions", sample("mmlu_pro_questions.jsonl"), "pass it as --problems"),
        ("verdicts", sample("humaneval_verdicts.jsonl"), "reasonscope data join SAMPLES VERDICTS"),
    ];
    for (name, bytes, message) in cases {
        let path = write(dir.path(), name, &bytes);
        match TraceList::open(&[&path], Options::default()).map(|list| (list.iter().count(), list.errors())) {
            Err(e) => assert!(e.to_string().contains(message) && e.to_string().starts_with(&path), "{name}: {e}"),
            Ok((n, errors)) => panic!("{name}: {n} traces, {errors:?}"),
        }
        // as problems: at worst an error, never a panic
        if let Ok(list) = TraceList::open(&[&path], PROBLEMS) {
            list.iter().for_each(drop);
        }
    }
    let none: [&str; 0] = [];
    assert!(TraceList::open(&none, Options::default()).unwrap().iter().next().is_none());
    for (path, message) in [("src/format", "files and no traces"), ("no/such/file.jsonl", "no/such/file.jsonl: ")] {
        let error = TraceList::open(&[path], Options::default()).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
    let error = TraceList::open(&["-", "-"], PROBLEMS).err().unwrap().to_string();
    assert!(error.contains("is named twice"), "{error}");
}

#[test]
fn a_stream_that_breaks_off_keeps_what_came() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = String::new();
    for i in 0..4000 {
        rows += &format!("{{\"question\": \"q{i} {}\", \"answer\": \"a\\n#### {i}\"}}\n", i * 7919 % 1009);
    }
    let packed = gz(rows.as_bytes());
    let path = write(dir.path(), "cut.gz", &packed[..packed.len() / 2]);
    let (traces, errors) = load(&path, Options::default());
    assert!(traces.len() > 100 && traces.len() < 4000);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains(&format!("breaks off after {} records", traces.len())), "{errors:?}");
    // an array that is not closed
    let text = String::from_utf8(sample("processbench.json")).unwrap();
    let path = write(dir.path(), "open.json", text.trim_end().trim_end_matches(']').as_bytes());
    let (traces, errors) = load(&path, Options::default());
    assert_eq!((traces.len(), errors.len()), (2, 1), "{errors:?}");
}

#[test]
fn bytes_that_are_no_text_are_shown_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let text = sample("gsm8k.jsonl");
    let at = text.windows(3).position(|w| w == b"Tom").unwrap();
    let mut bad = text.clone();
    bad[at + 1] = 0xff;
    let (traces, errors) = load(&write(dir.path(), "latin.jsonl", &bad), Options::default());
    assert_eq!(traces.len(), 2);
    assert!(traces[0].problem.starts_with("T\u{fffd}m"));
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("line 1") && errors[0].contains("UTF-8"), "{errors:?}");
}

#[test]
fn candidates_of_a_trace_are_joined_only_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let line = |id: &str, text: &str| format!("{{\"schema_version\":1,\"trace_id\":\"{id}\",\"problem\":\"p\",\"text\":\"{text}\"}}\n");
    let text = [line("a", "1"), line("a", "2"), "\n".into(), line("a", "3"), line("b", "4"), line("a", "5")].concat();
    let path = write(dir.path(), "n.jsonl", text.as_bytes());
    let list = TraceList::open(&[&path, &path], Options::default()).unwrap();
    let shape: Vec<(String, usize, usize)> =
        list.iter().map(|t| t.unwrap()).map(|t| (t.id, t.candidates.len(), t.source.unwrap().line)).collect();
    let one = [("a".to_owned(), 3, 1), ("b".to_owned(), 1, 5), ("a".to_owned(), 1, 6)];
    assert_eq!(shape[..3], one);
    assert_eq!(shape[3..], one, "a trace is given when all of its lines are read");
    assert_eq!(list.len(), 6);
    let trace = list.get(4).unwrap();
    assert_eq!(trace.id, "b");
    assert!(std::sync::Arc::ptr_eq(&trace, &list.get(4).unwrap()));
    assert!(list.get(6).is_err());
}

#[test]
fn problems_are_read_from_any_format() {
    let (traces, _) = load("samples/gsm8k.jsonl", PROBLEMS);
    assert!(traces.iter().all(|t| t.candidates.is_empty() && t.gold_answer.is_some()));
    let (traces, _) = load("samples/native.jsonl", PROBLEMS);
    assert_eq!(traces.iter().map(|t| t.problem.as_str()).collect::<Vec<_>>(), ["What is 3 + 4?", "What is 1 + 1?"]);
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "p.jsonl", b"{\"problem\": \"a\"}\n{\"problem\": \" \"}\n{\"title\": 1}\n{\"question\": \"b\"}\n");
    let (traces, errors) = load(&path, PROBLEMS);
    assert_eq!(traces.iter().map(|t| t.problem.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(errors[0].contains("line 2, field `problem`: is empty") && errors[1].contains("line 3, field `problem`"), "{errors:?}");
}

#[test]
fn big_streams_are_kept_outside_memory_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let filler = "x".repeat(2000);
    let mut rows = String::new();
    for i in 0..6000 {
        rows += &format!("{{\"question\": \"q{i}\", \"answer\": \"{filler}\\n#### {i}\"}}\n");
    }
    assert!(rows.len() > 9 << 20);
    let list = TraceList::open(&[write(dir.path(), "big.gz", &gz(rows.as_bytes()))], Options::default()).unwrap();
    assert!(list.wait(5999) && !list.wait(6000));
    for i in [0, 5999, 3000, 17] {
        assert_eq!(list.get(i).unwrap().gold_answer.as_deref(), Some(i.to_string().as_str()));
    }
    assert!(list.errors().is_empty() && list.is_complete());
}

/// A public data set, where it is there.
pub fn data(name: &str) -> Option<String> {
    let dir = std::env::var_os("REASONSCOPE_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let path = dir.join(name);
    if path.exists() {
        return Some(path.to_str().unwrap().to_owned());
    }
    eprintln!("skipped: no {}; set REASONSCOPE_DATA", path.display());
    None
}

#[test]
fn real_files_are_read_whole() {
    let files = [
        ("processbench/gsm8k.json.gz", 400, "processbench"),
        ("processbench/math.json.gz", 1000, "processbench"),
        ("gsm8k/train.jsonl.gz", 7473, "gsm8k"),
        ("gsm8k/test.jsonl.gz", 1319, "gsm8k"),
        ("gsm8k/test_socratic.jsonl.gz", 1319, "gsm8k"),
        ("gsm8k/example_model_solutions.jsonl.gz", 1319, "gsm8k-solutions"),
        ("prm_formats/samples_math-shepherd.jsonl.gz", 7, "math-shepherd"),
        ("prm_formats/samples_prm800k.jsonl.gz", 6, "prm800k"),
    ];
    for (name, count, format) in files {
        let Some(path) = data(name) else { continue };
        let (traces, errors) = load(&path, Options::default());
        assert!(errors.is_empty(), "{name}: {errors:?}");
        assert_eq!(traces.len(), count, "{name}");
        check_spans(&traces);
        assert!(traces.iter().all(|t| t.source.as_ref().unwrap().format == format && !t.problem.is_empty()));
        for t in &traces {
            let n = if format == "gsm8k-solutions" { 4 } else { 1 };
            assert!(t.candidates.len() == n || format == "prm800k", "{name} {}", t.id);
            assert!(t.candidates.iter().all(|c| !c.steps.is_empty() || c.text.trim().is_empty()), "{name} {}", t.id);
        }
    }
    if let Some(path) = data("processbench/gsm8k.json.gz") {
        let (traces, _) = load(&path, Options::default());
        // the published split: 193 right, 207 wrong
        let right = traces.iter().filter(|t| t.candidates[0].gold == Some(GoldDeviation::None)).count();
        assert_eq!((right, traces.len() - right), (193, 207));
    }
    if let Some(path) = data("gsm8k/example_model_solutions.jsonl.gz") {
        let (traces, _) = load(&path, Options::default());
        let all = traces.iter().flat_map(|t| t.candidates.iter().map(move |c| (t, c)));
        let agree = |(t, c): &(&Trace, &reasonscope::trace::Candidate)| {
            let question = reasonscope::answer::Question::guess(&t.problem, t.gold_answer.as_deref());
            c.answer.as_deref().is_some_and(|a| question.is_reference(a)) == c.correct.unwrap()
        };
        let (same, total) = (all.clone().filter(agree).count(), all.count());
        assert!(same * 100 >= total * 99, "{same} of {total} answers agree with their recorded verdict");
    }
    if let Some(path) = data("countdown/test.jsonl.gz") {
        let (traces, errors) = load(&path, PROBLEMS);
        assert_eq!((traces.len(), errors.len()), (300, 0));
    }
}

#[test]
fn errors_of_files_can_be_told_apart() {
    let error = TraceList::open(&["no/such/file"], Options::default()).err().unwrap();
    assert!(matches!(error, FormatError::Io { .. }) && error.skips());
}

#[test]
fn a_verdict_is_withheld_where_the_model_has_not_learned_and_the_file_says_so() {
    let text = "a\nb";
    let measure = |value| Measure { value: Some(value), limit: -1.5 };
    let domain = |problem| Domain {
        task: "stories".into(),
        problem: measure(problem),
        text: Measure { value: None, limit: -1.0 },
        vocabulary: Measure { value: Some(1.0), limit: 0.9 },
        false_alarm_rate: 0.01,
    };
    let trace = |problem: f32| {
        let mut candidate = Candidate { text: text.into(), steps: segment(text, &Segmentation::Line), ..Candidate::default() }
            .with_rewards(vec![TokenValue { span: Span::new(0, 1), value: 1.0 }, TokenValue { span: Span::new(1, 3), value: -1.0 }]);
        candidate.signals[0].domain = Some(domain(problem));
        // What an older version marked.
        let detector = Calibration::default().detector();
        candidate.deviation = Some(Deviation { step: 0, by: detector, value: 1.0, threshold: 2.0 });
        Trace { id: "t".into(), problem: "p".into(), candidates: vec![candidate], ..Trace::default() }
    };
    let calibration = Calibration::at(Calibration::default().reading, 0.0);
    let detector = calibration.detector();
    let dense = |trust| Scoring {
        granularity: Granularity::Dense,
        aggregation: Aggregation::Mean,
        detector: &detector,
        calibration: &calibration,
        trust,
    };
    let line =
        |problem: f32, scoring: Option<&Scoring<'_>>| -> Value { serde_json::from_str(&to_lines(&trace(problem), scoring)[0]).unwrap() };
    let withheld = line(-6.0, Some(&dense(false)));
    assert_eq!((withheld.get("first_deviation"), withheld.get("deviation_signal")), (None, None), "{withheld}");
    assert_eq!((&withheld["reward_outside"], &withheld["step_rewards"]), (&true.into(), &serde_json::json!([1.0, -1.0])));
    assert_eq!(line(-6.0, Some(&dense(true)))["first_deviation"], 1);
    assert_eq!((&line(-1.0, Some(&dense(false)))["first_deviation"], &line(-1.0, None)["reward_outside"]), (&1.into(), &false.into()));
    // Read again, the trace is where it was; a file that says nothing of it is as before.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.jsonl");
    write_file(&path, [&trace(-6.0)], Some(&dense(false))).unwrap();
    let (again, errors) = load(path.to_str().unwrap(), Options::default());
    assert!(errors.is_empty(), "{errors:?}");
    let read = &again[0].candidates[0];
    assert_eq!((read.signals[0].domain.as_ref(), &read.extra, &read.deviation), (Some(&domain(-6.0)), &None, &None));
    let (old, _) = load("samples/native.jsonl", Options::default());
    assert!(to_lines(&old[0], None).iter().all(|l| !l.contains("reward_outside") && !l.contains("domain")));
}

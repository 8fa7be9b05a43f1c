//! Several reward models at once: what each says is what it says alone, and one that fails takes nothing from the others.

use crate::protocol::make;
use crate::runtime::{Reader, Writer, apply, engine_of, errors, generate, score, until_ended};
use crate::tui_fixture::{Screen, Setup, problems, reward_slot, writing};
use reasonscope::reward::RewardModel;
use reasonscope::runtime::{Engine, Loaded, Loader, Models, ModelsStatus, Request, RewardSlot, Slot, Update};
use reasonscope::trace::{Calibration, Candidate, Signal, TokenValue, TraceEvent, Unit, Values};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

fn other() -> Reader {
    Reader { bias: 7.0, ..Reader::default() }
}

fn tokens<'a>(candidate: &'a Candidate, signal: &str) -> &'a [TokenValue] {
    candidate.signal(signal).map_or(&[], Signal::tokens)
}

fn lost(updates: &[Update]) -> Vec<&str> {
    updates.iter().filter_map(|u| if let Update::Lost { error, .. } = u { Some(error.as_str()) } else { None }).collect()
}

#[test]
fn each_says_what_it_says_alone() {
    let texts = ["one two", "three", "one two", "a line\nand another"];
    let alone = |reader: Reader| {
        let engine = engine_of(None, [("x/a", reader)]);
        engine.send(score(1, "p", &texts, false)).unwrap();
        apply(&until_ended(&engine, &[1]), 1)
    };
    let (a, b) = (alone(Reader::default()), alone(other()));
    let engine = engine_of(None, [("x/a", Reader::default()), ("x/b", other()), ("y/a", other())]);
    let signals: Vec<String> = engine.status().rewards.into_iter().map(|r| r.signal).collect();
    assert_eq!(signals, ["reward", "reward:b", "reward:a#2"]);
    engine.send(score(1, "p", &texts, false)).unwrap();
    let updates = until_ended(&engine, &[1]);
    assert_eq!(updates.iter().filter(|u| matches!(u, Update::Done { .. } | Update::Failed { .. })).count(), 1);
    let all = apply(&updates, 1);
    for ((together, a), b) in all.iter().zip(&a).zip(&b) {
        assert!(!a.rewards().is_empty() && a.rewards() != b.rewards());
        assert_eq!(together.rewards(), a.rewards());
        assert_eq!(tokens(together, "reward:b"), b.rewards());
        assert_eq!(tokens(together, "reward:a#2"), b.rewards());
    }
}

#[test]
fn what_is_written_is_read_by_both_while_it_grows() {
    for whole in [false, true] {
        for (first, second) in [(true, false), (false, true)] {
            let rewards = [("a", Reader { shares: first, ..Reader::default() }), ("b", Reader { shares: second, ..other() })];
            let engine = engine_of(Some(Writer { words: 200, ..Writer::default() }), rewards);
            let engine = if whole { engine.score_when_whole() } else { engine };
            for id in 1..5 {
                engine.send(generate(id, "p", 3)).unwrap();
            }
            let updates = until_ended(&engine, &[1, 2, 3, 4]);
            let written = apply(&updates, 4);
            let texts: Vec<&str> = written.iter().map(|c| c.text.as_str()).collect();
            let recorded = engine_of(None, [("a", Reader::default()), ("b", other())]);
            recorded.send(score(9, "p", &texts, false)).unwrap();
            for (live, recorded) in written.iter().zip(apply(&until_ended(&recorded, &[9]), 9)) {
                for signal in ["reward", "reward:b"] {
                    assert_eq!(tokens(live, signal).len(), live.text.len());
                    assert_eq!(tokens(live, signal), tokens(&recorded, signal), "{signal}");
                }
            }
        }
    }
}

#[test]
fn one_that_fails_takes_nothing_from_the_other() {
    let engine = engine_of(None, [("a", Reader::default()), ("b", Reader { dislikes: Some("two"), ..other() })]);
    engine.send(score(1, "p", &["one", "two"], false)).unwrap();
    engine.send(score(2, "p", &["two"], false)).unwrap();
    engine.send(score(3, "p", &["PANIC"], false)).unwrap();
    engine.send(score(4, "p", &["one"], false)).unwrap();
    let updates = until_ended(&engine, &[1, 2, 3, 4]);
    let read = |id: u64, c: usize| [tokens(&apply(&updates, id)[c], "reward").len(), tokens(&apply(&updates, id)[c], "reward:b").len()];
    assert_eq!([read(1, 0), read(1, 1), read(2, 0), read(4, 0)], [[3, 3], [3, 0], [3, 0], [3, 3]]);
    let warnings: Vec<&str> =
        updates.iter().filter_map(|u| if let Update::Warning { id: 1, message } = u { Some(message.as_str()) } else { None }).collect();
    assert_eq!(warnings, ["reward:b: candidate 2 is not scored: a candidate does not fit"], "who says it");
    assert_eq!(lost(&updates), ["reward:b: a candidate does not fit"], "of the second request the other one's word is there");
    assert!([1, 2, 4].iter().all(|id| errors(&updates, *id).is_empty()));
    assert!(
        errors(&updates, 3)[0].contains("reward: the model's code panicked") && errors(&updates, 3)[0].contains("reward:b: "),
        "{updates:?}"
    );
}

#[test]
fn one_that_does_not_load_takes_nothing_from_the_other() {
    let model = Box::new(Reader::default()) as Box<dyn RewardModel>;
    let good = Loader::new("a", |_| Ok(Loaded { model, about: "fake".into() }));
    let broken = Loader::new("b", |_| Err("model.safetensors: truncated".into()));
    let engine = Engine::start(Models { policy: None, rewards: vec![broken, good] }).unwrap();
    engine.send(score(1, "p", &["one"], true)).unwrap();
    let updates = until_ended(&engine, &[1]);
    // The state of the models says it, once.
    assert!(lost(&updates).is_empty() && errors(&updates, 1).is_empty(), "{updates:?}");
    let candidate = &apply(&updates, 1)[0];
    assert_eq!((candidate.rewards().len(), tokens(candidate, "reward:a").len()), (0, 3));
    let [RewardSlot { slot: Slot::Failed { error, .. }, .. }, RewardSlot { slot: Slot::Ready { .. }, .. }] = &engine.status().rewards[..]
    else {
        panic!("{:?}", engine.status())
    };
    assert!(error.contains("truncated"));
    assert_eq!(engine.status().at_work().len(), 1);
}

#[test]
fn a_slow_one_does_not_hold_the_other_back_and_both_are_cancelled() {
    let ((told, arrived), (leave, wait)) = (channel(), channel());
    let engine = engine_of(None, [("a", Reader { gate: Some((told, wait)), ..Reader::default() }), ("b", other())]);
    engine.send(score(1, "p", &["one"], false)).unwrap();
    engine.send(score(2, "p", &["two"], false)).unwrap();
    arrived.recv_timeout(Duration::from_secs(60)).unwrap();
    let mut updates = Vec::new();
    while apply(&updates, 2).first().is_none_or(|c| tokens(c, "reward:b").len() < 3) {
        updates.extend(engine.wait(Duration::from_secs(60)));
    }
    assert!(!updates.iter().any(|u| matches!(u, Update::Done { .. })), "not done before the slow one is");
    engine.send(Request::Cancel { id: 2 }).unwrap();
    leave.send(()).unwrap();
    let rest = until_ended(&engine, &[1, 2]);
    updates.extend(rest);
    assert_eq!(updates.iter().filter(|u| matches!(u, Update::Done { .. })).count(), 2);
    assert_eq!((tokens(&apply(&updates, 1)[0], "reward").len(), tokens(&apply(&updates, 2)[0], "reward").len()), (3, 0));
}

#[test]
fn each_has_its_own_thresholds() {
    let with = |value: f32, task: &str| Calibration { task: Some(task.into()), ..Calibration::at("reward.sum".parse().unwrap(), value) };
    let first = Reader { calibration: with(-1.0, "x"), ..Reader::default() };
    let engine = engine_of(None, [("a", first), ("b", Reader { calibration: with(2.0, "y"), ..other() })]);
    engine.send(score(1, "p", &["one"], false)).unwrap();
    until_ended(&engine, &[1]);
    let known = engine.status().calibration;
    let of = |reading: &str| known.stated(&reading.parse().unwrap()).map(|t| (t.value, t.task.unwrap()));
    assert_eq!(of("reward.sum"), Some((-1.0, "x".into())));
    assert_eq!(of("reward:b.sum"), Some((2.0, "y".into())));
    assert_eq!(known.of("reward:b").reading.to_string(), "reward:b.sum");
}

fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(args).stdin(Stdio::null()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn records(path: &str) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn listed<'a>(record: &'a Value, name: &str) -> &'a Value {
    let none = &Value::Null;
    record["signals"].as_array().and_then(|all| all.iter().find(|s| s["name"] == name)).unwrap_or(none)
}

fn numbers(values: &Value) -> Vec<f32> {
    values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// Traces with a labelled first wrong step, and one that is right.
fn traces(dir: &Path) -> String {
    let path = dir.join("in.jsonl");
    let line = |id: &str, steps: [&str; 3], label: i64| json!({"id": id, "generator": "g", "problem": "What is 1 + 2 + 3?", "steps": steps, "final_answer_correct": label < 0, "label": label});
    let all = [
        line("gsm8k-0", ["1 + 2 = 3.", "3 + 3 = 6.", "So 6."], -1),
        line("gsm8k-1", ["1 + 2 = 4.", "4 + 3 = 7.", "So 7."], 0),
        line("gsm8k-2", ["1 + 2 = 3.", "3 + 3 = 7.", "So 7."], 1),
    ];
    fs::write(&path, all.map(|l| format!("{l}\n")).concat()).unwrap();
    path.display().to_string()
}

#[test]
fn a_file_is_scored_by_two_at_once_as_by_each_alone() {
    let (made, dir) = (make("qwen-prm"), tempfile::tempdir().unwrap());
    let (input, model) = (traces(dir.path()), made.path.display().to_string());
    let name = made.path.file_name().unwrap().to_str().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let score = |rewards: &[&str], input: &str, output: &str| {
        let named: Vec<&str> = rewards.iter().flat_map(|r| ["--reward", r]).collect();
        let (code, _, err) = run(&[&["score", input, "--device", "cpu", "-o", output], &named[..]].concat());
        assert_eq!(code, 0, "{err}");
        err
    };
    let [a, b, both, turned] = ["a", "b", "both", "turned"].map(|n| file(&format!("{n}.jsonl")));
    score(&["embedded"], &input, &a);
    score(&[&model], &input, &b);
    let said = score(&["embedded", &model], &input, &both);
    let signal = format!("reward:{name}");
    assert!(said.contains("mean reward ") && said.contains(&format!("mean {signal} ")), "{said}");
    score(&[&model, "embedded"], &input, &turned);
    for (((both, a), b), turned) in records(&both).iter().zip(records(&a)).zip(records(&b)).zip(records(&turned)) {
        for field in ["token_rewards", "step_rewards", "outcome_reward", "first_deviation", "reward_threshold", "reward_model"] {
            assert_eq!(both[field], a[field], "{field}");
        }
        let (beside, alone) = (listed(both, &signal), listed(&b, "reward"));
        assert!(beside["step_values"].as_array().is_some_and(|v| v.len() == 3) && beside["beside"] == true);
        for field in ["source", "unit", "orientation", "step_values"] {
            assert_eq!(beside[field], alone[field], "{field}");
        }
        assert_eq!((&beside["threshold"]["reading"], &beside["threshold"]["value"]), (&json!(signal), &json!(0.5)));
        // The other way round the embedded one is a signal in the list, with its own threshold.
        let embedded = listed(&turned, "reward:embedded");
        assert_eq!(numbers(&embedded["token_values"]), numbers(&a["token_rewards"]));
        assert_eq!(listed(&turned, "reward")["step_values"], alone["step_values"]);
        let of = |t: &Value| ["value", "false_alarm_rate"].map(|k| t[k].as_f64().unwrap() as f32);
        assert_eq!(of(&embedded["threshold"]), of(&a["reward_threshold"]));
        assert_eq!(turned["first_deviation"], b["first_deviation"]);
    }
    // What is there is kept, renamed where its name is needed, and computed anew where it is the model's own.
    let again = file("again.jsonl");
    score(&["embedded", &model], &both, &again);
    let lines = |path: &str| records(path).into_iter().map(|mut r| (r["source"].take(), r).1).collect::<Vec<_>>();
    assert_eq!(lines(&again), lines(&both));
    score(&[&model], &both, &again);
    for (again, both) in records(&again).iter().zip(records(&both)) {
        assert_eq!(listed(again, "reward")["step_values"], listed(&both, &signal)["step_values"]);
        assert_eq!(numbers(&listed(again, "reward:embedded")["token_values"]), numbers(&both["token_rewards"]));
        assert!(listed(again, &signal).is_null() && again["token_rewards"].is_null());
    }
    // To go on with other models is refused.
    let (code, _, err) = run(&["score", &input, "--reward", "embedded", "--device", "cpu", "-o", &both, "--resume"]);
    assert!(code == 1 && err.contains("those models, in this order,"), "{err}");
    let (code, _, err) = run(&["score", &input, "--reward", "embedded", "--reward", &model, "--device", "cpu", "-o", &both, "--resume"]);
    assert!(code == 0 && err.contains("3 traces were there already"), "{err}");
}

/// The tables of a report, by their titles.
fn table<'a>(report: &'a Value, title: &str) -> &'a Vec<Value> {
    let tables = report["tables"].as_array().unwrap();
    let found = tables.iter().find(|t| t["title"].as_str().unwrap().contains(title));
    found.unwrap_or_else(|| panic!("no {title} in {tables:?}"))["rows"].as_array().unwrap()
}

#[test]
fn their_agreement_is_a_report_live_and_from_the_file() {
    let (made, dir) = (make("qwen-prm"), tempfile::tempdir().unwrap());
    let (input, model) = (traces(dir.path()), made.path.display().to_string());
    let signal = format!("reward:{}", made.path.file_name().unwrap().to_str().unwrap());
    let scored = dir.path().join("scored.jsonl").display().to_string();
    let (code, _, err) = run(&["score", &input, "--reward", "embedded", "--reward", &model, "--device", "cpu", "-o", &scored]);
    assert_eq!(code, 0, "{err}");
    let report = |args: &[&str]| -> Value {
        let (code, out, err) = run(&[&["eval", "agreement", "--device", "cpu", "--json", "-q"], args].concat());
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    };
    let (live, recorded) = (report(&[&input, "--reward", "embedded", "--reward", &model]), report(&[&scored]));
    assert_eq!(live["tables"], recorded["tables"], "thresholds come with the file");
    let pair = format!("reward.min and {signal}");
    let correlation = &table(&live, "rank correlation")[0];
    assert_eq!((&correlation["signals"], &correlation["number"]), (&json!(pair), &json!(9)));
    // The share that agrees is that of the marks in the files, which each model alone makes.
    let marks = |rewards: &[&str]| -> Vec<i64> {
        let out = dir.path().join("one.jsonl").display().to_string();
        let named: Vec<&str> = rewards.iter().flat_map(|r| ["--reward", r]).collect();
        let (code, _, err) = run(&[&["score", &input, "--device", "cpu", "--trust", "-o", &out], &named[..]].concat());
        assert_eq!(code, 0, "{err}");
        records(&out).iter().map(|r| r["first_deviation"].as_i64().unwrap()).collect()
    };
    let (a, b) = (marks(&["embedded"]), marks(&[&model]));
    let same = a.iter().zip(&b).filter(|(a, b)| a == b).count() as f64 / 3.0;
    let first = &table(&live, "Agreement of signals: first deviation")[0];
    assert!((first["the same"]["estimate"].as_f64().unwrap() - same).abs() < 1e-12, "{first} {a:?} {b:?}");
    let gold = [-1, 0, 1];
    let right = |marks: &[i64]| marks.iter().zip(gold).filter(|(m, g)| **m == *g).count() as u64;
    let who = &table(&live, "who marks the labelled")[0];
    let of = |key: &str| who[key].as_u64().unwrap();
    assert_eq!((of("labelled"), of("both right") + of("the first alone")), (3, right(&a)));
    assert_eq!(of("both right") + of("the second alone"), right(&b));
    if same < 1.0 {
        let row = &table(&live, "disagree on the first deviation")[0];
        assert!(row["problem"].as_str().unwrap().starts_with("gsm8k-"), "{row}");
    }
    // By name any two signals of the file; of one alone there is nothing to say.
    let named = report(&[&scored, "--signal", "check:equations", "--signal", &signal]);
    assert_eq!(table(&named, "rank correlation")[0]["signals"], json!(format!("{signal} and check:equations")));
    let (code, _, err) = run(&["eval", "agreement", &scored, "--signal", "reward"]);
    assert!(code == 1 && err.contains("--reward A --reward B"), "{err}");
    // Three make three pairs, and a folder has the page.
    let folder = dir.path().join("report");
    let three = report(&[&input, "--reward", "embedded", "--reward", &model, "--reward", &model, "--report", folder.to_str().unwrap()]);
    let pairs: Vec<&str> = table(&three, "rank correlation").iter().map(|r| r["signals"].as_str().unwrap()).collect();
    assert!(pairs.contains(&format!("{signal} and {signal}#2").as_str()), "{pairs:?}");
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("Agreement of signals: rank correlation"));
    assert!(
        fs::read_to_string(folder.join("rows.csv"))
            .unwrap()
            .contains(&format!("steps:{signal} (model, steps, high, probability, main, beside)"))
    );
}

#[test]
fn everything_that_evaluates_takes_several() {
    let (made, dir) = (make("qwen-prm"), tempfile::tempdir().unwrap());
    let (input, model) = (traces(dir.path()), made.path.display().to_string());
    let signal = format!("reward:{}", made.path.file_name().unwrap().to_str().unwrap());
    let two = ["--reward", "embedded", "--reward", &model, "--device", "cpu", "--resamples", "1000"];
    let (code, out, err) = run(&[&["eval", "localise", &input], &two[..]].concat());
    assert!(code == 0 && out.contains("reward.min, calibrated") && out.contains(&format!("{signal}, calibrated")), "{out}{err}");
    let (code, out, err) = run(&[&["eval", "localise", &input, "--detect-by", &signal], &two[..]].concat());
    assert!(code == 0 && out.contains(&format!("Gain of {signal}, calibrated")), "{out}{err}");
    let (code, out, err) = run(&[&["eval", "all", &input], &two[..]].concat());
    assert!(code == 0 && out.contains("Agreement of signals: first deviation"), "{out}{err}");
    let (code, out, _) = run(&["eval", "all", &input, "--reward", &model, "--device", "cpu", "--resamples", "1000"]);
    assert!(code == 0 && !out.contains("Agreement of signals"), "one reward agrees with nobody");
    let (code, _, err) = run(&[&["eval", "localise", &input, "--reward-protocol", "x.toml"], &two[..]].concat());
    assert!(code == 2 && err.contains("2 reward models and 1 protocol files"), "{err}");
    // What is generated is read by both.
    let output = dir.path().join("made.jsonl").display().to_string();
    let problem = "Mia has 2 bags with 3 apples each. How many apples does Mia have?";
    let (code, _, err) =
        run(&["generate", "--problem", problem, "-n", "2", "--reward", "embedded", "--reward", &model, "--device", "cpu", "-o", &output]);
    assert_eq!(code, 0, "{err}");
    for record in records(&output) {
        assert!(record["token_rewards"].as_array().is_some_and(|r| !r.is_empty()) && record["reward_model"] == "embedded");
        assert_eq!(listed(&record, &signal)["source"]["model"], json!(model));
    }
}

/// Says which signal an event is of.
fn signal_of(update: &Update) -> Option<&str> {
    match update {
        Update::Event { event: TraceEvent::Rewards { signal, .. } | TraceEvent::Judged { signal, .. }, .. } => Some(signal),
        _ => None,
    }
}

#[test]
fn events_say_which_model_speaks() {
    let engine = engine_of(None, [("a", Reader::default()), ("b", other())]);
    engine.send(score(1, "p", &["one"], false)).unwrap();
    let updates = until_ended(&engine, &[1]);
    let mut signals: Vec<&str> = updates.iter().filter_map(signal_of).collect();
    signals.sort_unstable();
    assert_eq!(signals, ["reward", "reward:b"]);
}

/// Two reward models, the second as far as `slot` says.
fn models(slot: Slot) -> Update {
    let ready = Slot::Ready { name: "runs/r".into(), about: "fake".into() };
    let rewards = vec![reward_slot(ready), RewardSlot { signal: "reward:b".into(), slot }];
    let policy = Slot::Ready { name: "embedded-policy".into(), about: "fake".into() };
    let mut calibration = crate::tui_fixture::calibration();
    let beside = Calibration { method: "by the other's own hand".into(), ..Calibration::at("reward".parse().unwrap(), 0.4) };
    calibration.beside.insert("reward:b".into(), beside.of_signal("reward:b"));
    Update::Models(ModelsStatus { policy, rewards, calibration, ..ModelsStatus::default() })
}

fn named(name: &str) -> Slot {
    Slot::Ready { name: name.into(), about: "of 7 M parameters".into() }
}

#[test]
fn the_inspector_has_a_column_and_a_line_for_each_and_says_how_each_loads() {
    let mut s = Screen::open(Setup { size: (160, 40), live: true, ..Setup::default() });
    s.updates([models(Slot::Loading { name: "x/b".into(), progress: 0.4 })]);
    assert!(s.text().contains("reward:b 40 %"), "{}", s.text());
    s.updates([models(named("x/b"))]);
    let id = s.sent.iter().find_map(|r| if let Request::Generate { id, .. } = r { Some(*id) } else { None }).unwrap();
    for k in 0..2 {
        s.updates(writing(id, k, 4));
        let values = Values::Steps((0..6).map(|i| Some(if i == 2 + k { 0.125 } else { 0.875 })).collect());
        let event = TraceEvent::Judged { candidate: k, signal: "reward:b".into(), unit: Unit::Probability, values };
        s.updates([Update::Event { id, event }]);
    }
    let board = s.text();
    assert!(board.contains("ranked by reward.min") && board.contains("beside it reward:b"), "{board}");
    assert!(board.lines().any(|l| l.contains("rank") && l.contains("reward:b")), "a column:\n{board}");
    s.keys("<ret>");
    let text = s.text();
    let head = text.lines().find(|l| l.contains("candidate 1 of")).unwrap();
    assert!(head.contains("reward.min, mean ") && head.contains("reward:b 0."), "{text}");
    assert!(text.lines().any(|l| l.contains("reward:b 0.88 > 0.40")), "a line of the selected step:\n{text}");
    // It can rank and mark as any signal can, at its own threshold.
    s.keys("2j");
    assert!(s.text().contains("≠") || s.text().contains("reward:b"), "{}", s.text());
    s.keys("m");
    let messages = s.text();
    assert!(messages.contains("reward model (reward) runs/r: fake"), "{messages}");
    assert!(messages.contains("reward model (reward:b) x/b: of 7 M parameters"), "{messages}");
    assert!(messages.contains("calibration of reward:b: by the other's own hand"), "{messages}");
    s.keys("<esc>");
    s.updates([models(Slot::Failed { name: "x/b".into(), error: "config.json: no such file".into() })]);
    assert!(s.text().contains("reward:b failed (m)"), "{}", s.text());
    insta::assert_snapshot!("several_160x40", board);
}

#[test]
fn recorded_traces_are_asked_for_once_and_rank_by_the_first() {
    let mut traces = problems();
    for (k, t) in traces.iter_mut().enumerate() {
        let mut c = crate::tui_fixture::candidate(k);
        c.signals.clear();
        t.candidates = vec![c];
    }
    let mut s = Screen::with(Setup { size: (160, 40), live: true, ..Setup::default() }, traces);
    s.updates([models(Slot::Loading { name: "x/b".into(), progress: 0.4 })]);
    let of = |s: &Screen| -> Vec<u64> {
        s.sent.iter().filter_map(|r| if let Request::Score { id, .. } = r { Some(*id) } else { None }).collect()
    };
    let first = of(&s);
    assert_eq!(first.len(), 1, "the first is ready and need not wait");
    s.updates([models(named("x/b"))]);
    assert_eq!(of(&s), first, "what was asked for waits for the second");
    let judged = |value: f32| {
        let values = Values::Steps(vec![Some(value); 6]);
        let event = TraceEvent::Judged { candidate: 0, signal: "reward:b".into(), unit: Unit::Probability, values };
        Update::Event { id: first[0], event }
    };
    // The second is quicker; the first ranks all the same as soon as it speaks.
    s.updates([judged(0.75)]);
    assert!(s.text().contains("reward:b"), "{}", s.text());
    for u in writing(first[0], 0, 5) {
        if let Update::Event { event: TraceEvent::Rewards { .. }, .. } = &u {
            s.updates([u]);
        }
    }
    assert!(s.text().contains("reward.min ▲") && s.text().contains("rewards by runs/r, x/b"), "{}", s.text());
    s.updates([Update::Lost { id: first[0], error: "reward:b: a candidate does not fit".into() }]);
    assert!(s.text().contains("reward:b: a candidate does not fit"));
}

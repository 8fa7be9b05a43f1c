//! The real binary without a screen: exit codes, streams, files, interruption, bad input.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reasonscope"));
    command.args(args).env_remove("NO_COLOR").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(args: &[&str]) -> Output {
    program(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

fn sample(name: &str) -> String {
    format!("{}/samples/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn help_version_listings_and_pages_are_on_standard_output() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["score", "--help"],
        &["themes"],
        &["keys"],
        &["man"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["completions", "fish"],
        &["doctor"],
    ] {
        let output = run(args);
        assert_eq!(code(&output), 0, "{args:?}: {}", err(&output));
        assert!(!out(&output).is_empty() && err(&output).is_empty(), "{args:?}");
    }
    for code in ["  0 ", "  1 ", "  2 ", "  3 ", "  130 "] {
        assert!(out(&run(&["--help"])).contains(code));
    }
}

#[test]
fn listings_are_json_when_asked() {
    let lists = |args: &[&str]| serde_json::from_str::<Vec<Value>>(&out(&run(args))).unwrap();
    assert!(lists(&["themes", "--json"]).iter().any(|t| t["default"] == true));
    assert!(lists(&["keys", "--json"]).iter().all(|k| k["keys"][0].is_string() && k["does"].is_string()));
    let found = lists(&["doctor", "--json"]);
    for area in ["program", "devices", "models", "directories", "terminal"] {
        assert!(found.iter().any(|f| f["area"] == area), "{area}");
    }
    assert!(found.iter().all(|f| f["state"] == "ok" || f["remedy"].is_string()), "what is not found has a remedy: {found:?}");
}

#[test]
fn wrong_command_lines_end_with_2_and_say_why() {
    for (args, part) in [
        (&["scor"][..], "score"),
        (&["score"], "FILE"),
        (&["generate"], "--problem <TEXT>"),
        (&["-n", "0"], "1..=1024"),
        (&["--temperature", "-1"], "0 or above"),
        (&["--top-p", "0"], "above 0"),
        (&["--granularity", "interval:0"], "above 0"),
        (&["--aggregation", "median"], "mean"),
        (&["--device", "tpu"], "cuda"),
        (&["--segment", "verse"], "sentence"),
        (&["--train", "a.toml", "-n", "2"], "-n"),
        (&["--train"], "RECIPE"),
        (&["score", "x.jsonl", "--resume"], "--output"),
    ] {
        let output = run(args);
        assert_eq!(code(&output), 2, "{args:?}: {}", err(&output));
        assert!(err(&output).contains(part), "{args:?}: {}", err(&output));
        assert!(out(&output).is_empty());
    }
}

#[test]
fn what_cannot_be_done_ends_with_1_and_one_message() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("no/such/out.jsonl").display().to_string();
    let empty = dir.path().join("empty.jsonl");
    std::fs::write(&empty, "").unwrap();
    let empty = empty.display().to_string();
    let native = sample("native.jsonl");
    for (args, part) in [
        (&[][..], "needs a terminal"),
        (&["inspect", &native], "needs a terminal"),
        (&["score", "missing.jsonl", "--reward", "embedded"], "missing.jsonl"),
        (&["score", &empty, "--reward", "embedded"], "empty.jsonl"),
        (&["score", &native, "-o", &nowhere, "--reward", "embedded"], "does not exist"),
        (&["score", &native, "--reward", "missing"], "missing"),
        (&["score", &native, "--device", "cuda", "--reward", "embedded"], "cuda"),
        (&["generate", "--problem", "x", "--policy", dir.path().to_str().unwrap()], "config.json"),
        (&["generate", "--problem", "  "], "empty"),
        (&["train", "missing.toml"], "missing.toml"),
    ] {
        if part == "cuda" && cfg!(feature = "cuda") {
            continue;
        }
        let output = run(args);
        assert_eq!(code(&output), 1, "{args:?}: {}", err(&output));
        assert!(err(&output).contains(part), "{args:?}: {}", err(&output));
        assert!(out(&output).is_empty(), "{args:?}");
    }
}

const STORY: &str = "Ben has 12 pears. He gives 5 pears to Mia. How many pears does Ben have left?";

#[test]
fn candidates_are_generated_scored_while_they_grow_and_scored_again_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("live.jsonl");
    let file = file.to_str().unwrap();
    let output = run(&["generate", "--problem", STORY, "-n", "3", "--reward", "embedded", "-o", file, "--json"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let summary = records(&err(&output)).into_iter().find(|r| r["event"] == "summary").unwrap();
    assert_eq!((&summary["problems"], &summary["candidates"]), (&1.into(), &3.into()));
    let live = records(&std::fs::read_to_string(file).unwrap());
    assert_eq!(live.len(), 3);
    for (i, record) in live.iter().enumerate() {
        assert_eq!(record["candidate"], i);
        assert_eq!(record["problem"], STORY);
        assert!(!record["text"].as_str().unwrap().is_empty());
        assert!(!record["token_rewards"].as_array().unwrap().is_empty());
        assert!(record["step_rewards"].as_array().unwrap().iter().all(Value::is_number));
    }
    let again = run(&["generate", "--problem", STORY, "-n", "2"]);
    let texts = |records: &[Value]| records.iter().map(|r| r["text"].clone()).collect::<Vec<_>>();
    assert_eq!(texts(&records(&out(&again))), texts(&live[..2]), "candidate i depends on the seed and on i alone");
    let scored = run(&["score", file, "--reward", "embedded", "-q"]);
    assert_eq!(code(&scored), 0, "{}", err(&scored));
    assert!(err(&scored).is_empty());
    for (record, live) in records(&out(&scored)).iter().zip(&live) {
        let rewards = |r: &Value| r["step_rewards"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
        for (a, b) in rewards(record).iter().zip(rewards(live)) {
            assert!((a - b).abs() < 1e-2, "{a} {b}");
        }
    }
}

#[test]
fn bad_lines_among_good_are_reported_counted_and_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mixed.jsonl");
    let good =
        |i: u32| format!(r#"{{"id":"p-{i}","problem":"{STORY}","steps":["Ben has 7 pears."],"label":-1,"final_answer_correct":true}}"#);
    std::fs::write(&file, format!("{}\n{{\"problem\": 3\n{}\n", good(1), good(2))).unwrap();
    let output = run(&["score", file.to_str().unwrap(), "--reward", "embedded"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(records(&out(&output)).len(), 2);
    assert!(err(&output).contains("mixed.jsonl, line 2") && err(&output).contains("1 bad record was skipped"), "{}", err(&output));
}

#[test]
fn resuming_does_not_mix_the_rewards_of_two_models() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.jsonl");
    std::fs::write(&file, "{\"trace_id\": \"a\", \"reward_model\": \"runs/other/reward\"}\n").unwrap();
    let input = format!("{}/samples/processbench.jsonl", env!("CARGO_MANIFEST_DIR"));
    let output = run(&["score", &input, "-o", file.to_str().unwrap(), "--reward", "embedded", "--resume"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("out.jsonl, line 1") && err(&output).contains("runs/other/reward"), "{}", err(&output));
}

#[test]
fn resuming_knows_the_traces_of_a_native_file() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["a.jsonl", "b.jsonl"].map(|n| dir.path().join(n).display().to_string());
    let sample = |name: &str| format!("{}/samples/{name}", env!("CARGO_MANIFEST_DIR"));
    assert_eq!(code(&run(&["score", &sample("gsm8k_pool.jsonl"), &sample("processbench.jsonl"), "--reward", "embedded", "-o", &first])), 0);
    assert_eq!(code(&run(&["score", &first, "--reward", "embedded", "-o", &second])), 0);
    let before = std::fs::read_to_string(&second).unwrap();
    assert!(before.lines().count() > 3);
    let again = run(&["score", &first, "--reward", "embedded", "-o", &second, "--resume"]);
    assert!(code(&again) == 0 && err(&again).contains("were there already"), "{}", err(&again));
    assert_eq!(std::fs::read_to_string(&second).unwrap(), before, "nothing is scored twice");
}

#[test]
fn resuming_keeps_what_is_there_and_does_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (problems, file) = (dir.path().join("problems.txt"), dir.path().join("out.jsonl"));
    let (problems, file) = (problems.to_str().unwrap(), file.to_str().unwrap());
    std::fs::write(problems, format!("{STORY}\n")).unwrap();
    let args = ["generate", "--problems", problems, "-n", "1", "--max-tokens", "8", "-o", file];
    assert_eq!(code(&run(&args)), 0);
    let first = std::fs::read_to_string(file).unwrap();
    std::fs::write(problems, format!("{STORY}\nMia has 3 plums. She buys 4 plums. How many plums does Mia have?\n")).unwrap();
    let output = run(&[&args[..], &["--resume"]].concat());
    assert_eq!(code(&output), 0, "{}", err(&output));
    let both = std::fs::read_to_string(file).unwrap();
    assert!(both.starts_with(&first) && both.lines().count() == 2, "{both}");
    std::fs::write(file, "not json\n").unwrap();
    let output = run(&[&args[..], &["--resume"]].concat());
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("line 1") && err(&output).contains("--resume"));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "not json\n", "what was there stays");
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[cfg(unix)]
fn many_problems(dir: &Path) -> String {
    let file = dir.join("many.txt");
    let text: String = (10..2000).map(|i| STORY.replace("12", &i.to_string()) + "\n").collect();
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[cfg(unix)]
#[test]
fn interrupting_keeps_what_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let (problems, file) = (many_problems(dir.path()), dir.path().join("out.jsonl"));
    let mut child = program(&["generate", "--problems", &problems, "-n", "1", "--max-tokens", "4"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    signal(&child, "-INT");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.len() < 1900);
    rest.iter().for_each(|l| assert!(serde_json::from_str::<Value>(l).is_ok(), "{l}"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130);
    assert!(err(&output).contains("interrupted") && err(&output).contains("--resume"), "{}", err(&output));

    let mut child =
        program(&["generate", "--problems", &problems, "-n", "1", "--max-tokens", "4", "-o", file.to_str().unwrap()]).spawn().unwrap();
    let temporary = || std::fs::read_dir(dir.path()).unwrap().flatten().find(|e| e.file_name().to_string_lossy().ends_with(".part"));
    while temporary().is_none_or(|t| t.metadata().unwrap().len() == 0) {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(!file.exists(), "the file appears when it is whole");
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 143, "{}", err(&output));
    assert!(!records(&std::fs::read_to_string(&file).unwrap()).is_empty());
    assert!(temporary().is_none());
}

#[cfg(unix)]
#[test]
fn an_interrupted_score_keeps_only_what_is_scored_and_resuming_completes_it() {
    let dir = tempfile::tempdir().unwrap();
    let (input, file) = (dir.path().join("in.jsonl"), dir.path().join("out.jsonl"));
    let steps: Vec<String> = (0..40).map(|i| format!("Mia has {i} + 2 = {} apples.", i + 2)).collect();
    let record = |i: usize| {
        let id = format!("p-{i}");
        serde_json::json!({ "id": id, "problem": "How many?", "steps": steps, "label": -1, "final_answer_correct": true }).to_string()
    };
    std::fs::write(&input, (0..200).map(|i| record(i) + "\n").collect::<String>()).unwrap();
    let args = ["score", input.to_str().unwrap(), "--reward", "embedded", "-o", file.to_str().unwrap(), "--resume"];
    let mut child = program(&args).spawn().unwrap();
    let temporary = || std::fs::read_dir(dir.path()).unwrap().flatten().find(|e| e.file_name().to_string_lossy().ends_with(".part"));
    let lines = |path: Option<std::path::PathBuf>| path.and_then(|p| std::fs::read_to_string(p).ok()).map_or(0, |t| t.lines().count());
    while lines(temporary().map(|t| t.path())) < 3 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // What a killed run has written is there for the next.
    signal(&child, "-KILL");
    child.wait().unwrap();
    assert!(!file.exists() && temporary().is_some());
    let anew = run(&args[..6]);
    assert!(code(&anew) == 1 && err(&anew).contains("out.jsonl.part") && err(&anew).contains("--resume"), "{}", err(&anew));
    let mut child = program(&args).spawn().unwrap();
    let before = lines(temporary().map(|t| t.path())).max(lines(Some(file.clone())));
    assert!(before > 0);
    while lines(temporary().map(|t| t.path())) <= before {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130, "{}", err(&output));
    let scored = || records(&std::fs::read_to_string(&file).unwrap());
    let whole = |r: &Value| r["step_rewards"].as_array().is_some_and(|s| s.len() == 40 && s.iter().all(|x| x.is_number()));
    let first = scored();
    assert!(!first.is_empty() && first.len() < 200 && first.iter().all(whole), "{} records", first.len());
    assert!(err(&output).contains("were there already"), "{}", err(&output));
    assert_eq!(code(&run(&args)), 0);
    let all = scored();
    assert!(all.len() == 200 && all.iter().all(whole) && all.iter().all(|r| r["outcome_reward"].is_number()));
    let mut ids: Vec<&str> = all.iter().filter_map(|r| r["trace_id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 200);
    let same = run(&["score", "--reward", "embedded", file.to_str().unwrap(), "-o", file.to_str().unwrap()]);
    assert!(code(&same) == 1 && err(&same).contains("to be read and to be written"), "{}", err(&same));
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let problems = many_problems(dir.path());
    let mut child = program(&["generate", "--problems", &problems, "-n", "1", "--max-tokens", "4"]).spawn().unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0);
    assert!(!err(&output).contains("panicked") && !err(&output).contains("error"), "{}", err(&output));
}

#[test]
fn standard_input_is_read_where_it_is_named() {
    let mut child = program(&["generate", "--problems", "-", "-n", "1", "--max-tokens", "4", "-q"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{STORY}\n{STORY}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(records(&out(&output)).len(), 2);
}

/// Makes a recipe of the same shape that is through in a moment.
fn shrink(table: &mut toml::Table) {
    for (key, value) in table.iter_mut() {
        let small = match key.as_str() {
            "steps" | "batch_size" | "heads" | "rollout_problems" | "warmup_steps" => 2,
            "layers" | "kv_heads" | "experts" | "policy_samples" | "corrupted" => 1,
            "rollouts_per_problem" | "samples" | "problems" => 4,
            "hidden_size" => 16,
            "intermediate_size" => 32,
            "demonstrations" => 40,
            "vocab_size" => 300,
            "max_tokens" => 600,
            "context" => 1024,
            _ => {
                if let toml::Value::Table(inner) = value {
                    shrink(inner);
                }
                continue;
            }
        };
        *value = toml::Value::Integer(small);
    }
}

#[test]
fn a_recipe_trains_and_both_spellings_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("tiny.toml");
    let folder = dir.path().join("run");
    let mut table: toml::Table = std::fs::read_to_string(sample("recipes/embedded.toml")).unwrap().parse().unwrap();
    table.insert("output".into(), folder.display().to_string().into());
    shrink(&mut table);
    let text = toml::to_string(&table).unwrap();
    std::fs::write(&recipe, text).unwrap();
    let recipe = recipe.to_str().unwrap();
    let output = run(&["train", recipe, "--json"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let metrics = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    assert!(records(&metrics).iter().any(|r| r["stage"] == "policy" && r["step"] == 2), "{metrics}");
    let reward = folder.join("reward").display().to_string();
    let output = run(&["--train", recipe]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(err(&output).contains(&reward), "{}", err(&output));
    let policy = folder.join("policy").display().to_string();
    let output = run(&["generate", "--policy", &policy, "--reward", &reward, "--problem", STORY, "-n", "2", "--max-tokens", "8"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(records(&out(&output)).len(), 2);
}

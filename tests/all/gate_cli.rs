//! Where a reward model holds, through the real binary: `data gate`, and what `score`, `generate` and `eval` say of text that lies outside.

use reasonscope::model::embedded_reward;
use reasonscope::reward::{LocalReward, Piece, RewardModel};
use reasonscope::task::stories::{Split, story};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(args).stdin(Stdio::null()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn records(path: &str) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn sample(name: &str) -> String {
    format!("{}/samples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The embedded reward model as a directory, with the card of an older version.
fn older(dir: &Path) -> String {
    let reward = dir.join("reward");
    fs::create_dir(&reward).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors", "reward.json"] {
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/reward").join(name), reward.join(name)).unwrap();
    }
    let mut card: Value = serde_json::from_slice(&fs::read(reward.join("reward.json")).unwrap()).unwrap();
    assert!(card.as_object_mut().unwrap().remove("gate").is_some(), "the embedded card has a gate");
    // The problems that it was trained on are made anew, which takes its time.
    card["demonstrations"] = json!(50);
    fs::write(reward.join("reward.json"), card.to_string()).unwrap();
    reward.display().to_string()
}

/// Demonstrations of stories as records of GSM8K.
fn demonstrations(dir: &Path, n: u64) -> String {
    let line = |i| {
        let s = story(Split::Validation, 9, i);
        json!({ "question": s.problem, "answer": s.solution() }).to_string()
    };
    let path = dir.join("demonstrations.jsonl");
    fs::write(&path, (0..n).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    path.display().to_string()
}

/// Recorded stories that the model was not trained on.
fn own(dir: &Path) -> String {
    let line = |i| {
        let s = story(Split::InDistribution, 4, i);
        json!({ "schema_version": 1, "trace_id": format!("own-{i}"), "candidate": 0, "problem": s.problem, "text": s.solution() })
            .to_string()
    };
    let path = dir.join("own.jsonl");
    fs::write(&path, (0..6).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    path.display().to_string()
}

#[test]
fn an_older_card_gets_its_gate_from_demonstrations() {
    let dir = tempfile::tempdir().unwrap();
    let (reward, demonstrations, own) = (older(dir.path()), demonstrations(dir.path(), 80), own(dir.path()));
    let out = dir.path().join("out.jsonl").display().to_string();
    let score = |input: &str, more: &[&str]| {
        let args = [&["score", input, "--reward", &reward, "-o", &out], more].concat();
        let (code, _, err) = run(&args);
        assert_eq!(code, 0, "{err}");
        (err, records(&out))
    };
    let foreign = sample("processbench.jsonl");
    let (err, found) = score(&foreign, &[]);
    assert!(!err.contains("outside") && found[0].get("reward_outside").is_none(), "{err}");
    assert!(found[0]["first_deviation"].is_i64(), "as before");

    let (code, _, err) = run(&["data", "gate", &reward, &demonstrations]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("nats a token") && err.contains("false alarms"), "{err}");
    let card: Value = serde_json::from_slice(&fs::read(format!("{reward}/reward.json")).unwrap()).unwrap();
    assert_eq!((&card["gate"]["samples"], &card["gate"]["task"], &card["name"]), (&json!(40), &json!("stories"), &json!("stories reward")));
    assert!(card["gate"]["first_step_marked"].as_f64().unwrap() < 0.5, "{card}");

    let (err, found) = score(&foreign, &[]);
    let n = found.len();
    assert!(
        err.contains(&format!("{n} of {n} traces lie outside of what the reward model has learned (stories)")) && err.contains("--trust"),
        "{err}"
    );
    for record in &found {
        assert_eq!(record["reward_outside"], true);
        assert!(record.get("first_deviation").is_none() && record.get("deviation_signal").is_none(), "{record}");
        assert!(record["token_rewards"].is_array() && record["reward_domain"]["problem"]["value"].is_f64(), "the numbers are there");
    }
    // What was withheld is not in the file, so that it is withheld from those who read it, too.
    let (code, shown, err) = run(&["eval", "localise", &out]);
    assert!(code == 0 && err.contains("lie outside"), "{shown}{err}");
    let (err, found) = score(&foreign, &["--trust"]);
    assert!(err.contains("marked all the same"), "{err}");
    assert!(found.iter().all(|r| r["first_deviation"].is_i64() && r["reward_outside"] == true));
    let (err, found) = score(&own, &[]);
    assert!(!err.contains("outside"), "{err}");
    assert!(found.iter().all(|r| r["first_deviation"].is_i64() && r["reward_outside"] == false));
}

#[test]
fn a_gate_needs_demonstrations_and_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (reward, few) = (older(dir.path()), demonstrations(dir.path(), 30));
    let (code, _, err) = run(&["data", "gate", &reward, &few]);
    assert!(code == 1 && err.contains("15 demonstrations") && err.contains("20 or more"), "{err}");
    let (code, _, err) = run(&["data", "gate", "embedded"]);
    assert!(code == 2 && err.contains("directory"), "{err}");
}

#[test]
fn the_embedded_reward_says_that_benchmarks_are_not_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.jsonl").display().to_string();
    let (code, _, err) =
        run(&["score", &sample("processbench.jsonl"), &sample("mmlu_pro_outputs.jsonl"), "--reward", "embedded", "-o", &out]);
    assert_eq!(code, 0, "{err}");
    let found = records(&out);
    assert!(!found.is_empty() && found.iter().all(|r| r["reward_outside"] == true && r.get("first_deviation").is_none()), "{err}");
    let own = own(dir.path());
    let (code, _, err) = run(&["score", &own, "--reward", "embedded", "-o", &out, "--quiet"]);
    assert!(code == 0 && !err.contains("outside"), "{err}");
    assert!(records(&out).iter().all(|r| r["reward_outside"] == false && r["first_deviation"].is_i64()), "its own task is judged");
}

/// How many of the first stories of a split, each with its solution, lie outside of what the embedded reward model has learned.
fn outside_of(model: &mut LocalReward, split: Split, n: u64) -> usize {
    let lies = |i| {
        let s = story(split, 4, i);
        let (text, end) = (s.solution(), s.solution().len());
        model.begin(&s.problem, 1).unwrap();
        let piece = Piece { candidate: 0, text: &text, tokens: &[], new: 0..end, finished: true, cut_short: false, steps: &[] };
        model.append(&[piece]).unwrap();
        model.domain(0).unwrap().is_outside()
    };
    (0..n).map(lies).filter(|out| *out).count()
}

#[test]
fn stories_of_other_kinds_lie_mostly_inside() {
    let mut model = LocalReward::open(&embedded_reward(), &candle_core::Device::Cpu, None).unwrap();
    let n = 20;
    let counts: Vec<(&str, usize)> = Split::ALL.into_iter().map(|s| (s.name(), outside_of(&mut model, s, n))).collect();
    eprintln!("of {n} outside: {counts:?}");
    for (split, outside) in &counts {
        // One in a hundred of its own, as it says: one of twenty is much already. What is phrased in ways that it never read is foreign to it.
        if *split == "unseen_phrasing" {
            continue;
        }
        let most = if ["train", "validation", "in_distribution"].contains(split) { 1 } else { n as usize / 2 };
        assert!(*outside <= most, "{counts:?}");
    }
}

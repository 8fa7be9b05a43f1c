//! Published reward models through the real binary: `score`, `generate`, `eval`, `doctor`, and what is said of models that do not fit.

use crate::protocol::make;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(args).stdin(Stdio::null()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn records(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// The signal `reward` of a native record.
fn reward(record: &Value) -> &Value {
    record["signals"].as_array().unwrap().iter().find(|s| s["name"] == "reward").unwrap()
}

fn traces(dir: &Path) -> String {
    let path = dir.join("in.jsonl");
    let line = |id: &str, label: i64| json!({"id": id, "generator": "g", "problem": "What is 1 + 2 + 3?", "steps": ["1 + 2 = 3.", "3 + 3 = 6."], "final_answer_correct": true, "label": label});
    fs::write(&path, format!("{}\n{}\n", line("gsm8k-0", -1), line("gsm8k-1", 1))).unwrap();
    path.display().to_string()
}

#[test]
fn a_file_is_scored_and_evaluated_by_a_published_model() {
    let (made, dir) = (make("qwen-prm"), tempfile::tempdir().unwrap());
    let (input, model, output) = (traces(dir.path()), made.path.display().to_string(), dir.path().join("out.jsonl"));
    let (code, _, err) = run(&["score", &input, "--reward", &model, "--device", "cpu", "-o", &output.display().to_string()]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("read as Qwen2.5-Math-PRM") && err.contains("--aggregation product"), "{err}");
    let found = records(&output);
    let signal = reward(&found[0]);
    assert_eq!((&signal["unit"], &signal["source"]["model"]), (&json!("probability"), &json!(model)));
    let steps: Vec<f64> = signal["step_values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert!(steps.len() == 2 && steps.iter().all(|p| (0.0..=1.0).contains(p)), "{steps:?}");
    assert!(found[0]["first_deviation"].is_i64(), "the family's threshold marks");
    let (code, out, err) = run(&["eval", "localise", &input, "--reward", &model, "--device", "cpu"]);
    assert!(code == 0 && out.contains("reward"), "{out}{err}");
    // A second pass over what was scored keeps the numbers.
    let again = dir.path().join("again.jsonl");
    let (code, _, err) =
        run(&["score", &output.display().to_string(), "--reward", &model, "--device", "cpu", "-o", &again.display().to_string()]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(reward(&records(&again)[0]), signal);
}

#[test]
fn what_is_generated_is_scored_as_it_would_be_recorded() {
    for name in ["trl", "outcome"] {
        let (made, dir) = (make(name), tempfile::tempdir().unwrap());
        let (model, live, recorded) = (made.path.display().to_string(), dir.path().join("live.jsonl"), dir.path().join("recorded.jsonl"));
        let problem = "Mia has 2 bags with 3 apples each. How many apples does Mia have?";
        let file = |p: &Path| p.display().to_string();
        let args =
            ["generate", "--problem", problem, "-n", "3", "--reward", &model, "--device", "cpu", "--segment", "line", "-o", &file(&live)];
        let (code, _, err) = run(&args);
        assert_eq!(code, 0, "{err}");
        let (code, _, err) = run(&["score", &file(&live), "--reward", &model, "--device", "cpu", "-o", &file(&recorded)]);
        assert_eq!(code, 0, "{err}");
        for (live, recorded) in records(&live).iter().zip(&records(&recorded)) {
            let numbers = |r: &Value| {
                let signal = reward(r);
                let all = signal["step_values"].as_array().cloned().unwrap_or_else(|| vec![signal["value"].clone()]);
                all.iter().map(|v| v.as_f64().unwrap()).collect::<Vec<f64>>()
            };
            let (live, recorded) = (numbers(live), numbers(recorded));
            assert!(!live.is_empty() && live.len() == recorded.len(), "{name}: {live:?} {recorded:?}");
            assert!(live.iter().zip(&recorded).all(|(a, b)| (a - b).abs() < 1e-4), "{name}: {live:?} {recorded:?}");
        }
    }
}

#[test]
fn the_doctor_says_what_a_model_is_taken_for_and_what_is_fed_to_it() {
    let made = make("qwen-prm");
    let (code, out, _) = run(&["doctor", &made.path.display().to_string(), "--device", "cpu"]);
    assert_eq!(code, 0, "{out}");
    for part in ["Qwen2.5-Math-PRM, because config.json names the architecture", "\"<extra_0>\" <- read here", "softmax's part of rows [1]"]
    {
        assert!(out.contains(part), "{out} lacks {part}");
    }
    let made = make("skywork");
    let (_, out, _) = run(&["doctor", &made.path.display().to_string(), "--device", "cpu"]);
    assert!(out.contains("v_head.summary") && out.contains("lm_head.weight is there too and is not read"), "{out}");
}

#[test]
fn what_does_not_fit_is_one_clear_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let input = traces(dir.path());
    let score = |model: &str, more: &[&str]| run(&[&["score", &input, "--reward", model, "--device", "cpu"], more].concat()).2;
    // A policy has no protocol.
    let made = make("versaprm");
    let plain = made.path.with_file_name("plain");
    fs::rename(&made.path, &plain).unwrap();
    let err = score(&plain.display().to_string(), &[]);
    assert!(err.contains("language model (LlamaForCausalLM)") && err.contains("reward.toml") && err.contains("--reward-protocol"), "{err}");
    let err = score("embedded", &["--reward-protocol", "x.toml"]);
    assert!(err.contains("--reward-protocol: embedded needs no protocol"), "{err}");
    // Pickled weights are not opened; the command that converts them is there.
    let made = make("trl");
    fs::remove_file(made.path.join("model.safetensors.index.json")).unwrap();
    fs::write(made.path.join("pytorch_model.bin"), "x").unwrap();
    let err = score(&made.path.display().to_string(), &[]);
    assert!(err.contains("never opened") && err.contains("weights_only=True") && err.contains("save_file"), "{err}");
    // A reward model named as a policy.
    let made = make("trl");
    let generate = |model: &Path| {
        run(&["generate", "--problem", "x", "--policy", &model.display().to_string(), "--device", "cpu", "-n", "1", "--max-tokens", "2"])
    };
    let (code, _, err) = generate(&made.path);
    assert!(code == 1 && err.contains("score.weight") && err.contains("name it with --reward"), "{err}");
    let (code, _, err) = generate(&make("skywork").path);
    assert!(code == 0 && err.contains("v_head.summary.weight is not read here"), "{err}");
    // No head, and a configuration that ties none.
    let made = make("versaprm");
    fs::write(made.path.join("model.safetensors.index.json"), json!({"weight_map": {"a": "body.safetensors"}}).to_string()).unwrap();
    let (code, _, err) = generate(&made.path);
    assert!(code == 1 && err.contains("lm_head.weight") && err.contains("tie_word_embeddings"), "{err}");
}

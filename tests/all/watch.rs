//! Watching a run: alarms that end it, what it leaves behind, and `watch` on its folder.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reasonscope"));
    command.args(args).env_remove("NO_COLOR").stdin(Stdio::null()).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A recipe whose samples are cut after a token.
fn recipe(dir: &Path) -> String {
    let path = dir.join("r.toml");
    let text = format!(
        r#"
        seed = 3
        output = {:?}
        data = {{ task = "stories", demonstrations = 40, vocab_size = 300 }}
        [policy]
        shape = {{ hidden_size = 16, layers = 1, heads = 2, kv_heads = 1, intermediate_size = 24, context = 512 }}
        sft = {{ steps = 4, batch_size = 4 }}
        [reward]
        adversarial = {{ steps = 3, prompts = 3, corrupted = 2, rollout_problems = 6, rollouts_per_problem = 2, max_tokens = 1 }}
        calibration = {{ problems = 3, samples = 2, false_alarm_rate = 0.1, stand_ins = {{ majority = 0.5 }} }}
        "#,
        dir.join("run")
    );
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn an_alarm_ends_the_run_where_it_is_asked_to_and_is_a_warning_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(dir.path());
    let ended = run(&["train", &recipe, "--fail-on", "nan,all_truncated"]);
    assert_eq!(ended.status.code(), Some(3), "{}", err(&ended));
    assert!(err(&ended).contains("reasonscope: --fail-on: all_truncated: 100 % of the completions"), "{}", err(&ended));
    let folder = dir.path().join("run");
    assert!(folder.join("checkpoints/policy.safetensors").is_file());
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(lines.iter().all(|l| l["time"].as_f64().is_some_and(|t| t > 1e9)));
    assert!(lines.iter().any(|l| l["stage"] == "rollouts" && l["alarm"] == "all_truncated" && l["message"].is_string()), "{text}");
    let events = std::fs::read_dir(&folder).unwrap().filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("tfevents"));
    assert_eq!(events.count(), 1);

    std::fs::remove_dir_all(&folder).unwrap();
    let warned = run(&["train", &recipe, "--fail-on", "flat_rewards"]);
    assert_eq!(warned.status.code(), Some(1), "{}", err(&warned));
    assert!(err(&warned).contains("warning: all_truncated: ") && err(&warned).contains("no policy samples"), "{}", err(&warned));
}

#[test]
fn alarms_are_named_by_their_names() {
    let output = run(&["train", "r.toml", "--fail-on", "flat"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("flat_rewards") && err(&output).contains("any"), "{}", err(&output));
}

/// A run's folder: fine-tuning done, reinforcement learning under way with flat rewards.
fn folder(dir: &Path) {
    let mut text = String::from("{\"stage\":\"policy\",\"step\":5,\"steps\":5,\"time\":90.0,\"loss\":0.5}\n");
    for step in 1..=20 {
        let time = 100 + 2 * step;
        text +=
            &format!("{{\"stage\":\"rl\",\"step\":{step},\"steps\":100,\"time\":{time}.0,\"reward\":0.25,\"frac_reward_zero_std\":1.0}}\n");
    }
    std::fs::write(dir.join("metrics.jsonl"), text + "not json\n").unwrap();
}

#[test]
fn without_a_terminal_the_state_of_the_run_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path());
    let path = dir.path().display().to_string();
    let plain = run(&["watch", &path]);
    let text = String::from_utf8(plain.stdout).unwrap();
    assert_eq!(plain.status.code(), Some(0));
    for part in [
        ": ended\n",
        "policy 5 of 5\n  loss  0.5\n",
        "rl 20 of 100\n",
        "reward                0.25",
        "alarm flat_rewards at rl step 10 (stands)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("unreadable: metrics.jsonl:22: "), "{text}");
    let lock = std::fs::File::create(dir.path().join(".lock")).unwrap();
    let broken = String::from_utf8(run(&["watch", &path]).stdout).unwrap();
    assert!(broken.contains(": broken off\n") && broken.contains("rl 20 of 100\n"), "{broken}");
    lock.lock().unwrap();
    let running = String::from_utf8(run(&["watch", &path]).stdout).unwrap();
    assert!(running.contains(": running\n") && running.contains("rl 20 of 100, 160 s left"), "{running}");
    let json: Value = serde_json::from_slice(&run(&["watch", &path, "--json"]).stdout).unwrap();
    assert_eq!(json["state"], "running");
    assert_eq!(json["stages"][1]["metrics"]["reward"], 0.25);
    assert_eq!((&json["stages"][1]["seconds_left"], &json["alarms"][0]["alarm"]), (&160.0.into(), &"flat_rewards".into()));
}

#[test]
fn what_is_no_run_is_refused_with_one_message() {
    let dir = tempfile::tempdir().unwrap();
    for (path, part) in [(dir.path().display().to_string(), "metrics.jsonl"), ("missing".into(), "does not exist")] {
        let output = run(&["watch", &path]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(part) && err(&output).lines().count() == 1, "{}", err(&output));
    }
}

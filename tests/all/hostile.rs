//! What names, keys and texts from outside do to a terminal: nothing, whichever command repeats them.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Sets the clipboard, clears the screen, turns text around, and forges a line.
const HOSTILE: &str = "n\u{1b}]52;c;UFdORUQ=\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{2066}x\nFORGED: all is well";

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reasonscope"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).env_remove("HF_TOKEN");
    command
}

fn assert_harmless(what: &str, output: &Output) {
    for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let raw = |c: &char| (c.is_control() && *c != '\n' && *c != '\t') || ('\u{202a}'..='\u{202e}').contains(c) || *c == '\u{2066}';
        let found: Vec<char> = text.chars().filter(raw).collect();
        assert!(found.is_empty(), "{what}: {stream} has {found:?}: {text:?}");
        assert!(!text.lines().any(|l| l.starts_with("FORGED")), "{what}: {stream}: {text}");
    }
}

/// Runs a command with and without `--json`; it must say something.
fn harmless(args: &[&str]) {
    harmless_with(args, &[]);
}

fn harmless_with(args: &[&str], variables: &[(&str, &str)]) {
    for json in [&[][..], &["--json"]] {
        let output = program(&[args, json].concat()).envs(variables.iter().copied()).output().unwrap();
        let what = format!("{:?}", [args, json].concat());
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "{what} says nothing");
        assert_harmless(&what, &output);
    }
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn names_that_are_not_there_are_repeated_harmlessly() {
    for args in [
        &["score", HOSTILE, "--reward", "embedded"][..],
        &["score", "samples/processbench.jsonl", "--reward", HOSTILE],
        &["score", "samples/processbench.jsonl", "--policy", HOSTILE],
        &["score", "samples/processbench.jsonl", "--reward", "embedded", "--fields", HOSTILE],
        &["score", "samples/processbench.jsonl", "--reward", "embedded", "--fields", &format!("problem={}", HOSTILE.replace(',', ""))],
        &["generate", "--problems", HOSTILE],
        &["generate", "--problem", HOSTILE, "-n", "1", "--max-tokens", "4"],
        &["inspect", HOSTILE],
        &["watch", HOSTILE],
        &["eval", HOSTILE],
        &["eval", "rerank", HOSTILE],
        &["eval", "localise", "samples/processbench.jsonl", "--signal", HOSTILE],
        &["eval", "compare", HOSTILE, HOSTILE],
        &["eval", "rerank", "samples/processbench.jsonl", "--min", HOSTILE],
        &["data", "check", "gsm8k", HOSTILE],
        &["data", "join", HOSTILE],
        &["data", "fetch", "gsm8k", "--split", HOSTILE],
        &["train", HOSTILE],
        &["train", "samples/recipes/smoke.toml", "--set", HOSTILE],
        &["train", "samples/recipes/smoke.toml", "--set", &format!("{HOSTILE}=1")],
        &["doctor", HOSTILE],
        &["--theme", HOSTILE],
        &["--policy", &format!("http://{HOSTILE}/v1")],
        &[HOSTILE],
        &["score", &format!("--{HOSTILE}")],
        &["score", "samples/processbench.jsonl", "--reward", "embedded", "-o", &format!("{HOSTILE}/out")],
    ] {
        harmless(args);
    }
}

#[test]
fn what_files_hold_is_repeated_harmlessly() {
    let dir = tempfile::tempdir().unwrap();
    let key = serde_json::to_string(HOSTILE).unwrap();
    let unknown = file(dir.path(), "unknown.jsonl", &format!("{{{key}: {key}}}\n"));
    let wrong = file(dir.path(), "wrong.jsonl", &format!("{{\"schema_version\": 1, \"trace_id\": {key}, \"text\": 5, {key}: 1}}\n"));
    let native = file(
        dir.path(),
        "native.jsonl",
        &format!(
            "{{\"schema_version\": 1, \"trace_id\": {key}, \"candidate\": 0, \"problem\": {key}, \"text\": {key}, {key}: {key}, \"answer\": {key}, \
             \"gold_answer\": {key}, \"gold_deviation\": 0, \"correct\": true, \"policy\": {key}, \"signals\": [{{\"name\": {key}, \"source\": \"file\", \"values\": {{\"candidate\": 1.0}}}}]}}\n"
        ),
    );
    let recipe = file(dir.path(), "recipe.toml", &format!("{key} = {key}\n"));
    let value = file(dir.path(), "value.toml", &format!("output = {key}\ntask = {key}\n"));
    let model = dir.path().join("model");
    std::fs::create_dir(&model).unwrap();
    file(&model, "config.json", &format!("{{\"architectures\": [{key}], \"model_type\": {key}}}"));
    let model = model.to_str().unwrap();
    for args in [
        &["score", &unknown, "--reward", "embedded"][..],
        &["score", &wrong, "--reward", "embedded"],
        &["score", &native, "--reward", "embedded"],
        &["eval", "all", &native],
        &["eval", "localise", &native],
        &["eval", "rerank", &native, "--format", "markdown"],
        &["data", "join", &native],
        &["data", "check", "math", &native],
        &["train", &recipe],
        &["train", &value],
        &["eval", &recipe],
        &["doctor", model],
        &["score", "samples/processbench.jsonl", "--reward", model],
    ] {
        harmless(args);
    }
    // The text itself is whole in what is written, though no terminal obeys it.
    let output = program(&["score", &native, "--reward", "embedded"]).output().unwrap();
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((record["text"].as_str(), record["problem"].as_str()), (Some(HOSTILE), Some(HOSTILE)));
}

#[test]
fn the_environment_is_repeated_harmlessly() {
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (args, variable, value) in [
        (&["doctor"][..], "HF_HOME", HOSTILE.to_owned()),
        (&["doctor", "-v"], "REASONSCOPE_LOG", HOSTILE.to_owned()),
        (&["doctor"], "TERM", HOSTILE.to_owned()),
        (&["data", "fetch", "gsm8k"], "HF_ENDPOINT", HOSTILE.to_owned()),
        (&["data", "fetch", "gsm8k"], "HF_ENDPOINT", format!("http://me:pass-word@{refused}/{HOSTILE}")),
        (&["themes"], "XDG_CONFIG_HOME", HOSTILE.to_owned()),
        (&["score", "samples/processbench.jsonl", "--reward", "embedded", "-v"], "REASONSCOPE_LOG", format!("{HOSTILE}=x")),
    ] {
        harmless_with(args, &[(variable, &value)]);
        let output = program(args).env(variable, &value).output().unwrap();
        assert!(![output.stdout, output.stderr].concat().windows(9).any(|w| w == b"pass-word"), "{args:?}");
    }
}

/// The most memory that a process had so far, in bytes.
#[cfg(target_os = "linux")]
fn peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let kib = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse::<u64>().ok()?;
    Some(kib << 10)
}

#[cfg(target_os = "linux")]
#[test]
fn a_template_that_takes_memory_without_end_costs_a_message_and_no_more_memory() {
    let made = crate::protocol::make("rlhflow");
    let model = made.path.display().to_string();
    for template in [
        "{% set ns = namespace(x=[0]) %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x | length }}",
        "{{ (['a' * 1000000] * 1000000) | join | length }}",
        "{{ ((['a' * 1000000] * 1000000) ~ '') | length }}",
        "{{ (['a' * 1000000] * 1000000) | tojson | length }}",
        "{{ (['a' * 1000000] * 1000000) | string | length }}",
    ] {
        std::fs::write(made.path.join("chat_template.jinja"), template).unwrap();
        let mut child = program(&["score", "samples/processbench.jsonl", "--reward", &model, "--device", "cpu"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            most = most.max(peak(child.id()).unwrap_or(0));
            assert!(most < 1 << 30, "{template}: {most} bytes");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        // A busy machine gives up waiting before it holds too much.
        let told = ["it takes more memory", "it works on without end"]
            .iter()
            .any(|w| said.contains(&format!("chat_template.jinja: chat template: {w}")));
        assert!(told, "{template}: {said}");
        assert!(!said.contains("panicked") && output.status.code() == Some(1), "{template}: {said}");
    }
}

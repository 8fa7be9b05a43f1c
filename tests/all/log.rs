//! The log: what stands in it, what never does, and where it is not written.

use crate::fake_server::{FakeServer, Reply, models};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the program; exit code, and what it says on standard output and on standard error.
fn run(args: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reasonscope"));
    command.args(args).env_remove("REASONSCOPE_LOG").envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_file_hears_of_models_files_and_bad_records_and_the_output_stays_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let traces = dir.path().join("traces.jsonl");
    let good = read(Path::new("samples/native.jsonl")).lines().next().unwrap().to_owned();
    std::fs::write(&traces, format!("{good}\n{{\"id\": 3}}\n{good}\n")).unwrap();
    let (traces, log) = (traces.to_str().unwrap(), dir.path().join("run.log"));
    let plain = run(&["score", traces, "--reward", "embedded", "--device", "cpu"], &[]);
    let logged = run(&["score", traces, "--reward", "embedded", "--device", "cpu", "--log", log.to_str().unwrap()], &[]);
    assert_eq!((plain.0, &plain.1), (logged.0, &logged.1), "{}", logged.2);
    let text = read(&log);
    for said in
        ["begins", "INFO", "reasonscope::format", "traces.jsonl", "WARN", "line 2", "reasonscope::model", "embedded", "has answered"]
    {
        assert!(text.contains(said), "{said} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}') && !logged.2.contains("reasonscope::"), "{text}");
    // The next call goes on in it, before the words and with a filter.
    let before = text.len();
    let (code, ..) = run(
        &["--log", log.to_str().unwrap(), "score", traces, "--reward", "embedded", "--device", "cpu"],
        &[("REASONSCOPE_LOG", "off,format=info")],
    );
    let more = read(&log).split_off(before);
    assert!(code == 0 && more.contains("has opened a file") && !more.contains("reasonscope::model"), "{more}");
}

#[test]
fn verbose_speaks_on_standard_error_alone() {
    let traces = "samples/processbench.jsonl";
    let (code, out, err) = run(&["-v", "score", traces, "--reward", "none", "--policy", "embedded", "--device", "cpu"], &[]);
    assert!(code == 0 && err.contains("INFO") && err.contains("has opened a file") && !out.contains("INFO"), "{out} {err}");
    let lines = |err: &str| err.lines().filter(|l| l.contains("DEBUG")).count();
    let score = |v: &str| run(&["score", traces, "--reward", "embedded", "--device", "cpu", v], &[]).2;
    assert!(lines(&score("-v")) == 0 && lines(&score("-vv")) > 0);
    assert_eq!(run(&["score", traces, "--reward", "embedded", "-v", "--json"], &[]).0, 2);
    // The screen is nobody else's.
    for command in [&["inspect", traces, "-v"][..], &["-v"], &["watch", ".", "-v"]] {
        let (code, _, err) = run(command, &[]);
        assert!(code == 2 && err.contains("--log FILE"), "{command:?}: {code} {err}");
    }
    let (code, _, err) = run(&["doctor", "--log", "/no/such/folder/a.log"], &[]);
    assert!(code == 1 && err.contains("/no/such/folder/a.log") && err.contains("name another file"), "{err}");
    let (code, _, err) = run(&["doctor", "-v"], &[("REASONSCOPE_LOG", "loud")]);
    assert!(code == 2 && err.contains("REASONSCOPE_LOG") && err.contains("loud"), "{err}");
}

#[test]
fn secrets_and_foreign_escapes_are_in_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("run.log");
    let server = FakeServer::start(|r, i| match r.path.as_str() {
        "/v1/models" => models(),
        _ if i < 2 => Reply::Whole(503, json!({ "error": { "message": "wait\u{1b}[2J" } })),
        _ => Reply::Whole(500, json!("no")),
    });
    let address = server.url().replace("http://", "http://me:pass-word@");
    let variables = [("OPENAI_API_KEY", "key-secret"), ("HF_TOKEN", "hf-secret"), ("REASONSCOPE_LOG", "trace")];
    let args = ["generate", "--policy", &address, "--problem", "x", "-n", "1", "-vv", "--log", log.to_str().unwrap()];
    let (code, _, err) = run(&args, &variables);
    assert_eq!(code, 1, "{err}");
    let text = read(&log);
    assert!(
        text.contains("/v1/chat/completions")
            && text.contains("asks for a candidate again")
            && text.contains("503 Service Unavailable: wait"),
        "{text}"
    );
    for said in [text, err] {
        assert!(!["secret", "pass-word", "\u{1b}"].iter().any(|s| said.contains(s)), "{said:?}");
    }
}

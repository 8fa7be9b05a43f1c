//! `serve` as a program: where it says that it listens, how it ends, what it refuses to begin.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reasonscope"));
    command.arg("serve").args(args).env_remove("REASONSCOPE_TOKEN").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn fails(command: &mut Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(stdout.is_empty());
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

/// Reads records of standard error up to one of a kind.
fn until(lines: &mut impl BufRead, event: &str) -> Value {
    loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "no {event}");
        let record: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        if record["event"] == event {
            return record;
        }
    }
}

fn ask(port: u64, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).unwrap();
    write!(
        stream,
        "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn it_says_where_it_listens_answers_and_ends_when_it_is_told() {
    for (sent, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut child = program(&["--reward", "embedded", "--port", "0", "--json"]).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let listening = until(&mut lines, "listening");
        let port = listening["port"].as_u64().unwrap();
        assert_eq!((&listening["url"], &listening["rewards"]), (&json!(format!("http://127.0.0.1:{port}")), &json!(["embedded"])));
        assert!(until(&mut lines, "ready")["message"].as_str().unwrap().contains("stories"));
        let body = json!({"problem": "Ben has 2 pears. How many?", "completion": "#### 2"}).to_string();
        assert!(ask(port, "POST /score", &body).starts_with("HTTP/1.1 200 OK"));
        // A connection that nobody uses does not keep it.
        let _idle = TcpStream::connect(("127.0.0.1", port as u16)).unwrap();
        signal(&child, sent);
        assert_eq!(until(&mut lines, "summary")["unanswered"], 0);
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
}

#[cfg(unix)]
#[test]
fn it_says_it_in_words_too_and_never_the_token() {
    let (dir, token) = (tempfile::tempdir().unwrap(), "0123456789-abcdef");
    let file = dir.path().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let log = dir.path().join("log");
    let args = [
        "--reward",
        "embedded",
        "--port",
        "0",
        "--host",
        "0.0.0.0",
        "--token-file",
        file.to_str().unwrap(),
        "--log",
        log.to_str().unwrap(),
    ];
    let mut child = program(&args).env("REASONSCOPE_LOG", "trace").spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let port: u64 = line.strip_prefix("listening on http://0.0.0.0:").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(ask(port, "GET /metrics", "").starts_with("HTTP/1.1 401"));
    assert!(ask(port, &format!("GET /{token}"), "").starts_with("HTTP/1.1 401"));
    let body = format!("{{\"problem\": \"p\", \"completion\": \"x\", \"{token}\": 1}}");
    let answer = ask(port, "POST /score", &body);
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    signal(&child, "-TERM");
    lines.read_to_string(&mut line).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(!line.contains(token) && !log.contains(token) && log.contains("/metrics"), "{line}\n{log}");
}

#[test]
fn what_cannot_be_served_is_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let dir = tempfile::tempdir().unwrap();
    let token = |text: &str| {
        let path = dir.path().join(format!("token{}", text.len()));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (short, blank) = (token("short"), token("0123456789 abcdef"));
    for (args, code, part) in [
        (&["--reward", "embedded", "--port", &port][..], 1, "the port is in use; choose another with --port"),
        (&["--reward", "embedded", "--host", "192.0.2.1", "--port", "0"], 2, "--token-file"),
        (&["--reward", "embedded", "--host", "0.0.0.0"], 2, "can be reached from other machines"),
        (&["--reward", "embedded", "--host", "::"], 2, "can be reached from other machines"),
        (&["--reward", "embedded", "--host", "no such host"], 2, "no such host"),
        (&["--reward", "embedded", "--token-file", &short], 2, "5 characters; give at least 16"),
        (&["--reward", "embedded", "--token-file", &blank], 2, "blank"),
        (&["--reward", "embedded", "--token-file", "/no/such/file"], 1, "cannot be read"),
        (&["--reward", "embedded", "--reward", "embedded", "--port", "0"], 2, "named twice"),
        (&["--reward", "none", "--port", "0"], 2, "nothing to score with"),
        (&["--reward", "missing", "--port", "0"], 1, "missing"),
        (&["--port", "0"], 2, "--reward"),
        (&["--reward", "embedded", "--queue", "0"], 2, "above 0"),
    ] {
        let (found, err) = fails(&mut program(args));
        assert_eq!(found, code, "{args:?}: {err}");
        assert!(err.contains(part), "{args:?}: {err}");
        if !err.contains("--help") {
            assert_eq!(err.lines().count(), 1, "{err}");
        }
    }
    let (found, err) = fails(program(&["--reward", "embedded", "--port", "0"]).env("REASONSCOPE_TOKEN", "short"));
    assert!(found == 2 && err.contains("REASONSCOPE_TOKEN holds a token of 5 characters"), "{err}");
    // An address that this machine does not have.
    let (found, err) =
        fails(program(&["--reward", "embedded", "--host", "192.0.2.1", "--port", "0"]).env("REASONSCOPE_TOKEN", "0123456789abcdef"));
    assert!(found == 1 && err.contains("this machine does not have the address; choose another with --host"), "{err}");
}

/// The real TRL, where a Python has it: one step of GRPO whose rewards come from a server.
#[test]
fn trl_trains_on_what_is_served() {
    let python = std::env::var("REASONSCOPE_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut child = program(&["--reward", "embedded", "--port", "0", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let url = until(&mut lines, "listening")["url"].as_str().unwrap().to_owned();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check_trl.py");
    let output = Command::new(&python).arg(script).env("REASONSCOPE_URL", &url).env_remove("REASONSCOPE_TOKEN").output();
    let _ = (child.kill(), child.wait());
    match output {
        Ok(output) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let rewards: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
            assert_eq!(rewards["rewards"].as_array().unwrap().len(), 4);
        }
        Ok(output) if output.status.code() == Some(77) => {
            println!("skipped: {python} has no TRL (pip install trl); REASONSCOPE_PYTHON names another Python")
        }
        Ok(output) => panic!("{output:?}"),
        Err(error) => println!("skipped: {python}: {error}"),
    }
}

/// A server of this program is a reward model to `score`, and the numbers are those of the model itself.
#[test]
fn what_is_served_is_a_reward_to_this_program() {
    let mut child = program(&["--reward", "embedded", "--port", "0", "--json"]).spawn().unwrap();
    let url = until(&mut BufReader::new(child.stderr.take().unwrap()), "listening")["url"].as_str().unwrap().to_owned();
    let scored = |reward: &str| {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/processbench.jsonl");
        let output = Command::new(env!("CARGO_BIN_EXE_reasonscope"))
            .args(["score", file, "-q", "--device", "cpu", "--trust", "--reward", reward])
            .output();
        let output = output.unwrap();
        let steps = |line: &str| {
            let record: Value = serde_json::from_str(line).unwrap();
            let values: Vec<f32> = record["step_rewards"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
            (values, record["first_deviation"].as_i64())
        };
        let said = String::from_utf8(output.stdout).unwrap();
        (said.lines().map(steps).collect::<Vec<_>>(), String::from_utf8(output.stderr).unwrap())
    };
    let (here, _) = scored("embedded");
    let (there, err) = scored(&format!("{url}/score"));
    let _ = (child.kill(), child.wait());
    assert_eq!(here.len(), 2);
    assert_eq!(there, here, "{err}");
}

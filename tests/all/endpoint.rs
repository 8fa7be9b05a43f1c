//! A policy behind an OpenAI-compatible server: streaming, stopping, and the program itself.

use crate::fake_server::{FakeServer, Received, Reply, models};
use reasonscope::generate::{Endpoint, EndpointPolicy, PATIENCE, Policy};
use reasonscope::trace::{FinishReason, Sampling, Segmentation, Trace, TraceEvent, TraceStore};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn event(text: &str, ids: &[u32], finish: Option<&str>) -> Vec<u8> {
    let tokens: Vec<&str> = if ids.len() == 1 { vec![text] } else { ids.iter().map(|_| "?").collect() };
    let choice = json!({
        "index": 0, "text": text, "finish_reason": finish, "token_ids": ids,
        "logprobs": { "tokens": tokens, "token_logprobs": vec![-0.5; ids.len()] },
    });
    format!("data: {}\r\n\r\n", json!({ "choices": [choice] })).into_bytes()
}

/// A candidate whose events are cut anywhere, inside characters too, with a comment and a last event without candidates.
fn answer() -> Vec<Vec<u8>> {
    let mut bytes = b": ping\n\n".to_vec();
    bytes.extend(event("Héé", &[5], None));
    bytes.extend(event("", &[6], None));
    bytes.extend(event("日本\n", &[7, 8], None));
    bytes.extend(event("", &[1], Some("stop")));
    bytes.extend(b"data: {\"choices\":[],\"usage\":{\"completion_tokens\":5}}\n\ndata: [DONE]\n\n");
    bytes.chunks(7).map(<[u8]>::to_vec).collect()
}

fn server(reply: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> FakeServer {
    FakeServer::start(move |r, _| if r.path == "/v1/models" { models() } else { reply(r) })
}

fn open(server: &FakeServer) -> EndpointPolicy {
    EndpointPolicy::open(&Endpoint::parse(&server.url()).unwrap(), PATIENCE).unwrap()
}

#[test]
fn candidates_stream_in_whole_characters_with_ids_and_log_probabilities() {
    let server = server(|_| Reply::Stream(answer()));
    let mut policy = open(&server);
    assert_eq!(policy.name(), "base");
    let (mut texts, mut tokens, mut ends) = (vec![String::new(); 3], vec![Vec::new(); 3], Vec::new());
    policy
        .sample("How many?", 3, &Sampling { seed: 4, ..Sampling::default() }, &mut |event| {
            match event {
                TraceEvent::Tokens { candidate, text, tokens: new } => {
                    texts[candidate].push_str(&text);
                    tokens[candidate].extend(new);
                }
                TraceEvent::Finished { candidate, reason } => ends.push((candidate, reason)),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    ends.sort_by_key(|e| e.0);
    assert_eq!(ends, [0, 1, 2].map(|c| (c, FinishReason::Stop)));
    for (text, tokens) in texts.iter().zip(&tokens) {
        assert_eq!(text, "Héé日本\n");
        assert_eq!(tokens.iter().map(|t| t.id.unwrap()).collect::<Vec<_>>(), [5, 6, 7, 8, 1]);
        assert_eq!(tokens.iter().map(|t| t.span.of(text)).collect::<Vec<_>>(), ["Héé", "", "", "日本\n", ""]);
        assert!(tokens.iter().all(|t| t.logprob == Some(-0.5) && t.entropy.is_none()));
    }
    let asked = server.to("/v1/completions");
    assert!(asked.iter().all(|b| b["prompt"] == "How many?\n" && b["stream"] == true && b["model"] == "base"));
    let seeds: std::collections::BTreeSet<u64> = asked.iter().map(|b| b["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds.len(), 3);
}

#[test]
fn bare_text_streams_too_and_trouble_is_told() {
    let plain =
        |text: &str, finish: Value| format!("data: {}\n\n", json!({ "choices": [{ "text": text, "finish_reason": finish }] })).into_bytes();
    let bare = server(move |_| Reply::Stream(vec![plain("a ", json!(null)), plain("b", json!("length")), b"data: [DONE]\n\n".to_vec()]));
    let mut text = String::new();
    let mut end = None;
    let mut hear = |event| {
        match event {
            TraceEvent::Tokens { text: new, .. } => text.push_str(&new),
            TraceEvent::Finished { reason, .. } => end = Some(reason),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    open(&bare).sample("x", 1, &Sampling::default(), &mut hear).unwrap();
    assert_eq!((text.as_str(), end), ("a b", Some(FinishReason::Length)));

    let mut end = None;
    let cut = server(|_| Reply::Stream(vec![event("a", &[5], None)]));
    let mut hear = |event| {
        if let TraceEvent::Finished { reason, .. } = event {
            end = Some(reason);
        }
        ControlFlow::Continue(())
    };
    open(&cut).sample("x", 1, &Sampling::default(), &mut hear).unwrap();
    assert!(matches!(end, Some(FinishReason::Failed(ref why)) if why.contains("closed the stream")), "{end:?}");

    let ill = server(|_| Reply::Stream(vec![b"data: {\"error\":{\"message\":\"out of memory\"}}\n\n".to_vec()]));
    let message = open(&ill).sample("x", 1, &Sampling::default(), &mut |_| ControlFlow::Continue(())).unwrap_err().to_string();
    assert!(message.contains("out of memory") && message.contains(&ill.url()), "{message}");
}

/// The seed of the third of four candidates, as it goes over the wire.
fn third_seed(server: &FakeServer) -> Value {
    let mut trace = TraceStore::new(Trace::default(), Segmentation::Line);
    let mut hear = |event| {
        trace.apply(&event);
        ControlFlow::Continue(())
    };
    open(server).sample("x", 4, &Sampling::default(), &mut hear).unwrap();
    server.to("/v1/completions")[2]["seed"].clone()
}

#[test]
fn a_stream_that_breaks_off_costs_one_candidate_which_is_asked_for_again() {
    // Every fourth request is cut in the midst of its stream.
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = server(move |r| {
        let cut = asked.fetch_add(1, Ordering::SeqCst) % 4 == 3;
        let text = format!("{} a\nb", r.body["seed"]);
        let (begun, end) = (event(&text[..text.len() - 2], &[5], None), event(&text[text.len() - 2..], &[6], Some("stop")));
        Reply::Stream(if cut { vec![begun] } else { vec![begun, end] })
    });
    let mut store = TraceStore::new(Trace::default(), Segmentation::Line);
    let mut again = 0;
    let mut hear = |event| {
        again += usize::from(matches!(event, TraceEvent::Started { .. }));
        store.apply(&event);
        ControlFlow::Continue(())
    };
    open(&server).sample("x", 40, &Sampling::default(), &mut hear).unwrap();
    let trace = store.into_trace();
    let mut texts: Vec<&str> = trace.candidates.iter().map(|c| c.text.as_str()).collect();
    assert!(trace.candidates.iter().all(|c| c.finish == Some(FinishReason::Stop) && c.tokens.len() == 2 && c.steps.len() == 2));
    assert!(texts.iter().all(|t| t.ends_with(" a\nb")), "{texts:?}");
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 40, "each by its own seed");
    let requests = server.to("/v1/completions").len();
    assert!(requests > 50 && again == requests, "{requests} requests, {again} beginnings");
}

#[test]
fn what_a_failed_candidate_left_is_sampled_again_by_resume() {
    let healthy = server(|_| Reply::Stream(answer()));
    let ill = third_seed(&healthy);
    let server = server(move |r| Reply::Stream(if r.body["seed"] == ill { vec![event("#### 5", &[5], None)] } else { answer() }));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.jsonl");
    let problems = dir.path().join("p.jsonl");
    std::fs::write(&problems, "{\"problem\": \"x\", \"gold_answer\": \"5\"}\n{\"problem\": \"y\", \"gold_answer\": \"5\"}\n").unwrap();
    let run = |policy: &str, more: &[&str]| {
        let (problems, file) = (problems.to_str().unwrap(), file.to_str().unwrap());
        generate(&[&["--policy", policy, "--problems", problems, "-n", "4", "-o", file], more].concat())
    };
    let (code, _, err) = run(&format!("{}#m", server.url()), &["--json"]);
    assert!(code == 1 && err.contains("closed the stream") && err.contains("--resume"), "{code} {err}");
    let records = || -> Vec<Value> { std::fs::read_to_string(&file).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect() };
    let failed: Vec<Value> = records().into_iter().filter(|r| r["finish"]["failed"].is_string()).collect();
    assert_eq!((records().len(), failed.len()), (8, 2));
    assert!(failed.iter().all(|r| r["correct"].is_null() && r["answer"].is_null()), "{failed:?}");
    let before = healthy.to("/v1/completions").len();
    let (code, _, err) = run(&format!("{}#m", healthy.url()), &["--resume"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!((records().len(), healthy.to("/v1/completions").len() - before), (8, 8));
    assert!(records().iter().all(|r| r["finish"] == "stop"));
}

#[test]
fn a_stream_that_never_ends_is_bounded_by_what_was_asked_for() {
    let told = |server: &FakeServer, max_tokens| {
        let sampling = Sampling { max_tokens, ..Sampling::default() };
        open(server).sample("x", 1, &sampling, &mut |_| ControlFlow::Continue(())).unwrap_err().to_string()
    };
    let words = server(|_| Reply::Endless(event(&"blah ".repeat(200), &[5], None)));
    assert!(told(&words, 4).contains("more than the 4 tokens"), "{}", told(&words, 4));
    let ids = server(|_| Reply::Stream(vec![event("", &[1; 100_000], None), event("", &[1], Some("stop"))]));
    assert!(told(&ids, 100).contains("more than"), "{}", told(&ids, 100));
    let pings = server(|_| Reply::Endless(b": ping\n\n".repeat(100)));
    assert!(told(&pings, 8).contains("more bytes than any answer"), "{}", told(&pings, 8));
}

#[test]
fn an_echoing_server_betrays_no_key() {
    let echo = FakeServer::start(|r, _| {
        let key = r.authorization.clone().unwrap_or_default();
        let message = format!("Incorrect API key provided: {key}, that is {key}; {}{key}", "x".repeat(290 - 2 * key.len()));
        Reply::Whole(401, json!({ "error": { "message": message } }))
    });
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (code, out, err) = generate(&["--policy", &echo.url(), "--problem", "x", "--json", "--log", log.to_str().unwrap()]);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(code == 1 && err.contains("401") && err.contains("***"), "{code} {err}");
    for part in ["secret-key", "secret-k", "secret-ke"] {
        assert!(![&out, &err, &log].iter().any(|t| t.contains(part)), "{part} is in {err} or {log}");
    }
    let address = echo.url().replace("http://", "http://me:pass-word@");
    let (_, said) = through(&address, &[]);
    assert!(said.contains("401") && !said.contains("pass-word") && !said.contains("bWU6cGFzcy13b3Jk"), "{said}");
}

#[test]
fn what_a_server_says_stays_one_harmless_line() {
    let hostile = "bad \u{1b}]52;c;UFdORUQ=\u{7}\u{1b}[2J \u{9b}31m \u{202e}evil\r\nreasonscope: all is well";
    let refusing = FakeServer::start(move |_, _| Reply::Whole(400, json!({ "error": { "message": hostile } })));
    let naming = FakeServer::start(move |r, _| match r.path.as_str() {
        "/v1/models" => Reply::Whole(200, json!({ "data": [{ "id": hostile }] })),
        _ => Reply::Stream(answer()),
    });
    for url in [refusing.url(), naming.url()] {
        for json in [&[][..], &["--json"]] {
            let (_, out, err) = generate(&[&["--policy", &url, "--problem", "x", "-n", "1"], json].concat());
            let raw = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!out.contains(raw) && !err.contains(raw), "{out:?} {err:?}");
            assert!(!err.lines().any(|l| l.starts_with("reasonscope: all is well")), "{err}");
        }
    }
}

#[test]
fn a_break_closes_the_connection() {
    let server = server(|_| Reply::Endless(event("a", &[5], None)));
    let mut policy = open(&server);
    let mut heard = 0;
    let stop = &mut |event| {
        heard += usize::from(matches!(event, TraceEvent::Tokens { .. }));
        if heard < 10 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    policy.sample("x", 2, &Sampling::default(), stop).unwrap();
    assert_eq!(heard, 10);
    let began = Instant::now();
    while server.closed.load(Ordering::SeqCst) < 2 && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(server.closed.load(Ordering::SeqCst), 2);
}

#[test]
fn a_silent_server_does_not_hold_up_a_break() {
    let server = server(|_| Reply::Silence(Duration::from_secs(60)));
    let began = Instant::now();
    let stop = &mut |event| if matches!(event, TraceEvent::Started { .. }) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    open(&server).sample("x", 1, &Sampling::default(), stop).unwrap();
    assert!(began.elapsed() < Duration::from_secs(20));
}

fn generate(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reasonscope"));
    let output = command.arg("generate").args(args).env("OPENAI_API_KEY", "secret-key").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn generate_writes_what_a_server_streams() {
    let server = server(|_| Reply::Stream(answer()));
    let (code, out, err) =
        generate(&["--policy", &format!("{}#other", server.url()), "--problem", "How many?", "-n", "2", "--max-tokens", "9"]);
    assert_eq!(code, 0, "{err}");
    let records: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(records.len(), 2);
    for r in &records {
        assert!(r["text"] == "Héé日本\n" && r["policy"].as_str().unwrap().ends_with("/v1#other") && r["token_ids"][4] == 1, "{r}");
    }
    assert!(server.received().iter().all(|r| r.method == "POST" && r.authorization.as_deref() == Some("Bearer secret-key")));
    assert!(server.to("/v1/completions").iter().all(|b| b["model"] == "other" && b["max_tokens"] == 9));
    assert!(!err.contains("secret-key"));
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, err) = generate(&["--policy", &format!("http://{nobody}/v1"), "--problem", "x"]);
    assert!(code == 1 && err.contains(&nobody.to_string()) && err.contains("check that the server runs"), "{code} {err}");
    let (code, _, err) = generate(&["--policy", "http://", "--problem", "x"]);
    assert!(code == 2 && err.contains("http://HOST:PORT/v1"), "{code} {err}");
    let (code, _, err) = generate(&["--policy", "none", "--reward", &format!("http://{nobody}/v1"), "--problem", "x"]);
    assert!(code == 1 && err.contains("cannot be used here"), "{code} {err}");
}

/// Runs `generate` on one server with these variables; what it says on both outputs.
fn through(policy: &str, variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reasonscope"));
    for name in
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "OPENAI_API_KEY"]
    {
        command.env_remove(name);
    }
    let output =
        command.args(["generate", "--problem", "x", "-n", "1", "--policy", policy]).envs(variables.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn the_proxy_of_the_environment_is_used() {
    // A proxy gets the whole address.
    let proxy = FakeServer::start(|r, _| match r.path.as_str() {
        "http://gpu.invalid/v1/models" => models(),
        "http://gpu.invalid/v1/completions" => Reply::Stream(answer()),
        _ => Reply::Whole(502, json!("not through here")),
    });
    let named = format!("http://me:proxy-secret@{}", proxy.host());
    let (code, said) = through("http://gpu.invalid/v1", &[("HTTP_PROXY", &named)]);
    assert!(code == 0 && said.contains("日本"), "{said}");
    assert_eq!(proxy.received().len(), 2);
    // base64 of me:proxy-secret
    assert!(proxy.received().iter().all(|r| r.proxy_authorization.as_deref() == Some("Basic bWU6cHJveHktc2VjcmV0")));

    // For https it is asked for a tunnel, which this one refuses.
    if cfg!(feature = "https") {
        let (code, said) = through("https://gpu.invalid/v1", &[("HTTPS_PROXY", &named)]);
        assert!(
            code == 1 && said.contains("connection failed") && said.contains("HTTPS_PROXY") && !said.contains("proxy-secret"),
            "{said}"
        );
        let asked = proxy.received().pop().unwrap();
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("CONNECT", "gpu.invalid:443"));
    }

    // Not for hosts that need none, and not for this machine.
    let before = proxy.received().len();
    let (code, said) = through("http://gpu.invalid/v1", &[("HTTP_PROXY", &named), ("NO_PROXY", "example,.invalid")]);
    assert!(code == 1 && said.contains("connection failed"), "{said}");
    let server = server(|_| Reply::Stream(answer()));
    let (code, said) = through(&server.url(), &[("HTTP_PROXY", &named)]);
    assert!(code == 0 && said.contains("日本"), "{said}");
    assert_eq!(proxy.received().len(), before);
}

#[test]
fn a_password_in_an_address_goes_to_the_server_and_nowhere_else() {
    let server = server(|_| Reply::Stream(answer()));
    let address = server.url().replace("http://", "http://me:pass-word@");
    let (code, said) = through(&address, &[("OPENAI_API_KEY", "secret-key")]);
    assert!(code == 0 && said.contains("日本") && !said.contains("pass-word"), "{said}");
    // base64 of me:pass-word
    assert!(server.received().iter().all(|r| r.authorization.as_deref() == Some("Basic bWU6cGFzcy13b3Jk")), "{:?}", server.received());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, said) = through(&format!("http://me:pass-word@{nobody}/v1"), &[]);
    assert!(code == 1 && said.contains(&nobody.to_string()) && !said.contains("pass-word"), "{said}");
}

#[test]
fn a_server_that_moved_is_followed_without_the_key() {
    let moved = server(|_| Reply::Stream(answer()));
    let (to, host) = (moved.root(), moved.host().to_owned());
    let old = FakeServer::start(move |r, _| Reply::Raw(308, vec![("Location", format!("{to}{}", r.path))], vec![], usize::MAX));
    let (code, said) = through(&old.url(), &[("OPENAI_API_KEY", "secret-key")]);
    assert!(code == 0 && said.contains("日本"), "{said}");
    assert!(old.received().iter().all(|r| r.authorization.as_deref() == Some("Bearer secret-key")));
    assert!(moved.received().len() == 2 && moved.received().iter().all(|r| r.authorization.is_none()));
    // This kind would turn a POST into a GET.
    let to = format!("{}/v1/models?secret", moved.root());
    let old = FakeServer::start(move |_, _| Reply::Raw(301, vec![("Location", to.clone())], vec![], usize::MAX));
    let (code, said) = through(&old.url(), &[]);
    assert!(code == 1 && said.contains("301") && said.contains(&format!("it leads to http://{host}/v1/models;")), "{said}");
}

#[test]
fn what_a_server_says_is_repeated_in_part_and_read_within_bounds() {
    let wordy = FakeServer::start(|_, _| Reply::Whole(400, json!({ "error": { "message": "no ".repeat(100_000) } })));
    let (code, said) = through(&wordy.url(), &[]);
    assert!(code == 1 && said.contains("400") && said.contains("no no no") && said.len() < 1000, "{} bytes", said.len());
    // An event without an end.
    let endless = server(|_| Reply::Endless(vec![b'x'; 1 << 20]));
    let message = open(&endless).sample("x", 1, &Sampling::default(), &mut |_| ControlFlow::Continue(())).unwrap_err().to_string();
    assert!(message.contains("an event of the stream has more than"), "{message}");
}

//! A policy behind an OpenAI-compatible server: streaming, stopping, and the program itself.

use crate::fake_server::{FakeServer, Received, Reply, models};
use reasonscope::generate::{Endpoint, EndpointPolicy, PATIENCE, Policy, PolicyOptions};
use reasonscope::model::ChatOptions;
use reasonscope::trace::{Candidate, FinishReason, Sampling, Segmentation, StepKind, Trace, TraceEvent, TraceStore, Unset};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Where problems go without another word, and where plain completions go.
const CHAT: &str = "/v1/chat/completions";
const PLAIN: &str = "/v1/completions";

/// A piece of a candidate as chats have it.
fn delta(said: Value, finish: Option<&str>) -> Vec<u8> {
    format!("data: {}\n\n", json!({ "choices": [{ "index": 0, "delta": said, "finish_reason": finish }] })).into_bytes()
}

/// The same of a candidate's text as completions have it.
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

/// The server, asked for plain completions.
fn open(server: &FakeServer) -> EndpointPolicy {
    EndpointPolicy::open(&Endpoint::parse(&format!("{}/completions", server.url())).unwrap(), PATIENCE).unwrap()
}

/// The server, asked through a chat in a way of the user's own.
fn chat(server: &FakeServer, options: &PolicyOptions) -> EndpointPolicy {
    EndpointPolicy::asked(&Endpoint::parse(&server.url()).unwrap(), PATIENCE, options).unwrap()
}

/// The candidates that a policy writes for a problem.
fn candidates(policy: &mut EndpointPolicy, n: usize, sampling: &Sampling) -> Result<Vec<Candidate>, String> {
    let mut store = TraceStore::new(Trace::default(), Segmentation::Line);
    let mut hear = |event| {
        store.apply(&event);
        ControlFlow::Continue(())
    };
    policy.sample("How many?", n, sampling, &mut hear).map_err(|e| e.to_string())?;
    Ok(store.into_trace().candidates)
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
    let asked = server.to(PLAIN);
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
    server.to(PLAIN)[2]["seed"].clone()
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
    let requests = server.to(PLAIN).len();
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
    let before = healthy.to(CHAT).len();
    let (code, _, err) = run(&format!("{}#m", healthy.url()), &["--resume"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!((records().len(), healthy.to(CHAT).len() - before), (8, 8));
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
    assert!(server.to(CHAT).iter().all(|b| b["model"] == "other" && b["max_tokens"] == 9 && b["messages"][0]["content"] == "How many?"));
    // Nobody said how to sample, so that the server decides; and that is what the records say.
    assert!(server.to(CHAT).iter().all(|b| b["temperature"].is_null() && b["top_p"].is_null() && b["top_k"].is_null()));
    assert!(err.contains("left to the server's own defaults: temperature, top-p, top-k, min-p"), "{err}");
    for r in &records {
        assert!(r["sampling"]["temperature"].is_null() && r["sampling"]["max_tokens"] == 9 && r["prompt"]["api"] == "chat", "{r}");
    }
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
    assert!(code == 1 && err.contains("did not load") && err.contains("check that the server runs"), "{code} {err}");
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
        "http://gpu.invalid/v1/chat/completions" => Reply::Stream(answer()),
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

#[test]
fn a_chat_is_asked_as_the_user_wants_it() {
    let server = server(|_| {
        Reply::Stream(vec![delta(json!({ "role": "assistant", "content": "" }), None), delta(json!({ "content": "A: 5" }), Some("stop"))])
    });
    let unset = Unset { temperature: true, top_p: true, top_k: true, min_p: true };
    let found = candidates(&mut chat(&server, &PolicyOptions::default()), 2, &Sampling { unset, ..Sampling::default() }).unwrap();
    assert!(found.iter().all(|c| c.text == "A: 5" && c.finish == Some(FinishReason::Stop)), "{found:?}");
    let args = [ChatOptions::arg("enable_thinking=false").unwrap()].into_iter().collect();
    let options = PolicyOptions { chat: ChatOptions { system: Some("Be brief.".into()), args, date: None }, one_request: false };
    candidates(
        &mut chat(&server, &options),
        1,
        &Sampling { temperature: 0.5, unset: Unset { temperature: false, ..unset }, ..Sampling::default() },
    )
    .unwrap();
    let asked = server.to(CHAT);
    assert_eq!(asked.len(), 3);
    assert!(asked[..2].iter().all(|b| b["messages"] == json!([{ "role": "user", "content": "How many?" }]) && b["temperature"].is_null()));
    assert_ne!(asked[0]["seed"], asked[1]["seed"]);
    assert_eq!(asked[2]["messages"], json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "How many?" }]));
    assert_eq!((&asked[2]["chat_template_kwargs"], &asked[2]["temperature"]), (&json!({ "enable_thinking": false }), &json!(0.5)));
    assert!(asked.iter().all(|b| b["logprobs"] == true
        && b["top_logprobs"] == 1
        && b["stream"] == true
        && b["prompt"].is_null()
        && b["n"].is_null()));
}

#[test]
fn what_a_chat_thinks_says_and_calls_is_one_text_however_it_is_cut() {
    let entry = |token: &str, bytes: &[u8]| json!({ "token": token, "bytes": bytes, "logprob": -0.5, "top_logprobs": [] });
    let with = |said: Value, entries: Value, finish: Option<&str>| {
        let choice = json!({ "index": 0, "delta": said, "logprobs": { "content": entries }, "finish_reason": finish });
        format!("data: {}\n\n", json!({ "choices": [choice] })).into_bytes()
    };
    let mut stream = delta(json!({ "role": "assistant", "content": null }), None);
    stream.extend(with(json!({ "reasoning_content": "2 + 3\n" }), json!([entry("2 + 3", b"2 + 3"), entry("\n", b"\n")]), None));
    stream.extend(with(json!({ "reasoning_content": "is 5" }), json!([entry("is 5", b"is 5")]), None));
    stream.extend(with(
        json!({ "content": "A: é" }),
        json!([entry("A: ", b"A: "), entry("\u{fffd}", &[0xc3]), entry("\u{fffd}", &[0xa9])]),
        None,
    ));
    stream.extend(delta(json!({ "tool_calls": [{ "index": 0, "id": "c", "function": { "name": "add", "arguments": "{\"a\":" } }] }), None));
    stream.extend(delta(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": " 2}" } }] }), None));
    stream.extend(delta(json!({}), Some("tool_calls")));
    stream.extend(b"data: {\"choices\":[],\"usage\":{\"completion_tokens\":9}}\n\ndata: [DONE]\n\n");
    let expected = "<think>\n2 + 3\nis 5\n</think>\n\nA: é\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2}}\n</tool_call>\n";
    for size in [3, 64, stream.len()] {
        let parts: Vec<Vec<u8>> = stream.chunks(size).map(<[u8]>::to_vec).collect();
        let server = server(move |_| Reply::Stream(parts.clone()));
        let c = candidates(&mut chat(&server, &PolicyOptions::default()), 1, &Sampling::default()).unwrap().remove(0);
        assert_eq!((c.text.as_str(), &c.finish), (expected, &Some(FinishReason::Stop)), "{size}");
        let own: Vec<&str> = c.tokens.iter().map(|t| t.span.of(&c.text)).collect();
        assert_eq!(own, ["2 + 3", "\n", "is 5", "A: ", "", "é"]);
        assert!(c.tokens.iter().all(|t| t.logprob == Some(-0.5)));
        let kinds: Vec<StepKind> = c.steps.iter().map(|s| s.kind).collect();
        assert_eq!((&kinds[..2], c.steps[0].span.of(&c.text)), (&[StepKind::Reasoning; 2][..], "2 + 3"));
        assert!(kinds[2..].iter().all(|k| *k == StepKind::Answer), "{kinds:?}");
    }
    // A server that does not stream gives all at once.
    let whole = json!({ "choices": [{
        "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "A: 5", "reasoning": "2 + 3" },
    }] });
    let server = server(move |_| Reply::Whole(200, whole.clone()));
    let c = candidates(&mut chat(&server, &PolicyOptions::default()), 1, &Sampling::default()).unwrap().remove(0);
    assert_eq!((c.text.as_str(), c.finish), ("<think>\n2 + 3\n</think>\n\nA: 5", Some(FinishReason::Stop)));
}

#[test]
fn llama_cpps_log_probabilities_are_read_from_completions_too() {
    let piece = |text: &str, id: u32, finish: Option<&str>| {
        let entry = json!({ "id": id, "token": text, "bytes": text.as_bytes(), "logprob": -0.2, "top_logprobs": [] });
        let choice = json!({ "index": 0, "text": text, "logprobs": { "content": [entry] }, "finish_reason": finish });
        format!("data: {}\n\n", json!({ "content": text, "choices": [choice], "object": "text_completion" })).into_bytes()
    };
    let server = server(move |_| Reply::Stream(vec![piece("12 - 5", 3, None), piece(" = 7.", 4, None), piece("", 2, Some("stop"))]));
    let c = candidates(&mut open(&server), 1, &Sampling::default()).unwrap().remove(0);
    assert_eq!(c.text, "12 - 5 = 7.");
    assert_eq!(
        c.tokens.iter().map(|t| (t.id, t.logprob, t.span.of(&c.text))).collect::<Vec<_>>(),
        [(Some(3), Some(-0.2), "12 - 5"), (Some(4), Some(-0.2), " = 7."), (Some(2), Some(-0.2), "")]
    );
}

#[test]
fn what_a_server_refuses_by_name_is_not_asked_for_again() {
    let server = server(|r| {
        let refuse = |name: &str| Reply::Whole(400, json!({ "error": { "message": format!("Unknown parameter: '{name}'.") } }));
        match &r.body {
            b if !b["return_token_ids"].is_null() => refuse("return_token_ids"),
            b if !b["logprobs"].is_null() => refuse("logprobs"),
            b if !b["max_tokens"].is_null() => {
                Reply::Whole(400, json!({ "error": { "message": "'max_tokens' is not supported. Use 'max_completion_tokens' instead." } }))
            }
            b if b["n"] == 3 => refuse("n"),
            _ => Reply::Stream(vec![delta(json!({ "content": "A: 5" }), Some("stop"))]),
        }
    });
    let mut policy = chat(&server, &PolicyOptions::default());
    for _ in 0..2 {
        let found = candidates(&mut policy, 3, &Sampling { max_tokens: 7, ..Sampling::default() }).unwrap();
        assert!(found.iter().all(|c| c.text == "A: 5"), "{found:?}");
    }
    assert_eq!(policy.take_notes(), ["the server gives no log-probabilities"]);
    assert!(policy.take_notes().is_empty());
    let last = server.to(CHAT).pop().unwrap();
    assert!(last["max_completion_tokens"] == 7 && last["max_tokens"].is_null() && last["logprobs"].is_null() && !last["seed"].is_null());
    assert!(server.to(CHAT).len() <= 6 + 3 * 3, "{}", server.to(CHAT).len());
    // What the user asked for is not left out in silence.
    let picky = FakeServer::start(|r, _| match r.path.as_str() {
        "/v1/models" => models(),
        _ => Reply::Whole(400, json!({ "error": { "message": "Unknown parameter: 'top_k'." } })),
    });
    let message = candidates(&mut chat(&picky, &PolicyOptions::default()), 1, &Sampling { top_k: 5, ..Sampling::default() }).unwrap_err();
    assert!(message.contains("top_k") && picky.to(CHAT).len() == 1, "{message}");
}

#[test]
fn a_server_without_chats_is_told_with_the_address_for_plain_text() {
    let says = |status, body: Value| {
        let server = server(move |r| if r.path == CHAT { Reply::Whole(status, body.clone()) } else { Reply::Stream(answer()) });
        (candidates(&mut chat(&server, &PolicyOptions::default()), 1, &Sampling::default()).unwrap_err(), server.url())
    };
    let template = "default chat template is no longer allowed, so you must provide a chat template";
    for (message, url) in [says(404, json!({ "detail": "Not Found" })), says(400, json!({ "error": { "message": template } }))] {
        assert!(message.contains(&format!("{url}/completions")), "{message}");
    }
}

#[test]
fn one_request_brings_all_candidates_and_what_it_lacks_is_asked_for_alone() {
    let piece = |index: usize, text: &str, finish: Option<&str>| {
        format!("data: {}\n\n", json!({ "choices": [{ "index": index, "delta": { "content": text }, "finish_reason": finish }] }))
            .into_bytes()
    };
    let options = PolicyOptions { one_request: true, ..PolicyOptions::default() };
    let texts = |server: &FakeServer| {
        let found = candidates(&mut chat(server, &options), 3, &Sampling::default()).unwrap();
        assert!(found.iter().all(|c| c.finish == Some(FinishReason::Stop)), "{found:?}");
        found.into_iter().map(|c| c.text).collect::<Vec<_>>()
    };
    let all = move || vec![piece(0, "a", None), piece(2, "c", Some("stop")), piece(0, "a", Some("stop")), piece(1, "b", Some("stop"))];
    let knows = server(move |_| Reply::Stream(all()));
    assert_eq!(texts(&knows), ["aa", "b", "c"]);
    assert!(knows.to(CHAT).len() == 1 && knows.to(CHAT)[0]["n"] == 3);
    // One that does not know `n` gives one candidate.
    let ignores = server(move |r| Reply::Stream(vec![piece(0, if r.body["n"] == 3 { "first" } else { "alone" }, Some("stop"))]));
    assert_eq!(texts(&ignores), ["first", "alone", "alone"]);
    // Each with the seed that it has among the others where a server counts them up.
    let mut seeds: Vec<u64> = ignores.to(CHAT).iter().map(|b| b["seed"].as_u64().unwrap()).collect();
    seeds.sort_unstable();
    assert_eq!(seeds.iter().map(|s| s - seeds[0]).collect::<Vec<_>>(), [0, 1, 2]);
    // One whose stream breaks off, and one that refuses.
    let breaks = server(move |r| {
        Reply::Stream(if r.body["n"] == 3 {
            vec![piece(1, "b", Some("stop")), piece(0, "half", None)]
        } else {
            vec![piece(0, "alone", Some("stop"))]
        })
    });
    assert_eq!(texts(&breaks), ["alone", "b", "alone"]);
    let refuses = server(move |r| match r.body["n"].is_null() {
        true => Reply::Stream(vec![piece(0, "alone", Some("stop"))]),
        false => Reply::Whole(400, json!({ "error": { "message": "n must be 1" } })),
    });
    assert_eq!(texts(&refuses), ["alone"; 3]);
    // What was not asked for is not taken, and then there is nothing to take.
    let wild = server(move |r| Reply::Stream(vec![piece(if r.body["n"].is_null() { 0 } else { 7 }, "x", Some("stop"))]));
    assert_eq!(texts(&wild), ["x"; 3]);
}

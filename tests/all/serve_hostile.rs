//! Clients of `serve` that are broken or mean no good: each is answered or left, and the server goes on for the others.

use crate::serve_fixture::{Answer, Gate, JSON, Running, bytes, open, rest};
use reasonscope::serve::Limits;
use serde_json::json;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

fn server() -> Running {
    Running::start(bytes(&open()), None, Limits::default())
}

/// A request that is answered, after whatever came before.
fn well(server: &Running) {
    let response = server.score(&json!({"problem": "p", "completion": "fine"}));
    assert_eq!(response["items"][0]["candidates"][0]["value"], 1.0);
}

fn post(body: &[u8], headers: &str) -> Vec<u8> {
    let head = format!("POST /score HTTP/1.1\r\nHost: localhost\r\n{JSON}{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn garbage_is_no_request() {
    let server = server();
    let all: Vec<u8> = (0..=255).cycle().take(5000).collect();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        &all,
    ] {
        let answer = server.raw(garbage);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 400") || answer.starts_with(b"HTTP/1.0 400"),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
        well(&server);
    }
    for (head, status) in [
        ("POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n".to_owned(), 400),
        ("POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc".to_owned(), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "x".repeat(20_000)), 404),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(2000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\nA: {}\r\n\r\n", "x".repeat(2 << 20)), 431),
    ] {
        let answer = server.raw(head.as_bytes());
        assert!(answer.is_empty() || Answer::of(&answer).status == status, "{:?}", String::from_utf8_lossy(&answer));
        well(&server);
    }
}

#[test]
fn bodies_that_are_no_requests_are_answered_400() {
    let server = server();
    let deep = |n: usize| [b"{\"items\": ".as_slice(), &b"[".repeat(n), &b"]".repeat(n), b"}"].concat();
    let nested = [br#"{"problem": "p", "candidates": ["#.as_slice(), &br#"{"steps": ["#.repeat(10_000)].concat();
    for body in [
        &deep(10_000)[..],
        &b"[".repeat(10_000),
        &b"{\"a\":".repeat(10_000),
        &nested,
        b"",
        b"{",
        b"null",
        b"[]",
        b"\"\xff\xfe\"",
        b"{\"problem\": \"\xff\", \"completion\": \"x\"}",
        b"{\"problem\": \"p\", \"completion\": \"\xc3\x28\"}",
        br#"{"problem": "p", "completion": "\ud800"}"#,
        br#"{"problem": "p", "completion": "x"} trailing"#,
        br#"{"problem": "p", "problem": "q", "completion": "x"}"#,
        br#"{"problem": "p", "completion": "x", "threshold": 1e999}"#,
        br#"{"problem": "p", "completion": "x", "tokens": 1}"#,
    ] {
        let answer = server.request("POST", "/score", JSON, body);
        assert_eq!(answer.status, 400, "{:?}", String::from_utf8_lossy(&body[..body.len().min(60)]));
        assert!(answer.error().chars().count() <= 401, "{}", answer.error());
    }
    well(&server);
}

#[test]
fn hostile_text_is_text() {
    let server = server();
    let text = "a\u{0}b\u{1b}[31m\u{9b}2J\u{202e}\u{feff}\r\n\u{85}💥é";
    let response = server.score(&json!({"items": [{"id": text, "problem": text, "completion": text, }], "tokens": true}));
    assert_eq!(response["items"][0]["id"], text);
    let answer = server.post("/score", &json!({"items": [{"id": text, "problem": text, "completion": text}]}));
    assert!(!answer.text().contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{feff}']), "nothing acts on a terminal: {:?}", answer.text());
    let answer = server.post("/score", &json!({"problem": "p", "completion": "x", "aggregation": "\u{9b}2J".repeat(1000)}));
    assert!(answer.status == 400 && !answer.text().contains('\u{9b}') && answer.text().len() < 4000, "{:?}", answer.text());
}

#[test]
fn huge_bodies_are_not_read() {
    let server = Running::start(bytes(&open()), None, Limits { body: 10_000, upload: Duration::from_secs(2), ..Limits::default() });
    // The length says it all.
    let head = format!("POST /score HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 99999999999\r\n\r\n");
    assert_eq!(Answer::of(&server.raw(head.as_bytes())).status, 413);
    let head = format!("POST /score HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 99999999999999999999999\r\n\r\n");
    let answer = server.raw(head.as_bytes());
    assert!(answer.is_empty() || matches!(Answer::of(&answer).status, 400 | 413));
    // In pieces, nobody says how much will come.
    let mut stream = server.connect();
    write!(stream, "POST /score HTTP/1.1\r\nHost: localhost\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n").unwrap();
    let piece = [b"1000\r\n".as_slice(), &[b' '; 0x1000], b"\r\n"].concat();
    for _ in 0..4 {
        // It may be refused and closed before all is sent.
        if stream.write_all(&piece).is_err() {
            break;
        }
    }
    assert_eq!(Answer::of(&rest(&mut stream)).status, 413);
    for sizes in ["ffffffffffffffff\r\n", "zz\r\n", "-1\r\n"] {
        let head = format!("POST /score HTTP/1.1\r\nHost: localhost\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n{sizes}x");
        let answer = server.raw(head.as_bytes());
        assert!(answer.is_empty() || matches!(Answer::of(&answer).status, 400 | 408 | 413), "{:?}", String::from_utf8_lossy(&answer));
    }
    well(&server);
}

#[test]
fn slow_clients_lose_their_place() {
    let brief = Duration::from_millis(200);
    let limits = Limits { head: brief, upload: brief, idle: brief, connections: 1, ..Limits::default() };
    let server = Running::start(bytes(&open()), None, limits);
    // Each holds the only connection until it is closed; the next one waits for that.
    let mut idle = server.connect();
    let mut head = server.connect();
    let mut body = server.connect();
    head.write_all(b"POST /score HTTP/1.1\r\nHost: loc").unwrap();
    body.write_all(post(b"{\"problem\": \"p\"", "").split_last().unwrap().1).unwrap();
    assert!(rest(&mut idle).is_empty());
    assert!(rest(&mut head).is_empty());
    assert_eq!(Answer::of(&rest(&mut body)).status, 408);
    // One byte after another does not help.
    let mut drips = server.connect();
    let mut sent = 0;
    while drips.write_all(b"G").is_ok() && sent < 10_000 {
        sent += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(sent < 10_000);
    well(&server);
}

#[test]
fn who_does_not_read_is_left() {
    let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
    let server = Running::start(bytes(&open()), None, limits);
    let body = json!({"problem": "p", "completion": "x".repeat(500_000), "tokens": true, "stream": true}).to_string();
    let mut stream = server.connect();
    stream.write_all(&post(body.as_bytes(), "")).unwrap();
    // Some 20 MB are more than the system keeps for somebody who does not read.
    server.until_metric("connections", "1");
    well(&server);
    drop(stream);
}

#[test]
fn a_half_closed_connection_ends() {
    let server = server();
    for bytes in
        [post(br#"{"problem": "p", "completion": "x"}"#, ""), b"POST /score HT".to_vec(), Vec::new(), post(b"{}", "")[..80].to_vec()]
    {
        let mut stream = server.connect();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = rest(&mut stream);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{:?}", String::from_utf8_lossy(&answer));
        well(&server);
    }
    server.until_metric("connections", "1");
}

#[test]
fn requests_one_after_the_other_are_answered_in_order() {
    let server = server();
    let one = |text: &str| post(json!({"problem": "p", "completion": text}).to_string().as_bytes(), "");
    let last = post(br#"{"problem": "p", "completion": "???"}"#, "Connection: close\r\n");
    let all = [one("xx"), one("x?"), b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), one("?"), last].concat();
    let answer = String::from_utf8(server.raw(&all)).unwrap();
    let values: Vec<&str> = answer.split("\"candidates\":[{\"value\":").skip(1).map(|v| v.split(',').next().unwrap()).collect();
    assert_eq!(values, ["1.0", "-1.0", "-1.0", "-1.0"]);
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 4);
    let order: Vec<usize> =
        ["\"value\":1.0", "404 Not Found", "\"value\":-1.0,\"steps\":[{\"span\":[0,3]"].iter().map(|p| answer.find(p).unwrap()).collect();
    assert!(order.is_sorted(), "{answer}");
}

#[test]
fn other_methods_and_paths_are_told() {
    let server = server();
    for (method, path, status) in [
        ("GET", "/score", 405),
        ("HEAD", "/score", 405),
        ("OPTIONS", "/score", 405),
        ("DELETE", "/v1/models", 405),
        ("TRACE", "/", 405),
        ("POST", "/health", 405),
        ("GET", "/score/", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "//score", 404),
        ("GET", "/%2e%2e/x", 404),
        ("BREW", "/nowhere", 404),
        ("HEAD", "/openapi.json", 200),
    ] {
        let answer = server.request(method, path, "", b"");
        assert_eq!(answer.status, status, "{method} {path}");
        match method {
            "HEAD" => assert!(answer.body.is_empty()),
            _ => assert!(answer.error().contains("GET / says"), "{}", answer.error()),
        }
        if status == 405 && path == "/score" {
            assert!(answer.head.contains("allow: post"), "{}", answer.head);
        }
    }
    // No page of somebody else's may ask in a browser's name.
    let origin = server.request("POST", "/score", "Origin: http://evil.example\r\nContent-Type: text/plain\r\n", b"{}");
    assert!(origin.status == 415 && !origin.head.contains("access-control"));
}

#[test]
fn a_client_that_goes_takes_its_work_with_it() {
    let gate = Gate::default();
    let server = Running::start(bytes(&gate), None, Limits::default());
    server.until(|| server.get("/health").status == 200);
    // Many pieces, of which the model is at the first, and much that waits.
    for (gone, stream) in [true, false].into_iter().enumerate() {
        let items: Vec<_> = (0..50).map(|i| json!({"problem": format!("p{i}"), "completion": "x".repeat(20_000)})).collect();
        let body = json!({"items": items, "stream": stream}).to_string();
        let mut client = server.connect();
        client.write_all(&post(body.as_bytes(), "")).unwrap();
        server.until_metric("queue_depth{reward=\"bytes\"}", "1");
        if stream {
            // The answer has begun.
            client.read_exact(&mut [0; 12]).unwrap();
        }
        drop(client);
        server.until_metric("cancelled_total", &(gone + 1).to_string());
        server.until_metric("queue_depth{reward=\"bytes\"}", "0");
        server.until_metric("requests_in_flight", "1");
    }
    gate.open();
    well(&server);
    // 1000 pieces and more would have been read.
    assert!(gate.came() < 100, "{}", gate.came());
}

#[test]
fn a_wrong_token_does_not_cost_a_body() {
    let server = Running::start(bytes(&open()), Some("0123456789abcdef"), Limits::default());
    let head =
        format!("POST /score HTTP/1.1\r\nHost: localhost\r\n{JSON}Authorization: Bearer nonsense\r\nContent-Length: 8000000\r\n\r\n");
    assert_eq!(Answer::of(&server.raw(head.as_bytes())).status, 401);
}

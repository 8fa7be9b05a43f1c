//! Many clients of `serve` at a time, for so many seconds: none gets another's numbers, none is left without an answer.

use crate::random::Random;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Requests that differ.
const KINDS: usize = 32;
/// A client that has heard nothing for so long is lost.
const LOST: Duration = Duration::from_secs(600);
/// Faults that are told.
const TOLD: usize = 10;

/// A request of one or two candidates, small enough that many fit into the time.
fn body(r: &mut Random, stream: bool) -> Value {
    let (a, b) = (2 + r.below(40), 2 + r.below(40));
    let problem = format!("Ben has {} pears. He gives {b} pears to Mia. How many pears does Ben have left?", a + b);
    let candidate = |r: &mut Random| {
        let answer = a + r.below(2);
        format!("Ben has {} - {b} = {answer} pears.\n#### {answer}", a + b)
    };
    let candidates: Vec<String> = (0..1 + r.below(2)).map(|_| candidate(r)).collect();
    json!({ "problem": problem, "candidates": candidates, "tokens": r.one_in(2), "stream": stream })
}

/// Sends a request on a connection and reads the answer: the status and the body, without the pieces it came in.
fn ask(input: &mut BufReader<TcpStream>, body: &str) -> Result<(u16, String), String> {
    let fail = |e: std::io::Error| e.to_string();
    let head = "POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length:";
    input.get_mut().write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).map_err(fail)?;
    let mut line = || {
        let mut text = String::new();
        input.read_line(&mut text).map_err(fail)?;
        if text.is_empty() {
            Err("the connection was closed before the answer was whole".to_owned())
        } else {
            Ok(text.trim_end().to_owned())
        }
    };
    let status = line()?.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no status")?;
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = line()?.to_ascii_lowercase();
        match header.split_once(": ") {
            None => break,
            Some(("content-length", n)) => length = n.parse().map_err(|_| "no length")?,
            Some(("transfer-encoding", how)) => chunked = how == "chunked",
            Some(_) => {}
        }
    }
    let mut out = Vec::new();
    loop {
        if chunked {
            let mut size = String::new();
            input.read_line(&mut size).map_err(fail)?;
            length = usize::from_str_radix(size.trim_end(), 16).map_err(|_| format!("a piece of {size:?} bytes"))?;
        }
        let start = out.len();
        out.resize(start + length, 0);
        input.read_exact(&mut out[start..]).map_err(fail)?;
        if chunked {
            let mut end = [0; 2];
            input.read_exact(&mut end).map_err(fail)?;
        }
        if !chunked || length == 0 {
            return Ok((status, String::from_utf8(out).map_err(|e| e.to_string())?));
        }
    }
}

fn connect(address: &str) -> Result<BufReader<TcpStream>, String> {
    let stream = TcpStream::connect(address).map_err(|e| format!("cannot connect: {e}"))?;
    stream.set_read_timeout(Some(LOST)).and_then(|()| stream.set_nodelay(true)).map_err(|e| e.to_string())?;
    Ok(BufReader::new(stream))
}

/// Memory of a process in MB, where the system says it.
fn memory(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let kb = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

/// `clients` at a time for `seconds`; what went wrong.
pub fn run(clients: usize, seconds: u64, seed: u64) -> Vec<String> {
    println!("load: {clients} clients for {seconds} s, --seed {seed}");
    match load(clients, seconds, seed) {
        Ok(faults) => faults,
        Err(what) => {
            println!("{what}");
            vec![what]
        }
    }
}

fn load(clients: usize, seconds: u64, seed: u64) -> Result<Vec<String>, String> {
    let mut server = Command::new(env!("CARGO_BIN_EXE_reasonscope"))
        .args(["serve", "--reward", "embedded", "--device", "cpu", "--port", "0", "--json", "--timeout", "600"])
        .env_remove("REASONSCOPE_TOKEN")
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut told = BufReader::new(server.stderr.take().ok_or("no standard error")?);
    let mut first = String::new();
    told.read_line(&mut first).map_err(|e| e.to_string())?;
    let listening: Value = serde_json::from_str(&first).map_err(|e| format!("{e}: {first}"))?;
    let address = format!("127.0.0.1:{}", listening["port"]);

    let mut r = Random::new(seed);
    let mut alone = Vec::new();
    let mut input = connect(&address)?;
    for i in 0..KINDS {
        let text = body(&mut r, i % 4 == 0).to_string();
        let (status, answer) = ask(&mut input, &text)?;
        if status != 200 {
            return Err(format!("alone: {status} {answer}"));
        }
        alone.push((text, answer));
    }
    drop(input);
    let before = memory(&server);

    let (answered, faults) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let until = Instant::now() + Duration::from_secs(seconds);
    std::thread::scope(|s| {
        for client in 0..clients {
            let (alone, address, answered, faults) = (&alone, &address, &answered, &faults);
            s.spawn(move || {
                let mut r = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(client as u64));
                let mut connection = None;
                while Instant::now() < until {
                    let (text, expected) = &alone[r.below(KINDS)];
                    let got = match connection.take().map_or_else(|| connect(address), Ok) {
                        Ok(mut input) => ask(&mut input, text).map(|got| (got, input)),
                        Err(what) => Err(what),
                    };
                    let what = match got {
                        Ok(((200, answer), input)) if answer == *expected => {
                            answered.fetch_add(1, Ordering::Relaxed);
                            // Some keep their connection, some begin anew.
                            connection = Some(input).filter(|_| !r.one_in(3));
                            continue;
                        }
                        Ok(((status, answer), _)) => format!("client {client}: {status} {answer}\n  in place of {expected}"),
                        Err(what) => format!("client {client} is lost: {what}"),
                    };
                    let mut faults = faults.lock().unwrap();
                    if faults.len() < TOLD {
                        println!("{what}");
                    }
                    faults.push(what);
                }
            });
        }
    });
    let (answered, mut faults) = (answered.into_inner(), faults.into_inner().unwrap());
    let after = memory(&server);
    let ended = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().map_err(|e| e.to_string())?;
    let mut rest = String::new();
    told.read_to_string(&mut rest).map_err(|e| e.to_string())?;
    let code = server.wait().map_err(|e| e.to_string())?.code();
    if !ended.success() || code != Some(143) || !rest.contains("\"unanswered\":0") {
        faults.push(format!("it ended with {code:?}: {rest}"));
    }
    println!(
        "{clients} clients, {seconds} s, --seed {seed}: {answered} answers, {:.0} a second, {} faults; {before} MB before, {after} MB after",
        answered as f64 / seconds.max(1) as f64,
        faults.len()
    );
    Ok(faults)
}

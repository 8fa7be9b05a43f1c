//! A server in this process, and a client that says exactly what it is told to.

use reasonscope::reward::{Piece, RewardError, RewardModel, Said, Scored};
use reasonscope::runtime::{DeviceChoice, Loaded, Loader, ModelRef, Models};
use reasonscope::serve::{Ended, Limits, News, Server, Token};
use reasonscope::trace::{Calibration, REWARD, Reading, Span, Statistic, TokenValue};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A client gives up rather than hang the tests.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Running {
    pub address: SocketAddr,
    pub news: Arc<Mutex<Vec<News>>>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Ended>>,
}

impl Running {
    pub fn start(rewards: Vec<(String, Models)>, token: Option<&str>, limits: Limits) -> Self {
        let server = Server::bind("127.0.0.1", 0, token.map(|t| Token::new(t).unwrap()), limits).unwrap();
        let (address, stop, news) = (server.address(), Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<News>>>::default());
        let (stopping, told) = (stop.clone(), news.clone());
        let thread = std::thread::spawn(move || server.run(rewards, &stopping, &mut |n| told.lock().unwrap().push(n)).unwrap());
        Self { address, news, stop, thread: Some(thread) }
    }

    /// Tells it to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub fn end(mut self) -> Ended {
        self.stop();
        self.thread.take().unwrap().join().unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes.
    pub fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // A server that refuses may close before all is sent.
        let _ = stream.write_all(bytes);
        rest(&mut stream)
    }

    pub fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            self.address,
            body.len()
        );
        Answer::of(&self.raw(&[head.as_bytes(), body].concat()))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "", b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, JSON, body.to_string().as_bytes())
    }

    /// Scores that must come.
    pub fn score(&self, body: &Value) -> Value {
        let answer = self.post("/score", body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until a count has a value.
    pub fn until_metric(&self, name: &str, value: &str) {
        self.until(|| self.get("/metrics").text().lines().any(|l| l == format!("reasonscope_{name} {value}")));
    }

    pub fn until(&self, holds: impl Fn() -> bool) {
        let began = std::time::Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "{}", self.get("/metrics").text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

pub const JSON: &str = "Content-Type: application/json\r\n";

/// What is read until the other side closes, or resets.
pub fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let (mut out, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut part) {
            Ok(0) => return out,
            Ok(n) => out.extend_from_slice(&part[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return out,
            Err(e) => panic!("{e} after {:?}", String::from_utf8_lossy(&out)),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn of(bytes: &[u8]) -> Self {
        let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..at].to_vec()).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = &bytes[at + 4..];
        let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_vec() };
        Self { status, head, body }
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The message of an answer that is no success.
    pub fn error(&self) -> String {
        let json = self.json();
        assert_eq!(json["error"]["status"], self.status, "{json}");
        json["error"]["message"].as_str().unwrap().to_owned()
    }

    /// The events of JSON lines.
    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(at) = body.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..at]).unwrap(), 16).unwrap();
        out.extend_from_slice(&body[at + 2..at + 2 + size]);
        body = &body[at + 4 + size..];
    }
    out
}

pub fn embedded() -> Vec<(String, Models)> {
    named(&ModelRef::Embedded)
}

pub fn named(reward: &ModelRef) -> Vec<(String, Models)> {
    vec![(reward.to_string(), Models { policy: None, rewards: Models::rewards(std::slice::from_ref(reward), DeviceChoice::Cpu).unwrap() })]
}

/// Opens and closes the way to a model.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<(bool, usize)>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        self.0.0.lock().unwrap().0 = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.1 += 1;
        while !state.0 {
            state = self.0.1.wait(state).unwrap();
        }
    }

    /// How often somebody came.
    pub fn came(&self) -> usize {
        self.0.0.lock().unwrap().1
    }
}

/// A reward of ±1 a byte: −1 for a `?`. Reads only while its gate is open.
pub struct Bytes {
    gate: Gate,
    calibration: Calibration,
    problem: String,
}

impl RewardModel for Bytes {
    fn name(&self) -> &str {
        "bytes"
    }
    fn calibration(&self) -> &Calibration {
        &self.calibration
    }
    fn shares_tokenizer(&self, _: &str) -> bool {
        false
    }
    fn begin(&mut self, problem: &str, _: usize) -> Result<(), RewardError> {
        self.problem = problem.into();
        if problem == "unreadable" { Err(RewardError::Input("the problem does not fit the context".into())) } else { Ok(()) }
    }
    fn append(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Scored>, RewardError> {
        self.gate.pass();
        if self.problem == "panic" {
            panic!("it dislikes this");
        }
        let reward = |piece: &Piece, i: usize| {
            let value = if piece.text.as_bytes()[i] == b'?' { -1.0 } else { 1.0 };
            TokenValue { span: Span::new(i, i + 1), value }
        };
        if let Some(piece) = pieces.iter().find(|p| p.text.contains("NO")) {
            return Err(RewardError::Input(format!("{} bytes do not fit", piece.text.len())));
        }
        let scored = |p: &Piece| Scored {
            candidate: p.candidate,
            said: Said::Tokens { from: p.new.start, rewards: p.new.clone().map(|i| reward(p, i)).collect() },
        };
        Ok(pieces.iter().map(scored).collect())
    }
}

/// The model of [`Bytes`] behind a gate, marked below 0.
pub fn bytes(gate: &Gate) -> Vec<(String, Models)> {
    let gate = gate.clone();
    let load = move |_| {
        let calibration = Calibration {
            false_alarm_rate: Some(0.1),
            task: Some("marks".into()),
            ..Calibration::at(Reading::new(REWARD, Statistic::Min), 0.0)
        };
        let model = Bytes { gate, calibration, problem: String::new() };
        Ok(Loaded { model: Box::new(model) as Box<dyn RewardModel>, about: "a reward a byte".into() })
    };
    vec![("bytes".into(), Models { policy: None, rewards: vec![Loader::new("bytes", load)] })]
}

/// An open gate.
pub fn open() -> Gate {
    let gate = Gate::default();
    gate.open();
    gate
}

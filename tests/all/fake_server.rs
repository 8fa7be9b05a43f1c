//! An OpenAI-compatible server on the loopback, as far as the tests need one.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a client sent.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
    pub proxy_authorization: Option<String>,
    pub range: Option<String>,
    pub body: Value,
}

/// What the server does with it.
pub enum Reply {
    /// An answer; a text body where the value is a string.
    Whole(u16, Value),
    /// As `Whole`, with a `Retry-After` of so many seconds.
    Later(u16, Value, u64),
    /// Status, headers and body; of the body only so many bytes are sent, and then the connection is closed. A `HEAD` has no body.
    Raw(u16, Vec<(&'static str, String)>, Vec<u8>, usize),
    /// Bytes of an event stream, a write each, and the end of the answer.
    Stream(Vec<Vec<u8>>),
    /// The stream goes on until the client closes the connection.
    Endless(Vec<u8>),
    /// Nothing for so long, then the connection is closed.
    Silence(Duration),
    /// The connection is closed.
    Close,
}

type Handler = dyn Fn(&Received, usize) -> Reply + Send + Sync;

/// A server that runs until the test ends; its requests are counted from 0.
pub struct FakeServer {
    address: String,
    received: Arc<Mutex<Vec<Received>>>,
    /// Endless streams that clients closed.
    pub closed: Arc<AtomicUsize>,
}

impl FakeServer {
    pub fn start(handler: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (received, closed) = (Arc::<Mutex<Vec<Received>>>::default(), Arc::<AtomicUsize>::default());
        let (all, count, handler) = (received.clone(), closed.clone(), Arc::<Handler>::from(Box::new(handler) as Box<Handler>));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (all, count, handler) = (all.clone(), count.clone(), handler.clone());
                std::thread::spawn(move || drop(serve(stream, &all, &count, handler.as_ref())));
            }
        });
        Self { address, received, closed }
    }

    /// The address without scheme and path.
    pub fn host(&self) -> &str {
        &self.address
    }

    /// The address without a path.
    pub fn root(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn to(&self, path: &str) -> Vec<Value> {
        self.received().into_iter().filter(|r| r.path == path).map(|r| r.body).collect()
    }
}

fn serve(stream: TcpStream, all: &Mutex<Vec<Received>>, closed: &AtomicUsize, handler: &Handler) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    while let Some(request) = read(&mut input)? {
        let index = {
            let mut all = all.lock().unwrap();
            all.push(request.clone());
            all.len() - 1
        };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        match handler(&request, index) {
            // a HEAD has no body
            Reply::Whole(status, _) if request.method == "HEAD" => answer(&mut out, status, &"".into(), "")?,
            Reply::Whole(status, body) => answer(&mut out, status, &body, "")?,
            Reply::Later(status, body, seconds) => answer(&mut out, status, &body, &format!("Retry-After: {seconds}\r\n"))?,
            Reply::Raw(status, headers, body, sent) => {
                let length = if headers.iter().any(|h| h.0 == "Content-Length") {
                    String::new()
                } else {
                    format!("Content-Length: {}\r\n", body.len())
                };
                write!(out, "HTTP/1.1 {status} Status\r\n{length}")?;
                for (name, value) in headers {
                    write!(out, "{name}: {value}\r\n")?;
                }
                out.write_all(b"\r\n")?;
                if request.method != "HEAD" {
                    out.write_all(&body[..sent.min(body.len())])?;
                }
                out.flush()?;
                if sent < body.len() {
                    return Ok(());
                }
            }
            Reply::Stream(parts) => {
                out.write_all(head.as_bytes())?;
                for part in parts {
                    out.write_all(&part)?;
                    out.flush()?;
                    std::thread::sleep(Duration::from_millis(2));
                }
                return Ok(());
            }
            Reply::Endless(part) => {
                out.write_all(head.as_bytes())?;
                while out.write_all(&part).is_ok() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                closed.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            Reply::Silence(time) => {
                std::thread::sleep(time);
                return Ok(());
            }
            Reply::Close => return Ok(()),
        }
    }
    Ok(())
}

fn read(input: &mut BufReader<TcpStream>) -> std::io::Result<Option<Received>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let (mut length, mut authorization, mut proxy_authorization, mut range) = (0, None, None, None);
    loop {
        let mut header = String::new();
        input.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = Some(value.to_owned()),
            "proxy-authorization" => proxy_authorization = Some(value.to_owned()),
            "range" => range = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(Some(Received { method, path, authorization, proxy_authorization, range, body: serde_json::from_slice(&body).unwrap_or_default() }))
}

fn answer(out: &mut TcpStream, status: u16, body: &Value, headers: &str) -> std::io::Result<()> {
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    write!(out, "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())?;
    out.flush()
}

/// The completion that these servers give: its first id tells the prompt, its second the seed.
pub fn completion(body: &Value) -> Reply {
    let first = body["prompt"][0].as_u64().unwrap();
    let second = body["seed"].as_u64().unwrap() % 1000;
    let choice = json!({
        "index": 0, "text": "x", "finish_reason": if second.is_multiple_of(2) { "stop" } else { "length" }, "token_ids": [first, second],
        "prompt_token_ids": body["prompt"], "logprobs": { "tokens": ["a", "b"], "token_logprobs": [-0.25, -1.5] },
    });
    Reply::Whole(200, json!({ "id": "c", "object": "text_completion", "choices": [choice] }))
}

/// What FastAPI says of an address that it does not know.
pub fn not_found() -> Reply {
    Reply::Whole(404, json!({ "detail": "Not Found" }))
}

/// The list of models with `base` in it.
pub fn models() -> Reply {
    Reply::Whole(200, json!({ "object": "list", "data": [{ "id": "base", "object": "model" }] }))
}

//! HTTP to one server: requests, errors that say what to do, server-sent events.

use super::error::{EndpointError, Trouble};
use crate::http::{Client, cause};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode, Uri};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes of an answer that is not JSON which an error repeats.
const REPEATED: usize = 300;
/// Bytes that an answer may have.
const LARGEST: usize = 256 << 20;

/// A client of one server.
pub(super) struct Http {
    client: Client,
    key: Option<String>,
    /// Longest wait for the head of an answer, and for each further part of it.
    patience: Duration,
}

impl Http {
    /// A client for addresses that begin as `url` does; `key` goes along as bearer token.
    pub(super) fn new(url: &str, key: Option<String>, patience: Duration) -> Result<Self, EndpointError> {
        let client = Client::new(url).map_err(|e| EndpointError::new(url, Trouble::Request, e.what).remedy(e.remedy))?;
        Ok(Self { client, key, patience })
    }

    /// Posts `body` to `url`, or gets it where there is none. The answer's head came and says that all is well.
    pub(super) async fn send(&self, url: &str, body: Option<&Value>) -> Result<Response<Incoming>, EndpointError> {
        let uri: Uri = url.parse().map_err(|e| EndpointError::new(url, Trouble::Request, format!("no address ({e})")))?;
        let mut request = Request::builder().method(if body.is_some() { Method::POST } else { Method::GET }).uri(uri);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let bytes = body.map_or_else(Bytes::new, |b| Bytes::from(b.to_string()));
        let request = request.body(Full::new(bytes)).map_err(|e| {
            EndpointError::new(url, Trouble::Request, format!("the request cannot be made ({e})"))
                .remedy("the key must be plain text without line breaks")
        })?;
        let response = match timeout(self.patience, self.client.request(request)).await {
            Err(_) => return Err(self.silent(url)),
            Ok(Err(e)) => return Err(EndpointError::unreachable(url, &e)),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let wait = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).map(Duration::from_secs);
        let said = self.bytes(url, response).await.map(|b| message(&b)).unwrap_or_default();
        Err(EndpointError::status(url, status, &said, wait))
    }

    /// As [`Http::send`], with the whole answer as JSON.
    pub(super) async fn json(&self, url: &str, body: Option<&Value>) -> Result<Value, EndpointError> {
        let response = self.send(url, body).await?;
        let bytes = self.bytes(url, response).await?;
        serde_json::from_slice(&bytes).map_err(|e| {
            EndpointError::new(url, Trouble::Server, format!("the answer is not JSON ({e}): {}", message(&bytes)))
                .remedy("is this the address of an OpenAI-compatible server, with /v1?")
        })
    }

    /// The whole answer.
    async fn bytes(&self, url: &str, response: Response<Incoming>) -> Result<Vec<u8>, EndpointError> {
        let (mut body, mut all) = (response.into_body(), Vec::new());
        while let Some(part) = self.part(url, &mut body).await? {
            all.extend_from_slice(&part);
            if all.len() > LARGEST {
                return Err(EndpointError::new(url, Trouble::Request, format!("the answer has more than {LARGEST} bytes")));
            }
        }
        Ok(all)
    }

    async fn part(&self, url: &str, body: &mut Incoming) -> Result<Option<Bytes>, EndpointError> {
        loop {
            match timeout(self.patience, body.frame()).await {
                Err(_) => return Err(self.silent(url)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(e))) => return Err(EndpointError::unreachable(url, &e)),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    fn silent(&self, url: &str) -> EndpointError {
        EndpointError::new(url, Trouble::Passing(None), format!("no answer within {} s", self.patience.as_secs_f32()))
            .remedy("look at the server's log; a longer timeout or fewer requests at a time may help")
    }
}

/// The data of server-sent events, as they come.
pub(super) struct Events<'a> {
    http: &'a Http,
    url: &'a str,
    body: Incoming,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out.
    read: usize,
}

impl<'a> Events<'a> {
    pub(super) fn new(http: &'a Http, url: &'a str, response: Response<Incoming>) -> Self {
        Self { http, url, body: response.into_body(), buffer: Vec::new(), read: 0 }
    }

    /// The next event's data, `None` at the end of the answer.
    pub(super) async fn next(&mut self) -> Result<Option<String>, EndpointError> {
        let mut data: Option<String> = None;
        loop {
            while let Some(line) = self.line() {
                match line.strip_prefix("data:") {
                    Some(value) => {
                        let value = value.strip_prefix(' ').unwrap_or(value);
                        data = Some(data.map_or_else(|| value.to_owned(), |before| format!("{before}\n{value}")));
                    }
                    None if line.is_empty() && data.is_some() => return Ok(data),
                    // A comment, or a field that says nothing here.
                    None => {}
                }
            }
            self.buffer.drain(..self.read);
            self.read = 0;
            match self.http.part(self.url, &mut self.body).await? {
                Some(part) => self.buffer.extend_from_slice(&part),
                None => return Ok(data),
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let rest = &self.buffer[self.read..];
        let end = memchr::memchr(b'\n', rest)?;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        let line = String::from_utf8_lossy(line).into_owned();
        self.read += end + 1;
        Some(line)
    }
}

/// What an answer says went wrong: vLLM's, SGLang's and FastAPI's fields, or its text.
fn message(bytes: &[u8]) -> String {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let fields = [&value["error"]["message"], &value["message"], &value["detail"], &value["error_message"], &value["error"]];
    match fields.into_iter().find(|f| !f.is_null()) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::from_utf8_lossy(bytes).trim().chars().take(REPEATED).collect(),
    }
}

/// The message of an error that came inside a stream.
pub(super) fn error_in(event: &Value) -> Option<String> {
    let told = event["object"] == "error" || !event["error"].is_null();
    told.then(|| message(event.to_string().as_bytes()))
}

impl EndpointError {
    fn unreachable(url: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(url, Trouble::Passing(None), format!("the connection failed: {}", cause(error)))
            .remedy("check that the server runs and that the address and port are right")
    }

    fn status(url: &str, status: StatusCode, said: &str, wait: Option<Duration>) -> Self {
        let (trouble, remedy) = match status {
            StatusCode::TOO_MANY_REQUESTS => (Trouble::Passing(wait), "ask for less at a time, or raise the server's limit"),
            StatusCode::REQUEST_TIMEOUT => (Trouble::Passing(wait), "look at the server's log"),
            s if s.is_server_error() => (Trouble::Passing(wait), "look at the server's log"),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                (Trouble::Server, "put the server's key into the environment variable OPENAI_API_KEY")
            }
            StatusCode::NOT_FOUND => {
                (Trouble::Server, "check the address (it ends in /v1) and the model's name; GET /v1/models lists the names")
            }
            _ => (Trouble::Request, "see the server's message"),
        };
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        Self::new(url, trouble, format!("{status}{said}")).remedy(remedy)
    }
}

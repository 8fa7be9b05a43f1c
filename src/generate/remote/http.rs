//! HTTP to one server: requests, errors that say what to do, server-sent events.

use super::error::{EndpointError, Trouble};
use crate::http::{self, ClientError, Failure};
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Bytes that one event of a stream may have.
const LARGEST_EVENT: usize = 1 << 20;
/// Redirects that are followed one after another.
const REDIRECTS: usize = 5;

/// A client of one server.
pub(super) struct Http {
    client: Client,
    key: Option<String>,
    /// Longest wait for the head of an answer, and for each further part of it.
    patience: Duration,
}

impl Http {
    /// A client for addresses that begin as `url` does; `key` goes along as bearer token, and to no other host. Name and password in the address go along
    /// instead of it.
    pub(super) fn new(url: &str, key: Option<String>, patience: Duration) -> Result<Self, EndpointError> {
        let fail = |e: ClientError| EndpointError::new(url, Trouble::Request, e.what).remedy(e.remedy);
        let address = http::address(url).map_err(fail)?;
        let client = http::client(&address, patience, Policy::custom(leads_on)).map_err(fail)?;
        Ok(Self { client, key: key.filter(|_| address.username().is_empty()), patience })
    }

    /// Posts `body` to `url`, or gets it where there is none. The answer's head came and says that all is well.
    pub(super) async fn send(&self, url: &str, body: Option<&Value>) -> Result<Response, EndpointError> {
        let mut request = match body {
            Some(body) => self.client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string()),
            None => self.client.get(url),
        };
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let began = Instant::now();
        let response = request.send().await.map_err(|e| self.broken(url, &e))?;
        let status = response.status();
        tracing::debug!(url = http::shown(url), %status, seconds = began.elapsed().as_secs_f32(), "has asked a server");
        if status.is_success() {
            return Ok(response);
        }
        let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
        let wait = text(RETRY_AFTER).and_then(|v| v.parse().ok()).map(Duration::from_secs);
        let leads = text(LOCATION).filter(|_| status.is_redirection()).map(|to| format!("it leads to {}", http::shown(to)));
        let said = message(&http::error_body(response).await);
        Err(EndpointError::status(url, status, &leads.unwrap_or(said), wait))
    }

    /// As [`Http::send`], with the whole answer of at most so many bytes as JSON.
    pub(super) async fn json(&self, url: &str, body: Option<&Value>, most: usize) -> Result<Value, EndpointError> {
        let response = self.send(url, body).await?;
        let bytes = http::whole(response, most).await.map_err(|e| self.broken(url, &e))?;
        let bytes = bytes.ok_or_else(|| EndpointError::new(url, Trouble::Request, format!("the answer has more than {most} bytes")))?;
        serde_json::from_slice(&bytes).map_err(|e| {
            EndpointError::new(url, Trouble::Server, format!("the answer is not JSON ({e}): {}", message(&bytes)))
                .remedy("is this the address of an OpenAI-compatible server, with /v1?")
        })
    }

    /// A request that came to nothing.
    fn broken(&self, url: &str, error: &reqwest::Error) -> EndpointError {
        if error.is_builder() {
            return EndpointError::new(url, Trouble::Request, format!("the request cannot be made ({})", http::cause(error)))
                .remedy("the key must be plain text without line breaks");
        }
        if error.is_redirect() {
            return EndpointError::new(url, Trouble::Server, http::cause(error).to_string()).remedy("name the server's own address");
        }
        let Failure { silent, what, remedy } = http::failure(error, self.patience);
        if let Some(remedy) = remedy {
            return EndpointError::new(url, Trouble::Server, what).remedy(remedy);
        }
        let remedy = match silent {
            true => "look at the server's log; a longer timeout or fewer requests at a time may help",
            false => "check that the server runs and that the address and port are right",
        };
        EndpointError::new(url, Trouble::Passing(None), what).remedy(remedy)
    }
}

/// Whether a redirect is followed: not too often, not out of TLS, and not one that turns a `POST` into a `GET`.
fn leads_on(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let secure = attempt.previous().last().is_some_and(|from| from.scheme() == "https");
    if attempt.previous().len() > REDIRECTS {
        attempt.error(format!("it leads on more than {REDIRECTS} times"))
    } else if secure && attempt.url().scheme() != "https"
        || !matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
    {
        attempt.stop()
    } else {
        attempt.follow()
    }
}

/// The data of server-sent events, as they come.
pub(super) struct Events<'a> {
    http: &'a Http,
    url: &'a str,
    response: Response,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out.
    read: usize,
    /// Bytes of lines that may still come.
    left: usize,
    /// Whether the answer is one whole object and no events, once something of it is there.
    whole: Option<bool>,
}

impl<'a> Events<'a> {
    /// Of an answer that has at most so many bytes.
    pub(super) fn new(http: &'a Http, url: &'a str, response: Response, most: usize) -> Self {
        Self { http, url, response, buffer: Vec::new(), read: 0, left: most, whole: None }
    }

    /// The next event's data, `None` at the end of the answer. A server that does not stream answers with one object, which is the only event.
    pub(super) async fn next(&mut self) -> Result<Option<String>, EndpointError> {
        while self.whole.is_none() {
            let Some(part) = self.response.chunk().await.map_err(|e| self.http.broken(self.url, &e))? else { return Ok(None) };
            self.buffer.extend_from_slice(&part);
            self.whole = self.buffer.iter().find(|b| !b.is_ascii_whitespace()).map(|first| *first == b'{');
            if self.whole.is_none() && self.buffer.len() > LARGEST_EVENT {
                return Err(self.too_large());
            }
        }
        if self.whole == Some(true) {
            return self.object().await;
        }
        let mut data: Option<String> = None;
        loop {
            while let Some(line) = self.line() {
                let Some(left) = self.left.checked_sub(line.len() + 1) else { return Err(self.too_much()) };
                self.left = left;
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
            if self.buffer.len() + data.as_ref().map_or(0, String::len) > LARGEST_EVENT {
                return Err(self.too_large());
            }
            match self.response.chunk().await.map_err(|e| self.http.broken(self.url, &e))? {
                Some(part) => self.buffer.extend_from_slice(&part),
                None => return Ok(data),
            }
        }
    }

    /// The whole answer, where it is one object; `None` when it was given out.
    async fn object(&mut self) -> Result<Option<String>, EndpointError> {
        while let Some(part) = self.response.chunk().await.map_err(|e| self.http.broken(self.url, &e))? {
            if self.buffer.len() + part.len() > self.left {
                return Err(self.too_much());
            }
            self.buffer.extend_from_slice(&part);
        }
        let all = std::mem::take(&mut self.buffer);
        Ok((!all.is_empty()).then(|| String::from_utf8_lossy(&all).into_owned()))
    }

    fn too_much(&self) -> EndpointError {
        EndpointError::new(self.url, Trouble::Server, "the stream has more bytes than any answer of the tokens that were asked for")
    }

    fn too_large(&self) -> EndpointError {
        EndpointError::new(self.url, Trouble::Server, format!("an event of the stream has more than {LARGEST_EVENT} bytes"))
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

/// What an answer says went wrong: vLLM's, SGLang's and FastAPI's fields, or its text; not more of it than fits a message.
fn message(bytes: &[u8]) -> String {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let fields = [&value["error"]["message"], &value["message"], &value["detail"], &value["error_message"], &value["error"]];
    http::repeated(&match fields.into_iter().find(|f| !f.is_null()) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::from_utf8_lossy(bytes).into_owned(),
    })
}

/// The message of an error that came inside a stream.
pub(super) fn error_in(event: &Value) -> Option<String> {
    let told = event["object"] == "error" || !event["error"].is_null();
    told.then(|| message(event.to_string().as_bytes()))
}

impl EndpointError {
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
            s if s.is_redirection() => (Trouble::Server, "name that address"),
            _ => (Trouble::Request, "see the server's message"),
        };
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        Self::new(url, trouble, format!("{status}{said}")).remedy(remedy)
    }
}

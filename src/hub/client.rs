//! Requests to the hub: redirects, the token, answers that say what is wrong.

use super::{HubError, Settings, message};
use crate::http::{Client, cause};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, ETAG, HeaderMap, LOCATION, RANGE, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use serde_json::Value;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Redirects that are followed one after another.
const REDIRECTS: usize = 5;
/// Bytes that a listing may have.
const LARGEST: usize = 64 << 20;
/// Longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What the hub says of a file before it is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// Names the bytes: their SHA-256 for large files, the hash of git's object for small ones.
    pub etag: String,
    pub size: Option<u64>,
}

impl Meta {
    /// The SHA-256 of the bytes, where the tag is one.
    pub fn sha256(&self) -> Option<&str> {
        (self.etag.len() == 64 && self.etag.bytes().all(|b| b.is_ascii_hexdigit())).then_some(self.etag.as_str())
    }
}

/// A client of the hub and of where it sends us.
pub(super) struct Web {
    pub settings: Settings,
    plain: OnceLock<Client>,
    secure: OnceLock<Client>,
}

impl Web {
    pub fn new(settings: Settings) -> Self {
        Self { settings, plain: OnceLock::new(), secure: OnceLock::new() }
    }

    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    fn client(&self, url: &str) -> Result<&Client, HubError> {
        let slot = if url.starts_with("http://") { &self.plain } else { &self.secure };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = Client::new(url).map_err(|e| HubError::new(url, e.what, e.remedy))?;
        Ok(slot.get_or_init(|| client))
    }

    /// One request; a success, a redirect, or a range that cannot be had.
    async fn once(&self, method: Method, url: &str, from: u64) -> Result<Response<Incoming>, HubError> {
        let uri: Uri = url.parse().map_err(|e| HubError::new(url, format!("no address ({e})"), "check HF_ENDPOINT"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(HubError::new(url, "no address", "HF_ENDPOINT begins with http:// or https:// and names a host"));
        }
        let mut request = Request::builder().method(method).uri(uri).header(USER_AGENT, concat!("reasonscope/", env!("CARGO_PKG_VERSION")));
        // The size and the tag are those of the bytes as they are.
        request = request.header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        // Whoever the hub sends us to has no business with the token.
        if let Some(token) = &self.settings.token
            && same_origin(url, self.endpoint())
        {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::new())).map_err(|e| {
            HubError::new(url, format!("the request cannot be made ({e})"), "HF_TOKEN must be plain text without line breaks")
        })?;
        let response = match timeout(self.settings.patience, self.client(url)?.request(request)).await {
            Err(_) => return Err(self.silent(url)),
            Ok(Err(e)) => return Err(broken(url, &e)),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE || location(&response).is_some() {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let said = self.whole(url, body).await.map(|b| message(&b)).unwrap_or_default();
        Err(self.refusal(url, status, &head.headers, &said))
    }

    /// Asks for a file's tag and size; only redirects that stay with the hub are followed, because the tag is told before the others.
    pub async fn meta(&self, url: &str) -> Result<Meta, HubError> {
        let mut at = url.to_owned();
        let (mut linked, mut size, mut tag) = (None, None, None);
        for _ in 0..=REDIRECTS {
            let response = self.once(Method::HEAD, &at, 0).await?;
            let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
            linked = linked.or_else(|| text("x-linked-etag"));
            size = size.or_else(|| text("x-linked-size").and_then(|s| s.parse().ok()));
            match location(&response) {
                Some(to) => {
                    let to = absolute(&at, &to);
                    if !same_origin(&to, self.endpoint()) {
                        break;
                    }
                    at = to;
                }
                None => {
                    tag = text(ETAG.as_str());
                    size = size.or_else(|| text(CONTENT_LENGTH.as_str()).and_then(|s| s.parse().ok()));
                    break;
                }
            }
        }
        let etag = linked.or(tag).map(|t| t.trim_start_matches("W/").trim_matches('"').to_owned());
        let etag = etag.filter(|t| !t.is_empty() && t.len() <= 128 && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        let etag = etag.ok_or_else(|| {
            HubError::new(url, "the answer names no version of the file (no ETag)", "check that HF_ENDPOINT is the address of a hub")
        })?;
        Ok(Meta { etag, size })
    }

    /// The bytes of a file from `from` on, wherever the hub sends us for them.
    pub async fn get(&self, url: &str, from: u64) -> Result<Response<Incoming>, HubError> {
        let mut at = url.to_owned();
        for _ in 0..=REDIRECTS {
            let response = self.once(Method::GET, &at, from).await?;
            let Some(to) = location(&response) else { return Ok(response) };
            let to = absolute(&at, &to);
            if at.starts_with("https://") && !to.starts_with("https://") {
                return Err(HubError::new(url, "it leads from https to an address without", "fetch it from another hub"));
            }
            at = to;
        }
        Err(HubError::new(url, format!("it leads on more than {REDIRECTS} times"), "try again later"))
    }

    /// A JSON answer, tried again where it fails in passing.
    pub async fn json(&self, url: &str) -> Result<Value, HubError> {
        let mut failures = 0;
        loop {
            let answer = async {
                let response = self.get(url, 0).await?;
                self.whole(url, response.into_body()).await
            };
            match answer.await {
                Ok(bytes) => {
                    return serde_json::from_slice(&bytes).map_err(|e| {
                        let what = format!("the answer is not JSON ({e}): {}", message(&bytes));
                        HubError::new(url, what, "check that HF_ENDPOINT is the address of a hub")
                    });
                }
                Err(error) => self.wait(error, &mut failures).await?,
            };
        }
    }

    /// Waits before the next try; the error itself where it is no passing one or there were enough. Returns how long it waited.
    pub async fn wait(&self, error: HubError, failures: &mut u32) -> Result<Duration, HubError> {
        let Some(asked) = error.passing else { return Err(error) };
        *failures += 1;
        if *failures > self.settings.retries {
            return Err(error);
        }
        let own = self.settings.pause * 2_u32.pow((*failures - 1).min(8));
        let wait = asked.unwrap_or(own).min(LONGEST_WAIT).max(own);
        sleep(wait).await;
        Ok(wait)
    }

    /// The next bytes of an answer, `None` at its end.
    pub async fn part(&self, url: &str, body: &mut Incoming) -> Result<Option<Bytes>, HubError> {
        loop {
            match timeout(self.settings.patience, body.frame()).await {
                Err(_) => return Err(self.silent(url)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(e))) => return Err(broken(url, &e)),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    async fn whole(&self, url: &str, mut body: Incoming) -> Result<Vec<u8>, HubError> {
        let mut all = Vec::new();
        while let Some(part) = self.part(url, &mut body).await? {
            all.extend_from_slice(&part);
            if all.len() > LARGEST {
                return Err(HubError::new(url, format!("the answer has more than {LARGEST} bytes"), "check HF_ENDPOINT"));
            }
        }
        Ok(all)
    }

    fn silent(&self, url: &str) -> HubError {
        let what = format!("no answer within {} s", self.settings.patience.as_secs_f32());
        HubError::new(url, what, "check the connection and try again; what is there is gone on from").passing(None)
    }

    fn refusal(&self, url: &str, status: StatusCode, headers: &HeaderMap, said: &str) -> HubError {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let told = text("x-error-message");
        let said = if told.is_empty() { said } else { told };
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let with = |what: &str, remedy: &str| HubError::new(url, format!("{status}, {what}{said}"), remedy);
        let wait = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).map(Duration::from_secs);
        match status {
            StatusCode::UNAUTHORIZED if self.settings.token.is_some() => with(
                "the token in HF_TOKEN is refused, or there is no such repository",
                "check the name, and make a token that can read it",
            ),
            StatusCode::UNAUTHORIZED => with(
                "there is no such repository, or it is not for everybody",
                "check the name; for a private or gated one, put a token that can read it into HF_TOKEN",
            ),
            StatusCode::FORBIDDEN => with(
                "the repository is not open to this token",
                "ask for access on the repository's page, then put a token that can read it into HF_TOKEN",
            ),
            StatusCode::NOT_FOUND if text("x-error-code") == "EntryNotFound" => with(
                "the repository has no such file",
                "it may have been moved; `reasonscope data fetch --model OWNER/NAME --file PATH` names one",
            ),
            StatusCode::NOT_FOUND => with("there is no such repository, revision or file", "check the names"),
            StatusCode::TOO_MANY_REQUESTS => {
                with("too many requests", "wait a while; with a token in HF_TOKEN more are allowed").passing(wait)
            }
            StatusCode::REQUEST_TIMEOUT => with("the server gave up", "try again later").passing(wait),
            s if s.is_server_error() => with("the server has failed", "try again later").passing(wait),
            _ => with("it is refused", "see the server's message"),
        }
    }
}

fn broken(url: &str, error: &(dyn std::error::Error + 'static)) -> HubError {
    let what = format!("the connection failed: {}", cause(error));
    HubError::new(url, what, "check the connection (and HF_ENDPOINT) and try again; what is there is gone on from").passing(None)
}

/// Where a redirect leads.
fn location(response: &Response<Incoming>) -> Option<String> {
    let to = response.status().is_redirection().then(|| response.headers().get(LOCATION))??;
    to.to_str().ok().map(str::to_owned)
}

/// A redirect's address, which may be given without host or without scheme.
fn absolute(from: &str, to: &str) -> String {
    if to.contains("://") {
        return to.to_owned();
    }
    let scheme = from.split("://").next().unwrap_or("https");
    if let Some(rest) = to.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    if to.starts_with('/') {
        return format!("{}{to}", origin(from));
    }
    let folder = from.split('?').next().and_then(|f| f.rsplit_once('/')).map_or(from, |(folder, _)| folder);
    format!("{folder}/{to}")
}

/// Scheme, host and port.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |i| i + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |i| start + i);
    &url[..end]
}

fn same_origin(a: &str, b: &str) -> bool {
    // A name before an @ would make another host look like the hub's.
    !origin(a).contains('@') && origin(a).eq_ignore_ascii_case(origin(b))
}

/// Percent-encodes what may not stand in an address; slashes stay where `path` says that they part folders.
pub(super) fn encode(text: &str, path: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => out.push(char::from(b)),
            b'/' if path => out.push('/'),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(encode("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(encode("a b/é.txt", true), "a%20b/%C3%A9.txt");
        assert_eq!(absolute("https://h:1/a/b?q", "/c"), "https://h:1/c");
        assert_eq!(absolute("https://h/a/b?q=/", "c?d"), "https://h/a/c?d");
        assert_eq!(absolute("http://h/a", "//k/c"), "http://k/c");
        assert_eq!(absolute("http://h/a", "https://k/c"), "https://k/c");
    }

    #[test]
    fn the_token_belongs_to_one_origin() {
        assert!(same_origin("https://h/a", "https://H"));
        for other in ["http://h/a", "https://h:8/a", "https://h.k/a", "https://k/h", "https://h@k/", "https://h@h/"] {
            assert!(!same_origin(other, "https://h"), "{other}");
        }
    }

    #[test]
    fn only_a_sha256_is_one() {
        let meta = |etag: &str| Meta { etag: etag.into(), size: None };
        assert!(meta(&"a0".repeat(32)).sha256().is_some());
        assert!(meta(&"a0".repeat(20)).sha256().is_none() && meta(&"x".repeat(64)).sha256().is_none());
    }
}

//! Requests to the hub: redirects, the token, answers that say what is wrong.

use super::{HubError, Settings, message};
use crate::http::{self, ClientError, Failure};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, LOCATION, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::Value;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::time::sleep;

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
    /// Follows redirects, for bytes and listings.
    following: OnceLock<Client>,
    /// Follows none, to see what each says of a file.
    staying: OnceLock<Client>,
}

impl Web {
    pub fn new(settings: Settings) -> Self {
        Self { settings, following: OnceLock::new(), staying: OnceLock::new() }
    }

    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    fn client(&self, slot: &OnceLock<Client>, url: &str, redirects: Policy) -> Result<Client, HubError> {
        if let Some(client) = slot.get() {
            return Ok(client.clone());
        }
        let fail = |e: ClientError| HubError::new(url, e.what, e.remedy);
        let hub = http::address(self.endpoint()).map_err(fail)?;
        let client = http::client(&hub, self.settings.patience, redirects).map_err(fail)?;
        Ok(slot.get_or_init(|| client).clone())
    }

    /// One request; a success, a redirect that is not followed, or a range that cannot be had.
    async fn once(&self, client: &Client, method: Method, url: Url, from: u64) -> Result<Response, HubError> {
        let shown = url.to_string();
        // The token is for the hub alone, and the client keeps it from hosts that it is sent to; a name and a password in the address go instead of it.
        let own = http::address(self.endpoint()).is_ok_and(|hub| hub.origin() == url.origin());
        let token = self.settings.token.as_ref().filter(|_| own && url.username().is_empty());
        // The size and the tag are those of the bytes as they are.
        let mut request = client.request(method, url).header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let began = Instant::now();
        let response = request.send().await.map_err(|e| self.broken(&shown, &e))?;
        let status = response.status();
        tracing::debug!(url = http::shown(&shown), from, %status, seconds = began.elapsed().as_secs_f32(), "has asked the hub");
        if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE || status.is_redirection() && location(&response).is_some() {
            return Ok(response);
        }
        let headers = response.headers().clone();
        let said = message(&http::error_body(response).await);
        Err(self.refusal(&shown, status, &headers, &said))
    }

    fn address(&self, url: &str) -> Result<Url, HubError> {
        http::address(url).map_err(|e| HubError::new(url, e.what, "HF_ENDPOINT begins with http:// or https:// and names a host"))
    }

    /// Asks for a file's tag and size; only redirects that stay with the hub are followed, because the tag is told before the others.
    pub async fn meta(&self, url: &str) -> Result<Meta, HubError> {
        let hub = self.address(url)?;
        let client = self.client(&self.staying, url, Policy::none())?;
        let mut at = hub.clone();
        let (mut linked, mut size, mut tag) = (None, None, None);
        for _ in 0..=REDIRECTS {
            let response = self.once(&client, Method::HEAD, at.clone(), 0).await?;
            let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
            linked = linked.or_else(|| text("x-linked-etag"));
            size = size.or_else(|| text("x-linked-size").and_then(|s| s.parse().ok()));
            if !response.status().is_redirection() {
                tag = text(ETAG.as_str());
                size = size.or_else(|| text(CONTENT_LENGTH.as_str()).and_then(|s| s.parse().ok()));
                break;
            }
            match location(&response) {
                Some(to) if to.origin() == hub.origin() => at = to,
                _ => break,
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
    pub async fn get(&self, url: &str, from: u64) -> Result<Response, HubError> {
        let address = self.address(url)?;
        let client = self.client(&self.following, url, Policy::custom(leads_on))?;
        self.once(&client, Method::GET, address, from).await
    }

    /// A JSON answer, tried again where it fails in passing.
    pub async fn json(&self, url: &str) -> Result<Value, HubError> {
        let mut failures = 0;
        loop {
            let answer = async {
                let response = self.get(url, 0).await?;
                let bytes = http::whole(response, LARGEST).await.map_err(|e| self.broken(url, &e))?;
                bytes.ok_or_else(|| HubError::new(url, format!("the answer has more than {LARGEST} bytes"), "check HF_ENDPOINT"))
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
        tracing::warn!(%error, ?wait, "tries again");
        sleep(wait).await;
        Ok(wait)
    }

    /// The next bytes of an answer, `None` at its end.
    pub async fn part(&self, url: &str, response: &mut Response) -> Result<Option<impl AsRef<[u8]>>, HubError> {
        response.chunk().await.map_err(|e| self.broken(url, &e))
    }

    /// A request that came to nothing.
    fn broken(&self, url: &str, error: &reqwest::Error) -> HubError {
        if error.is_builder() {
            let what = format!("the request cannot be made ({})", http::cause(error));
            return HubError::new(url, what, "HF_TOKEN must be plain text without line breaks");
        }
        if error.is_redirect() {
            return HubError::new(url, http::cause(error).to_string(), "try again later, or fetch it from another hub");
        }
        let Failure { silent, what, remedy } = http::failure(error, self.settings.patience);
        if let Some(remedy) = remedy {
            return HubError::new(url, what, remedy);
        }
        let check = if silent { "check the connection" } else { "check the connection (and HF_ENDPOINT)" };
        HubError::new(url, what, format!("{check} and try again; what is there is gone on from")).passing(None)
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

/// Whether a redirect is followed: not too often, and not out of TLS.
fn leads_on(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let from = attempt.previous().last().map(Url::scheme);
    if attempt.previous().len() > REDIRECTS {
        attempt.error(format!("it leads on more than {REDIRECTS} times"))
    } else if from == Some("https") && attempt.url().scheme() != "https" {
        attempt.error("it leads from https to an address without")
    } else {
        attempt.follow()
    }
}

/// Where a redirect leads.
fn location(response: &Response) -> Option<Url> {
    let to = response.headers().get(LOCATION)?.to_str().ok()?;
    response.url().join(to).ok()
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
    }

    #[test]
    fn only_a_sha256_is_one() {
        let meta = |etag: &str| Meta { etag: etag.into(), size: None };
        assert!(meta(&"a0".repeat(32)).sha256().is_some());
        assert!(meta(&"a0".repeat(20)).sha256().is_none() && meta(&"x".repeat(64)).sha256().is_none());
    }
}

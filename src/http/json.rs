//! A server that is asked by JSON: one answer for one request, asked for again while its trouble may pass.

use super::{ClientError, Failure};
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// Wait before a failed request is made again; doubled with every further failure.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest such wait, also where a server asks for a longer one.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A server did not give what it was asked for; the message names its address, what happened and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{url}: {what}; {remedy}")]
pub(crate) struct ServerError {
    url: String,
    what: String,
    remedy: String,
    /// It may go better another time; the server may have said when.
    passing: Option<Option<Duration>>,
    /// The server does not know the address.
    pub(crate) missing: bool,
}

impl ServerError {
    /// An error that stays.
    pub(crate) fn new(url: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { url: super::shown(url), what: what.into(), remedy: remedy.into(), passing: None, missing: false }
    }
}

/// A client of one server.
pub(crate) struct JsonServer {
    client: Client,
    key: Option<String>,
    patience: Duration,
    retries: u32,
}

impl JsonServer {
    /// A client for addresses that begin as `url` does. `key` goes along as bearer token, and name and password of the address instead of it; redirects are
    /// told and not followed. `patience` is the longest wait for an answer or its next part; a request whose trouble may pass is made `retries` times more.
    pub(crate) fn new(url: &str, key: Option<String>, patience: Duration, retries: u32) -> Result<Self, ServerError> {
        let fail = |e: ClientError| ServerError::new(url, e.what, e.remedy);
        let address = super::address(url).map_err(fail)?;
        let client = super::client(&address, patience, Policy::none()).map_err(fail)?;
        Ok(Self { client, key: key.filter(|k| !k.is_empty() && address.username().is_empty()), patience, retries })
    }

    /// Posts `body` to `url`, or gets it where there is none; the answer, of at most so many bytes.
    pub(crate) async fn ask(&self, url: &str, body: Option<&Value>, most: usize) -> Result<Value, ServerError> {
        let mut failures = 0;
        loop {
            match self.once(url, body, most).await {
                Err(ServerError { passing: Some(asked), .. }) if failures < self.retries => {
                    failures += 1;
                    let own = FIRST_WAIT.saturating_mul(2u32.saturating_pow(failures - 1));
                    tracing::warn!(url = super::shown(url), failures, "asks a server again");
                    tokio::time::sleep(own.max(asked.unwrap_or_default()).min(LONGEST_WAIT)).await;
                }
                result => return result,
            }
        }
    }

    async fn once(&self, url: &str, body: Option<&Value>, most: usize) -> Result<Value, ServerError> {
        let mut request = match body {
            Some(body) => self.client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string()),
            None => self.client.get(url),
        };
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.map_err(|e| self.broken(url, &e))?;
        let status = response.status();
        if !status.is_success() {
            let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
            let wait = text(RETRY_AFTER).and_then(|v| v.parse().ok()).map(Duration::from_secs);
            let leads = text(LOCATION).filter(|_| status.is_redirection()).map(|to| format!("it leads to {}", super::shown(to)));
            let said = words(&super::error_body(response).await);
            return Err(refused(url, status, &leads.unwrap_or(said), wait));
        }
        let bytes = super::whole(response, most).await.map_err(|e| self.broken(url, &e))?;
        let large = || ServerError::new(url, format!("the answer has more than {most} bytes"), "is this the address of a reward server?");
        let bytes = bytes.ok_or_else(large)?;
        serde_json::from_slice(&bytes).map_err(|e| {
            ServerError::new(url, format!("the answer is not JSON ({e}): {}", words(&bytes)), "is this the address of a reward server?")
        })
    }

    /// A request that came to nothing.
    fn broken(&self, url: &str, error: &reqwest::Error) -> ServerError {
        if error.is_builder() {
            let what = format!("the request cannot be made ({})", super::cause(error));
            return ServerError::new(url, what, "the key must be plain text without line breaks");
        }
        let Failure { silent, what, remedy: stays } = super::failure(error, self.patience);
        let remedy = stays.unwrap_or(match silent {
            true => "look at the server's log",
            false => "check that the server runs and that the address and port are right",
        });
        // One that was silent for all the patience there is will be so again, and so will one that is not trusted.
        ServerError { passing: (!silent && stays.is_none()).then_some(None), ..ServerError::new(url, what, remedy) }
    }
}

fn refused(url: &str, status: StatusCode, said: &str, wait: Option<Duration>) -> ServerError {
    let passing = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED);
    let missing = matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    let remedy = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "put the server's key into the environment variable OPENAI_API_KEY",
        StatusCode::TOO_MANY_REQUESTS => "ask for less at a time, or raise the server's limit",
        s if s.is_redirection() => "name that address",
        _ if missing => "check the address and the model's name; GET /v1/models lists the names",
        s if s.is_server_error() => "look at the server's log",
        _ => "see the server's message",
    };
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    ServerError { passing: passing.then_some(wait), missing, ..ServerError::new(url, format!("{status}{said}"), remedy) }
}

/// What an answer says went wrong: the fields that vLLM, SGLang, FastAPI and this program use, or its text; not more of it than fits a message.
fn words(bytes: &[u8]) -> String {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let fields = [&value["error"]["message"], &value["message"], &value["detail"], &value["error"]];
    super::repeated(&match fields.into_iter().find(|f| !f.is_null()) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::from_utf8_lossy(bytes).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_asked_again() {
        let passes = |code| refused("http://h/x", StatusCode::from_u16(code).unwrap(), "busy", None).passing.is_some();
        assert_eq!([429, 503, 500, 400, 401, 404, 302].map(passes), [true, true, true, false, false, false, false]);
        let said = refused("http://me:secret1@h/x?k=1", StatusCode::UNAUTHORIZED, "no", None).to_string();
        assert!(said.starts_with("http://h/x: 401") && said.contains("OPENAI_API_KEY") && !said.contains("secret1"), "{said}");
    }

    #[test]
    fn the_servers_own_words_are_found() {
        for body in [r#"{"error": {"message": "busy"}}"#, r#"{"detail": "busy"}"#, r#"{"error": "busy"}"#, "busy"] {
            assert_eq!(words(body.as_bytes()), "busy", "{body}");
        }
    }
}

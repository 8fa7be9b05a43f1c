//! One OpenAI-compatible server: its model, its completions, its LoRA adapters.

use super::error::{EndpointError, Trouble};
use super::http::{Events, Http};
use super::wire::{self, Answer};
use crate::generate::{Completion, Prompt};
use crate::http;
use crate::trace::Sampling;
use serde_json::{Value, json};
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

/// Environment variable with the key that is sent to servers.
pub const KEY_VARIABLE: &str = "OPENAI_API_KEY";
/// Bytes of a list of models.
const LARGEST_LIST: usize = 16 << 20;
/// Bytes of a model's name.
const LONGEST_NAME: usize = 1024;
/// Bytes of a whole candidate for each of its tokens, each with its id and its log-probability.
const BYTES_A_TOKEN: usize = 4 << 10;
/// Wait before a failed request is made again; doubled with every further failure.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest such wait, also where a server asks for a longer one.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where an OpenAI-compatible server is, as a user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address up to and with `/v1`, without slash at the end.
    pub base_url: String,
    /// Which of its models; the first that it lists where none is named.
    pub model: Option<String>,
}

impl Endpoint {
    /// Whether `text` is meant as an address: it begins with `http://` or `https://`.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("http://") || text.starts_with("https://")
    }

    /// Reads `http://HOST:PORT/v1#MODEL`; `#MODEL` may be left out.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let wrong = |what: &str| {
            Err(EndpointError::new(text, Trouble::Request, what).remedy("write it as http://HOST:PORT/v1 or http://HOST:PORT/v1#MODEL"))
        };
        let (url, model) = text.split_once('#').map_or((text, None), |(url, model)| (url, Some(model)));
        let base_url = url.trim_end_matches('/').to_owned();
        match http::address(&base_url) {
            Err(e) => wrong(&e.what),
            Ok(address) if address.query().is_some() => wrong("the address has a query"),
            Ok(_) if model == Some("") => wrong("the model's name is empty"),
            Ok(_) => Ok(Self { base_url, model: model.map(str::to_owned) }),
        }
    }
}

/// The address without name and password, and the model.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.model {
            Some(model) => write!(f, "{}#{model}", http::shown(&self.base_url)),
            None => f.write_str(&http::shown(&self.base_url)),
        }
    }
}

/// How a server names its adapter endpoints, and how a request names an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// `POST /v1/load_lora_adapter`; an adapter is one more model.
    Vllm,
    /// `POST /load_lora_adapter` beside `/v1`; a request names model and `lora_path`.
    Sglang,
}

/// An adapter that is loaded.
struct Adapter {
    name: String,
    dialect: Dialect,
}

/// A server that is used.
pub(super) struct Server {
    http: Http,
    base: String,
    completions: String,
    model: String,
    adapter: Option<Adapter>,
}

impl Server {
    /// Asks the server for its models where `endpoint` names none. `patience` is the longest wait for an answer or its next part.
    pub(super) async fn open(endpoint: &Endpoint, patience: Duration) -> Result<Self, EndpointError> {
        let base = endpoint.base_url.clone();
        let http = Http::new(&base, std::env::var(KEY_VARIABLE).ok().filter(|k| !k.is_empty()), patience)?;
        let model = match &endpoint.model {
            Some(model) => model.clone(),
            None => {
                let url = format!("{base}/models");
                let listed = http.json(&url, None, LARGEST_LIST).await?;
                let first = listed["data"][0]["id"].as_str().filter(|id| id.len() <= LONGEST_NAME);
                let Some(first) = first else {
                    return Err(EndpointError::new(&url, Trouble::Request, "the server lists no model")
                        .remedy("name one: http://HOST:PORT/v1#MODEL"));
                };
                first.to_owned()
            }
        };
        Ok(Self { http, completions: format!("{base}/completions"), base, model, adapter: None })
    }

    /// Its address, for people.
    pub(super) fn url(&self) -> String {
        http::shown(&self.base)
    }

    /// Its model without adapter.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    fn request(&self, prompt: Value, sampling: &Sampling, candidate: usize, stream: bool) -> Value {
        let (model, path) = match &self.adapter {
            Some(Adapter { name, dialect: Dialect::Vllm }) => (name.as_str(), None),
            Some(Adapter { name, dialect: Dialect::Sglang }) => (self.model.as_str(), Some(name.as_str())),
            None => (self.model.as_str(), None),
        };
        wire::request(model, path, prompt, sampling, candidate, stream)
    }

    /// Candidate `candidate` of a prompt, whole.
    pub(super) async fn complete(&self, prompt: &Prompt, sampling: &Sampling, candidate: usize) -> Result<Completion, EndpointError> {
        let sampling = Sampling { seed: prompt.seed, ..sampling.clone() };
        let body = self.request(json!(prompt.ids), &sampling, candidate, false);
        let url = &self.completions;
        let most = (sampling.max_tokens + prompt.ids.len()).saturating_mul(BYTES_A_TOKEN).saturating_add(1 << 20);
        let answer = self.http.json(url, Some(&body), most).await?;
        let answer: Answer = serde_json::from_value(answer)
            .map_err(|e| EndpointError::new(url, Trouble::Server, format!("the answer is no completion ({e})")))?;
        let [choice] = answer.choices.as_slice() else {
            return Err(EndpointError::new(url, Trouble::Server, format!("{} candidates came, not 1", answer.choices.len())));
        };
        choice.completion(&prompt.ids).map_err(|(what, remedy)| EndpointError::new(url, Trouble::Request, what).remedy(remedy))
    }

    /// Candidate `candidate` of the prompt `text`, piece by piece, in at most so many bytes.
    pub(super) async fn stream(&self, text: &str, sampling: &Sampling, candidate: usize, most: usize) -> Result<Events<'_>, EndpointError> {
        let body = self.request(text.into(), sampling, candidate, true);
        let response = self.http.send(&self.completions, Some(&body)).await?;
        Ok(Events::new(&self.http, &self.completions, response, most))
    }

    /// An error about this server's completions.
    pub(super) fn error(&self, what: impl Into<String>) -> EndpointError {
        EndpointError::new(&self.completions, Trouble::Server, what)
    }

    /// The same about what may go better another time.
    pub(super) fn passing(&self, what: impl Into<String>) -> EndpointError {
        EndpointError::new(&self.completions, Trouble::Passing(None), what)
    }

    /// Loads the adapter in the PEFT folder `path` as `name`; requests use it from now on. The one that it replaces is unloaded; where that fails, the
    /// message comes back.
    ///
    /// vLLM: docs "LoRA Adapters", dynamically serving; SGLang: docs "LoRA Serving", dynamic loading.
    pub(super) async fn load_adapter(&mut self, name: &str, path: &Path, retries: u32) -> Result<Option<String>, EndpointError> {
        let known = self.adapter.as_ref().map(|a| a.dialect);
        let body = json!({ "lora_name": name, "lora_path": path });
        let mut missing = None;
        for dialect in [Dialect::Vllm, Dialect::Sglang].into_iter().filter(|d| known.is_none_or(|k| k == *d)) {
            let mut loaded = patiently(retries, || self.adapters(dialect, "load", &body)).await;
            // Left by an earlier run, maybe with other weights.
            if loaded.as_ref().is_err_and(|e| e.what().contains("already") && e.what().contains("loaded")) {
                self.adapters(dialect, "unload", &json!({ "lora_name": name })).await?;
                loaded = self.adapters(dialect, "load", &body).await;
            }
            match loaded {
                Ok(()) => {
                    let old = self.adapter.replace(Adapter { name: name.into(), dialect });
                    let Some(old) = old.filter(|old| old.name != name) else { return Ok(None) };
                    let unloaded = self.adapters(dialect, "unload", &json!({ "lora_name": old.name })).await;
                    return Ok(unloaded.err().map(|e| e.to_string()));
                }
                Err(e) if e.what().ends_with(": Not Found") => missing = Some(e),
                Err(e) => {
                    return Err(e.remedy(format!(
                        "the server must see the folder {} (same machine or shared disk), and its model and LoRA rank must fit",
                        path.display()
                    )));
                }
            }
        }
        let error = missing.unwrap_or_else(|| self.error("no adapter endpoint"));
        Err(error.remedy("start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, SGLang with --enable-lora"))
    }

    async fn adapters(&self, dialect: Dialect, what: &str, body: &Value) -> Result<(), EndpointError> {
        let base = match dialect {
            Dialect::Vllm => &self.base,
            Dialect::Sglang => self.base.strip_suffix("/v1").unwrap_or(&self.base),
        };
        self.http.send(&format!("{base}/{what}_lora_adapter"), Some(body)).await.map(|_| ())
    }
}

/// Wait after the `failures`-th failure in a row (from 1); `asked` is what the server asked for.
pub(super) fn backoff(failures: u32, asked: Option<Duration>) -> Duration {
    let own = FIRST_WAIT.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
    own.max(asked.unwrap_or_default()).min(LONGEST_WAIT)
}

/// Makes a request again while its trouble may pass, `retries` times at most.
pub(super) async fn patiently<T, F: Future<Output = Result<T, EndpointError>>>(
    retries: u32,
    mut request: impl FnMut() -> F,
) -> Result<T, EndpointError> {
    let mut failures = 0;
    loop {
        match request().await {
            Err(e)
                if failures < retries
                    && let Trouble::Passing(asked) = e.trouble() =>
            {
                failures += 1;
                tracing::warn!(error = %e, failures, "tries again");
                tokio::time::sleep(backoff(failures, asked)).await;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let e = Endpoint::parse("http://gpu1:8000/v1/#Qwen/Qwen3-4B").unwrap();
        assert_eq!((e.base_url.as_str(), e.model.as_deref()), ("http://gpu1:8000/v1", Some("Qwen/Qwen3-4B")));
        assert_eq!(e.to_string(), "http://gpu1:8000/v1#Qwen/Qwen3-4B");
        assert_eq!(Endpoint::parse("https://[::1]:8000/v1").unwrap().model, None);
        for bad in ["http://", "http:///v1", "http://a b/v1", "gpu1:8000/v1", "http://h/v1#", "http://h/v1?x=1"] {
            let message = Endpoint::parse(bad).unwrap_err().to_string();
            assert!(message.starts_with(bad.split('?').next().unwrap()) && message.contains("http://HOST:PORT/v1"), "{message}");
        }
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        let s = Duration::from_secs;
        assert_eq!([1, 2, 3].map(|k| backoff(k, None).as_millis()), [250, 500, 1000]);
        assert_eq!((backoff(40, None), backoff(1, Some(s(3))), backoff(1, Some(s(900)))), (s(30), s(3), s(30)));
    }
}

//! One OpenAI-compatible server: its model, its completions, its LoRA adapters.

use super::answer::Answer;
use super::endpoint::{Api, Endpoint};
use super::error::{EndpointError, Trouble};
use super::http::{Events, Http};
use super::request::{Question, Refused, Wanted, request};
use crate::generate::{Completion, Prompt};
use crate::http;
use crate::trace::Sampling;
use serde_json::{Value, json};
use std::cell::RefCell;
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
    /// Where ids of tokens go, for training.
    completions: String,
    /// Where problems go.
    asked: String,
    api: Api,
    model: String,
    adapter: Option<Adapter>,
    refused: RefCell<Refused>,
    notes: RefCell<Vec<String>>,
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
        let api = endpoint.api.unwrap_or_default();
        Ok(Self {
            http,
            completions: format!("{base}{}", Api::Completions.path()),
            asked: format!("{base}{}", api.path()),
            base,
            api,
            model,
            adapter: None,
            refused: RefCell::default(),
            notes: RefCell::default(),
        })
    }

    /// Its address, for people.
    pub(super) fn url(&self) -> String {
        http::shown(&self.base)
    }

    /// Its model without adapter.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// What problems are asked through.
    pub(super) fn api(&self) -> Api {
        self.api
    }

    /// What people should know of how the server is asked; each is told once.
    pub(super) fn take_notes(&self) -> Vec<String> {
        self.notes.take()
    }

    fn request(&self, question: &Question, sampling: &Sampling, wanted: Wanted) -> Value {
        let (model, path) = match &self.adapter {
            Some(Adapter { name, dialect: Dialect::Vllm }) => (name.as_str(), None),
            Some(Adapter { name, dialect: Dialect::Sglang }) => (self.model.as_str(), Some(name.as_str())),
            None => (self.model.as_str(), None),
        };
        request(model, path, question, sampling, wanted)
    }

    /// Candidate `candidate` of a prompt, whole.
    pub(super) async fn complete(&self, prompt: &Prompt, sampling: &Sampling, candidate: usize) -> Result<Completion, EndpointError> {
        let sampling = Sampling { seed: prompt.seed, ..sampling.clone() };
        let body = self.request(&Question::Ids(&prompt.ids), &sampling, Wanted { candidate, n: 1, stream: false, counted: false });
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

    /// Candidates of a question, piece by piece, in at most so many bytes. What the server refuses by name and a request can do without is left out from
    /// then on.
    pub(super) async fn stream(
        &self,
        question: &Question<'_>,
        sampling: &Sampling,
        wanted: Wanted,
        most: usize,
    ) -> Result<Events<'_>, EndpointError> {
        loop {
            let mut body = self.request(question, sampling, wanted);
            self.refused.borrow().apply(&mut body);
            let error = match self.http.send(&self.asked, Some(&body)).await {
                Ok(response) => return Ok(Events::new(&self.http, &self.asked, response, most)),
                Err(error) => error,
            };
            // Requests under way together may all be refused for one field.
            let mut again = body.clone();
            self.refused.borrow().apply(&mut again);
            if again == body {
                let Some(note) = self.refused.borrow_mut().learn(&error, &body) else { return Err(self.with_remedy(error)) };
                tracing::info!(%error, "is asked again without what it refuses");
                self.notes.borrow_mut().extend(note);
            }
        }
    }

    /// What to do about a way of asking that a server does not know.
    fn with_remedy(&self, error: EndpointError) -> EndpointError {
        let missing = ["404", "405", "501"].iter().any(|status| error.what().starts_with(status));
        let (who, other) = match self.api {
            Api::Chat if missing || error.what().contains("chat template") => ("a server or a model without chats", Api::Completions),
            Api::Completions if missing => ("a server of chats alone", Api::Chat),
            Api::Chat | Api::Completions => return error,
        };
        let base = self.url();
        error.remedy(format!("check the address up to {base} and the model's name; {who} is asked at {base}{}", other.path()))
    }

    /// An error about what this server answers.
    pub(super) fn error(&self, what: impl Into<String>) -> EndpointError {
        EndpointError::new(&self.asked, Trouble::Server, what)
    }

    /// The same about what may go better another time.
    pub(super) fn passing(&self, what: impl Into<String>) -> EndpointError {
        EndpointError::new(&self.asked, Trouble::Passing(None), what)
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
    fn waits_double_up_to_a_limit() {
        let s = Duration::from_secs;
        assert_eq!([1, 2, 3].map(|k| backoff(k, None).as_millis()), [250, 500, 1000]);
        assert_eq!((backoff(40, None), backoff(1, Some(s(3))), backoff(1, Some(s(900)))), (s(30), s(3), s(30)));
    }
}

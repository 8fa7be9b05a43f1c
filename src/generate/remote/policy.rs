//! A policy behind an OpenAI-compatible endpoint, streamed for the inspector and for `generate`.

use super::error::{EndpointError, Trouble};
use super::http::error_in;
use super::server::{Endpoint, Server, backoff};
use super::wire::Answer;
use crate::generate::{GenerateError, Policy};
use crate::trace::{FinishReason, Sampling, TraceEvent};
use futures_util::stream::{self, StreamExt};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Candidates that are streamed at a time.
const STREAMS: usize = 64;
/// Longest wait for a server's next word, where the user names none.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// How often a candidate is asked for again whose stream broke off.
const RETRIES: u32 = 6;
/// Failures from which on the wait between two requests does not grow: another try costs one candidate, not a server its rest.
const STEADY: u32 = 3;
/// Bytes of an answer for each token that was asked for: an event of its own with its text, its id and its log-probability.
const BYTES_A_TOKEN: usize = 4 << 10;
/// The same for the text.
const TEXT_A_TOKEN: usize = 256;
/// Bytes of an answer or of a text that are always allowed.
const ALLOWED: usize = 1 << 16;
/// Tokens beyond those that were asked for, such as the one that ends the text.
const MORE_TOKENS: usize = 16;
/// How often a silent server lets the user stop.
const LOOK: Duration = Duration::from_millis(100);

/// A model that another program serves, through `POST /v1/completions` with server-sent events.
///
/// The problem goes out as a local policy without chat template reads it: its text and a newline. Candidates have token ids and log-probabilities where
/// the server gives them (vLLM, SGLang), else bare text; no entropies.
pub struct EndpointPolicy {
    server: Server,
    about: String,
    runtime: Runtime,
}

impl EndpointPolicy {
    /// Connects; asks for the model where `endpoint` names none. `patience` is the longest wait for the server's next word.
    pub fn open(endpoint: &Endpoint, patience: Duration) -> Result<Self, GenerateError> {
        let runtime = runtime()?;
        let server = runtime.block_on(Server::open(endpoint, patience))?;
        let about = format!("{} at {}", server.model(), server.url());
        Ok(Self { server, about, runtime })
    }

    /// A line for people.
    pub fn about(&self) -> &str {
        &self.about
    }
}

/// A runtime for the thread that blocks on it. Its own thread keeps the connections, so that one which is dropped is closed at once.
pub(super) fn runtime() -> Result<Runtime, GenerateError> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("connections").enable_all().build();
    built.map_err(|e| GenerateError::Input(format!("no connection can be made: {e}")))
}

/// Streams one candidate into `events`. A stream that breaks off is asked for again, from its beginning and with the same seed; a candidate that cannot be
/// had so is failed, and the others go on. Fails where the server refuses the request itself.
async fn candidate(
    server: &Server,
    prompt: &str,
    sampling: &Sampling,
    candidate: usize,
    events: &UnboundedSender<TraceEvent>,
) -> Result<(), EndpointError> {
    let mut failures = 0;
    let reason = loop {
        match once(server, prompt, sampling, candidate, events).await {
            Ok(reason) => break reason,
            Err(error) => match error.trouble() {
                Trouble::Passing(asked) if failures < RETRIES => {
                    failures += 1;
                    tracing::warn!(%error, candidate, failures, "asks for a candidate again");
                    tokio::time::sleep(backoff(failures.min(STEADY), asked)).await;
                    let _ = events.send(TraceEvent::Started { candidate });
                }
                Trouble::Passing(_) => break FinishReason::Failed(error.to_string()),
                Trouble::Server | Trouble::Request => return Err(error),
            },
        }
    };
    let _ = events.send(TraceEvent::Finished { candidate, reason });
    Ok(())
}

/// One stream from its beginning to the candidate's end.
async fn once(
    server: &Server,
    prompt: &str,
    sampling: &Sampling,
    candidate: usize,
    events: &UnboundedSender<TraceEvent>,
) -> Result<FinishReason, EndpointError> {
    let asked = sampling.max_tokens;
    let most = |each: usize| asked.saturating_mul(each).saturating_add(ALLOWED);
    let mut stream = server.stream(prompt, sampling, candidate, most(BYTES_A_TOKEN)).await?;
    let (mut written, mut tokens_written, mut finish) = (0, 0, None);
    while let Some(data) = stream.next().await? {
        if data == "[DONE]" {
            break;
        }
        let value: serde_json::Value =
            serde_json::from_str(&data).map_err(|e| server.error(format!("an event of the stream is not JSON ({e})")))?;
        if let Some(message) = error_in(&value) {
            return Err(server.error(message));
        }
        let answer: Answer = serde_json::from_value(value).map_err(|e| server.error(format!("an event is no completion ({e})")))?;
        for choice in &answer.choices {
            let (text, tokens) = choice.piece(written);
            written += text.len();
            tokens_written += tokens.len();
            if written > most(TEXT_A_TOKEN) || tokens_written > asked.saturating_add(MORE_TOKENS) {
                return Err(server.error(format!("the server writes more than the {asked} tokens that it was asked for")));
            }
            if !(text.is_empty() && tokens.is_empty()) {
                // Nobody listens any more only when the whole request is dropped.
                let _ = events.send(TraceEvent::Tokens { candidate, text, tokens });
            }
            finish = choice.finish().or(finish);
        }
    }
    finish.ok_or_else(|| server.passing("the server closed the stream before the candidate ended"))
}

impl Policy for EndpointPolicy {
    fn name(&self) -> &str {
        self.server.model()
    }

    /// Empty: a server does not say which tokenizer it has, so a reward model reads the text.
    fn tokenizer_fingerprint(&self) -> &str {
        ""
    }

    fn sample(
        &mut self,
        problem: &str,
        n: usize,
        sampling: &Sampling,
        sink: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        let prompt = crate::model::prompt(None, problem)?;
        let server = &self.server;
        self.runtime.block_on(async {
            let (send, mut events) = unbounded_channel();
            let one = |c| candidate(server, &prompt, sampling, c, &send);
            let mut work = stream::iter(0..n).map(one).buffer_unordered(STREAMS);
            let mut look = tokio::time::interval(LOOK);
            let mut open = vec![true; n];
            for candidate in 0..n {
                if sink(TraceEvent::Started { candidate }).is_break() {
                    return Ok(());
                }
            }
            loop {
                let event = tokio::select! {
                    biased;
                    Some(event) = events.recv() => event,
                    through = work.next() => match through {
                        Some(result) => { result?; continue }
                        None => return Ok(()),
                    },
                    // An event without content asks whether to go on.
                    _ = look.tick() => match open.iter().position(|o| *o) {
                        Some(candidate) => TraceEvent::Tokens { candidate, text: String::new(), tokens: Vec::new() },
                        None => continue,
                    },
                };
                if let TraceEvent::Finished { candidate, .. } = event {
                    open[candidate] = false;
                }
                if sink(event).is_break() {
                    return Ok(());
                }
            }
        })
    }
}

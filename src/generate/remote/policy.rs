//! A policy behind an OpenAI-compatible endpoint, streamed for the inspector and for `generate`.

use super::error::EndpointError;
use super::http::error_in;
use super::server::{Endpoint, Server};
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
/// Longest wait for a server's next word.
const PATIENCE: Duration = Duration::from_secs(600);
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
    /// Connects; asks for the model where `endpoint` names none.
    pub fn open(endpoint: &Endpoint) -> Result<Self, GenerateError> {
        let runtime = runtime()?;
        let server = runtime.block_on(Server::open(endpoint, PATIENCE))?;
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

/// Streams one candidate into `events`.
async fn candidate(
    server: &Server,
    prompt: &str,
    sampling: &Sampling,
    candidate: usize,
    events: &UnboundedSender<TraceEvent>,
) -> Result<(), EndpointError> {
    // Nobody listens any more only when the whole request is dropped.
    let say = |event| drop(events.send(event));
    let mut stream = server.stream(prompt, sampling, candidate).await?;
    let (mut written, mut finish) = (0, None);
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
            if !(text.is_empty() && tokens.is_empty()) {
                say(TraceEvent::Tokens { candidate, text, tokens });
            }
            finish = choice.finish().or(finish);
        }
    }
    let reason = finish.unwrap_or_else(|| FinishReason::Failed("the server closed the stream before the candidate ended".into()));
    say(TraceEvent::Finished { candidate, reason });
    Ok(())
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

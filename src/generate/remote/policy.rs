//! A policy behind an OpenAI-compatible endpoint, streamed for the inspector and for `generate`.

use super::answer::Answer;
use super::endpoint::{Api, Endpoint};
use super::error::{EndpointError, Trouble};
use super::http::error_in;
use super::request::{Question, Wanted};
use super::server::{Server, backoff};
use super::writer::Writer;
use crate::generate::{GenerateError, Policy, PolicyOptions};
use crate::trace::{FinishReason, Sampling, TraceEvent};
use futures_util::stream::{self, StreamExt};
use std::ops::ControlFlow;
use std::pin::pin;
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

/// A model that another program serves, through `POST /v1/chat/completions` or `POST /v1/completions` with server-sent events.
///
/// In a chat the server puts the problem into its own template. As a completion the problem goes out as a local policy without chat template reads it: its
/// text and a newline. Candidates have token ids and log-probabilities where the server gives them, else bare text; no entropies.
pub struct EndpointPolicy {
    server: Server,
    options: PolicyOptions,
    about: String,
    runtime: Runtime,
}

impl EndpointPolicy {
    /// Connects; asks for the model where `endpoint` names none. `patience` is the longest wait for the server's next word.
    pub fn open(endpoint: &Endpoint, patience: Duration) -> Result<Self, GenerateError> {
        Self::asked(endpoint, patience, &PolicyOptions::default())
    }

    /// The same, asked as the user wants it.
    pub fn asked(endpoint: &Endpoint, patience: Duration, options: &PolicyOptions) -> Result<Self, GenerateError> {
        let runtime = runtime()?;
        let server = runtime.block_on(Server::open(endpoint, patience))?;
        let (how, unread) = match server.api() {
            Api::Chat => ("chat completions, by the server's own template", options.chat.date.map(|_| "--date")),
            Api::Completions => ("completions, the problem's own text", {
                let template = !options.chat.args.is_empty() || options.chat.date.is_some();
                template.then_some("--template-arg and --date")
            }),
        };
        let mut about = format!("{} at {}, {how}", server.model(), server.url());
        if let Some(unread) = unread {
            about.push_str(&format!("; {unread} cannot be told to it"));
        }
        Ok(Self { server, options: options.clone(), about, runtime })
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

/// One question on its way to a server, and who hears the answers.
struct Asking<'a> {
    server: &'a Server,
    question: Question<'a>,
    sampling: &'a Sampling,
    /// Whether one request is to bring all candidates.
    one_request: bool,
    events: UnboundedSender<TraceEvent>,
}

impl Asking<'_> {
    /// All candidates: in one request where that is wished for, and each by itself what is then missing.
    async fn all(&self, n: usize) -> Result<(), EndpointError> {
        let left = if self.one_request && n > 1 { self.together(n).await } else { (0..n).collect() };
        let mut each = stream::iter(left).map(|c| self.candidate(c)).buffer_unordered(STREAMS);
        while let Some(result) = each.next().await {
            result?;
        }
        Ok(())
    }

    /// Streams all candidates by one request; those come back that did not end, because the server does not know `n`, refuses it or fails.
    async fn together(&self, n: usize) -> Vec<usize> {
        let mut writers: Vec<Writer> = (0..n).map(|_| Writer::default()).collect();
        if let Err(error) = self.once(0, &mut writers).await {
            tracing::warn!(%error, n, "cannot have all candidates in one request, and asks for what is missing one by one");
        }
        let mut left = Vec::new();
        for (candidate, writer) in writers.into_iter().enumerate() {
            match writer.finish {
                Some(reason) => self.tell(TraceEvent::Finished { candidate, reason }),
                None => {
                    self.tell(TraceEvent::Started { candidate });
                    left.push(candidate);
                }
            }
        }
        left
    }

    /// Streams one candidate. A stream that breaks off is asked for again, from its beginning and with the same seed; a candidate that cannot be had so is
    /// failed, and the others go on. Fails where the server refuses the request itself.
    async fn candidate(&self, candidate: usize) -> Result<(), EndpointError> {
        let mut failures = 0;
        let reason = loop {
            let mut writer = Writer::default();
            let read = self.once(candidate, std::slice::from_mut(&mut writer)).await;
            let ended = read
                .and_then(|()| writer.finish.ok_or_else(|| self.server.passing("the server closed the stream before the candidate ended")));
            match ended {
                Ok(reason) => break reason,
                Err(error) => match error.trouble() {
                    Trouble::Passing(asked) if failures < RETRIES => {
                        failures += 1;
                        tracing::warn!(%error, candidate, failures, "asks for a candidate again");
                        tokio::time::sleep(backoff(failures.min(STEADY), asked)).await;
                        self.tell(TraceEvent::Started { candidate });
                    }
                    Trouble::Passing(_) => break FinishReason::Failed(error.to_string()),
                    Trouble::Server | Trouble::Request => return Err(error),
                },
            }
        };
        self.tell(TraceEvent::Finished { candidate, reason });
        Ok(())
    }

    /// One stream from its beginning to its end, for as many candidates from `first` on as there are writers.
    async fn once(&self, first: usize, writers: &mut [Writer]) -> Result<(), EndpointError> {
        let (server, asked, n) = (self.server, self.sampling.max_tokens, writers.len());
        let most = |each: usize| asked.saturating_mul(each).saturating_add(ALLOWED);
        let wanted = Wanted { candidate: first, n, stream: true, counted: self.one_request };
        let mut stream = server.stream(&self.question, self.sampling, wanted, most(BYTES_A_TOKEN).saturating_mul(n)).await?;
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
                let at = if n == 1 { 0 } else { choice.index.unwrap_or(0) };
                let Some(writer) = writers.get_mut(at) else {
                    return Err(server.error(format!("the server sends candidate {at}, and {n} were asked for, counted from 0")));
                };
                let (text, tokens) = writer.take(choice);
                if writer.written > most(TEXT_A_TOKEN) || writer.tokens > asked.saturating_add(MORE_TOKENS) {
                    return Err(server.error(format!("the server writes more than the {asked} tokens that it was asked for")));
                }
                if !(text.is_empty() && tokens.is_empty()) {
                    self.tell(TraceEvent::Tokens { candidate: first + at, text, tokens });
                }
            }
        }
        Ok(())
    }

    fn tell(&self, event: TraceEvent) {
        // Nobody listens any more only when the whole request is dropped.
        let _ = self.events.send(event);
    }
}

impl Policy for EndpointPolicy {
    fn name(&self) -> &str {
        self.server.model()
    }

    /// Empty: a server does not say which tokenizer it has, so a reward model reads the text.
    fn tokenizer_fingerprint(&self) -> &str {
        ""
    }

    fn take_notes(&mut self) -> Vec<String> {
        self.server.take_notes()
    }

    fn sample(
        &mut self,
        problem: &str,
        n: usize,
        sampling: &Sampling,
        sink: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        let server = &self.server;
        let question = Question::of(problem, server.api(), &self.options)?;
        self.runtime.block_on(async {
            let (events, mut heard) = unbounded_channel();
            let asking = Asking { server, question, sampling, one_request: self.options.one_request, events };
            let mut work = pin!(asking.all(n));
            let mut look = tokio::time::interval(LOOK);
            let mut open = vec![true; n];
            for candidate in 0..n {
                if sink(TraceEvent::Started { candidate }).is_break() {
                    return Ok(());
                }
            }
            let mut through = false;
            loop {
                let event = tokio::select! {
                    biased;
                    Some(event) = heard.recv() => event,
                    () = std::future::ready(()), if through => return Ok(()),
                    result = &mut work, if !through => {
                        result?;
                        through = true;
                        continue;
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

//! Rollouts from several OpenAI-compatible servers: a work queue, retries, and a LoRA adapter for every step of training.

use super::endpoint::{Api, Endpoint};
use super::error::{EndpointError, Trouble};
use super::policy::runtime;
use super::server::{Server, backoff};
use crate::generate::{Completion, GenerateError, Prompt};
use crate::trace::Sampling;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How often the progress is told and an interruption is seen.
const TICK: Duration = Duration::from_millis(500);

/// Servers that sample for training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetConfig {
    /// Addresses, `http://HOST:PORT/v1` or `http://HOST:PORT/v1#MODEL`; all serve the same base model.
    pub servers: Vec<String>,
    /// The adapter of step s is loaded as `NAME-s`; one name a run, or a server's cache of prompts may mix up two runs.
    #[serde(default = "adapter")]
    pub adapter: String,
    /// Requests that a server has at a time; one request is one candidate.
    #[serde(default = "requests")]
    pub requests: usize,
    /// Seconds that a request may take.
    #[serde(default = "timeout")]
    pub timeout: f64,
    /// Failures in a row after which a server is given up; the wait between them doubles from 0.25 s.
    #[serde(default = "retries")]
    pub retries: u32,
}

fn adapter() -> String {
    "reasonscope".into()
}

fn requests() -> usize {
    64
}

fn timeout() -> f64 {
    600.0
}

fn retries() -> u32 {
    6
}

impl FleetConfig {
    /// The servers at these addresses, everything else as by default.
    pub fn new(servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let servers = servers.into_iter().map(Into::into).collect();
        Self { servers, adapter: adapter(), requests: requests(), timeout: timeout(), retries: retries() }
    }

    /// Checks the ranges; the error names the field.
    pub fn check(&self) -> Result<(), String> {
        if self.servers.is_empty() {
            return Err("servers is empty; name at least one, such as http://localhost:8000/v1".into());
        }
        if self.requests == 0 {
            return Err("requests must be at least 1".into());
        }
        if !(self.timeout > 0.0 && self.timeout <= 86_400.0) {
            return Err(format!("timeout is {}; it must be above 0 and at most 86400 seconds", self.timeout));
        }
        Ok(())
    }
}

/// Several servers with the same policy.
///
/// Log-probabilities are those that the servers report. vLLM reports ln π at temperature 1; SGLang divides the logits by the temperature first unless it
/// runs with `SGLANG_RETURN_ORIGINAL_LOGPROB=1`, so it needs that wherever the temperature is not 1.
pub struct Fleet {
    config: FleetConfig,
    members: Vec<Member>,
    adapter: Option<String>,
    notes: Vec<String>,
    runtime: Runtime,
}

struct Member {
    server: Server,
    /// It has the adapter of this step.
    ready: bool,
}

impl Member {
    async fn load(&mut self, name: &str, path: &Path, retries: u32) -> Result<Option<String>, EndpointError> {
        // A server that failed the last time is not waited for again.
        let retries = if self.ready { retries } else { 0 };
        let loaded = self.server.load_adapter(name, path, retries).await;
        self.ready = loaded.is_ok();
        loaded
    }
}

/// One candidate to sample.
#[derive(Clone, Copy)]
struct Job {
    prompt: usize,
    candidate: usize,
    failures: usize,
}

/// What the workers share.
struct Board {
    queue: VecDeque<Job>,
    /// By prompt and candidate.
    out: Vec<Vec<Option<Completion>>>,
    /// Candidates of each prompt that are missing.
    missing: Vec<usize>,
    /// Prompts that are through.
    through: usize,
    fatal: Option<EndpointError>,
}

/// How it goes with a server.
struct Health {
    failures: u32,
    /// No request begins before.
    until: Instant,
    given_up: Option<EndpointError>,
}

impl Fleet {
    /// Connects to every server that names no model, to ask for it; a server that does not answer is an error.
    pub fn new(config: &FleetConfig) -> Result<Self, GenerateError> {
        config.check().map_err(GenerateError::Input)?;
        let runtime = runtime()?;
        let endpoints = config.servers.iter().map(|s| Endpoint::parse(s)).collect::<Result<Vec<_>, _>>()?;
        if let Some(chat) = endpoints.iter().find(|e| e.api == Some(Api::Chat)) {
            return Err(GenerateError::Input(format!(
                "{chat}: training sends token ids, which a chat does not take; write the address up to /v1"
            )));
        }
        let patience = Duration::from_secs_f64(config.timeout);
        let servers = runtime.block_on(join_all(endpoints.iter().map(|e| Server::open(e, patience))));
        let members = servers.into_iter().map(|s| Ok(Member { server: s?, ready: true })).collect::<Result<_, EndpointError>>()?;
        Ok(Self { config: config.clone(), members, adapter: None, notes: Vec::new(), runtime })
    }

    /// The adapter that rollouts come from, `NAME-STEP`; `None`: the base model.
    pub fn adapter(&self) -> Option<&str> {
        self.adapter.as_deref()
    }

    /// What happened that did not stop the work, such as a server that was given up; for people. Each is told once.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Loads the PEFT adapter in the folder `adapter`, which every server must see under the same path, as the policy of `step`, and unloads the one before.
    ///
    /// A server that fails is left out until the next call and noted. Fails where all do.
    pub fn publish(&mut self, step: usize, adapter: &Path) -> Result<(), GenerateError> {
        let name = format!("{}-{step}", self.config.adapter);
        let path = std::path::absolute(adapter).map_err(|e| GenerateError::Input(format!("{}: {e}", adapter.display())))?;
        let (name, path, retries) = (&name, &path, self.config.retries);
        let loaded = self.runtime.block_on(join_all(self.members.iter_mut().map(|m| m.load(name, path, retries))));
        self.adapter = Some(name.clone());
        let mut failed = None;
        for result in loaded {
            match result {
                Ok(note) => self.notes.extend(note),
                Err(error) => {
                    self.notes.push(format!("left out of step {step}: {error}"));
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if !self.members.iter().any(|m| m.ready) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Samples `n` candidates for every prompt, as [`crate::generate::decode_all`] does: `result[p][i]` is candidate i of prompt p, `sampling.seed` is
    /// passed over for the prompts' own, `done` hears twice a second how many prompts are through, and `Break` ends the work with the prompts before the
    /// first that is not through. Entropies stay empty: servers do not tell them.
    ///
    /// A request that fails in passing (connection, timeout, 429, 5xx) is made again, by another server where there is one. Fails where a server refuses
    /// a request itself, or all servers are given up.
    pub fn sample(
        &mut self,
        prompts: &[Prompt],
        n: usize,
        sampling: &Sampling,
        done: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<Completion>>, GenerateError> {
        let jobs = (0..prompts.len()).flat_map(|prompt| (0..n).map(move |candidate| Job { prompt, candidate, failures: 0 }));
        let board = RefCell::new(Board {
            queue: jobs.collect(),
            out: vec![vec![None; n]; prompts.len()],
            missing: vec![n; prompts.len()],
            through: if n == 0 { prompts.len() } else { 0 },
            fatal: None,
        });
        let now = Instant::now();
        let healths: Vec<RefCell<Health>> =
            self.members.iter().map(|_| RefCell::new(Health { failures: 0, until: now, given_up: None })).collect();
        let returned = Notify::new();
        let usable: Vec<_> = self.members.iter().zip(&healths).filter(|(m, _)| m.ready).collect();
        // Worker by worker in turn, or the first server would take all of a short queue.
        let workers: FuturesUnordered<_> = (0..self.config.requests)
            .flat_map(|_| &usable)
            .map(|(m, h)| self.work(&m.server, h, &board, &returned, prompts, sampling))
            .collect();
        let stopped = self.runtime.block_on(oversee(workers, &board, done));
        let given_up: Vec<EndpointError> = healths.into_iter().filter_map(|h| h.into_inner().given_up).collect();
        self.notes.extend(given_up.iter().map(|e| format!("given up: {e}")));
        let board = board.into_inner();
        if let Some(error) = board.fatal {
            return Err(error.into());
        }
        let through: Vec<Vec<Completion>> = board.out.into_iter().map_while(|g| g.into_iter().collect()).collect();
        match given_up.into_iter().next() {
            _ if stopped || through.len() == prompts.len() => Ok(through),
            Some(error) => Err(error.into()),
            None => Err(GenerateError::Input("no server has this step's adapter; publish it first".into())),
        }
    }

    /// One request at a time on one server, until everything is through or the server is given up.
    async fn work(
        &self,
        server: &Server,
        health: &RefCell<Health>,
        board: &RefCell<Board>,
        returned: &Notify,
        prompts: &[Prompt],
        sampling: &Sampling,
    ) {
        let most = self.config.retries.max(1) as usize * self.members.len();
        loop {
            let until = health.borrow().until;
            if Instant::now() < until {
                tokio::time::sleep_until(until).await;
                continue;
            }
            if health.borrow().given_up.is_some() {
                return;
            }
            let job = board.borrow_mut().queue.pop_front();
            let Some(mut job) = job else {
                returned.notified().await;
                continue;
            };
            let began = Instant::now();
            let error = match server.complete(&prompts[job.prompt], sampling, job.candidate).await {
                Ok(completion) => {
                    health.borrow_mut().failures = 0;
                    if board.borrow_mut().take(job, completion) {
                        return;
                    }
                    continue;
                }
                Err(error) => error,
            };
            job.failures += 1;
            tracing::warn!(%error, prompt = job.prompt, candidate = job.candidate, failures = job.failures, "a candidate failed");
            if error.trouble() == Trouble::Request || job.failures > most {
                board.borrow_mut().fatal = Some(error);
                return;
            }
            health.borrow_mut().failed(began, error, self.config.retries);
            board.borrow_mut().queue.push_front(job);
            returned.notify_waiters();
        }
    }
}

/// Runs the workers until all candidates are there, one cannot be had, every worker gave up, or `done` breaks; that is `true`.
async fn oversee(
    mut workers: FuturesUnordered<impl Future<Output = ()>>,
    board: &RefCell<Board>,
    done: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> bool {
    let mut tick = tokio::time::interval(TICK);
    loop {
        let (through, prompts, fatal) = {
            let board = board.borrow();
            (board.through, board.missing.len(), board.fatal.is_some())
        };
        if fatal || through == prompts {
            return !fatal && done(through).is_break();
        }
        tokio::select! {
            ended = workers.next() => if ended.is_none() { return false },
            _ = tick.tick() => if done(through).is_break() { return true },
        }
    }
}

impl Board {
    /// Keeps a candidate; whether it was the last.
    fn take(&mut self, job: Job, completion: Completion) -> bool {
        self.out[job.prompt][job.candidate] = Some(completion);
        self.missing[job.prompt] -= 1;
        self.through += usize::from(self.missing[job.prompt] == 0);
        self.through == self.missing.len()
    }
}

impl Health {
    /// Counts a failure of a request that began at `began`; those that were under way together when a server fails are one.
    fn failed(&mut self, began: Instant, error: EndpointError, retries: u32) {
        let Trouble::Passing(asked) = error.trouble() else {
            self.given_up = Some(error);
            return;
        };
        if began < self.until {
            return;
        }
        self.failures += 1;
        self.until = Instant::now() + backoff(self.failures, asked);
        if self.failures > retries {
            self.given_up = Some(error);
            self.until = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_fail_together_count_once() {
        let error = |asked| EndpointError::new("u", Trouble::Passing(asked), "busy");
        let began = Instant::now();
        let mut h = Health { failures: 0, until: began, given_up: None };
        for _ in 0..64 {
            h.failed(began, error(None), 2);
        }
        assert_eq!(h.failures, 1);
        let long = Some(Duration::from_secs(20));
        h.failed(h.until, error(long), 2);
        assert!(h.failures == 2 && h.until > began + Duration::from_secs(19) && h.given_up.is_none());
        h.failed(h.until, error(None), 2);
        assert!(h.given_up.is_some());
    }

    #[test]
    fn wrong_settings_are_named() {
        let config = FleetConfig::new(["http://h/v1"]);
        assert!(config.check().is_ok());
        for (wrong, field) in [
            (FleetConfig { servers: vec![], ..config.clone() }, "servers"),
            (FleetConfig { requests: 0, ..config.clone() }, "requests"),
            (FleetConfig { timeout: f64::NAN, ..config.clone() }, "timeout"),
        ] {
            assert!(wrong.check().unwrap_err().contains(field));
        }
    }
}

//! `serve`: reward models behind HTTP, for trainers and other programs.

use super::args::{DeviceArgs, OutputArgs, ProtocolArgs, model, positive};
use super::exit::{Exit, Usage};
use super::interrupt::Interrupt;
use super::progress::Reporter;
use crate::runtime::{ModelRef, Models};
use crate::serve::{Limits, News, ServeError, Server, Token};
use anyhow::{Context, Result};
use clap::Args;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Variable that may hold the token.
pub(super) const TOKEN_VARIABLE: &str = "REASONSCOPE_TOKEN";
/// Bytes of a file with a token.
const LARGEST_TOKEN: u64 = 4096;

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub struct Serve {
    /// Reward model: a directory, a .gguf file, a hub id in the local cache, or `embedded` (arithmetic stories); may be given several times
    #[arg(long, value_name = "MODEL", required = true, value_parser = model, help_heading = "Models")]
    reward: Vec<ModelRef>,
    #[command(flatten)]
    protocol: ProtocolArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Address to listen at; any but this machine's own (127.0.0.1, ::1, localhost) needs a token
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen at; with 0 the system chooses one
    #[arg(long, value_name = "PORT", default_value_t = 8350)]
    port: u16,
    /// File with the token that clients must send as `Authorization: Bearer TOKEN`; else REASONSCOPE_TOKEN may hold it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
}

/// What clients may ask for.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Requests that may wait for a reward model; further ones are answered 503
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().queue, value_parser = positive)]
    queue: usize,
    /// Connections at a time; further ones wait
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().connections, value_parser = positive)]
    connections: usize,
    /// Candidates that a request may have
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().candidates, value_parser = positive)]
    max_candidates: usize,
    /// Bytes of problems and candidates that a request may have
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().text, value_parser = positive)]
    max_text: usize,
    /// Bytes that a request's body may have
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().body, value_parser = positive)]
    max_body: usize,
    /// Longest time for a request, waiting and all; one that takes longer is answered 504
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().request.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Longest time for requests that were taken, once the server is to end
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().patience.as_secs(), value_parser = clap::value_parser!(u64).range(..=86_400))]
    patience: u64,
}

impl LimitArgs {
    fn limits(&self) -> Limits {
        Limits {
            body: self.max_body,
            candidates: self.max_candidates,
            text: self.max_text,
            queue: self.queue,
            connections: self.connections,
            request: Duration::from_secs(self.timeout),
            patience: Duration::from_secs(self.patience),
            ..Limits::default()
        }
    }
}

impl Serve {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let limits = self.limits.limits();
        let server = Server::bind(&self.host, self.port, self.token()?, limits).map_err(|error| match error {
            ServeError::Open { .. } | ServeError::Address { .. } => Usage(error.to_string()).into(),
            error => anyhow::Error::new(error),
        })?;
        let rewards = self.rewards()?;
        let interrupt = Interrupt::listen()?;
        let mut reporter = Reporter::new(messages, "requests");
        let url = format!("http://{}", server.address());
        let names: Vec<&str> = rewards.iter().map(|r| r.0.as_str()).collect();
        reporter.say(&format!("listening on {url} for {}; Ctrl-C ends", names.join(", ")));
        reporter.record(serde_json::json!({
            "event": "listening", "url": url, "host": server.address().ip().to_string(), "port": server.address().port(), "rewards": names,
        }));
        let ended = server.run(rewards, &interrupt, &mut |news| match news {
            News::Ready(about) => {
                reporter.record(serde_json::json!({ "event": "ready", "message": about }));
                reporter.say(&about);
            }
            News::Failed(why) => reporter.warn(&format!("{why}; requests for it are answered 503")),
            News::Ending(0) => reporter.say("ending"),
            News::Ending(n) => reporter.say(&format!(
                "ending: {n} requests are answered first, for at most {} s; a second Ctrl-C ends at once",
                self.limits.patience
            )),
        })?;
        if ended.unanswered > 0 {
            reporter.warn(&format!("{} requests were not answered", ended.unanswered));
        }
        reporter.record(serde_json::json!({ "event": "summary", "unanswered": ended.unanswered }));
        Ok(Exit::Interrupted)
    }

    /// The models by their names; that they are there is checked now.
    fn rewards(&self) -> Result<Vec<(String, Models)>> {
        let mut out: Vec<(String, Models)> = Vec::new();
        for reward in self.protocol.of(&self.reward)? {
            let name = reward.to_string();
            if out.iter().any(|r| r.0 == name) {
                return Err(Usage(format!("--reward {name}: is named twice")).into());
            }
            let none = || Usage(format!("--reward {name}: nothing to score with; name a reward model, for example `embedded`"));
            let loader = reward.reward(self.device.device)?.ok_or_else(none)?;
            out.push((name, Models { policy: None, rewards: vec![loader] }));
        }
        Ok(out)
    }

    /// The token of the file, else of the environment.
    fn token(&self) -> Result<Option<Token>> {
        match &self.token_file {
            Some(path) => {
                let text = read_token(path).with_context(|| format!("--token-file {}: cannot be read", path.display()))?;
                Ok(Some(Token::new(&text).map_err(|e| Usage(format!("--token-file {}: {e}", path.display())))?))
            }
            None => {
                let held = super::env(TOKEN_VARIABLE).filter(|t| !t.is_empty());
                Ok(held.map(|t| Token::new(&t).map_err(|e| Usage(format!("{TOKEN_VARIABLE} {e}")))).transpose()?)
            }
        }
    }
}

fn read_token(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST_TOKEN).read_to_string(&mut text)?;
    Ok(text)
}

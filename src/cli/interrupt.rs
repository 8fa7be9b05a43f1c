//! Ctrl-C, Ctrl-\, termination and hang-up, seen as a flag that the work asks now and then.

use super::args::OutputArgs;
use super::{console, exit};
use crate::util::atomic;
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether the user wants the program to stop. A second signal ends it at once.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
    /// Pieces of work that are under way and lose nothing when the program ends in their midst.
    free: Arc<AtomicUsize>,
    /// Said at the first signal; whether as a record.
    note: Arc<OnceLock<bool>>,
}

/// While it lives, the first signal ends the program at once; see [`Interrupt::at_once`].
pub struct AtOnce(Arc<AtomicUsize>);

impl Drop for AtOnce {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Interrupt {
    /// Starts to listen for SIGINT, SIGTERM, SIGQUIT and SIGHUP.
    pub fn listen() -> Result<Self> {
        let interrupt = Self::default();
        let heard = interrupt.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot listen for signals")?;
        let mut signals = {
            let _entered = runtime.enter();
            Signals::new().context("cannot listen for signals")?
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                runtime.block_on(async {
                    while let Some(signal) = signals.next().await {
                        exit::ended_by(signal);
                        if heard.flag.swap(true, Ordering::SeqCst) || heard.free.load(Ordering::SeqCst) > 0 {
                            heard.end();
                        }
                        heard.tell("stopping at the next safe point; a second Ctrl-C stops at once");
                    }
                });
            })
            .context("cannot listen for signals")?;
        Ok(interrupt)
    }

    /// Says at the first signal what becomes of the work.
    pub fn telling(self, messages: &OutputArgs) -> Self {
        if !messages.quiet {
            let _ = self.note.set(messages.json);
        }
        self
    }

    fn tell(&self, note: &str) {
        match self.note.get() {
            Some(true) => console::tell_record(&serde_json::json!({ "event": "warning", "message": note })),
            Some(false) => console::tell(note),
            None => {}
        }
    }

    /// Until what comes back is dropped, nothing would be lost if the program ended, so that a signal ends it whatever it is doing.
    pub fn at_once(&self) -> AtOnce {
        self.free.fetch_add(1, Ordering::SeqCst);
        if self.is_set() {
            self.end();
        }
        AtOnce(self.free.clone())
    }

    /// Ends the program as interrupted.
    fn end(&self) -> ! {
        atomic::abandon();
        if self.free.load(Ordering::SeqCst) > 0 {
            self.tell("interrupted; a report on part of the problems would not be what was asked for");
        }
        std::process::exit(exit::Exit::Interrupted.code().into());
    }

    /// Whether a signal came.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// The flag itself, for code that knows nothing of signals.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }
}

impl std::ops::Deref for Interrupt {
    type Target = AtomicBool;

    /// The flag, for code that knows nothing of signals.
    fn deref(&self) -> &AtomicBool {
        &self.flag
    }
}

/// The signals that end the work.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    /// `None` where the program was started so that it outlives its terminal (`nohup`).
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = (!ignored(signal_hook::consts::SIGHUP)).then(|| signal(SignalKind::hangup())).transpose()?;
        let (interrupt, terminate, quit) = (SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit());
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)?, quit: signal(quit)?, hangup })
    }

    async fn next(&mut self) -> Option<i32> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            heard = self.interrupt.recv() => heard.map(|()| SIGINT),
            heard = self.terminate.recv() => heard.map(|()| SIGTERM),
            heard = self.quit.recv() => heard.map(|()| SIGQUIT),
            heard = hangup => heard.map(|()| SIGHUP),
        }
    }
}

/// Whether whoever started the program wants it not to hear a signal, as far as the system says it.
#[cfg(unix)]
fn ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|l| u64::from_str_radix(l.strip_prefix("SigIgn:")?.trim(), 16).ok()).unwrap_or(0);
    ignored & 1 << (signal - 1) != 0
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Option<i32> {
        tokio::signal::ctrl_c().await.ok().map(|()| 2)
    }
}

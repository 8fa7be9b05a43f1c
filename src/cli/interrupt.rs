//! Ctrl-C and termination, seen as a flag that the work asks now and then.

use super::args::OutputArgs;
use anyhow::{Context, Result};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether the user wants the program to stop. A second signal ends it at once.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
    /// Said at the first signal.
    note: Arc<OnceLock<String>>,
}

impl Interrupt {
    /// Starts to listen for SIGINT and SIGTERM.
    pub fn listen() -> Result<Self> {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot listen for signals")?;
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                runtime.block_on(async {
                    let mut seen = false;
                    while wait().await.is_ok() {
                        if seen {
                            std::process::exit(super::exit::Exit::Interrupted as i32);
                        }
                        seen = true;
                        flag.flag.store(true, Ordering::Relaxed);
                        if let Some(note) = flag.note.get() {
                            // Nothing can be said about a standard error that cannot be written.
                            let _ = writeln!(std::io::stderr(), "{note}");
                        }
                    }
                });
            })
            .context("cannot listen for signals")?;
        Ok(interrupt)
    }

    /// Says at the first signal that the work ends at the next safe point, which may be a while.
    pub fn telling(self, messages: &OutputArgs) -> Self {
        let note = "stopping at the next safe point; a second Ctrl-C stops at once";
        if !messages.quiet {
            let json = || serde_json::json!({ "event": "warning", "message": note }).to_string();
            let _ = self.note.set(if messages.json { json() } else { note.to_owned() });
        }
        self
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

#[cfg(unix)]
async fn wait() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        r = tokio::signal::ctrl_c() => r,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn wait() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

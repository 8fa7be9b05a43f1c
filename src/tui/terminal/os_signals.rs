//! What the event loop hears from the system: signals, and events that wait already.

use crossterm::event::EventStream;
use futures_util::StreamExt;
use std::task::Poll;

/// An event that is there already.
///
/// The stream is asked with this task's waker: it keeps the one that it was asked with first and would wake nobody with another.
pub(super) async fn waiting(keys: &mut EventStream) -> Option<crossterm::event::Event> {
    std::future::poll_fn(|cx| match keys.poll_next_unpin(cx) {
        Poll::Ready(Some(Ok(event))) => Poll::Ready(Some(event)),
        _ => Poll::Ready(None),
    })
    .await
}

/// A signal of the operating system that the event loop heeds.
pub(super) enum OsSignal {
    Suspend,
    Continued,
    End(i32),
}

/// Where signals come from.
#[cfg(unix)]
pub(super) struct OsSignals {
    term: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    suspend: tokio::signal::unix::Signal,
    resume: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl OsSignals {
    pub fn new() -> std::io::Result<Self> {
        use signal_hook::consts::{SIGCONT, SIGTSTP};
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            suspend: signal(SignalKind::from_raw(SIGTSTP))?,
            resume: signal(SignalKind::from_raw(SIGCONT))?,
        })
    }

    pub async fn next(&mut self) -> OsSignal {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        tokio::select! {
            _ = self.term.recv() => OsSignal::End(SIGTERM),
            _ = self.interrupt.recv() => OsSignal::End(SIGINT),
            _ = self.hangup.recv() => OsSignal::End(SIGHUP),
            _ = self.quit.recv() => OsSignal::End(SIGQUIT),
            _ = self.suspend.recv() => OsSignal::Suspend,
            _ = self.resume.recv() => OsSignal::Continued,
        }
    }
}

/// Stops this process until the shell continues it.
#[cfg(unix)]
pub(super) fn stop() {
    // Failing to stop is harmless: the screen is taken again at once.
    let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP);
}

/// Where signals come from.
#[cfg(not(unix))]
pub(super) struct OsSignals;

#[cfg(not(unix))]
impl OsSignals {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    pub async fn next(&mut self) -> OsSignal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => OsSignal::End(2),
            Err(_) => std::future::pending().await,
        }
    }
}

/// Nothing can be stopped here.
#[cfg(not(unix))]
pub(super) fn stop() {}

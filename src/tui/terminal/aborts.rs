//! The terminal after an abort: memory that ran out, a stack that overflowed. Nothing is dropped then and no panic is told, so a handler of SIGABRT gives the
//! screen back with what may be done inside one.

#![allow(unsafe_code)]

use super::{TAKEN, leave};
use rustix::fd::OwnedFd;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::SIGABRT;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

/// The terminal as it was.
struct Before {
    terminal: OwnedFd,
    modes: Termios,
    /// What ends the screen.
    leave: Vec<u8>,
}

static BEFORE: OnceLock<Before> = OnceLock::new();
const WORDS: &[u8] = b"reasonscope: aborted, as where memory runs out; what was written to files is kept\n";

/// Remembers the modes of the terminal, which nobody has changed yet, and listens for an abort; once for the process.
pub(super) fn listen() {
    if BEFORE.get().is_some() {
        return;
    }
    let Ok(terminal) = std::fs::File::options().read(true).write(true).open("/dev/tty") else { return };
    let terminal = OwnedFd::from(terminal);
    let mut bytes = Vec::new();
    let Ok(modes) = tcgetattr(&terminal) else { return };
    if leave(&mut bytes).is_err() || BEFORE.set(Before { terminal, modes, leave: bytes }).is_err() {
        return;
    }
    // SAFETY: the handler reads atomics and what was set before, and makes system calls; it neither allocates nor takes a lock.
    let _ = unsafe { signal_hook::low_level::register(SIGABRT, give_back) };
}

fn give_back() {
    // Nobody is left to tell where any of this fails.
    if let Some(before) = BEFORE.get().filter(|_| TAKEN.swap(false, Ordering::SeqCst)) {
        let _ = rustix::io::write(rustix::stdio::stdout(), &before.leave);
        let _ = tcsetattr(&before.terminal, OptionalActions::Now, &before.modes);
        let _ = rustix::io::write(rustix::stdio::stderr(), WORDS);
    }
    let _ = signal_hook::low_level::emulate_default_handler(SIGABRT);
}

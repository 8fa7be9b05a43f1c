//! The terminal: checked before it is taken, given back whatever happens, and driven by one event loop.

#[cfg(unix)]
mod aborts;
mod event_loop;
mod os_signals;

pub(super) use event_loop::{Screen, run};

use crate::trace::sanitize;
use crate::util::foreign;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute, queue};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};

/// Whether the screen is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// What panicking threads had to say while the screen was ours.
static LAST_WORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

/// Says why the terminal cannot be used, before anything is drawn.
pub fn check() -> Result<(), String> {
    if !io::stdout().is_terminal() {
        return Err("standard output is no terminal; run it in one, or use the headless `score` and `generate`".into());
    }
    let keys = io::stdin().is_terminal() || (cfg!(unix) && std::fs::File::open("/dev/tty").is_ok());
    if !keys {
        return Err("there is no terminal to read keys from; run it in one, or use the headless `score` and `generate`".into());
    }
    Ok(())
}

/// Holds the screen; gives it back when dropped, on panic, and when told to.
#[derive(Debug)]
pub struct Guard(());

impl Guard {
    /// Takes the screen: raw mode, alternate screen, mouse, bracketed paste.
    pub fn take() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            let screen_thread = std::thread::current().id();
            std::panic::set_hook(Box::new(move |info| {
                if foreign::is_inside() {
                    return before(info);
                }
                // Other threads must not write over the screen; what they say is told once it is given back.
                if TAKEN.load(Ordering::SeqCst) && std::thread::current().id() != screen_thread {
                    tracing::error!("{info}");
                    let name = std::thread::current().name().unwrap_or("?").to_string();
                    if let Ok(mut words) = LAST_WORDS.lock() {
                        words.push(format!("thread {name}: {info}"));
                    }
                    return;
                }
                give_back();
                before(info);
            }));
        });
        #[cfg(unix)]
        aborts::listen();
        enter()?;
        Ok(Self(()))
    }

    /// Gives the screen to the shell for as long as `during` takes, and takes it again.
    pub fn lend(&self, during: impl FnOnce()) -> io::Result<()> {
        give_back();
        during();
        enter()
    }

    /// Takes the screen again after someone else may have changed its modes.
    pub fn renew(&self) -> io::Result<()> {
        enter()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
        let words = LAST_WORDS.lock().map(|mut w| std::mem::take(&mut *w)).unwrap_or_default();
        for line in words {
            eprintln!("{}", sanitize(&line));
        }
    }
}

fn enter() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    let entered = execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste, cursor::Hide);
    if entered.is_err() {
        give_back();
    }
    entered
}

/// Gives the screen back; does nothing where it is not ours.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // The terminal may be gone; there is nobody left to tell then.
    let _ = leave(&mut io::stdout());
    let _ = disable_raw_mode();
}

/// Ends everything that [`enter`] began, but for the raw mode.
fn leave(out: &mut impl Write) -> io::Result<()> {
    queue!(out, DisableBracketedPaste, DisableMouseCapture, LeaveAlternateScreen, cursor::Show)?;
    out.flush()
}

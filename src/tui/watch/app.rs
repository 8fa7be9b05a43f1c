//! The event loop: keys are drawn at once, the run's folder is read by a thread of its own.

use super::{WatchFace, WatchOptions};
use crate::runtime::{RunFolder, RunNews};
use crate::tui::action::Effect;
use crate::tui::signals::{Signal, Signals, stop, waiting};
use crate::tui::terminal::{self, Guard};
use crate::tui::{ExitReason, TuiError};
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use std::io::{BufWriter, Stdout};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::{Receiver, channel};

/// Time between two looks at the folder.
const POLL: Duration = Duration::from_millis(500);

/// Shows a run, and what it has written already, until the user leaves. The terminal is checked before it is taken, and is as it was when this returns,
/// panics or is signalled.
pub fn watch(options: &WatchOptions, run: RunFolder, first: RunNews) -> Result<ExitReason, TuiError> {
    terminal::check().map_err(TuiError::NoTerminal)?;
    let mut face = WatchFace::new(options)?;
    face.take(first);
    face.tick(now());
    let news = follow(run)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = Signals::new()?;
        let guard = Guard::take()?;
        let screen = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 16, std::io::stdout())))?;
        Screen { face, screen, guard, keys: EventStream::new() }.run(signals, news).await
    })
}

/// Reads the folder now and then, on a thread that ends when nobody listens.
fn follow(mut run: RunFolder) -> std::io::Result<Receiver<RunNews>> {
    let (send, receive) = channel(1);
    std::thread::Builder::new().name("run".into()).spawn(move || {
        let mut failed = false;
        while !send.is_closed() {
            std::thread::sleep(POLL);
            let news = match run.poll() {
                Ok(news) => {
                    failed = false;
                    news
                }
                Err(_) if failed => continue,
                Err(error) => {
                    failed = true;
                    RunNews { notes: vec![error.to_string()], ..RunNews::default() }
                }
            };
            if !news.is_empty() && send.blocking_send(news).is_err() {
                return;
            }
        }
    })?;
    Ok(receive)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

struct Screen {
    face: WatchFace,
    screen: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    guard: Guard,
    keys: EventStream,
}

enum Woken {
    Terminal(Event),
    TerminalGone,
    News(RunNews),
    Signal(Signal),
    Second,
}

impl Screen {
    async fn run(mut self, mut signals: Signals, mut news: Receiver<RunNews>) -> Result<ExitReason, TuiError> {
        loop {
            self.face.tick(now());
            if self.face.dirty() {
                self.screen.draw(|frame| self.face.draw(frame))?;
            }
            let woken = tokio::select! {
                biased;
                signal = signals.next() => Woken::Signal(signal),
                event = self.keys.next() => match event {
                    Some(Ok(event)) => Woken::Terminal(event),
                    Some(Err(_)) | None => Woken::TerminalGone,
                },
                Some(news) = news.recv() => Woken::News(news),
                () = tokio::time::sleep(Duration::from_secs(1)) => Woken::Second,
            };
            match woken {
                Woken::Signal(Signal::End(number)) => return Ok(ExitReason::Signal(number)),
                Woken::TerminalGone => return Ok(ExitReason::Signal(1)),
                Woken::Signal(Signal::Suspend) => self.suspend()?,
                Woken::Signal(Signal::Continued) => {
                    self.guard.renew()?;
                    self.redraw()?;
                }
                Woken::News(news) => self.face.take(news),
                Woken::Second => {}
                Woken::Terminal(event) => {
                    let mut effects = self.face.terminal(event);
                    while let Some(event) = waiting(&mut self.keys).await {
                        effects.extend(self.face.terminal(event));
                    }
                    for effect in effects {
                        match effect {
                            Effect::Quit => return Ok(ExitReason::Quit),
                            Effect::Suspend => self.suspend()?,
                            Effect::Redraw => self.redraw()?,
                            _ => {}
                        }
                    }
                }
            }
        }
    }

    fn suspend(&mut self) -> Result<(), TuiError> {
        self.guard.lend(stop)?;
        self.redraw()
    }

    fn redraw(&mut self) -> Result<(), TuiError> {
        // `clear` would ask the terminal where the cursor is, and the answer would go to the stream of keys.
        let size = self.screen.size()?;
        self.screen.resize(size.into())?;
        self.screen.draw(|frame| self.face.draw(frame))?;
        Ok(())
    }
}

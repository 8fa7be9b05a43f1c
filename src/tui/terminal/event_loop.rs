//! The one event loop, for every screen: drain what came in, then draw; keys are drawn at once, streams at most every 33 ms, nothing while idle.

use super::os_signals::{OsSignal, OsSignals, stop, waiting};
use super::{Guard, check};
use crate::tui::action::Effect;
use crate::tui::{ExitReason, TuiError};
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use std::future::Future;
use std::io::{BufWriter, Stdout};
use std::time::{Duration, Instant};

/// The least time between two frames that no key asked for.
const FRAME: Duration = Duration::from_millis(33);
/// Pieces of news that are taken before keys are looked at again: they must not wait for a stream that never pauses.
const AT_A_TIME: usize = 4096;

/// What the event loop drives: state that takes keys, news and time, and that can be drawn.
pub(in crate::tui) trait Screen {
    /// What other threads say.
    type News;

    /// Waits for the next news. Nothing is lost where the future is dropped before it is ready.
    fn news(&mut self) -> impl Future<Output = Self::News>;

    /// News that are there already.
    fn waiting_news(&mut self) -> Option<Self::News>;

    /// Takes news.
    fn take(&mut self, news: Self::News) -> Vec<Effect>;

    /// Takes something that the terminal says.
    fn terminal(&mut self, event: Event) -> Vec<Effect>;

    /// Time went on; since the loop began.
    fn tick(&mut self, elapsed: Duration) -> Vec<Effect>;

    /// Does what the loop itself does not: everything but leaving, suspending and drawing anew.
    fn perform(&mut self, effect: Effect);

    /// Whether the terminal no longer shows the state.
    fn dirty(&self) -> bool;

    /// How long the screen may stand before time alone changes it; `None`: for ever.
    fn pulse(&self) -> Option<Duration>;

    /// Draws the state; the effects are what the drawing asks for.
    fn draw(&mut self, frame: &mut Frame<'_>) -> Vec<Effect>;
}

/// Shows a screen until the user leaves or a signal ends it. The terminal is checked before it is taken, and is as it was when this returns or panics.
pub(in crate::tui) fn run(screen: &mut impl Screen) -> Result<ExitReason, TuiError> {
    check().map_err(TuiError::NoTerminal)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = OsSignals::new()?;
        let guard = Guard::take()?;
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 16, std::io::stdout())))?;
        EventLoop { screen, terminal, guard, keys: EventStream::new(), start: Instant::now() }.run(signals).await
    })
}

struct EventLoop<'a, S> {
    screen: &'a mut S,
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    guard: Guard,
    keys: EventStream,
    start: Instant,
}

/// What woke the loop.
enum Woken<N> {
    Terminal(Event),
    TerminalGone,
    News(N),
    Signal(OsSignal),
    Time,
}

impl<S: Screen> EventLoop<'_, S> {
    async fn run(mut self, mut signals: OsSignals) -> Result<ExitReason, TuiError> {
        let effects = self.screen.tick(Duration::ZERO);
        self.perform(effects)?;
        let mut last = self.draw()?;
        let mut woke = last;
        loop {
            let due = if self.screen.dirty() { Some(last + FRAME) } else { self.screen.pulse().map(|p| woke + p) };
            let woken = tokio::select! {
                biased;
                signal = signals.next() => Woken::Signal(signal),
                event = self.keys.next() => match event {
                    Some(Ok(event)) => Woken::Terminal(event),
                    Some(Err(_)) | None => Woken::TerminalGone,
                },
                () = sleep_until(due) => Woken::Time,
                news = self.screen.news() => Woken::News(news),
            };
            woke = Instant::now();
            let mut effects = self.screen.tick(woke - self.start);
            let mut at_once = false;
            match woken {
                Woken::Signal(OsSignal::Suspend) => effects.push(Effect::Suspend),
                Woken::Signal(OsSignal::Continued) => {
                    self.guard.renew()?;
                    effects.push(Effect::Redraw);
                }
                Woken::Signal(OsSignal::End(number)) => return Ok(ExitReason::Signal(number)),
                Woken::TerminalGone => return Ok(ExitReason::Signal(1)),
                Woken::Terminal(event) => {
                    at_once = true;
                    effects.extend(self.screen.terminal(event));
                    while let Some(event) = waiting(&mut self.keys).await {
                        effects.extend(self.screen.terminal(event));
                    }
                }
                Woken::News(news) => effects.extend(self.screen.take(news)),
                Woken::Time => {}
            }
            for _ in 0..AT_A_TIME {
                let Some(news) = self.screen.waiting_news() else { break };
                effects.extend(self.screen.take(news));
            }
            if let Some(reason) = self.perform(effects)? {
                return Ok(reason);
            }
            if self.screen.dirty() && (at_once || last.elapsed() >= FRAME) {
                last = self.draw()?;
            }
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Result<Option<ExitReason>, TuiError> {
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(Some(ExitReason::Quit)),
                Effect::Suspend => {
                    self.guard.lend(stop)?;
                    self.redraw()?;
                }
                Effect::Redraw => self.redraw()?,
                other => self.screen.perform(other),
            }
        }
        Ok(None)
    }

    fn draw(&mut self) -> Result<Instant, TuiError> {
        let mut wants = Vec::new();
        self.terminal.draw(|frame| wants = self.screen.draw(frame))?;
        wants.into_iter().for_each(|effect| self.screen.perform(effect));
        Ok(Instant::now())
    }

    fn redraw(&mut self) -> Result<(), TuiError> {
        // `clear` would ask the terminal where the cursor is, and the answer would go to the stream of keys.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())?;
        self.draw()?;
        Ok(())
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

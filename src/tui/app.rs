//! The event loop: drain what came in, then draw; keys are drawn at once, streams at most every 33 ms, nothing while idle.

use super::action::{Action, Effect};
use super::face::Face;
use super::signals::{Signal, Signals, stop, waiting};
use super::source::{self, Report};
use super::state::Item;
use super::terminal::Guard;
use super::{ExitReason, Options, TuiError};
use crate::runtime::Update;
use crate::trace::Span;
use crossterm::event::EventStream;
use futures_util::StreamExt;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use std::io::{BufWriter, Stdout};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The least time between two frames that no key asked for.
const FRAME: Duration = Duration::from_millis(33);
/// The time between two frames where only a spinner turns.
const SPIN: Duration = Duration::from_millis(120);

/// Code to colour: the problem, the candidate, its text, the blocks.
type Colouring = (Item, usize, String, Vec<Span>);

type Screen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

pub(super) fn run(mut options: Options) -> Result<ExitReason, TuiError> {
    let face = Face::new(&options)?;
    let (told, reports) = unbounded_channel();
    let traces = std::mem::replace(&mut options.traces, Box::new(Vec::new()));
    let asks = source::spawn(traces, move |r| told.send(r).is_ok())?;
    let (requests, updates) = match options.models.take() {
        Some(c) => (Some(c.requests), Some(c.updates)),
        None => (None, None),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = Signals::new()?;
        let guard = Guard::take()?;
        let screen = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 16, std::io::stdout())))?;
        let app = App {
            face,
            screen,
            guard,
            asks,
            colourer: None,
            coloured: unbounded_channel(),
            requests,
            updates,
            reports,
            start: Instant::now(),
            keys: EventStream::new(),
        };
        app.run(signals).await
    })
}

struct App {
    face: Face,
    screen: Screen,
    guard: Guard,
    asks: std::sync::mpsc::Sender<source::Ask>,
    colourer: Option<std::sync::mpsc::Sender<Colouring>>,
    coloured: (UnboundedSender<Action>, UnboundedReceiver<Action>),
    requests: Option<Sender<crate::runtime::Request>>,
    updates: Option<Receiver<Update>>,
    reports: UnboundedReceiver<Report>,
    keys: EventStream,
    start: Instant,
}

/// What woke the loop.
enum Woken {
    Terminal(crossterm::event::Event),
    Update(Option<Update>),
    Report(Report),
    Coloured(Action),
    Signal(Signal),
    Frame,
    TerminalGone,
}

impl App {
    async fn run(mut self, mut signals: Signals) -> Result<ExitReason, TuiError> {
        let mut last = self.draw()?;
        loop {
            let due = if self.face.dirty() {
                Some(last + FRAME)
            } else if self.face.moves() {
                Some(last + SPIN)
            } else {
                None
            };
            let woken = tokio::select! {
                biased;
                signal = signals.next() => Woken::Signal(signal),
                event = self.keys.next() => match event {
                    Some(Ok(event)) => Woken::Terminal(event),
                    Some(Err(_)) | None => Woken::TerminalGone,
                },
                () = sleep_until(due) => Woken::Frame,
                report = self.reports.recv() => report.map_or(Woken::Frame, Woken::Report),
                Some(action) = self.coloured.1.recv() => Woken::Coloured(action),
                update = receive(&mut self.updates) => Woken::Update(update),
            };
            let now = self.start.elapsed().as_millis() as u64;
            let mut effects = self.face.act(Action::Tick(now));
            let mut at_once = false;
            match woken {
                Woken::Signal(Signal::Suspend) => effects.push(Effect::Suspend),
                Woken::Signal(Signal::Continued) => {
                    self.guard.renew()?;
                    effects.push(Effect::Redraw);
                }
                Woken::Signal(Signal::End(number)) => return Ok(ExitReason::Signal(number)),
                Woken::TerminalGone => return Ok(ExitReason::Signal(1)),
                Woken::Terminal(event) => {
                    at_once = true;
                    effects.extend(self.face.terminal(event));
                    while let Some(event) = waiting(&mut self.keys).await {
                        effects.extend(self.face.terminal(event));
                    }
                }
                Woken::Update(update) => effects.extend(self.take(update)),
                Woken::Report(report) => effects.extend(self.face.act(Action::Report(report))),
                Woken::Coloured(action) => effects.extend(self.face.act(action)),
                Woken::Frame => {}
            }
            while let Ok(report) = self.reports.try_recv() {
                effects.extend(self.face.act(Action::Report(report)));
            }
            // A bounded drain: the keys must not wait for a stream that never pauses.
            for _ in 0..4096 {
                match self.updates.as_mut().map(Receiver::try_recv) {
                    Some(Ok(update)) => effects.extend(self.face.act(Action::Update(update))),
                    _ => break,
                }
            }
            if let Some(reason) = self.perform(effects)? {
                return Ok(reason);
            }
            if self.face.dirty() && (at_once || last.elapsed() >= FRAME) {
                last = self.draw()?;
            }
        }
    }

    fn take(&mut self, update: Option<Update>) -> Vec<Effect> {
        match update {
            Some(update) => self.face.act(Action::Update(update)),
            None => {
                self.updates = None;
                self.requests = None;
                self.face.act(Action::ModelsGone)
            }
        }
    }

    fn draw(&mut self) -> Result<Instant, TuiError> {
        self.screen.draw(|frame| self.face.draw(frame))?;
        let wants = self.face.wants();
        self.perform(wants)?;
        Ok(Instant::now())
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
                Effect::Ask(ask) => {
                    // The thread is gone only when it panicked; what it said is told at the end.
                    let _ = self.asks.send(ask);
                }
                Effect::Send(request) => {
                    let sent = self.requests.as_ref().map(|r| r.try_send(request));
                    if !matches!(sent, Some(Ok(()))) {
                        self.face.act(Action::ModelsGone);
                    }
                }
                Effect::Highlight(item, candidate, text, blocks) => {
                    let job = (item, candidate, text, blocks);
                    // Without a thread the code stays plain.
                    let _ = self.colourer().map(|c| c.send(job));
                }
                Effect::Theme(_) => {}
                Effect::Keep(path, trace) => {
                    if let Err(error) = super::Labels::keep(&path, &trace) {
                        self.face.act(Action::Report(Report::Failed(format!("labels are not kept: {error}"))));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The thread that colours code, started when there is code to colour.
    fn colourer(&mut self) -> std::io::Result<&std::sync::mpsc::Sender<Colouring>> {
        if self.colourer.is_none() {
            let (send, jobs) = std::sync::mpsc::channel::<Colouring>();
            let done = self.coloured.0.clone();
            std::thread::Builder::new().name("colours".into()).spawn(move || {
                for (item, candidate, text, blocks) in jobs {
                    let colours = super::highlight(&text, &blocks);
                    if done.send(Action::Highlighted(item, candidate, blocks, colours)).is_err() {
                        return;
                    }
                }
            })?;
            self.colourer = Some(send);
        }
        self.colourer.as_ref().ok_or_else(|| std::io::Error::other("no thread"))
    }

    fn redraw(&mut self) -> Result<(), TuiError> {
        // `clear` would ask the terminal where the cursor is, and the answer would go to the stream of keys.
        let size = self.screen.size()?;
        self.screen.resize(size.into())?;
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

async fn receive(updates: &mut Option<Receiver<Update>>) -> Option<Update> {
    match updates {
        Some(updates) => updates.recv().await,
        None => std::future::pending().await,
    }
}

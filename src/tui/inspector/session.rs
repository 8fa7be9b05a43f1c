//! The inspector with the threads that it talks with: the files', the models', the one that colours code and the one that writes labels.

use super::Inspector;
use crate::runtime::{Request, Update};
use crate::trace::Span;
use crate::tui::action::{Action, Effect};
use crate::tui::labels::{LabelWriter, Marked};
use crate::tui::source::{self, Ask, Item, Report};
use crate::tui::terminal::{self, Screen};
use crate::tui::{ExitReason, Options, TuiError};
use crossterm::event::Event;
use ratatui::Frame;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The time between two frames where only a spinner turns.
const SPIN: Duration = Duration::from_millis(120);

/// Code to colour: the problem, the candidate, its text, the blocks.
type Colouring = (Item, usize, String, Vec<Span>);

/// Runs the inspector until the user leaves. The terminal is checked before it is taken, and is as it was when this returns, panics or is signalled;
/// labels are in their file by then.
pub fn run(options: Options) -> Result<ExitReason, TuiError> {
    let mut session = Session::start(options)?;
    let reason = terminal::run(&mut session)?;
    session.finish()?;
    Ok(reason)
}

struct Session {
    inspector: Inspector,
    asks: std::sync::mpsc::Sender<Ask>,
    requests: Option<Sender<Request>>,
    updates: Option<Receiver<Update>>,
    colourer: Option<std::sync::mpsc::Sender<Colouring>>,
    labels: Option<LabelWriter>,
    /// Where our own threads tell what they have done.
    tell: UnboundedSender<Action>,
    told: UnboundedReceiver<Action>,
}

impl Session {
    fn start(mut options: Options) -> Result<Self, TuiError> {
        let inspector = Inspector::new(&options)?;
        let (tell, told) = unbounded_channel();
        let traces = std::mem::replace(&mut options.traces, Box::new(Vec::new()));
        let reports = tell.clone();
        let asks = source::spawn(traces, move |report| reports.send(Action::Report(report)).is_ok())?;
        let (requests, updates) = options.models.take().map(|c| (c.requests, c.updates)).unzip();
        Ok(Self { inspector, asks, requests, updates, colourer: None, labels: None, tell, told })
    }

    /// Waits for the labels to be in their file.
    fn finish(mut self) -> Result<(), TuiError> {
        self.labels = None;
        while let Ok(action) = self.told.try_recv() {
            if let Action::Report(Report::Failed(error)) = action {
                return Err(TuiError::Labels(error));
            }
        }
        Ok(())
    }

    fn keep(&mut self, path: std::path::PathBuf, marked: Marked) {
        if self.labels.is_none() {
            let tell = self.tell.clone();
            let failed = move |error| {
                // Nobody listens any more when the session has ended with an error of its own.
                let _ = tell.send(Action::Report(Report::Failed(error)));
            };
            match LabelWriter::start(failed) {
                Ok(writer) => self.labels = Some(writer),
                Err(error) => {
                    self.inspector.act(Action::Report(Report::Failed(format!("labels are not kept: {error}"))));
                }
            }
        }
        if let Some(writer) = &self.labels {
            writer.put(path, marked);
        }
    }

    /// The thread that colours code, started when there is code to colour.
    fn colourer(&mut self) -> std::io::Result<&std::sync::mpsc::Sender<Colouring>> {
        if self.colourer.is_none() {
            let (send, jobs) = std::sync::mpsc::channel::<Colouring>();
            let tell = self.tell.clone();
            std::thread::Builder::new().name("colours".into()).spawn(move || {
                for (item, candidate, text, blocks) in jobs {
                    let colours = crate::tui::highlight(&text, &blocks);
                    if tell.send(Action::Highlighted(item, candidate, blocks, colours)).is_err() {
                        return;
                    }
                }
            })?;
            self.colourer = Some(send);
        }
        self.colourer.as_ref().ok_or_else(|| std::io::Error::other("no thread"))
    }
}

impl Screen for Session {
    type News = Action;

    async fn news(&mut self) -> Action {
        let Self { told, updates, .. } = self;
        tokio::select! {
            biased;
            Some(action) = told.recv() => action,
            update = receive(updates) => update.map_or(Action::ModelsGone, Action::Update),
        }
    }

    fn waiting_news(&mut self) -> Option<Action> {
        let told = self.told.try_recv().ok();
        told.or_else(|| self.updates.as_mut()?.try_recv().ok().map(Action::Update))
    }

    fn take(&mut self, action: Action) -> Vec<Effect> {
        if matches!(action, Action::ModelsGone) {
            (self.updates, self.requests) = (None, None);
        }
        self.inspector.act(action)
    }

    fn terminal(&mut self, event: Event) -> Vec<Effect> {
        self.inspector.terminal(event)
    }

    fn tick(&mut self, elapsed: Duration) -> Vec<Effect> {
        self.inspector.act(Action::Tick(elapsed.as_millis() as u64))
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Ask(ask) => {
                // The thread is gone only when it panicked; what it said is told at the end.
                let _ = self.asks.send(ask);
            }
            Effect::Send(request) => {
                let sent = self.requests.as_ref().map(|r| r.try_send(request));
                if !matches!(sent, Some(Ok(()))) {
                    self.inspector.act(Action::ModelsGone);
                }
            }
            Effect::Highlight(item, candidate, text, blocks) => {
                let job = (item, candidate, text, blocks);
                // Without a thread the code stays plain.
                let _ = self.colourer().map(|c| c.send(job));
            }
            Effect::Keep(path, marked) => self.keep(path, *marked),
            Effect::Quit | Effect::Suspend | Effect::Redraw | Effect::Theme(_) => {}
        }
    }

    fn dirty(&self) -> bool {
        self.inspector.dirty()
    }

    fn pulse(&self) -> Option<Duration> {
        self.inspector.moves().then_some(SPIN)
    }

    fn draw(&mut self, frame: &mut Frame<'_>) -> Vec<Effect> {
        self.inspector.draw(frame);
        self.inspector.wants()
    }
}

async fn receive(updates: &mut Option<Receiver<Update>>) -> Option<Update> {
    match updates {
        Some(updates) => updates.recv().await,
        None => std::future::pending().await,
    }
}

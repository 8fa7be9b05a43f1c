//! The run's screen with the thread that reads the run's folder.

use super::{WatchOptions, WatchScreen};
use crate::run::{RunChanges, RunReader};
use crate::tui::action::Effect;
use crate::tui::terminal::{self, Screen};
use crate::tui::{ExitReason, TuiError};
use crossterm::event::Event;
use ratatui::Frame;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::{Receiver, channel};

/// Time between two looks at the folder.
const POLL: Duration = Duration::from_millis(500);

/// Shows a run, and what it has written already, until the user leaves. The terminal is checked before it is taken, and is as it was when this returns,
/// panics or is signalled.
pub fn watch(options: &WatchOptions, run: RunReader, first: RunChanges) -> Result<ExitReason, TuiError> {
    let mut screen = WatchScreen::new(options)?;
    screen.take(first);
    terminal::run(&mut Session { screen, news: follow(run)? })
}

/// Reads the folder now and then, on a thread that ends when nobody listens.
fn follow(mut run: RunReader) -> std::io::Result<Receiver<RunChanges>> {
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
                    RunChanges { notes: vec![error.to_string()], ..RunChanges::default() }
                }
            };
            if !news.is_empty() && send.blocking_send(news).is_err() {
                return;
            }
        }
    })?;
    Ok(receive)
}

struct Session {
    screen: WatchScreen,
    news: Receiver<RunChanges>,
}

impl Screen for Session {
    type News = RunChanges;

    async fn news(&mut self) -> RunChanges {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    fn waiting_news(&mut self) -> Option<RunChanges> {
        self.news.try_recv().ok()
    }

    fn take(&mut self, news: RunChanges) -> Vec<Effect> {
        self.screen.take(news);
        Vec::new()
    }

    fn terminal(&mut self, event: Event) -> Vec<Effect> {
        self.screen.terminal(event)
    }

    fn tick(&mut self, _: Duration) -> Vec<Effect> {
        self.screen.tick(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64()));
        Vec::new()
    }

    fn perform(&mut self, _: Effect) {}

    fn dirty(&self) -> bool {
        self.screen.dirty()
    }

    fn pulse(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn draw(&mut self, frame: &mut Frame<'_>) -> Vec<Effect> {
        self.screen.draw(frame);
        Vec::new()
    }
}

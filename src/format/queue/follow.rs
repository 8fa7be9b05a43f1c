//! Files that grow while they are looked at.

use super::growth::{Change, Followed, How};
use super::work::Queue;
use crate::format::error::FormatError;
use crate::format::index::{Context, Indexer};
use crate::format::input::{About, Body, Found, Input, Place};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often files are looked at.
const EVERY: Duration = Duration::from_millis(250);
/// How often folders are looked through: so many times the time that it takes, and at least [`EVERY`].
const SHARE: u32 = 20;

/// Reads what comes, until the list is dropped.
pub(in crate::format) fn follow(context: &Context, queue: &mut Queue, mut followed: Vec<Followed>) {
    let mut looked = (Instant::now(), Duration::ZERO);
    loop {
        {
            let mut state = context.shared.state();
            state.complete = true;
            context.shared.changed.notify_all();
            if context.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let waited = context.shared.changed.wait_timeout(state, EVERY);
            drop(waited);
        }
        if context.shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let mut new = Vec::new();
        followed.retain_mut(|file| match file.change() {
            Change::Nothing => true,
            Change::Grown(from, rest) => {
                context.shared.state().complete = false;
                let reached = Indexer::new(context, file.file, &file.about).go_on(from, rest);
                if let Some(reached) = reached {
                    file.reached(reached);
                }
                reached.is_some()
            }
            Change::Samples => {
                let How::Log(log) = &file.how else { return true };
                file.on_disk.close();
                let found = Place::on_disk(&file.on_disk).open(queue.wanted, &context.spool);
                match found {
                    Ok(Found::Input(Input { body: Body::Log(all), about, .. })) => {
                        let since = Arc::new(all.without(log));
                        if since.len() > 0 {
                            new.push((About::of_log(about.path.clone(), &since), since));
                        }
                        file.how = How::Log(all);
                        true
                    }
                    // It is being written.
                    _ => true,
                }
            }
            Change::Replaced(how) => {
                let remedy = "what was read of it is listed still; open it again for what it holds now";
                context.shared.state().report(FormatError::file(&file.about.path, how, remedy));
                false
            }
        });
        for (about, log) in new {
            context.shared.state().complete = false;
            let file = queue.register(&about, None);
            Indexer::new(context, file, &about).run(Body::Log(log));
        }
        if looked.0.elapsed() >= looked.1 * SHARE {
            let begin = Instant::now();
            queue.look_again();
            looked = (Instant::now(), begin.elapsed());
        }
        if queue.is_waiting() {
            context.shared.state().complete = false;
            queue.run(&mut followed);
        }
    }
}

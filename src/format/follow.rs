//! Files that grow while they are looked at.

use super::container::{Blob, EvalLog, FileBlob, Stream};
use super::error::FormatError;
use super::index::{Context, Indexer, Reached};
use super::input::{About, Body, Found, Input, Keep, Place};
use super::queue::Queue;
use std::io::{Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// How often files are looked at.
const EVERY: Duration = Duration::from_millis(250);
/// How often folders are looked through: so many times the time that it takes, and at least [`EVERY`].
const SHARE: u32 = 20;
/// Bytes before the place reached that are compared to see whether a file is still the one that was read.
const KNOWN: u64 = 256;

/// A file that may grow.
pub(super) struct Followed {
    file: usize,
    about: Arc<About>,
    on_disk: Arc<FileBlob>,
    stamp: Option<Stamp>,
    how: How,
}

/// How a file grows.
enum How {
    /// By bytes at its end: how far it was read, and the bytes before that.
    Bytes { reached: Reached, known: Vec<u8> },
    /// By samples.
    Log(Arc<EvalLog>),
    /// By being packed anew.
    Packed,
}

/// What has become of a followed file.
enum Change {
    Nothing,
    Grown(Reached, Stream),
    Samples,
    /// It is another file now, or cannot be followed.
    Replaced(&'static str),
}

/// When a file was written last, and its length.
pub(super) type Stamp = (SystemTime, u64);

impl Followed {
    /// A file on a disk; others are not followed.
    pub fn new(file: usize, input: &Input) -> Option<Self> {
        let on_disk = Arc::clone(input.file.as_ref()?);
        let how = match input.about.keep.get() {
            Some(Keep::Bytes(Blob::File(_))) => How::Bytes { reached: Reached::default(), known: Vec::new() },
            Some(Keep::Log(log)) => How::Log(Arc::clone(log)),
            _ => How::Packed,
        };
        Some(Self { file, about: Arc::clone(&input.about), stamp: stamp(&on_disk.path), on_disk, how })
    }

    /// Reading has come so far.
    pub fn reached(&mut self, by: Reached) {
        if let How::Bytes { reached, known } = &mut self.how {
            let from = by.offset.saturating_sub(KNOWN);
            *reached = by;
            *known = Blob::File(Arc::clone(&self.on_disk)).read(from, (by.offset - from) as usize).unwrap_or_default();
        }
    }

    fn change(&mut self) -> Change {
        let now = stamp(&self.on_disk.path);
        let Some((_, len)) = now.filter(|_| now != self.stamp) else { return Change::Nothing };
        self.stamp = now;
        let (reached, known) = match &self.how {
            How::Packed => return Change::Replaced("is written anew, and packed files are not followed"),
            How::Log(_) => return Change::Samples,
            How::Bytes { reached, known } => (*reached, known),
        };
        if len < reached.offset {
            return Change::Replaced("is shorter than before");
        }
        // What stands at the path now, not what was opened.
        self.on_disk.close();
        let blob = Blob::File(Arc::clone(&self.on_disk));
        match blob.read(reached.offset - known.len() as u64, known.len()) {
            Ok(now) if now == *known => {}
            _ => return Change::Replaced("was replaced by another file"),
        }
        let mut rest = blob.reader(u64::MAX);
        match rest.seek(SeekFrom::Start(reached.offset)) {
            Ok(_) => Change::Grown(reached, Box::new(rest)),
            Err(_) => Change::Nothing,
        }
    }
}

/// What tells that a file has changed; `None` where it is not there.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// Reads what comes, until the list is dropped.
pub(super) fn follow(context: &Context, queue: &mut Queue, mut followed: Vec<Followed>) {
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

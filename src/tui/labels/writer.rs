//! Labels on their way to the file: a thread of its own writes them, so that no key waits for the disk.

use super::{Labels, Marked, same_texts};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long marks are gathered before they are written together.
const GATHER: Duration = Duration::from_millis(250);

/// Writes labels within a second, the last state of every trace; what is still to be written when it is dropped is written then.
#[derive(Debug)]
pub(crate) struct LabelWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    woken: Condvar,
}

/// What is to be written: a trace once, with the labels that it had last.
#[derive(Debug, Default)]
struct Queue {
    traces: Vec<(PathBuf, Marked)>,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // What is queued is whole at any time, whoever panicked.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LabelWriter {
    /// Starts the thread. `failed` hears of every file that could not be written.
    pub fn start(failed: impl Fn(String) + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let thread = std::thread::Builder::new().name("labels".into()).spawn(move || write_all(&own, &failed))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes a trace with its labels; it replaces what is queued of the same trace.
    pub fn put(&self, path: PathBuf, marked: Marked) {
        let mut queue = self.shared.lock();
        match queue.traces.iter_mut().find(|(p, m)| *p == path && same_texts(&m.trace, &marked.trace)) {
            Some(queued) => queued.1.trace = marked.trace,
            None => queue.traces.push((path, marked)),
        }
        drop(queue);
        self.shared.woken.notify_all();
    }
}

impl Drop for LabelWriter {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.woken.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told when it happened.
            let _ = thread.join();
        }
    }
}

fn write_all(shared: &Shared, failed: &impl Fn(String)) {
    // What could not be written is tried again with the next marks, and at the end.
    let mut unwritten: Vec<(PathBuf, Marked)> = Vec::new();
    loop {
        let mut queue = shared.lock();
        while queue.traces.is_empty() && !queue.closed {
            queue = shared.woken.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if !queue.closed {
            let gathered = shared.woken.wait_timeout_while(queue, GATHER, |q| !q.closed);
            queue = gathered.unwrap_or_else(PoisonError::into_inner).0;
        }
        let (mut traces, closed) = (std::mem::take(&mut queue.traces), queue.closed);
        drop(queue);
        for old in unwritten.drain(..) {
            match traces.iter_mut().find(|(path, m)| *path == old.0 && same_texts(&m.trace, &old.1.trace)) {
                Some(newer) => newer.1.before = old.1.before,
                None => traces.push(old),
            }
        }
        traces.sort_by(|a, b| a.0.cmp(&b.0));
        let mut paths: Vec<&Path> = traces.iter().map(|(path, _)| path.as_path()).collect();
        paths.dedup();
        for path in paths {
            let of_file = || traces.iter().filter(|(p, _)| p == path);
            if let Err(error) = Labels::keep(path, of_file().map(|(_, marked)| marked)) {
                failed(format!("labels are not kept: {error}"));
                unwritten.extend(of_file().cloned());
            }
        }
        if closed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{marked, trace};
    use super::*;
    use crate::trace::Trace;
    use std::sync::mpsc::channel;

    #[test]
    fn what_is_queued_is_written_when_it_ends_and_the_last_state_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.jsonl");
        let writer = LabelWriter::start(|error| panic!("{error}")).unwrap();
        let (mut first, mut second) = (trace("a\nb"), trace("c\nd"));
        for right in [true, false] {
            writer.put(path.clone(), marked(&mut first, 1, right));
        }
        writer.put(path.clone(), marked(&mut second, 0, true));
        drop(writer);
        let mut back = [trace("a\nb"), trace("c\nd")];
        let labels = Labels::open(&path).unwrap();
        back.iter_mut().for_each(|t| labels.put_on(t));
        let of = |t: &Trace| t.candidates[0].steps.iter().map(|s| s.label).collect::<Vec<_>>();
        assert_eq!(back.each_ref().map(of), [vec![None, Some(0.0)], vec![Some(1.0), None]]);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (said, heard) = channel();
        let writer = LabelWriter::start(move |error| said.send(error).unwrap()).unwrap();
        writer.put(dir.path().join("missing/labels.jsonl"), marked(&mut trace("a"), 0, true));
        let error = heard.recv().unwrap();
        assert!(error.starts_with("labels are not kept: ") && error.contains("missing"), "{error}");
    }
}

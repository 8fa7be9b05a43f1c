//! Short pieces of work divided between the calling thread and rayon's.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls `f` with every number below `n`, in no order, and returns when all calls have.
///
/// The calling thread takes part instead of going to sleep, which matters for work of tens of microseconds. On one of rayon's own workers, whose
/// fellows are busy already, it does everything.
pub(in crate::model) fn share(n: usize, f: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= n {
                break;
            }
            f(i);
        }
    };
    if !idle() {
        return work();
    }
    rayon::in_place_scope(|scope| {
        for _ in 1..rayon::current_num_threads().min(n) {
            scope.spawn(|_| work());
        }
        let _busy = Busy::new();
        work();
    });
}

thread_local! {
    /// Whether this thread is at work in [`share`].
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Takes the mark back, also where the work panics.
struct Busy;

impl Busy {
    fn new() -> Self {
        BUSY.set(true);
        Self
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.set(false);
    }
}

/// Calls `f` with every part, on all threads where it is worth the while. What [`share`] says of workers holds here too.
pub(in crate::model) fn each<T: Send>(parts: Vec<T>, worth: bool, f: impl Fn(T) + Sync) {
    if !worth || parts.len() < 2 || !idle() {
        return parts.into_iter().for_each(f);
    }
    let parts: Vec<Mutex<Option<T>>> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
    share(parts.len(), |i| {
        let part = parts[i].lock().unwrap_or_else(|e| e.into_inner()).take();
        part.into_iter().for_each(&f);
    });
}

/// Whether there are other threads to share work with: the caller is none of rayon's workers, and does not share work already.
pub(in crate::model) fn idle() -> bool {
    rayon::current_thread_index().is_none() && rayon::current_num_threads() > 1 && !BUSY.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_called_once() {
        for n in [0, 1, 2, 1000] {
            let calls: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
            share(n, |i| {
                calls[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(calls.iter().all(|c| c.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn every_part_is_worked_on_once_and_work_within_work_is_not_shared() {
        for worth in [false, true] {
            let mut parts = vec![0; 100];
            each(parts.iter_mut().collect(), worth, |part: &mut usize| {
                assert!(!worth || !idle());
                share(3, |_| {});
                assert!(!worth || !idle());
                *part += 1;
            });
            assert_eq!(parts, [1; 100]);
        }
    }
}

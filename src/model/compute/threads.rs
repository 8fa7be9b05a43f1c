//! Short pieces of work divided between the calling thread and rayon's.

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
        work();
    });
}

/// Whether there are other threads to share work with: the caller is none of rayon's workers.
pub(in crate::model) fn idle() -> bool {
    rayon::current_thread_index().is_none() && rayon::current_num_threads() > 1
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
}

//! Memory that a thread may take while code of others works on what strangers wrote.
//!
//! Such code counts what it takes in units of its own, or not at all. Where the program's allocator is [`Metered`], a thread that would take more than it is
//! granted stops: in the midst of an allocation it can neither fail nor unwind, so that it sleeps for ever with what it has, and whoever waits for it is told.

// An allocator is an unsafe trait; what a thread is told of is a flag that its own call keeps alive.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// Bytes that this thread may still take; `None`: as many as there are.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    /// Set when it would take more.
    static SPENT: Cell<*const AtomicBool> = const { Cell::new(ptr::null()) };
}

/// An allocator that keeps to what [`within`] grants. Threads to which nothing was granted take what they want.
pub struct Metered<A>(pub A);

// SAFETY: every call is handed on as it is, and what comes before and after it touches no memory but two cells of this thread, which are never dropped.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Metered<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size.saturating_sub(layout.size()));
        give(layout.size().saturating_sub(size));
        unsafe { self.0.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        give(layout.size());
        unsafe { self.0.dealloc(at, layout) }
    }
}

#[inline]
fn take(bytes: usize) {
    if let Some(left) = LEFT.get() {
        match left.checked_sub(bytes) {
            Some(left) => LEFT.set(Some(left)),
            None => stop(),
        }
    }
}

#[inline]
fn give(bytes: usize) {
    if let Some(left) = LEFT.get() {
        LEFT.set(Some(left.saturating_add(bytes)));
    }
}

#[cold]
fn stop() {
    LEFT.set(None);
    // SAFETY: the flag is borrowed by the call of `within` that this thread is in and will not return from.
    if let Some(spent) = unsafe { SPENT.get().as_ref() } {
        spent.store(true, Ordering::SeqCst);
    }
    loop {
        std::thread::park();
    }
}

/// Takes the grant back, also where the work panics.
struct Granted;

impl Drop for Granted {
    fn drop(&mut self) {
        LEFT.set(None);
        SPENT.set(ptr::null());
    }
}

/// Does something that may hold so many bytes more than now at a time. Where it would hold more, and the program's allocator is [`Metered`], `spent` is set
/// and this thread stops for ever: call it on one of its own, which holds no lock.
pub fn within<T>(bytes: usize, spent: &AtomicBool, work: impl FnOnce() -> T) -> T {
    let _granted = Granted;
    SPENT.set(spent);
    LEFT.set(Some(bytes));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    /// Takes and gives blocks of these sizes; negative: the block of so many bytes that was taken first is given back.
    fn blocks(sizes: &[isize]) {
        let allocator = Metered(System);
        let layout = |size: usize| Layout::from_size_align(size, 8).unwrap();
        let mut held: Vec<(*mut u8, usize)> = Vec::with_capacity(sizes.len());
        for size in sizes {
            if *size > 0 {
                held.push((unsafe { allocator.alloc(layout(*size as usize)) }, *size as usize));
            } else {
                let at = held.iter().position(|(_, held)| *held == size.unsigned_abs()).unwrap();
                let (block, size) = held.swap_remove(at);
                unsafe { allocator.dealloc(block, layout(size)) };
            }
        }
        held.into_iter().for_each(|(block, size)| unsafe { allocator.dealloc(block, layout(size)) });
    }

    /// Whether so much was taken without stopping.
    fn ends(sizes: &'static [isize]) -> bool {
        let (send, done) = channel();
        let spent = Arc::new(AtomicBool::new(false));
        let told = spent.clone();
        std::thread::spawn(move || {
            within(1000, &told, || blocks(sizes));
            // What was granted is taken back.
            blocks(&[5000]);
            let _ = send.send(());
        });
        loop {
            if done.recv_timeout(Duration::from_millis(1)).is_ok() {
                return true;
            }
            if spent.load(Ordering::SeqCst) {
                return false;
            }
        }
    }

    #[test]
    fn a_thread_that_takes_too_much_stops_and_is_told() {
        assert!(ends(&[400, 600]));
        assert!(!ends(&[400, 601]));
        assert!(ends(&[400, 600, -400, 400, -600, 500]), "what is given back may be taken again");
        assert!(!ends(&[400, 600, -400, 401]));
        blocks(&[1 << 20]);
    }

    #[test]
    fn growing_counts_what_is_new() {
        let allocator = Metered(System);
        let layout = |size: usize| Layout::from_size_align(size, 8).unwrap();
        let spent = AtomicBool::new(false);
        within(1000, &spent, || unsafe {
            let at = allocator.alloc_zeroed(layout(100));
            let at = allocator.realloc(at, layout(100), 1000);
            assert_eq!(LEFT.get(), Some(0));
            let at = allocator.realloc(at, layout(1000), 300);
            assert_eq!(LEFT.get(), Some(700));
            allocator.dealloc(at, layout(300));
        });
        assert!(LEFT.get().is_none() && !spent.load(Ordering::SeqCst));
    }
}

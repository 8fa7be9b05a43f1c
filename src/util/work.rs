//! Counting work instead of timing it: a reader says how much it looked at, and a test holds that against the length of the text.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static DONE: Cell<usize> = const { Cell::new(0) };
}

/// Says that so many characters, tokens or bytes were looked at; costs nothing outside of tests.
#[inline]
pub fn count(_work: usize) {
    #[cfg(test)]
    DONE.set(DONE.get() + _work);
}

/// The work that this thread says it did in `of`.
#[cfg(test)]
pub(crate) fn done(of: impl FnOnce()) -> usize {
    DONE.set(0);
    of();
    DONE.get()
}

/// Holds that work on a text of ten times the length is at most twenty times as much, so far below a hundred. `text`: one of a length that grows with the number it is given.
#[cfg(test)]
pub(crate) fn grows_with_the_text(what: &str, text: impl Fn(usize) -> String, read: impl Fn(&str)) {
    let (short, long) = (text(1_000), text(10_000));
    assert!(long.len() >= 9 * short.len(), "{what}: {} and {} bytes", short.len(), long.len());
    let (a, b) = (done(|| read(&short)), done(|| read(&long)));
    assert!(a > 0 && b <= 20 * a.max(short.len()), "{what}: {a} for {} bytes, {b} for {}", short.len(), long.len());
}

//! Code of others on bytes from outside: where it panics, that is a damaged file and no bug of this program.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread runs such code: a panic hook must leave the terminal alone then.
pub fn is_inside() -> bool {
    INSIDE.get()
}

/// Runs `f`; `None` where it panicked, of which nothing is printed.
pub fn call<T>(f: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if is_inside() {
                tracing::error!("on bytes from outside: {info}");
            } else {
                before(info);
            }
        }));
    });
    let outer = INSIDE.replace(true);
    let made = catch_unwind(AssertUnwindSafe(f)).ok();
    INSIDE.set(outer);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_no_answer() {
        assert_eq!(call(|| 7), Some(7));
        assert_eq!(call(|| -> u8 { "x".parse().unwrap() }), None);
        assert!(!is_inside());
    }
}

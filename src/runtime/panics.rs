//! Panics in the models' threads: kept off the screen, and turned into messages.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

/// Name of the policy's thread.
pub(super) const POLICY: &str = "policy-model";
/// Name of the reward model's thread.
pub(super) const REWARD: &str = "reward-model";

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Whether this thread owns a model. Its panics are caught and become `Failed` updates: a panic hook must leave the terminal alone then.
pub fn is_model_thread() -> bool {
    std::thread::current().name().is_some_and(|n| n == POLICY || n == REWARD)
}

/// Makes the panic hook pass over the models' threads, once for the process.
pub(super) fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if is_model_thread() {
                tracing::error!("{info}");
                PLACE.with(|p| *p.borrow_mut() = info.location().map(ToString::to_string));
            } else {
                before(info);
            }
        }));
    });
}

/// How a message about the model's code begins, where that and not what it was given is at fault.
pub const PANICKED: &str = "the model's code panicked";

/// A sentence about the panic that was just caught.
pub(super) fn describe(message: &str) -> String {
    let place = PLACE.with(|p| p.borrow_mut().take()).map(|p| format!(" at {p}")).unwrap_or_default();
    format!("{PANICKED}{place}: {message}; this is a bug, please report it with the problem and the model's name")
}

//! A panic in one of sled's own threads leaves its callers hanging for ever; ending the process is the way out.

use std::panic;
use std::process;
use std::sync::Once;
use std::thread;

/// Installs a panic hook that aborts the process when a thread of sled panics, after the usual report.
///
/// For a program's `main`; a second call does nothing. A supervisor restarts the program, and opening the journal
/// checks and, if it must, rebuilds the store. Panics in other threads go on as before.
pub fn install_panic_policy() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            before(info);
            let current = thread::current();
            if current.name().is_some_and(is_sled_thread) {
                process::abort();
            }
        }));
    });
}

/// The names sled 0.34.7 gives its threads.
fn is_sled_thread(name: &str) -> bool {
    name.starts_with("sled-io-") || name.starts_with("log flusher")
}

//! A simulator's own thread with its own small async runtime.
//!
//! Tests, the demo and the `till-sim` binary start simulators from ordinary threads as well as from inside another
//! runtime. A simulator that owns its thread works from both, keeps answering while the caller blocks, and is gone when
//! its handle is dropped.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// The running thread. Dropping it ends every task of the simulator, closes its sockets and waits for that.
pub(crate) struct Background {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Runs the future that `make` builds until it ends or the handle is dropped. `make` runs inside the new runtime,
    /// so that it can register sockets there.
    pub(crate) fn spawn<M, F>(name: &str, make: M) -> io::Result<Self>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = async { make().await } => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A simulator that panicked has already printed its message; the caller's own asserts decide the test.
            drop(thread.join());
        }
    }
}

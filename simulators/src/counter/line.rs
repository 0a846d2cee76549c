//! A device at the end of a stream: one connection at a time, faults of the line, and a handle to look at the machine.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use crate::background::Background;

/// A device without I/O.
pub trait Machine: Send + 'static {
    /// A till connected.
    fn connected(&mut self) {}
    /// Bytes came; what it answers.
    fn receive(&mut self, bytes: &[u8]) -> Vec<u8>;
    /// What it says by itself.
    fn say(&mut self) -> Vec<u8> {
        Vec::new()
    }
    /// The till left.
    fn left(&mut self) {}
}

/// Where a device waits for its till.
#[derive(Clone, Debug)]
pub enum Listen {
    /// TCP; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix stream socket, made anew.
    Unix(PathBuf),
}

/// The device cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot listen on {at}: {source}; choose another place or end what holds it")]
pub struct LineError {
    what: &'static str,
    at: String,
    source: io::Error,
}

struct Inner<M> {
    machine: M,
    stopped: bool,
    hang_up: bool,
    connections: u64,
}

struct Shared<M> {
    inner: Mutex<Inner<M>>,
    changed: Condvar,
    wake: Notify,
}

impl<M> Shared<M> {
    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, action: impl FnOnce(&mut Inner<M>) -> R) -> R {
        let result = action(&mut self.lock());
        self.changed.notify_all();
        result
    }
}

/// A running device. Dropping it closes its line.
pub struct Virtual<M> {
    shared: Arc<Shared<M>>,
    addr: Option<SocketAddr>,
    _background: Background,
}

impl<M: Machine> Virtual<M> {
    /// Starts on its own thread.
    pub fn start(what: &'static str, listen: &Listen, machine: M) -> Result<Self, LineError> {
        let at = match listen {
            Listen::Tcp(addr) => addr.to_string(),
            Listen::Unix(path) => path.display().to_string(),
        };
        let error = |source| LineError { what, at: at.clone(), source };
        let inner = Inner { machine, stopped: false, hang_up: false, connections: 0 };
        let shared =
            Arc::new(Shared { inner: Mutex::new(inner), changed: Condvar::new(), wake: Notify::new() });
        let theirs = Arc::clone(&shared);
        let (addr, background) = match listen {
            Listen::Tcp(addr) => {
                let listener = std::net::TcpListener::bind(addr).map_err(error)?;
                listener.set_nonblocking(true).map_err(error)?;
                let addr = listener.local_addr().map_err(error)?;
                let serving = Background::spawn(what, move || async move {
                    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                    // Small, so that a device that stops reading is felt soon.
                    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 4096);
                    while let Ok((stream, _)) = listener.accept().await {
                        serve(&theirs, stream).await;
                    }
                });
                (Some(addr), serving.map_err(error)?)
            }
            Listen::Unix(path) => {
                let _ = std::fs::remove_file(path);
                let listener = std::os::unix::net::UnixListener::bind(path).map_err(error)?;
                listener.set_nonblocking(true).map_err(error)?;
                let serving = Background::spawn(what, move || async move {
                    let Ok(listener) = tokio::net::UnixListener::from_std(listener) else { return };
                    while let Ok((stream, _)) = listener.accept().await {
                        serve(&theirs, stream).await;
                    }
                });
                (None, serving.map_err(error)?)
            }
        };
        Ok(Self { shared, addr, _background: background })
    }

    /// Where the till connects, for TCP.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Looks at the machine.
    pub fn look<R>(&self, look: impl FnOnce(&M) -> R) -> R {
        look(&self.shared.lock().machine)
    }

    /// Does something to the machine; what it has to say goes out at once.
    pub fn touch<R>(&self, touch: impl FnOnce(&mut M) -> R) -> R {
        let result = self.shared.change(|inner| touch(&mut inner.machine));
        self.shared.wake.notify_one();
        result
    }

    /// It takes no byte any more, and its line stays open; or it does again.
    pub fn stop_reading(&self, on: bool) {
        self.shared.change(|inner| inner.stopped = on);
        self.shared.wake.notify_one();
    }

    /// Its line breaks; the next connection is taken.
    pub fn hang_up(&self) {
        self.shared.change(|inner| inner.hang_up = true);
        self.shared.wake.notify_one();
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.shared.lock().connections
    }

    /// Waits until the machine satisfies `condition`; false after `timeout`.
    pub fn wait(&self, timeout: Duration, mut condition: impl FnMut(&M) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut guard = self.shared.lock();
        loop {
            if condition(&guard.machine) {
                return true;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            guard = self.shared.changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

async fn serve<M: Machine>(shared: &Shared<M>, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    shared.change(|inner| {
        inner.connections += 1;
        inner.hang_up = false;
        inner.machine.connected();
    });
    let mut buffer = [0; 512];
    loop {
        let (said, stopped, ended) = {
            let mut inner = shared.lock();
            (inner.machine.say(), inner.stopped, inner.hang_up)
        };
        if ended || (!said.is_empty() && stream.write_all(&said).await.is_err()) {
            break;
        }
        tokio::select! {
            () = shared.wake.notified() => {}
            read = stream.read(&mut buffer), if !stopped => {
                let Ok(count @ 1..) = read else { break };
                let bytes = buffer.get(..count).unwrap_or_default();
                let answer = shared.change(|inner| inner.machine.receive(bytes));
                if !answer.is_empty() && stream.write_all(&answer).await.is_err() {
                    break;
                }
            }
        }
    }
    shared.change(|inner| inner.machine.left());
}

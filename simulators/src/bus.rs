//! A private D-Bus message bus inside this process, by the `busd` broker.
//!
//! The demo and the end-to-end tests need a bus that is theirs alone and that needs no package installed. `busd` enforces
//! no policy of its own and its EXTERNAL authentication only proves who a client is, so what keeps other users out is the
//! file system: the socket is made inside a directory and with a mode that only its owner can reach.
//!
//! The broker runs on `zruntime`, never on tokio: its thread must not be one where a tokio runtime is current, because a
//! zbus connection built there would choose tokio. [`start_bus`] starts a plain thread for that reason.

use std::{
    io,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    pin::pin,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use busd::bus::Bus;
use futures_util::future::{Either, select};
use tokio::sync::oneshot;
use zruntime::{
    SharedRuntime,
    signal::{Signal, Signals},
};

/// Why a bus did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The directory of the socket could not be made or closed to others.
    #[error("cannot prepare {path} for the bus socket: {source}; choose a directory this user owns")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another bus answers on the socket.
    #[error("a bus already answers at {0}; stop it, or give another address")]
    InUse(PathBuf),
    /// The broker refused to start at the address.
    #[error("cannot serve a bus at `{address}`: {reason}")]
    Listen {
        /// The address as given.
        address: String,
        /// What the broker said.
        reason: String,
    },
    /// The broker stopped serving while it was wanted.
    #[error("the bus stopped by itself: {0}")]
    Stopped(String),
    /// The thread of the bus could not be started, or ended before it served.
    #[error("cannot start the bus thread: {0}")]
    Thread(#[source] io::Error),
}

/// A running bus. Dropping it stops the bus, disconnects its clients and removes its socket.
#[derive(Debug)]
pub struct BusHandle {
    address: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), BusError>>>,
}

impl BusHandle {
    /// The address for clients (`unix:path=…,guid=…`), as `DBUS_SYSTEM_BUS_ADDRESS` takes it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Stops the bus and waits until its socket is gone.
    pub fn stop(mut self) -> Result<(), BusError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), BusError> {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(BusError::Stopped("its thread panicked".into())),
            None => Ok(()),
        }
    }
}

impl Drop for BusHandle {
    fn drop(&mut self) {
        // A destructor has nobody to tell; `stop` is the call that reports.
        let _ = self.end();
    }
}

/// Starts a private bus in a thread of this process, its socket `bus` inside `dir` (made, and closed to other users,
/// where absent). Returns once clients can connect.
pub fn start_bus(dir: &Path) -> Result<BusHandle, BusError> {
    start_at(&format!("unix:path={}", dir.join("bus").display()))
}

/// Starts a private bus in a thread of this process at any `unix:` address.
pub fn start_at(address: &str) -> Result<BusHandle, BusError> {
    let (ready, is_ready) = mpsc::sync_channel(1);
    let (stop, stopped) = oneshot::channel::<()>();
    let wanted = address.to_owned();
    let thread = thread::Builder::new()
        .name("private-bus".into())
        .spawn(move || {
            zruntime::block_on(serve(
                &wanted,
                move |address| {
                    let _ = ready.send(address.to_owned());
                },
                stopped,
            ))
        })
        .map_err(BusError::Thread)?;
    let mut handle = BusHandle { address: String::new(), stop: Some(stop), thread: Some(thread) };
    match is_ready.recv() {
        Ok(address) => {
            handle.address = address;
            Ok(handle)
        }
        // The thread ended before it was ready: what it returned says why.
        Err(_) => match handle.end() {
            Err(error) => Err(error),
            Ok(()) => Err(BusError::Stopped("before it served".into())),
        },
    }
}

/// Serves a bus on this thread until SIGINT or SIGTERM, then removes its socket. `ready` is told the address for clients
/// once they can connect. Must not be called where a tokio runtime is current.
pub fn serve_until_signal(address: &str, ready: impl FnOnce(&str)) -> Result<(), BusError> {
    zruntime::block_on(async {
        // Taken over before the bus listens, so that a signal at any moment cleans up.
        let mut signals = SharedRuntime::current()
            .and_then(|runtime| Signals::new(&runtime, [Signal::Interrupt, Signal::Terminate]))
            .map_err(BusError::Thread)?;
        serve(address, ready, async move { signals.recv().await.map(|_| ()) }).await
    })
}

async fn serve<F: Future>(address: &str, ready: impl FnOnce(&str), until: F) -> Result<(), BusError> {
    let refused = |reason: String| BusError::Listen { address: address.to_owned(), reason };
    make_room(address)?;
    let mut bus = Bus::for_address(Some(address)).await.map_err(|error| refused(format!("{error:#}")))?;
    let served = bus.address().to_string();
    if let Some(path) = socket_path(&served) {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))
            .map_err(|source| BusError::Directory { path, source })?;
    }
    ready(&served);
    let ended = {
        let until = pin!(until);
        let running = pin!(bus.run());
        match select(until, running).await {
            Either::Left(_) => Ok(()),
            Either::Right((Ok(()), _)) => Err(BusError::Stopped("it accepts no more clients".into())),
            Either::Right((Err(error), _)) => Err(BusError::Stopped(format!("{error:#}"))),
        }
    };
    bus.cleanup().await.map_err(|error| BusError::Stopped(format!("{error:#}")))?;
    ended
}

/// Makes the directory of the socket, private to this user, and takes away a socket that nobody answers on: a bus that
/// was killed leaves its file behind, and the next bus must start all the same.
fn make_room(address: &str) -> Result<(), BusError> {
    let Some(path) = socket_path(address) else { return Ok(()) };
    let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) else { return Ok(()) };
    let failed = |source| BusError::Directory { path: dir.to_owned(), source };
    if !dir.exists() {
        std::fs::create_dir_all(dir).map_err(failed)?;
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).map_err(failed)?;
    }
    match UnixStream::connect(&path) {
        Ok(_) => Err(BusError::InUse(path)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(&path).map_err(failed)
        }
        // Nothing there, or something that is not ours to remove: the broker's bind says what is wrong.
        Err(_) => Ok(()),
    }
}

/// The file of a `unix:path=` address; nothing for other kinds.
fn socket_path(address: &str) -> Option<PathBuf> {
    let options = address.strip_prefix("unix:")?;
    options.split(',').find_map(|option| option.strip_prefix("path=")).map(PathBuf::from)
}

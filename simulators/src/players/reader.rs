//! A card reader as a Unix socket: each connection gets the kernel's event bytes as swipes happen.

use super::recording::{Direction, Recording};
use super::swipe::{Swipe, Untypeable};
use super::{DeviceError, LinkGuard};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Tills {
    open: Vec<UnixStream>,
    accepted: u64,
    closing: bool,
}

/// A reader that the till opens as transport `replay-stream`. Dropping it unplugs it and removes the socket.
pub struct ReaderSocket {
    path: PathBuf,
    tills: Arc<(Mutex<Tills>, Condvar)>,
    thread: Option<std::thread::JoinHandle<()>>,
    _link: LinkGuard,
}

fn lock(tills: &Mutex<Tills>) -> MutexGuard<'_, Tills> {
    tills.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReaderSocket {
    /// Listens at this path. A socket left behind by a dead process is replaced, a living one is not.
    pub fn listen(path: &Path) -> Result<Self, DeviceError> {
        let failed = |source| DeviceError::Open { path: path.to_owned(), source };
        if UnixStream::connect(path).is_ok() {
            return Err(DeviceError::InUse { path: path.to_owned() });
        }
        let link = LinkGuard::replace(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let tills = Arc::new((Mutex::new(Tills::default()), Condvar::new()));
        let theirs = Arc::clone(&tills);
        let accept = move || {
            for stream in listener.incoming().flatten() {
                let mut guard = lock(&theirs.0);
                if guard.closing {
                    return;
                }
                guard.open.push(stream);
                guard.accepted += 1;
                drop(guard);
                theirs.1.notify_all();
            }
        };
        let thread = std::thread::Builder::new().name("reader".into()).spawn(accept).map_err(failed)?;
        Ok(Self { path: path.to_owned(), tills, thread: Some(thread), _link: link })
    }

    /// Where the till connects.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until so many connections have been accepted since the start; false after `timeout`.
    pub fn wait_connections(&self, count: u64, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut guard = lock(&self.tills.0);
        while guard.accepted < count {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            guard = self.tills.1.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Plays a swipe in real time; answers how many tills still listened at its end. Without one the events are lost,
    /// as with a device nobody has open.
    pub fn swipe(&self, swipe: &Swipe) -> Result<usize, Untypeable> {
        Ok(self.play(&swipe.recording()?))
    }

    /// Plays the `in` chunks of a recording in real time.
    pub fn play(&self, recording: &Recording) -> usize {
        let start = Instant::now();
        for chunk in recording.chunks.iter().filter(|chunk| chunk.direction == Direction::In) {
            std::thread::sleep((start + chunk.at).saturating_duration_since(Instant::now()));
            let mut guard = lock(&self.tills.0);
            guard.open.retain_mut(|till| till.write_all(&chunk.bytes).is_ok());
        }
        let mut guard = lock(&self.tills.0);
        guard.open.retain_mut(|till| !hung_up(till));
        guard.open.len()
    }

    /// Hangs up on every till: the device is gone (ENODEV). New connections are accepted: it was plugged in again.
    pub fn unplug(&self) {
        lock(&self.tills.0).open.clear();
    }
}

/// Whether the other side closed. What it sends is thrown away, as a keyboard does with LED reports.
fn hung_up(till: &mut UnixStream) -> bool {
    if till.set_nonblocking(true).is_err() {
        return true;
    }
    let ended = loop {
        match till.read(&mut [0; 64]) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(error) => break error.kind() != std::io::ErrorKind::WouldBlock,
        }
    };
    ended || till.set_nonblocking(false).is_err()
}

impl Drop for ReaderSocket {
    fn drop(&mut self) {
        let mut guard = lock(&self.tills.0);
        guard.closing = true;
        guard.open.clear();
        drop(guard);
        // The accepting thread wakes up by a last connection.
        if UnixStream::connect(&self.path).is_ok()
            && let Some(thread) = self.thread.take()
        {
            drop(thread.join());
        }
    }
}

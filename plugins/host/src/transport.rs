//! The inherited transport: non-blocking reads and writes with time limits.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use till_plugin::host::{Read, TransportError, WriteError};

use crate::shared::{Shared, lock};
use crate::wake::Woken;

/// The transport.
pub(crate) struct Transport {
    fd: OwnedFd,
    name: OnceLock<String>,
    /// What the system said when it went away; then nothing is tried any more.
    gone: Mutex<Option<String>>,
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Transport {
    /// Takes the inherited descriptor.
    #[allow(unsafe_code)]
    pub(crate) fn inherit(fd: RawFd) -> rustix::io::Result<Self> {
        // SAFETY: the daemon passed this descriptor for us alone; nothing else in this process uses it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        fcntl_setfl(&fd, fcntl_getfl(&fd)? | OFlags::NONBLOCK)?;
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
        Ok(Self { fd, name: OnceLock::new(), gone: Mutex::default() })
    }

    /// How messages call it.
    pub(crate) fn set_name(&self, name: &str) {
        let _ = self.name.set(name.to_owned());
    }

    /// Reads at most `max` bytes, waiting for the first one at most `wait`.
    pub(crate) fn read(&self, shared: &Shared, max: usize, wait: Duration) -> Result<Read, TransportError> {
        let until = deadline(wait);
        let mut bytes = vec![0; max.max(1)];
        loop {
            self.check()?;
            match rustix::io::read(&self.fd, &mut bytes) {
                Ok(0) => return Err(self.lost(shared, "the other end closed it".into())),
                Ok(n) => {
                    bytes.truncate(n);
                    shared.tap.read(&shared.link, &bytes);
                    return Ok(Read::Data(bytes));
                }
                Err(Errno::AGAIN) => {}
                Err(Errno::INTR) => continue,
                Err(e) => return Err(self.lost(shared, e.to_string())),
            }
            match shared.wait(Some((self.fd.as_fd(), PollFlags::IN)), until) {
                Woken::Ready => {}
                Woken::Flag => return Ok(Read::Woken),
                Woken::Time => return Ok(Read::Timeout),
            }
        }
    }

    /// Writes all bytes within `wait`, or says how many went out.
    pub(crate) fn write(&self, shared: &Shared, bytes: &[u8], wait: Duration) -> Result<(), WriteError> {
        let until = deadline(wait);
        let mut written = 0;
        while written < bytes.len() {
            let error = |error| Err(WriteError { written, error });
            if let Err(e) = self.check() {
                return error(Some(e));
            }
            match rustix::io::write(&self.fd, &bytes[written..]) {
                Ok(n) => {
                    shared.tap.wrote(&shared.link, &bytes[written..written + n]);
                    written += n;
                    continue;
                }
                Err(Errno::AGAIN) => {}
                Err(Errno::INTR) => continue,
                Err(e) => return error(Some(self.lost(shared, e.to_string()))),
            }
            // Work that waits does not stop a write half way: only the end of the call does.
            let woken = if shared.deadline().is_some() {
                shared.wait(Some((self.fd.as_fd(), PollFlags::OUT)), until)
            } else {
                crate::wake::wait_for(self.fd.as_fd(), PollFlags::OUT, until)
            };
            if woken != Woken::Ready {
                return error(None);
            }
        }
        Ok(())
    }

    /// A descriptor of its own for the plugin, close-on-exec; who asks for it owns it.
    pub(crate) fn duplicate(&self) -> Result<RawFd, TransportError> {
        self.check()?;
        rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)
            .map(IntoRawFd::into_raw_fd)
            .map_err(|e| self.error(format!("its descriptor cannot be duplicated: {e}")))
    }

    fn check(&self) -> Result<(), TransportError> {
        match lock(&self.gone).as_ref() {
            Some(detail) => Err(self.error(detail.clone())),
            None => Ok(()),
        }
    }

    fn lost(&self, shared: &Shared, detail: String) -> TransportError {
        shared.tap.note(&shared.link, &detail);
        *lock(&self.gone) = Some(detail.clone());
        self.error(detail)
    }

    fn error(&self, detail: String) -> TransportError {
        TransportError::Gone { name: self.name.get().map_or("transport", String::as_str).to_owned(), detail }
    }
}

/// A point in time that far away; a wait without end is a long one.
pub(crate) fn deadline(wait: Duration) -> Instant {
    let now = Instant::now();
    let day = Duration::from_hours(24);
    now.checked_add(wait.min(day)).unwrap_or(now)
}

//! A flag that can be waited for together with a transport.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

/// An eventfd used as a flag.
#[derive(Debug)]
pub(crate) struct Flag(OwnedFd);

impl Flag {
    pub(crate) fn new() -> rustix::io::Result<Self> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Self)
    }

    /// Raises it.
    pub(crate) fn raise(&self) {
        // Full is raised.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Lowers it.
    pub(crate) fn lower(&self) {
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}

/// What a wait ended with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The flag is raised.
    Flag,
    /// The descriptor can be used, or has an error that using it will show.
    Ready,
    /// Time is over.
    Time,
}

/// Waits for a flag, and for a descriptor if there is one, until `deadline` (`None`: without end). A ready descriptor
/// wins over the flag, so that what has come is read before a call is served.
pub(crate) fn wait(flag: &Flag, fd: Option<(BorrowedFd<'_>, PollFlags)>, deadline: Option<Instant>) -> Woken {
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let timeout = left.map(timespec);
        // Without a descriptor the flag stands in both places, and only the first is looked at.
        let (other, what) = fd.unwrap_or((flag.0.as_fd(), PollFlags::IN));
        let count = if fd.is_some() { 2 } else { 1 };
        let mut fds =
            [PollFd::from_borrowed_fd(flag.0.as_fd(), PollFlags::IN), PollFd::from_borrowed_fd(other, what)];
        match poll(&mut fds[..count], timeout.as_ref()) {
            Ok(0) => return Woken::Time,
            Ok(_) if count == 2 && !fds[1].revents().is_empty() => return Woken::Ready,
            Ok(_) => return Woken::Flag,
            Err(Errno::INTR) => {}
            // Out of kernel memory: try again a little later.
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// Waits for a descriptor alone.
pub(crate) fn wait_for(fd: BorrowedFd<'_>, what: PollFlags, deadline: Instant) -> Woken {
    loop {
        let timeout = timespec(deadline.saturating_duration_since(Instant::now()));
        let mut fds = [PollFd::from_borrowed_fd(fd, what)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Woken::Time,
            Ok(_) => return Woken::Ready,
            Err(Errno::INTR) => {}
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

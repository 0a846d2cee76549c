//! A host process: its end, and the last lines it wrote.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};

use crate::error::FailureKind;
use crate::redact::{MAX_LINE, redact};

/// Lines that are kept.
const KEEP: usize = 20;
/// Bytes a second that are read of a host's standard error; one that writes more waits.
const BYTES_PER_SECOND: usize = 64 * 1024;

/// A running or ended host process. Killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    ended: AsyncFd<OwnedFd>,
    status: Option<ExitStatus>,
    pub(super) tail: Tail,
}

impl Process {
    pub(super) fn new(mut child: Child) -> io::Result<Self> {
        let watch = |child: &mut Child| -> io::Result<_> {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            let pid = pid.ok_or_else(|| io::Error::other("a process without an id"))?;
            let ended = watched(pidfd_open(pid, PidfdFlags::empty())?)?;
            let stderr = child.stderr.take().map(OwnedFd::from);
            let stderr = stderr.map(pipe::Receiver::from_owned_fd).transpose()?;
            Ok((ended, Tail::new(stderr)))
        };
        match watch(&mut child) {
            Ok((ended, tail)) => Ok(Self { child, ended, status: None, tail }),
            Err(e) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(e)
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end (true), or for a line of it (false). Cancel safe.
    pub(super) async fn turn(&mut self) -> bool {
        tokio::select! {
            // The descriptor stays readable once the process has ended.
            _ = self.ended.readable() => true,
            () = self.tail.fill() => false,
        }
    }

    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Its status, once it has ended; waits a little for a process that was killed.
    pub(super) async fn status(&mut self, patience: Duration) -> Option<ExitStatus> {
        if self.status.is_none() {
            let _ = tokio::time::timeout(patience, self.ended.readable()).await;
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }
}

/// A descriptor in tokio's poller.
#[allow(unsafe_code)]
pub(crate) fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` gives the same, open descriptor for as long as it lives, and `AsyncFd` owns it.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.child.kill();
            // A killed process ends at once, unless it hangs in a driver of the kernel: then somebody else waits.
            if !matches!(self.child.try_wait(), Ok(Some(_))) {
                let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
                let _ = std::thread::Builder::new().name("till-reap".into()).stack_size(64 * 1024).spawn(
                    move || {
                        let _ = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
                    },
                );
            }
        }
    }
}

/// How a process ended, in words.
pub(super) fn describe(status: ExitStatus) -> (FailureKind, String) {
    match (status.code(), status.signal()) {
        (_, Some(signal)) => {
            let name = match signal {
                libc::SIGSEGV => " (SIGSEGV: it touched memory that is not its own)",
                libc::SIGABRT => " (SIGABRT: it gave up)",
                libc::SIGBUS => " (SIGBUS)",
                libc::SIGILL => " (SIGILL: built for another processor?)",
                libc::SIGFPE => " (SIGFPE)",
                libc::SIGKILL => " (SIGKILL: by hand, or by the kernel for want of memory)",
                libc::SIGTERM => " (SIGTERM: by hand)",
                libc::SIGSYS => " (SIGSYS: a forbidden system call)",
                _ => "",
            };
            (FailureKind::Signalled(signal), format!("its process was ended by signal {signal}{name}"))
        }
        (Some(code), None) => {
            (FailureKind::Exited(code), format!("its process exited by itself with status {code}"))
        }
        (None, None) => (FailureKind::Exited(-1), "its process ended in an unknown way".into()),
    }
}

/// The last lines of a host's standard error.
#[derive(Debug)]
pub(super) struct Tail {
    pipe: Option<pipe::Receiver>,
    partial: Vec<u8>,
    lines: VecDeque<String>,
    window: Instant,
    read: usize,
}

impl Tail {
    fn new(pipe: Option<pipe::Receiver>) -> Self {
        Self { pipe, partial: Vec::new(), lines: VecDeque::new(), window: Instant::now(), read: 0 }
    }

    /// Waits for something to read and reads it. Cancel safe.
    pub(super) async fn fill(&mut self) {
        let Some(pipe) = &self.pipe else { return std::future::pending().await };
        if self.read >= BYTES_PER_SECOND {
            sleep_until(self.window + Duration::from_secs(1)).await;
            self.window = Instant::now();
            self.read = 0;
        }
        if pipe.readable().await.is_err() {
            self.pipe = None;
            return;
        }
        self.drain_some();
    }

    fn drain_some(&mut self) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let mut bytes = [0; 4096];
        match pipe.try_read(&mut bytes) {
            Ok(0) => {
                self.pipe = None;
                false
            }
            Ok(n) => {
                self.read += n;
                self.add(&bytes[..n]);
                true
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => false,
            Err(_) => {
                self.pipe = None;
                false
            }
        }
    }

    /// Reads the rest after the end, at most a second's worth.
    pub(super) fn drain(&mut self) {
        self.read = 0;
        while self.read < BYTES_PER_SECOND && self.drain_some() {}
        let rest = std::mem::take(&mut self.partial);
        self.line(&rest);
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.partial);
                self.line(&line);
            } else if self.partial.len() < 4 * MAX_LINE {
                self.partial.push(*byte);
            }
        }
    }

    fn line(&mut self, bytes: &[u8]) {
        let line = redact(String::from_utf8_lossy(bytes).trim_end(), MAX_LINE);
        if line.is_empty() {
            return;
        }
        if self.lines.len() == KEEP {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The lines, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_last_lines_are_kept_and_they_are_clean() {
        let mut tail = Tail::new(None);
        for n in 0..100 {
            tail.add(format!("line {n}\n").as_bytes());
        }
        tail.add(b"pan 6200000000000005\n\n\xff\xfe\n");
        tail.add(&vec![b'x'; 100_000]);
        tail.drain();
        let lines = tail.lines();
        assert_eq!(lines.len(), KEEP);
        assert_eq!(lines[KEEP - 3], "pan 62**********0005");
        assert!(lines.iter().all(|l| l.len() <= MAX_LINE));
    }
}

//! The socket to the daemon: frames out from any thread, bytes in for one.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use till_plugin::host::Level;
use till_plugin::proto::{FrameError, FromHost, encode_frame};

use crate::{end, exit};

/// Longest log line that is passed on, bytes.
const MAX_LOG: usize = 1024;

/// The sending side. Writes block while the daemon reads slower than the plugin talks: that is the back-pressure.
#[derive(Clone)]
pub(crate) struct Link {
    socket: Arc<Mutex<UnixStream>>,
}

/// Takes the inherited descriptor.
#[allow(unsafe_code)]
pub(crate) fn open(fd: RawFd) -> io::Result<(Link, UnixStream)> {
    // SAFETY: the daemon passed this descriptor for us alone; nothing else in this process uses it. That it is open is
    // checked by the first call on it.
    let socket = UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
    debug_assert_eq!(socket.as_raw_fd(), fd);
    socket.set_nonblocking(false)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    let input = socket.try_clone()?;
    Ok((Link { socket: Arc::new(Mutex::new(socket)) }, input))
}

impl Link {
    /// Sends a frame. A reply that is too long becomes an error reply; a daemon that is gone ends this process.
    pub(crate) fn send(&self, message: &FromHost) {
        if let Err(FrameError::TooBig { length }) = self.try_send(message) {
            let instead = match message {
                FromHost::Reply { id, .. } => FromHost::Reply {
                    id: *id,
                    result: Err(till_plugin::PluginError::new(
                        till_plugin::ErrorCode::Internal,
                        format!("the plugin's reply of {length} bytes does not fit into a frame"),
                    )),
                },
                _ => FromHost::Log {
                    level: Level::Error,
                    message: format!("a message of {length} bytes does not fit into a frame; dropped"),
                },
            };
            let _ = self.try_send(&instead);
        }
    }

    /// Sends a frame if that neither waits nor makes anybody else wait; false: it was given up. For what may be lost.
    pub(crate) fn offer(&self, message: &FromHost) -> bool {
        let Ok(frame) = encode_frame(message) else { return false };
        let Ok(mut socket) = self.socket.try_lock() else { return false };
        // The kernel calls a stream socket writable while three quarters of its buffer are free: room for this frame.
        let now = Some(&Timespec { tv_sec: 0, tv_nsec: 0 });
        let free = {
            let mut fds = [PollFd::new(&*socket, PollFlags::OUT)];
            poll(&mut fds, now).is_ok_and(|n| n > 0) && fds[0].revents().contains(PollFlags::OUT)
        };
        if free && socket.write_all(&frame).is_err() {
            end(exit::LINK);
        }
        free
    }

    fn try_send(&self, message: &FromHost) -> Result<(), FrameError> {
        let frame = encode_frame(message)?;
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if socket.write_all(&frame).is_err() {
            end(exit::LINK);
        }
        Ok(())
    }

    /// Sends a log line, cut.
    pub(crate) fn log(&self, level: Level, line: &str) {
        let mut message: String = line.chars().take(MAX_LOG).collect();
        while message.len() > MAX_LOG {
            message.pop();
        }
        self.send(&FromHost::Log { level, message });
    }

    /// Sends a long text as debug lines.
    pub(crate) fn log_debug(&self, text: &str) {
        for line in text.lines().take(2000) {
            self.log(Level::Debug, line);
        }
    }
}

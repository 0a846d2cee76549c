//! The daemon's end of a host's socket.

use std::io;
use std::os::unix::net::UnixStream as StdStream;

use till_plugin::proto::{FrameBuffer, FrameError, FromHost, ToHost, encode_frame};
use tokio::io::Interest;
use tokio::net::UnixStream;
use zeroize::Zeroize;

/// Frames in and out, without ever waiting for one while the other could go on.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    input: FrameBuffer,
    output: Vec<u8>,
    sent: usize,
    scratch: Box<[u8; 16 * 1024]>,
    closed: bool,
}

impl Link {
    pub(super) fn new(stream: StdStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: UnixStream::from_std(stream)?,
            input: FrameBuffer::new(),
            output: Vec::new(),
            sent: 0,
            scratch: Box::new([0; 16 * 1024]),
            closed: false,
        })
    }

    /// Queues a frame and sends what goes out at once.
    pub(super) fn send(&mut self, message: &ToHost) -> Result<(), FrameError> {
        let frame = encode_frame(message)?;
        self.output.extend_from_slice(&frame);
        self.write();
        Ok(())
    }

    /// The next whole message.
    pub(super) fn take(&mut self) -> Result<Option<FromHost>, FrameError> {
        self.input.take()
    }

    /// The host has closed its end.
    pub(super) const fn closed(&self) -> bool {
        self.closed
    }

    /// Whether the stream ended inside a frame.
    pub(super) fn finish(&self) -> Result<(), FrameError> {
        self.input.finish()
    }

    /// Waits until bytes can go one way or the other, and moves them. Cancel safe.
    pub(super) async fn turn(&mut self) {
        if self.closed {
            return std::future::pending().await;
        }
        let writing = self.sent < self.output.len();
        let interest = if writing { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        match self.stream.ready(interest).await {
            Ok(ready) => {
                if ready.is_readable() || ready.is_error() {
                    self.read();
                }
                if ready.is_writable() {
                    self.write();
                }
            }
            Err(_) => self.closed = true,
        }
    }

    /// Reads what is there.
    pub(super) fn read(&mut self) -> usize {
        match self.stream.try_read(&mut self.scratch[..]) {
            Ok(0) => {
                self.closed = true;
                0
            }
            Ok(n) => {
                self.input.push(&self.scratch[..n]);
                self.scratch[..n].zeroize();
                n
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(_) => {
                self.closed = true;
                0
            }
        }
    }

    fn write(&mut self) {
        while self.sent < self.output.len() {
            match self.stream.try_write(&self.output[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // The host is gone, which reading will tell, behind its last words. Whoever went on trying would never wait,
                // and so never be told.
                Err(_) => break,
            }
        }
        self.output.zeroize();
        self.sent = 0;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// One thread does everything here: a task that never waits is never told that the host is gone.
    #[tokio::test]
    async fn what_cannot_be_sent_to_a_dead_host_does_not_keep_anybody_busy() {
        let (ours, host) = StdStream::pair().unwrap();
        let mut link = Link::new(ours).unwrap();
        link.send(&ToHost::Ping { nonce: 1 }).unwrap();
        // Known to be writable from here on.
        link.turn().await;
        drop(host);
        link.send(&ToHost::Ping { nonce: 2 }).unwrap();
        let mut turns = 0;
        while !link.closed() && turns < 100 {
            link.turn().await;
            turns += 1;
        }
        assert!(link.closed(), "after {turns} turns nobody knows");
    }
}

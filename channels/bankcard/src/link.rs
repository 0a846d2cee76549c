//! One short connection to the host: blocking, and every step within a deadline.
//!
//! What matters most here is the difference between "no byte of the request left" and anything else, because only the
//! first lets a sale be tried elsewhere (channels.md §0.1).

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// No connection: nothing of the request left this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no connection to {address}: {what}")]
pub struct DialError {
    /// Where to.
    pub address: String,
    /// What the system said, and for TLS what is wrong with the certificate.
    pub what: String,
}

/// A request that did not go out whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sent {written} bytes, then {what}")]
pub struct SendError {
    /// Bytes that the system took; with 0 nothing left this machine.
    pub written: usize,
    /// What the system said.
    pub what: String,
}

/// What a wait for bytes gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// This many bytes are in the buffer.
    Bytes(usize),
    /// Nothing came in time.
    Nothing,
    /// The host closed, or the connection broke.
    Closed(String),
}

/// A connection.
pub trait Line {
    /// Sends everything before `deadline`.
    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), SendError>;
    /// Waits for bytes until `until` at the latest.
    fn receive(&mut self, buffer: &mut [u8], until: Instant) -> Received;
}

/// Something that makes connections.
pub trait Dialer: Send + Sync {
    /// Connects before `deadline`.
    fn dial(&self, deadline: Instant) -> Result<Box<dyn Line>, DialError>;
}

/// Plain TCP, for private lines and simulators.
#[derive(Debug, Clone)]
pub struct TcpDialer {
    /// `host:port`.
    pub address: String,
}

impl TcpDialer {
    /// A connected socket, the first of the address's that answers.
    pub(crate) fn connect(&self, deadline: Instant) -> Result<TcpStream, DialError> {
        let failed = |what: String| DialError { address: self.address.clone(), what };
        let addresses = self.address.to_socket_addrs().map_err(|error| failed(error.to_string()))?;
        let mut last = String::from("the name has no address");
        for address in addresses {
            let Some(left) = time_left(deadline) else {
                return Err(failed("no time left to connect".into()));
            };
            match TcpStream::connect_timeout(&address, left) {
                Ok(socket) => {
                    // Without it a small frame may wait for an acknowledgement that the host delays.
                    socket.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
                    return Ok(socket);
                }
                Err(error) => last = error.to_string(),
            }
        }
        Err(failed(last))
    }
}

impl Dialer for TcpDialer {
    fn dial(&self, deadline: Instant) -> Result<Box<dyn Line>, DialError> {
        Ok(Box::new(TcpLine(self.connect(deadline)?)))
    }
}

struct TcpLine(TcpStream);

impl Line for TcpLine {
    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), SendError> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match write_some(&mut self.0, deadline, |socket| socket.write(rest)) {
                Ok(count) => written += count,
                Err(what) => return Err(SendError { written, what }),
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], until: Instant) -> Received {
        match read_some(&mut self.0, until, |socket| socket.read(buffer)) {
            Ok(Some(0)) => Received::Closed("the host closed the connection".into()),
            Ok(Some(count)) => Received::Bytes(count),
            Ok(None) => Received::Nothing,
            Err(what) => Received::Closed(what),
        }
    }
}

/// Time until `deadline`; `None` when it has passed (a socket takes a zero timeout for "for ever").
pub(crate) fn time_left(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| *left >= Duration::from_millis(1))
}

/// One write that took at least a byte.
pub(crate) fn write_some(
    socket: &mut TcpStream,
    deadline: Instant,
    mut write: impl FnMut(&mut TcpStream) -> io::Result<usize>,
) -> Result<usize, String> {
    loop {
        let left = time_left(deadline).ok_or("the host took no more bytes in time")?;
        socket.set_write_timeout(Some(left)).map_err(|error| error.to_string())?;
        match write(socket) {
            Ok(0) => return Err("the connection takes no bytes".into()),
            Ok(count) => return Ok(count),
            Err(error) if again(&error) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// One read: a count (0: end of the stream), or `None` when time ran out.
pub(crate) fn read_some(
    socket: &mut TcpStream,
    until: Instant,
    mut read: impl FnMut(&mut TcpStream) -> io::Result<usize>,
) -> Result<Option<usize>, String> {
    loop {
        let Some(left) = time_left(until) else { return Ok(None) };
        socket.set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
        match read(socket) {
            Ok(count) => return Ok(Some(count)),
            Err(error) if again(&error) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(200)
    }

    #[test]
    fn a_closed_port_is_a_dial_error_that_names_the_address() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let error = TcpDialer { address: address.clone() }.dial(soon()).err().unwrap();
        assert_eq!(error.address, address);
    }

    #[test]
    fn a_deadline_that_has_passed_dials_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert!(TcpDialer { address }.dial(Instant::now()).is_err());
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "somebody connected");
    }

    #[test]
    fn a_host_that_stops_reading_ends_in_a_partial_write_not_in_a_hang() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dialer = TcpDialer { address: listener.local_addr().unwrap().to_string() };
        let mut line = dialer.dial(soon()).unwrap();
        let _held = listener.accept().unwrap();
        let error = line.send(&vec![0; 64 << 20], soon()).unwrap_err();
        assert!(error.written > 0, "{error}");
    }

    #[test]
    fn silence_and_close_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dialer = TcpDialer { address: listener.local_addr().unwrap().to_string() };
        let mut line = dialer.dial(soon()).unwrap();
        let (host, _) = listener.accept().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(line.receive(&mut buffer, Instant::now() + Duration::from_millis(20)), Received::Nothing);
        drop(host);
        assert!(matches!(line.receive(&mut buffer, soon()), Received::Closed(_)));
    }
}

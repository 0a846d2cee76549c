//! TCP and unix sockets.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout as within;

use super::{OpenError, Opened};

/// Connects within `limit`, without Nagle's delay, and kept alive so that a dead end is noticed in about 25 s.
pub(super) async fn tcp(address: &str, limit: Duration) -> Result<Opened, OpenError> {
    let unreachable =
        |e: &io::Error| OpenError::Address { address: address.to_owned(), detail: e.to_string() };
    let stream = match within(limit, TcpStream::connect(address)).await {
        Err(_) => return Err(OpenError::Silent { address: address.to_owned(), timeout: limit }),
        Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(OpenError::Refused { address: address.to_owned() });
        }
        Ok(Err(e)) if e.kind() == io::ErrorKind::TimedOut => {
            return Err(OpenError::Silent { address: address.to_owned(), timeout: limit });
        }
        Ok(Err(e)) => return Err(unreachable(&e)),
        Ok(Ok(stream)) => stream,
    };
    let stream = stream.into_std().map_err(|e| unreachable(&e))?;
    let keep_alive = || -> rustix::io::Result<()> {
        let fd = stream.as_fd();
        sockopt::set_tcp_nodelay(fd, true)?;
        sockopt::set_socket_keepalive(fd, true)?;
        sockopt::set_tcp_keepidle(fd, Duration::from_secs(10))?;
        sockopt::set_tcp_keepintvl(fd, Duration::from_secs(5))?;
        sockopt::set_tcp_keepcnt(fd, 3)
    };
    keep_alive().map_err(|e| unreachable(&e.into()))?;
    Ok(OwnedFd::from(stream).into())
}

/// Connects to a simulated device. One that gives reports keeps them apart, as a hidraw node does.
pub(super) async fn unix(path: &Path, packets: bool, limit: Duration) -> Result<Opened, OpenError> {
    if packets {
        // The connection is made at once or not at all: a unix socket has no network in between.
        return seqpacket(path).map(Opened::from).map_err(|e| OpenError::file(path, &e));
    }
    match within(limit, UnixStream::connect(path)).await {
        Err(_) => Err(OpenError::Silent { address: path.display().to_string(), timeout: limit }),
        Ok(Err(e)) => Err(OpenError::file(path, &e)),
        Ok(Ok(stream)) => {
            let stream = stream.into_std().map_err(|e| OpenError::file(path, &e))?;
            Ok(OwnedFd::from(stream).into())
        }
    }
}

fn seqpacket(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Two ends over which packets stay packets; both non-blocking.
pub(super) fn packet_pair() -> io::Result<(std::os::unix::net::UnixStream, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    Ok((ours.into(), theirs))
}

/// Sets `O_NONBLOCK`.
pub(super) fn non_blocking(fd: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?)
}

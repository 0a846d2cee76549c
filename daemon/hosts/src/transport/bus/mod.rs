//! I2C and SPI: tilld has the bus, the plugin has one address or one chip select of it, and sends transactions
//! ([`till_plugin::bus`]) over a socket of packets. The node itself would lead to every chip on the bus, the one that makes the
//! board's voltages among them, and no sandbox tells addresses behind a pointer apart.
//!
//! `i2c`, `spi`: the kernel's side; `pump`: packets to transactions and back.

mod i2c;
mod pump;
mod spi;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use till_plugin::bus::{Cause, Fault, Request};
use zeroize::Zeroizing;

use super::net::packet_pair;
use super::{Held, OpenError, Opened};

pub(super) use i2c::open as i2c;
pub(super) use spi::open as spi;

/// What a bus does. Blocking.
trait Wire: Send + 'static {
    /// One transaction; all that was read.
    fn run(&mut self, request: &Request) -> Result<Zeroizing<Vec<u8>>, WireError>;
}

/// Why a transaction did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum WireError {
    /// The plugin is told.
    Fault(Fault),
    /// The adapter was taken out, or its driver unloaded: the line ends.
    Gone(String),
}

impl WireError {
    fn refused(text: impl Into<String>) -> Self {
        Self::Fault(Fault { cause: Cause::Refused, text: text.into() })
    }
}

/// Whether an open file is a character device of the kernel's driver with this major number, whatever its name is.
fn check_kind(path: &Path, file: &File, major: u32, expected: &'static str) -> Result<(), OpenError> {
    let meta = file.metadata().map_err(|e| OpenError::file(path, &e))?;
    if meta.file_type().is_char_device() && rustix::fs::major(meta.rdev()) == major {
        return Ok(());
    }
    Err(OpenError::Kind { path: path.into(), expected })
}

/// A line whose other end is the bus.
fn line(path: PathBuf, wire: impl Wire) -> std::io::Result<Opened> {
    let (ours, theirs) = packet_pair()?;
    let ours = OwnedFd::from(ours);
    let flags = rustix::fs::fcntl_getfl(&ours)?;
    rustix::fs::fcntl_setfl(&ours, flags - rustix::fs::OFlags::NONBLOCK)?;
    let ours = std::sync::Arc::new(ours);
    let hold = ours.clone();
    // A thread, not a task: each transaction holds it as long as the bus takes.
    std::thread::Builder::new().name("bus".into()).spawn(move || {
        let ended = pump::run(&ours, wire);
        if let Err(reason) = ended {
            tracing::warn!(device = %path.display(), "{reason}");
        }
        // The other end is told, whoever else still holds this one.
        let _ended = rustix::net::shutdown(&*ours, rustix::net::Shutdown::Both);
    })?;
    Ok(Opened { fd: theirs, held: Held::Bus { _line: Line(hold) } })
}

/// Ends the line when dropped.
pub(super) struct Line(std::sync::Arc<OwnedFd>);

impl Drop for Line {
    fn drop(&mut self) {
        let _ended = rustix::net::shutdown(&*self.0, rustix::net::Shutdown::Both);
    }
}

//! Hands at the till: codes scanned on a serial line, cards swiped through a keyboard-wedge reader.
//!
//! ```no_run
//! use till_simulators::players::{ReaderSocket, Scan, ScanFault, ScannerPty, Swipe, SwipeFault};
//!
//! let scanner = ScannerPty::open(None)?;
//! println!("the till opens {}", scanner.path().display());
//! scanner.scan(&Scan::new("6212345678901234567").with(ScanFault::Double { gap_ms: 300 }))?;
//!
//! let reader = ReaderSocket::listen("/tmp/reader.sock".as_ref())?;
//! reader.swipe(&Swipe::new(";6200000000000005=29122010000000000?").with(SwipeFault::Half { chars: 12 }))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod control;
pub mod event;
pub mod keymap;
mod reader;
pub mod recording;
mod scanner;
mod swipe;
#[cfg(test)]
mod tests;

pub use event::InputEvent;
pub use reader::ReaderSocket;
pub use recording::{Chunk, Direction, Recording, RecordingError};
pub use scanner::{Scan, ScanFault, ScannerPty};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
pub use swipe::{Swipe, SwipeFault, Untypeable};
use thiserror::Error;

/// A simulated device that cannot be set up or reached.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// Opening or talking failed.
    #[error("{}: {source}", path.display())]
    Open {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody serves there already.
    #[error("{} is in use by a running simulator; end it or choose another path", path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Something that is no left-over of ours.
    #[error("{} exists and is neither a link nor a socket; choose another path", path.display())]
    NotOurs {
        /// Where.
        path: PathBuf,
    },
    /// The device took the order and said no.
    #[error("the device refused: {text}")]
    Refused {
        /// Its words.
        text: String,
    },
}

/// A path made by a simulator: removed when the guard is dropped.
#[derive(Debug)]
pub struct LinkGuard(PathBuf);

impl LinkGuard {
    /// Makes room at `path` for a device of another module.
    pub(crate) fn replacing(path: &Path) -> Result<Self, DeviceError> {
        Self::replace(path)
    }

    /// Makes room at `path`: removes a link or socket left behind, nothing else.
    fn replace(path: &Path) -> Result<Self, DeviceError> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_symlink() || found.file_type().is_socket() => {
                std::fs::remove_file(path)
                    .map_err(|source| DeviceError::Open { path: path.to_owned(), source })?;
            }
            Ok(_) => return Err(DeviceError::NotOurs { path: path.to_owned() }),
            Err(_) => {}
        }
        Ok(Self(path.to_owned()))
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for LinkGuard {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = std::fs::remove_file(&self.0);
    }
}

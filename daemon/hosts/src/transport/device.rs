//! Character devices that are opened and passed on.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::{OpenError, Opened};

/// Opens a device file for reading and writing, non-blocking.
pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(
            rustix::fs::OFlags::NONBLOCK.bits().cast_signed()
                | rustix::fs::OFlags::NOCTTY.bits().cast_signed(),
        )
        .open(path)
        .map_err(|e| OpenError::file(path, &e))?;
    let kind = file.metadata().map_err(|e| OpenError::file(path, &e))?.file_type();
    if !kind.is_char_device() {
        return Err(OpenError::Kind { path: path.into(), expected: "character device" });
    }
    Ok(OwnedFd::from(file).into())
}

//! Input devices that type: grabbed before anything is read, so that a swipe never reaches a console or a desktop.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evdev::raw_stream::RawDevice;
use tokio::time::sleep;

use super::{Held, OpenError, Opened};

/// A node appears before udev has set its permissions: tried this often, this far apart.
const PERMISSION_TRIES: u32 = 5;
const PERMISSION_PAUSE: Duration = Duration::from_millis(100);

/// How long keys may stay down before the grab is given up.
const KEYS_TRIES: u32 = 100;
const KEYS_PAUSE: Duration = Duration::from_millis(20);

/// Opens and grabs all nodes of a device; the first is the one that is read.
pub(super) async fn open(path: &Path, also: &[PathBuf]) -> Result<Opened, OpenError> {
    let first = grab(path).await?;
    let fd = first.as_fd().try_clone_to_owned().map_err(|e| OpenError::file(path, &e))?;
    super::net::non_blocking(&fd).map_err(|e| OpenError::file(path, &e))?;
    let mut devices = vec![first];
    for node in also {
        devices.push(grab(node).await?);
    }
    Ok(Opened { fd, held: Held::Grabs { _devices: devices } })
}

async fn grab(path: &Path) -> Result<RawDevice, OpenError> {
    let mut tries = 0;
    let mut device = loop {
        match RawDevice::open(path) {
            Ok(device) => break device,
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied && tries < PERMISSION_TRIES => {
                tries += 1;
                sleep(PERMISSION_PAUSE).await;
            }
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::NOTTY.raw_os_error()) => {
                return Err(OpenError::Kind { path: path.into(), expected: "input device" });
            }
            Err(e) => return Err(OpenError::file(path, &e)),
        }
    };
    // A key that is down while the owner changes stays down for the old owner: its release goes to us.
    for _ in 0..KEYS_TRIES {
        let held = device.get_key_state().map_err(|e| OpenError::file(path, &e))?;
        if held.iter().next().is_none() {
            device.grab().map_err(|e| OpenError::file(path, &e))?;
            return Ok(device);
        }
        sleep(KEYS_PAUSE).await;
    }
    Err(OpenError::KeysHeld { path: path.into() })
}

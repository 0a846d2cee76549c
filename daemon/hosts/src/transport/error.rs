//! Why a transport could not be opened, with the fix in the text.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::RecordingError;

/// Why a transport could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is no such file.
    #[error("{path} is not there: plug the device in, or correct the path in tilld.toml")]
    Missing {
        /// What.
        path: PathBuf,
    },
    /// May not be opened.
    #[error("{path} may not be opened by this service: {fix}")]
    Permission {
        /// What.
        path: PathBuf,
        /// What to do.
        fix: String,
    },
    /// Somebody else has it.
    #[error(
        "{path} is in use by another program ({detail}): stop that program, or give this device another port"
    )]
    Busy {
        /// What.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// Not the kind of file it should be.
    #[error("{path} is not a {expected}: correct the path in tilld.toml")]
    Kind {
        /// What.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// No GPIO chip has this label.
    #[error(
        "no GPIO chip is labelled {label:?}; there are: {there}. Correct `chip` in tilld.toml (`gpiodetect` shows labels)"
    )]
    NoChip {
        /// Asked for.
        label: String,
        /// What there is.
        there: String,
    },
    /// Several GPIO chips have this label.
    #[error(
        "several GPIO chips are labelled {label:?} ({there}): name one as {{ kind = \"char-device\", path = \"/dev/gpiochipN\" }}"
    )]
    ManyChips {
        /// Asked for.
        label: String,
        /// Which.
        there: String,
    },
    /// The port does not do this speed.
    #[error("{path} does not do {baud} bit/s: correct `baud` in tilld.toml")]
    Baud {
        /// What.
        path: PathBuf,
        /// Speed asked for.
        baud: u32,
    },
    /// The other end refused.
    #[error("{address} refuses the connection: is the device switched on, and is the port right?")]
    Refused {
        /// Where.
        address: String,
    },
    /// The other end does not answer.
    #[error("{address} does not answer within {timeout:?}: is the device switched on and on this network?")]
    Silent {
        /// Where.
        address: String,
        /// How long.
        timeout: Duration,
    },
    /// The address is none.
    #[error("{address:?} is not reachable: {detail}; write host:port, such as 192.168.1.50:9100")]
    Address {
        /// Where.
        address: String,
        /// What the system said.
        detail: String,
    },
    /// Keys of the input device are held down; grabbing now would leave them down for the console.
    #[error("{path} has keys held down: release them; grabbing it now would leave them stuck on the console")]
    KeysHeld {
        /// What.
        path: PathBuf,
    },
    /// No USB printer is plugged in, or not this one.
    #[error(
        "no {wanted} is plugged in; USB printers (class 07) there are: {there}. Switch it on, or correct `id` and `serial`"
    )]
    NoUsbPrinter {
        /// What was looked for.
        wanted: String,
        /// What there is.
        there: String,
    },
    /// A USB device that cannot be driven as a printer.
    #[error("{path} cannot be driven as a USB printer: {detail}; use its serial or network port")]
    NoPrinter {
        /// Which.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// No USB card reader is plugged in, or not this one.
    #[error(
        "no {wanted} is plugged in; USB card readers (class 0B) there are: {there}. Plug it in, or correct `id` and `serial`"
    )]
    NoUsbReader {
        /// What was looked for.
        wanted: String,
        /// What there is.
        there: String,
    },
    /// A USB device that cannot be driven as a card reader.
    #[error("{path} cannot be driven as a USB card reader: {detail}")]
    NoReader {
        /// Which.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// udev has nothing that fits.
    #[error("no device matches {wanted}; plugged in? the plugin knows: {known}")]
    NoDevice {
        /// What was looked for.
        wanted: String,
        /// The plugin's match tables.
        known: String,
    },
    /// What fits is kept from tilld.
    #[error(
        "udev knows a matching device, {path}, but gave it ID_TILLD_IGNORE=1: take that out of your udev rules and plug \
         the device in again, or remove the device from tilld.toml"
    )]
    Ignored {
        /// Which.
        path: PathBuf,
    },
    /// What fits is of a kind that the plugin cannot use.
    #[error(
        "{path} matches, but it is a {kind} transport, which the plugin cannot use: set the device to another mode \
         (serial port or keyboard), or use another plugin"
    )]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Its kind.
        kind: &'static str,
    },
    /// More than one device fits.
    #[error("several devices match: {nodes}; {fix}")]
    Several {
        /// Which, with what tells them apart.
        nodes: String,
        /// What to write.
        fix: String,
    },
    /// Another device of this till has it.
    #[error(
        "{path} is already used by device {device}: give each of the two its own in tilld.toml (by `properties` or `path`)"
    )]
    Taken {
        /// What.
        path: PathBuf,
        /// Who.
        device: String,
    },
    /// There is no udev.
    #[error(
        "{path} is not there, so udev does not run here: start systemd-udevd, or name the device's port in tilld.toml"
    )]
    NoUdev {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The recording is wrong.
    #[error("{path}: {error}")]
    Recording {
        /// Which.
        path: PathBuf,
        /// Why.
        error: RecordingError,
    },
    /// Anything else.
    #[error("{path} could not be opened: {detail}")]
    Other {
        /// What.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
}

impl OpenError {
    /// From a system error on a file.
    pub(super) fn file(path: &Path, e: &io::Error) -> Self {
        let path = path.to_path_buf();
        let errno = e.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
        match (e.kind(), errno) {
            (io::ErrorKind::NotFound, _) | (_, Some(rustix::io::Errno::NXIO | rustix::io::Errno::NODEV)) => {
                Self::Missing { path }
            }
            // Modes refuse with EACCES; this is the unit's list of devices.
            (_, Some(rustix::io::Errno::PERM)) => Self::Permission { fix: UNIT_FIX.into(), path },
            (io::ErrorKind::PermissionDenied, _) => Self::Permission { fix: permission_fix(&path), path },
            (io::ErrorKind::ResourceBusy, _) => Self::Busy { path, detail: e.to_string() },
            (io::ErrorKind::ConnectionRefused, _) => Self::Refused { address: path.display().to_string() },
            (_, Some(rustix::io::Errno::NOTTY)) => Self::Kind { path, expected: "serial port or terminal" },
            _ => Self::Other { path, detail: e.to_string() },
        }
    }
}

const UNIT_FIX: &str = "its unit allows no such device; if `systemctl cat tilld` has no DeviceAllow= for this kind (/proc/devices \
                        has the kinds' names), add one in a drop-in (systemctl edit tilld); then `systemctl restart tilld`";

/// Which group would help, as a command.
fn permission_fix(path: &Path) -> String {
    let Ok(meta) = fs::metadata(path) else {
        return "the folder above it is closed to the service; check its permissions".into();
    };
    // Group 0 is no group to put a service into.
    if meta.mode() & 0o060 == 0o060 && meta.gid() != 0 {
        let group = group_name(meta.gid());
        return format!(
            "it belongs to the group {group}; add `SupplementaryGroups={group}` in a drop-in of tilld.service \
             (systemctl edit tilld), or let a udev rule give it to the group of the service"
        );
    }
    "it belongs to root alone; add a udev rule that gives it to the group of the service (tilld ships one for the devices \
     it knows), then unplug it and plug it in again"
        .into()
}

fn group_name(gid: u32) -> String {
    let known = fs::read_to_string("/etc/group").unwrap_or_default();
    known
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
        })
        .unwrap_or_else(|| gid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_unit_refuses_is_told_apart_from_what_a_mode_refuses() {
        let said =
            |errno| OpenError::file(Path::new("/dev/null"), &io::Error::from_raw_os_error(errno)).to_string();
        let (unit, mode) = (said(1), said(13));
        assert!(unit.contains("DeviceAllow=") && unit.contains("systemctl restart tilld"), "{unit}");
        assert!(!mode.contains("DeviceAllow="), "{mode}");
    }
}

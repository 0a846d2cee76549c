//! USB printers and card readers without a kernel driver. Of a printer an interface of class 07 is claimed here, and its two bulk
//! endpoints become the byte stream that the plugin gets (USB Device Class Definition for Printing Devices 1.1, 5.2.1); of a card
//! reader one of class 0B, whose messages become packets (USB CCID rev. 1.1).
//!
//! `ccid`: a card reader's line; `find`: which device; `choose`: which of its interfaces; `device`: the kernel's side (nusb); `pump`: endpoints to stream and back.

mod ccid;
mod choose;
mod device;
mod find;
mod pump;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use till_plugin::host::TransportKind;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::{Held, OpenError, Opened};

/// What a USB device is driven as.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum UsbClass {
    /// Printer, class 07.
    #[default]
    Printer,
    /// Card reader, class 0B (CCID).
    CardReader,
}

impl UsbClass {
    /// What the plugin sees it as.
    pub const fn kind(self) -> TransportKind {
        match self {
            Self::Printer => TransportKind::Usb,
            Self::CardReader => TransportKind::Ccid,
        }
    }

    /// For messages.
    const fn name(self) -> &'static str {
        match self {
            Self::Printer => "USB printer",
            Self::CardReader => "USB card reader",
        }
    }
}

/// Which USB device. All that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsbSpec {
    /// What it is.
    pub what: UsbClass,
    /// Its node in `/dev/bus/usb`; `None`: looked for.
    pub path: Option<PathBuf>,
    /// Vendor and product number.
    pub id: Option<(u16, u16)>,
    /// Serial number, as the device says it.
    pub serial: Option<String>,
}

impl UsbSpec {
    /// For messages.
    pub fn name(&self) -> String {
        if let Some(path) = &self.path {
            return path.display().to_string();
        }
        let id = self.id.map(|(vendor, product)| format!(" {vendor:04x}:{product:04x}"));
        let serial = self.serial.as_ref().map(|s| format!(" serial {s}"));
        format!("{}{}{}", self.what.name(), id.unwrap_or_default(), serial.unwrap_or_default())
    }
}

/// Why a USB device's line ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UsbError {
    /// Its node is gone.
    #[error("the device was unplugged or switched off")]
    Unplugged,
    /// It refused an endpoint (STALL). What was on its way may be half taken.
    #[error("the device stalled its {0} endpoint: switch it off and on")]
    Stalled(&'static str),
    /// Anything else on the bus. What was on its way may be half taken.
    #[error("USB transfer failed: {0}; try another cable or port")]
    Transfer(String),
    /// The plugin's end.
    #[error("the plugin's end of the line failed: {0}")]
    Line(String),
}

/// Takes bytes to the device.
pub(super) trait Sink: Send + 'static {
    /// All of them, or an error after which nobody knows how many.
    fn send(&mut self, bytes: Vec<u8>) -> impl Future<Output = Result<(), UsbError>> + Send;
}

/// Brings bytes from the device.
pub(super) trait Source: Send + 'static {
    /// The next ones; an empty packet is empty. May be dropped while it waits without losing any.
    fn receive(&mut self) -> impl Future<Output = Result<Vec<u8>, UsbError>> + Send;
    /// Bytes of a full packet: a shorter one ends a transfer.
    fn packet(&self) -> usize;
}

/// Finds, claims, and starts to pump.
pub(super) async fn open(root: &Path, spec: &UsbSpec) -> Result<Opened, OpenError> {
    let (root, wanted) = (root.to_path_buf(), spec.clone());
    let other = |detail: String| OpenError::Other { path: spec.name().into(), detail };
    // The kernel may hold a sick device for long.
    let claimed = tokio::task::spawn_blocking(move || {
        let path = match &wanted.path {
            Some(path) => path.clone(),
            None => find::find(&root, &wanted)?,
        };
        device::claim(&path, wanted.what)
    });
    let device::Claimed { sink, source, path } = claimed.await.map_err(|e| other(e.to_string()))??;
    let line = match (spec.what, source) {
        (UsbClass::Printer, source) => line(path, sink, source),
        (UsbClass::CardReader, Some(source)) => ccid::line(path, sink, source),
        (UsbClass::CardReader, None) => {
            return Err(OpenError::NoReader { path, detail: choose::NO_ANSWERS.into() });
        }
    };
    line.map_err(|e| other(e.to_string()))
}

/// A line whose other end is the device.
pub(super) fn line(path: PathBuf, sink: impl Sink, source: Option<impl Source>) -> std::io::Result<Opened> {
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = theirs.into_std()?;
    // What lies in this buffer counts as written; a printer that stops reading must be felt soon.
    let _smaller = rustix::net::sockopt::set_socket_send_buffer_size(&theirs, pump::CHUNK);
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        tokio::select! {
            ended = pump::run(ours, sink, source) => {
                if let Err(e) = ended { tracing::warn!(device = %path.display(), "{e}"); }
            }
            // Given back: the claim ends with the endpoints.
            _ = stopped => {}
        }
    });
    Ok(Opened { fd: theirs.into(), held: Held::Player { _stop: stop } })
}

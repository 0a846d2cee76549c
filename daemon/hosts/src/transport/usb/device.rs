//! The kernel's side: usbfs through nusb. Nothing here runs on a machine without USB; what decides is in `choose`, `find` and `pump`.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use nusb::transfer::{Buffer, Bulk, In, Out, TransferError};
use nusb::{Endpoint, ErrorKind, MaybeFuture};

use super::choose::{choose, choose_reader};
use super::{Sink, Source, UsbClass, UsbError};
use crate::transport::OpenError;

/// A device's endpoints. The interface stays claimed as long as one of them lives.
pub(super) struct Claimed {
    pub(super) sink: BulkOut,
    pub(super) source: Option<BulkIn>,
    pub(super) path: PathBuf,
}

/// Opens the node, takes the interface from whatever kernel driver has it (usblp, pn533_usb), and claims it. Never sets the configuration:
/// usbfs refuses that as soon as anything is claimed. Blocking.
pub(super) fn claim(path: &Path, what: UsbClass) -> Result<Claimed, OpenError> {
    let failed = |e: nusb::Error| told(path, &e);
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| OpenError::file(path, &e))?;
    let device = nusb::Device::from_fd(file.into()).wait().map_err(failed)?;
    let refused = |detail: &str| {
        let (path, detail) = (path.into(), detail.to_owned());
        match what {
            UsbClass::Printer => OpenError::NoPrinter { path, detail },
            UsbClass::CardReader => OpenError::NoReader { path, detail },
        }
    };
    let configuration = device.active_configuration().map_err(|e| refused(&e.to_string()))?;
    let choice = match what {
        UsbClass::Printer => choose(&configuration),
        UsbClass::CardReader => choose_reader(&configuration),
    };
    let choice = choice.map_err(refused)?;
    let interface = device.detach_and_claim_interface(choice.interface).wait().map_err(failed)?;
    if interface.get_alt_setting() != choice.alternate {
        interface.set_alt_setting(choice.alternate).wait().map_err(failed)?;
    }
    let out = interface.endpoint::<Bulk, Out>(choice.out).map_err(failed)?;
    let back =
        choice.back.map(|address| interface.endpoint::<Bulk, In>(address)).transpose().map_err(failed)?;
    let node = path.to_path_buf();
    Ok(Claimed {
        sink: BulkOut { endpoint: out, node: node.clone() },
        source: back.map(|endpoint| BulkIn { endpoint, node }),
        path: path.to_path_buf(),
    })
}

fn told(path: &Path, e: &nusb::Error) -> OpenError {
    let system = e.os_error().and_then(|n| i32::try_from(n).ok()).map(io::Error::from_raw_os_error);
    match e.kind() {
        ErrorKind::Busy => OpenError::Busy { path: path.into(), detail: e.to_string() },
        ErrorKind::Disconnected => OpenError::Missing { path: path.into() },
        _ => system.map_or_else(
            || OpenError::Other { path: path.into(), detail: e.to_string() },
            |e| OpenError::file(path, &e),
        ),
    }
}

/// Linux reports an unplugged device as a fault of the transfer as often as by its name: the node decides.
fn ended(node: &Path, which: &'static str, e: TransferError) -> UsbError {
    match e {
        TransferError::Disconnected => UsbError::Unplugged,
        _ if !node.exists() => UsbError::Unplugged,
        TransferError::Stall => UsbError::Stalled(which),
        e => UsbError::Transfer(e.to_string()),
    }
}

pub(super) struct BulkOut {
    endpoint: Endpoint<Bulk, Out>,
    node: PathBuf,
}

impl Sink for BulkOut {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), UsbError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.endpoint.submit(rest.clone().into());
            let done = self.endpoint.next_complete().await;
            if done.status == Err(TransferError::Stall) {
                // Or whoever opens it next finds the endpoint halted.
                let _halted = self.endpoint.clear_halt().await;
            }
            done.status.map_err(|e| ended(&self.node, "OUT", e))?;
            rest.drain(..done.actual_len.min(rest.len()));
            if done.actual_len == 0 {
                return Err(UsbError::Transfer("nothing was taken".into()));
            }
        }
        Ok(())
    }
}

pub(super) struct BulkIn {
    endpoint: Endpoint<Bulk, In>,
    node: PathBuf,
}

impl Source for BulkIn {
    async fn receive(&mut self) -> Result<Vec<u8>, UsbError> {
        if self.endpoint.pending() == 0 {
            // Whole packets, or a longer answer would be a babble error.
            self.endpoint.submit(Buffer::new(self.endpoint.max_packet_size().max(1)));
        }
        let done = self.endpoint.next_complete().await;
        if done.status == Err(TransferError::Stall) {
            let _halted = self.endpoint.clear_halt().await;
        }
        done.status.map_err(|e| ended(&self.node, "IN", e))?;
        Ok(done.buffer.into_vec())
    }

    fn packet(&self) -> usize {
        self.endpoint.max_packet_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_a_device_that_is_gone_is_an_unplug() {
        let gone = Path::new("/nonexistent/dev/bus/usb/001/009");
        assert_eq!(ended(gone, "OUT", TransferError::Fault), UsbError::Unplugged);
        assert_eq!(ended(gone, "IN", TransferError::Unknown(71)), UsbError::Unplugged);
        let there = Path::new("/dev/null");
        assert_eq!(ended(there, "OUT", TransferError::Stall), UsbError::Stalled("OUT"));
        assert!(matches!(ended(there, "OUT", TransferError::Fault), UsbError::Transfer(_)));
        assert_eq!(ended(there, "OUT", TransferError::Disconnected), UsbError::Unplugged);
    }

    #[test]
    fn a_node_that_is_not_there_or_no_device_is_said() {
        let missing = Path::new("/nonexistent/dev/bus/usb/001/009");
        for what in [UsbClass::Printer, UsbClass::CardReader] {
            assert_eq!(claim(missing, what).map(|_| ()), Err(OpenError::Missing { path: missing.into() }));
            assert!(claim(Path::new("/dev/null"), what).is_err());
        }
    }
}

//! One address of an I2C bus, by the kernel's i2c-dev.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use i2cdev::core::{I2CMessage, I2CTransfer};
use i2cdev::linux::{LinuxI2CDevice, LinuxI2CError, LinuxI2CMessage};
use rustix::io::Errno;
use till_plugin::bus::{Cause, Fault, Operation, Request};
use zeroize::Zeroizing;

use super::{Wire, WireError, check_kind, line};
use crate::transport::{OpenError, Opened};

/// The kernel's number of i2c-dev (Documentation/admin-guide/devices.txt).
const MAJOR: u32 = 89;

/// Opens the bus for one address.
pub(in crate::transport) fn open(path: &Path, address: u8) -> Result<Opened, OpenError> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| OpenError::file(path, &e))?;
    check_kind(path, &file, MAJOR, "I2C bus (such as /dev/i2c-1)")?;
    // The file that was looked at, by whatever name it goes now.
    let same = format!("/proc/self/fd/{}", file.as_raw_fd());
    let device = LinuxI2CDevice::new(same, address.into()).map_err(|e| match io::Error::from(e) {
        e if e.kind() == io::ErrorKind::ResourceBusy => OpenError::Busy {
            path: path.into(),
            detail: format!("a kernel driver has address {address:#04x}; for a PN532: modprobe -r pn533_i2c"),
        },
        e => OpenError::file(path, &e),
    })?;
    line(path.to_path_buf(), I2c { device, path: path.to_path_buf() })
        .map_err(|e| OpenError::Other { path: path.into(), detail: e.to_string() })
}

struct I2c {
    device: LinuxI2CDevice,
    path: PathBuf,
}

impl Wire for I2c {
    fn run(&mut self, request: &Request) -> Result<Zeroizing<Vec<u8>>, WireError> {
        let mut messages = merged(request)?;
        let mut raw: Vec<LinuxI2CMessage<'_>> = messages
            .iter_mut()
            .map(|m| match m {
                Message::Write(bytes) => LinuxI2CMessage::write(bytes),
                Message::Read(bytes) => LinuxI2CMessage::read(bytes),
            })
            .collect();
        self.device.transfer(&mut raw).map_err(|e| failed(&self.path, e))?;
        drop(raw);
        let mut read = Zeroizing::new(Vec::with_capacity(request.read()));
        for message in &messages {
            if let Message::Read(bytes) = message {
                read.extend_from_slice(bytes);
            }
        }
        Ok(read)
    }
}

/// A message on the bus: what lies between two starts.
enum Message {
    Write(Zeroizing<Vec<u8>>),
    Read(Zeroizing<Vec<u8>>),
}

/// Operations of one direction are one message: few adapters go on without a start.
fn merged(request: &Request) -> Result<Vec<Message>, WireError> {
    let mut messages: Vec<Message> = Vec::new();
    for operation in &request.operations {
        match (operation, messages.last_mut()) {
            (Operation::Write(more), Some(Message::Write(bytes))) => bytes.extend_from_slice(more),
            (Operation::Write(bytes), _) => messages.push(Message::Write(bytes.clone())),
            (Operation::Read(count), Some(Message::Read(bytes))) => {
                let length = bytes.len() + usize::from(*count);
                bytes.resize(length, 0);
            }
            (Operation::Read(count), _) => {
                messages.push(Message::Read(Zeroizing::new(vec![0; usize::from(*count)])));
            }
            (Operation::Transfer(_) | Operation::Pause(_), _) => {
                return Err(WireError::refused(
                    "I2C writes or reads; it does neither both at once nor pauses",
                ));
            }
        }
    }
    Ok(messages)
}

/// What the kernel's error means (Documentation/i2c/fault-codes.rst).
fn failed(path: &Path, e: LinuxI2CError) -> WireError {
    let e = io::Error::from(e);
    let errno = e.raw_os_error().map(Errno::from_raw_os_error);
    let (cause, text) = match errno {
        _ if !path.exists() => {
            return WireError::Gone("the I2C bus is gone: its adapter was taken out".into());
        }
        Some(Errno::NODEV | Errno::SHUTDOWN) => return WireError::Gone(format!("the I2C bus is gone: {e}")),
        // Not acknowledged; the second is what several adapters say instead, the Pi's among them.
        Some(Errno::NXIO | Errno::REMOTEIO) => (Cause::NoAcknowledge, "no device acknowledged".to_owned()),
        Some(Errno::AGAIN) => (Cause::Arbitration, "another master took the bus".to_owned()),
        Some(Errno::TIMEDOUT) => (Cause::Timeout, "the bus hung: something holds SDA or SCL down".to_owned()),
        Some(Errno::OPNOTSUPP | Errno::INVAL) => {
            (Cause::Refused, format!("the adapter does not do this transaction: {e}"))
        }
        _ => (Cause::Other, e.to_string()),
    };
    WireError::Fault(Fault { cause, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_of_one_direction_are_one_message() {
        let bytes = |b: &[u8]| Operation::Write(Zeroizing::new(b.to_vec()));
        let operations =
            vec![bytes(&[1]), bytes(&[2, 3]), Operation::Read(2), Operation::Read(3), bytes(&[4])];
        let messages = merged(&Request { number: 0, operations });
        let shape: Vec<(bool, usize)> = messages
            .unwrap_or_default()
            .iter()
            .map(|m| match m {
                Message::Write(bytes) => (true, bytes.len()),
                Message::Read(bytes) => (false, bytes.len()),
            })
            .collect();
        assert_eq!(shape, [(true, 3), (false, 5), (true, 1)]);
        let pause = Request { number: 0, operations: vec![Operation::Pause(1)] };
        assert!(matches!(merged(&pause), Err(WireError::Fault(Fault { cause: Cause::Refused, .. }))));
    }

    #[test]
    fn what_the_kernel_says_is_told_apart() {
        let told = |e: Errno| match failed(Path::new("/dev/null"), LinuxI2CError::Errno(e.raw_os_error())) {
            WireError::Fault(fault) => Some(fault.cause),
            WireError::Gone(_) => None,
        };
        // A Pi says EREMOTEIO where others say ENXIO.
        for nobody in [Errno::NXIO, Errno::REMOTEIO] {
            assert_eq!(told(nobody), Some(Cause::NoAcknowledge));
        }
        assert_eq!(told(Errno::AGAIN), Some(Cause::Arbitration));
        assert_eq!(told(Errno::TIMEDOUT), Some(Cause::Timeout));
        assert_eq!(told(Errno::OPNOTSUPP), Some(Cause::Refused));
        assert_eq!(told(Errno::IO), Some(Cause::Other));
        assert_eq!(told(Errno::NODEV), None);
        let gone = failed(Path::new("/nonexistent/i2c-9"), LinuxI2CError::Errno(Errno::IO.raw_os_error()));
        assert!(matches!(gone, WireError::Gone(_)), "an adapter that was taken out says anything");
    }
}

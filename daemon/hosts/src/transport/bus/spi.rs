//! One chip select of an SPI bus, by the kernel's spidev. The highest bit goes first: nearly no controller can do it the other way
//! round, so a chip that wants the lowest first is the driver's to serve (it turns the bytes).

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use spidev::{SpiModeFlags, Spidev, SpidevOptions, SpidevTransfer};
use till_plugin::bus::{Cause, Fault, Operation, Request};
use zeroize::Zeroizing;

use super::{Wire, WireError, check_kind, line};
use crate::transport::{OpenError, Opened};

/// The kernel's number of spidev (Documentation/admin-guide/devices.txt).
const MAJOR: u32 = 153;

/// Opens the node and sets the bus's clock for it.
pub(in crate::transport) fn open(path: &Path, speed: u32, mode: u8) -> Result<Opened, OpenError> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| OpenError::file(path, &e))?;
    check_kind(path, &file, MAJOR, "SPI chip select (such as /dev/spidev0.0)")?;
    // The kernel lets any number of programs in; one that asks is kept out.
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|e| OpenError::Busy { path: path.into(), detail: io::Error::from(e).to_string() })?;
    let mut device = Spidev::new(file);
    let options = SpidevOptions::new()
        .bits_per_word(8)
        .max_speed_hz(speed)
        .mode(SpiModeFlags::from_bits_truncate(u32::from(mode & 3)))
        .build();
    device.configure(&options).map_err(|e| OpenError::Other {
        path: path.into(),
        detail: format!(
            "its controller does not do mode {mode} at {speed} Hz ({e}): correct `mode` and `speed`"
        ),
    })?;
    line(path.to_path_buf(), Spi { device, path: path.to_path_buf() })
        .map_err(|e| OpenError::Other { path: path.into(), detail: e.to_string() })
}

struct Spi {
    device: Spidev,
    path: PathBuf,
}

impl Wire for Spi {
    fn run(&mut self, request: &Request) -> Result<Zeroizing<Vec<u8>>, WireError> {
        let mut read = Zeroizing::new(vec![0; request.read()]);
        let mut left = read.as_mut_slice();
        let mut place = |count: usize| {
            let (now, later) = split(std::mem::take(&mut left), count);
            left = later;
            now
        };
        let mut transfers = Vec::with_capacity(request.operations.len());
        for operation in &request.operations {
            transfers.push(match operation {
                Operation::Write(bytes) => SpidevTransfer::write(bytes),
                Operation::Read(count) => SpidevTransfer::read(place(usize::from(*count))),
                Operation::Transfer(bytes) => SpidevTransfer::read_write(bytes, place(bytes.len())),
                Operation::Pause(us) => SpidevTransfer::delay(*us),
            });
        }
        self.device.transfer_multiple(&mut transfers).map_err(|e| failed(&self.path, &e))?;
        Ok(read)
    }
}

/// The next bytes of the place where the answer is put together, and what is left of it.
fn split(left: &mut [u8], count: usize) -> (&mut [u8], &mut [u8]) {
    left.split_at_mut(count.min(left.len()))
}

fn failed(path: &Path, e: &io::Error) -> WireError {
    let (cause, text) = match e.raw_os_error().map(Errno::from_raw_os_error) {
        _ if !path.exists() => {
            return WireError::Gone("the SPI bus is gone: its adapter was taken out".into());
        }
        Some(Errno::NODEV | Errno::SHUTDOWN) => return WireError::Gone(format!("the SPI bus is gone: {e}")),
        Some(Errno::TIMEDOUT) => (Cause::Timeout, "the SPI controller hung".to_owned()),
        // More than its buffer (module parameter bufsiz, 4096), or a mode that it cannot do.
        Some(Errno::MSGSIZE | Errno::INVAL) => {
            (Cause::Refused, format!("the controller does not do this transaction: {e}"))
        }
        _ => (Cause::Other, e.to_string()),
    };
    WireError::Fault(Fault { cause, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_put_together_in_order() {
        let mut all = [0; 6];
        let (now, later) = split(&mut all, 2);
        now.fill(1);
        let (now, later) = split(later, 1);
        now.fill(2);
        assert_eq!(split(later, 9).0.len(), 3, "never beyond the end");
        assert_eq!(all, [1, 1, 2, 0, 0, 0]);
    }

    #[test]
    fn what_the_kernel_says_is_told_apart() {
        let told = |e: Errno| match failed(Path::new("/dev/null"), &e.into()) {
            WireError::Fault(fault) => Some(fault.cause),
            WireError::Gone(_) => None,
        };
        assert_eq!(told(Errno::TIMEDOUT), Some(Cause::Timeout));
        assert_eq!(told(Errno::MSGSIZE), Some(Cause::Refused));
        assert_eq!(told(Errno::IO), Some(Cause::Other));
        assert_eq!(told(Errno::SHUTDOWN), None, "unbound from its driver");
        assert!(matches!(failed(Path::new("/nonexistent/spidev9.0"), &Errno::IO.into()), WireError::Gone(_)));
    }
}

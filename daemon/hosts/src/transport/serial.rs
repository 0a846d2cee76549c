//! Serial ports and ptys.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::termios::ioctl_tiocexcl;
use serial2::{CharSize, FlowControl, Parity, SerialPort, Settings, StopBits};

use super::{OpenError, Opened};

/// Opens a port raw, 8N1, without flow control.
pub(super) fn open(path: &Path, baud: u32) -> Result<Opened, OpenError> {
    let bad_baud = || OpenError::Baud { path: path.into(), baud };
    if baud == 0 {
        return Err(bad_baud());
    }
    let configure = |mut settings: Settings| -> std::io::Result<Settings> {
        settings.set_raw();
        settings.set_baud_rate(baud)?;
        settings.set_char_size(CharSize::Bits8);
        settings.set_parity(Parity::None);
        settings.set_stop_bits(StopBits::One);
        settings.set_flow_control(FlowControl::None);
        Ok(settings)
    };
    let port = SerialPort::open(path, configure).map_err(|e| {
        match e.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::INVAL) => bad_baud(),
            _ => OpenError::file(path, &e),
        }
    })?;
    // Nobody else may open it now (root still may); ptys of a test refuse this, and it is only a courtesy.
    let _ = ioctl_tiocexcl(port.as_fd());
    // What came before the till looked belongs to nobody.
    let _ = port.discard_input_buffer();
    let fd: OwnedFd = port.as_fd().try_clone_to_owned().map_err(|e| OpenError::file(path, &e))?;
    super::net::non_blocking(&fd).map_err(|e| OpenError::file(path, &e))?;
    Ok(fd.into())
}

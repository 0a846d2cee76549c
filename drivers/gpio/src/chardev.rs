//! The kernel's GPIO character device, uAPI v2.

use std::fs::File;
use std::os::fd::OwnedFd;

use gpiocdev_uapi::v2::{
    self, Error, LineConfig, LineFlags, LineRequest, LineValues, Name, Offsets, get_line, get_line_info,
    get_line_values, set_line_values,
};

use crate::{Gpio, GpioError, Want};

/// `EBUSY`.
const BUSY: i32 = 16;
/// What `gpioinfo` shows as the user of a line.
const CONSUMER: &[u8] = b"tilld";
/// Most lines of a chip that are looked at.
const MOST: u32 = 1024;

/// Requested lines; the kernel frees them when the files are closed.
pub struct Lines {
    lines: Vec<Line>,
}

struct Line {
    name: String,
    output: bool,
    file: File,
}

impl Lines {
    /// Requests lines on an open chip.
    pub fn request(chip: OwnedFd, wants: &[Want]) -> Result<Self, GpioError> {
        let chip = File::from(chip);
        let info = v2::get_chip_info(&chip).map_err(|e| GpioError::NoChip(format!("the transport ({e})")))?;
        let label = info.label.as_os_str().to_string_lossy().into_owned();
        let mut lines = Vec::new();
        for want in wants {
            let offset = find(&chip, &label, info.num_lines.min(MOST), &want.line)?;
            let file = claim(&chip, offset, want)?;
            lines.push(Line { name: want.line.clone(), output: want.output, file });
        }
        Ok(Self { lines })
    }

    fn line(&self, line: usize) -> Result<&Line, GpioError> {
        let missing = || GpioError::System { line: line.to_string(), detail: "it was not requested".into() };
        self.lines.get(line).ok_or_else(missing)
    }
}

/// By name first; a number is the place on the chip.
fn find(chip: &File, label: &str, count: u32, wanted: &str) -> Result<u32, GpioError> {
    for offset in 0..count {
        let info = get_line_info(chip, offset).map_err(|e| system(wanted, &e))?;
        if !info.name.is_empty() && info.name.as_os_str().to_string_lossy() == wanted {
            return Ok(offset);
        }
    }
    let none = || GpioError::NoLine { chip: label.to_owned(), line: wanted.to_owned() };
    wanted.parse::<u32>().ok().filter(|offset| *offset < count).ok_or_else(none)
}

fn claim(chip: &File, offset: u32, want: &Want) -> Result<File, GpioError> {
    let mut flags = if want.output { LineFlags::OUTPUT } else { LineFlags::INPUT };
    if want.active_low {
        flags |= LineFlags::ACTIVE_LOW;
    }
    let mut config = LineConfig { flags, ..LineConfig::default() };
    if want.output {
        // Inactive from the first moment on.
        config.add_values(&LineValues::from_slice(&[false]));
    }
    let request = LineRequest {
        offsets: Offsets::from_slice(&[offset]),
        consumer: Name::from_bytes(CONSUMER),
        config,
        num_lines: 1,
        ..LineRequest::default()
    };
    get_line(chip, request).map_err(|e| match e {
        Error::Os(errno) if errno.0 == BUSY => {
            let by = get_line_info(chip, offset)
                .map(|i| i.consumer.as_os_str().to_string_lossy().into_owned())
                .unwrap_or_default();
            GpioError::Busy { line: want.line.clone(), by }
        }
        e => system(&want.line, &e),
    })
}

fn system(line: &str, e: &Error) -> GpioError {
    GpioError::System { line: line.to_owned(), detail: e.to_string() }
}

impl Gpio for Lines {
    fn set(&mut self, line: usize, active: bool) -> Result<(), GpioError> {
        let line = self.line(line)?;
        set_line_values(&line.file, &LineValues::from_slice(&[active])).map_err(|e| system(&line.name, &e))
    }

    fn get(&mut self, line: usize) -> Result<bool, GpioError> {
        let line = self.line(line)?;
        let mut values = LineValues { bits: 0, mask: 1 };
        get_line_values(&line.file, &mut values).map_err(|e| system(&line.name, &e))?;
        Ok(values.get(0).unwrap_or(false))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        for line in self.lines.iter().filter(|l| l.output) {
            // Before the kernel frees it: what a freed line does is the chip's.
            let _freed = set_line_values(&line.file, &LineValues::from_slice(&[false]));
        }
    }
}

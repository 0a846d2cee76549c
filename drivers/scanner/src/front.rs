//! Where scans come from: bytes with a suffix, or reports.

use std::time::Duration;

use till_hid::source;
use till_plugin::{Host, PluginError};

use crate::assemble::{Assembler, ScanFault};
use crate::code::AimPolicy;
use crate::hidpos::{PATIENCE, PosLayout, PosReader};
use crate::settings::{Config, Input};
use crate::trigger::Trigger;

/// Where scans come from.
pub(crate) enum Front {
    Bytes(Assembler),
    Reports(PosReader),
}

impl Front {
    /// What the transport's bytes are, and how the scanner is triggered.
    pub(crate) fn open(host: &Host, config: &Config) -> Result<(Self, Trigger), PluginError> {
        if config.input != Input::HidPos {
            let (start, stop) = config.line_trigger.clone();
            return Ok((Self::Bytes(Assembler::new(config.framing.clone())), Trigger::Bytes { start, stop }));
        }
        let device = source::device(host, &config.report_descriptor)?;
        let layout = PosLayout::new(&device.descriptor).ok_or_else(|| {
            PluginError::settings(
                "this HID device's descriptor has no decoded data of usage page 8Ch: set the scanner to HID POS, CDC or keyboard mode",
            )
        })?;
        let reader = PosReader::new(layout, config.framing.max, config.aim != AimPolicy::Off);
        let trigger = if config.hid_trigger { Trigger::of(&device.descriptor) } else { Trigger::None };
        Ok((Self::Reports(reader), trigger))
    }

    pub(crate) fn pending(&self) -> bool {
        match self {
            Self::Bytes(assembler) => assembler.pending(),
            Self::Reports(reader) => reader.pending(),
        }
    }

    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::Bytes(assembler) => assembler.patience(),
            Self::Reports(_) => PATIENCE,
        }
    }

    pub(crate) fn discard(&mut self) {
        match self {
            Self::Bytes(assembler) => assembler.discard(),
            Self::Reports(reader) => reader.discard(),
        }
    }

    pub(crate) fn reset(&mut self) {
        match self {
            Self::Bytes(assembler) => assembler.reset(),
            Self::Reports(reader) => reader.reset(),
        }
    }

    pub(crate) fn idle(&mut self, sink: impl FnMut(Result<&[u8], ScanFault>)) {
        match self {
            Self::Bytes(assembler) => assembler.idle(sink),
            Self::Reports(reader) => reader.idle(sink),
        }
    }
}

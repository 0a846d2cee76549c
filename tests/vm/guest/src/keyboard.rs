//! Readers that type: through uinput, and as a USB keyboard; and who else hears what they type.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use evdev::raw_stream::RawDevice;
use evdev::uinput::VirtualDevice;
use evdev::{AttributeSet, EventType, InputEvent, InputId, KeyCode, MiscCode};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use till_simulators::players::{Direction, Swipe, keymap};

use crate::error::VmError;

/// Keys of one moment, and when.
type Beat = (Duration, Vec<InputEvent>);

/// A swipe as the kernel's events, up to each `SYN_REPORT`.
fn beats(swipe: &Swipe) -> Result<Vec<Beat>, VmError> {
    let recording = swipe.recording().map_err(VmError::wrong)?;
    let mut beats: Vec<Beat> = Vec::new();
    for chunk in recording.chunks.iter().filter(|c| c.direction == Direction::In) {
        let mut now = Vec::new();
        for event in chunk.bytes.chunks_exact(till_simulators::players::event::SIZE) {
            let Ok(event) = event.try_into().map(till_simulators::players::InputEvent::from_bytes) else {
                continue;
            };
            if event.kind == EventType::SYNCHRONIZATION.0 {
                beats.push((chunk.at, std::mem::take(&mut now)));
            } else {
                now.push(InputEvent::new(event.kind, event.code, event.value));
            }
        }
    }
    Ok(beats)
}

fn until(start: Instant, at: Duration) {
    sleep((start + at).saturating_duration_since(Instant::now()));
}

/// A reader made by uinput.
pub(crate) struct Wedge {
    device: VirtualDevice,
}

impl Wedge {
    /// Plugs one in.
    pub(crate) fn plug(name: &str, id: (u16, u16)) -> Result<Self, VmError> {
        let failed = VmError::file("/dev/uinput");
        let made = || -> std::io::Result<VirtualDevice> {
            let keys: AttributeSet<KeyCode> = (1..=88).map(KeyCode::new).collect();
            let misc: AttributeSet<MiscCode> = [MiscCode::MSC_SCAN].into_iter().collect();
            VirtualDevice::builder()?
                .name(name)
                .input_id(InputId::new(evdev::BusType::BUS_USB, id.0, id.1, 0x0110))
                .with_keys(&keys)?
                .with_msc(&misc)?
                .build()
        };
        Ok(Self { device: made().map_err(failed)? })
    }

    /// Its event node.
    pub(crate) fn node(&mut self) -> Result<PathBuf, VmError> {
        let mut nodes = self.device.enumerate_dev_nodes_blocking().map_err(VmError::file("/dev/uinput"))?;
        nodes.find_map(Result::ok).ok_or_else(|| VmError::wrong("uinput made no event node"))
    }

    /// Draws a card; `beats` of it only, if that is less.
    pub(crate) fn swipe(&mut self, swipe: &Swipe, most: usize) -> Result<(), VmError> {
        let start = Instant::now();
        for (at, events) in beats(swipe)?.into_iter().take(most) {
            until(start, at);
            self.device.emit(&events).map_err(VmError::file("/dev/uinput"))?;
        }
        Ok(())
    }
}

/// Draws a card through a USB keyboard: its boot reports to the device's own end.
pub(crate) fn swipe_usb(end: &Path, swipe: &Swipe, most: usize) -> Result<(), VmError> {
    let mut device = OpenOptions::new().write(true).open(end).map_err(VmError::file(end))?;
    let (mut modifiers, mut down) = (0_u8, BTreeSet::new());
    let start = Instant::now();
    for (at, events) in beats(swipe)?.into_iter().take(most) {
        until(start, at);
        for event in events.iter().filter(|e| e.event_type() == EventType::KEY) {
            let usage = keymap::scan_code(event.code()) & 0xFF;
            let Ok(usage) = u8::try_from(usage) else { continue };
            match (usage, event.value()) {
                (0xE0..=0xE7, 0) => modifiers &= !(1 << (usage - 0xE0)),
                (0xE0..=0xE7, _) => modifiers |= 1 << (usage - 0xE0),
                (_, 0) => drop(down.remove(&usage)),
                (_, _) => drop(down.insert(usage)),
            }
        }
        let mut report = [0; 8];
        report[0] = modifiers;
        for (place, usage) in report.iter_mut().skip(2).zip(&down) {
            *place = *usage;
        }
        device.write_all(&report).map_err(VmError::file(end))?;
    }
    Ok(())
}

/// Another program on the same node, and somebody at the console: what they hear of a reader.
pub(crate) struct Eavesdropper {
    node: RawDevice,
    console: Console,
}

impl Eavesdropper {
    /// Listens at a node and at the console.
    pub(crate) fn listen(node: &Path) -> Result<Self, VmError> {
        let device = RawDevice::open(node).map_err(VmError::file(node))?;
        let flags = rustix::fs::fcntl_getfl(&device).map_err(|e| VmError::file(node)(e.into()))?;
        let flags = flags | rustix::fs::OFlags::NONBLOCK;
        rustix::fs::fcntl_setfl(&device, flags).map_err(|e| VmError::file(node)(e.into()))?;
        Ok(Self { node: device, console: Console::open()? })
    }

    /// How many keys it heard, and bytes at the console.
    pub(crate) fn heard(&mut self) -> (usize, usize) {
        let mut keys = 0;
        while let Ok(events) = self.node.fetch_events() {
            keys += events.filter(|e| e.event_type() == EventType::KEY).count();
        }
        (keys, self.console.typed())
    }
}

/// The first virtual terminal, to which every keyboard that nobody grabs types.
pub(crate) struct Console(File);

impl Console {
    pub(crate) fn open() -> Result<Self, VmError> {
        let path = "/dev/tty1";
        let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits().cast_signed();
        let tty = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
        let tty = tty.map_err(VmError::file(path))?;
        let raw = || -> rustix::io::Result<()> {
            let mut termios = tcgetattr(&tty)?;
            termios.make_raw();
            tcsetattr(&tty, OptionalActions::Flush, &termios)
        };
        raw().map_err(|e| VmError::file(path)(e.into()))?;
        Ok(Self(tty))
    }

    /// Bytes typed since the last look.
    pub(crate) fn typed(&mut self) -> usize {
        let (mut count, mut buffer) = (0, [0; 512]);
        while let Ok(n @ 1..) = self.0.read(&mut buffer) {
            count += n;
        }
        count
    }
}

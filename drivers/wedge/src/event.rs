//! `struct input_event` of `linux/input.h`, read from the bytes of an evdev node.
//!
//! The struct is a time stamp, a type, a code and a value in native byte order. The stamp is two longs: 16 bytes on
//! 64-bit machines (the struct has 24), 8 bytes with the 32-bit layout (the struct has 16).

use std::time::Duration;

use zeroize::Zeroize;

/// `EV_SYN`: the kernel's own marks between groups of events.
pub const EV_SYN: u16 = 0x00;
/// `EV_KEY`: keys.
pub const EV_KEY: u16 = 0x01;
/// `EV_LED`: lamps, of which Caps Lock matters.
pub const EV_LED: u16 = 0x11;
/// `SYN_REPORT`: end of a group.
pub const SYN_REPORT: u16 = 0;
/// `SYN_DROPPED`: the kernel's buffer ran over and events are gone.
pub const SYN_DROPPED: u16 = 3;
/// `LED_CAPSL`: the Caps Lock lamp.
pub const LED_CAPSL: u16 = 1;

/// How long the struct is on this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Two 64-bit words of time: 24 bytes.
    Bits64,
    /// Two 32-bit words of time: 16 bytes.
    Bits32,
}

impl Layout {
    /// The layout of the machine this runs on.
    pub const fn native() -> Self {
        if cfg!(target_pointer_width = "64") { Self::Bits64 } else { Self::Bits32 }
    }

    /// Bytes of one event.
    pub const fn size(self) -> usize {
        match self {
            Self::Bits64 => 24,
            Self::Bits32 => 16,
        }
    }
}

/// What an event says, as far as a wedge cares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A key went down (the kernel's value 1).
    Press(u16),
    /// A key went up (0).
    Release(u16),
    /// The kernel repeats a held key (2).
    Repeat(u16),
    /// The Caps Lock lamp was switched.
    CapsLamp(bool),
    /// A group of events is complete.
    Report,
    /// Events were lost: everything up to the next [`Self::Report`] is void.
    Dropped,
    /// Anything else.
    Other,
}

/// One event.
// No `Debug`: a run of key events is a card number in another alphabet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InputEvent {
    /// The kernel's time stamp.
    pub at: Duration,
    /// What it says.
    pub kind: EventKind,
}

impl InputEvent {
    /// From the three fields of the struct.
    pub fn from_raw(at: Duration, kind: u16, code: u16, value: i32) -> Self {
        let kind = match (kind, value) {
            (EV_KEY, 0) => EventKind::Release(code),
            (EV_KEY, 1) => EventKind::Press(code),
            (EV_KEY, 2) => EventKind::Repeat(code),
            (EV_LED, on) if code == LED_CAPSL => EventKind::CapsLamp(on != 0),
            (EV_SYN, _) if code == SYN_REPORT => EventKind::Report,
            (EV_SYN, _) if code == SYN_DROPPED => EventKind::Dropped,
            _ => EventKind::Other,
        };
        Self { at, kind }
    }

    fn parse(raw: &[u8], layout: Layout) -> Option<Self> {
        let (seconds, micros, rest) = match layout {
            Layout::Bits64 => {
                let (s, rest) = raw.split_first_chunk::<8>()?;
                let (u, rest) = rest.split_first_chunk::<8>()?;
                (i64::from_ne_bytes(*s), i64::from_ne_bytes(*u), rest)
            }
            Layout::Bits32 => {
                let (s, rest) = raw.split_first_chunk::<4>()?;
                let (u, rest) = rest.split_first_chunk::<4>()?;
                // Unsigned since 2038 came into sight (`__kernel_ulong_t __sec`).
                (i64::from(u32::from_ne_bytes(*s)), i64::from(u32::from_ne_bytes(*u)), rest)
            }
        };
        let (kind, rest) = rest.split_first_chunk::<2>()?;
        let (code, rest) = rest.split_first_chunk::<2>()?;
        let value = rest.first_chunk::<4>()?;
        let at = Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
            .saturating_add(Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
        Some(Self::from_raw(
            at,
            u16::from_ne_bytes(*kind),
            u16::from_ne_bytes(*code),
            i32::from_ne_bytes(*value),
        ))
    }
}

/// Cuts the byte stream of an event device into events, wherever the reads fall.
///
/// The kernel hands out whole events only, but a recording, a pipe or a small buffer may split them.
pub struct EventReader {
    layout: Layout,
    part: [u8; 24],
    held: usize,
}

impl EventReader {
    /// A reader at the start of an event.
    pub fn new(layout: Layout) -> Self {
        Self { layout, part: [0; 24], held: 0 }
    }

    /// Feeds bytes; calls `sink` for each whole event.
    pub fn push(&mut self, mut bytes: &[u8], mut sink: impl FnMut(InputEvent)) {
        let size = self.layout.size();
        while !bytes.is_empty() {
            let take = bytes.len().min(size - self.held);
            let (now, later) = bytes.split_at(take);
            self.part[self.held..self.held + take].copy_from_slice(now);
            self.held += take;
            bytes = later;
            if self.held == size {
                let event = InputEvent::parse(&self.part[..size], self.layout);
                self.reset();
                if let Some(event) = event {
                    sink(event);
                }
            }
        }
    }

    /// Forgets half an event.
    pub fn reset(&mut self) {
        self.part.zeroize();
        self.held = 0;
    }
}

impl Drop for EventReader {
    fn drop(&mut self) {
        self.part.zeroize();
    }
}

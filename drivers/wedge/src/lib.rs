//! Keyboard-wedge input without I/O: the bytes of a Linux event device in, the bytes that the reader typed out.
//!
//! A keyboard wedge is a card reader or a code scanner that pretends to be a keyboard. What both have in common lives
//! here once, because drivers never depend on each other:
//!
//! * [`event`]: `struct input_event` as the kernel's evdev interface gives it (`linux/input.h`), over split reads;
//! * [`keymap`]: key codes to characters, US layout, Shift, Ctrl, Alt + keypad, Caps Lock as a switch;
//! * [`Wedge`]: both in a row, with the typed bytes wiped once read.
//!
//! What the bytes mean (a track, a code) and when a swipe or a scan ends is the driver's own matter.

pub mod event;
pub mod keymap;

pub use event::{EventKind, EventReader, InputEvent, Layout};
pub use keymap::{CapsLock, Decoder, Symbol};

use std::time::Duration;

/// One thing that a wedge typed, with the kernel's own time of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Typed {
    /// What was typed.
    pub symbol: Symbol,
    /// The kernel's time stamp of the event (its zero is the clock that the device node was set to use; only
    /// differences are meaningful).
    pub at: Duration,
}

/// Event bytes in, typed symbols out.
///
/// ```
/// use till_wedge::{CapsLock, Layout, Symbol, Wedge};
/// let mut wedge = Wedge::new(Layout::Bits64, CapsLock::Ignore);
/// let mut press_a = vec![0u8; 16];
/// press_a.extend(1u16.to_ne_bytes()); // EV_KEY
/// press_a.extend(30u16.to_ne_bytes()); // KEY_A
/// press_a.extend(1i32.to_ne_bytes()); // pressed
/// let mut typed = Vec::new();
/// wedge.push(&press_a, |t| typed.push(t.symbol));
/// assert!(typed == [Symbol::Byte(b'a')]);
/// ```
pub struct Wedge {
    events: EventReader,
    decoder: Decoder,
    last: Option<Duration>,
}

/// A pause after which no modifier can still be held by the reader that typed: a key-up was lost. Readers press Shift
/// anew for each character, some milliseconds apart.
const FORGET_MODIFIERS: Duration = Duration::from_millis(400);

impl Wedge {
    /// A wedge with no key held down.
    pub fn new(layout: Layout, caps: CapsLock) -> Self {
        Self { events: EventReader::new(layout), decoder: Decoder::new(caps), last: None }
    }

    /// Feeds bytes as they were read from the event device; calls `sink` for each symbol in order.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(Typed)) {
        let Self { events, decoder, last } = self;
        events.push(bytes, |event| {
            // A clock set back makes the difference vanish, which only keeps what is held.
            let pause = last.map_or(Duration::ZERO, |last| event.at.saturating_sub(last));
            if pause >= FORGET_MODIFIERS {
                decoder.release_all();
            }
            *last = Some(event.at);
            if let Some(symbol) = decoder.feed(&event) {
                sink(Typed { symbol, at: event.at });
            }
        });
    }

    /// Forgets half an event and every held key: for a device that was reopened.
    pub fn reset(&mut self) {
        self.events.reset();
        self.decoder.release_all();
        self.last = None;
    }
}

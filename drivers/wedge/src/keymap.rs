//! Key codes to characters: the US layout that wedge readers type in unless told otherwise.
//!
//! Deliberately not xkb: the session's layout is the operator's, the reader's is its own. Only a key's press counts. The
//! kernel's repeats are ignored, and a second press without a release between is a second character: fast readers
//! produce it for equal neighbours. Control characters come as Ctrl + key (`^]` is GS) or as Alt + keypad digits.

use crate::event::{EventKind, InputEvent};

/// What the Caps Lock lamp does to letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CapsLock {
    /// Nothing: the reader compensates, or types no letters.
    #[default]
    Ignore,
    /// Letters flip while it is on: for readers that do not compensate.
    Apply,
}

/// One typed thing.
// No `Debug`: it is a digit of a card number as often as not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Symbol {
    /// A byte: ASCII, a control character, or any byte of the Alt + keypad mode.
    Byte(u8),
    /// The Enter key.
    Enter,
    /// The Enter key of the keypad.
    KeypadEnter,
    /// The Tab key.
    Tab,
    /// Something was typed that has no byte (Alt with a letter, a keypad code above 255): what it belongs to is damaged.
    Undecodable,
    /// The kernel lost events: what they belonged to is damaged.
    Dropped,
}

impl Symbol {
    /// The byte a serial reader would have sent: CR for both Enter keys, HT for Tab; none for damage.
    pub fn byte(self) -> Option<u8> {
        match self {
            Self::Byte(byte) => Some(byte),
            Self::Enter | Self::KeypadEnter => Some(b'\r'),
            Self::Tab => Some(b'\t'),
            Self::Undecodable | Self::Dropped => None,
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Held {
    left_shift: bool,
    right_shift: bool,
    left_ctrl: bool,
    right_ctrl: bool,
    left_alt: bool,
    right_alt: bool,
}

impl Held {
    fn shift(self) -> bool {
        self.left_shift || self.right_shift
    }
    fn ctrl(self) -> bool {
        self.left_ctrl || self.right_ctrl
    }
    fn alt(self) -> bool {
        self.left_alt || self.right_alt
    }
    fn set(&mut self, code: u16, down: bool) -> bool {
        let key = match code {
            KEY_LEFTSHIFT => &mut self.left_shift,
            KEY_RIGHTSHIFT => &mut self.right_shift,
            KEY_LEFTCTRL => &mut self.left_ctrl,
            KEY_RIGHTCTRL => &mut self.right_ctrl,
            KEY_LEFTALT => &mut self.left_alt,
            KEY_RIGHTALT => &mut self.right_alt,
            _ => return false,
        };
        *key = down;
        true
    }
}

/// The digits typed on the keypad while Alt is held.
#[derive(Clone, Copy)]
enum AltCode {
    None,
    Value(u16),
    Bad,
}

/// Turns events into symbols; knows which modifiers are held.
pub struct Decoder {
    caps_policy: CapsLock,
    caps_on: bool,
    held: Held,
    alt: AltCode,
    /// After `SYN_DROPPED` all events up to the next report describe a state we no longer know.
    resync: bool,
}

impl Decoder {
    /// A decoder with nothing held and Caps Lock off.
    pub fn new(caps_policy: CapsLock) -> Self {
        Self { caps_policy, caps_on: false, held: Held::default(), alt: AltCode::None, resync: false }
    }

    /// Takes all modifiers as released. Caps Lock keeps its state: it is a lamp, not a held key.
    pub fn release_all(&mut self) {
        self.held = Held::default();
        self.alt = AltCode::None;
    }

    /// Feeds one event; a press that types something gives it back.
    pub fn feed(&mut self, event: &InputEvent) -> Option<Symbol> {
        match event.kind {
            EventKind::Dropped => {
                self.release_all();
                self.resync = true;
                Some(Symbol::Dropped)
            }
            EventKind::Report => {
                self.resync = false;
                None
            }
            EventKind::CapsLamp(on) => {
                // A lamp event is true even in a resync: it states, it does not change.
                self.caps_on = on;
                None
            }
            _ if self.resync => None,
            EventKind::Press(code) => self.press(code),
            EventKind::Release(code) => self.release(code),
            EventKind::Repeat(_) | EventKind::Other => None,
        }
    }

    fn press(&mut self, code: u16) -> Option<Symbol> {
        let alt_before = self.held.alt();
        if self.held.set(code, true) {
            if self.held.alt() && !alt_before {
                self.alt = AltCode::None;
            }
            return None;
        }
        if code == KEY_CAPSLOCK {
            self.caps_on = !self.caps_on;
            return None;
        }
        if self.held.alt() {
            return self.alt_digit(code);
        }
        let symbol = match code {
            KEY_ENTER => Symbol::Enter,
            KEY_KPENTER => Symbol::KeypadEnter,
            KEY_TAB => Symbol::Tab,
            _ => self.character(code)?,
        };
        Some(symbol)
    }

    fn release(&mut self, code: u16) -> Option<Symbol> {
        let before = self.held.alt();
        self.held.set(code, false);
        if !before || self.held.alt() {
            return None;
        }
        match std::mem::replace(&mut self.alt, AltCode::None) {
            AltCode::None => None,
            AltCode::Value(value) => Some(u8::try_from(value).map_or(Symbol::Undecodable, Symbol::Byte)),
            AltCode::Bad => Some(Symbol::Undecodable),
        }
    }

    fn alt_digit(&mut self, code: u16) -> Option<Symbol> {
        self.alt = match (keypad(code).filter(u8::is_ascii_digit), self.alt) {
            (Some(digit), AltCode::None) => AltCode::Value(u16::from(digit - b'0')),
            (Some(digit), AltCode::Value(value)) if value <= 0xFF => {
                AltCode::Value(value * 10 + u16::from(digit - b'0'))
            }
            // A key that types nothing even without Alt types nothing with it.
            (None, alt) if us(code).is_none() && !matches!(code, KEY_ENTER | KEY_KPENTER | KEY_TAB) => alt,
            _ => AltCode::Bad,
        };
        None
    }

    fn character(&self, code: u16) -> Option<Symbol> {
        if let Some(byte) = keypad(code) {
            return Some(Symbol::Byte(byte));
        }
        let (plain, shifted) = us(code)?;
        if self.held.ctrl() {
            return Some(
                control(plain, shifted, self.held.shift()).map_or(Symbol::Undecodable, Symbol::Byte),
            );
        }
        let flip = self.caps_policy == CapsLock::Apply && self.caps_on && plain.is_ascii_alphabetic();
        Some(Symbol::Byte(if self.held.shift() == flip { plain } else { shifted }))
    }
}

/// Ctrl + key: the character's low five bits, where it has a control character (`@`..`_` and the letters).
fn control(plain: u8, shifted: u8, shift: bool) -> Option<u8> {
    let wanted = if shift { shifted } else { plain };
    // US terminals accept the unshifted key for NUL, RS and US too (Ctrl+2, Ctrl+6, Ctrl+-).
    [wanted, shifted].into_iter().find_map(|c| match c.to_ascii_uppercase() {
        upper @ b'@'..=b'_' => Some(upper & 0x1F),
        _ => None,
    })
}

const KEY_TAB: u16 = 15;
const KEY_ENTER: u16 = 28;
const KEY_LEFTCTRL: u16 = 29;
const KEY_LEFTSHIFT: u16 = 42;
const KEY_RIGHTSHIFT: u16 = 54;
const KEY_LEFTALT: u16 = 56;
const KEY_CAPSLOCK: u16 = 58;
const KEY_KPENTER: u16 = 96;
const KEY_RIGHTCTRL: u16 = 97;
const KEY_RIGHTALT: u16 = 100;

/// The keypad types its digits whatever Num Lock says: a wedge means what it presses.
fn keypad(code: u16) -> Option<u8> {
    Some(match code {
        55 => b'*',
        71 => b'7',
        72 => b'8',
        73 => b'9',
        74 => b'-',
        75 => b'4',
        76 => b'5',
        77 => b'6',
        78 => b'+',
        79 => b'1',
        80 => b'2',
        81 => b'3',
        82 => b'0',
        83 => b'.',
        98 => b'/',
        117 => b'=',
        121 => b',',
        _ => return None,
    })
}

/// A key's plain and shifted character (`linux/input-event-codes.h`, US layout).
pub(crate) fn us(code: u16) -> Option<(u8, u8)> {
    const DIGITS: &[u8; 12] = b"1234567890-=";
    const DIGITS_UP: &[u8; 12] = b"!@#$%^&*()_+";
    const TOP: &[u8; 12] = b"qwertyuiop[]";
    const TOP_UP: &[u8; 12] = b"QWERTYUIOP{}";
    const HOME: &[u8; 12] = b"asdfghjkl;'`";
    const HOME_UP: &[u8; 12] = b"ASDFGHJKL:\"~";
    const BOTTOM: &[u8; 11] = b"\\zxcvbnm,./";
    const BOTTOM_UP: &[u8; 11] = b"|ZXCVBNM<>?";
    let pick = |first: u16, plain: &[u8], up: &[u8]| {
        let at = usize::from(code - first);
        plain.get(at).copied().zip(up.get(at).copied())
    };
    match code {
        1 => Some((0x1B, 0x1B)),
        2..=13 => pick(2, DIGITS, DIGITS_UP),
        14 => Some((0x08, 0x08)),
        16..=27 => pick(16, TOP, TOP_UP),
        30..=41 => pick(30, HOME, HOME_UP),
        43..=53 => pick(43, BOTTOM, BOTTOM_UP),
        57 => Some((b' ', b' ')),
        // The extra key of ISO keyboards, which US-mode readers use for a second backslash.
        86 => Some((b'\\', b'|')),
        _ => None,
    }
}

/// The key code and Shift state that type `byte` on the US layout, for players and tests; `None` where no key does.
///
/// CR is Enter and HT is Tab. Control characters other than these (and ESC and BS) need Ctrl and are not given.
pub fn key_for(byte: u8) -> Option<(u16, bool)> {
    match byte {
        b'\r' => return Some((KEY_ENTER, false)),
        b'\t' => return Some((KEY_TAB, false)),
        _ => {}
    }
    (1..=57u16).find_map(|code| {
        let (plain, shifted) = us(code)?;
        if plain == byte {
            Some((code, false))
        } else if shifted == byte {
            Some((code, true))
        } else {
            None
        }
    })
}

//! Key events (`struct input_event`, linux/input.h): what was typed is masked, that something was typed is not.

use till_plugin::proto::traffic::Run;

use super::masked;

const TIME: usize = 2 * size_of::<usize>();
const EVENT: usize = TIME + 8;

const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const SYN_DROPPED: u16 = 3;

const KEY_0: u16 = 11;
const KEY_EQUAL: u16 = 13;
const KEY_TAB: u16 = 15;
const KEY_ENTER: u16 = 28;
const KEY_SEMICOLON: u16 = 39;
const KEY_LEFTSHIFT: u16 = 42;
const KEY_SLASH: u16 = 53;
const KEY_RIGHTSHIFT: u16 = 54;
const KEY_KPENTER: u16 = 96;

/// Most keys that are remembered as held down.
const HELD: usize = 32;

/// Masks key events.
pub(crate) struct Keys {
    /// Bytes of an event that began before the recording.
    skip: usize,
    partial: Vec<u8>,
    shift: [bool; 2],
    /// Keys that are down, each with the one that was written for it.
    held: Vec<(u16, u16)>,
    /// Something was written since the last report's end.
    written: bool,
}

impl Keys {
    /// `read`: bytes that were read before the recording began.
    pub(super) fn new(read: usize) -> Self {
        let skip = (EVENT - read % EVENT) % EVENT;
        Self { skip, partial: Vec::with_capacity(EVENT), shift: [false; 2], held: Vec::new(), written: false }
    }

    /// Whole events only: the rest waits for the next bytes.
    pub(super) fn mask(&mut self, bytes: &[u8]) -> Vec<Run> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let mut out = Vec::with_capacity(bytes.len() + EVENT);
        for b in &bytes[skipped..] {
            self.partial.push(*b);
            if self.partial.len() == EVENT {
                self.event(&mut out);
                self.partial.fill(0);
                self.partial.clear();
            }
        }
        let head = (skipped > 0).then(|| masked(skipped));
        head.into_iter().chain((!out.is_empty()).then_some(Run::Known(out))).collect()
    }

    fn event(&mut self, out: &mut Vec<u8>) {
        let (time, rest) = self.partial.split_at(TIME);
        let time = time.to_vec();
        let kind = u16::from_ne_bytes([rest[0], rest[1]]);
        let code = u16::from_ne_bytes([rest[2], rest[3]]);
        let value = i32::from_ne_bytes([rest[4], rest[5], rest[6], rest[7]]);
        let mut write = |kind: u16, code: u16, value: i32| {
            out.extend_from_slice(&time);
            out.extend_from_slice(&kind.to_ne_bytes());
            out.extend_from_slice(&code.to_ne_bytes());
            out.extend_from_slice(&value.to_ne_bytes());
        };
        match (kind, code) {
            // A report of which nothing was written must not show that it was there.
            (EV_SYN, _) => {
                if self.written || code == SYN_DROPPED {
                    write(EV_SYN, code, 0);
                }
                self.written = false;
            }
            // Which letters are capitals says something of a code.
            (EV_KEY, KEY_LEFTSHIFT | KEY_RIGHTSHIFT) => {
                self.shift[usize::from(code == KEY_RIGHTSHIFT)] = value != 0;
            }
            (EV_KEY, _) if value == 1 => {
                let shift = self.shift.contains(&true);
                let shown = match (code, shift) {
                    (KEY_ENTER | KEY_KPENTER | KEY_TAB, _)
                    | (KEY_SEMICOLON | KEY_EQUAL, false)
                    | (KEY_SLASH, true) => code,
                    _ => KEY_0,
                };
                if self.held.len() >= HELD {
                    self.held.remove(0);
                }
                self.held.push((code, shown));
                self.written = true;
                if shown == KEY_SLASH {
                    write(EV_KEY, KEY_LEFTSHIFT, 1);
                }
                write(EV_KEY, shown, 1);
                if shown == KEY_SLASH {
                    write(EV_KEY, KEY_LEFTSHIFT, 0);
                }
            }
            (EV_KEY, _) => {
                let at = self.held.iter().position(|(down, _)| *down == code);
                let shown = at.map_or(KEY_0, |at| self.held[at].1);
                if let (Some(at), 0) = (at, value) {
                    self.held.remove(at);
                }
                self.written = true;
                write(EV_KEY, shown, if value == 2 { 2 } else { 0 });
            }
            // A scan code is the key once more; lamps and the like may tell of Caps Lock.
            _ => {}
        }
    }
}

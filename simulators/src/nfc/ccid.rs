//! An ACR122U (072f:2200): its PN532 behind pseudo-APDUs in CCID messages (USB CCID rev. 1.1 §6; ACR122U API V2.04 §6). One packet of
//! the till's transport is one message.

use std::time::Duration;

use super::chip::{Chip, Out};
use super::fault::Fault;

const HEADER: usize = 10;
/// bError: no card answers.
const MUTE: u8 = 0xFE;
/// Command failed, no card.
const FAILED: u8 = 0x42;
const MORE_TIME: u8 = 0x80;

/// The reader around the chip.
#[derive(Debug)]
pub struct Acr122 {
    powered: bool,
    polls: bool,
    beeps: bool,
    firmware: String,
}

impl Default for Acr122 {
    fn default() -> Self {
        Self { powered: false, polls: true, beeps: true, firmware: "ACR122U201".into() }
    }
}

impl Acr122 {
    /// With another firmware text.
    pub fn with_firmware(text: &str) -> Self {
        Self { firmware: text.into(), ..Self::default() }
    }

    /// Whether it would make a sound at a card that it found by itself.
    pub const fn beeps(&self) -> bool {
        self.polls && self.beeps
    }

    /// The power was off. The chip inside is awake as soon as the reader is.
    pub fn power_cycle(&mut self, chip: &mut Chip) {
        *self = Self::with_firmware(&self.firmware);
        chip.receive(&[0x55]);
        // The reader's own controller has configured its chip.
        chip.receive(&[0, 0, 0xFF, 5, 0xFB, 0xD4, 0x14, 1, 0, 0, 0x17, 0]);
    }

    /// A message, and what comes back: each after a pause. `None`: the cable was pulled.
    pub fn message(&mut self, chip: &mut Chip, message: &[u8]) -> Option<Vec<(Duration, Vec<u8>)>> {
        let (header, data) = message.split_first_chunk::<HEADER>()?;
        let [kind, l0, l1, l2, l3, _, sequence, ..] = *header;
        let whole = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])) == Ok(data.len());
        let (mut kind_back, mut status, mut error, mut after, mut answer) =
            (0x80, 0, 0, Duration::ZERO, Vec::new());
        match kind {
            _ if !whole => (status, error) = (FAILED, 1),
            0x62 => {
                self.powered = true;
                (status, error) = (FAILED, MUTE);
            }
            0x63 | 0x65 => {
                (kind_back, status) = (0x81, 2);
                self.powered &= kind == 0x65;
            }
            0x6F if self.powered => (after, answer) = self.apdu(chip, data)?,
            _ => (status, error) = (FAILED, MUTE),
        }
        if answer.is_empty() && status == 0 && kind == 0x6F {
            // The chip says nothing, and so does the reader.
            return Some(Vec::new());
        }
        let mut back = block(kind_back, sequence, status, error, &answer);
        let mut all = Vec::new();
        if chip.happens(|f| if let Fault::OlderBlock { times } = f { Some(*times) } else { None }) {
            all.push((Duration::ZERO, block(0x80, sequence.wrapping_sub(1), 0, 0, &[0x90, 0])));
        }
        if chip.happens(|f| if let Fault::MoreTime { times } = f { Some(*times) } else { None }) {
            all.push((Duration::ZERO, block(0x80, sequence, MORE_TIME, 1, &[])));
        }
        if chip.happens(|f| if let Fault::CutBlock { times } = f { Some(*times) } else { None }) {
            back.truncate(HEADER + answer.len() / 2);
        }
        if chip.happens(|f| if let Fault::LongBlock { times } = f { Some(*times) } else { None }) {
            back.extend([0xEE; 3]);
        }
        all.push((after, back));
        Some(all)
    }

    fn apdu(&mut self, chip: &mut Chip, apdu: &[u8]) -> Option<(Duration, Vec<u8>)> {
        let now = |answer: &[u8]| Some((Duration::ZERO, answer.to_vec()));
        match apdu {
            [0xFF, 0, 0x48, 0, 0] => now(self.firmware.as_bytes()),
            [0xFF, 0, 0x51, parameter, 0] => {
                self.polls = parameter & 0x80 != 0;
                now(&[0x90, *parameter])
            }
            [0xFF, 0, 0x52, sound, 0] => {
                self.beeps = *sound != 0;
                now(&[0x90, 0])
            }
            [0xFF, 0, 0x40, state, 4, ..] => now(&[0x90, state & 3]),
            // Its own search for cards holds the field.
            [0xFF, 0, 0, 0, _, 0xD4, 0x4A, ..] if self.polls => now(&[0x63, 0]),
            [0xFF, 0, 0, 0, length, command @ ..] if usize::from(*length) == command.len() => {
                let (after, mut answer) = carry_out(chip, command)?;
                match answer.as_slice() {
                    [] => {}
                    [0x7F] => answer = vec![0x63, 0],
                    _ => answer.extend([0x90, 0]),
                }
                Some((after, answer))
            }
            _ => now(&[0x63, 0]),
        }
    }
}

/// Gives the chip a command; its reply, and how long that takes. `None`: the cable was pulled.
pub(super) fn carry_out(chip: &mut Chip, command: &[u8]) -> Option<(Duration, Vec<u8>)> {
    let (mut after, mut answer) = (Duration::ZERO, Vec::new());
    for out in chip.receive(&frame(command)) {
        match out {
            Out::Cut => return None,
            Out::Bytes(pause, bytes) => {
                after += pause;
                if let Some(data) = data(&bytes) {
                    answer = data.to_vec();
                }
            }
        }
    }
    Some((after, answer))
}

pub(super) fn block(kind: u8, sequence: u8, status: u8, error: u8, data: &[u8]) -> Vec<u8> {
    let mut block = vec![kind];
    block.extend(u32::try_from(data.len()).unwrap_or_default().to_le_bytes());
    block.extend([0, sequence, status, error, 0]);
    block.extend(data);
    block
}

/// A frame for the chip.
fn frame(data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).unwrap_or_default();
    let sum = data.iter().fold(0u8, |s, b| s.wrapping_add(*b));
    [&[0, 0, 0xFF, length, length.wrapping_neg()], data, &[sum.wrapping_neg(), 0]].concat()
}

/// What is in a frame of the chip's; nothing in an acknowledgement or a damaged one.
fn data(frame: &[u8]) -> Option<&[u8]> {
    let (header, length) = match frame {
        [0, 0, 0xFF, 0xFF, 0xFF, high, low, ..] => (8, usize::from(*high) << 8 | usize::from(*low)),
        [0, 0, 0xFF, length, check, ..] if length.wrapping_add(*check) == 0 => (5, usize::from(*length)),
        _ => return None,
    };
    let data = frame.get(header..header + length).filter(|d| !d.is_empty())?;
    let sum = frame.get(header..=header + length)?.iter().fold(0u8, |s, b| s.wrapping_add(*b));
    (sum == 0).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(reader: &mut Acr122, chip: &mut Chip, kind: u8, data: &[u8]) -> Vec<u8> {
        let mut message = block(kind, 7, 0, 0, data);
        message[9] = 0;
        let mut all = reader.message(chip, &message).unwrap();
        assert_eq!(all.len(), 1);
        let (_, back) = all.remove(0);
        assert_eq!(back[6], 7);
        back
    }

    #[test]
    fn it_wants_power_on_and_no_search_of_its_own_before_it_looks_for_cards() {
        let (mut reader, mut chip) = (Acr122::default(), Chip::new());
        reader.power_cycle(&mut chip);
        let look = [0xFF, 0, 0, 0, 4, 0xD4, 0x4A, 2, 0];
        assert_eq!(ask(&mut reader, &mut chip, 0x6F, &look)[7], FAILED);
        ask(&mut reader, &mut chip, 0x62, &[]);
        assert_eq!(ask(&mut reader, &mut chip, 0x6F, &[0xFF, 0, 0x48, 0, 0])[10..], *b"ACR122U201");
        assert_eq!(ask(&mut reader, &mut chip, 0x6F, &look)[10..], [0x63, 0]);
        assert_eq!(ask(&mut reader, &mut chip, 0x6F, &[0xFF, 0, 0x51, 0x7F, 0])[10..], [0x90, 0x7F]);
        let retries = [0xFF, 0, 0, 0, 6, 0xD4, 0x32, 5, 0xFF, 1, 2];
        assert_eq!(ask(&mut reader, &mut chip, 0x6F, &retries)[10..], [0xD5, 0x33, 0x90, 0]);
        assert_eq!(ask(&mut reader, &mut chip, 0x6F, &look)[10..], [0xD5, 0x4B, 0, 0x90, 0]);
        assert!(!reader.beeps());
    }

    #[test]
    fn a_message_that_is_cut_fails() {
        let (mut reader, mut chip) = (Acr122::default(), Chip::new());
        let mut message = block(0x62, 1, 0, 0, &[]);
        message[1] = 3;
        assert_eq!(reader.message(&mut chip, &message).unwrap()[0].1[7], FAILED);
        assert!(reader.message(&mut chip, &[0x62, 0]).is_none());
    }
}

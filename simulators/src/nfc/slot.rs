//! A USB card reader that finds and activates contactless cards by itself (USB CCID rev. 1.1 §6, exchanges of short APDUs; PC/SC part 3 for
//! answer to reset and serial number). It takes one card of those before it. One packet of the till's transport is one message.

use std::time::Duration;

use super::ccid::{block, carry_out};
use super::chip::Chip;
use super::fault::Fault;

const HEADER: usize = 10;
/// bError: the card does not answer; the slot is busy; no such parameter (the length).
const MUTE: u8 = 0xFE;
const BUSY: u8 = 0xE0;
const WRONG_LENGTH: u8 = 1;
/// Command failed: a card lies there and is active, is not, there is none.
const FAILED: u8 = 0x40;
const INACTIVE: u8 = 0x01;
const NONE: u8 = 0x02;
const MORE_TIME: u8 = 0x80;

/// The reader around its chip.
#[derive(Debug, Default)]
pub struct Slot {
    active: Option<Active>,
    contacts: bool,
}

#[derive(Debug)]
struct Active {
    number: u8,
    serial: Vec<u8>,
    speaks: bool,
}

struct Answer {
    kind: u8,
    status: u8,
    error: u8,
    after: Duration,
    data: Vec<u8>,
}

impl Answer {
    const fn status(status: u8) -> Self {
        Self { kind: 0x81, status, error: 0, after: Duration::ZERO, data: Vec::new() }
    }

    const fn failed(card: u8, error: u8) -> Self {
        Self { kind: 0x80, status: FAILED | card, error, after: Duration::ZERO, data: Vec::new() }
    }

    const fn data(data: Vec<u8>) -> Self {
        Self { kind: 0x80, status: 0, error: 0, after: Duration::ZERO, data }
    }
}

impl Slot {
    /// A reader of cards with contacts, as it answers for whatever lies in it.
    pub fn with_contacts() -> Self {
        Self { contacts: true, active: None }
    }

    /// The power was off. Its own controller sets its chip up.
    pub fn power_cycle(&mut self, chip: &mut Chip) {
        self.active = None;
        chip.receive(&[0x55]);
        for command in [[0xD4, 0x14, 1, 0, 0].as_slice(), &[0xD4, 0x32, 5, 0xFF, 1, 2]] {
            carry_out(chip, command);
        }
    }

    /// A message, and what comes back: each after a pause. `None`: the cable was pulled.
    pub fn message(&mut self, chip: &mut Chip, message: &[u8]) -> Option<Vec<(Duration, Vec<u8>)>> {
        let (header, data) = message.split_first_chunk::<HEADER>()?;
        let [kind, l0, l1, l2, l3, _, sequence, ..] = *header;
        let whole = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])) == Ok(data.len());
        if chip.happens(|f| if let Fault::Busy { times } = f { Some(*times) } else { None }) {
            return Some(vec![(Duration::ZERO, block(0x80, sequence, FAILED, BUSY, &[]))]);
        }
        let answer = match kind {
            _ if !whole => Answer::failed(NONE, WRONG_LENGTH),
            0x62 => self.power_on(chip)?,
            0x63 => {
                self.active = None;
                carry_out(chip, &[0xD4, 0x52, 0]);
                Answer::status(INACTIVE)
            }
            0x65 => Answer::status(if self.active.is_some() { 0 } else { NONE }),
            0x6F => self.apdu(chip, data)?,
            // No such command.
            _ => Answer::failed(NONE, 0),
        };
        if kind == 0x6F && answer.status == 0 && answer.data.is_empty() {
            // The card says nothing, and so does the reader.
            return Some(Vec::new());
        }
        let mut all = Vec::new();
        if chip.happens(|f| if let Fault::MoreTime { times } = f { Some(*times) } else { None }) {
            all.push((Duration::ZERO, block(0x80, sequence, MORE_TIME, 1, &[])));
        }
        let mut back = block(answer.kind, sequence, answer.status, answer.error, &answer.data);
        if chip.happens(|f| if let Fault::CutBlock { times } = f { Some(*times) } else { None }) {
            back.truncate(HEADER + answer.data.len() / 2);
        }
        all.push((answer.after, back));
        Some(all)
    }

    fn power_on(&mut self, chip: &mut Chip) -> Option<Answer> {
        self.active = None;
        let (after, found) = carry_out(chip, &[0xD4, 0x4A, 1, 0])?;
        if chip.happens(|f| if let Fault::NotActivated { times } = f { Some(*times) } else { None }) {
            return Some(Answer::failed(INACTIVE, MUTE));
        }
        let [0xD5, 0x4B, 1 | 2, number, _, _, sak, length, rest @ ..] = found.as_slice() else {
            return Some(Answer { after, ..Answer::failed(NONE, MUTE) });
        };
        let serial = rest.get(..usize::from(*length))?.to_vec();
        let speaks = sak & 0x20 != 0;
        self.active = Some(Active { number: *number, serial, speaks });
        let mut atr = match (self.contacts, speaks) {
            (true, _) => return Some(Answer::data(vec![0x3B, 0x65, 0, 0, 0x9C, 2, 2, 7, 2])),
            // Historical bytes of the card; of a storage card, RID, standard (ISO 14443 A, part 3) and name (MIFARE Standard 1K).
            (_, true) => vec![0x3B, 0x82, 0x80, 0x01, 0x70, 0x02],
            (_, false) => [
                [0x3B, 0x8F, 0x80, 0x01, 0x80, 0x4F, 0x0C, 0xA0, 0, 0].as_slice(),
                &[3, 6, 3, 0, 1, 0, 0, 0, 0],
            ]
            .concat(),
        };
        atr.push(atr.iter().skip(1).fold(0, |sum, byte| sum ^ byte));
        Some(Answer { after, ..Answer::data(atr) })
    }

    fn apdu(&mut self, chip: &mut Chip, apdu: &[u8]) -> Option<Answer> {
        let Some(Active { number, serial, speaks }) = &self.active else {
            return Some(Answer::failed(NONE, MUTE));
        };
        match apdu {
            [0xFF, 0xCA, 0, 0, ..] => return Some(Answer::data([serial.as_slice(), &[0x90, 0]].concat())),
            // No such instruction of the reader; a storage card takes no others.
            [0xFF, ..] => return Some(Answer::data(vec![0x6D, 0])),
            _ if !speaks => return Some(Answer::data(vec![0x6E, 0])),
            _ => {}
        }
        let mut command = vec![0xD4, 0x40, *number];
        command.extend_from_slice(apdu);
        let (mut after, mut whole) = (Duration::ZERO, Vec::new());
        loop {
            let (pause, back) = carry_out(chip, &command)?;
            after += pause;
            match back.as_slice() {
                [] => return Some(Answer::data(Vec::new())),
                [0xD5, 0x41, 0x00, part @ ..] => {
                    whole.extend_from_slice(part);
                    return Some(Answer { after, ..Answer::data(whole) });
                }
                // The rest is fetched with an empty exchange.
                [0xD5, 0x41, 0x40, part @ ..] => whole.extend_from_slice(part),
                _ => {
                    self.active = None;
                    return Some(Answer { after, ..Answer::failed(NONE, MUTE) });
                }
            }
            command.truncate(3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nfc::{Card, Hand};

    fn ask(reader: &mut Slot, chip: &mut Chip, kind: u8, data: &[u8]) -> Vec<u8> {
        let mut all = reader.message(chip, &block(kind, 7, 0, 0, data)).unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0).1
    }

    #[test]
    fn it_activates_a_card_tells_its_number_and_hands_commands_through() {
        let (mut reader, mut chip) = (Slot::default(), Chip::new());
        reader.power_cycle(&mut chip);
        assert_eq!(ask(&mut reader, &mut chip, 0x62, &[])[7..9], [FAILED | NONE, MUTE]);
        chip.present(Hand::with(Card::visa()));
        let atr = ask(&mut reader, &mut chip, 0x62, &[]);
        assert_eq!(atr[10..14], [0x3B, 0x82, 0x80, 0x01]);
        let number = ask(&mut reader, &mut chip, 0x6F, &[0xFF, 0xCA, 0, 0, 0]);
        assert_eq!(number[10..], [4, 0x21, 0x22, 0x33, 0x44, 0x55, 0x66, 0x90, 0]);
        let select = [b"\x00\xA4\x04\x00\x0E2PAY.SYS.DDF01".as_slice(), &[0]].concat();
        assert!(ask(&mut reader, &mut chip, 0x6F, &select).ends_with(&[0x90, 0]));
        chip.remove();
        assert_eq!(ask(&mut reader, &mut chip, 0x6F, &select)[7..9], [FAILED | NONE, MUTE]);
        assert_eq!(ask(&mut reader, &mut chip, 0x65, &[])[..1], [0x81]);
    }
}

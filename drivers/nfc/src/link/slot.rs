//! A card reader that finds and activates contactless cards by itself and hands commands through (USB CCID rev. 1.1, exchanges of whole APDUs;
//! PC/SC part 3 for what it says of a card): any such USB reader, or one behind PC/SC by `till-pcsc`.
//!
//! The engine speaks the PN532's commands. Those that set a chip up are answered here; looking for a card is powering it, and the
//! exchange with it is a block each way. One card at a time: which of two a reader takes is its own affair.

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroizing;

use super::ccid::{BUSY, Block, Dialogue, Heard, MUTE, power_off, power_on, slot_status, transfer};
use super::{Event, Link, LinkFault};
use crate::chip;

/// Asks the reader for the card's serial number (PC/SC part 3, 3.2.2.1.3).
pub const SERIAL: [u8; 5] = [0xFF, 0xCA, 0, 0, 0];
/// What stands in for a serial number that is not told; begins as numbers that are made up do.
const UNKNOWN: [u8; 4] = [0x08, 0, 0, 0];
/// A card that is there and cannot be activated is tried so often.
const TRIES: u8 = 3;
/// Longest for activating a card: readers try voltages, speeds and both types by themselves.
const ACTIVATE: Duration = Duration::from_secs(3);
/// A reader that is busy is asked again after this.
const AGAIN: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Whether the reader answers.
    Status,
    /// Activating a card, for the n-th time.
    On(u8),
    /// Asking for its serial number.
    Serial(Contactless),
    /// Letting the card go; the code of the chip's reply.
    Off(u8),
    /// A command to the card.
    Apdu,
}

/// What an answer to reset says of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contactless {
    /// It speaks no APDUs.
    Storage,
    /// It does.
    Speaks,
    /// It does, and may be of type B.
    MaybeB,
}

/// The link.
pub struct Slot {
    dialogue: Dialogue,
    doing: Doing,
    /// What the message under way carries, for a reader that was busy, and when to send it again.
    apdu: Zeroizing<Vec<u8>>,
    again: Option<Duration>,
    powered: bool,
    /// A card that may be of type B, until it is looked for.
    second: Option<[u8; 4]>,
    events: VecDeque<Event>,
}

impl Slot {
    /// Goes on where another link found that this is such a reader.
    pub fn new(dialogue: Dialogue) -> Self {
        Self {
            dialogue,
            doing: Doing::Status,
            apdu: Zeroizing::default(),
            again: None,
            // Somebody before may have left it so.
            powered: true,
            second: None,
            events: VecDeque::new(),
        }
    }

    fn ask(&mut self, doing: Doing, apdu: &[u8], within: Duration, now: Duration) {
        self.doing = doing;
        self.apdu = Zeroizing::new(apdu.to_vec());
        self.again = None;
        self.dialogue.ask(|sequence| message(doing, sequence, apdu), within, now);
    }

    /// A further message of the same command.
    fn go_on(&mut self, doing: Doing, apdu: &[u8]) {
        self.doing = doing;
        self.apdu = Zeroizing::new(apdu.to_vec());
        self.dialogue.go_on(|sequence| message(doing, sequence, apdu));
    }

    fn finish(&mut self, event: Event) {
        self.dialogue.end();
        self.again = None;
        self.events.push_back(event);
    }

    fn reply(&mut self, parts: &[&[u8]]) {
        self.finish(Event::Reply(Zeroizing::new(parts.concat())));
    }

    fn answered(&mut self, block: &Block, now: Duration) {
        if block.failed() && block.error == BUSY {
            self.again = Some(now + AGAIN);
            return;
        }
        match self.doing {
            Doing::Status => self.reply(&[&[0x03, 0x32, 1, 0, 7]]),
            Doing::Off(code) => {
                self.powered = false;
                self.reply(&[&[code]]);
            }
            Doing::On(tried) => self.activated(tried, block),
            Doing::Serial(_) if block.failed() && block.empty() => self.reply(&[&[0x4B, 0]]),
            Doing::Serial(card) => self.found(card, block),
            Doing::Apdu => self.exchanged(block),
        }
    }

    fn activated(&mut self, tried: u8, block: &Block) {
        if !block.failed() {
            self.powered = true;
            let Some(card) = contactless(&block.data) else {
                // A card with contacts: nothing is sent to it.
                return self.unsupported();
            };
            return self.go_on(Doing::Serial(card), &SERIAL);
        }
        if block.empty() {
            self.powered = false;
            self.reply(&[&[0x4B, 0]]);
        } else if tried < TRIES {
            self.go_on(Doing::On(tried + 1), &[]);
        } else {
            self.unsupported();
        }
    }

    /// Something lies there that is no card of ours.
    fn unsupported(&mut self) {
        self.reply(&[&[0x4B, 1, 1, 0, 4, 0, 4], &UNKNOWN]);
    }

    fn found(&mut self, card: Contactless, block: &Block) {
        let told = match block.data.split_last_chunk::<2>() {
            Some((serial, [0x90, 0x00])) if !block.failed() && matches!(serial.len(), 4 | 7 | 10) => serial,
            _ => UNKNOWN.as_slice(),
        };
        if let (Contactless::MaybeB, Ok(serial)) = (card, <[u8; 4]>::try_from(told)) {
            // It is found when type B is looked for, where a serial number proves nothing.
            self.second = Some(serial);
            return self.reply(&[&[0x4B, 0]]);
        }
        let length = u8::try_from(told.len()).unwrap_or(4);
        let (sak, end): (u8, &[u8]) = if card == Contactless::Storage { (0, &[]) } else { (0x20, &[1]) };
        self.reply(&[&[0x4B, 1, 1, 0, 4, sak, length], told, end]);
    }

    fn exchanged(&mut self, block: &Block) {
        match (block.failed(), block.error) {
            (false, _) if block.chain == 0 && block.data.len() >= 2 => self.reply(&[&[0x41, 0], &block.data]),
            (false, _) => self.finish(Event::Fault(LinkFault::Damaged)),
            (true, _) if block.empty() => self.reply(&[&[0x41, 0x2B]]),
            // Mute; and hardware, overrun, parity (FBh to FDh), bad answer to reset or protocol (F6h to F8h).
            (true, MUTE) => self.reply(&[&[0x41, 0x01]]),
            (true, 0xF6..=0xFD) => self.reply(&[&[0x41, 0x02]]),
            (true, _) => self.finish(Event::Fault(LinkFault::Refused)),
        }
    }
}

fn message(doing: Doing, sequence: u8, apdu: &[u8]) -> Zeroizing<Vec<u8>> {
    match doing {
        Doing::Status => slot_status(sequence),
        Doing::On(_) => power_on(sequence),
        Doing::Off(_) => power_off(sequence),
        Doing::Serial(_) | Doing::Apdu => transfer(sequence, apdu),
    }
}

/// Reads an answer to reset (PC/SC part 3, 3.1.3.2.3); nothing of a card with contacts. Type B always has eight historical bytes.
pub fn contactless(atr: &[u8]) -> Option<Contactless> {
    let [0x3B, count @ 0x80..=0x8F, 0x80, 0x01, history @ ..] = atr else { return None };
    Some(match count {
        _ if history.starts_with(&[0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06]) => Contactless::Storage,
        0x88 => Contactless::MaybeB,
        _ => Contactless::Speaks,
    })
}

impl Link for Slot {
    fn send(
        &mut self,
        command: &[u8],
        within: Duration,
        _again: bool,
        now: Duration,
    ) -> Result<(), LinkFault> {
        if self.dialogue.busy() {
            return Err(LinkFault::Busy);
        }
        self.events.clear();
        match command {
            chip::FIRMWARE => self.ask(Doing::Status, &[], within, now),
            [0x4A, _, 0x00, ..] => {
                self.second = None;
                self.ask(Doing::On(1), &[], within.max(ACTIVATE), now);
            }
            [0x4A, ..] => match self.second.take() {
                Some(serial) => {
                    let told: [&[u8]; 3] = [&[0x4B, 1, 1, 0x50], &serial, &[0, 0, 0, 0, 0, 0x21, 0, 0]];
                    self.reply(&told);
                }
                None => self.reply(&[&[0x4B, 0]]),
            },
            [0x40, _, apdu @ ..] if apdu.len() <= chip::EXCHANGE => {
                self.ask(Doing::Apdu, apdu, within, now);
            }
            [0x40, ..] => return Err(LinkFault::TooLong),
            chip::RELEASE | chip::FIELD_OFF if self.powered => {
                self.ask(Doing::Off(command[0] + 1), &[], within, now);
            }
            [code @ 0..=0xFE, ..] => self.reply(&[&[code + 1]]),
            _ => return Err(LinkFault::TooLong),
        }
        Ok(())
    }

    fn push(&mut self, bytes: &[u8], now: Duration) {
        match self.dialogue.heard(bytes, now) {
            Heard::Nothing => {}
            Heard::Damaged => self.finish(Event::Fault(LinkFault::Damaged)),
            Heard::Answer(block) => self.answered(&block, now),
        }
    }

    fn tick(&mut self, now: Duration) {
        if self.dialogue.overdue(now) {
            self.finish(Event::Fault(LinkFault::NoReply));
        } else if self.again.is_some_and(|at| now >= at) {
            self.again = None;
            self.dialogue.go_on(|sequence| message(self.doing, sequence, &self.apdu));
        }
    }

    fn abort(&mut self) {
        self.dialogue.end();
        self.again = None;
        self.second = None;
        self.events.clear();
    }

    fn deadline(&self) -> Option<Duration> {
        if self.events.is_empty() {
            let end = self.dialogue.deadline();
            self.again.map(|at| end.map_or(at, |end| at.min(end))).or(end)
        } else {
            // What is answered here waits to be looked at.
            Some(Duration::ZERO)
        }
    }

    fn output(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.dialogue.output()
    }

    fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn asleep(&mut self) {
        self.powered = true;
    }

    fn noise(&self) -> (u64, u64) {
        (0, self.dialogue.stale())
    }
}

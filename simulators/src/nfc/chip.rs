//! The PN532 itself (NXP UM0701-02): frames in, frames out, cards in its field. Without I/O; pauses are given, not waited.

use std::time::Duration;

use super::card::Card;
use super::fault::{Fault, Hand};

const ACK: [u8; 6] = [0, 0, 0xFF, 0, 0xFF, 0];
const NACK: [u8; 6] = [0, 0, 0xFF, 0xFF, 0, 0];
const ERROR: [u8; 8] = [0, 0, 0xFF, 1, 0xFF, 0x7F, 0x81, 0];

/// What comes out of the chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// Bytes after a pause.
    Bytes(Duration, Vec<u8>),
    /// The line is cut.
    Cut,
}

/// What the chip has seen since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whole commands from the host.
    pub commands: u64,
    /// Looks for cards.
    pub looks: u64,
    /// Looks that found none.
    pub empty: u64,
    /// Commands to cards.
    pub apdus: u64,
    /// Commands to the card that lies there now.
    pub tap: u32,
    /// Cryptograms that cards made.
    pub cryptograms: u64,
    /// Faults that happened.
    pub faults: u64,
    /// Commands given up by the host.
    pub aborts: u64,
    /// Time that card and reader took for themselves.
    pub spent: Duration,
    /// Whether the field is on.
    pub field: bool,
}

/// The chip.
#[derive(Default)]
pub struct Chip {
    held: Vec<u8>,
    awake: bool,
    configured: bool,
    retries: u8,
    hand: Hand,
    /// Whether the cards are activated.
    active: bool,
    removed: bool,
    /// A look for cards that has not ended, and of which kind.
    pending: Option<u8>,
    /// A command whose reply never comes.
    mute: bool,
    given_up: bool,
    last: Vec<u8>,
    /// The rest of an answer that is handed out in parts.
    rest: Vec<u8>,
    used: Vec<u32>,
    seen: Seen,
    look_time: Duration,
}

impl Chip {
    /// Switched on, asleep, nothing before it.
    pub fn new() -> Self {
        Self { look_time: Duration::from_millis(5), ..Self::default() }
    }

    /// What it has seen.
    pub const fn seen(&self) -> Seen {
        self.seen
    }

    /// Cards come before it. Gives the reply of a look that was waiting for them.
    pub fn present(&mut self, hand: Hand) -> Vec<Out> {
        self.used = vec![0; hand.faults.len()];
        self.hand = hand;
        self.active = false;
        self.removed = false;
        self.seen.tap = 0;
        match self.pending.take() {
            Some(kind) => {
                let mut outs = Vec::new();
                self.list(kind, &mut outs);
                outs
            }
            None => Vec::new(),
        }
    }

    /// The cards go.
    pub fn remove(&mut self) -> Hand {
        self.active = false;
        self.rest.clear();
        std::mem::take(&mut self.hand)
    }

    /// The power was off: it sleeps and has forgotten everything.
    pub fn power_cycle(&mut self) {
        let hand = std::mem::take(&mut self.hand);
        let seen = Seen { field: false, ..self.seen };
        let used = std::mem::take(&mut self.used);
        *self = Self { hand, used, seen, ..Self::new() };
    }

    /// Bytes from the host.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Out> {
        let mut outs = Vec::new();
        for byte in bytes {
            if !self.awake {
                // The first 55h of the preamble starts the clock; what comes before it is lost.
                self.awake = *byte == 0x55;
                continue;
            }
            self.held.push(*byte);
            while self.frame(&mut outs) {}
        }
        outs
    }

    /// Takes one frame off what is held; false when there is none.
    fn frame(&mut self, outs: &mut Vec<Out>) -> bool {
        let Some(start) = self.held.windows(2).position(|w| w == [0, 0xFF]) else {
            let keep = self.held.len().min(1);
            self.held.drain(..self.held.len() - keep);
            return false;
        };
        self.held.drain(..start);
        let (length, header) = match self.held.as_slice() {
            [_, _] | [_, _, _] | [_, _, 0xFF, 0xFF] | [_, _, 0xFF, 0xFF, _] | [_, _, 0xFF, 0xFF, _, _] => {
                return false;
            }
            [_, _, 0, 0xFF, ..] => {
                self.held.drain(..4);
                self.abort();
                return true;
            }
            [_, _, 0xFF, 0, ..] => {
                self.held.drain(..4);
                if !self.last.is_empty() {
                    outs.push(Out::Bytes(Duration::ZERO, self.last.clone()));
                }
                return true;
            }
            [_, _, 0xFF, 0xFF, high, low, _, ..] => (usize::from(*high) * 256 + usize::from(*low), 7),
            [_, _, length, check, ..] if length.wrapping_add(*check) == 0 => (usize::from(*length), 4),
            _ => {
                self.held.drain(..2);
                return true;
            }
        };
        if self.held.len() <= header + length {
            return false;
        }
        let data: Vec<u8> = self.held.drain(..=header + length).skip(header).collect();
        if data.iter().fold(0u8, |s, b| s.wrapping_add(*b)) == 0 && data.len() > 2 && data[0] == 0xD4 {
            self.command(&data[1..data.len() - 1], outs);
        } else {
            outs.push(Out::Bytes(Duration::ZERO, NACK.to_vec()));
        }
        true
    }

    /// Whether the host has given a command up since this was asked last.
    pub(super) const fn aborted(&mut self) -> bool {
        std::mem::replace(&mut self.given_up, false)
    }

    fn abort(&mut self) {
        self.given_up = true;
        self.seen.aborts += u64::from(self.pending.is_some() || self.mute);
        self.pending = None;
        self.mute = false;
    }

    /// Whether a fault fires now; counts it.
    pub(super) fn happens(&mut self, fits: impl Fn(&Fault) -> Option<u32>) -> bool {
        for (n, fault) in self.hand.faults.iter().enumerate() {
            if let (Some(most), Some(used)) = (fits(fault), self.used.get_mut(n))
                && *used < most
            {
                *used += 1;
                self.seen.faults += 1;
                return true;
            }
        }
        false
    }

    fn command(&mut self, command: &[u8], outs: &mut Vec<Out>) {
        // A new command ends the one before.
        self.abort();
        if self.happens(|f| if let Fault::Nak { times } = f { Some(*times) } else { None }) {
            outs.push(Out::Bytes(Duration::ZERO, NACK.to_vec()));
            return;
        }
        if self.happens(|f| if let Fault::NoAck { times } = f { Some(*times) } else { None }) {
            return;
        }
        self.seen.commands += 1;
        outs.push(Out::Bytes(Duration::ZERO, ACK.to_vec()));
        if self.hand.faults.contains(&Fault::RepeatAck {}) {
            outs.push(Out::Bytes(Duration::ZERO, ACK.to_vec()));
            outs.push(Out::Bytes(Duration::ZERO, ACK.to_vec()));
        }
        match command {
            [0x02] => self.reply(&[0x03, 0x32, 1, 6, 7], Duration::ZERO, outs),
            [0x14, 1, ..] => {
                self.configured = true;
                self.reply(&[0x15], Duration::ZERO, outs);
            }
            _ if !self.configured => outs.push(Out::Bytes(Duration::ZERO, ERROR.to_vec())),
            [0x32, 5, _, _, retries] => {
                self.retries = *retries;
                self.reply(&[0x33], Duration::ZERO, outs);
            }
            [0x32, 1, field] => {
                self.field(field & 1 != 0);
                self.reply(&[0x33], Duration::ZERO, outs);
            }
            [0x32, ..] => self.reply(&[0x33], Duration::ZERO, outs),
            [0x4A, 1..=2, kind @ (0x00 | 0x03), ..] => self.list(*kind, outs),
            [0x40, target, apdu @ ..] => self.exchange(*target, apdu, outs),
            [0x52 | 0x44, _] => {
                self.active = false;
                for card in &mut self.hand.cards {
                    card.reset();
                }
                self.reply(&[command[0] + 1, 0], Duration::ZERO, outs);
            }
            _ => outs.push(Out::Bytes(Duration::ZERO, ERROR.to_vec())),
        }
    }

    fn field(&mut self, on: bool) {
        self.seen.field = on;
        if !on {
            self.active = false;
            for card in &mut self.hand.cards {
                card.reset();
            }
        }
    }

    fn list(&mut self, kind: u8, outs: &mut Vec<Out>) {
        self.field(true);
        self.seen.looks += 1;
        let there = kind == 0 && !self.removed && !self.hand.cards.is_empty();
        if !there {
            if self.retries == 0xFF {
                self.pending = Some(kind);
                return;
            }
            self.seen.empty += 1;
            return self.reply(&[0x4B, 0], self.look_time, outs);
        }
        let cards: Vec<&Card> = self.hand.cards.iter().take(2).collect();
        let mut reply = vec![0x4B, u8::try_from(cards.len()).unwrap_or(2)];
        for (n, card) in cards.into_iter().enumerate() {
            reply.push(u8::try_from(n + 1).unwrap_or(1));
            let sens = if card.serial().len() == 4 { [0x00, 0x04] } else { [0x00, 0x44] };
            reply.extend_from_slice(&sens);
            reply.push(if card.speaks() { 0x20 } else { 0x08 });
            reply.push(u8::try_from(card.serial().len()).unwrap_or(4));
            reply.extend_from_slice(card.serial());
            if card.speaks() {
                reply.extend_from_slice(&[0x05, 0x78, 0x80, 0x70, 0x02]);
            }
        }
        self.active = true;
        self.reply(&reply, self.look_time, outs);
    }

    fn exchange(&mut self, target: u8, apdu: &[u8], outs: &mut Vec<Out>) {
        if !self.active || target == 0 {
            return self.reply(&[0x41, 0x27], Duration::ZERO, outs);
        }
        if apdu.is_empty() && !self.rest.is_empty() {
            return self.part(Duration::ZERO, outs);
        }
        let number = self.seen.tap;
        self.seen.tap += 1;
        self.seen.apdus += 1;
        let at = |n: u32| (n == number).then_some(1);
        if self.happens(|f| if let Fault::RemovedAt { apdu } = f { at(*apdu) } else { None }) {
            self.removed = true;
            self.active = false;
            return self.reply(&[0x41, 0x01], Duration::from_millis(30), outs);
        }
        if self.happens(|f| if let Fault::Unplug { apdu } = f { at(*apdu) } else { None }) {
            outs.push(Out::Cut);
            return;
        }
        if self.happens(|f| if let Fault::Reset { apdu } = f { at(*apdu) } else { None }) {
            self.active = false;
            self.configured = false;
            return self.reply(&[0x41, 0x27], Duration::ZERO, outs);
        }
        if self.happens(|f| if let Fault::Mute { apdu } = f { at(*apdu) } else { None }) {
            self.mute = true;
            return;
        }
        let scripted = self.hand.faults.iter().find_map(|f| match f {
            Fault::Status { apdu, sw } if *apdu == number => Some(sw.to_be_bytes().to_vec()),
            Fault::Answer { apdu, hex } if *apdu == number => Some(hex::decode(hex).unwrap_or_default()),
            _ => None,
        });
        let slow = self.hand.slow();
        self.rest = match (scripted, self.hand.cards.get_mut(usize::from(target) - 1)) {
            (Some(answer), _) => {
                self.seen.faults += 1;
                answer
            }
            (None, Some(card)) => {
                let before = card.cryptograms();
                let answer = card.command(apdu);
                self.seen.cryptograms += u64::from(card.cryptograms() - before);
                answer
            }
            (None, None) => return self.reply(&[0x41, 0x27], Duration::ZERO, outs),
        };
        self.part(slow, outs);
    }

    /// Hands out an answer, or the next part of it.
    fn part(&mut self, after: Duration, outs: &mut Vec<Out>) {
        let most = self
            .hand
            .faults
            .iter()
            .find_map(|f| if let Fault::Parts { bytes } = f { Some(*bytes) } else { None });
        let count = self.rest.len().min(most.unwrap_or(262).clamp(1, 262));
        let part: Vec<u8> = self.rest.drain(..count).collect();
        let status = if self.rest.is_empty() { 0x00 } else { 0x40 };
        let mut reply = vec![0x41, status];
        reply.extend_from_slice(&part);
        self.reply(&reply, after, outs);
    }

    fn reply(&mut self, reply: &[u8], after: Duration, outs: &mut Vec<Out>) {
        self.seen.spent += after;
        let frame = frame(reply);
        self.last.clone_from(&frame);
        for fault in &self.hand.faults {
            match fault {
                Fault::Garbage { hex } => {
                    outs.push(Out::Bytes(Duration::ZERO, hex::decode(hex).unwrap_or_default()));
                }
                Fault::Older {} => outs.push(Out::Bytes(Duration::ZERO, self::frame(&[0x0D, 0x00]))),
                _ => {}
            }
        }
        let mut sent = frame;
        if self.happens(|f| if let Fault::WrongChecksum { times } = f { Some(*times) } else { None }) {
            let at = sent.len() - 2;
            sent[at] ^= 0x55;
        }
        outs.push(Out::Bytes(after, sent));
    }
}

/// A frame from the chip: `D5` and the reply.
fn frame(reply: &[u8]) -> Vec<u8> {
    let length = reply.len() + 1;
    let mut out = vec![0, 0, 0xFF];
    match u8::try_from(length) {
        Ok(short) if short < 0xFF => out.extend_from_slice(&[short, short.wrapping_neg()]),
        _ => {
            let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
            out.extend_from_slice(&[0xFF, 0xFF, high, low, high.wrapping_add(low).wrapping_neg()]);
        }
    }
    out.push(0xD5);
    out.extend_from_slice(reply);
    let sum = reply.iter().fold(0xD5u8, |s, b| s.wrapping_add(*b));
    out.extend_from_slice(&[sum.wrapping_neg(), 0]);
    out
}

//! A PIN pad: takes a request, lets a customer type, answers with ciphertext. The PIN and the keys never leave it.
//!
//! One line of text a message. In: `pin ID FORMAT KEY TIMEOUT-MS AMOUNT PAN`, `cancel ID`, `alive`. Out: `block ID KSN CIPHERTEXT` (hex), `given-up
//! ID`, `timeout ID`, `refused ID WHY`, `alive READY`.

use std::collections::VecDeque;

use super::Machine;
use super::dukpt;

/// A customer at the pad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Types this PIN and confirms.
    Types(String),
    /// Presses cancel.
    GivesUp,
    /// Does nothing until the pad gives up.
    Waits,
    /// Nobody is there: the pad says nothing at all, until somebody types ([`Pad::types_now`]).
    Nobody,
}

/// The pad, with test keys.
pub struct Pad {
    tdes: [u8; 16],
    aes: [u8; 16],
    ksn: [u8; 10],
    aes_ksn: [u8; 12],
    hand: Hand,
    next: VecDeque<Hand>,
    chance: u64,
    half: Vec<u8>,
    asked: Vec<(String, String)>,
    open: Option<Open>,
    says: Vec<u8>,
    given: Vec<Vec<u8>>,
    garbage: Vec<u8>,
}

/// A request that waits for its customer.
struct Open {
    id: String,
    format: String,
    pan: String,
}

impl Default for Pad {
    /// The initial keys of the standards' own examples.
    fn default() -> Self {
        Self::new(
            *b"\x6A\xC2\x92\xFA\xA1\x31\x5B\x4D\x85\x8A\xB3\xA3\xD7\xD5\x93\x3A",
            *b"\x12\x73\x67\x1E\xA2\x6A\xC2\x9A\xFA\x4D\x10\x84\x12\x76\x52\xA1",
        )
    }
}

impl Pad {
    /// With initial keys of its own.
    pub fn new(tdes: [u8; 16], aes: [u8; 16]) -> Self {
        Self {
            tdes,
            aes,
            ksn: *b"\xFF\xFF\x98\x76\x54\x32\x10\xE0\x00\x00",
            aes_ksn: *b"\x12\x34\x56\x78\x90\x12\x34\x56\0\0\0\0",
            hand: Hand::Types("1234".into()),
            next: VecDeque::new(),
            chance: 1,
            half: Vec::new(),
            asked: Vec::new(),
            open: None,
            says: Vec::new(),
            given: Vec::new(),
            garbage: Vec::new(),
        }
    }

    /// What the next customer does, and all after that.
    pub fn hand(&mut self, hand: Hand) {
        self.hand = hand;
        self.next.clear();
    }

    /// What the customer of the request after that does, and all after that.
    pub fn then(&mut self, hand: Hand) {
        self.next.push_back(hand);
    }

    /// The customer of the request that waits types after all.
    pub fn types_now(&mut self, pin: &str) {
        if let Some(open) = self.open.take() {
            let answer = self.block(&open.id, &open.format, pin, &open.pan);
            self.says.extend(answer.into_bytes());
            self.says.push(b'\n');
        }
    }

    /// The blocks it gave, oldest first.
    pub fn given(&self) -> &[Vec<u8>] {
        &self.given
    }

    /// What the display said at each request: amount, and the account's last four digits.
    pub fn asked(&self) -> &[(String, String)] {
        &self.asked
    }

    /// Whether it is waiting for a PIN.
    pub fn waits(&self) -> bool {
        self.open.is_some()
    }

    /// Before its next answer the pad says this.
    pub fn garbage(&mut self, bytes: &[u8]) {
        self.garbage = bytes.to_vec();
    }

    fn line(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["alive"] => "alive ready".into(),
            ["cancel", id] => {
                let ours = self.open.as_ref().is_some_and(|open| open.id == *id);
                if ours {
                    self.open = None;
                }
                if ours { format!("given-up {id}") } else { String::new() }
            }
            ["pin", id, ..] if self.open.is_some() => format!("refused {id} busy"),
            ["pin", id, format, "pin", _timeout, amount, pan] => {
                let last = pan.len().saturating_sub(4);
                self.asked.push(((*amount).into(), pan.get(last..).unwrap_or_default().into()));
                let hand = self.hand.clone();
                self.hand = self.next.pop_front().unwrap_or_else(|| hand.clone());
                match hand {
                    Hand::Types(pin) => self.block(id, format, &pin, pan),
                    Hand::GivesUp => format!("given-up {id}"),
                    Hand::Waits => format!("timeout {id}"),
                    Hand::Nobody => {
                        let own = |word: &str| word.to_owned();
                        self.open = Some(Open { id: own(id), format: own(format), pan: own(pan) });
                        String::new()
                    }
                }
            }
            ["pin", id, ..] => format!("refused {id} no-such-key"),
            _ => String::new(),
        }
    }

    fn block(&mut self, id: &str, format: &str, pin: &str, pan: &str) -> String {
        let made = match format {
            "0" => dukpt::next_ksn(self.ksn).zip(dukpt::format0(pin, pan).ok()).map(|(ksn, clear)| {
                self.ksn = ksn;
                (ksn.to_vec(), dukpt::tdes_pin(self.tdes, ksn, clear).to_vec())
            }),
            "4" => {
                self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let field = dukpt::format4(pin, self.chance.to_be_bytes()).ok();
                field.zip(dukpt::account4(pan).ok()).map(|(field, account)| {
                    let mut counter = [0; 4];
                    counter.copy_from_slice(&self.aes_ksn[8..]);
                    let next = u32::from_be_bytes(counter) + 1;
                    self.aes_ksn[8..].copy_from_slice(&next.to_be_bytes());
                    let ksn = self.aes_ksn;
                    (ksn.to_vec(), dukpt::aes_pin(self.aes, ksn, field, account).to_vec())
                })
            }
            _ => None,
        };
        match made {
            Some((ksn, block)) => {
                self.given.push(block.clone());
                format!("block {id} {} {}", hex::encode_upper(ksn), hex::encode_upper(block))
            }
            None => format!("refused {id} format"),
        }
    }
}

impl Machine for Pad {
    fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                if self.half.len() < 256 {
                    self.half.push(*byte);
                }
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.half)).into_owned();
            out.append(&mut self.garbage);
            let answer = self.line(&line);
            if !answer.is_empty() {
                out.extend(answer.into_bytes());
                out.push(b'\n');
            }
        }
        out
    }

    fn say(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.says)
    }

    fn left(&mut self) {
        self.half.clear();
        self.open = None;
    }
}

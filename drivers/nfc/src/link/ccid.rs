//! The ACR122U (072f:2200): PN532 commands inside pseudo-APDUs `FF 00 00 00 Lc D4 …` inside CCID blocks (USB CCID rev. 1.1
//! §6.1–6.2; ACR122U API §6). Bytes only: what carries them over USB bulk endpoints is not in this driver yet, see the README.

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroizing;

use super::frame::{CHIP, HOST};
use super::{Event, Link, LinkFault};

/// Length of a CCID header.
const HEADER: usize = 10;
/// Most data of one block that is taken (dwMaxCCIDMessageLength of the reader is 271).
const MOST: usize = 512;
/// Longest PN532 command in a pseudo-APDU, `D4` included.
const COMMAND: usize = 254;

/// A block from the reader.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// bMessageType: 80h data, 81h slot status, 83h escape.
    pub kind: u8,
    /// bSeq.
    pub sequence: u8,
    /// bStatus: bits 7–6 command status, bits 1–0 card.
    pub status: u8,
    /// bError.
    pub error: u8,
    /// abData.
    pub data: Zeroizing<Vec<u8>>,
}

impl Block {
    /// The reader asks for more time (bmCommandStatus 2).
    pub const fn more_time(&self) -> bool {
        self.status >> 6 == 2
    }

    /// The reader failed the command (bmCommandStatus 1).
    pub const fn failed(&self) -> bool {
        self.status >> 6 == 1
    }
}

/// Why bytes are no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CcidError {
    /// Fewer bytes than the header, or than it announces.
    #[error("a CCID block announces {announced} bytes of data and has {there}")]
    Cut {
        /// dwLength.
        announced: usize,
        /// Bytes behind the header.
        there: usize,
    },
    /// More data than such a reader has.
    #[error("a CCID block announces {0} bytes of data")]
    Large(usize),
}

/// Reads one whole transfer of the bulk-in endpoint.
pub fn block(bytes: &[u8]) -> Result<Block, CcidError> {
    let Some((header, data)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(CcidError::Cut { announced: HEADER, there: bytes.len() });
    };
    let [kind, l0, l1, l2, l3, _slot, sequence, status, error, _chain] = *header;
    let announced = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if announced > MOST {
        return Err(CcidError::Large(announced));
    }
    let data = data.get(..announced).ok_or(CcidError::Cut { announced, there: data.len() })?;
    Ok(Block { kind, sequence, status, error, data: Zeroizing::new(data.to_vec()) })
}

/// PC_to_RDR_XfrBlock with an APDU.
pub fn transfer(sequence: u8, apdu: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER + apdu.len()));
    bytes.push(0x6F);
    bytes.extend_from_slice(&u32::try_from(apdu.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&[0, sequence, 0, 0, 0]);
    bytes.extend_from_slice(apdu);
    bytes
}

/// PC_to_RDR_IccPowerOn: the reader wants it once before pseudo-APDUs.
pub fn power_on(sequence: u8) -> [u8; HEADER] {
    [0x62, 0, 0, 0, 0, 0, sequence, 0, 0, 0]
}

/// The pseudo-APDU that hands a PN532 command through.
pub fn direct(command: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let length = u8::try_from(command.len() + 1).ok().filter(|n| usize::from(*n) <= COMMAND)?;
    let mut apdu = Zeroizing::new(Vec::with_capacity(6 + command.len()));
    apdu.extend_from_slice(&[0xFF, 0, 0, 0, length, HOST]);
    apdu.extend_from_slice(command);
    Some(apdu)
}

/// Asks for the firmware text (`FF 00 48 00 00`).
pub const FIRMWARE: [u8; 5] = [0xFF, 0, 0x48, 0, 0];
/// LED as it is and no sound when a card comes (`FF 00 40 0E 04 …`).
pub const QUIET: [u8; 9] = [0xFF, 0, 0x40, 0x0E, 4, 0, 0, 0, 0];
/// No automatic polling: the reader must leave the field to us (`FF 00 51 7F 00`).
pub const NO_POLLING: [u8; 5] = [0xFF, 0, 0x51, 0x7F, 0];

/// Whether a firmware text names a reader whose direct transmit works: firmware 2 and later (`ACR122U201`).
pub fn usable(firmware: &[u8]) -> bool {
    firmware.strip_prefix(b"ACR122U").and_then(|v| v.first()).is_some_and(|major| *major >= b'2')
}

/// Slot change on the interrupt endpoint (RDR_to_PC_NotifySlotChange): whether a card is there, whether that is new.
pub fn slot_change(bytes: &[u8]) -> Option<(bool, bool)> {
    match bytes {
        [0x50, slots, ..] => Some((slots & 1 != 0, slots & 2 != 0)),
        _ => None,
    }
}

/// The link: bulk transfers in and out, one each time.
#[derive(Default)]
pub struct Acr122 {
    sequence: u8,
    under: Option<(u8, Duration, Duration)>,
    out: VecDeque<Zeroizing<Vec<u8>>>,
    events: VecDeque<Event>,
    fetching: bool,
}

impl Acr122 {
    /// A reader that has been powered on and told [`NO_POLLING`].
    pub fn new() -> Self {
        Self::default()
    }

    fn transmit(&mut self, apdu: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        self.out.push_back(transfer(self.sequence, apdu));
    }

    fn finish(&mut self, event: Event) {
        self.under = None;
        self.events.push_back(event);
    }
}

impl Link for Acr122 {
    fn send(
        &mut self,
        command: &[u8],
        within: Duration,
        _again: bool,
        now: Duration,
    ) -> Result<(), LinkFault> {
        if self.under.is_some() {
            return Err(LinkFault::Busy);
        }
        let code = command.first().copied().filter(|c| *c != u8::MAX).ok_or(LinkFault::TooLong)?;
        let apdu = direct(command).ok_or(LinkFault::TooLong)?;
        self.events.clear();
        self.fetching = false;
        self.under = Some((code, now + within, within));
        self.transmit(&apdu);
        Ok(())
    }

    fn push(&mut self, bytes: &[u8], now: Duration) {
        let Some((code, _, within)) = self.under else { return };
        let Ok(block) = block(bytes) else {
            self.finish(Event::Fault(LinkFault::Damaged));
            return;
        };
        // Another sequence number answers a command that was given up.
        if block.sequence != self.sequence {
            return;
        }
        if block.more_time() {
            self.under = Some((code, now + within, within));
            return;
        }
        if block.failed() {
            self.finish(Event::Fault(LinkFault::Refused));
            return;
        }
        match block.data.split_last_chunk::<2>() {
            Some((data, [0x90, 0x00])) if data.first() == Some(&CHIP) && data.get(1) == Some(&(code + 1)) => {
                let reply = Zeroizing::new(data.get(1..).unwrap_or_default().to_vec());
                self.finish(Event::Reply(reply));
            }
            // Older firmware hands a reply out in two steps.
            Some(([], [0x61, length])) if !self.fetching => {
                self.fetching = true;
                let fetch = [0xFF, 0xC0, 0, 0, *length];
                self.transmit(&fetch);
            }
            _ => self.finish(Event::Fault(LinkFault::Refused)),
        }
    }

    fn tick(&mut self, now: Duration) {
        if self.under.is_some_and(|(_, until, _)| now >= until) {
            self.finish(Event::Fault(LinkFault::NoReply));
        }
    }

    fn abort(&mut self) {
        // Its reply will carry an old sequence number.
        self.under = None;
        self.events.clear();
    }

    fn deadline(&self) -> Option<Duration> {
        self.under.map(|(_, until, _)| until)
    }

    fn output(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.out.pop_front()
    }

    fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn asleep(&mut self) {}
}

//! Messages of USB card readers (USB CCID rev. 1.1 §6.1–6.2), one under way at a time. One message is one packet of the transport; tilld has
//! the USB device and its bulk endpoints.

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroizing;

/// Length of a CCID header.
const HEADER: usize = 10;
/// Most data of one block that is taken (dwMaxCCIDMessageLength of the reader is 271).
const MOST: usize = 512;
/// bError: the slot is busy with the command before.
pub const BUSY: u8 = 0xE0;
/// bError: the card does not answer.
pub const MUTE: u8 = 0xFE;

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
    /// bChainParameter: the data goes on in another block.
    pub chain: u8,
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

    /// No card lies there (bmICCStatus 2).
    pub const fn empty(&self) -> bool {
        self.status & 3 == 2
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
    /// More bytes than it announces.
    #[error("a CCID block announces {announced} bytes of data and has {there}")]
    Over {
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
    let [kind, l0, l1, l2, l3, _slot, sequence, status, error, chain] = *header;
    let announced = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if announced > MOST {
        return Err(CcidError::Large(announced));
    }
    let there = data.len();
    if there > announced {
        return Err(CcidError::Over { announced, there });
    }
    let data = data.get(..announced).ok_or(CcidError::Cut { announced, there })?;
    Ok(Block { kind, sequence, status, error, chain, data: Zeroizing::new(data.to_vec()) })
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

fn bare(kind: u8, sequence: u8) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(vec![kind, 0, 0, 0, 0, 0, sequence, 0, 0, 0])
}

/// PC_to_RDR_IccPowerOn: activates the card; an ACR122U wants it once before pseudo-APDUs.
pub fn power_on(sequence: u8) -> Zeroizing<Vec<u8>> {
    bare(0x62, sequence)
}

/// PC_to_RDR_IccPowerOff: lets the card go.
pub fn power_off(sequence: u8) -> Zeroizing<Vec<u8>> {
    bare(0x63, sequence)
}

/// PC_to_RDR_GetSlotStatus.
pub fn slot_status(sequence: u8) -> Zeroizing<Vec<u8>> {
    bare(0x65, sequence)
}

/// Slot change on the interrupt endpoint (RDR_to_PC_NotifySlotChange): whether a card is there, whether that is new.
pub fn slot_change(bytes: &[u8]) -> Option<(bool, bool)> {
    match bytes {
        [0x50, slots, ..] => Some((slots & 1 != 0, slots & 2 != 0)),
        _ => None,
    }
}

/// How often a reader may ask for more time for one command.
const EXTENSIONS: u8 = 20;

/// One command under way, by its sequence number and deadline; what answers another one is counted and dropped.
#[derive(Default)]
pub struct Dialogue {
    sequence: u8,
    under: Option<Under>,
    out: VecDeque<Zeroizing<Vec<u8>>>,
    stale: u64,
}

struct Under {
    until: Duration,
    within: Duration,
    extensions: u8,
}

/// What a packet from the reader is.
pub enum Heard {
    /// The answer.
    Answer(Block),
    /// Nothing that could be read.
    Damaged,
    /// More time is wanted, or it answers another command.
    Nothing,
}

impl Dialogue {
    /// A new command; the answer is waited for until `now + within`.
    pub fn ask(&mut self, message: impl FnOnce(u8) -> Zeroizing<Vec<u8>>, within: Duration, now: Duration) {
        self.under = Some(Under { until: now + within, within, extensions: 0 });
        self.go_on(message);
    }

    /// A further message of the same command, under its deadline.
    pub fn go_on(&mut self, message: impl FnOnce(u8) -> Zeroizing<Vec<u8>>) {
        self.sequence = self.sequence.wrapping_add(1);
        self.out.push_back(message(self.sequence));
    }

    /// A packet came.
    pub fn heard(&mut self, bytes: &[u8], now: Duration) -> Heard {
        let Some(under) = &mut self.under else {
            self.stale += 1;
            return Heard::Nothing;
        };
        let Ok(block) = block(bytes) else { return Heard::Damaged };
        // Another sequence number answers a command that was given up.
        if block.sequence != self.sequence {
            self.stale += 1;
            return Heard::Nothing;
        }
        if block.more_time() {
            // One that asks without end gets no more.
            if under.extensions < EXTENSIONS {
                under.extensions += 1;
                under.until = now + under.within;
            }
            return Heard::Nothing;
        }
        Heard::Answer(block)
    }

    /// Whether a command is under way.
    pub const fn busy(&self) -> bool {
        self.under.is_some()
    }

    /// Whether its time is over.
    pub fn overdue(&self, now: Duration) -> bool {
        self.under.as_ref().is_some_and(|under| now >= under.until)
    }

    /// The command is over, or given up: its answer will carry an old sequence number.
    pub fn end(&mut self) {
        self.under = None;
    }

    /// When its time is over.
    pub fn deadline(&self) -> Option<Duration> {
        self.under.as_ref().map(|under| under.until)
    }

    /// Messages to write, in order.
    pub fn output(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.out.pop_front()
    }

    /// Answers of other commands.
    pub const fn stale(&self) -> u64 {
        self.stale
    }
}

//! The ACR122U (072f:2200): PN532 commands inside pseudo-APDUs `FF 00 00 00 Lc D4 …` inside CCID blocks (USB CCID rev. 1.1
//! §6.1–6.2; ACR122U API §6). One message is one packet of the transport; tilld has the USB device and its bulk endpoints.

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
    let [kind, l0, l1, l2, l3, _slot, sequence, status, error, _chain] = *header;
    let announced = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if announced > MOST {
        return Err(CcidError::Large(announced));
    }
    let there = data.len();
    if there > announced {
        return Err(CcidError::Over { announced, there });
    }
    let data = data.get(..announced).ok_or(CcidError::Cut { announced, there })?;
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
/// No sound when the reader itself finds a card (`FF 00 52 00 00`).
pub const NO_SOUND: [u8; 5] = [0xFF, 0, 0x52, 0, 0];
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

/// Longest for a step of setting the reader up.
const SETUP: Duration = Duration::from_secs(2);
/// How often a reader may ask for more time for one command.
const EXTENSIONS: u8 = 20;

/// Setting up, in this order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    PowerOn,
    Firmware,
    NoPolling,
    NoSound,
    Quiet,
}

#[derive(Clone, Copy)]
enum Doing {
    SettingUp(Step),
    /// A PN532 command, by its code.
    Command(u8),
}

struct Under {
    doing: Doing,
    until: Duration,
    within: Duration,
    extensions: u8,
    fetching: bool,
}

/// The link: a message out, a message in.
pub struct Acr122 {
    sequence: u8,
    beeps: bool,
    set_up: bool,
    under: Option<Under>,
    /// The command that waits for the reader to be set up.
    first: Option<(u8, Zeroizing<Vec<u8>>, Duration)>,
    out: VecDeque<Zeroizing<Vec<u8>>>,
    events: VecDeque<Event>,
    stale: u64,
}

impl Acr122 {
    /// A reader of which nothing is known; it is set up before the first command. `beeps`: its sound and light are left as they are.
    pub fn new(beeps: bool) -> Self {
        Self {
            sequence: 0,
            beeps,
            set_up: false,
            under: None,
            first: None,
            out: VecDeque::new(),
            events: VecDeque::new(),
            stale: 0,
        }
    }

    fn begin(&mut self, doing: Doing, block: Zeroizing<Vec<u8>>, within: Duration, now: Duration) {
        self.under = Some(Under { doing, until: now + within, within, extensions: 0, fetching: false });
        self.out.push_back(block);
    }

    fn next_sequence(&mut self) -> u8 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn step(&mut self, step: Step, now: Duration) {
        let sequence = self.next_sequence();
        let block = match step {
            Step::PowerOn => Zeroizing::new(power_on(sequence).to_vec()),
            Step::Firmware => transfer(sequence, &FIRMWARE),
            Step::NoPolling => transfer(sequence, &NO_POLLING),
            Step::NoSound => transfer(sequence, &NO_SOUND),
            Step::Quiet => transfer(sequence, &QUIET),
        };
        self.begin(Doing::SettingUp(step), block, SETUP, now);
    }

    fn stepped(&mut self, step: Step, block: &Block, now: Duration) {
        let next = match step {
            // Without a card it fails, and has done what is wanted.
            Step::PowerOn => Step::Firmware,
            Step::Firmware if !usable(&block.data) => {
                self.first = None;
                return self.finish(Event::Fault(LinkFault::OldFirmware));
            }
            Step::Firmware => Step::NoPolling,
            // What a reader does not know of these it answers with 6300, and is no worse for it.
            Step::NoPolling if !self.beeps => Step::NoSound,
            Step::NoSound => Step::Quiet,
            Step::NoPolling | Step::Quiet => {
                self.set_up = true;
                self.under = None;
                if let Some((code, apdu, within)) = self.first.take() {
                    self.command(code, &apdu, within, now);
                }
                return;
            }
        };
        self.step(next, now);
    }

    fn command(&mut self, code: u8, apdu: &[u8], within: Duration, now: Duration) {
        let block = transfer(self.next_sequence(), apdu);
        self.begin(Doing::Command(code), block, within, now);
    }

    fn answered(&mut self, code: u8, block: &Block) {
        if block.failed() {
            return self.finish(Event::Fault(LinkFault::Refused));
        }
        let fetching = self.under.as_ref().is_some_and(|u| u.fetching);
        match block.data.split_last_chunk::<2>() {
            Some((data, [0x90, 0x00])) if data.first() == Some(&CHIP) && data.get(1) == Some(&(code + 1)) => {
                let reply = Zeroizing::new(data.get(1..).unwrap_or_default().to_vec());
                self.finish(Event::Reply(reply));
            }
            // Older firmware hands a reply out in two steps.
            Some(([], [0x61, length])) if !fetching => {
                let fetch = transfer(self.next_sequence(), &[0xFF, 0xC0, 0, 0, *length]);
                self.out.push_back(fetch);
                if let Some(under) = &mut self.under {
                    under.fetching = true;
                }
            }
            _ => self.finish(Event::Fault(LinkFault::Refused)),
        }
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
        if self.set_up {
            self.command(code, &apdu, within, now);
        } else {
            self.first = Some((code, apdu, within));
            self.step(Step::PowerOn, now);
        }
        Ok(())
    }

    fn push(&mut self, bytes: &[u8], now: Duration) {
        let block = block(bytes);
        let Some(under) = &mut self.under else {
            self.stale += 1;
            return;
        };
        let Ok(block) = block else {
            self.first = None;
            return self.finish(Event::Fault(LinkFault::Damaged));
        };
        // Another sequence number answers a command that was given up.
        if block.sequence != self.sequence {
            self.stale += 1;
            return;
        }
        if block.more_time() {
            // One that asks without end gets no more.
            if under.extensions < EXTENSIONS {
                under.extensions += 1;
                under.until = now + under.within;
            }
            return;
        }
        match under.doing {
            Doing::SettingUp(step) => self.stepped(step, &block, now),
            Doing::Command(code) => self.answered(code, &block),
        }
    }

    fn tick(&mut self, now: Duration) {
        if let Some(under) = &self.under
            && now >= under.until
        {
            let fault = match under.doing {
                Doing::SettingUp(_) => LinkFault::NoAck,
                Doing::Command(_) => LinkFault::NoReply,
            };
            self.first = None;
            self.finish(Event::Fault(fault));
        }
    }

    fn abort(&mut self) {
        // Its reply will carry an old sequence number.
        self.under = None;
        self.first = None;
        self.events.clear();
    }

    fn deadline(&self) -> Option<Duration> {
        self.under.as_ref().map(|u| u.until)
    }

    fn output(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.out.pop_front()
    }

    fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn asleep(&mut self) {
        self.set_up = false;
    }

    fn noise(&self) -> (u64, u64) {
        (0, self.stale)
    }
}

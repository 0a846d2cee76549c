//! The ACR122U (072f:2200): PN532 commands inside pseudo-APDUs `FF 00 00 00 Lc D4 …` inside CCID blocks (ACR122U API §6).

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroizing;

use super::ccid::{Block, Dialogue, Heard, power_on, transfer};
use super::frame::{CHIP, HOST};
use super::{Event, Link, LinkFault};

/// Longest PN532 command in a pseudo-APDU, `D4` included.
const COMMAND: usize = 254;

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

/// How its firmware text begins; no other reader's does.
const NAME: &[u8] = b"ACR122U";

/// Whether a firmware text names a reader whose direct transmit works: firmware 2 and later (`ACR122U201`).
pub fn usable(firmware: &[u8]) -> bool {
    firmware.strip_prefix(NAME).and_then(|v| v.first()).is_some_and(|major| *major >= b'2')
}

/// Longest for a step of setting the reader up.
const SETUP: Duration = Duration::from_secs(2);

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
    /// A PN532 command, by its code; whether its reply is being fetched.
    Command(u8, bool),
}

/// A command that waits for its reader, and how long its reply may take.
pub type Waiting = (Zeroizing<Vec<u8>>, Duration);

/// The link: a message out, a message in.
pub struct Acr122 {
    dialogue: Dialogue,
    doing: Doing,
    beeps: bool,
    set_up: bool,
    /// The command that waits for the reader to be set up.
    first: Option<Waiting>,
    events: VecDeque<Event>,
    other: bool,
}

impl Acr122 {
    /// A reader of which nothing is known; it is set up before the first command. `beeps`: its sound and light are left as they are.
    pub fn new(beeps: bool) -> Self {
        Self {
            dialogue: Dialogue::default(),
            doing: Doing::SettingUp(Step::PowerOn),
            beeps,
            set_up: false,
            first: None,
            events: VecDeque::new(),
            other: false,
        }
    }

    /// Whether the reader turned out to be no ACR122U; nothing was changed in it.
    pub const fn other(&self) -> bool {
        self.other
    }

    /// What was said so far, and the command that waits, for the link that takes its place.
    pub fn into_parts(self) -> (Dialogue, Option<Waiting>) {
        (self.dialogue, self.first)
    }

    fn step(&mut self, step: Step, now: Duration) {
        self.doing = Doing::SettingUp(step);
        let message = |sequence| match step {
            Step::PowerOn => power_on(sequence),
            Step::Firmware => transfer(sequence, &FIRMWARE),
            Step::NoPolling => transfer(sequence, &NO_POLLING),
            Step::NoSound => transfer(sequence, &NO_SOUND),
            Step::Quiet => transfer(sequence, &QUIET),
        };
        self.dialogue.ask(message, SETUP, now);
    }

    fn stepped(&mut self, step: Step, block: &Block, now: Duration) {
        let next = match step {
            // Without a card it fails, and has done what is wanted.
            Step::PowerOn => Step::Firmware,
            Step::Firmware if !block.data.starts_with(NAME) => {
                self.other = true;
                return self.finish(Event::Fault(LinkFault::Refused));
            }
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
                self.dialogue.end();
                if let Some((command, within)) = self.first.take()
                    && let Err(fault) = self.command(&command, within, now)
                {
                    self.finish(Event::Fault(fault));
                }
                return;
            }
        };
        self.step(next, now);
    }

    fn command(&mut self, command: &[u8], within: Duration, now: Duration) -> Result<(), LinkFault> {
        let code = command.first().copied().filter(|c| *c != u8::MAX).ok_or(LinkFault::TooLong)?;
        let apdu = direct(command).ok_or(LinkFault::TooLong)?;
        self.doing = Doing::Command(code, false);
        self.dialogue.ask(|sequence| transfer(sequence, &apdu), within, now);
        Ok(())
    }

    fn answered(&mut self, code: u8, fetching: bool, block: &Block) {
        if block.failed() {
            return self.finish(Event::Fault(LinkFault::Refused));
        }
        match block.data.split_last_chunk::<2>() {
            Some((data, [0x90, 0x00])) if data.first() == Some(&CHIP) && data.get(1) == Some(&(code + 1)) => {
                let reply = Zeroizing::new(data.get(1..).unwrap_or_default().to_vec());
                self.finish(Event::Reply(reply));
            }
            // Older firmware hands a reply out in two steps.
            Some(([], [0x61, length])) if !fetching => {
                self.doing = Doing::Command(code, true);
                self.dialogue.go_on(|sequence| transfer(sequence, &[0xFF, 0xC0, 0, 0, *length]));
            }
            _ => self.finish(Event::Fault(LinkFault::Refused)),
        }
    }

    fn finish(&mut self, event: Event) {
        self.dialogue.end();
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
        if self.dialogue.busy() {
            return Err(LinkFault::Busy);
        }
        self.events.clear();
        if self.set_up {
            return self.command(command, within, now);
        }
        self.first = Some((Zeroizing::new(command.to_vec()), within));
        self.step(Step::PowerOn, now);
        Ok(())
    }

    fn push(&mut self, bytes: &[u8], now: Duration) {
        match self.dialogue.heard(bytes, now) {
            Heard::Nothing => {}
            Heard::Damaged => {
                self.first = None;
                self.finish(Event::Fault(LinkFault::Damaged));
            }
            Heard::Answer(block) => match self.doing {
                Doing::SettingUp(step) => self.stepped(step, &block, now),
                Doing::Command(code, fetching) => self.answered(code, fetching, &block),
            },
        }
    }

    fn tick(&mut self, now: Duration) {
        if self.dialogue.overdue(now) {
            let fault = match self.doing {
                Doing::SettingUp(_) => LinkFault::NoAck,
                Doing::Command(..) => LinkFault::NoReply,
            };
            self.first = None;
            self.finish(Event::Fault(fault));
        }
    }

    fn abort(&mut self) {
        self.dialogue.end();
        self.first = None;
        self.events.clear();
    }

    fn deadline(&self) -> Option<Duration> {
        self.dialogue.deadline()
    }

    fn output(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.dialogue.output()
    }

    fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn asleep(&mut self) {
        self.set_up = false;
    }

    fn noise(&self) -> (u64, u64) {
        (0, self.dialogue.stale())
    }
}

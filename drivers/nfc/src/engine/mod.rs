//! The reader as a machine without I/O: wakes the chip, looks for cards while it is armed, carries taps through, and waits
//! until a card has gone before it looks at another. [`crate::plugin`] moves the bytes.

mod report;
mod taps;

use std::sync::Arc;
use std::time::Duration;

use till_plugin::Money;
use zeroize::Zeroizing;

pub use self::report::{Counters, DeviceError, Happened, World};
use crate::chip::{self, Firmware, Kind, Target};
use crate::emv::tap::Tap;
use crate::link::{Event, Link, LinkFault};
use crate::settings::Config;

/// Longest for a command that does not wait for a card.
const COMMAND: Duration = Duration::from_millis(500);
/// Longest for one look for a card.
const LOOK: Duration = Duration::from_secs(1);
/// How often the chip is woken anew before the device is given up.
const RESTARTS: u8 = 2;
/// Equal failures closer than this are told once.
const QUIET: Duration = Duration::from_secs(1);
/// After this long a card that was left on the reader is told again.
const REMIND: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Firmware,
    Sam,
    Retries,
    Off,
}

enum At {
    /// Waking and setting up; `again`: how often that was tried since the last good reply.
    Start(Start),
    /// Disarmed, field off.
    Off,
    /// Looking for a card.
    Look(Kind),
    /// Between two looks.
    Pause { until: Duration, next: Kind },
    /// A command to the card is under way.
    Tap { tap: Box<Tap>, target: Target, until: Duration, part: Zeroizing<Vec<u8>> },
    /// The card is being let go.
    Release,
    /// The field is being switched off.
    FieldOff,
    /// Nothing more.
    Broken,
}

/// The machine.
pub struct Engine<L> {
    link: L,
    config: Config,
    terminal: Arc<crate::emv::terminal::Terminal>,
    keys: Arc<crate::emv::oda::Keys>,
    at: At,
    armed: Option<Armed>,
    /// A card was looked at and must leave before the next one; since when it has been asked to.
    occupied: Option<Occupied>,
    /// Serial number of the card that was looked at last; empty after a collision.
    last: Zeroizing<Vec<u8>>,
    restarts: u8,
    firmware: Option<Firmware>,
    told: Option<(&'static str, Duration)>,
    happened: Vec<Happened>,
    counters: Counters,
}

struct Armed {
    amount: Money,
    payment_cards: bool,
    serial_cards: bool,
}

#[derive(Clone, Copy)]
struct Occupied {
    /// Looks in a row that found nothing.
    empty: u8,
    /// When the customer is told again.
    remind: Option<Duration>,
}

impl<L: Link> Engine<L> {
    /// A machine that has done nothing yet.
    pub fn new(link: L, config: Config) -> Self {
        Self {
            link,
            terminal: Arc::new(config.terminal.clone()),
            keys: Arc::new(config.keys.clone()),
            config,
            at: At::Broken,
            armed: None,
            occupied: None,
            last: Zeroizing::default(),
            restarts: 0,
            firmware: None,
            told: None,
            happened: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Wakes the chip.
    pub fn start(&mut self, now: Duration) {
        self.link.abort();
        self.link.asleep();
        self.begin(Start::Firmware, now);
    }

    /// Arms the reader. A tap that is under way belongs to what was wanted before and is given up.
    pub fn arm(&mut self, amount: Money, payment_cards: bool, serial_cards: bool, now: Duration) {
        self.happened.clear();
        self.told = None;
        self.armed =
            Some(Armed { amount, payment_cards, serial_cards: serial_cards && self.config.serial_cards });
        match &self.at {
            At::Off => self.look(Kind::A, now),
            At::Tap { .. } => self.let_go(now),
            _ => {}
        }
    }

    /// Disarms it and forgets what it holds.
    pub fn disarm(&mut self, now: Duration) {
        self.armed = None;
        self.happened.clear();
        match &self.at {
            At::Tap { .. } => self.let_go(now),
            At::Pause { .. } if self.occupied.is_none() => self.field_off(now),
            _ => {}
        }
    }

    /// Whether a payment is waited for.
    pub const fn armed(&self) -> bool {
        self.armed.is_some()
    }

    /// Whether the chip is set up and no card is being read.
    pub const fn idle(&self) -> bool {
        matches!(self.at, At::Off | At::Pause { .. })
    }

    /// Chip and firmware.
    pub const fn firmware(&self) -> Option<Firmware> {
        self.firmware
    }

    /// Counters.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The line.
    pub const fn link(&self) -> &L {
        &self.link
    }

    /// Asks the chip for its firmware out of turn; [`Happened::Ready`] or [`Happened::Broken`] follows. Only while idle.
    pub fn check(&mut self, now: Duration) {
        if self.idle() {
            self.begin(Start::Firmware, now);
        }
    }

    /// Bytes came.
    pub fn push(&mut self, bytes: &[u8], now: Duration, world: &mut impl World) {
        self.link.push(bytes, now);
        self.turn(now, world);
    }

    /// A whole frame came, as a bus gives it.
    pub fn push_frame(&mut self, bytes: &[u8], now: Duration, world: &mut impl World) {
        self.link.push_frame(bytes, now);
        self.turn(now, world);
    }

    /// Time passed.
    pub fn tick(&mut self, now: Duration, world: &mut impl World) {
        self.link.tick(now);
        self.turn(now, world);
        match &self.at {
            At::Pause { until, next } if now >= *until => {
                let next = *next;
                if self.armed.is_some() || self.occupied.is_some() {
                    self.look(next, now);
                } else {
                    self.field_off(now);
                }
            }
            At::Tap { until, .. } if now >= *until => {
                self.counters.torn += 1;
                self.fail("timeout", "the card took too long: hold it still until the beep".into(), now);
                self.let_go(now);
            }
            _ => {}
        }
    }

    /// When [`Engine::tick`] must be called next.
    pub fn deadline(&self) -> Option<Duration> {
        let own = match &self.at {
            At::Pause { until, .. } | At::Tap { until, .. } => Some(*until),
            _ => None,
        };
        match (own, self.link.deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Bytes to write.
    pub fn output(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.link.output()
    }

    /// What happened since the last call.
    pub fn happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    fn turn(&mut self, now: Duration, world: &mut impl World) {
        while let Some(event) = self.link.event() {
            match event {
                Event::Reply(reply) => {
                    if !matches!(self.at, At::Start(_)) {
                        self.restarts = 0;
                    }
                    self.reply(&reply, now, world);
                }
                Event::Fault(fault) => self.fault(fault, now),
            }
        }
    }

    fn command(&mut self, at: At, command: &[u8], within: Duration, again: bool, now: Duration) {
        self.at = at;
        if let Err(fault) = self.link.send(command, within, again, now) {
            self.fault(fault, now);
        }
    }

    fn begin(&mut self, step: Start, now: Duration) {
        let command = match step {
            Start::Firmware => chip::FIRMWARE,
            Start::Sam => chip::SAM,
            Start::Retries => chip::RETRIES,
            Start::Off => chip::FIELD_OFF,
        };
        self.command(At::Start(step), command, COMMAND, true, now);
    }

    fn look(&mut self, kind: Kind, now: Duration) {
        self.command(At::Look(kind), chip::list(kind), LOOK, true, now);
    }

    fn let_go(&mut self, now: Duration) {
        self.link.abort();
        self.occupied.get_or_insert(Occupied { empty: 0, remind: None });
        self.command(At::Release, chip::RELEASE, COMMAND, true, now);
    }

    fn field_off(&mut self, now: Duration) {
        self.command(At::FieldOff, chip::FIELD_OFF, COMMAND, true, now);
    }

    fn pause(&mut self, next: Kind, now: Duration) {
        self.at = At::Pause { until: now + self.config.pause, next };
    }

    fn fail(&mut self, reason: &'static str, text: String, now: Duration) {
        // A card at the edge of the field is lost many times a second.
        let told = self.told.is_some_and(|(last, at)| last == reason && now.saturating_sub(at) < QUIET);
        if self.armed.is_some() && !told {
            self.told = Some((reason, now));
            self.happened.push(Happened::Failed { reason, text });
        }
    }

    /// A command got no reply: the tap is over, and the chip is woken anew.
    fn fault(&mut self, fault: LinkFault, now: Duration) {
        if matches!(self.at, At::Broken) {
            return;
        }
        if matches!(self.at, At::Tap { .. }) {
            self.counters.torn += 1;
            // A card that asks for more time again and again looks like this (the chip grants it by itself).
            let (reason, text) = match fault {
                LinkFault::NoReply => ("timeout", "the card took too long: tap again"),
                _ => ("reader-fault", "the reader lost the card's answer: tap again"),
            };
            self.fail(reason, text.into(), now);
            self.occupied.get_or_insert(Occupied { empty: 0, remind: None });
            if fault == LinkFault::NoReply {
                self.let_go(now);
                return;
            }
        }
        if self.restarts >= RESTARTS {
            self.at = At::Broken;
            self.happened.push(Happened::Broken(fault.into()));
            return;
        }
        self.restarts += 1;
        self.counters.restarts += 1;
        self.link.abort();
        self.link.asleep();
        self.begin(Start::Firmware, now);
    }

    fn broken(&mut self, error: DeviceError) {
        self.at = At::Broken;
        self.happened.push(Happened::Broken(error));
    }

    fn reply(&mut self, reply: &[u8], now: Duration, world: &mut impl World) {
        match std::mem::replace(&mut self.at, At::Off) {
            At::Start(step) => self.started(step, reply, now),
            At::Look(kind) => match chip::targets(reply, kind) {
                Ok(targets) => self.seen(kind, targets, now, world),
                Err(_) => self.fault(LinkFault::Damaged, now),
            },
            At::Tap { tap, target, until, part } => self.answered(reply, tap, target, until, part, now),
            At::Release => self.pause(Kind::A, now),
            At::FieldOff if self.armed.is_some() => self.look(Kind::A, now),
            At::FieldOff | At::Off => {}
            At::Pause { until, next } => self.at = At::Pause { until, next },
            At::Broken => self.at = At::Broken,
        }
    }

    fn started(&mut self, step: Start, reply: &[u8], now: Duration) {
        match step {
            Start::Firmware => match chip::firmware(reply) {
                Ok(found) if found.chip == 0x32 => {
                    self.firmware = Some(found);
                    self.begin(Start::Sam, now);
                }
                Ok(other) => self.broken(DeviceError::NotOurs(other.chip)),
                Err(_) => self.broken(DeviceError::Malformed),
            },
            Start::Sam => self.begin(Start::Retries, now),
            Start::Retries => self.begin(Start::Off, now),
            Start::Off => {
                self.at = At::Off;
                if let Some(firmware) = self.firmware {
                    self.happened.push(Happened::Ready(firmware));
                }
                if self.armed.is_some() || self.occupied.is_some() {
                    self.look(Kind::A, now);
                }
            }
        }
    }
}

//! The PN532 on a serial line (HSU: UM0701-02 §6.2.2, §7.2.11) or behind anything that carries the same frames.

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroizing;

use super::frame::{self, CHIP, Decoder, Frame, HOST};
use super::{Event, Link, LinkFault};

/// A damaged reply is asked for again after this much silence: what arrives may still be the rest of it.
const SETTLE: Duration = Duration::from_millis(20);
/// How often a damaged reply is asked for again.
const NACKS: u8 = 2;
/// How often a command is sent, where that does no harm.
const SENDS: u8 = 3;

/// Times of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Longest until an acknowledgement. The chip takes 15 ms at most; a USB adapter adds its own.
    pub ack: Duration,
    /// The same for the first command after waking: adapters have been seen to need 1.5 s.
    pub first_ack: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { ack: Duration::from_millis(100), first_ack: Duration::from_millis(1500) }
    }
}

/// What the link waits for; a bus is asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The acknowledgement of a command.
    Acknowledgement,
    /// Its reply.
    Reply,
}

enum State {
    Idle,
    Ack { until: Duration },
    Reply { damaged: Option<Duration>, nacks: u8 },
}

struct Under {
    frame: Zeroizing<Vec<u8>>,
    code: u8,
    within: Duration,
    reply_until: Duration,
    sends: u8,
    again: bool,
}

/// The link.
pub struct Hsu {
    timing: Timing,
    decoder: Decoder,
    state: State,
    under: Option<Under>,
    out: VecDeque<Zeroizing<Vec<u8>>>,
    events: VecDeque<Event>,
    awake: bool,
    /// Replies that answered nothing under way.
    stale: u64,
}

impl Hsu {
    /// A link whose other end may be asleep.
    pub fn new(timing: Timing) -> Self {
        Self {
            timing,
            decoder: Decoder::new(),
            state: State::Idle,
            under: None,
            out: VecDeque::new(),
            events: VecDeque::new(),
            awake: false,
            stale: 0,
        }
    }

    fn write(&mut self, now: Duration) {
        let Some(under) = &mut self.under else { return };
        under.sends += 1;
        // Any command to a chip that sleeps is lost but for waking it; waking one that does not is harmless.
        let ack = if self.awake { self.timing.ack } else { self.timing.first_ack };
        if !self.awake {
            self.out.push_back(Zeroizing::new(frame::WAKE.to_vec()));
        }
        self.out.push_back(under.frame.clone());
        self.state = State::Ack { until: now + ack };
    }

    fn fail(&mut self, fault: LinkFault) {
        self.under = None;
        self.state = State::Idle;
        self.events.push_back(Event::Fault(fault));
    }

    fn frame(&mut self, found: Frame, now: Duration) {
        let Some(under) = &self.under else {
            self.stale += u64::from(matches!(found, Frame::Data(_)));
            return;
        };
        match (&mut self.state, found) {
            (State::Ack { .. }, Frame::Ack) => {
                self.awake = true;
                let within = under.within;
                if let Some(under) = &mut self.under {
                    under.reply_until = now + within;
                }
                self.state = State::Reply { damaged: None, nacks: 0 };
            }
            // Not taken, so not carried out: sending it again is always right.
            (State::Ack { .. }, Frame::Nack) if under.sends < SENDS => self.write(now),
            (State::Ack { .. }, Frame::Nack | Frame::Error) | (State::Reply { .. }, Frame::Error) => {
                self.fail(LinkFault::Refused);
            }
            // Before the acknowledgement a reply can only belong to an older command.
            (State::Ack { .. }, Frame::Data(_)) => self.stale += 1,
            (State::Reply { .. }, Frame::Data(data)) => {
                let data = Zeroizing::new(data);
                if data.first() == Some(&CHIP) && data.get(1) == Some(&(under.code + 1)) {
                    let reply = Zeroizing::new(data.get(1..).unwrap_or_default().to_vec());
                    self.under = None;
                    self.state = State::Idle;
                    self.events.push_back(Event::Reply(reply));
                } else {
                    self.stale += 1;
                }
            }
            (State::Reply { damaged, .. }, Frame::Damaged) => *damaged = Some(now + SETTLE),
            _ => {}
        }
    }

    fn settle(&mut self, now: Duration) {
        let mut frames = Vec::new();
        self.decoder.give_up(|f| frames.push(f));
        for found in frames {
            self.frame(found, now);
        }
    }
}

impl Link for Hsu {
    fn send(
        &mut self,
        command: &[u8],
        within: Duration,
        again: bool,
        now: Duration,
    ) -> Result<(), LinkFault> {
        if self.under.is_some() {
            return Err(LinkFault::Busy);
        }
        let Some(code) = command.first().copied().filter(|c| *c != u8::MAX) else {
            return Err(LinkFault::TooLong);
        };
        let mut data = Zeroizing::new(Vec::with_capacity(command.len() + 1));
        data.push(HOST);
        data.extend_from_slice(command);
        let frame = Zeroizing::new(frame::encode(&data).map_err(|_| LinkFault::TooLong)?);
        // What the last command left behind answers nothing any more.
        self.decoder.clear();
        self.events.clear();
        self.under = Some(Under { frame, code, within, reply_until: now + within, sends: 0, again });
        self.write(now);
        Ok(())
    }

    fn push(&mut self, bytes: &[u8], now: Duration) {
        let mut frames = Vec::new();
        self.decoder.push(bytes, |f| frames.push(f));
        for found in frames {
            self.frame(found, now);
        }
    }

    fn tick(&mut self, now: Duration) {
        if self.deadline().is_none_or(|at| now < at) {
            return;
        }
        // What looked like half a frame may have hidden a whole one.
        self.settle(now);
        let Some(under) = &self.under else { return };
        match &mut self.state {
            State::Ack { until } if now >= *until => {
                if under.again && under.sends < SENDS {
                    self.awake = false;
                    self.write(now);
                } else {
                    self.awake = false;
                    self.out.push_back(Zeroizing::new(frame::ACK.to_vec()));
                    self.fail(LinkFault::NoAck);
                }
            }
            State::Reply { .. } if now >= under.reply_until => {
                // An acknowledgement from the host ends the command on the chip (UM0701-02 §6.2.1.3).
                self.out.push_back(Zeroizing::new(frame::ACK.to_vec()));
                self.fail(LinkFault::NoReply);
            }
            State::Reply { damaged, nacks } if damaged.is_some_and(|at| now >= at) => {
                *damaged = None;
                *nacks += 1;
                if *nacks > NACKS {
                    self.out.push_back(Zeroizing::new(frame::ACK.to_vec()));
                    self.fail(LinkFault::Damaged);
                } else {
                    self.out.push_back(Zeroizing::new(frame::NACK.to_vec()));
                }
            }
            _ => {}
        }
    }

    fn abort(&mut self) {
        if self.under.take().is_some() {
            self.out.push_back(Zeroizing::new(frame::ACK.to_vec()));
        }
        self.state = State::Idle;
        self.decoder.clear();
        self.events.clear();
    }

    fn deadline(&self) -> Option<Duration> {
        let under = self.under.as_ref()?;
        match &self.state {
            State::Idle => None,
            State::Ack { until } => Some(*until),
            State::Reply { damaged, .. } => {
                Some(damaged.map_or(under.reply_until, |at| at.min(under.reply_until)))
            }
        }
    }

    fn output(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.out.pop_front()
    }

    fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn asleep(&mut self) {
        self.awake = false;
    }

    fn push_frame(&mut self, bytes: &[u8], now: Duration) {
        self.push(bytes, now);
        // What is not complete never will be, and must not swallow the next one.
        self.settle(now);
    }

    fn awaited(&self) -> Option<Awaited> {
        self.under.as_ref()?;
        match &self.state {
            State::Idle => None,
            State::Ack { .. } => Some(Awaited::Acknowledgement),
            State::Reply { .. } => Some(Awaited::Reply),
        }
    }

    fn noise(&self) -> (u64, u64) {
        (self.decoder.garbage(), self.stale)
    }
}

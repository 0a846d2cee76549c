//! Taps: from a card that was seen to what the till hears of it.

use std::time::Duration;

use till_plugin::instrument::StoredValueCard;
use till_plugin::{Extra, Instrument, Sensitive};
use zeroize::Zeroizing;

use super::{At, Engine, Happened, REMIND, Start, World};
use crate::chip::{self, Exchanged, Kind, Status, Target};
use crate::emv::oda::Oda;
use crate::emv::refusal::Refusal;
use crate::emv::tap::{Step, Tap};
use crate::emv::terminal::{Sale, local};
use crate::emv::tlv;
use crate::link::{Link, LinkFault};

impl<L: Link> Engine<L> {
    pub(super) fn seen(
        &mut self,
        kind: Kind,
        mut targets: Vec<Target>,
        now: Duration,
        world: &mut impl World,
    ) {
        let other = match kind {
            Kind::A => Kind::B,
            Kind::B => Kind::A,
        };
        if targets.is_empty() {
            if let Some(occupied) = &mut self.occupied {
                occupied.empty += 1;
                // Both kinds were looked for: nothing lies there any more.
                if occupied.empty >= 2 {
                    self.occupied = None;
                }
            }
            if self.armed.is_none() && self.occupied.is_none() {
                self.field_off(now);
            } else if kind == Kind::A {
                self.look(other, now);
            } else {
                self.pause(other, now);
            }
            return;
        }
        // A quick next customer: another card than the one that must leave has taken its place. Made-up numbers prove nothing.
        if let [only] = targets.as_slice()
            && !only.random()
            && !self.last.is_empty()
            && only.uid != self.last
        {
            self.occupied = None;
        }
        if let Some(occupied) = &mut self.occupied {
            occupied.empty = 0;
            let due = *occupied.remind.get_or_insert(now + REMIND);
            if now >= due {
                occupied.remind = Some(now + REMIND);
                self.fail("card-left", "a card lies on the reader: take it away, then tap".into(), now);
            }
            self.let_go(now);
            return;
        }
        let Some(armed) = &self.armed else { return self.let_go(now) };
        if targets.len() > 1 {
            self.counters.collisions += 1;
            self.last = Zeroizing::default();
            self.fail(
                "collision",
                "more than one card in front of the reader: hold one card alone".into(),
                now,
            );
            return self.let_go(now);
        }
        let Some(target) = targets.pop() else { return };
        self.last.clone_from(&target.uid);
        if !target.iso_dep || !armed.payment_cards {
            return self.without_application(&target, now);
        }
        let Some(unpredictable) = world.random() else {
            self.fail("no-random", "the system has no random numbers: tap again later".into(), now);
            return self.let_go(now);
        };
        let (date, time) = local(world.wall_ms(), self.config.offset);
        let sale = Sale { amount: armed.amount, date, time, unpredictable, sequence: world.sequence() };
        let (tap, step) = Tap::begin(self.terminal.clone(), self.keys.clone(), sale);
        self.follow(Box::new(tap), target, now + self.config.tap, step, now);
    }

    /// Does what the tap says.
    pub(super) fn follow(
        &mut self,
        tap: Box<Tap>,
        target: Target,
        until: Duration,
        step: Step,
        now: Duration,
    ) {
        match step {
            Step::Send(apdu) => {
                let Some(command) = chip::exchange(target.number, &apdu) else {
                    self.refused(Refusal::Endless, &target, now);
                    return;
                };
                let within = self.config.apdu.min(until.saturating_sub(now));
                let at = At::Tap { tap, target, until, part: Zeroizing::default() };
                self.command(at, &command, within, false, now);
            }
            Step::Done(read) => {
                self.counters.taps += 1;
                match read.oda {
                    Oda::Proved => self.counters.proved += 1,
                    Oda::Failed(_) => self.counters.not_proved += 1,
                    Oda::NotDone => {}
                }
                if self.armed.is_some() {
                    self.happened.push(Happened::Read(Instrument::Chip(read.card)));
                }
                self.let_go(now);
            }
            Step::Refused(why) => self.refused(why, &target, now),
        }
    }

    pub(super) fn refused(&mut self, why: Refusal, target: &Target, now: Duration) {
        if why.reason() == "no-application" {
            return self.without_application(target, now);
        }
        self.counters.refused += 1;
        self.fail(why.reason(), why.to_string(), now);
        self.let_go(now);
    }

    /// A card that has no payment application: perhaps one of the shop's own.
    pub(super) fn without_application(&mut self, target: &Target, now: Duration) {
        let wanted = self.armed.as_ref().is_some_and(|a| a.serial_cards);
        if wanted && !target.random() {
            self.counters.serial_numbers += 1;
            let shown = hex::encode_upper(target.uid.get(target.uid.len() - 2..).unwrap_or_default());
            let mut extra = Extra::new();
            extra.insert("evidence".into(), "uid-only".into());
            let card = StoredValueCard {
                identifier: Sensitive::new(target.uid.to_vec()),
                authenticated: false,
                masked: format!("card …{shown}"),
                extra,
            };
            self.happened.push(Happened::Read(Instrument::StoredValue(card)));
        } else {
            self.counters.refused += 1;
            self.fail("unsupported-card", Refusal::NoApplication.to_string(), now);
        }
        self.let_go(now);
    }

    pub(super) fn answered(
        &mut self,
        reply: &[u8],
        mut tap: Box<Tap>,
        target: Target,
        until: Duration,
        mut part: Zeroizing<Vec<u8>>,
        now: Duration,
    ) {
        let (data, more) = match chip::exchanged(reply) {
            Ok(Exchanged::Last(data)) => (data, false),
            Ok(Exchanged::More(data)) => (data, true),
            Ok(Exchanged::Failed(status)) => return self.lost(status, tap.stage(), now),
            Err(_) => {
                self.at = At::Tap { tap, target, until, part };
                return self.fault(LinkFault::Damaged, now);
            }
        };
        let mut whole = Zeroizing::new(Vec::with_capacity(part.len() + data.len()));
        whole.extend_from_slice(&part);
        whole.extend_from_slice(data);
        part = whole;
        if part.len() > tlv::MOST + 2 {
            return self.refused(Refusal::Endless, &target, now);
        }
        if more {
            let number = target.number;
            let within = self.config.apdu.min(until.saturating_sub(now));
            let at = At::Tap { tap, target, until, part };
            // An empty exchange fetches the next part.
            return self.command(at, &[0x40, number], within, false, now);
        }
        let step = tap.answer(&part);
        self.follow(tap, target, until, step, now);
    }

    pub(super) fn lost(&mut self, status: Status, stage: &str, now: Duration) {
        self.counters.torn += 1;
        match status {
            Status::Lost(_) => {
                let text =
                    format!("the card was taken away too early ({stage}): hold the card until the beep");
                self.fail("card-removed", text, now);
                // It may come back at once, and then it is the same customer who tries again.
                let occupied = self.occupied;
                self.let_go(now);
                self.occupied = occupied;
                return;
            }
            Status::Changed => {
                self.fail(
                    "collision",
                    "another card came before the reader: hold one card alone".into(),
                    now,
                );
            }
            Status::Forgotten => {
                self.fail("reader-fault", "the reader was reset during the tap: tap again".into(), now);
                self.link.asleep();
                return self.begin(Start::Firmware, now);
            }
            Status::Other(code) => {
                self.fail("reader-fault", format!("the reader reports error {code:02X}h: tap again"), now);
            }
        }
        self.let_go(now);
    }
}

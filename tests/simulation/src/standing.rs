//! Maintenance and breakers: in one world of sixteen some windows are announced, networks are away for minutes, and the thin
//! shell around [`Breakers`] is played as the daemon plays it: told by records, asked by the clock, answered by echoes.
//! Everything is drawn from a seed of its own, so that other worlds stay what they were.

use std::sync::Arc;

use till_core::breaker::{Breakers, Moved, Reader, Settings, told};
use till_core::routing::{Exclusion, Policy, Verdict};
use till_core::windows::{Kind, Span, When, Window};
use till_core::{Input, Record, training};

use crate::check::{Doors, Wall};
use crate::clock::{Event, Timer};
use crate::profile::CHANNELS;
use crate::rng::Rng;
use crate::world::{BEGIN_MS, World, log};

/// Records that are read back after a restart, as the daemon does.
pub(crate) const READ_BACK: u64 = 512;

const MINUTE_MS: i64 = 60_000;

/// When breakers open and are asked: quick, for a world of minutes.
const IN_A_ROW: Settings = Settings { in_a_row: 2, faults: 0, of: 6, pause_ms: 3_000, pause_max_ms: 20_000 };
/// In every second such world faults with sales between them open it, too.
const OFTEN: Settings = Settings { in_a_row: 4, faults: 3, of: 5, ..IN_A_ROW };

/// A network that is away.
struct Outage {
    channel: usize,
    from: u64,
    until: u64,
}

/// What is away and when, and what the checks know of it.
pub(crate) struct Standing {
    rng: Rng,
    outages: Vec<Outage>,
    pub(crate) doors: Doors,
}

/// What a record says, seen before it is taken in.
pub(crate) enum Noted {
    Tendered(String, till_core::LegKind, (till_core::PaymentId, u32)),
    Outcome(till_core::breaker::Told),
}

impl Standing {
    /// Of a world of this seed; None: nothing is announced in it, and no network is away for long.
    pub(crate) fn of(seed: u64) -> Option<Box<Self>> {
        if seed % 16 != 5 {
            return None;
        }
        let mut rng = Rng::new(seed ^ 0x5741_4e44_4f57_5321);
        let outages = (0..2 + rng.below(4)).map(|_| {
            // The networks that are used most are away most.
            let channel = rng.pick(&[0, 0, 0, 2, 2, 3, 1, 4, 6]);
            let from = rng.range(0, 300_000);
            Outage { channel, from, until: from + rng.range(20_000, 240_000) }
        });
        let outages = outages.collect();
        let settings = if seed % 32 == 5 { IN_A_ROW } else { OFTEN };
        Some(Box::new(Self { rng, outages, doors: Doors::new(settings) }))
    }

    /// Windows of this world, and breakers that open.
    pub(crate) fn announce(&mut self, policy: &mut Policy) {
        let rng = &mut self.rng;
        let windows = (0..2 + rng.below(5)).map(|_| {
            let length_min = 1 + u32::try_from(rng.below(9)).unwrap_or(0);
            // Most begin in the minutes that are lived, or have begun.
            let from_ms = BEGIN_MS + rng.minor(12 * MINUTE_MS) - 3 * MINUTE_MS;
            let at_min = u16::try_from(rng.below(1_440)).unwrap_or(0);
            let when = match rng.below(8) {
                0 => When::Daily { at_min, length_min },
                1 => When::Weekly { day: u8::try_from(rng.below(7)).unwrap_or(0), at_min, length_min: 600 },
                2 => When::Daily { at_min, length_min: 60 * 8 },
                _ => When::Once(Span { from_ms, until_ms: from_ms + i64::from(length_min) * MINUTE_MS }),
            };
            Window {
                channel: rng.pick(&CHANNELS).0.into(),
                when,
                kind: if rng.chance(15) { Kind::Degraded } else { Kind::Down },
                lead_ms: rng.chance(50).then(|| rng.minor(3 * MINUTE_MS)),
                reason: "announced".into(),
            }
        });
        policy.windows = windows.collect();
        self.doors.windows.clone_from(&policy.windows);
    }

    /// The network of a channel is away.
    pub(crate) fn away(&self, channel: usize, now: u64) -> bool {
        self.outages.iter().any(|o| o.channel == channel && o.from <= now && now < o.until)
    }

    /// Everything heals.
    pub(crate) fn calm(&mut self) {
        self.outages.clear();
    }
}

impl World {
    fn breakers(&mut self) -> &mut Breakers {
        Arc::make_mut(&mut self.ctx.rules.routing.breakers)
    }

    /// A world begins with its windows.
    pub(crate) fn announce(&mut self) {
        let Some(standing) = &mut self.standing else { return };
        let routing = &mut self.ctx.rules.routing;
        standing.announce(Arc::make_mut(&mut routing.policy));
        routing.breakers = Arc::new(Breakers::new(standing.doors.settings));
    }

    /// The wall clock as the till sees it now.
    pub(crate) fn seen_wall(&self) -> Wall {
        let (ms, trusted) = (self.ctx.wall_ms, self.ctx.clock_trusted);
        Wall { ms, offset_min: self.ctx.rules.utc_offset_min.into(), trusted }
    }

    /// What a record says that is about to be written. Where a tender goes is looked at now: with the clock that it was decided by.
    pub(crate) fn noted(&mut self, record: &Record) -> Option<Noted> {
        let wall = self.seen_wall();
        let now = self.clock.now;
        let standing = self.standing.as_mut()?;
        let Record::Tendered { payment, ids, decision, kind, .. } = record else {
            return told(self.shell.till(), record).map(Noted::Outcome);
        };
        let channel = decision.chosen.clone().filter(|c| c != training::CHANNEL)?;
        let who = (*payment, ids.attempt);
        standing.doors.before_a_tender(decision, *kind, wall);
        standing.doors.decided(who, wall, now);
        for candidate in &decision.candidates {
            match candidate.verdict {
                Verdict::Excluded(Exclusion::Window(_)) => self.tally.see("kept away by a window"),
                Verdict::Excluded(Exclusion::Breaker(_)) => self.tally.see("kept away by a breaker"),
                _ => {}
            }
        }
        Some(Noted::Tendered(channel, *kind, who))
    }

    /// It is durable.
    pub(crate) fn note(&mut self, record: &Record, noted: Option<Noted>) {
        let Some(standing) = &mut self.standing else { return };
        standing.doors.after_record(record);
        if matches!(record, Record::Maintenance { .. }) {
            self.plan();
        }
        match noted {
            Some(Noted::Tendered(channel, kind, who)) => self.breakers().tendered(&channel, kind, who),
            Some(Noted::Outcome(told)) => {
                let (now, wall) = (self.clock.now, self.ctx.wall_ms);
                match self.breakers().outcome(&told, now, wall) {
                    Some(Moved::Opened) => {
                        self.tally.see("breakers opened");
                        log!(self, "the breaker of {} opens", told.channel);
                        self.ask_later();
                    }
                    Some(Moved::Closed) => self.tally.see("breakers closed"),
                    None => {}
                }
            }
            None => {}
        }
    }

    /// What is announced comes to what is configured.
    fn plan(&mut self) {
        let Some(standing) = &self.standing else { return };
        let announced = self.shell.till().announced().windows();
        let windows = standing.doors.windows.iter().chain(announced).cloned().collect();
        Arc::make_mut(&mut self.ctx.rules.routing.policy).windows = windows;
    }

    /// Comes back when the next network is to be asked.
    fn ask_later(&mut self) {
        if let Some(at) = self.ctx.rules.routing.breakers.next_ask() {
            self.clock.timer(at.saturating_sub(self.clock.now), Timer::Ask);
        }
    }

    /// Asks the networks whose time has come: an echo, which their books know nothing of.
    pub(crate) fn ask_networks(&mut self) {
        let now = self.clock.now;
        for channel in self.ctx.rules.routing.breakers.to_ask(now) {
            // Counted as no answer until there is one.
            self.breakers().asked(&channel, false, now);
            let life = self.clock.life();
            let Some(standing) = &mut self.standing else { return };
            let ms = standing.rng.range(20, 800);
            self.tally.see("networks asked without money");
            self.clock.after(ms, Event::Echo(channel, life));
        }
        self.ask_later();
    }

    /// An echo reaches a network that is there, and its answer whoever asked, if that one still lives.
    pub(crate) fn echo(&mut self, channel: &str, life: u64) {
        let now = self.clock.now;
        let away = self.standing.as_ref().is_none_or(|s| s.away(crate::profile::index(channel), now));
        if !away && self.up && life == self.clock.life() {
            self.answers(channel);
        }
    }

    /// A network answered without money: to an echo, or by signing the terminal in.
    pub(crate) fn answers(&mut self, channel: &str) {
        let now = self.clock.now;
        if let Some(standing) = &mut self.standing {
            standing.doors.answered(channel);
            self.breakers().asked(channel, true, now);
        }
    }

    /// A sign-in that was taken.
    pub(crate) fn signed_in(&mut self, input: &Input) {
        if let Input::SignedIn { channel, .. } = input
            && self.standing.is_some()
        {
            self.answers(channel);
        }
    }

    /// After a restart: what the newest records say.
    pub(crate) fn read_breakers(&mut self) {
        let Some(settings) = self.standing.as_ref().map(|s| s.doors.settings) else { return };
        self.plan();
        let (now, head) = (self.clock.now, self.disk.len());
        let mut breakers = Breakers::new(settings);
        let mut reader = Reader::default();
        let mut records = Vec::new();
        for seq in head.saturating_sub(READ_BACK).max(1)..=head {
            let (record, wall) = self.disk.record(seq);
            if let Some(told) = reader.read(&record) {
                breakers.outcome(&told, 0, wall);
            }
            records.push(record);
        }
        breakers.restarted(now);
        self.ctx.rules.routing.breakers = Arc::new(breakers);
        if let Some(standing) = &mut self.standing {
            standing.doors.restarted(records.iter().map(|r| &**r));
        }
        self.ask_later();
    }
}

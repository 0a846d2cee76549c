//! What is around the till: where it stands and what its shop allows, trouble with disk, clock and channels, and its end.

use till_core::batch::{CloseAt, Rules};
use till_core::limits::{Limit, Scope};
use till_plugin::{Currency, Money};

use super::{World, log};
use crate::clock::Event;
use crate::disk::Health;
use crate::faults::Faults;
use crate::profile;
use crate::rng::Rng;
use crate::run;

/// Places, minutes east of UTC.
const OFFSETS: [i32; 4] = [480, 0, -300, 345];

/// Rules of batches and limits. A day ends by the clock only where time counts, most often within the world's minutes.
pub(super) fn rules(rng: &mut Rng, wild: bool) -> Rules {
    let utc_offset_min = rng.pick(&OFFSETS);
    let (chunk, tries) = (rng.pick(&[1, 3, 8]), rng.pick(&[2, 3, 5]));
    let minute = 853 + utc_offset_min + 1 + i32::try_from(rng.below(20)).unwrap_or(0);
    let minute = if rng.chance(70) { minute } else { i32::try_from(rng.below(1440)).unwrap_or(0) };
    let close_at = rng.chance(70).then(|| u16::try_from(minute.rem_euclid(1440)).ok().and_then(CloseAt::new));
    let limit = |scope, minor| Limit { scope, amount: Money::new(minor, Currency::CNY), count: Some(40) };
    let limits = if rng.chance(20) {
        vec![
            limit(Scope::Payment(None), 95_000),
            limit(Scope::Channel("wallet".into()), 300_000),
            limit(Scope::Operator, 1_000_000),
            limit(Scope::Instrument, 100_000),
        ]
    } else {
        Vec::new()
    };
    Rules {
        utc_offset_min,
        close_at: close_at.flatten().filter(|_| wild),
        calendar: till_core::batch::Calendar::default(),
        channels: profile::settle_rules(chunk, tries),
        // A day's counters begin anew with the date: where clocks must not matter there are no limits.
        limits: if wild { limits } else { Vec::new() },
        routing: till_core::routing::Routing::default(),
    }
}

impl World {
    /// Nothing breaks any more, and what is broken heals: then everything must come to an end.
    pub(super) fn calm(&mut self) {
        self.faults.calm = true;
        self.ctx.clock_trusted = true;
        self.disk.health = Health::Well;
        if let Some(standing) = &mut self.standing {
            standing.calm();
        }
        for channel in 0..profile::CHANNELS.len() {
            self.channel_well(channel);
        }
        log!(self, "calm");
    }

    /// Disk, clock or a channel gets into trouble.
    pub(super) fn trouble_around(&mut self) {
        let lasts = self.rng.range(2_000, 90_000);
        match self.rng.below(6) {
            5 => {
                // Daylight saving, or the till travels.
                let minutes = self.rng.pick(&OFFSETS);
                if self.wall_clock == run::Clock::Wild {
                    self.ctx.rules.utc_offset_min = minutes;
                }
                self.tally.see("time zone changed");
            }
            0 | 1 => {
                // A till without a battery clock: any day of ten years around, a day that was before, the right one
                // again; believed or not.
                self.wall_skew = match self.rng.below(5) {
                    0 => 0,
                    1 | 2 => self.wall_skew - (1 + self.rng.minor(2)) * 86_400_000,
                    _ => self.rng.minor(631_152_000_000) - 315_576_000_000,
                };
                let believed = self.rng.chance(40);
                self.ctx.clock_trusted = believed || self.wall_clock != run::Clock::Wild;
                self.tally.see("clock jumped");
                log!(self, "the clock jumps by {} ms, believed: {believed}", self.wall_skew);
            }
            2 => {
                self.disk.health = Faults::disk(&mut self.rng);
                self.tally.see("disk in trouble");
                log!(self, "the disk is {:?} for {lasts} ms", self.disk.health);
                self.clock.after(lasts, Event::DiskWell);
            }
            _ => {
                let channel = self.rng.index(profile::CHANNELS.len());
                self.ctx.routes[channel].health =
                    till_core::routing::RouteHealth::Failed { reason: "no line".into() };
                self.tally.see("channel in trouble");
                self.clock.after(lasts, Event::ChannelWell(channel));
            }
        }
    }

    pub(super) fn channel_well(&mut self, channel: usize) {
        self.ctx.routes[channel].health = till_core::routing::RouteHealth::Ready;
    }
}

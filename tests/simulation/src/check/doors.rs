//! Doors that are shut (S9, S10): nothing new goes into maintenance, nor so shortly before it that it could run into it; a
//! breaker that opened lets one sale through, and only after its network answered without money. Reckoned here in
//! another way than the till does it, and both ways round: nobody is kept away for nothing either.

use std::collections::BTreeMap;

use till_core::announce::AnnounceEvent;
use till_core::breaker::Settings;
use till_core::routing::{Candidate, Decision, Exclusion, Verdict};
use till_core::windows::{Kind, When, Window};
use till_core::{LegKind, PaymentId, Record, training};
use till_plugin::channel::{Decline, DeclineClass, UnknownReason};

use crate::profile;
use crate::world::World;

const DAY_MS: i64 = 86_400_000;

/// What the wall clock says, and whether it is believed; minutes east of UTC.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wall {
    pub(crate) ms: i64,
    pub(crate) offset_min: i64,
    pub(crate) trusted: bool,
}

/// A channel's operation behind its breaker.
#[derive(Debug, Default)]
struct Line {
    in_a_row: u32,
    /// Outcomes since it closed, the newest last: whether it was a fault.
    outcomes: Vec<bool>,
    open: bool,
    /// It opened, and its network has answered without money since.
    answered: bool,
    trial: Option<(PaymentId, u32)>,
}

impl Line {
    fn shut(&self) -> bool {
        self.open && (!self.answered || self.trial.is_some())
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Said {
    Fault,
    Well,
    Nothing,
}

/// What is known of doors.
#[derive(Default)]
pub(crate) struct Doors {
    /// When breakers open here.
    pub(crate) settings: Settings,
    /// As configured.
    pub(crate) windows: Vec<Window>,
    /// What was announced while the till ran, by name.
    announced: BTreeMap<String, Vec<Window>>,
    lines: BTreeMap<(String, LegKind), Line>,
    /// The newest attempt of each payment, until its first outcome.
    waits: BTreeMap<PaymentId, (String, LegKind, u32)>,
    /// The clocks when it was decided where a tender goes: what the wall clock is ahead of the world's.
    decided: BTreeMap<(PaymentId, u32), Wall>,
}

impl Doors {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// S9, S10: before it is even written where a tender goes.
    pub(crate) fn before_a_tender(&self, decision: &Decision, kind: LegKind, wall: Wall) {
        for Candidate { channel, verdict } in &decision.candidates {
            let shut = self.lines.get(&(channel.clone(), kind)).is_some_and(Line::shut);
            let closed = wall.trusted && self.closed(channel, wall);
            let drains = wall.trusted && self.drains(channel, wall);
            match verdict {
                Verdict::Excluded(Exclusion::Window(hit)) => {
                    assert!(closed || drains, "S9: {channel} is kept away by no window: {hit:?}");
                }
                Verdict::Excluded(Exclusion::Breaker(hit)) => {
                    assert!(shut, "S10: {channel} is kept away by a breaker that is not open: {hit:?}");
                }
                Verdict::Excluded(_) => {}
                _ => {
                    assert!(!closed, "S9: {channel} is offered a {kind:?} in its maintenance");
                    assert!(!drains, "S9: {channel} is offered a {kind:?} that can run into its maintenance");
                    assert!(
                        !shut,
                        "S10: {channel} is offered a {kind:?}, its breaker is open: {:?}",
                        self.lines.get(&(channel.clone(), kind))
                    );
                }
            }
        }
    }

    /// S9: before the bytes of a tender leave. A clock that was set meanwhile says nothing of it.
    fn before_sending(&self, who: (PaymentId, u32), channel: &str, wall: Wall, now: u64) {
        let base = Wall { ms: wall.ms - i64::try_from(now).unwrap_or(0), ..wall };
        let same = self.decided.get(&who) == Some(&base);
        assert!(
            !same || !wall.trusted || !self.closed(channel, wall),
            "S9: the bytes of a sale go to {channel} in its maintenance"
        );
    }

    /// A tender is decided: clocks of then.
    pub(crate) fn decided(&mut self, who: (PaymentId, u32), wall: Wall, now: u64) {
        self.decided.insert(who, Wall { ms: wall.ms - i64::try_from(now).unwrap_or(0), ..wall });
    }

    /// A record that is on disk.
    pub(crate) fn after_record(&mut self, record: &Record) {
        match record {
            Record::Tendered { payment, ids, decision, kind, .. } => {
                let Some(channel) = decision.chosen.clone().filter(|c| c != training::CHANNEL) else {
                    return;
                };
                if let Some(line) = self.lines.get_mut(&(channel.clone(), *kind))
                    && line.open
                    && line.answered
                {
                    line.trial.get_or_insert((*payment, ids.attempt));
                }
                self.waits.insert(*payment, (channel, *kind, ids.attempt));
            }
            Record::LegCreated { payment, ids, channel, kind, .. } if channel != training::CHANNEL => {
                self.waits.insert(*payment, (channel.clone(), *kind, ids.attempt));
            }
            _ => {
                let Some(said) = said(record) else { return };
                let Some((channel, kind, attempt)) = record
                    .payment()
                    .and_then(|id| self.waits.remove(&id).map(|w| (w, id)))
                    .map(|((channel, kind, attempt), id)| (channel, kind, (id, attempt)))
                else {
                    return;
                };
                self.lines.entry((channel, kind)).or_default().outcome(&self.settings, attempt, said);
            }
        }
    }

    /// Maintenance was announced or taken back.
    fn announced(&mut self, id: &str, event: &AnnounceEvent) {
        match event {
            AnnounceEvent::Announced { announcement, over } => {
                self.announced.retain(|known, _| !over.contains(known));
                self.announced.insert(id.to_owned(), announcement.windows.clone());
            }
            AnnounceEvent::Withdrawn => {
                self.announced.remove(id);
            }
        }
    }

    /// A network answered without money.
    pub(crate) fn answered(&mut self, channel: &str) {
        for ((of, _), line) in &mut self.lines {
            if of == channel && line.open {
                line.answered = true;
            }
        }
    }

    /// The process lives again, and has read so many of the newest records.
    pub(crate) fn restarted<'a>(&mut self, records: impl Iterator<Item = &'a Record>) {
        self.lines.clear();
        self.waits.clear();
        records.for_each(|record| self.after_record(record));
    }

    fn spans(&self, channel: &str, wall: Wall) -> impl Iterator<Item = (i64, i64, i64)> {
        let all = self.windows.iter().chain(self.announced.values().flatten());
        let mine = all.filter(move |w| w.channel == channel && w.kind == Kind::Down);
        mine.flat_map(move |w| spans(w.when, wall).into_iter().map(|(f, u)| (f, u, w.lead_ms.unwrap_or(0))))
    }

    fn closed(&self, channel: &str, wall: Wall) -> bool {
        self.spans(channel, wall).any(|(from, until, _)| from <= wall.ms && wall.ms < until)
    }

    fn drains(&self, channel: &str, wall: Wall) -> bool {
        let resolve = profile::resolve(profile::index(channel));
        let asks = resolve.query.map_or(0, |q| i64::from(q.until_ms) + i64::from(q.settle_ms));
        let waits = resolve.undo.map_or(0, |u| i64::from(u.not_before_ms));
        let least = i64::from(profile::ANSWER_MS) + asks + waits;
        self.spans(channel, wall).any(|(from, _, lead)| wall.ms < from && from - lead.max(least) <= wall.ms)
    }
}

/// When a window is, in the days around.
fn spans(when: When, wall: Wall) -> Vec<(i64, i64)> {
    let (days, at_min, length_min): (&dyn Fn(i64) -> bool, _, _) = match when {
        When::Once(span) => return vec![(span.from_ms, span.until_ms)],
        When::Daily { at_min, length_min } => (&|_| true, at_min, length_min),
        // The first day of all was a Thursday.
        When::Weekly { day, at_min, length_min } => {
            (&move |d: i64| (d + 3).rem_euclid(7) == i64::from(day), at_min, length_min)
        }
    };
    let east = wall.offset_min * 60_000;
    let today = (wall.ms + east).div_euclid(DAY_MS);
    let begins = |d: i64| d * DAY_MS + i64::from(at_min) * 60_000 - east;
    let one = |d: i64| (begins(d), begins(d) + i64::from(length_min) * 60_000);
    (today - 8..=today + 8).filter(|d| days(*d)).map(one).collect()
}

impl Line {
    fn outcome(&mut self, settings: &Settings, who: (PaymentId, u32), said: Said) {
        match said {
            Said::Fault => self.in_a_row += 1,
            Said::Well => self.in_a_row = 0,
            Said::Nothing => {}
        }
        if !self.open {
            let fault = said == Said::Fault;
            if said != Said::Nothing {
                self.outcomes.push(fault);
            }
            let newest = self.outcomes.iter().rev().take(settings.of as usize);
            let often = settings.faults > 0 && newest.filter(|f| **f).count() >= settings.faults as usize;
            self.open = fault && (often || self.in_a_row >= settings.in_a_row);
            (self.answered, self.trial) = (false, None);
        } else if self.trial == Some(who) {
            self.trial = None;
            match said {
                Said::Fault => self.answered = false,
                Said::Well => {
                    self.open = false;
                    self.outcomes.clear();
                }
                Said::Nothing => {}
            }
        }
    }
}

/// What the first outcome of an attempt says of its channel.
fn said(record: &Record) -> Option<Said> {
    let of_channel = |d: &Decline| {
        let world = matches!(d.code.as_str(), "no-line" | "not-prepared" | "91");
        d.class == DeclineClass::Channel && world
    };
    Some(match record {
        Record::Declined { decline, .. } | Record::NotSent { decline, .. } if of_channel(decline) => {
            Said::Fault
        }
        Record::BecameUnknown {
            reason:
                UnknownReason::NoAnswer
                | UnknownReason::Broken
                | UnknownReason::BadSeal
                | UnknownReason::Mismatch
                | UnknownReason::PluginDied,
            ..
        } => Said::Fault,
        Record::Declined { decline, .. } if decline.class != DeclineClass::Customer => Said::Nothing,
        Record::Approved { .. }
        | Record::UndoDecided { approval: Some(_), .. }
        | Record::Declined { .. }
        | Record::BecameUnknown {
            reason: UnknownReason::InProgress | UnknownReason::AwaitingCustomer, ..
        } => Said::Well,
        Record::NotSent { .. } | Record::BecameUnknown { .. } => Said::Nothing,
        _ => return None,
    })
}

/// After every record: what is announced is on disk, and holds over every restart.
pub(super) fn after_record(w: &mut World, record: &Record) {
    let Record::Maintenance { id, event, .. } = record else { return };
    if let Some(standing) = &mut w.standing {
        standing.doors.announced(id, event);
    }
    w.tally.see(match event {
        AnnounceEvent::Announced { .. } => "maintenance announced",
        AnnounceEvent::Withdrawn => "maintenance taken back",
    });
}

/// S9: before the bytes of a tender leave.
pub(super) fn s09_nothing_new_goes_into_maintenance(
    w: &World,
    kind: LegKind,
    who: (PaymentId, u32),
    channel: &str,
) {
    if let Some(standing) = &w.standing
        && kind.is_tender()
    {
        standing.doors.before_sending(who, channel, w.seen_wall(), w.clock.now);
    }
}

/// S10: a network that answers is found again.
pub(super) fn s10_no_breaker_waits_for_ever(w: &World) {
    let waits = w.ctx.rules.routing.breakers.next_ask();
    assert_eq!(waits, None, "S10: the world is at rest, and a network is never asked again");
}

//! The daemon of this world: decides, appends, folds in, acts; dies and comes back. The deciding, the holding back until
//! a record is durable and the folding are till-core's own ([`Shell`]); what is simulated is all around it.

use std::collections::BTreeSet;

use till_core::batch::{CloseAt, Rules};
use till_core::input::Context;
use till_core::limits::{Limit, Scope};
use till_core::{Input, Next, NotDone, PaymentId, Record, Refusal, Shell, Till};
use till_plugin::{Currency, Money};

use crate::check::{self, Watch};
use crate::clock::{Clock, Event, Timer};
use crate::disk::{Disk, Fate, Health, Trouble};
use crate::faults::Faults;
use crate::host::Host;
use crate::operator::{Operator, stalled};
use crate::profile;
use crate::rng::Rng;
use crate::run;
use crate::standing::Standing;
use crate::tally::Tally;

/// Records between two comparisons of the whole till with its replay; what a record touches is compared every time.
const WHOLE_EVERY: u64 = 48;

/// When every world begins: 2026-09-21 14:13:20 UTC, Unix ms.
pub(crate) const BEGIN_MS: i64 = 1_790_000_000_000;

/// How often the daemon looks at the clock, ms.
const TICK_MS: u64 = 30_000;

/// Places, minutes east of UTC.
const OFFSETS: [i32; 4] = [480, 0, -300, 345];

/// Rules of batches and limits. A day ends by the clock only where time counts, most often within the world's minutes.
fn rules(rng: &mut Rng, wild: bool) -> Rules {
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

/// Records between two snapshots.
const SNAPSHOT_EVERY: u64 = 80;

/// A little universe.
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) shell: Shell,
    pub(crate) ctx: Context,
    pub(crate) disk: Disk,
    /// What is on disk, decoded and folded as a replay would: compared with the live state after every record.
    pub(crate) replayed: Till,
    /// The same without the records of training, where there is training: what counts is what it has (I17).
    pub(crate) untrained: Option<Till>,
    /// The newest snapshot, and the seq up to which it reaches.
    snapshot: Option<(u64, Vec<u8>)>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) line_free: [u64; profile::CHANNELS.len()],
    /// Instruments in memory.
    pub(crate) vault: BTreeSet<(PaymentId, u32)>,
    pub(crate) armed_for: Option<PaymentId>,
    pub(crate) up: bool,
    pub(crate) operator: Operator,
    pub(crate) watch: Watch,
    pub(crate) tally: Tally,
    /// Maintenance and breakers, where there are any.
    pub(crate) standing: Option<Box<Standing>>,
    wall_skew: i64,
    /// What the wall clock does.
    pub(crate) wall_clock: run::Clock,
    trace: Option<String>,
}

/// Why an input came to nothing though the machine took it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The process died in the middle of it.
    Died,
    /// Its record found no room; the caller is told so.
    Journal,
}

/// What an input did.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) wrote: bool,
    pub(crate) effects: usize,
}

pub(crate) type Told = Result<Result<Done, Refusal>, Stopped>;

macro_rules! log {
    ($world:expr, $($text:tt)*) => {
        if $world.tracing() {
            let line = format!($($text)*);
            $world.write(&line);
        }
    };
}
pub(crate) use log;

impl World {
    pub(crate) fn new(seed: u64, payments: Option<u64>, trace: bool, wall: run::Clock) -> Self {
        let wild_clock = wall == run::Clock::Wild;
        let mut rng = Rng::new(seed);
        let faults = Faults::new(&mut rng);
        // A long one now and then: payments leave memory and come back.
        let drawn = if rng.per_mille(4) { 300 } else { rng.pick(&[4, 8, 12, 20, 40]) };
        let evening = rng.pick(&[0, 20, 60, 60]);
        let closes = rng.chance(60);
        let trains = rng.chance(4);
        // Not drawn: what other worlds live stays what it was.
        let suspends = seed % 16 == 11;
        let mut rules = rules(&mut rng, wild_clock);
        if suspends {
            for rule in rules.channels.values_mut() {
                rule.agreed.mcc = Some(profile::MCC.into());
            }
        }
        let batch_limit = profile::batch_limit(seed);
        for rule in rules.channels.values_mut() {
            rule.batch_limit = batch_limit;
        }
        let mut clock = Clock::default();
        clock.after(0, Event::Operator);
        if wild_clock {
            clock.after(TICK_MS, Event::Tick);
        }
        let mut world = Self {
            clock,
            faults,
            shell: Shell::default(),
            ctx: Context {
                wall_ms: 0,
                clock_trusted: true,
                routes: profile::routes(),
                terminal: "T1".into(),
                config: "1".into(),
                printer: Some("printer".into()),
                reuse_window_ms: if wild_clock { 60_000 } else { i64::MIN },
                duplicate_window_ms: if wild_clock { 120_000 } else { 0 },
                undo_after_ms: rng.chance(50).then_some(20_000),
                job_valid_ms: if wild_clock { 7 * 86_400_000 } else { i64::MAX },
                hold_valid_ms: if wild_clock { rng.pick(&[60_000, 30 * 86_400_000]) } else { i64::MAX },
                rules,
            },
            disk: Disk::new(),
            replayed: Till::new(),
            snapshot: None,
            hosts: (0..profile::CHANNELS.len()).map(|channel| Host::new(channel, batch_limit)).collect(),
            line_free: [0; profile::CHANNELS.len()],
            vault: BTreeSet::new(),
            armed_for: None,
            up: true,
            operator: Operator::new(payments.unwrap_or(drawn), evening, closes, trains, suspends),
            untrained: trains.then(Till::new),
            watch: Watch::default(),
            tally: Tally::default(),
            wall_skew: 0,
            wall_clock: wall,
            rng,
            // Windows are of the wall clock: not where it must not matter.
            standing: if wild_clock { Standing::of(seed) } else { None },
            trace: trace.then(String::new),
        };
        world.operator.office = seed % 16 == 9;
        world.announce();
        world
    }

    /// Lives until nothing happens any more.
    pub(crate) fn run(&mut self) {
        let limit = 4_000 * (self.operator.payments + 1);
        let mut events = 0;
        while let Some(event) = self.next_event() {
            events += 1;
            assert!(events < limit, "I24: the world does not come to rest after {events} events");
            self.happen(event);
            if self.operator.done
                && events % 500 == 0
                && self.till().open_payments().any(Operator::waits_for_people)
            {
                // Something that still goes on waits for a review: somebody is called in.
                self.operator.done = false;
                self.clock.after(1_000, Event::Operator);
            }
            if self.operator.done && !self.faults.calm {
                self.calm();
            }
        }
        check::at_rest(self);
    }

    /// What happens next. When nothing would, and a settlement waits for people, they are called.
    fn next_event(&mut self) -> Option<Event> {
        let next = self.clock.next();
        if next.is_some() || stalled(self.till()).is_none() {
            return next;
        }
        self.operator.done = false;
        self.clock.after(1_000, Event::Operator);
        self.clock.next()
    }

    /// Nothing breaks any more, and what is broken heals: then everything must come to an end.
    fn calm(&mut self) {
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

    pub(crate) const fn tracing(&self) -> bool {
        self.trace.is_some()
    }

    pub(crate) fn write(&mut self, line: &str) {
        use std::fmt::Write as _;
        let now = self.clock.now;
        if let Some(trace) = &mut self.trace {
            // A String takes all that memory holds.
            let _ = writeln!(trace, "{now:>9} {line}");
        }
    }

    pub(crate) fn take_trace(&mut self) -> String {
        self.trace.take().unwrap_or_default()
    }

    pub(crate) const fn till(&self) -> &Till {
        self.shell.till()
    }

    /// The shop is closed for so long.
    pub(crate) fn pass_days(&mut self, days: i64) {
        self.wall_skew = self.wall_skew.saturating_add(days * 86_400_000);
        self.tally.see("nights");
        log!(self, "{days} days pass");
    }

    fn wall(&self) -> i64 {
        let base = BEGIN_MS + i64::try_from(self.clock.now).unwrap_or(0);
        if self.wall_clock == run::Clock::Steady { base } else { base + self.wall_skew }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Inside(input) => {
                self.unasked(&input);
                self.signed_in(&input);
            }
            Event::Timer(Timer::Ask) => self.ask_networks(),
            Event::Echo(channel, life) => self.echo(&channel, life),
            Event::Timer(Timer::Resolve(payment, attempt)) => {
                self.unasked(&Input::Resolve { payment, attempt });
            }
            Event::Arrive(message) => self.arrive(&message),
            Event::Settlement(request) => self.settle(&request),
            Event::Tick => self.tick(),
            Event::Customer(channel, order) => self.hosts[channel].customer_agrees(&order),
            Event::Notice(input) => self.notice(input),
            Event::Operator => self.people(),
            Event::Restart => self.restart(),
            Event::DiskWell => {
                self.disk.health = Health::Well;
                log!(self, "the disk is well");
            }
            Event::ChannelWell(channel) => self.channel_well(channel),
        }
    }

    /// The clock may close a day. What finds no room now does at the next tick; a journal that takes nothing any more finds
    /// none ever, and the process has ended by then, as the daemon's does.
    fn tick(&mut self) {
        if self.up && self.disk.is_poisoned() {
            self.die("without a journal");
        } else if self.up {
            let _told = self.input(&Input::Tick);
        }
        if !self.faults.calm {
            self.clock.after(TICK_MS, Event::Tick);
        }
    }

    /// Told again until the till has it on disk.
    fn notice(&mut self, input: Box<Input>) {
        if self.asked(&input).is_err() {
            self.clock.after(3_000, Event::Notice(input));
        }
    }

    fn people(&mut self) {
        if self.faults.around(&mut self.rng) {
            self.trouble_around();
        }
        if self.up {
            Operator::act(self);
        }
        if !self.operator.done {
            let pause = self.rng.range(50, 3_000);
            self.clock.after(pause, Event::Operator);
        }
    }

    /// Disk, clock or a channel gets into trouble.
    fn trouble_around(&mut self) {
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

    fn channel_well(&mut self, channel: usize) {
        self.ctx.routes[channel].health = till_core::routing::RouteHealth::Ready;
    }

    /// An input that somebody waits for the answer of.
    pub(crate) fn asked(&mut self, input: &Input) -> Told {
        if !self.up {
            return Err(Stopped::Died);
        }
        let told = self.input(input);
        if told == Err(Stopped::Journal) && self.rng.chance(30) {
            // A till that takes nothing any more is restarted by somebody sooner or later.
            self.die("by hand");
        }
        told
    }

    /// An input that nobody waits for: what cannot be written must not be forgotten, so the process ends, as the
    /// daemon's does, and resolves after its restart what is on disk.
    fn unasked(&mut self, input: &Input) {
        if self.up && self.input(input) == Err(Stopped::Journal) {
            self.die("unable to write an answer");
        }
    }

    /// A payment that the input is about and that has left memory.
    fn lacks(&self, input: &Input) -> Option<PaymentId> {
        input.payment().filter(|id| self.till().payment(*id).is_none())
    }

    fn input(&mut self, input: &Input) -> Told {
        self.ctx.wall_ms = self.wall();
        if let Some(payment) = self.lacks(input).and_then(|id| self.disk.payment(id, u64::MAX)) {
            self.tally.see("payments brought back to memory");
            self.shell.adopt(payment);
        }
        match self.shell.decide(input, &self.ctx) {
            Ok(next) => {
                log!(self, "{input:?} → {next:?}");
                let created = match next.record() {
                    Some(Record::Tendered { payment, ids, .. }) => Some((*payment, ids.attempt)),
                    Some(Record::LegPresented { payment, .. }) => {
                        let leg = self.till().payment(*payment).and_then(|p| p.open_attempt());
                        leg.map(|leg| (*payment, leg.ids.attempt))
                    }
                    _ => None,
                };
                self.vault.extend(created);
                let done = self.commit(next);
                if let (Err(Stopped::Journal), Some(created)) = (&done, created) {
                    // No attempt, so nobody will need what was presented.
                    self.vault.remove(&created);
                }
                let instead = (done == Err(Stopped::Journal)).then(|| Shell::unwritten(input, "no room"));
                match instead.flatten() {
                    Some(instead) => self.input(&instead),
                    None => Ok(Ok(done?)),
                }
            }
            Err(NotDone::Refused(refusal)) => {
                log!(self, "{input:?} → refused: {refusal}");
                Ok(Err(refusal))
            }
            Err(NotDone::Record(e)) => panic!("{input:?} cannot be recorded: {e}"),
        }
    }

    fn commit(&mut self, next: Next) -> Result<Done, Stopped> {
        let (effects, wrote) = match next {
            Next::Act(effects) => (effects, false),
            Next::Write(mut pending) => {
                #[cfg(feature = "planted")]
                for effect in pending.before_durable() {
                    self.effect(effect);
                }
                let noted = self.noted(pending.record());
                let fate = self.faults.append(&mut self.rng);
                let wall = self.wall();
                let payload = pending.take_payload();
                let (rng, now) = (&mut self.rng, self.clock.now);
                let at = match self.disk.append(rng, fate, pending.record(), payload, wall, now) {
                    Ok(at) => at,
                    Err(Trouble::Died(when)) => {
                        self.die(when);
                        return Err(Stopped::Died);
                    }
                    Err(Trouble::Refused(why)) => {
                        self.tally.see(why);
                        log!(self, "the journal refuses: {why}");
                        return Err(Stopped::Journal);
                    }
                };
                debug_assert_ne!(fate, Fate::After, "not answered");
                // As a replay reads it.
                let (record, wall) = self.disk.record(self.disk.len());
                self.replay(self.disk.len(), wall, &record);
                let effects = self.shell.durable(pending, at);
                self.note(&record, noted);
                self.tally.records += 1;
                self.tally.count_record(record.name());
                check::after_record(self, &record);
                if self.tally.records.is_multiple_of(WHOLE_EVERY) {
                    check::i07_replay_gives_the_live_state(self);
                }
                if self.tally.records.is_multiple_of(SNAPSHOT_EVERY) {
                    match self.till().to_snapshot() {
                        Ok(bytes) => self.snapshot = Some((self.disk.len(), bytes)),
                        Err(e) => panic!("the state cannot be written as a snapshot: {e}"),
                    }
                }
                (effects, true)
            }
        };
        let count = effects.len();
        for effect in effects {
            if self.faults.effect(&mut self.rng) {
                self.die("before an effect");
                return Err(Stopped::Died);
            }
            self.effect(effect);
        }
        Ok(Done { wrote, effects: count })
    }

    pub(crate) fn die(&mut self, when: &'static str) {
        log!(self, "dies {when}");
        *self.tally.died.entry(when).or_default() += 1;
        self.clock.process_died();
        self.vault.clear();
        self.armed_for = None;
        self.up = false;
        let pause = self.rng.range(1_000, 5_000);
        self.clock.after(pause, Event::Restart);
    }

    /// Folds a record of the journal as a replay does.
    fn replay(&mut self, seq: u64, wall: i64, record: &Record) {
        if let Some(payment) = self.replayed.lacks(record).and_then(|id| self.disk.payment(id, seq)) {
            self.replayed.adopt(payment);
        }
        self.replayed.apply(seq, wall, record);
        if self.untrained.is_some() {
            self.replay_untrained(seq, wall, record);
        }
    }

    /// The same without training.
    fn replay_untrained(&mut self, seq: u64, wall: i64, record: &Record) {
        let training = record.payment().and_then(|id| self.replayed.payment(id)).is_some_and(|p| p.training);
        let Some(till) = self.untrained.as_mut().filter(|_| !training) else { return };
        if let Some(payment) = till.lacks(record).and_then(|id| self.disk.payment(id, seq)) {
            till.adopt(payment);
        }
        if !matches!(record, Record::TrainingSet { .. }) {
            till.apply(seq, wall, record);
        }
    }

    /// As a start does: the records from a seq on, one after the other.
    fn replay_records(&self, mut shell: Shell, first: u64) -> Shell {
        for seq in first..=self.disk.len() {
            let (at, payload) = self.disk.read(seq);
            if let Err(e) = shell.replay_with(at, payload, |id| self.disk.payment(id, seq)) {
                panic!("record {seq} cannot be replayed: {e}");
            }
        }
        shell
    }

    /// As a start does that finds a snapshot: it, and the records after it.
    fn replay_snapshot(&self) -> Shell {
        let Some((seq, bytes)) = &self.snapshot else { return self.replay_records(Shell::default(), 1) };
        match Till::from_snapshot(bytes) {
            Ok(till) => self.replay_records(Shell::new(till), seq + 1),
            Err(e) => panic!("a snapshot cannot be read: {e}"),
        }
    }

    fn restart(&mut self) {
        if self.disk.health == Health::ReadOnly {
            // The journal does not open; systemd tries again.
            self.clock.after(5_000, Event::Restart);
            return;
        }
        let known = self.disk.len();
        let found = self.disk.open();
        assert!(found <= 1, "one record at a time is on its way to the disk");
        let unanswered = (found > 0).then(|| self.disk.record(known + 1));
        if let Some((record, wall)) = &unanswered {
            self.replay(known + 1, *wall, record);
        }
        self.tally.see_many("records found that were never answered", found);
        // The whole replay now and then, or from a snapshot. Else the state that died is compared, record for record what
        // the disk gives back, and goes on: that is the state which a replay gives.
        match self.rng.below(16) {
            0 => self.shell = self.replay_records(Shell::default(), 1),
            1 | 2 => self.shell = self.replay_snapshot(),
            _ => {
                let died = std::mem::take(&mut self.shell);
                self.shell = self.replay_records(died, known + 1);
            }
        }
        check::i07_replay_gives_the_live_state(self);
        if let Some((record, _)) = &unanswered {
            check::after_record(self, record);
        }
        self.up = true;
        self.read_breakers();
        log!(self, "restarts");
        let steps = match self.shell.recover() {
            Ok(steps) => steps,
            Err(e) => panic!("the recovery cannot be recorded: {e}"),
        };
        for next in steps {
            log!(self, "recovery → {next:?}");
            match self.commit(next) {
                Ok(_) => {}
                Err(Stopped::Died) => return,
                Err(Stopped::Journal) => {
                    self.die("unable to write in recovery");
                    return;
                }
            }
        }
        check::after_restart(self);
    }
}

//! The daemon of this world: decides, appends, folds in, acts; dies and comes back. The deciding, the holding back until
//! a record is durable and the folding are till-core's own ([`Shell`]); what is simulated is all around it.

mod around;
mod input;
mod life;

use std::collections::BTreeSet;

use till_core::input::Context;
use till_core::{Input, PaymentId, Refusal, Shell, Till};

use crate::check::{self, Watch};
use crate::clock::{Clock, Event, Timer};
use crate::disk::{Disk, Health};
use crate::faults::Faults;
use crate::host::Host;
use crate::operator::{Operator, stalled};
use crate::profile;
use crate::rng::Rng;
use crate::run;
use crate::standing::Standing;
use crate::tally::Tally;

/// When every world begins: 2026-09-21 14:13:20 UTC, Unix ms.
pub(crate) const BEGIN_MS: i64 = 1_790_000_000_000;

/// How often the daemon looks at the clock, ms.
const TICK_MS: u64 = 30_000;

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
        let mut rules = around::rules(&mut rng, wild_clock);
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
}

//! Pulses and the switch. No I/O; time is a number.

/// Milliseconds of the boot clock.
pub type Millis = u64;

/// Shortest and longest pulse, ms: shorter does not open, longer burns the solenoid.
pub const PULSE_MS: std::ops::RangeInclusive<u64> = 50..=500;
/// From the begin of one pulse to the next, ms.
pub const APART_MS: u64 = 1_000;
/// A switch must say so for this long, ms.
pub const DEBOUNCE_MS: u64 = 20;
/// A drawer that has not opened this long after its pulse is stuck, ms.
pub const STUCK_MS: u64 = 2_000;

/// What happened.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The switch says open (true) or closed.
    Moved(bool),
    /// It did not open after a pulse.
    Stuck,
    /// It has been open for too long; once for each time it is opened.
    TooLong,
}

/// A pulse that may not be given.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too soon after the last one.
    #[error("the drawer was told to open {0} ms ago; once a second is the most a solenoid bears")]
    TooSoon(u64),
}

/// The drawer.
#[derive(Clone, Debug)]
pub struct Core {
    pulse_ms: u64,
    too_long_ms: u64,
    /// Begin of the last pulse; at the start a pulse of an earlier process is assumed.
    last: Millis,
    /// Whether `last` is such an assumption: then a pulse waits instead of being refused.
    assumed: bool,
    /// Level that the switch shows, since when, and what it is taken for.
    raw: Option<(bool, Millis)>,
    open: Option<bool>,
    opened_at: Millis,
    told: bool,
    expect: Option<Millis>,
}

impl Core {
    /// A drawer; `pulse_ms` is brought into its limits, `too_long_ms` 0: never too long.
    pub fn new(now: Millis, pulse_ms: u64, too_long_ms: u64) -> Self {
        Self {
            pulse_ms: pulse_ms.clamp(*PULSE_MS.start(), *PULSE_MS.end()),
            too_long_ms,
            last: now,
            assumed: true,
            raw: None,
            open: None,
            opened_at: now,
            told: false,
            expect: None,
        }
    }

    /// When a pulse may begin: `Ok(0)` now, `Ok(ms)` after a wait of at most a second (only after a start), or refused.
    pub fn ask(&self, now: Millis) -> Result<u64, Refused> {
        let since = now.saturating_sub(self.last);
        match APART_MS.saturating_sub(since) {
            0 => Ok(0),
            wait if self.assumed => Ok(wait),
            _ => Err(Refused::TooSoon(since)),
        }
    }

    /// A pulse begins; how long the line is active, ms.
    pub fn begin(&mut self, now: Millis) -> u64 {
        (self.last, self.assumed) = (now, false);
        if self.open == Some(false) {
            self.expect = Some(now.saturating_add(STUCK_MS));
        }
        self.pulse_ms
    }

    /// What the switch shows now.
    pub fn switch(&mut self, now: Millis, open: bool) -> Option<Event> {
        let since = match self.raw {
            Some((level, since)) if level == open => since,
            _ => {
                self.raw = Some((open, now));
                now
            }
        };
        if now.saturating_sub(since) < DEBOUNCE_MS || self.open == Some(open) {
            return None;
        }
        let first = self.open.is_none();
        self.open = Some(open);
        if open {
            (self.opened_at, self.told) = (now, false);
            self.expect = None;
        }
        // That it is closed when the driver starts is no news.
        (open || !first).then_some(Event::Moved(open))
    }

    /// What time brings.
    pub fn tick(&mut self, now: Millis) -> Option<Event> {
        if self.expect.is_some_and(|until| now >= until) {
            self.expect = None;
            return Some(Event::Stuck);
        }
        let open_for = now.saturating_sub(self.opened_at);
        if self.open == Some(true) && self.too_long_ms > 0 && !self.told && open_for >= self.too_long_ms {
            self.told = true;
            return Some(Event::TooLong);
        }
        None
    }

    /// Whether it is open, where a switch tells.
    pub const fn open(&self) -> Option<bool> {
        self.open
    }

    /// Since when it is open, ms.
    pub const fn opened_at(&self) -> Millis {
        self.opened_at
    }

    /// How often the switch should be looked at, ms: closely while something moves.
    pub fn pace(&self, now: Millis) -> u64 {
        let moving = self.raw.is_some_and(|(level, _)| Some(level) != self.open);
        let soon = now.saturating_sub(self.last) < 5_000 && !self.assumed;
        if moving {
            5
        } else if soon || self.open == Some(true) {
            20
        } else {
            100
        }
    }
}

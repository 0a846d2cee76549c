//! Circuit breakers: a channel that fails by its own fault, again and again, is not offered until it has answered
//! without money and then carried one sale (S10, pos.md §4.3 stage 4).
//!
//! One for each channel and operation. Only what the channel or its network did counts: a customer's decline is a sign
//! of life, a mistake of the merchant or of a device says nothing. An attempt counts once, by its first outcome: a sale
//! whose answer was lost is a fault, whatever a query finds later.
//!
//! Closed → open after so many faults in a row, or so many among the last ones → after a pause the network is asked
//! without money (echo, sign-in, query), never with an amount → half open: one sale at a time → closed after one that
//! was answered, open again (and longer) after one that was not.
//!
//! Kept in memory: losing it costs one more failed sale. After a restart it is taken from the newest records, and what
//! was open is asked at once.

mod signal;

pub use signal::{Reader, Signal, Told, signal, told};

use serde::{Deserialize, Serialize};

use crate::payment::{LegKind, PaymentId};
use crate::planted::planted;

/// When a breaker opens, and for how long.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Faults in a row that open it; at least 1.
    pub in_a_row: u32,
    /// Faults among the newest `of` outcomes that open it; 0: only those in a row.
    pub faults: u32,
    /// How many outcomes are looked at, at most 32.
    pub of: u32,
    /// First pause before the network is asked, ms; doubles each time.
    pub pause_ms: u64,
    /// Longest pause, ms.
    pub pause_max_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { in_a_row: 3, faults: 5, of: 10, pause_ms: 30_000, pause_max_ms: 600_000 }
    }
}

/// How a breaker stands.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Sales go through.
    #[default]
    Closed,
    /// None does.
    Open {
        /// Wall clock when it opened, Unix ms; for people.
        since_ms: i64,
        /// When the network is to be asked, ms of a clock that only goes forward.
        ask_at_ms: u64,
        /// How often it has opened or been asked since it was closed.
        tries: u32,
    },
    /// One sale at a time.
    HalfOpen {
        /// Wall clock when it opened, Unix ms.
        since_ms: i64,
        /// As of the open breaker.
        tries: u32,
        /// The sale that shows whether it works.
        trial: Option<(PaymentId, u32)>,
    },
}

impl State {
    /// Lower-kebab code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half-open",
        }
    }

    /// Wall clock when it opened, Unix ms; None: it is closed.
    pub const fn since_ms(self) -> Option<i64> {
        match self {
            Self::Closed => None,
            Self::Open { since_ms, .. } | Self::HalfOpen { since_ms, .. } => Some(since_ms),
        }
    }
}

/// One breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Channel.
    pub channel: String,
    /// Operation.
    pub kind: LegKind,
    /// State.
    pub state: State,
    /// Faults in a row.
    pub in_a_row: u32,
    /// The newest outcomes, the newest in the lowest bit: 1 is a fault.
    recent: u32,
    /// How many of them there are.
    seen: u32,
}

/// Why a breaker lets nothing through.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tripped {
    /// Wall clock when it opened, Unix ms.
    pub since_ms: i64,
    /// Faults in a row.
    pub in_a_row: u32,
    /// The network answers again; one sale is under way that shows whether it works.
    pub on_trial: bool,
}

/// What a step changed for the outside.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It opened.
    Opened,
    /// It closed.
    Closed,
}

/// All breakers of a till. Those that were never told anything are closed and not in here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breakers {
    settings: Settings,
    all: Vec<Breaker>,
}

impl Breakers {
    /// None told anything yet.
    pub const fn new(settings: Settings) -> Self {
        Self { settings, all: Vec::new() }
    }

    /// All that were told anything.
    pub fn iter(&self) -> impl Iterator<Item = &Breaker> {
        self.all.iter()
    }

    /// Why a channel's operation may not be used now.
    pub fn tripped(&self, channel: &str, kind: LegKind) -> Option<Tripped> {
        let b = self.all.iter().find(|b| b.kind == kind && b.channel == channel)?;
        let tripped = |since_ms, on_trial| Some(Tripped { since_ms, in_a_row: b.in_a_row, on_trial });
        match b.state {
            State::Closed | State::HalfOpen { trial: None, .. } => None,
            State::Open { since_ms, .. } => tripped(since_ms, false),
            State::HalfOpen { since_ms, trial: Some(_), .. } => tripped(since_ms, true),
        }
    }

    /// A tender went to a channel: of a breaker that is half open it is the trial.
    pub fn tendered(&mut self, channel: &str, kind: LegKind, who: (PaymentId, u32)) {
        if let Some(b) = self.all.iter_mut().find(|b| b.kind == kind && b.channel == channel)
            && let State::HalfOpen { trial: trial @ None, .. } = &mut b.state
        {
            *trial = Some(who);
        }
    }

    /// An attempt had its first outcome. `now_ms`: a clock that only goes forward; `wall_ms`: for people.
    pub fn outcome(&mut self, told: &Told, now_ms: u64, wall_ms: i64) -> Option<Moved> {
        let settings = self.settings;
        let b = self.breaker(&told.channel, told.kind, told.signal)?;
        match told.signal {
            Signal::Fault => b.in_a_row = b.in_a_row.saturating_add(1),
            Signal::Well => b.in_a_row = 0,
            Signal::Nothing => {}
        }
        let open = |tries: u32| State::Open {
            since_ms: wall_ms,
            ask_at_ms: now_ms.saturating_add(pause(settings, tries)),
            tries,
        };
        match (b.state, told.signal) {
            (State::Closed, Signal::Fault | Signal::Well) => {
                let fault = told.signal == Signal::Fault;
                b.recent = (b.recent << 1) | u32::from(fault);
                b.seen = b.seen.saturating_add(1).min(32);
                let window = settings.of.clamp(1, 32);
                let faults = (b.recent & (u32::MAX >> (32 - window))).count_ones();
                let often = settings.faults > 0 && !planted!(BreakerCountsRows) && faults >= settings.faults;
                if fault && (often || b.in_a_row >= settings.in_a_row.max(1)) {
                    b.state = open(0);
                    return Some(Moved::Opened);
                }
                None
            }
            (State::HalfOpen { tries, trial: Some(trial), since_ms }, signal) if trial == told.who => {
                match signal {
                    Signal::Fault => {
                        b.state = open(tries.saturating_add(1));
                        Some(Moved::Opened)
                    }
                    Signal::Well => {
                        b.state = State::Closed;
                        (b.recent, b.seen) = (0, 0);
                        Some(Moved::Closed)
                    }
                    // It was given up before it showed anything: the next one is the trial.
                    Signal::Nothing => {
                        b.state = State::HalfOpen { tries, trial: None, since_ms };
                        None
                    }
                }
            }
            _ => None,
        }
    }

    /// The network of a channel was asked without money, or signed the terminal in.
    pub fn asked(&mut self, channel: &str, well: bool, now_ms: u64) {
        let settings = self.settings;
        for b in self.all.iter_mut().filter(|b| b.channel == channel) {
            if let State::Open { since_ms, tries, .. } = b.state {
                b.state = if well || planted!(BreakerProbesWithMoney) {
                    State::HalfOpen { since_ms, tries, trial: None }
                } else {
                    let tries = tries.saturating_add(1);
                    State::Open { since_ms, tries, ask_at_ms: now_ms.saturating_add(pause(settings, tries)) }
                };
            }
        }
    }

    /// Channels whose network is to be asked now, each once.
    pub fn to_ask(&self, now_ms: u64) -> Vec<String> {
        let due = |b: &&Breaker| matches!(b.state, State::Open { ask_at_ms, .. } if ask_at_ms <= now_ms);
        let mut channels: Vec<String> = self.all.iter().filter(due).map(|b| b.channel.clone()).collect();
        channels.sort();
        channels.dedup();
        channels
    }

    /// When the next network is to be asked, ms of the clock that only goes forward.
    pub fn next_ask(&self) -> Option<u64> {
        let asks = self.all.iter().filter_map(|b| match b.state {
            State::Open { ask_at_ms, .. } => Some(ask_at_ms),
            _ => None,
        });
        asks.min()
    }

    /// After a restart: what the newest records left open is asked at once. Nothing can be on trial.
    pub fn restarted(&mut self, now_ms: u64) {
        for b in &mut self.all {
            match b.state {
                State::Open { since_ms, tries, .. } | State::HalfOpen { since_ms, tries, .. } => {
                    b.state = State::Open { since_ms, tries, ask_at_ms: now_ms };
                }
                State::Closed => {}
            }
        }
    }

    /// The breaker that is told something; one that has nothing to remember is not made.
    fn breaker(&mut self, channel: &str, kind: LegKind, signal: Signal) -> Option<&mut Breaker> {
        let at = self.all.iter().position(|b| b.kind == kind && b.channel == channel);
        let at = match at {
            Some(at) => at,
            None if signal == Signal::Fault => {
                let channel = channel.to_owned();
                self.all.push(Breaker {
                    channel,
                    kind,
                    state: State::Closed,
                    in_a_row: 0,
                    recent: 0,
                    seen: 0,
                });
                self.all.len() - 1
            }
            None => return None,
        };
        self.all.get_mut(at)
    }
}

/// Pause before the network is asked for the so-many-th time.
fn pause(settings: Settings, tries: u32) -> u64 {
    settings.pause_ms.saturating_mul(1_u64 << tries.min(20)).min(settings.pause_max_ms.max(settings.pause_ms))
}

//! What goes wrong, chosen when something is sent or written. When the world is calm nothing goes wrong any more.

use till_core::LegKind;

use crate::disk::{Fate, Health};
use crate::profile::{SETTLE_MS, never_pending};
use crate::rng::Rng;

/// How the customer's bank decides.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Pay {
    Yes,
    No,
    /// Asked for a password; pays by itself after so many queries, or when the customer does.
    Pending(Option<u32>),
}

/// Which part of an answer is another's.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Wrong {
    Amount,
    Order,
    Merchant,
    Terminal,
}

/// What becomes of a request that takes money.
#[derive(Copy, Clone, Debug)]
pub(crate) enum PayFate {
    Well,
    NotSent,
    LostRequest,
    LostAnswer,
    /// On its way for so long that it is asked about, and perhaps undone, before it arrives.
    Slow(u64),
    /// On its way for so long that it was undone before it arrives; the network tells of it until it is heard.
    VeryLate(u64),
    /// The answer comes after the call was given up.
    LateAnswer,
    AnsweredTwice,
    Wrong(Wrong),
    /// The seal (MAC, signature) of the answer does not hold: the channel gives no answer out.
    BadSeal,
    PluginDied,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum UndoFate {
    Well,
    NotSent,
    LostRequest,
    LostAnswer,
    Refuse,
    AnsweredTwice,
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum QueryFate {
    Well,
    Lost,
    AnsweredTwice,
    Wrong(Wrong),
}

/// What becomes of a request of a settlement.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum SettleFate {
    Well,
    NotSent,
    LostRequest,
    LostAnswer,
    LateAnswer,
    AnsweredTwice,
    /// A definite no to this one try.
    Refused,
    /// The network's count is behind: it says that totals differ which do not.
    Miscounts,
}

/// How bad this world is.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Faults {
    /// Percent of exchanges that go wrong.
    pub(crate) exchange: u64,
    /// Per mille of appends at which the process dies.
    pub(crate) crash: u64,
    /// Per mille of effects before which it dies.
    pub(crate) effect_crash: u64,
    /// Per mille of what people do before which something around the till breaks: disk, clock, a channel.
    pub(crate) around: u64,
    pub(crate) calm: bool,
}

impl Faults {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            exchange: rng.pick(&[0, 10, 30, 60]),
            crash: rng.pick(&[0, 10, 40, 120]),
            effect_crash: rng.pick(&[0, 0, 5, 20]),
            around: rng.pick(&[0, 2, 10, 30]),
            calm: false,
        }
    }

    pub(crate) fn settle(self, rng: &mut Rng) -> SettleFate {
        if !self.strikes(rng) {
            return SettleFate::Well;
        }
        rng.pick(&[
            SettleFate::NotSent,
            SettleFate::LostRequest,
            SettleFate::LostRequest,
            SettleFate::LostAnswer,
            SettleFate::LateAnswer,
            SettleFate::AnsweredTwice,
            SettleFate::Refused,
            SettleFate::Miscounts,
            SettleFate::Miscounts,
        ])
    }

    fn strikes(self, rng: &mut Rng) -> bool {
        !self.calm && rng.chance(self.exchange)
    }

    pub(crate) fn customer(rng: &mut Rng, channel: usize, kind: LegKind) -> Pay {
        // A leg has no customer; now and then the network does not allow it.
        if !kind.is_tender() {
            return if rng.chance(8) { Pay::No } else { Pay::Yes };
        }
        match rng.below(10) {
            0..=6 => Pay::Yes,
            7 | 8 => Pay::No,
            _ if never_pending(channel) => Pay::Yes,
            _ if rng.chance(60) => Pay::Pending(Some(u32::try_from(rng.below(4)).unwrap_or(0))),
            _ => Pay::Pending(None),
        }
    }

    pub(crate) fn pay(self, rng: &mut Rng, may_come_late: bool) -> PayFate {
        if !self.strikes(rng) {
            return PayFate::Well;
        }
        let wrong = rng.pick(&[Wrong::Amount, Wrong::Order, Wrong::Merchant, Wrong::Terminal]);
        let slow = PayFate::Slow(rng.range(200, SETTLE_MS.into()));
        if may_come_late && rng.chance(10) {
            return PayFate::VeryLate(rng.range(30_000, 120_000));
        }
        rng.pick(&[
            PayFate::NotSent,
            PayFate::LostRequest,
            PayFate::LostAnswer,
            slow,
            slow,
            PayFate::LateAnswer,
            PayFate::AnsweredTwice,
            PayFate::Wrong(wrong),
            PayFate::BadSeal,
            PayFate::PluginDied,
        ])
    }

    /// How long queries do not see a booking.
    pub(crate) fn lag(self, rng: &mut Rng) -> u64 {
        if self.strikes(rng) { rng.range(0, 3_000) } else { 0 }
    }

    pub(crate) fn query(self, rng: &mut Rng) -> QueryFate {
        if !self.strikes(rng) {
            return QueryFate::Well;
        }
        let wrong = rng.pick(&[Wrong::Amount, Wrong::Order, Wrong::Merchant, Wrong::Terminal]);
        rng.pick(&[QueryFate::Lost, QueryFate::Lost, QueryFate::AnsweredTwice, QueryFate::Wrong(wrong)])
    }

    pub(crate) fn undo(self, rng: &mut Rng) -> UndoFate {
        if !self.strikes(rng) {
            return UndoFate::Well;
        }
        let lost = UndoFate::LostAnswer;
        rng.pick(&[
            UndoFate::NotSent,
            UndoFate::NotSent,
            UndoFate::LostRequest,
            lost,
            lost,
            UndoFate::Refuse,
            UndoFate::AnsweredTwice,
            UndoFate::AnsweredTwice,
        ])
    }

    pub(crate) fn append(self, rng: &mut Rng) -> Fate {
        if self.calm || !rng.per_mille(self.crash) {
            return Fate::Well;
        }
        rng.pick(&[Fate::Before, Fate::Unsynced, Fate::Torn, Fate::After, Fate::After, Fate::SyncFailed])
    }

    /// The process dies with this effect and those behind it not begun.
    pub(crate) fn effect(self, rng: &mut Rng) -> bool {
        !self.calm && self.effect_crash > 0 && rng.per_mille(self.effect_crash)
    }

    pub(crate) fn around(self, rng: &mut Rng) -> bool {
        !self.calm && rng.per_mille(self.around)
    }

    /// What a disk does that gets into trouble.
    pub(crate) fn disk(rng: &mut Rng) -> Health {
        rng.pick(&[Health::Full, Health::Full, Health::Stuffed, Health::ReadOnly])
    }
}

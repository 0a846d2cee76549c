//! Payment limits (S72): how much may be taken at once, a business day, on a channel, by an operator, from one card.
//!
//! What is used up is a fold of records since the business day began ([`Counters`]), so a restart counts the same
//! (I16), and it rests on the batches' dates, so no clock resets it. What is under way counts as used: a payment whose
//! outcome is not known yet may still turn out as money.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use till_plugin::{Currency, Money};

use crate::batch::Side;

/// What a limit is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// One payment; on one channel, or on any.
    Payment(Option<String>),
    /// The till, a business day.
    Day,
    /// A channel, a business day.
    Channel(String),
    /// Each operator, a business day.
    Operator,
    /// Each card or account (by its keyed token), a business day.
    Instrument,
    /// What the channel's network counts in one batch. Not configured as a limit: the till closes such a batch by
    /// itself, and until it has, the channel takes nothing.
    Batch,
}

impl Scope {
    /// Lower-kebab code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Payment(_) => "payment",
            Self::Day => "day",
            Self::Channel(_) => "channel",
            Self::Operator => "operator",
            Self::Instrument => "instrument",
            Self::Batch => "batch",
        }
    }

    /// What it is about, after "the limit": English; before "限额": Chinese.
    pub const fn text(&self) -> (&'static str, &'static str) {
        match self {
            Self::Payment(_) => ("of one payment", "单笔"),
            Self::Day => ("of the day", "本机当日"),
            Self::Channel(_) => ("of the channel for the day", "通道当日"),
            Self::Operator => ("of the operator for the day", "操作员当日"),
            Self::Instrument => ("of this card for the day", "该卡当日"),
            Self::Batch => {
                ("of its batch (a new one opens in a moment: try again)", "批次笔数（即将换批，请重试）")
            }
        }
    }
}

/// One limit, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it is about.
    pub scope: Scope,
    /// At most this much; it binds payments in its currency only.
    pub amount: Money,
    /// At most so many payments in that currency; None: any number. A payment by itself has no count.
    pub count: Option<u32>,
}

/// A limit that a payment would break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHit {
    /// Which.
    pub scope: Scope,
    /// What is left of it.
    pub left: Money,
}

/// What counts against limits: a payment to come, one under way, one that is approved.
#[derive(Copy, Clone, Debug)]
pub struct Use<'a> {
    /// Channel.
    pub channel: &'a str,
    /// Who sells; empty: nobody is named.
    pub operator: &'a str,
    /// Keyed token of the card; empty: none.
    pub token: &'a str,
    /// How much.
    pub amount: Money,
}

/// A card or account, as short as nobody finds two with the same.
type Digest = [u8; 16];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Key {
    Day,
    Channel(String),
    Operator(String),
    Instrument(Digest),
}

/// What is used up since the business day began. Sums that do not fit stay at the top: they refuse, never allow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters(BTreeMap<(Key, Currency), Side>);

impl Counters {
    /// Another business day: everything from nothing.
    pub fn reset(&mut self) {
        self.0.clear();
    }

    /// Money was taken.
    pub fn take(&mut self, u: &Use<'_>) {
        for key in keys(u) {
            let side = self.0.entry((key, u.amount.currency())).or_insert(Side::none(u.amount.currency()));
            *side = plus(*side, u.amount);
        }
    }

    /// A payment was voided: what it used is free again. Refunds give nothing back, they may be of any day.
    pub fn give_back(&mut self, u: &Use<'_>) {
        for key in keys(u) {
            if let Some(side) = self.0.get_mut(&(key, u.amount.currency())) {
                let minor = side.amount.minor().saturating_sub(u.amount.minor()).max(0);
                *side = Side {
                    amount: Money::new(minor, u.amount.currency()),
                    count: side.count.saturating_sub(1),
                };
            }
        }
    }

    /// What is used of a scope by such a payment.
    pub fn used(&self, scope: &Scope, u: &Use<'_>) -> Side {
        key(scope, u).map_or(Side::none(u.amount.currency()), |key| self.side(key, u.amount.currency()).0)
    }

    /// What is used of a key, and the key again.
    fn side(&self, key: Key, currency: Currency) -> (Side, Key) {
        let at = (key, currency);
        (self.0.get(&at).copied().unwrap_or(Side::none(currency)), at.0)
    }
}

fn plus(side: Side, amount: Money) -> Side {
    let minor = side.amount.minor().saturating_add(amount.minor());
    Side { amount: Money::new(minor, amount.currency()), count: side.count.saturating_add(1) }
}

fn keys(u: &Use<'_>) -> impl Iterator<Item = Key> {
    let operator = (!u.operator.is_empty()).then(|| Key::Operator(u.operator.into()));
    [Some(Key::Day), Some(Key::Channel(u.channel.into())), operator, instrument(u)].into_iter().flatten()
}

fn instrument(u: &Use<'_>) -> Option<Key> {
    (!u.token.is_empty()).then(|| {
        let mut half = Digest::default();
        half.copy_from_slice(&blake3::hash(u.token.as_bytes()).as_bytes()[..16]);
        Key::Instrument(half)
    })
}

/// Where a scope counts such a payment; None: it does not.
fn key(scope: &Scope, u: &Use<'_>) -> Option<Key> {
    match scope {
        Scope::Payment(_) | Scope::Batch => None,
        Scope::Day => Some(Key::Day),
        Scope::Channel(channel) => (channel == u.channel).then(|| Key::Channel(channel.clone())),
        Scope::Operator => (!u.operator.is_empty()).then(|| Key::Operator(u.operator.into())),
        Scope::Instrument => instrument(u),
    }
}

/// The first limit that a payment would break, with what is under way counted as used.
pub fn check(
    limits: &[Limit],
    counters: &Counters,
    under_way: &[Use<'_>],
    wanted: &Use<'_>,
) -> Option<LimitHit> {
    check_one(limits, counters, under_way, wanted, &Instrument::of(wanted))
}

/// The card of a payment as limits know it, found once for all channels.
pub(crate) struct Instrument(Option<Key>);

impl Instrument {
    pub(crate) fn of(u: &Use<'_>) -> Self {
        Self(instrument(u))
    }
}

/// The same, of a card that is found already.
pub(crate) fn check_one(
    limits: &[Limit],
    counters: &Counters,
    under_way: &[Use<'_>],
    wanted: &Use<'_>,
    instrument: &Instrument,
) -> Option<LimitHit> {
    limits.iter().find_map(|limit| {
        let currency = wanted.amount.currency();
        if limit.amount.currency() != currency {
            return None;
        }
        let max = limit.amount.minor();
        if let Scope::Payment(channel) = &limit.scope {
            let bound = channel.as_deref().is_none_or(|c| c == wanted.channel);
            let hit = || LimitHit { scope: limit.scope.clone(), left: limit.amount };
            return (bound && wanted.amount.minor() > max).then(hit);
        }
        let whose = match &limit.scope {
            Scope::Instrument => instrument.0.clone(),
            scope => key(scope, wanted),
        };
        let (used, at) = counters.side(whose?, currency);
        let same = under_way
            .iter()
            .filter(|u| u.amount.currency() == currency && key(&limit.scope, u).as_ref() == Some(&at));
        let used = same.fold(used, |used, u| plus(used, u.amount));
        let left = max.saturating_sub(used.amount.minor()).max(0);
        let too_many = limit.count.is_some_and(|count| used.count >= count);
        (wanted.amount.minor() > left || too_many)
            .then(|| LimitHit { scope: limit.scope.clone(), left: Money::new(left, currency) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fen(minor: i64) -> Money {
        Money::new(minor, Currency::CNY)
    }

    fn sale(channel: &'static str, operator: &'static str, token: &'static str, minor: i64) -> Use<'static> {
        Use { channel, operator, token, amount: fen(minor) }
    }

    fn limit(scope: Scope, minor: i64) -> Limit {
        Limit { scope, amount: fen(minor), count: None }
    }

    #[test]
    fn each_limit_binds_at_its_last_fen_and_only_whom_it_is_about() {
        let mut used = Counters::default();
        used.take(&sale("card", "li", "t1", 700));
        let all = [
            (Scope::Payment(None), sale("cash", "", "", 1_000), 1_000),
            (Scope::Payment(Some("card".into())), sale("card", "", "", 1_000), 1_000),
            (Scope::Day, sale("cash", "", "", 300), 300),
            (Scope::Channel("card".into()), sale("card", "", "", 300), 300),
            (Scope::Operator, sale("cash", "li", "", 300), 300),
            (Scope::Instrument, sale("cash", "", "t1", 300), 300),
        ];
        for (scope, fits, left) in all {
            let limits = [limit(scope.clone(), 1_000)];
            assert_eq!(check(&limits, &used, &[], &fits), None, "{scope:?}");
            let more = Use { amount: fen(fits.amount.minor() + 1), ..fits };
            let hit = LimitHit { scope: scope.clone(), left: fen(left) };
            assert_eq!(check(&limits, &used, &[], &more), Some(hit), "{scope:?}");
        }
        let others = [
            (Scope::Payment(Some("card".into())), sale("cash", "", "", 9_999)),
            (Scope::Channel("card".into()), sale("cash", "", "", 999)),
            (Scope::Operator, sale("card", "wang", "", 999)),
            (Scope::Instrument, sale("card", "li", "t2", 999)),
        ];
        for (scope, other) in others {
            assert_eq!(check(&[limit(scope.clone(), 1_000)], &used, &[], &other), None, "{scope:?}");
        }
        let dollars =
            Use { amount: Money::new(9_999, "USD".parse().unwrap()), ..sale("card", "li", "t1", 1) };
        assert_eq!(check(&[limit(Scope::Day, 1_000)], &used, &[], &dollars), None);
    }

    #[test]
    fn what_is_under_way_counts_as_used_and_a_void_frees_it() {
        let mut used = Counters::default();
        let limits = [limit(Scope::Instrument, 1_000)];
        let parked = [sale("card", "li", "t1", 600), sale("card", "li", "t2", 600)];
        assert_eq!(
            check(&limits, &used, &parked, &sale("card", "li", "t1", 401)).map(|h| h.left),
            Some(fen(400))
        );
        used.take(&sale("card", "li", "t1", 1_000));
        assert!(check(&limits, &used, &[], &sale("cash", "", "t1", 1)).is_some());
        used.give_back(&sale("card", "li", "t1", 1_000));
        assert_eq!(check(&limits, &used, &[], &sale("card", "li", "t1", 1_000)), None);
    }

    #[test]
    fn numbers_of_payments_are_limited_too_and_a_new_day_begins_from_nothing() {
        let mut used = Counters::default();
        let limits = [Limit { count: Some(2), ..limit(Scope::Day, 1_000) }];
        used.take(&sale("card", "", "", 1));
        assert_eq!(check(&limits, &used, &[], &sale("card", "", "", 1)), None);
        used.take(&sale("card", "", "", 1));
        assert!(check(&limits, &used, &[], &sale("card", "", "", 1)).is_some());
        used.reset();
        assert_eq!(check(&limits, &used, &[], &sale("card", "", "", 1)), None);
    }

    #[test]
    fn a_sum_that_does_not_fit_refuses() {
        let mut used = Counters::default();
        used.take(&sale("card", "", "", i64::MAX));
        used.take(&sale("card", "", "", i64::MAX));
        assert!(check(&[limit(Scope::Day, i64::MAX)], &used, &[], &sale("card", "", "", 1)).is_some());
    }
}

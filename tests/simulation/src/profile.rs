//! The channels of the world: ways in which a network lets unknown outcomes be resolved, and what it does after an
//! approval.

use std::collections::BTreeMap;

use till_core::LegKind;
use till_core::batch::{PayoutCycle, SettleRule};
use till_core::fees::FeePlan;
use till_core::routing::{LegTerms, RouteHealth, RouteView};
use till_plugin::Family;
use till_plugin::channel::{Operation, QueryRule, ResolveProfile, UndoRule};

/// The category that was agreed with the banks, and another one.
pub(crate) const MCC: &str = "5812";
pub(crate) const OTHER_MCC: &str = "6012";

pub(crate) const SETTLE_MS: u32 = 6_000;

/// Longest that an authorisation may take, ms.
pub(crate) const ANSWER_MS: u32 = 8_000;

/// (channel, family it takes)
pub(crate) const CHANNELS: [(&str, &str); 7] = [
    ("wallet", "qr-alipay"),
    ("slow-wallet", "qr-unionpay"),
    ("bank", "card-stripe"),
    ("bank-2", "card-stripe"),
    ("no-undo", "qr-wechat"),
    ("till-drawer", "cash"),
    ("gift", "prepaid"),
];

/// Whose cards can be topped up.
pub(crate) const GIFT: usize = 6;

/// Its place in [`CHANNELS`].
pub(crate) fn index(channel: &str) -> usize {
    // A match compares lengths first; this is asked many times a record.
    match channel {
        "wallet" => 0,
        "slow-wallet" => 1,
        "bank" => 2,
        "bank-2" => 3,
        "no-undo" => 4,
        "till-drawer" => 5,
        "gift" => GIFT,
        _ => panic!("the till calls a channel that is not configured: {channel}"),
    }
}

/// Messages arrive in the order they were sent and are answered from one book: a bank's line.
pub(crate) const fn keeps_order(channel: usize) -> bool {
    matches!(channel, 2 | 3)
}

/// Its network keeps batches and compares them.
pub(crate) const fn settles(channel: usize) -> bool {
    keeps_order(channel)
}

/// It compares a second time, after the details; the other does not.
pub(crate) const fn compares_again(channel: usize) -> bool {
    channel == 2
}

/// A channel that answers at once or not at all, and never says "ask again".
pub(crate) const fn never_pending(channel: usize) -> bool {
    keeps_order(channel) || channel >= 5
}

/// An order that was booked after it was undone can be undone again.
pub(crate) const fn undoes_again(channel: usize) -> bool {
    matches!(channel, 0 | 1 | GIFT)
}

/// Its money lies in the drawer.
pub(crate) const fn opens_drawer(channel: usize) -> bool {
    channel == 5
}

const fn undo(tries: u32, not_before_ms: u32) -> UndoRule {
    UndoRule { not_before_ms, pause_ms: 2_000, pause_max_ms: 30_000, tries }
}

const LONG: Option<QueryRule> =
    Some(QueryRule { first_ms: 2_000, every_ms: 3_000, until_ms: 20_000, settle_ms: SETTLE_MS });

/// Asks for a short time and cancels at once behind it, as Alipay wants; the other waits, as WeChat Pay wants.
const SHORT: Option<QueryRule> =
    Some(QueryRule { first_ms: 500, every_ms: 1_500, until_ms: 3_500, settle_ms: SETTLE_MS });

pub(crate) const fn resolve(channel: usize) -> ResolveProfile {
    match channel {
        0 | GIFT => ResolveProfile { query: SHORT, undo: Some(undo(0, 0)), single_slot: false },
        1 => ResolveProfile { query: LONG, undo: Some(undo(5, 4_000)), single_slot: false },
        4 => ResolveProfile { query: LONG, undo: None, single_slot: false },
        5 => ResolveProfile { query: None, undo: None, single_slot: false },
        _ => ResolveProfile { query: None, undo: Some(undo(3, 0)), single_slot: true },
    }
}

/// What the channel does after an approval.
fn legs(channel: usize) -> Vec<LegTerms> {
    let asked = ResolveProfile { query: LONG, undo: None, single_slot: false };
    let blind = ResolveProfile { query: None, undo: None, single_slot: false };
    let leg = |kind, resolve: &ResolveProfile, instrument, partial| LegTerms {
        kind,
        resolve: resolve.clone(),
        instrument,
        partial,
    };
    match channel {
        // A refund is asked for until somebody knows; never undone.
        0 | 1 => vec![leg(LegKind::Refund, &asked, false, true)],
        2 => vec![
            leg(LegKind::Void, &resolve(channel), false, false),
            leg(LegKind::Refund, &blind, true, true),
            leg(LegKind::Capture, &resolve(channel), false, true),
            leg(LegKind::Release, &resolve(channel), false, false),
        ],
        3 => vec![
            leg(LegKind::Void, &resolve(channel), false, false),
            leg(LegKind::Refund, &blind, false, true),
            leg(LegKind::Capture, &resolve(channel), false, false),
            leg(LegKind::Release, &resolve(channel), false, false),
        ],
        5 => vec![leg(LegKind::Refund, &blind, false, true)],
        GIFT => vec![
            leg(LegKind::Load, &asked, false, false),
            leg(LegKind::Void, &resolve(channel), false, false),
        ],
        _ => Vec::new(),
    }
}

pub(crate) const fn merchant(channel: usize) -> &'static str {
    ["M-wallet", "M-slow-wallet", "M-bank", "M-bank-2", "M-no-undo", "M-till-drawer", "M-gift"][channel]
}

pub(crate) const TERMINAL: &str = "T0000001";

/// How the channels settle.
pub(crate) fn settle_rules(chunk: u32, tries: u32) -> BTreeMap<String, SettleRule> {
    let rule = |rate_ppm, min, max| SettleRule {
        chunk,
        tries,
        payout: Some(PayoutCycle::Working(1)),
        fee: Some(FeePlan { rate_ppm, min, max, ..FeePlan::default() }),
        ..SettleRule::default()
    };
    BTreeMap::from([("bank".into(), rule(6_000, 1, Some(300))), ("bank-2".into(), rule(3_800, 0, None))])
}

/// What the banks count on a side of one batch, in one world of eight. Not drawn: other worlds stay what they were.
pub(crate) fn batch_limit(seed: u64) -> Option<u32> {
    (seed % 8 == 6).then(|| 1 + u32::try_from(seed / 8 % 4).unwrap_or(0))
}

pub(crate) fn routes() -> Vec<RouteView> {
    (0..CHANNELS.len())
        .map(|i| RouteView {
            id: CHANNELS[i].0.into(),
            families: vec![Family::new(CHANNELS[i].1)],
            operations: if keeps_order(i) {
                vec![Operation::Sale, Operation::PreAuthorisation, Operation::Settle]
            } else {
                vec![Operation::Sale]
            },
            currencies: vec!["CNY".into()],
            priority: u32::try_from(i).unwrap_or(0),
            enabled: true,
            health: RouteHealth::Ready,
            // One that signs with the time of day is not used while the clock is not believed.
            needs_clock: i == 1,
            resolve: resolve(i),
            merchant: Some(merchant(i).into()),
            terminal: Some(TERMINAL.into()),
            authorise_timeout_ms: ANSWER_MS,
            legs: legs(i),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_is_found_where_it_stands() {
        for (at, (channel, _)) in CHANNELS.iter().enumerate() {
            assert_eq!((index(channel), merchant(at)), (at, format!("M-{channel}").as_str()));
        }
    }
}

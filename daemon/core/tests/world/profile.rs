//! The channels of the world: four ways in which a network lets unknown outcomes be resolved.

use till_core::routing::{RouteHealth, RouteView};
use till_plugin::Family;
use till_plugin::channel::{Operation, QueryRule, ResolveProfile, UndoRule};

pub(crate) const SETTLE_MS: u32 = 6_000;

/// (channel, family it takes)
pub(crate) const CHANNELS: [(&str, &str); 6] = [
    ("wallet", "qr-alipay"),
    ("slow-wallet", "qr-unionpay"),
    ("bank", "card-stripe"),
    ("bank-2", "card-stripe"),
    ("no-undo", "qr-wechat"),
    ("blind", "prepaid"),
];

/// Messages arrive in the order they were sent and are answered from one book: a bank's line.
pub(crate) fn keeps_order(channel: &str) -> bool {
    channel.starts_with("bank")
}

pub(crate) fn resolve(channel: &str) -> ResolveProfile {
    let query = QueryRule { first_ms: 2_000, every_ms: 3_000, until_ms: 20_000, settle_ms: SETTLE_MS };
    let undo =
        |tries, not_before_ms| UndoRule { not_before_ms, pause_ms: 2_000, pause_max_ms: 30_000, tries };
    // Asks for a short time and cancels at once behind it, as Alipay wants; the other waits, as WeChat Pay wants.
    let short = QueryRule { first_ms: 500, every_ms: 1_500, until_ms: 3_500, settle_ms: SETTLE_MS };
    match channel {
        "wallet" => ResolveProfile { query: Some(short), undo: Some(undo(0, 0)), single_slot: false },
        "slow-wallet" => {
            ResolveProfile { query: Some(query), undo: Some(undo(5, 4_000)), single_slot: false }
        }
        "no-undo" => ResolveProfile { query: Some(query), undo: None, single_slot: false },
        "blind" => ResolveProfile { query: None, undo: None, single_slot: false },
        _ => ResolveProfile { query: None, undo: Some(undo(3, 0)), single_slot: true },
    }
}

pub(crate) fn routes() -> Vec<RouteView> {
    CHANNELS
        .iter()
        .enumerate()
        .map(|(i, (id, family))| RouteView {
            id: (*id).into(),
            families: vec![Family::new(*family)],
            operations: vec![Operation::Sale],
            currencies: vec!["CNY".into()],
            priority: u32::try_from(i).unwrap_or(0),
            enabled: true,
            health: RouteHealth::Ready,
            needs_clock: false,
            resolve: resolve(id),
            merchant: Some(format!("M-{id}")),
            terminal: Some("T0000001".into()),
            authorise_timeout_ms: 8_000,
            legs: Vec::new(),
        })
        .collect()
}

//! Refunds as the daemon asks for them: prepared first, then sent; asked about without an instrument.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // shared by tests; what fails here fails the test

use till_channel_alipay::plugin::Alipay;
use till_plugin::channel::*;
use till_plugin::{Channel, Currency, Extra, Money, Sensitive};

/// The refund's own number.
pub const REFUND: &str = "T0120260901000002";

/// A refund of `amount` fen of a payment of `whole`.
pub fn refund_of(approval: Approval, whole: i64, amount: i64) -> Follow {
    let ids =
        |order: String| AttemptIds { payment: [7; 16], attempt: 1, trace: 1, batch: 1, order, wall_ms: 0 };
    let order = approval.echo.order.clone().unwrap();
    let cny = |minor| Money::new(minor, Currency::CNY);
    Follow {
        ids: ids(REFUND.into()),
        kind: FollowKind::Refund,
        original: Reference { ids: ids(order), amount: cny(whole), approval },
        // Shredded: a refund months later needs none of it.
        original_recovery: Sensitive::new(Vec::new()),
        amount: cny(amount),
        instrument: None,
        operator: Some("01".into()),
        reason: String::new(),
        extra: Extra::new(),
    }
}

/// The same refund under another number and of another amount.
pub fn another(request: &Follow, order: &str, amount: i64) -> Follow {
    let mut other = request.clone();
    order.clone_into(&mut other.ids.order);
    other.amount = Money::new(amount, Currency::CNY);
    other
}

/// Prepares and sends.
pub fn follow(till: &mut Alipay, request: &Follow) -> Outcome {
    match till.prepare_follow(request) {
        Ok(prepared) => till.follow(request, &prepared),
        Err(refused) => Outcome::NotSent(refused),
    }
}

/// Asks, as after a restart: from what the daemon kept.
pub fn query_follow(till: &mut Alipay, request: &Follow) -> QueryOutcome {
    let original = FollowUp {
        ids: request.ids.clone(),
        amount: request.amount,
        recovery: Sensitive::new(Vec::new()),
        attempt: 1,
        extra: Extra::new(),
    };
    till.query_follow(request, &original)
}

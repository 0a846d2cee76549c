//! What is asked of a wallet, checked before anything is built or sent. `wallet` is its name in English.

use till_plugin::channel::{Approval, Decline, DeclineClass, Follow, FollowKind, Unknown, UnknownReason};
use till_plugin::{Currency, Money};

use crate::amount::Fen;

/// An amount in fen: wallets at the till take CNY.
pub fn fen(money: Money, wallet: &str) -> Result<Fen, Decline> {
    if money.currency() != Currency::CNY {
        let text = format!("{wallet} at the till takes CNY, not {}; use another channel", money.currency());
        return Err(Decline::local(DeclineClass::Channel, "currency", text));
    }
    Fen::new(money.minor()).map_err(|e| Decline::local(DeclineClass::Device, "amount", e.to_string()))
}

/// What a refund gives back, and the payment that it is of. Nothing else follows a wallet's payment: a whole payment goes back
/// this way too, also on its own day; a cancel or reverse is for unknown outcomes.
pub fn refund(request: &Follow, wallet: &str) -> Result<(Fen, Fen), Decline> {
    if request.kind != FollowKind::Refund {
        let text =
            format!("{wallet} at the till gives money back by refund, it has no {}", request.kind.as_str());
        return Err(Decline::local(DeclineClass::Channel, "unsupported", text));
    }
    let (part, whole) = (fen(request.amount, wallet)?, fen(request.original.amount, wallet)?);
    if part > whole {
        let text = "the refund is larger than the payment; change the amount";
        return Err(Decline {
            text_zh: "退款金额大于原付款，请更改金额".into(),
            ..Decline::local(DeclineClass::Device, "refund-too-large", text)
        });
    }
    Ok((part, whole))
}

/// A refund's answer must be of the payment that the payment's approval named.
pub fn of_payment(approval: Approval, request: &Follow) -> Result<Approval, Unknown> {
    let paid = &request.original.approval.reference;
    // Empty where people decided that it was paid, without an answer of the host.
    if !paid.is_empty() && approval.reference != *paid {
        let text = "the answer to the refund names another payment than the one it is of; it is not believed";
        return Err(Unknown::new(UnknownReason::Mismatch, text));
    }
    Ok(approval)
}

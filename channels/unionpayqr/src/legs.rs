//! What follows a payment: void, refund, completion, release. Checked here before anything is sent.

use till_plugin::Sensitive;
use till_plugin::channel::{Decline, DeclineClass, Follow, FollowKind};
use till_wallet::amount::Fen;
use till_wallet::asked;

use crate::ask::{After, Number};
use crate::day::clearing_day;

/// What the recovery record says of an attempt: what it was. Order, time and amount the daemon keeps itself.
pub const SCANNED: &[u8] = b"unionpayqr 1 scanned";
/// A code on the till's screen.
pub const SHOWN: &[u8] = b"unionpayqr 1 shown";
/// Money held by a scanned code.
pub const HELD: &[u8] = b"unionpayqr 1 held";
/// Money taken of a hold.
pub const CAPTURE: &[u8] = b"unionpayqr 1 capture";
/// Void, refund, release.
pub const RETURN: &[u8] = b"unionpayqr 1 return";

/// A follow-on request in UnionPay's terms.
pub struct Leg {
    /// What it does.
    pub after: After,
    /// Its own number.
    pub number: Number,
    /// How much.
    pub amount: Fen,
}

impl Leg {
    /// Its `txnType`, which answers about it have.
    pub const fn kinds(&self) -> &'static [&'static str] {
        match self.after {
            After::Void => &["31"],
            After::VoidCapture => &["33"],
            After::Refund => &["04"],
            After::Capture => &["03"],
            After::Release => &["32"],
        }
    }

    /// What is kept to find it again.
    pub const fn recovery(&self) -> &'static [u8] {
        match self.after {
            After::Capture => CAPTURE,
            _ => RETURN,
        }
    }
}

fn no(code: &str, text: &str, text_zh: &str) -> Decline {
    Decline { text_zh: text_zh.into(), ..Decline::local(DeclineClass::Device, code, text) }
}

/// Which void takes it back: that of a sale, or that of a completion.
fn void_of(original: &Sensitive<Vec<u8>>) -> Option<After> {
    match original.expose().as_slice() {
        SCANNED | SHOWN => Some(After::Void),
        CAPTURE => Some(After::VoidCapture),
        _ => None,
    }
}

/// Reads a request, or says why it is none. Nothing is sent.
pub fn leg(request: &Follow, wallet: &str) -> Result<Leg, Decline> {
    let number = Number::of(&request.ids)
        .map_err(|e| Decline::local(DeclineClass::Merchant, "request-not-built", e.to_string()))?;
    let (amount, whole) = (asked::fen(request.amount, wallet)?, asked::fen(request.original.amount, wallet)?);
    if amount > whole {
        return Err(no(
            "amount-too-large",
            "the amount is larger than that of the payment; change it",
            "金额大于原交易，请更改金额",
        ));
    }
    let after = match request.kind {
        FollowKind::Refund => After::Refund,
        FollowKind::Capture => After::Capture,
        FollowKind::Void | FollowKind::Release if amount != whole => {
            return Err(no(
                "whole-amount-only",
                "UnionPay voids and releases the whole amount only; refund a part",
                "撤销须为全额，部分退款请用退货",
            ));
        }
        FollowKind::Release => After::Release,
        FollowKind::Void => void_of(&request.original_recovery).ok_or_else(|| {
            no(
                "void-not-possible",
                "this payment cannot be voided any more; refund it",
                "该交易已不能撤销，请退货",
            )
        })?,
        other => {
            let text = format!("UnionPay QR has no {}", other.as_str());
            return Err(Decline::local(DeclineClass::Channel, "unsupported", text));
        }
    };
    Ok(Leg { after, number, amount })
}

/// A void is taken within the clearing day of what it voids only. Asked before sending; not of a void that may have been sent.
pub fn in_time(leg: &Leg, request: &Follow, now_ms: i64) -> Result<(), Decline> {
    let voids = matches!(leg.after, After::Void | After::VoidCapture);
    if voids && clearing_day(request.original.ids.wall_ms) != clearing_day(now_ms) {
        return Err(no(
            "void-next-day",
            "UnionPay voids a payment until 23:00 of its day only; refund it",
            "已过当日23:00，不能撤销，请退货",
        ));
    }
    Ok(())
}

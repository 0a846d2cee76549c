//! Refusals of our own around what follows a payment and the end of a batch, each with what to do next.

use super::refusal;
use till_plugin::channel::{Decline, DeclineClass, NextStep};

fn channel(code: &str, text: &str, zh: &str) -> Decline {
    refusal(DeclineClass::Channel, code, text, zh, NextStep::Later)
}

fn merchant(code: &str, text: &str, zh: &str) -> Decline {
    refusal(DeclineClass::Merchant, code, text, zh, NextStep::OtherMethod)
}

/// One reversal at a time, and before anything else (channels.md §1.6).
pub fn reversal_pending() -> Decline {
    let text = "the reversal of an unanswered payment goes out first: try again when it is settled";
    channel("reversal-pending", text, "有待冲正的交易，请稍后重试")
}

/// The network is shut while it settles.
pub fn settling() -> Decline {
    channel(
        "settling",
        "this network takes no payment while a batch is being settled",
        "正在结算，请稍后重试",
    )
}

/// The host could not compare.
pub fn settlement_error() -> Decline {
    channel(
        "settlement-error",
        "the host could not compare the totals: settle again later",
        "对账出错，请稍后重试",
    )
}

/// An upload without records that says nothing.
pub fn nothing_to_upload() -> Decline {
    merchant("nothing-to-upload", "there is nothing to upload", "没有可上送的明细")
}

/// A record that cannot be told to the host.
pub fn no_detail(trace: u32) -> Decline {
    let text = format!(
        "payment {trace:06} cannot be uploaded: what was kept of it is gone or is of another payment"
    );
    let zh = format!("流水 {trace:06} 的明细无法上送");
    refusal(DeclineClass::Merchant, "no-detail", text, &zh, NextStep::CallSupport)
}

/// The card is wanted, or nothing was kept of it.
pub fn card_needed() -> Decline {
    let text = "present the card that paid once more";
    refusal(DeclineClass::Customer, "card-needed", text, "请再次出示原交易的卡片", NextStep::PresentAgain)
}

/// Another card than the one that paid.
pub fn another_card() -> Decline {
    let text = "this is not the card that paid: present that one";
    refusal(
        DeclineClass::Customer,
        "another-card",
        text,
        "不是原交易的卡片，请出示原卡",
        NextStep::PresentAgain,
    )
}

/// Its batch is over, or it was no sale or completion.
pub fn not_voidable() -> Decline {
    let text = "only a sale or completion of the open batch can be voided: refund it";
    merchant("not-voidable", text, "只能撤销当前批次的消费或预授权完成，请做退货")
}

/// The original is something that this cannot follow.
pub fn wrong_original() -> Decline {
    merchant("wrong-original", "this cannot follow a payment of that kind", "原交易类型不符")
}

/// An amount that the original does not allow.
pub fn amount_differs(text: &str) -> Decline {
    merchant("amount", text, "金额与原交易不符")
}

/// A notice is told, never taken back.
pub fn never_reversed() -> Decline {
    let text = "a refund or completion notice is never reversed: settle it with the acquirer by hand";
    refusal(
        DeclineClass::Merchant,
        "never-reversed",
        text,
        "通知类交易不可冲正，请与收单行核对",
        NextStep::CallSupport,
    )
}

//! What people are told, in both languages, and whose fault it is.

use till_plugin::channel::{Decline, DeclineClass, NextStep};

use crate::ledger::{Event, Failure, LogError, Refusal};
use crate::token::NotACard;

/// A refusal of the ledger.
pub(crate) fn refused(refusal: &Refusal) -> Decline {
    use DeclineClass::{Channel, Customer, Device, Merchant};
    let (class, next, zh): (_, _, String) = match refusal {
        Refusal::UnknownCard => (Customer, NextStep::OtherMethod, "此卡未在本店发行".into()),
        Refusal::IssuedAlready { .. } => (Device, NextStep::PresentAgain, "此卡已发行，请换一张新卡".into()),
        Refusal::Insufficient { balance, short } => (
            Customer,
            NextStep::OtherMethod,
            format!("余额 {balance}，还差 {short}，请充值或用其他方式支付差额"),
        ),
        Refusal::Blocked { .. } => (Customer, NextStep::OtherMethod, "此卡已冻结，请换其他方式支付".into()),
        Refusal::NotBlocked { .. } => (Device, NextStep::OtherMethod, "此卡没有冻结".into()),
        Refusal::Expired { balance, .. } => {
            (Customer, NextStep::OtherMethod, format!("此卡已过有效期，请先激活，余额 {balance} 保留"))
        }
        Refusal::NotExpired { .. } => (Device, NextStep::OtherMethod, "此卡仍在有效期内".into()),
        Refusal::CardClosed { .. } => {
            (Customer, NextStep::OtherMethod, "此卡已退卡，请用其他方式退款或换新卡".into())
        }
        Refusal::OverCap { cap, room, .. } => {
            (Customer, NextStep::OtherMethod, format!("此类卡最多存 {cap}，最多还可充 {room}"))
        }
        Refusal::NotRedeemable => (Customer, NextStep::OtherMethod, "不记名卡不退现金".into()),
        Refusal::Amount => (Device, NextStep::PresentAgain, "金额必须大于零".into()),
        Refusal::Currency { .. } => (Merchant, NextStep::OtherMethod, "币种与本店储值卡不同".into()),
        Refusal::NoOriginal { .. } => (Device, NextStep::OtherMethod, "找不到原交易".into()),
        Refusal::OtherCard => (Customer, NextStep::PresentAgain, "请出示原支付的卡".into()),
        Refusal::OverRefund { left, .. } => (Device, NextStep::OtherMethod, format!("最多还可退 {left}")),
        Refusal::ReturnedAlready { .. } => (Device, NextStep::OtherMethod, "原交易已退款".into()),
        Refusal::NotUndoable { .. } => (Device, NextStep::OtherMethod, "此类记录不能撤销".into()),
        Refusal::NoOperator => (Merchant, NextStep::SignIn, "请操作员先登录".into()),
        Refusal::KeyReused => (Channel, NextStep::OtherMethod, "订单号已用于其他请求，未记账".into()),
        Refusal::Closed { .. } => {
            (Channel, NextStep::PresentAgain, "此订单号已关闭，未记账，请重新操作".into())
        }
        Refusal::Key => (Channel, NextStep::CallSupport, "订单号格式错误".into()),
        Refusal::TooLong { .. } => (Device, NextStep::PresentAgain, "文字过长".into()),
        Refusal::Moved { .. } => (Device, NextStep::PresentAgain, "卡状态已变化，请重新操作".into()),
        Refusal::Crowded => (Channel, NextStep::Later, "系统繁忙，请重试".into()),
    };
    let code = match refusal {
        // Said again as it was said first.
        Refusal::Closed { reason } if reason != Event::NEVER_ARRIVED => reason.as_str(),
        other => other.code(),
    };
    Decline { text_zh: zh, next, ..Decline::local(class, code, refusal.to_string()) }
}

/// Nothing was booked: the card, the log or the ledger's damage stands in the way.
pub(crate) fn not_done(failure: &Failure) -> Decline {
    let (code, zh, next) = match failure {
        Failure::Refused(refusal) => return refused(refusal),
        Failure::Log(LogError::NotWritten(_)) => ("ledger", "储值账本写入失败，未记账", NextStep::Later),
        Failure::Log(_) => ("ledger", "储值账本暂不可用", NextStep::Later),
        Failure::Damaged(_) => ("ledger-damaged", "储值账本损坏，请联系维护人员", NextStep::CallSupport),
    };
    Decline { text_zh: zh.into(), next, ..Decline::local(DeclineClass::Channel, code, failure.to_string()) }
}

/// Not a card of this shop.
pub(crate) fn not_a_card(reason: NotACard) -> Decline {
    let (code, zh, next) = match reason {
        NotACard::Kind => ("wrong-instrument", "本通道只收本店储值卡", NextStep::OtherMethod),
        NotACard::Prefix => ("not-ours", "不是本店储值卡", NextStep::OtherMethod),
        NotACard::Number => ("unreadable", "卡号无法识别，请重新出示", NextStep::PresentAgain),
    };
    Decline { text_zh: zh.into(), next, ..Decline::local(DeclineClass::Customer, code, reason.to_string()) }
}

/// The order number is closed: nothing was booked under it and nothing will be.
pub(crate) fn never_arrived() -> Decline {
    Decline {
        text_zh: "未记账：请求没有到达储值账本，订单号已关闭，请重新操作".into(),
        next: NextStep::PresentAgain,
        ..Decline::local(
            DeclineClass::Channel,
            Event::NEVER_ARRIVED,
            "nothing was booked: the request did not reach the ledger, and its order number is closed now; begin again",
        )
    }
}

/// It was booked and taken back.
pub(crate) fn undone() -> Decline {
    Decline {
        text_zh: "已记账后撤销，卡内余额已恢复".into(),
        ..Decline::local(
            DeclineClass::Channel,
            "undone",
            "it was booked and taken back: the balance is as before",
        )
    }
}

/// A plain local refusal.
pub(crate) fn local(class: DeclineClass, code: &str, text: &str, zh: &str) -> Decline {
    Decline { text_zh: zh.into(), ..Decline::local(class, code, text) }
}

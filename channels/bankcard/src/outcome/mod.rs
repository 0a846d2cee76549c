//! From what came back to the four outcomes the daemon knows (channels.md §0.1).

mod refusals;

use crate::answers::Answer;
use crate::card::{CardData, CardError};
use crate::dialect::{Action, AnswerRule};
use crate::exchange::Exchanged;
use crate::hosttime;
use crate::messages::RequestError;
use till_plugin::channel::{
    Approval, AttemptIds, Decline, DeclineClass, Echo, NextStep, Outcome, Unknown, UnknownReason, answered,
};
use till_plugin::instrument::Cvm;
use till_plugin::{Extra, Money};

pub use refusals::{
    amount_differs, another_card, card_needed, never_reversed, no_detail, not_voidable, nothing_to_upload,
    reversal_pending, settlement_error, settling, wrong_original,
};

/// A refusal of our own, with its text in both languages.
pub fn refusal(
    class: DeclineClass,
    code: &str,
    text: impl Into<String>,
    zh: &str,
    next: NextStep,
) -> Decline {
    Decline { class, code: code.into(), text: text.into(), text_zh: zh.into(), next }
}

/// Sign in before anything else.
pub fn not_signed_in() -> Decline {
    refusal(
        DeclineClass::Channel,
        "not-signed-in",
        "the terminal is not signed in at the acquirer: sign in, then try again",
        "终端未签到，请先签到",
        NextStep::SignIn,
    )
}

/// Nothing left this machine.
pub fn not_sent(why: impl Into<String>) -> Decline {
    refusal(DeclineClass::Channel, "not-sent", why, "未发送，请换其他方式付款", NextStep::OtherMethod)
}

/// A card that is refused before anything is sent.
pub fn card_refused(error: CardError) -> Decline {
    let (class, code, zh, next) = match error {
        CardError::Instrument => {
            (DeclineClass::Device, "instrument", "此渠道不支持该付款方式", NextStep::OtherMethod)
        }
        CardError::UseChip => {
            (DeclineClass::Customer, "use-chip", "此卡有芯片，请插卡或挥卡", NextStep::UseChip)
        }
        CardError::NeedsPin => {
            (DeclineClass::Customer, "needs-pin", "此卡需要输密码，本机无密码键盘", NextStep::OtherMethod)
        }
        CardError::Pan | CardError::Track | CardError::Chip => {
            (DeclineClass::Device, "card-not-read", "读卡失败，请重新出示卡片", NextStep::PresentAgain)
        }
        CardError::NotOnline => (
            DeclineClass::Customer,
            "chip-not-online",
            "芯片拒绝联机交易，请换其他方式付款",
            NextStep::OtherMethod,
        ),
        CardError::PinBlock => {
            (DeclineClass::Device, "pin-block", "密码数据有误，请重新输入", NextStep::PresentAgain)
        }
    };
    refusal(class, code, error.to_string(), zh, next)
}

/// A request that cannot be built.
pub fn request_refused(error: &RequestError) -> Decline {
    let (code, zh) = match error {
        RequestError::Currency { .. } => ("currency", "收单行不支持该币种"),
        RequestError::Amount => ("amount", "金额超出范围"),
        RequestError::Number => ("number", "流水号或批次号超出范围"),
        RequestError::Original => ("original-unknown", "原交易信息不全，请联系收单行"),
        RequestError::Count => ("count", "笔数超出报文可表示的范围"),
    };
    refusal(DeclineClass::Merchant, code, error.to_string(), zh, NextStep::OtherMethod)
}

/// A definite no from the host.
pub fn declined(code: &str, rule: &AnswerRule) -> Decline {
    let (class, next) = match rule.action {
        Action::RetainCard => (DeclineClass::Customer, NextStep::KeepCard),
        Action::PinWrong => (DeclineClass::Customer, NextStep::PresentAgain),
        Action::SignInAgain => (DeclineClass::Channel, NextStep::SignIn),
        Action::RetryLater => (DeclineClass::Channel, NextStep::Later),
        Action::NewTrace => (DeclineClass::Channel, NextStep::PresentAgain),
        Action::OperatorFault | Action::UploadOfflineAgain => (DeclineClass::Merchant, NextStep::CallSupport),
        _ => (DeclineClass::Customer, NextStep::OtherMethod),
    };
    let zh = if rule.zh.is_empty() { rule.text.clone() } else { rule.zh.clone() };
    Decline {
        class,
        code: code.to_owned(),
        text: format!("{} ({code})", rule.text),
        text_zh: format!("{zh}（{code}）"),
        next,
    }
}

/// Why an exchange without a believable answer is unknown. `None` for an answer and for what was not sent.
pub fn unknown(exchanged: &Exchanged) -> Option<Unknown> {
    let (reason, text) = match exchanged {
        Exchanged::NoAnswer(what) => (UnknownReason::NoAnswer, what.clone()),
        Exchanged::Broken(what) => (UnknownReason::Broken, what.clone()),
        Exchanged::Garbage(what) => {
            (UnknownReason::Garbage, format!("the host's answer is not readable: {what}"))
        }
        Exchanged::BadSeal => {
            (UnknownReason::BadSeal, "the answer's MAC is wrong: nothing in it counts, sign in again".into())
        }
        Exchanged::Mismatch(field) => {
            (UnknownReason::Mismatch, format!("the answer speaks of something else (field {field})"))
        }
        Exchanged::NotSent(_) | Exchanged::Answer(_) => return None,
    };
    Some(Unknown::new(reason, text))
}

/// What a verified answer to a sale means.
pub fn of_sale(answer: &Answer, ids: &AttemptIds, asked: Money, card: &CardData) -> Outcome {
    let approved = match answer.rule.action {
        Action::Approved => asked,
        Action::Partial => match answer.message.text(4).and_then(|digits| digits.parse().ok()) {
            Some(minor) => Money::new(minor, asked.currency()),
            None => {
                return Outcome::Unknown(Unknown::new(
                    UnknownReason::Mismatch,
                    "a partial approval without an amount",
                ));
            }
        },
        _ => return Outcome::Declined(declined(&answer.code, &answer.rule)),
    };
    Outcome::Approved(approval(answer, ids, approved, card))
}

/// What a verified answer to a void, refund, completion or release means. It is all or nothing.
pub fn of_follow(answer: &Answer, ids: &AttemptIds, asked: Money, card: &CardData) -> Outcome {
    match answer.rule.action {
        Action::Approved => Outcome::Approved(approval(answer, ids, asked, card)),
        Action::Partial => {
            let text = "the host did a part of what can only be done whole";
            Outcome::Unknown(Unknown::new(UnknownReason::Mismatch, text))
        }
        _ => Outcome::Declined(declined(&answer.code, &answer.rule)),
    }
}

/// Whether a no is about the request itself. A repeated notice that is answered "duplicate", "later" or "sign in" may all
/// the same have been booked the first time.
pub fn is_final(answer: &Answer) -> bool {
    !matches!(
        answer.rule.action,
        Action::RetryLater | Action::NewTrace | Action::SignInAgain | Action::OperatorFault
    )
}

/// Details or an end mark that the host has taken.
pub fn taken(answer: &Answer, ids: &AttemptIds, nothing: Money) -> Approval {
    Approval { receipt: Vec::new(), ..approved(answer, ids, nothing) }
}

fn approval(answer: &Answer, ids: &AttemptIds, amount: Money, card: &CardData) -> Approval {
    Approval {
        account: Some(card.masked.clone()),
        scheme: card.scheme.clone(),
        cvm: card.cvm,
        ..approved(answer, ids, amount)
    }
}

/// A name as hosts write it: GB 18030, some UTF-8.
fn words(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::GB18030.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// An approval without its card.
fn approved(answer: &Answer, ids: &AttemptIds, amount: Money) -> Approval {
    let own = |number| answer.trimmed(number).map(str::to_owned);
    let time = answer.trimmed(13).zip(answer.trimmed(12));
    let mut receipt = vec![
        ("批次号 BATCH".to_owned(), format!("{:06}", ids.batch)),
        ("凭证号 TRACE".to_owned(), format!("{:06}", ids.trace)),
    ];
    // Field 44: issuer in the first eleven characters, acquirer in the next eleven.
    let institutions = answer.message.text(44).filter(|text| text.is_ascii()).unwrap_or_default();
    for (label, range) in [("发卡行 ISSUER", 0..11), ("收单行 ACQUIRER", 11..22)] {
        let end = range.end.min(institutions.len());
        if let Some(code) = institutions.get(range.start..end).map(str::trim).filter(|code| !code.is_empty())
        {
            receipt.push((label.to_owned(), code.to_owned()));
        }
    }
    let mut extra = Extra::new();
    extra.insert("response-code".into(), answer.code.clone());
    if answer.rule.action == Action::Partial {
        extra.insert("partial".into(), "true".into());
    }
    let name = answer.message.get(43).map(words);
    answered::say(&mut extra, answered::MERCHANT_NAME, name.as_deref());
    answered::say(&mut extra, answered::MCC, answer.trimmed(18));
    Approval {
        amount,
        echo: Echo { order: own(11), merchant: own(42), terminal: own(41) },
        reference: own(37).unwrap_or_default(),
        authorisation_code: own(38),
        account: None,
        scheme: None,
        host_time: time.and_then(|(date, time)| hosttime::full(ids.wall_ms, date, time)),
        cvm: Cvm::None,
        change: None,
        open_drawer: false,
        receipt,
        extra,
    }
}

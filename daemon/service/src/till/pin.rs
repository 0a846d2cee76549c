//! The PIN of a card, between the two preparations of an attempt: nothing has left, and no record says more than that it began.

use std::fmt::Write as _;

use till_core::PaymentId;
use till_hosts::{ChannelClient, HostError};
use till_plugin::channel::{Authorise, ChannelDescription, Decline, DeclineClass, NextStep, Prepared, pin};
use till_plugin::driver::PinRequest;
use till_plugin::{Extra, Instrument, Money, Sensitive};

use super::effects::{Effects, ask_to_prepare};
use super::pads::{Entered, NoPin};
use super::request::Request;

/// Longest that a customer may think, ms; terminals of this country give about a minute.
const CUSTOMER_MS: u32 = 60_000;

/// What a channel says of the PINs that it takes.
pub(super) struct Key {
    name: String,
    format: u8,
}

pub(super) fn key(extra: &Extra) -> Option<Key> {
    let format = extra.get(pin::FORMAT)?.parse().ok()?;
    Some(Key { name: extra.get(pin::KEY)?.clone(), format })
}

/// Whether this code of a channel says that a PIN was wrong, and may be asked for again.
pub(super) fn is_wrong(description: &ChannelDescription, code: &str) -> bool {
    description.extra.get(pin::WRONG).is_some_and(|codes| codes.split_ascii_whitespace().any(|c| c == code))
}

pub(super) fn account(instrument: &Instrument) -> Option<Sensitive<String>> {
    match instrument {
        Instrument::Stripe(card) => Some(card.pan.clone()),
        Instrument::Chip(card) => Some(card.pan.clone()),
        _ => None,
    }
}

pub(super) fn put(request: &mut Authorise, entered: Entered) {
    let ksn = entered.ksn.iter().fold(String::new(), |mut text, byte| {
        // A String takes all that memory holds.
        let _ = write!(text, "{byte:02X}");
        text
    });
    if !ksn.is_empty() {
        request.extra.insert(pin::KSN.into(), ksn);
    }
    request.pin_block = Some(entered.block);
}

/// What a pad is asked.
pub(super) fn wish(pan: Sensitive<String>, amount: Money, key: Key) -> PinRequest {
    PinRequest { pan, amount, format: key.format, key: key.name, timeout_ms: CUSTOMER_MS }
}

/// What the operator is told; None: there is no pad, and the channel's own words are the right ones.
fn refusal(why: NoPin) -> Option<Decline> {
    let device = DeclineClass::Device;
    let (class, code, text, zh) = match why {
        NoPin::NoPad => return None,
        NoPin::NotEntered => (
            DeclineClass::Customer,
            "pin-not-entered",
            "no PIN was entered: present the card again, or pay another way".into(),
            "未输入密码，请重新出示卡片或换其他方式付款",
        ),
        NoPin::Cancelled => {
            (device, "cancelled", "cancelled before anything was sent".into(), "发送前已取消")
        }
        NoPin::Silent => (
            device,
            "pin-pad-silent",
            "the PIN pad did not answer: look at its cable and power, or pay another way".into(),
            "密码键盘无应答，请检查连接，或换其他方式付款",
        ),
        NoPin::Gone => (
            device,
            "pin-pad-gone",
            "the PIN pad went away before the PIN was entered: connect it, or pay another way".into(),
            "密码键盘已断开，请重新连接，或换其他方式付款",
        ),
        NoPin::Busy => (
            device,
            "pin-pad-busy",
            "the PIN pad has not ended an earlier request: try again, restart it, or pay another way".into(),
            "密码键盘忙，请稍后重试或换其他方式付款",
        ),
        NoPin::Fault(what) => (
            device,
            "pin-pad-fault",
            format!("no PIN: {what}: try again, or pay another way"),
            "密码键盘故障，请重试或换其他方式付款",
        ),
        NoPin::Digits => (
            device,
            "pin-pad-digits",
            "the PIN pad sent something else than a PIN block; nothing of it was kept, and it is not asked any more: pay another way"
                .into(),
            "密码键盘数据异常，请勿继续使用，请换其他方式付款",
        ),
    };
    Some(Decline { class, code: code.into(), text, text_zh: zh.into(), next: NextStep::OtherMethod })
}

/// The card's PIN was wrong, and this channel takes none: nothing goes out without it.
fn owed_elsewhere() -> Decline {
    Decline {
        class: DeclineClass::Customer,
        code: "pin-owed".into(),
        text: "the PIN was wrong, and this channel takes no PIN: present the card again, or pay another way"
            .into(),
        text_zh: "密码错误，此通道不支持输入密码，请重新出示卡片或换其他方式付款".into(),
        next: NextStep::OtherMethod,
    }
}

impl Effects {
    /// Lets the channel prepare a request, and asks a pad for the PIN in between if the channel says that the card owes it.
    /// `owed`: it was asked for before and was wrong; without a pad there is no way then.
    pub(super) async fn prepare_with_pin(
        &self,
        client: &ChannelClient,
        payment: PaymentId,
        request: &mut Request,
        owed: bool,
    ) -> Result<Result<Prepared, Decline>, HostError> {
        let host = client.instance().status().host;
        let key = host.and_then(|host| key(&host.channel()?.extra));
        if owed && key.is_none() {
            return Ok(Err(owed_elsewhere()));
        }
        let (Some(key), Request::Tender(tender)) = (key, &mut *request) else {
            return ask_to_prepare(client, request).await;
        };
        if owed || self.handle.pads.any() {
            tender.extra.insert(pin::PAD.into(), "ready".into());
        }
        let first = ask_to_prepare(client, request).await?;
        let (Request::Tender(tender), Err(decline)) = (&mut *request, &first) else { return Ok(first) };
        let Some(pan) = account(&tender.instrument).filter(|_| decline.code == pin::NEEDED) else {
            return Ok(first);
        };
        let wish = wish(pan, tender.amount, key);
        match self.enter(payment, &wish).await {
            Ok(entered) => {
                put(tender, entered);
                ask_to_prepare(client, request).await
            }
            Err(why) => Ok(refusal(why).map_or(first, Err)),
        }
    }

    async fn enter(&self, payment: PaymentId, wish: &PinRequest) -> Result<Entered, NoPin> {
        // A pad may be a reader too: what disarms it must not reach it after this.
        self.readers.settled().await;
        let published = &self.handle.published;
        let asking = |pad: &str| published.entering(payment, Some(pad));
        let wanted = async {
            let wanted =
                move |till: &till_core::Till| till.payment(payment).is_some_and(|p| !p.cancel_requested);
            self.handle.look(wanted).await.unwrap_or(false)
        };
        let ended = self.handle.pads.ask(payment, wish, asking, wanted).await;
        published.entering(payment, None);
        if let Err(why) = &ended {
            tracing::info!(PAYMENT = %payment, "no PIN: {why:?}");
        }
        ended
    }
}

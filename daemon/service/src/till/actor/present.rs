//! What a customer presents: what it is, and which attempt it begins.

use till_core::input::{Input, Presented};
use till_core::recognise::{Recognised, recognise};
use till_core::record::Record;
use till_core::{PaymentState, Refusal};
use till_plugin::Family;

use super::Actor;
use crate::till::{Change, Presentation, TillError};

impl Actor {
    pub(super) async fn present(&mut self, p: Presentation) {
        let (payment, device) = (p.payment, p.device.clone().unwrap_or_default());
        let (result, families) = self.try_present(&p).await;
        if let Err(TillError::Refused(refusal)) = &result
            && !matches!(refusal, Refusal::Stale)
        {
            let (text, text_zh) = match refusal {
                Refusal::NoRoute { en, zh } => (en.clone(), zh.clone()),
                other => (other.to_string(), other.to_string()),
            };
            let reason = crate::bus::errors::refusal_code(refusal).to_owned();
            tracing::info!(PAYMENT = %payment, DEVICE = device, reason, "not taken: {text}");
            self.published.tell(Change::InputRefused { payment, device, reason, text, text_zh, families });
        }
        if let Some(reply) = p.reply {
            let _left = reply.send(result);
        } else {
            self.unasked_present(result);
        }
    }

    fn unasked_present(&self, result: Result<(), TillError>) {
        if let Err(e @ TillError::Journal(_)) = result {
            // Nothing was begun: the customer presents again once there is room.
            self.published.tell(Change::Alarm {
                level: "critical",
                code: "journal".into(),
                payment: None,
                text: e.to_string(),
            });
        }
    }

    async fn try_present(&mut self, p: &Presentation) -> (Result<(), TillError>, Vec<String>) {
        let (family, evidence) = match self.family(p) {
            Ok(found) => found,
            Err((refusal, families)) => return (Err(refusal.into()), families),
        };
        // What a reader reads pays what the operator said it would.
        let said = p.device.as_ref().and_then(|_| self.effects.handle.take_tender(p.payment));
        let (amount, why) = said.map(|said| (said.amount, said.duplicate_reason)).unzip();
        let duplicate_reason = why.unwrap_or_else(|| p.duplicate_reason.clone());
        let presented = Presented {
            family: family.clone(),
            evidence,
            masked: p.instrument.masked(),
            token: crate::till::vault::token(&self.parts.token_key, &p.instrument),
            tendered: crate::till::vault::tendered(&p.instrument),
            channel: p.channel.clone(),
            amount: p.amount.or(amount),
            duplicate_reason: duplicate_reason.clone(),
        };
        let masked = presented.masked.clone();
        let payment = p.payment;
        let input = if p.again {
            Input::FailOver { payment, presented }
        } else {
            Input::Present { payment, presented }
        };
        let next = match self.parts.shell.decide(&input, &self.context()) {
            Ok(next) => next,
            Err(e) => return (Err(e.into()), Vec::new()),
        };
        self.published.tell(Change::Presented {
            payment: p.payment,
            device: p.device.clone().unwrap_or_default(),
            family: family.to_string(),
            masked,
        });
        let attempt = match next.record() {
            Some(Record::Tendered { ids, .. }) => Some(ids.attempt),
            // The card, once more, for the leg that waits for it.
            Some(Record::LegPresented { .. }) => self
                .parts
                .shell
                .till()
                .payment(p.payment)
                .and_then(|p| p.open_attempt())
                .map(|a| a.ids.attempt),
            _ => None,
        };
        if let Some(attempt) = attempt {
            self.vault.put(attempt, p, duplicate_reason);
        }
        let result = self.commit(next).await;
        if let (Err(_), Some(attempt)) = (&result, attempt) {
            // No attempt, so nobody will need what was presented.
            self.vault.forget(p.payment, attempt);
        }
        (result, Vec::new())
    }

    /// What it is: as the operator says, else as recognised. The families to choose from come with a refusal.
    fn family(&self, p: &Presentation) -> Result<(Family, String), (Refusal, Vec<String>)> {
        let takes = self.parts.shell.till().payment(p.payment).is_some_and(|p| {
            matches!(p.state, PaymentState::Ready | PaymentState::PartPaid)
                || p.open_attempt().is_some_and(|a| a.wants_instrument)
        });
        if !takes {
            // The right refusal comes from the machine.
            return Ok((Family::new("unknown"), "none".into()));
        }
        if let Some(said) = &p.family {
            return Ok((Family::new(said.clone()), "operator".into()));
        }
        match recognise(&p.instrument, &self.parts.codes) {
            Recognised::Instrument { family, evidence } => Ok((family, evidence)),
            Recognised::Goods => {
                Err((Refusal::NotPayable("this is an article number, not a payment code".into()), Vec::new()))
            }
            Recognised::Refused { text, .. } => Err((Refusal::NotPayable(text), Vec::new())),
            Recognised::Ambiguous { families } => {
                let names = families.iter().map(ToString::to_string).collect();
                Err((
                    Refusal::NotPayable(
                        "this code could be several things: the operator must say which".into(),
                    ),
                    names,
                ))
            }
            Recognised::Unknown { text } => {
                let channels = self.routes.all();
                let families =
                    channels.iter().flat_map(crate::till::ChannelView::families).map(|f| f.to_string());
                let mut names: Vec<String> =
                    families.filter(|f| f.starts_with("qr-") && f != Family::QR_SHOWN).collect();
                names.sort();
                names.dedup();
                Err((Refusal::NotPayable(text), names))
            }
        }
    }
}

//! Payments as dictionaries and prompts.

use std::collections::HashMap;

use till_core::{Attempt, AttemptState, Payment, PaymentState};
use zbus::{OwnedVariant, Variant};

use crate::till::PaymentView;

/// A dictionary on its way out.
pub(super) type Dict = HashMap<String, OwnedVariant>;

pub(super) fn put<'a>(dict: &mut Dict, key: &str, value: impl Into<Variant<'a>>) {
    // Only a file descriptor can fail to become owned, and there is none.
    if let Ok(value) = OwnedVariant::try_from(value.into()) {
        dict.insert(key.into(), value);
    }
}

/// Everything about a payment.
pub(super) fn payment(p: &Payment, printed: bool, decisions: &[(u32, String)]) -> Dict {
    let mut d = Dict::new();
    put(&mut d, "id", p.id.to_string());
    put(&mut d, "amount", p.amount.minor());
    put(&mut d, "currency", p.amount.currency().code());
    put(&mut d, "state", p.state.as_str());
    put(&mut d, "reason", p.reason.clone());
    put(&mut d, "subject", p.subject.clone());
    put(&mut d, "operator", p.operator.clone().unwrap_or_default());
    put(&mut d, "key", p.key.clone());
    put(&mut d, "purpose", p.purpose.as_str());
    put(&mut d, "training", p.training);
    if let till_core::Purpose::TopUp { masked, .. } = &p.purpose {
        put(&mut d, "top-up-account", masked.clone());
    }
    put(&mut d, "paid", p.paid().minor());
    put(&mut d, "returned", p.returned().minor());
    put(&mut d, "remaining", p.remaining().minor());
    put(&mut d, "held", p.held().minor());
    put(&mut d, "receipt", p.receipt_number.unwrap_or(0));
    put(&mut d, "receipt-printed", printed);
    put(&mut d, "recovered", p.recovered);
    put(&mut d, "cancel-requested", p.cancel_requested);
    put(&mut d, "seq", p.seq);
    put(&mut d, "opened-ms", p.opened_wall_ms);
    put(&mut d, "changed-ms", p.changed_wall_ms);
    put(&mut d, "attempts", p.attempts.iter().map(|a| attempt(a, decisions)).collect::<Vec<_>>());
    d
}

fn attempt(a: &Attempt, decisions: &[(u32, String)]) -> HashMap<String, Variant<'static>> {
    let mut d: HashMap<String, Variant<'static>> = HashMap::new();
    let mut put = |key: &str, value: Variant<'static>| {
        d.insert(key.into(), value);
    };
    put("attempt", a.ids.attempt.into());
    put("kind", a.kind.as_str().into());
    put("of", a.of.into());
    put("amount", a.amount.minor().into());
    put("wants-card", (a.wants_instrument && a.state.is_open()).into());
    put("reason", a.reason.clone().into());
    put("operator", a.operator.clone().unwrap_or_default().into());
    put("receipt", a.receipt.unwrap_or(0).into());
    put("channel", a.channel.clone().into());
    put("family", a.family.to_string().into());
    put("state", a.state.as_str().into());
    put("account", a.masked.clone().into());
    put("trace", a.ids.trace.into());
    put("batch", a.ids.batch.into());
    put("order", a.ids.order.clone().into());
    put("queries", a.queries.into());
    put("undos", a.undos.into());
    if let Some((_, decision)) = decisions.iter().find(|(number, _)| *number == a.ids.attempt) {
        put("decision", decision.clone().into());
    }
    if let Some(approval) = &a.approval {
        put("reference", approval.reference.clone().into());
        put("authorisation-code", approval.authorisation_code.clone().unwrap_or_default().into());
        if let Some(account) = &approval.account {
            put("account", account.clone().into());
        }
        if let Some(change) = approval.change {
            put("change", change.minor().into());
        }
    }
    if let Some(decline) = &a.decline {
        put("code", decline.code.clone().into());
        put("text", decline.text.clone().into());
        put("text-zh", decline.text_zh.clone().into());
        let next = serde_json::to_value(decline.next).ok();
        put("next", next.as_ref().and_then(|n| n.as_str()).unwrap_or_default().to_owned().into());
    }
    if let Some(reason) = a.unknown {
        put("unknown-reason", reason.as_str().into());
    }
    d
}

/// What the person at the till is to do now. Every state has one (S7).
pub(super) fn prompt(view: &PaymentView) -> (String, Dict) {
    let (p, show_code) = (&view.payment, view.show_code.as_deref());
    let mut d = Dict::new();
    let amount = |d: &mut Dict| {
        put(d, "amount", p.amount.minor());
        put(d, "currency", p.amount.currency().code());
    };
    // A refund or void under way leaves the payment's own state as it is.
    if (p.state.is_final() || p.state == PaymentState::Authorised)
        && let Some(leg) = p.open_attempt().filter(|a| a.state != AttemptState::Review)
    {
        put(&mut d, "amount", leg.amount.minor());
        put(&mut d, "currency", leg.amount.currency().code());
        put(&mut d, "background", p.parked);
        return (if leg.wants_instrument { "present-card-again" } else { "wait" }.into(), d);
    }
    let id = match p.state {
        PaymentState::Draft => {
            amount(&mut d);
            "confirm-amount"
        }
        PaymentState::Ready => {
            amount(&mut d);
            if let Some(decline) = p.attempts.last().and_then(|a| a.decline.as_ref()) {
                put(&mut d, "code", decline.code.clone());
                put(&mut d, "text", decline.text.clone());
                put(&mut d, "text-zh", decline.text_zh.clone());
            }
            "present-instrument"
        }
        PaymentState::Tendering => {
            if let Some(code) = show_code {
                put(&mut d, "code", code.to_owned());
                "show-code"
            } else if let Some(pad) = &view.pad {
                amount(&mut d);
                put(&mut d, "device", pad.clone());
                "enter-pin"
            } else {
                put(&mut d, "background", p.parked);
                "wait"
            }
        }
        PaymentState::Paid => {
            put(&mut d, "receipt", p.receipt_number.unwrap_or(0));
            if let Some(change) = p.approved().and_then(|a| a.approval.as_ref()).and_then(|a| a.change) {
                put(&mut d, "change", change.minor());
            }
            "done"
        }
        PaymentState::Cancelled | PaymentState::Returned => "done",
        PaymentState::PartPaid => {
            put(&mut d, "amount", p.remaining().minor());
            put(&mut d, "currency", p.amount.currency().code());
            put(&mut d, "paid", p.kept().minor());
            "present-instrument"
        }
        PaymentState::Authorised => {
            put(&mut d, "held", p.held().minor());
            put(&mut d, "currency", p.amount.currency().code());
            "complete-or-release"
        }
        PaymentState::Delivering | PaymentState::Returning => {
            put(&mut d, "background", p.parked);
            if p.open_attempt().is_some_and(|a| a.wants_instrument) { "present-card-again" } else { "wait" }
        }
        PaymentState::Review => "call-supervisor",
    };
    (id.into(), d)
}

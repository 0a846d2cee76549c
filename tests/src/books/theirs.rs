//! What the networks booked, against what we say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;

use till_dbus::{Options, Prepaid1Proxy, paths};
use till_simulators::acquirer::ledger::{Entry, Kind, State};
use zbus::Fd;

use super::ours::{Payment, kind};
use crate::client::Client;
use crate::rig::{Rig, RigError};

/// An amount in minor units from a text in yuan (`128.50`).
fn minor(yuan: &str) -> i64 {
    let digits = || {
        let (whole, part) = yuan.split_once('.')?;
        (part.len() == 2).then_some(())?;
        whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(part.parse().ok()?)
    };
    digits().unwrap_or(i64::MIN)
}

/// The wallet: what it keeps of each order.
pub(super) fn wallet(rig: &Rig, payments: &[Payment<'_>], wrong: &mut Vec<String>) {
    let ledger = rig.gateway.ledger();
    let trades: BTreeMap<&str, i64> =
        ledger.trades.iter().map(|t| (t.out_trade_no.as_str(), minor(&t.kept().yuan()))).collect();
    let mut orders = BTreeSet::new();
    for p in payments {
        for a in p.on("alipay") {
            let order = a.order.as_deref().unwrap_or_default();
            orders.insert(order);
            let ours = match (kind(a), a.state.as_str()) {
                ("sale", "approved") => p.amount(a) - p.refunded(a),
                // A refund is booked on its payment's own order.
                _ => 0,
            };
            let there = trades.get(order).copied().unwrap_or(0);
            if p.is_settled() && there != ours {
                wrong.push(format!("order {order} is {}: {ours} with us, {there} there", a.state));
            }
        }
    }
    for (order, kept) in trades.iter().filter(|(order, kept)| **kept != 0 && !orders.contains(*order)) {
        wrong.push(format!("the wallet kept {kept} for order {order}, which we do not know"));
    }
}

/// The acquirer: every entry has the kind, the amount and the state that follows from what we say.
pub(super) fn acquirer(rig: &Rig, payments: &[Payment<'_>], wrong: &mut Vec<String>) {
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    let ledger = rig.acquirer.ledger();
    let entries: BTreeMap<(u32, u32), &Entry> =
        ledger.iter().map(|e| ((number(&e.key.batch), number(&e.key.trace)), e)).collect();
    let mut known = BTreeSet::new();
    for p in payments {
        for a in p.on("bankcard") {
            let key = (a.batch.unwrap_or(0), a.trace.unwrap_or(0));
            known.insert(key);
            let there = entries.get(&key).map(|e| (e.kind, e.state, fen(e.amount), fen(e.refunded)));
            let amount = p.amount(a);
            let stands = |voided| if voided { State::Voided } else { State::Approved };
            let ours = match (kind(a), a.state.as_str()) {
                ("sale", "approved") => {
                    vec![(Kind::Sale, stands(p.was(a, &["void"])), amount, p.refunded(a))]
                }
                ("capture", "approved") => [Kind::Completion, Kind::CompletionNotice]
                    .map(|kind| (kind, stands(p.was(a, &["void"])), amount, p.refunded(a)))
                    .into(),
                ("void", "approved") => {
                    [Kind::Void, Kind::CompletionVoid].map(|kind| (kind, State::Approved, amount, 0)).into()
                }
                ("refund", "approved") => vec![(Kind::Refund, State::Approved, amount, 0)],
                ("release", "approved") => vec![(Kind::PreAuthVoid, State::Approved, amount, 0)],
                ("hold", "approved") if p.was(a, &["release"]) => {
                    vec![(Kind::PreAuth, State::Voided, amount, 0)]
                }
                // A completion over less leaves something of the hold to the bank.
                ("hold", "approved") => {
                    [State::Approved, State::Completed].map(|state| (Kind::PreAuth, state, amount, 0)).into()
                }
                // Nothing moved: refused there, undone, or never heard of.
                _ => Vec::new(),
            };
            let fits = match there {
                None => ours.is_empty(),
                Some((_, State::Declined | State::Reversed, _, _)) if ours.is_empty() => true,
                Some(there) => ours.contains(&there),
            };
            if p.is_settled() && !fits {
                let said = (kind(a), &a.state, amount);
                wrong.push(format!("trace {key:?}: {said:?} with us, {there:?} there"));
            }
        }
    }
    for (key, e) in entries.iter().filter(|(key, _)| !known.contains(*key)) {
        if !matches!(e.state, State::Declined | State::Reversed) {
            wrong.push(format!(
                "the acquirer has {:?} {:?} under {key:?}, which we do not know",
                e.kind, e.state
            ));
        }
    }
}

fn fen(amount: till_simulators::acquirer::money::Fen) -> i64 {
    amount.to_field().and_then(|f| f.parse().ok()).unwrap_or(i64::MIN)
}

/// The shop's own cards: the entries of the cards that the rig knows of ([`Rig::know_card`]) are what payments did to them.
pub(super) async fn cards(
    rig: &Rig,
    client: &Client,
    payments: &[Payment<'_>],
    ours: i64,
    wrong: &mut Vec<String>,
) -> Result<(), RigError> {
    let numbers = rig.known_cards();
    if numbers.is_empty() {
        return Ok(());
    }
    let failed = |e: &dyn std::fmt::Display| RigError::Till(format!("a card's ledger: {e}"));
    let path = paths::channel("prepaid").map_err(|e| failed(&e))?;
    let proxy =
        Prepaid1Proxy::builder(client.connection()).path(path).build().await.map_err(|e| failed(&e))?;
    let (mut there, mut orders) = (0, BTreeMap::new());
    for number in numbers {
        let pipe = till_dbus::code_pipe(&number).map_err(|e| failed(&e))?;
        let (card, _) =
            proxy.present_card(Fd::from(pipe.as_fd()), Options::new()).await.map_err(|e| failed(&e))?;
        let (mut before, mut balance) = (0, 0);
        loop {
            let (page, next) = match proxy.history(&card, before, Options::new()).await {
                Err(till_dbus::Error::NotFound(_)) => break, // never issued
                page => page.map_err(|e| failed(&e))?,
            };
            for entry in page {
                balance += entry.change;
                if matches!(entry.operation.as_str(), "load" | "debit" | "refund" | "void" | "undo") {
                    there += entry.change;
                    *orders.entry(entry.order).or_insert(0) += entry.change;
                }
            }
            before = next;
            if next == 0 {
                break;
            }
        }
        match proxy.query(&card, Options::new()).await {
            Ok(report) if report.balance != balance => {
                wrong.push(format!("card {}: {} is not the fold {balance}", report.account, report.balance));
            }
            _ => {}
        }
    }
    for p in payments.iter().filter(|p| p.is_settled()) {
        for a in p.on("prepaid").filter(|a| a.state == "approved") {
            let amount = if kind(a) == "sale" { -p.amount(a) } else { p.amount(a) };
            let order = a.order.clone().unwrap_or_default();
            if orders.get(&order) != Some(&amount) {
                wrong.push(format!("order {order}: {amount} with us, {:?} on the card", orders.get(&order)));
            }
        }
    }
    if payments.iter().all(Payment::is_settled) && there != ours {
        wrong.push(format!("the cards have {there} of payments, we say {ours}"));
    }
    Ok(())
}

//! A payment told from its records at any later time: its receipt, and everything that happened to it.

use till_core::receipt;
use till_core::record::{KIND, Record};
use till_core::{Payment, PaymentId};
use till_journal::Journal;
use till_plugin::document::Block;

use super::World;
use super::describe::{Dict, put};
use super::errors::Error;

/// A row of `History`: seq, Unix ms, event, attempt, operator, text.
pub(super) type Step = (u64, i64, String, u32, String, String);

/// A receipt or slip as data and as text. `number` none: the payment's own.
pub(super) fn receipt(
    world: &World,
    p: &Payment,
    number: Option<u64>,
    columns: usize,
) -> Result<Dict, Error> {
    let none = |what: &str| Error::WrongState(format!("payment {} {what}", p.id));
    let number = number.or(p.receipt_number).ok_or_else(|| none("is not paid: it has no receipt"))?;
    let facts = crate::till::effects::facts(&world.handle, &world.receipts.shop, p, number);
    let attempt = p.attempts.iter().find(|a| a.receipt == Some(number));
    let document = world.receipts.receipt(p, number, &facts).map(|printable| printable.document);
    let (Some(a), Some(document)) = (attempt, document) else {
        return Err(none(&format!("has no receipt {number}: `tillctl show` lists its numbers")));
    };
    let lines = document.blocks.iter().filter_map(|block| match block {
        Block::Pair { label, value, .. } => Some((label.clone(), value.clone())),
        Block::Text { text, .. } => Some((String::new(), text.clone())),
        _ => None,
    });
    let mut d = Dict::new();
    put(&mut d, "payment", p.id.to_string());
    put(&mut d, "receipt", number);
    put(&mut d, "kind", a.kind.as_str());
    put(&mut d, "amount", a.amount.minor());
    put(&mut d, "total", p.amount.minor());
    put(&mut d, "currency", p.amount.currency().code());
    put(&mut d, "channel", facts.channel_name.clone());
    put(&mut d, "time", facts.local_time.clone());
    put(&mut d, "shop", world.receipts.shop.name.clone());
    put(&mut d, "terminal", world.receipts.shop.terminal.clone());
    put(&mut d, "operator", a.operator.as_ref().or(p.operator.as_ref()).cloned().unwrap_or_default());
    put(&mut d, "subject", p.subject.clone());
    put(&mut d, "copies", a.copies);
    let approval = a.approval.as_ref();
    put(&mut d, "reference", approval.map(|x| x.reference.clone()).unwrap_or_default());
    put(&mut d, "lines", lines.collect::<Vec<(String, String)>>());
    put(&mut d, "text", receipt::text(&document, columns));
    Ok(d)
}

/// Every record of a payment, oldest first.
pub(super) fn history(journal: &Journal, id: PaymentId) -> Result<Vec<Step>, Error> {
    let records = journal.by_subject(&id.0).map_err(|e| Error::JournalUnavailable(e.to_string()))?;
    let steps = records.iter().filter(|r| r.kind == KIND).filter_map(|r| {
        let record = Record::decode(&r.payload).ok()?;
        let (attempt, operator, text) = said(&record);
        Some((r.seq, r.stamp.wall_ms, record.name().to_owned(), attempt, operator, text))
    });
    Ok(steps.collect())
}

/// Attempt, operator, text of a record.
fn said(record: &Record) -> (u32, String, String) {
    let who = |o: &Option<String>| o.clone().unwrap_or_default();
    match record {
        Record::On { attempt, event } => {
            let (_, operator, text) = said(event);
            (*attempt, operator, format!("{} {text}", event.name()).trim_end().to_owned())
        }
        Record::Opened { operator, subject, .. }
        | Record::OpenedFor { operator, subject, .. }
        | Record::OpenedTraining { operator, subject, .. } => (0, who(operator), subject.clone()),
        Record::AttemptCreated { ids, decision, .. } | Record::Tendered { ids, decision, .. } => {
            (ids.attempt, String::new(), decision.chosen.clone().unwrap_or_default())
        }
        Record::LegCreated { ids, kind, operator, reason, .. } => {
            (ids.attempt, who(operator), format!("{} {reason}", kind.as_str()).trim_end().to_owned())
        }
        Record::NotSent { decline, .. } | Record::Declined { decline, .. } => {
            (0, String::new(), decline.text.clone())
        }
        Record::Approved { approval, .. } => (0, String::new(), approval.reference.clone()),
        Record::BecameUnknown { text, .. }
        | Record::WentToReview { text, .. }
        | Record::PaymentToReview { text, .. } => (0, String::new(), text.clone()),
        Record::LateAnswer { attempt, text, .. } => (*attempt, String::new(), text.clone()),
        Record::CancelRequested { operator, .. }
        | Record::Acknowledged { operator, .. }
        | Record::Resumed { operator, .. } => (0, who(operator), String::new()),
        Record::Cancelled { reason, operator, .. } | Record::ReturnDecided { reason, operator, .. } => {
            (0, who(operator), reason.clone())
        }
        Record::Abandoned { attempt, reason, operator, .. } => (*attempt, who(operator), reason.clone()),
        Record::ReviewProposed { attempt, verdict, reason, operator, .. } => {
            (*attempt, operator.clone(), format!("{}: {reason}", verdict.as_str()))
        }
        Record::ReviewDecided { attempt, verdict, operator, .. } => {
            (*attempt, operator.clone(), verdict.as_str().to_owned())
        }
        Record::HoldExpired { attempt, .. } | Record::Reopened { attempt, .. } => {
            (*attempt, String::new(), String::new())
        }
        Record::CopyRequested { copy, operator, receipt, .. } => {
            (0, who(operator), format!("copy {copy} of {}", receipt::numbered(*receipt)))
        }
        Record::Dispute { number, operator, .. } => (0, operator.clone(), format!("case {number}")),
        _ => (0, String::new(), String::new()),
    }
}

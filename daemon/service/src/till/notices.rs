//! Notices to the merchant (pos.md S48): what a back office, a voice box or a message service is told. They are owed by
//! the records themselves: nothing is queued beside the journal, so nothing can be lost between the two.

use till_core::batch::{BatchEvent, BusinessDate, Line, Totals};
use till_core::dispute::DisputeEvent;
use till_core::record::{KIND, Record};
use till_core::{Attempt, LegKind, Payment, PaymentId, Purpose, Verdict};
use till_journal::{Journal, Record as Frame};
use till_plugin::Money;

use super::history::{HistoryError, find_before};

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Journal sequence number: the cursor.
    pub seq: u64,
    /// The same for ever, also in another copy of the journal: to notice what came twice.
    pub id: String,
    /// What, lower-kebab.
    pub kind: &'static str,
    /// Payment; None: it is about none.
    pub payment: Option<PaymentId>,
    /// How much; None: no money.
    pub amount: Option<Money>,
    /// Channel; empty: none.
    pub channel: String,
    /// Wall clock, Unix ms.
    pub wall_ms: i64,
    /// Fit to be shown or said: English, Chinese.
    pub text: (String, String),
}

/// What a record owes a notice about.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    /// A day that closed; it is about no payment.
    Day,
    /// This payment.
    About(PaymentId),
}

/// Whether a record owes a notice.
pub(crate) fn owed(record: &Record) -> Option<Owed> {
    match record {
        Record::Batch(BatchEvent::Closed { .. }) => Some(Owed::Day),
        record => about(record).map(Owed::About),
    }
}

/// The payment that a record owes a notice about; None: it owes none.
fn about(record: &Record) -> Option<PaymentId> {
    match record {
        Record::On { event, .. } => about(event),
        Record::Approved { payment, .. }
        | Record::ReviewDecided { payment, verdict: Verdict::Happened, .. }
        | Record::WentToReview { payment, .. }
        | Record::PaymentToReview { payment, .. }
        | Record::HoldExpired { payment, .. }
        | Record::Reopened { payment, .. }
        | Record::Dispute { payment, event: DisputeEvent::Opened { .. }, .. } => Some(*payment),
        _ => None,
    }
}

/// The notice of a record of the journal. Blocking work.
pub(crate) fn of(journal: &Journal, frame: &Frame) -> Result<Option<Notice>, HistoryError> {
    if frame.kind != KIND {
        return Ok(None);
    }
    let record =
        Record::decode(&frame.payload).map_err(|error| HistoryError::Record { seq: frame.seq, error })?;
    let id = crate::bus::hex(&frame.hash[..16]);
    if let Record::Batch(BatchEvent::Closed { batch, date, totals, count, exceptions, .. }) = &record {
        let (amount, text) = day(*batch, *date, totals, (*count, *exceptions));
        let (seq, wall_ms) = (frame.seq, frame.stamp.wall_ms);
        let (kind, payment, channel) = ("day-closed", None, String::new());
        return Ok(Some(Notice { seq, id, kind, payment, amount, channel, wall_ms, text }));
    }
    let Some(payment) = about(&record) else { return Ok(None) };
    // As it was right after that record: what came later has notices of its own.
    let p = find_before(journal, payment, frame.seq.saturating_add(1))?;
    // Nothing is owed about training: no money moved (I17).
    let Some(p) = p.filter(|p| !p.training) else { return Ok(None) };
    let (kind, amount, channel) = said(&p, &record, None);
    Ok(Some(Notice {
        seq: frame.seq,
        id,
        kind,
        payment: Some(payment),
        amount: Some(amount),
        text: text(kind, amount, &channel),
        channel,
        wall_ms: frame.stamp.wall_ms,
    }))
}

/// What a closed day came to: what is left of the main currency, and every one in words.
fn day(
    batch: u32,
    date: Option<BusinessDate>,
    totals: &Totals,
    (count, exceptions): (u32, u32),
) -> (Option<Money>, (String, String)) {
    let net = |line: Line| line.debits.amount.checked_sub(line.credits.amount).ok();
    let sums: Vec<Money> = totals.lines().filter_map(|(_, line)| net(line)).collect();
    let date = date.map(|d| format!(" ({d})")).unwrap_or_default();
    let mut en = vec![format!("batch {batch}{date} closed: {count} items")];
    let mut zh = vec![format!("批次 {batch}{date} 已结批：{count} 笔")];
    for sum in &sums {
        en.push(sum.to_string());
        zh.push(sum.to_string());
    }
    if exceptions > 0 {
        en.push(format!("{exceptions} left to people"));
        zh.push(format!("{exceptions} 项待处理"));
    }
    (sums.first().copied(), (en.join(", "), zh.join("，")))
}

/// What a record says, and of which attempt.
fn said(p: &Payment, record: &Record, attempt: Option<u32>) -> (&'static str, Money, String) {
    let of = |a: Option<&Attempt>, kind: &'static str| match a {
        Some(a) => (kind, a.amount, a.channel.clone()),
        None => (kind, p.amount, String::new()),
    };
    match record {
        Record::On { attempt, event } => said(p, event, Some(*attempt)),
        Record::Approved { approval, .. } => {
            let same = |a: &&Attempt| a.approval.as_ref() == Some(approval);
            let a = attempt.map_or_else(|| p.attempts.iter().rev().find(same), |n| p.attempt(n));
            of(a, a.map_or("paid", |a| moved(p, a)))
        }
        Record::ReviewDecided { attempt, .. } => {
            let a = p.attempt(*attempt);
            of(a, a.map_or("paid", |a| moved(p, a)))
        }
        Record::HoldExpired { attempt, .. } => of(p.attempt(*attempt), "hold-expired"),
        Record::Reopened { attempt, .. } => of(p.attempt(*attempt), "late-approval"),
        Record::Dispute { event: DisputeEvent::Opened { attempt, amount, .. }, .. } => {
            ("dispute", *amount, p.attempt(*attempt).map(|a| a.channel.clone()).unwrap_or_default())
        }
        _ => of(attempt.map_or_else(|| p.attempts.last(), |n| p.attempt(n)), "review"),
    }
}

const fn moved(p: &Payment, a: &Attempt) -> &'static str {
    match (a.kind, &p.purpose) {
        (LegKind::Sale, Purpose::TopUp { .. }) => "top-up-paid",
        (LegKind::Sale, _) => "paid",
        (LegKind::Hold, _) => "held",
        (LegKind::Void, _) => "voided",
        (LegKind::Refund, _) => "refunded",
        (LegKind::Capture, _) => "captured",
        (LegKind::Release, _) => "released",
        (LegKind::Load, _) => "loaded",
    }
}

fn text(kind: &str, amount: Money, channel: &str) -> (String, String) {
    let (en, zh) = match kind {
        "paid" => ("received", "收款"),
        "top-up-paid" => ("received for a top-up", "充值收款"),
        "held" => ("held", "预授权"),
        "voided" => ("voided", "撤销"),
        "refunded" => ("refunded", "退款"),
        "captured" => ("captured", "预授权完成"),
        "released" => ("released", "预授权解除"),
        "loaded" => ("loaded onto a card", "已充入卡"),
        "hold-expired" => ("hold ran out", "预授权已过期"),
        "late-approval" => {
            ("approved after it was undone, is being undone again", "冲正后又获批准，正在再次冲正")
        }
        "dispute" => ("disputed", "争议"),
        _ => ("needs a decision of two people", "待人工处理"),
    };
    (
        format!("{channel} {amount} {en}").trim().to_owned(),
        format!("{channel} {zh} {amount}").trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s48_what_an_older_attempt_comes_to_is_owed_as_a_notice_too() {
        let payment = PaymentId([7; 16]);
        let event = Record::HoldExpired { payment, attempt: 1 };
        assert_eq!(owed(&event), Some(Owed::About(payment)));
        assert_eq!(owed(&Record::On { attempt: 1, event: Box::new(event) }), Some(Owed::About(payment)));
        assert_eq!(owed(&Record::NoticesTaken { sink: "voice".into(), seq: 1 }), None);
    }
}

//! What a bill asks for, and which record carries a number.

use till_core::Payment;
use till_core::dispute::DisputeEvent;
use till_core::record::Record;

use super::errors::Error;
use super::options::{self, Options};

/// A row of `Bill`: seq, id, state, amount, paid, returned, currency, channel, operator, opened.
pub(super) type BillRow = (u64, String, String, i64, i64, i64, String, String, String, i64);

/// The number stands in this record.
pub(super) fn carries(record: &Record, number: &str) -> bool {
    let receipt = |n: u64| n != 0 && (number == till_core::receipt::numbered(n) || number == n.to_string());
    let approved = |a: &till_plugin::channel::Approval| {
        !number.is_empty() && (a.reference == number || a.authorisation_code.as_deref() == Some(number))
    };
    match record {
        Record::On { event, .. } => carries(event, number),
        Record::Opened { key, .. } | Record::OpenedFor { key, .. } | Record::OpenedTraining { key, .. } => {
            !key.is_empty() && key == number
        }
        Record::AttemptCreated { ids, .. } | Record::Tendered { ids, .. } => {
            ids.order == number || format!("{:06}", ids.trace) == number
        }
        Record::LegCreated { ids, key, .. } => {
            ids.order == number || format!("{:06}", ids.trace) == number || (!key.is_empty() && key == number)
        }
        Record::Approved { approval, receipt_number, .. } => receipt(*receipt_number) || approved(approval),
        // It was approved, and is undone: its reference stands in the network's statement.
        Record::UndoDecided { approval: Some(approval), .. } | Record::Reopened { approval, .. } => {
            approved(approval)
        }
        Record::Dispute { event: DisputeEvent::Opened { reference, .. }, .. } => {
            !reference.is_empty() && reference == number
        }
        Record::ReviewDecided { receipt_number, .. } => receipt(*receipt_number),
        _ => false,
    }
}

/// What a bill is about.
pub(super) struct Filter {
    channel: Option<String>,
    operator: Option<String>,
    state: Option<String>,
    from_ms: i64,
    to_ms: i64,
    min: i64,
    max: i64,
    pub(super) limit: usize,
}

impl Filter {
    pub(super) fn read(o: &Options) -> Result<Self, Error> {
        options::only(o, &["channel", "operator", "state", "from-ms", "to-ms", "min", "max", "limit"])?;
        Ok(Self {
            channel: options::text(o, "channel", 32)?,
            operator: options::text(o, "operator", 32)?,
            state: options::text(o, "state", 32)?,
            from_ms: options::signed(o, "from-ms")?.unwrap_or(i64::MIN),
            to_ms: options::signed(o, "to-ms")?.unwrap_or(i64::MAX),
            min: options::signed(o, "min")?.unwrap_or(i64::MIN),
            max: options::signed(o, "max")?.unwrap_or(i64::MAX),
            limit: options::number(o, "limit")?.unwrap_or(100).clamp(1, 500) as usize,
        })
    }

    pub(super) fn takes(&self, p: &Payment) -> bool {
        let channel = |c: &String| p.attempts.iter().any(|a| a.channel == *c);
        // A bill is about money.
        !p.training
            && self.channel.as_ref().is_none_or(channel)
            && self.operator.as_ref().is_none_or(|o| p.operator.as_ref() == Some(o))
            && self.state.as_ref().is_none_or(|s| p.state.as_str() == s)
            && (self.from_ms..=self.to_ms).contains(&p.opened_wall_ms)
            && (self.min..=self.max).contains(&p.amount.minor())
    }
}

pub(super) fn row(seq: u64, p: &Payment) -> BillRow {
    (
        seq,
        p.id.to_string(),
        p.state.as_str().into(),
        p.amount.minor(),
        p.paid().minor(),
        p.returned().minor(),
        p.amount.currency().code().into(),
        p.attempts.last().map(|a| a.channel.clone()).unwrap_or_default(),
        p.operator.clone().unwrap_or_default(),
        p.opened_wall_ms,
    )
}

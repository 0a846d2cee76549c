//! What an outcome says of a channel.

use std::collections::BTreeMap;

use till_plugin::channel::{Decline, DeclineClass, UnknownReason};

use crate::payment::{LegKind, PaymentId};
use crate::record::Record;
use crate::till::Till;
use crate::training::CHANNEL;

/// What an outcome says of its channel.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It or its network did not do its work.
    Fault,
    /// It answered as it should, with yes or with the customer's no.
    Well,
    /// Nothing.
    Nothing,
}

/// The first outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Channel.
    pub channel: String,
    /// Operation.
    pub kind: LegKind,
    /// The attempt.
    pub who: (PaymentId, u32),
    /// What it says.
    pub signal: Signal,
}

/// Codes of attempts that the till itself did not send; the network was not asked.
const OUR_OWN: [&str; 9] = [
    "unresolved",
    "recovery-too-large",
    "sealing",
    "no-instrument",
    "not-possible",
    "cancelled",
    "suspended",
    "maintenance",
    "batch-full",
];

/// What a record says that is about to be taken in, seen by the till of before.
pub fn told(till: &Till, record: &Record) -> Option<Told> {
    let signal = signal(record)?;
    let payment = till.payment(record.payment()?)?;
    let a = payment.open_attempt()?;
    // Only the first outcome: what a query or an undo brings is not the operation's own.
    if payment.training || a.unknown.is_some() {
        return None;
    }
    Some(Told { channel: a.channel.clone(), kind: a.kind, who: (payment.id, a.ids.attempt), signal })
}

/// Takes outcomes out of records one by one, oldest first: after a restart, when there is no till of before each of them.
#[derive(Debug, Default)]
pub struct Reader(BTreeMap<PaymentId, Told>);

impl Reader {
    /// The first outcome that a record tells of, if it does.
    pub fn read(&mut self, record: &Record) -> Option<Told> {
        let tender = |payment: PaymentId, attempt, channel: &str, kind| {
            let channel = channel.to_owned();
            Told { channel, kind, who: (payment, attempt), signal: Signal::Nothing }
        };
        match record {
            Record::AttemptCreated { payment, ids, decision, .. } => {
                let channel = decision.chosen.as_deref()?;
                self.0.insert(*payment, tender(*payment, ids.attempt, channel, LegKind::Sale));
                None
            }
            Record::Tendered { payment, ids, decision, kind, .. } => {
                // The training host is no channel.
                let channel = decision.chosen.as_deref().filter(|c| *c != CHANNEL)?;
                self.0.insert(*payment, tender(*payment, ids.attempt, channel, *kind));
                None
            }
            Record::LegCreated { payment, ids, channel, kind, .. } if channel != CHANNEL => {
                self.0.insert(*payment, tender(*payment, ids.attempt, channel, *kind));
                None
            }
            _ => {
                let signal = signal(record)?;
                let first = self.0.remove(&record.payment()?)?;
                Some(Told { signal, ..first })
            }
        }
    }
}

/// What an outcome says of whoever gave it; None: it is none.
pub fn signal(record: &Record) -> Option<Signal> {
    Some(match record {
        // Or a cancelled payment was approved after all: it answered.
        Record::Approved { .. } | Record::UndoDecided { approval: Some(_), .. } => Signal::Well,
        Record::Declined { decline, .. } => declined(decline),
        Record::NotSent { decline, .. } => match declined(decline) {
            Signal::Fault => Signal::Fault,
            // Nobody was asked.
            _ => Signal::Nothing,
        },
        Record::BecameUnknown { reason, .. } => match reason {
            UnknownReason::NoAnswer
            | UnknownReason::Broken
            | UnknownReason::BadSeal
            | UnknownReason::Mismatch
            | UnknownReason::Garbage
            | UnknownReason::HostFault
            | UnknownReason::PluginDied => Signal::Fault,
            // It answered: the customer is typing a password, or looks at a code.
            UnknownReason::InProgress | UnknownReason::AwaitingCustomer => Signal::Well,
            // Its own restart, and whatever a later plugin says.
            _ => Signal::Nothing,
        },
        _ => return None,
    })
}

fn declined(decline: &Decline) -> Signal {
    match decline.class {
        DeclineClass::Customer => Signal::Well,
        DeclineClass::Channel if !OUR_OWN.contains(&decline.code.as_str()) => Signal::Fault,
        DeclineClass::Channel | DeclineClass::Merchant | DeclineClass::Device => Signal::Nothing,
    }
}

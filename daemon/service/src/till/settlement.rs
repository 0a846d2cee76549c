//! Settlements as channels get them: totals of a batch, its detail records, and the clock's tick.

use std::time::Duration;

use till_core::batch::{Entry, PartId, Rules, Side, Totals};
use till_core::input::Input;
use till_core::payment::LegKind;
use till_core::record::KIND;
use till_core::{Payment, Till};
use till_journal::Journal;
use till_plugin::channel::{
    AttemptIds, Decline, DeclineClass, Outcome, RecordKind, Reference, Settle, SettleOutcome, Unknown,
    UnknownReason, Upload, UploadRecord,
};
use till_plugin::{Currency, Extra, Sensitive};

use super::Handle;
use super::effects::{EXCHANGE, Effects};
use super::sealing::Sealing;

/// How often the machine looks at the clock.
const TICK: Duration = Duration::from_secs(30);

/// Rules of batches and limits as they are now: what is configured, and what channels say of their networks' batches.
pub(super) fn rules(configured: &Rules, wall_ms: i64, batch_limits: Vec<(String, u32)>) -> Rules {
    let mut rules = Rules { utc_offset_min: utc_offset_min(wall_ms), ..configured.clone() };
    for (channel, said) in batch_limits {
        let mut rule = rules.channel(&channel);
        rule.batch_limit = Some(rule.batch_limit.map_or(said, |own| own.min(said)));
        rules.channels.insert(channel, rule);
    }
    rules
}

/// Minutes east of UTC at this place, at that time.
fn utc_offset_min(wall_ms: i64) -> i32 {
    let zone = jiff::tz::TimeZone::system();
    jiff::Timestamp::from_millisecond(wall_ms).map_or(0, |t| zone.to_offset(t).seconds() / 60)
}

/// Lets the machine look at the clock, now and from time to time, for as long as the till runs.
pub(super) fn tick(handle: Handle) {
    tokio::spawn(async move {
        let mut every = tokio::time::interval(TICK);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if handle.messages.is_closed() {
                return;
            }
            handle.tell(Input::Tick).await;
        }
    });
}

/// A comparison of totals. One currency has its own fields, others stand in the extra facts.
pub(super) fn totals(
    ids: AttemptIds,
    again: bool,
    totals: &Totals,
    currency: Currency,
    operator: Option<String>,
) -> Settle {
    let main = totals.line(currency);
    let mut extra = Extra::new();
    if again {
        extra.insert("recheck".into(), "1".into());
    }
    for (other, line) in totals.lines().filter(|(c, _)| *c != currency) {
        let value = |side: Side| format!("{}/{}", side.amount.minor(), side.count);
        extra.insert(format!("debits.{other}"), value(line.debits));
        extra.insert(format!("credits.{other}"), value(line.credits));
    }
    Settle {
        batch: ids.batch,
        ids,
        debits: (main.debits.amount, main.debits.count),
        credits: (main.credits.amount, main.credits.count),
        operator,
        extra,
    }
}

const fn kind(kind: LegKind) -> RecordKind {
    match kind {
        LegKind::Sale => RecordKind::Sale,
        LegKind::Hold => RecordKind::Hold,
        LegKind::Void => RecordKind::Void,
        LegKind::Refund => RecordKind::Refund,
        LegKind::Capture => RecordKind::Capture,
        LegKind::Release => RecordKind::Release,
        LegKind::Load => RecordKind::Load,
    }
}

/// What an upload is made of: its detail records, and those of their payments that are in memory.
pub(super) struct Details {
    ids: AttemptIds,
    entries: Vec<(Entry, Option<Payment>)>,
    count: u32,
    balanced: bool,
}

impl Details {
    pub(super) fn of(till: &Till, ids: AttemptIds, entries: &[Entry], count: u32, balanced: bool) -> Self {
        let entries = entries.iter().map(|e| (*e, till.payment(e.item.payment).cloned())).collect();
        Self { ids, entries, count, balanced }
    }

    /// Each with what its network needs to know it again; `Err`: one is not to be had. Reads the journal.
    fn request(self, journal: &Journal, sealing: &Sealing) -> Result<Upload, String> {
        let record = |(entry, payment)| detail(journal, sealing, &entry, payment);
        let records = self.entries.into_iter().map(record).collect::<Result<_, _>>()?;
        let Self { ids, count, balanced, .. } = self;
        Ok(Upload { batch: ids.batch, ids, records, count, balanced })
    }
}

fn detail(
    journal: &Journal,
    sealing: &Sealing,
    entry: &Entry,
    payment: Option<Payment>,
) -> Result<UploadRecord, String> {
    let id = entry.item.payment;
    let missing = || format!("attempt {} of payment {id} is not in the journal", entry.item.attempt);
    let payment = match payment {
        Some(payment) => payment,
        None => super::history::find(journal, id).map_err(|e| e.to_string())?.ok_or_else(missing)?,
    };
    let reference = |number: u32| {
        let a = payment.attempt(number)?;
        Some(Reference { ids: a.ids.clone(), amount: a.amount, approval: a.approval.clone()? })
    };
    let attempt = payment.attempt(entry.item.attempt).ok_or_else(missing)?;
    let recovery = match attempt.recovery.as_deref() {
        Some(sealed) => sealing.open(id.0, KIND, sealed).map_err(|e| e.to_string())?.to_vec(),
        None => Vec::new(),
    };
    Ok(UploadRecord {
        reference: reference(entry.item.attempt).ok_or_else(missing)?,
        kind: kind(entry.kind),
        recovery: Sensitive::new(recovery),
        original: reference(attempt.of),
    })
}

impl Effects {
    pub(super) async fn settle(&self, batch: u32, part: PartId, request: Settle) {
        let open = |text: String| SettleOutcome::Unknown(Unknown::new(UnknownReason::NoAnswer, text));
        let trace = request.ids.trace;
        let outcome = match self.client_when_ready(&part.channel).await {
            Ok(client) => client.settle(&request, EXCHANGE).await.unwrap_or_else(|e| open(e.to_string())),
            Err(e) => open(e),
        };
        self.handle.tell(Input::Settled { batch, part, trace, outcome }).await;
    }

    pub(super) async fn upload(&self, batch: u32, part: PartId, details: Details) {
        let unsent = |text: String| Outcome::NotSent(Decline::local(DeclineClass::Channel, "not-sent", text));
        let trace = details.ids.trace;
        let (journal, sealing) = (self.journal.clone(), self.handle.sealing.clone());
        // Read on a thread beside the actor, which serves customers meanwhile.
        let request = tokio::task::spawn_blocking(move || details.request(&journal, &sealing)).await;
        let outcome = match request.unwrap_or_else(|e| Err(e.to_string())) {
            Ok(request) => match self.client_when_ready(&part.channel).await {
                Ok(client) => client.upload(&request, EXCHANGE).await.unwrap_or_else(|e| e.as_outcome()),
                Err(e) => unsent(e),
            },
            Err(e) => unsent(e),
        };
        self.handle.tell(Input::Uploaded { batch, part, trace, outcome }).await;
    }
}

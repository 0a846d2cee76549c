//! Settlements as channels get them: totals of a batch, its detail records, and the clock's tick.

use std::time::Duration;

use till_core::batch::{BatchState, Entry, PartId, Rules, Side, Totals};
use till_core::input::Input;
use till_core::payment::{LegKind, Purpose};
use till_core::record::KIND;
use till_core::{Payment, PaymentId, Till};
use till_plugin::channel::{
    AttemptIds, Decline, DeclineClass, Outcome, RecordKind, Reference, Settle, SettleOutcome, Unknown,
    UnknownReason, Upload, UploadRecord,
};
use till_plugin::{Currency, Extra, Sensitive};

use super::Handle;
use super::effects::{EXCHANGE, Effects};

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

/// Everything that is sealed in a payment.
fn sealed_of(payment: &Payment) -> impl Iterator<Item = &[u8]> {
    let own = match &payment.purpose {
        Purpose::TopUp { recovery, .. } => Some(recovery.as_slice()),
        Purpose::Sale | Purpose::Hold => None,
    };
    payment.attempts.iter().filter_map(|a| a.recovery.as_deref()).chain(own)
}

impl Effects {
    /// The detail records of an upload, each with what its network needs to know it again; `Err`: one is not to be had.
    pub(super) fn upload_request(
        &self,
        till: &Till,
        ids: AttemptIds,
        entries: &[Entry],
        count: u32,
        balanced: bool,
    ) -> Result<Upload, String> {
        let records = entries.iter().map(|entry| self.record(till, entry)).collect::<Result<_, _>>()?;
        Ok(Upload { batch: ids.batch, ids, records, count, balanced })
    }

    fn record(&self, till: &Till, entry: &Entry) -> Result<UploadRecord, String> {
        let id = entry.item.payment;
        let missing = || format!("attempt {} of payment {id} is not in the journal", entry.item.attempt);
        let payment = match till.payment(id) {
            Some(payment) => payment.clone(),
            None => {
                super::history::find(&self.journal, id).map_err(|e| e.to_string())?.ok_or_else(missing)?
            }
        };
        let reference = |number: u32| {
            let a = payment.attempt(number)?;
            Some(Reference { ids: a.ids.clone(), amount: a.amount, approval: a.approval.clone()? })
        };
        let attempt = payment.attempt(entry.item.attempt).ok_or_else(missing)?;
        let recovery = match attempt.recovery.as_deref() {
            Some(sealed) => self.handle.sealing.open(id.0, KIND, sealed).map_err(|e| e.to_string())?.to_vec(),
            None => Vec::new(),
        };
        Ok(UploadRecord {
            reference: reference(entry.item.attempt).ok_or_else(missing)?,
            kind: kind(entry.kind),
            recovery: Sensitive::new(recovery),
            original: reference(attempt.of),
        })
    }

    /// Destroys the keys of what was sealed for closed batches only. Needed is what belongs to a batch that is not closed,
    /// and whatever an open payment holds, however old: that is sealed anew first, so that one hold does not keep
    /// the keys of a whole day.
    pub(super) async fn shred(&self, below: u32) {
        self.seal_anew().await;
        let (sealing, journal) = (self.handle.sealing.clone(), self.journal.clone());
        // In one turn of the actor: the mark, and then what is looked up.
        let turn = move |till: &Till| {
            let mark = sealing.mark();
            let needed: Vec<Vec<u8>> = till.open_payments().flat_map(sealed_of).map(<[u8]>::to_vec).collect();
            let book = till.batches();
            let live = book.frozen().chain(book.open()).flat_map(till_core::batch::Batch::parts);
            let mut payments: Vec<PaymentId> =
                live.flat_map(|(_, part)| part.entries()).map(|entry| entry.item.payment).collect();
            payments.sort_unstable();
            payments.dedup();
            (mark, needed, payments)
        };
        let Ok((mark, mut needed, payments)) = self.handle.look(turn).await else { return };
        let found = tokio::task::spawn_blocking(move || {
            for id in payments {
                let payment = super::history::find(&journal, id).ok().flatten().ok_or(id)?;
                needed.extend(sealed_of(&payment).map(<[u8]>::to_vec));
            }
            Ok(needed)
        });
        // What is not certain to be needless stays.
        match found.await {
            Ok(Ok(needed)) => match self.handle.sealing.shred(mark, needed).await {
                Ok(epoch) => tracing::info!(below, epoch, "sealed data of closed batches is destroyed"),
                Err(e) => tracing::warn!("{e}"),
            },
            Ok(Err::<_, PaymentId>(id)) => {
                tracing::warn!(%id, "nothing is destroyed: a payment of an open batch is not in the journal");
            }
            Err(_) => {}
        }
    }

    /// What unfinished payments sealed in batches that are closed: sealed under the key of now, by a record each
    /// (decision 0020). What cannot be opened or recorded stays as it is, and keeps its key.
    async fn seal_anew(&self) {
        let old = self.handle.look(|till| {
            let closed = |batch: u32| {
                let batch = till.batches().get(batch);
                batch.is_none_or(|b| b.state == BatchState::Closed)
            };
            let of = |p: &Payment| {
                let own = match &p.purpose {
                    Purpose::TopUp { recovery, .. } => Some((p.id, 0, recovery.clone())),
                    Purpose::Sale | Purpose::Hold => None,
                };
                let attempts = p.attempts.iter().filter(|a| closed(a.batch));
                let sealed = attempts.filter_map(|a| Some((p.id, a.ids.attempt, a.recovery.clone()?)));
                sealed.chain(own).collect::<Vec<_>>()
            };
            till.open_payments().flat_map(of).collect::<Vec<_>>()
        });
        let Ok(old) = old.await else { return };
        let sealing = &self.handle.sealing;
        for (payment, attempt, sealed) in old.into_iter().filter(|(_, _, sealed)| !sealing.is_of_now(sealed))
        {
            let clear = match sealing.open(payment.0, KIND, &sealed) {
                Ok(clear) => clear,
                Err(e) => {
                    tracing::warn!(PAYMENT = %payment, attempt, "cannot be sealed anew: {e}");
                    continue;
                }
            };
            // The pin keeps the new key until the record that carries it is taken in.
            match sealing.seal(payment.0, KIND, &clear) {
                Ok((recovery, _pin)) => {
                    let input = Input::Resealed { payment, attempt, recovery };
                    if let Err(e) = self.handle.input(input).await {
                        tracing::info!(PAYMENT = %payment, attempt, "not sealed anew: {e}");
                    }
                }
                Err(e) => tracing::warn!(PAYMENT = %payment, attempt, "cannot be sealed anew: {e}"),
            }
        }
    }

    pub(super) async fn settle(&self, batch: u32, part: PartId, request: Settle) {
        let open = |text: String| SettleOutcome::Unknown(Unknown::new(UnknownReason::NoAnswer, text));
        let trace = request.ids.trace;
        let outcome = match self.client_when_ready(&part.channel).await {
            Ok(client) => client.settle(&request, EXCHANGE).await.unwrap_or_else(|e| open(e.to_string())),
            Err(e) => open(e),
        };
        self.handle.tell(Input::Settled { batch, part, trace, outcome }).await;
    }

    pub(super) async fn upload(&self, batch: u32, part: PartId, request: (u32, Result<Upload, String>)) {
        let unsent = |text: String| Outcome::NotSent(Decline::local(DeclineClass::Channel, "not-sent", text));
        let (trace, request) = request;
        let outcome = match request {
            Ok(request) => match self.client_when_ready(&part.channel).await {
                Ok(client) => client.upload(&request, EXCHANGE).await.unwrap_or_else(|e| e.as_outcome()),
                Err(e) => unsent(e),
            },
            Err(e) => unsent(e),
        };
        self.handle.tell(Input::Uploaded { batch, part, trace, outcome }).await;
    }
}
